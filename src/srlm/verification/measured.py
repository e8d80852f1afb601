"""What a measured round is judged by, checked: kappa, P3 prompt by prompt, the estimate of an exact round, P4's error.

Knows: routes that share no code with `theory.conditioning`, `theory.contraction` and `theory.objective`: probabilities
enumerated and loops written out.
"""

import math
from collections.abc import Iterator
from itertools import combinations

import mpmath
import numpy as np

from srlm.theory import conditioning, contraction, guarantees, objective
from srlm.verification._check import Cases, Check, in_turn
from srlm.verification._policies import kappa_of, margins, random_table, tied_table


def _conditioning(rng: np.random.Generator) -> Iterator[Check]:
    logarithm, counted = Cases(), Cases()
    for _ in range(20):
        logs, weights = -rng.exponential(10 ** rng.uniform(-2, 3.5), 6), rng.random(6)
        with mpmath.workdps(40):
            terms = [mpmath.mpf(float(w)) * mpmath.exp(-float(one)) for w, one in zip(weights, logs, strict=True)]
            exact = float(mpmath.log(mpmath.fsum(terms) / mpmath.fsum(map(float, weights))))
        logarithm.add(conditioning.log_policy_condition_number(logs, weights), exact)
    for _ in range(50):
        table, slack = random_table(rng, int(rng.integers(1, 9))), float(rng.uniform(0.05, 0.95))
        tops = [max(row) for row in table.tolist()]
        counted.add(conditioning.failure_rate(np.log(tops), slack), sum(one <= 1 - slack for one in tops) / len(tops))
        counted.add(math.exp(conditioning.log_min_confidence(np.log(tops))), min(tops))
        counted.add(conditioning.mean_probability(np.log(tops)), math.fsum(tops) / len(tops))
        counted.add(math.exp(conditioning.log_mass(np.log(table[0, :3]))), math.fsum(table[0, :3]))
    words = "log kappa where kappa is beyond every float"
    yield logarithm.agree("eq. 5, logarithm", words, "identity", note="40 digits, weights")
    words = "failure rate, minimum confidence, mean probability and mass, counted"
    yield counted.agree("section 1, definitions", words, "identity")


def _prompt_by_prompt(rng: np.random.Generator) -> Iterator[Check]:
    tied, any_policy, smallest, grown = (Cases() for _ in range(4))
    for _ in range(100):
        beta = float(10 ** rng.uniform(-1, 1))
        rows = [tied_table(rng, int(rng.integers(2, 9)), float(10 ** rng.uniform(-2, 1)))[0] for _ in range(4)]
        modes = np.array([np.log(row.max()) for row in rows] + [0.0])
        gaps = np.array([margins(row[None, :])[0] for row in rows] + [np.inf])  # the last prompt has one response
        exact = (math.fsum(math.fsum((row / row.max()) ** (1 + 1 / beta)) for row in rows) + 1) / 5
        tied.add(contraction.population_kappa_bound_by_prompt(modes, gaps, beta), exact)
        table = random_table(rng, spread=float(rng.uniform(0.2, 4)))
        logs, power = np.log(table.max(axis=1)), table ** (1 + 1 / beta)
        bound = math.expm1(contraction.log_population_kappa_bound_by_prompt(logs, margins(table), beta))
        any_policy.add(bound, float(np.mean(power.sum(axis=1) / power.max(axis=1))) - 1)
        smallest.add(contraction.population_kappa_bound(kappa_of(table), margins(table).min(), beta) - 1, bound)
        beta, rounds, first = float(rng.uniform(0.5, 5)), int(rng.integers(0, 4)), margins(table)[0]
        for _ in range(rounds):
            table = table ** (1 + 1 / beta) / (table ** (1 + 1 / beta)).sum(axis=1, keepdims=True)
        grown.add(contraction.population_margin(first, beta, rounds), margins(table)[0])
    yield tied.agree(
        "P3, prompt by prompt",
        "kappa after an exact round, where every prompt's other responses tie, is 1 + E[exp(-gamma/beta) (1/p - 1)]",
        "identity", note="100 policies of five prompts, one of them with a single response",
    )  # fmt: skip
    yield any_policy.dominate("P3, any policy", "prompt by prompt it bounds kappa after an exact round")
    yield smallest.dominate("P3, the smallest margin", "which gives a bound that is never smaller")
    yield grown.agree("P3, margin over rounds", "the margin grows by (1 + 1/beta)^k", "identity", 1e-7)


def _errors(rng: np.random.Generator) -> Iterator[Check]:
    eps, shrunk = Cases(), Cases()
    for _ in range(100):
        before, beta = random_table(rng, spread=float(rng.uniform(0.5, 4))), float(10 ** rng.uniform(-1, 1))
        after = before ** (1 + 1 / beta) * np.exp(rng.uniform(-1, 1, before.shape) * 10 ** rng.uniform(-2, 1))
        after /= after.sum(axis=1, keepdims=True)
        errors, modes = [], before.argmax(axis=1)
        for old, new, mode in zip(before.tolist(), after.tolist(), modes.tolist(), strict=True):
            order = [mode, *(at for at in range(len(old)) if at != mode)]
            errors.append(contraction.log_ratio_error(np.log(old)[order], np.log(new)[order], beta))
            ratios = [new[y] / new[mode] / (old[y] / old[mode]) ** (1 + 1 / beta) for y in range(len(old))]
            eps.add(errors[-1], max(abs(math.log(one)) for one in ratios))
        factor = math.exp(contraction.certified_log_factor(margins(before).min(), beta, max(errors)))
        left = float(np.mean(1 / after[np.arange(len(after)), modes])) - 1
        shrunk.add(factor, left / (kappa_of(before) - 1))
    yield eps.agree("P4, the error", "eps is the largest log-ratio of ratios to the exact round's", "identity")
    yield shrunk.dominate(
        "P4, measured", "kappa - 1 at the old modes shrinks by exp(eps - gamma/beta), eps measured over all responses",
        note="100 random updates of random policies",
    )  # fmt: skip


def _residuals(rng: np.random.Generator) -> Iterator[Check]:
    residuals, order = Cases(), Cases()
    for _ in range(50):
        count, beta = int(rng.integers(2, 7)), float(10 ** rng.uniform(-1, 1))
        logps, reference, rewards = (-rng.exponential(3, (3, count))).tolist()
        values = objective.residual(np.array(logps), np.array(reference), np.array(rewards), beta)
        pairs = [
            (logps[i] - reference[i]) - (logps[j] - reference[j]) - (rewards[i] - rewards[j]) / beta
            for i, j in combinations(range(count), 2)
        ]
        squares = math.fsum(one**2 for one in pairs)
        residuals.add(objective.pair_differences(values), pairs)
        residuals.add((objective.group_rows(values, values.mean(), count) ** 2).sum(), squares)
        residuals.add(objective.residual_rms([values, values, [1.0]]) or 0.0, math.sqrt(squares / len(pairs)))
        n, kappa, gamma = float(10 ** rng.uniform(0, 8)), float(10 ** rng.uniform(0.1, 4)), float(rng.uniform(0.1, 3))
        share = contraction.failure_coefficient(kappa, 0.0, guarantees.beta_of_order(n, beta), gamma)
        order.add(share, beta * math.log(kappa) / math.sqrt(n) / gamma)
    yield residuals.agree("eq. 3", "residuals of all pairs, their sum of squares and root mean square", "identity")
    words = "beta of its order adds log(kappa)/(gamma sqrt(n)) to A_t"
    yield order.agree("theorem 5.3, beta", words, "transcription")


checks = in_turn(_conditioning, _prompt_by_prompt, _errors, _residuals)
