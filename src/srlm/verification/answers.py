"""P10 checked: laws of answers, their rounds, weights made of counts, and votes, on policies that can be enumerated.

Knows: routes that share no code with `theory.answers` and `theory.voting`: sums over all responses, over all sequences
of a few draws, over all subsets of them. Refuses to know: logarithms of anything long.
"""

import itertools
import math
from collections.abc import Iterator

import numpy as np

from srlm.theory import answers, voting
from srlm.verification._check import Cases, Check, in_turn
from srlm.verification._policies import random_table


def _rounds(rng: np.random.Generator) -> Iterator[Check]:
    rounds, weighted, plugged = (Cases() for _ in range(3))
    for trial in range(24):
        row, number = random_table(rng, 1, 7)[0], np.r_[0, 1, 2, rng.integers(3, size=3), trial % 4 - 1]
        beta, k = float(10 ** rng.uniform(-0.5, 0.7)), 3 + trial % 3
        law = np.array([math.fsum(row[number == a]) for a in range(3)])  # every fourth time 0.1 or so has no answer
        answered, law = np.where(number >= 0, row / law.sum(), 0.0), law / law.sum()
        s = 1 + 1 / beta
        after = np.exp(answers.answer_round(np.log(row), number, beta))
        raised = law**s / (law**s).sum()
        rounds.add(np.exp(answers.answer_logprobs(np.log(row), number)), law)
        rounds.add(after, answered / law[number] * raised[number])  # within an answer nothing changes
        # All sequences of k draws.
        whole = row / row.sum() * (1 + 5e-7)  # a sum within rounding of 1
        every = np.log(row[:3] / 2)  # everything has an answer: none is left out
        rounds.add(np.exp(answers.answer_logprobs(every, [0, 1, 2])), row[:3] / 2)
        sharpest = np.exp(answers.answer_round(np.log(row), number, 1e-300))
        rounds.add(sharpest, answered * (number == law.argmax()) / law.max())
        plugged.add(answers.plugin_target(whole, beta, 2), row / row.sum())
        plugged.add(answers.regression_target(whole, beta, 2), row / row.sum())
        plugged.add(answers.regression_target(law, 1e-300, k), np.arange(3) == law.argmax())
        draws = np.array(list(itertools.product(range(3), repeat=k)))
        chance = law[draws].prod(axis=1)
        counts = np.stack([(draws == a).sum(axis=1) for a in range(3)], axis=1)
        j = 1 + trial % 2
        weights = answers.answer_weights(counts, 1 / j)
        each = np.take_along_axis(weights, draws, 1)
        weighted.add([chance @ (each * (draws == a)).sum(axis=1) for a in range(3)], k * law ** (1 + j))
        shares = counts**s / (counts**s).sum(axis=1, keepdims=True)
        plugged.add(answers.plugin_target(law, beta, k), chance @ shares)
        pair = [
            law[draws[:, 2:]].prod(axis=1) @ np.log((counts[:, a] - (draws[:, :2] == a).sum(1) + 1) / k) / 9
            for a in range(3)
        ]
        regressed = law * np.exp(np.array(pair) / beta)
        plugged.add(answers.regression_target(law, beta, k), regressed / regressed.sum())
    for _ in range(6):  # many draws of two answers
        number_of, chance_of = int(rng.integers(20, 60)), float(rng.uniform(0.2, 0.8))
        strong, ways = float(rng.uniform(0.03, 0.3)), np.arange(number_of + 1)
        binomial = [math.comb(number_of, c) * chance_of**c * (1 - chance_of) ** (number_of - c) for c in ways]
        with np.errstate(divide="ignore"):
            share = 1 / (1 + (number_of / ways - 1) ** (1 + 1 / strong))
        plugged.add(answers.plugin_target([chance_of, 1 - chance_of], strong, number_of)[0], share @ binomial)
    rounds.add(np.exp(answers.answer_logprobs(np.log([0.3, 0.7]), [0, 0])), 1.0)
    yield rounds.agree("P10", "an exact round gives pi_A^s and keeps pi(y|a)", "identity")
    words = "weights C(c-1,j)/C(K-1,j) aim at pi_A^s exactly"
    yield weighted.agree("P10, leave one out", words, "identity", note="all sequences of 3 to 5 draws")
    yield plugged.agree("P10, plug-in", "targets of plug-in weights and of regression", "identity")


def _known_answers(rng: np.random.Generator) -> Iterator[Check]:
    """Every way of giving away what is left: to one answer, seen or not, to none, or to a thousand new ones."""
    ends = Cases()
    for trial in range(60):
        row, number = random_table(rng, 1, 9)[0], np.r_[rng.integers(3, size=8), trial % 2 - 1]
        k = 9 if trial == 0 else int(rng.integers(1, 9))
        masses = np.array([row[:k][number[:k] == a].sum() for a in range(3)])
        if not masses.any():
            continue
        rest = max(0.0, 1 - row[:k].sum())
        ways = [np.r_[masses + rest * np.eye(3)[a], 0.0] for a in range(3)]
        ways += [np.r_[masses, rest], np.r_[masses, 0.0], np.r_[masses, np.full(1000, rest / 1000)]]
        shares = [float((way / way.sum()).max()) for way in ways]
        found = answers.known_answers(np.log(row[:k]), number[:k])
        surely = all(way[masses.argmax()] >= way.max() for way in ways)
        ends.add([found.lower, found.upper, found.proved], [min(shares), max(shares), surely])
    yield ends.agree("P10, the certain part", "ends of p_max over every rest", "identity")


def _votes(rng: np.random.Generator) -> Iterator[Check]:
    """Every subset of a few draws."""
    subsets, sharp = Cases(), Cases()
    for _ in range(12):
        counts = np.r_[rng.integers(0, 4, size=3), 1]
        drawn, right = np.repeat(np.arange(4), counts), int(rng.integers(-1, 3))
        for k in range(1, len(drawn) + 1):
            votes = [np.bincount(some, minlength=4) for some in itertools.combinations(drawn, k)]
            wins = [(one[right] == one.max()) / (one == one.max()).sum() if right >= 0 else 0.0 for one in votes]
            subsets.add(voting.majority_accuracy(counts, right, k), np.mean(wins))
            subsets.add(voting.pass_at(counts, right, k), np.mean([right >= 0 and one[right] > 0 for one in votes]))
    yield subsets.agree("P10, votes", "maj@k and pass@k over every subset of the draws", "identity")
    law, tried = np.array([0.5, 0.3, 0.2]), [1 / j for j in range(1, 9)]
    enough = [beta for beta in tried if 1 / answers.plugin_target(law, beta, 8).max() <= (law**2).sum() / 0.25]
    sharp.add(voting.matching_beta([law], 8), max(enough))
    yield sharp.agree("P10, beta", "the largest that sharpens enough", "identity")


checks = in_turn(_rounds, _known_answers, _votes)
