"""Sections 1 and 2 checked on random policies: losses pair by pair, powers of tables, modes by enumeration.

Knows: routes that share no code with `theory.conditioning`, `theory.objective` and `theory.contraction`.
"""

import itertools
import math
from collections.abc import Iterator

import numpy as np

from srlm.theory import conditioning, contraction, objective
from srlm.verification._check import Cases, Check, in_turn
from srlm.verification._policies import (
    TokenTree,
    any_table,
    chains,
    kappa_of,
    margins,
    power,
    random_table,
    random_tree,
    tied_table,
)


def _definitions(rng: np.random.Generator) -> Iterator[Check]:
    kappas, rest = Cases(), Cases()
    for trial in range(30):
        table, weights, slack = any_table(rng), rng.random(8), float(rng.uniform(0.05, 0.95))
        if trial % 3 == 0:  # a prompt exactly on the threshold, which counts as failure
            slack, table[0] = 0.5, table[0] / (1 - table[0, 0]) / 2
            table[0, 0] = 0.5
        tops = table.max(axis=1)
        share = weights[: len(table)] / weights[: len(table)].sum()
        whole = conditioning.condition(np.log(table), slack, weights[: len(table)])
        kappas.add(whole.policy_condition_number, math.fsum(share / tops))
        kappas.add(conditioning.policy_condition_number(np.log(tops)), kappa_of(table))
        rest.add(math.exp(whole.log_policy_condition_number), math.fsum(share / tops))
        rest.add(whole.failure_rate, math.fsum(share[tops <= 1 - slack]))
        rest.add(conditioning.failure_rate(np.log(tops), slack), np.mean(tops <= 1 - slack))
        rest.add(conditioning.mode_fails(np.log([0.4999, 0.5])), 1)  # a slack of one half unless said
        rest.add(conditioning.mode_fails(np.log([0.5001])), 0)
        rest.add(conditioning.failure_rate(np.log([0.4999, 0.5, 0.5001])), 2 / 3)
        rest.add(conditioning.condition(np.log([[0.498, 0.302, 0.2], [0.4, 0.6, 1e-9]])).failure_rate, 0.5)
        rest.add([whole.min_confidence, 1 + whole.margin], [min(tops), 1 + min(margins(table))])
    # Rounding above 0, weights whose sum is beyond every float, logarithms beyond it.
    kappas.add(conditioning.policy_condition_number([1e-7, math.log(0.5)], [1e308, 1e308]), 1.5)
    for log, value in ((-math.inf, 0.0), (-1.0, math.exp(-1)), (1.0, math.e), (710.0, -1.0), (-746.0, -1.0)):
        rest.add(found if (found := conditioning.from_log(log)) is not None else -1.0, value)
    yield kappas.agree("eq. 5", "kappa = E_x[1/pi(y*|x)], with weights and without", "identity", 1e-12)
    yield rest.agree(
        "definition 5.2", "failure rate, minimum confidence and margin are what the words say", "identity",
        note="counted on 30 random policies; a prompt exactly at 1 - delta fails",
    )  # fmt: skip


def _objective(rng: np.random.Generator) -> Iterator[Check]:
    pairs, groups = Cases(), Cases()
    for _ in range(20):
        count, beta = int(rng.integers(2, 8)), float(10 ** rng.uniform(-1.5, 1))
        logps, reference = -rng.exponential(5, count), -rng.exponential(5, count)
        free = objective.self_reward_residual(logps, reference, beta)
        pairs.add(free, beta * logps - (1 + beta) * reference)
        written = []
        for i, j in itertools.combinations(range(count), 2):
            ratio = (logps[i] - reference[i]) - (logps[j] - reference[j])
            written.append(beta * ratio - (reference[i] - reference[j]))
            pairs.add(free[i] - free[j] + 100, written[-1] + 100)  # a difference near 0 has no relative accuracy
        groups.add(objective.group_loss(logps, reference, beta), math.fsum(one**2 for one in written))
    yield pairs.agree("P1", "recorded log-probabilities are the reward and the reference", "identity", 1e-12)
    yield groups.agree(
        "P2", "all pairs of a group cost one sum over its responses", "identity", note="eq. 3 pair by pair, K = 2 to 7"
    )


def _population(rng: np.random.Generator) -> Iterator[Check]:
    powers, bounds, sharp, grown, iterated, tied = (Cases() for _ in range(6))
    for _ in range(60):
        table, beta = any_table(rng), float(10 ** rng.uniform(-0.7, 1))
        after, gap = power(table, 1 + 1 / beta), float(margins(table).min())
        powers.add(np.exp(objective.sharpen(np.log(table), beta)), after)
        bounds.add(contraction.population_kappa_bound(kappa_of(table), gap, beta) - 1, kappa_of(after) - 1)
        grown.add(contraction.population_margin(gap, beta), margins(after).min())
    powers.add(np.exp(objective.sharpen(np.log([0.6, 0.4]), 1e-310)), [1, 0])
    bounds.add([contraction.certified_kappa_bound(1.0, 0.0, 1.0, eps) for eps in (0.0, 1e4)], 1.0)
    grown.add(1 + contraction.population_margin(0.0, 1e-300, 3), 1)
    for _ in range(60):
        responses, excess = int(rng.integers(2, 20)), float(rng.uniform(0.05, 8))
        beta = float(rng.uniform(max(0.1, excess / 12), 4))
        path = [tied_table(rng, responses, excess)]
        for _ in range(int(rng.integers(0, 4))):
            path.append(power(path[-1], 1 + 1 / beta))
        first = kappa_of(path[0])
        sharp.add(contraction.population_kappa_bound(first, excess, beta), kappa_of(power(path[0], 1 + 1 / beta)))
        rounds = len(path) - 1
        iterated.add(contraction.population_kappa_bounds(first, excess, beta, rounds), [kappa_of(one) for one in path])
    for _ in range(10):
        modes, beta = int(rng.integers(2, 6)), float(rng.uniform(0.3, 3))
        table = np.r_[np.ones(modes), rng.uniform(0.01, 0.8, 4)][None, :]
        logs = np.log(table / table.sum())
        tied.add(contraction.population_kappa_bound(math.exp(-logs.max()), 0.0, beta), math.exp(-logs.max()))
        for _ in range(40):
            logs = objective.sharpen(logs, beta)
        tied.add(math.exp(-logs.max()), modes)
    yield powers.agree("eq. 12-14", "the population optimum is pi_t to the power 1 + 1/beta", "identity")
    yield bounds.dominate(
        "P3", "exact rounds contract: kappa_{t+1} - 1 <= exp(-gamma/beta) (kappa_t - 1)",
        note="60 random policies, beta 0.2 to 10",
    )  # fmt: skip
    yield sharp.agree(
        "P3, sharp", "with equality where all responses but the mode tie", "identity", 1e-13,
        note="margins up to 8 nats, 2 to 19 responses",
    )  # fmt: skip
    yield grown.agree("P3, margin", "the margin grows by 1 + 1/beta", "identity", 1e-7)
    yield iterated.agree("P3, iterated", "bounds over rounds, the margin growing along", "identity", 1e-12)
    yield tied.agree(
        "P3, no margin", "at margin 0 the bound says nothing; exact rounds still sharpen towards the tied modes",
        "identity", note="40 rounds on policies with 2 to 5 modes: 1/pi(y*) falls to their number",
    )  # fmt: skip


def _with_error(rng: np.random.Generator) -> Iterator[Check]:
    bounds, sharp = Cases(), Cases()
    for trial in range(120):
        beta, eps = float(10 ** rng.uniform(-0.5, 1)), float(rng.uniform(0, 5))
        table = tied_table(rng, int(rng.integers(2, 9)), float(rng.uniform(0.05, 4))) if trial % 2 else any_table(rng)
        modes = table.argmax(axis=1)
        # Log-ratios to the mode off by at most eps; all of them by +eps in the sharp cases.
        shift = np.full_like(table, eps) if trial % 2 else rng.uniform(-eps, eps, table.shape)
        shift[np.arange(len(table)), modes] = 0.0
        odds = (table / table.max(axis=1, keepdims=True)) ** (1 + 1 / beta) * np.exp(shift)
        left = float(np.mean(odds.sum(axis=1)))  # the mean of 1/pi_hat at the old mode
        bound = contraction.certified_kappa_bound(kappa_of(table), float(margins(table).min()), beta, eps)
        (sharp if trial % 2 else bounds).add(bound, left)
    yield bounds.dominate(
        "P4", "with log-ratios off by at most eps: kappa_hat - 1 <= exp(eps - gamma/beta) (kappa - 1)",
        note="kappa_hat is the mean of 1/pi_hat at the old mode, which bounds the condition number. eps is a supremum "
        "over all responses: measured on some of them it is a lower end, and the certificate is at most not refuted",
    )  # fmt: skip
    yield sharp.agree(
        "P4, sharp", "with equality where all responses tie and all are off by eps", "identity", 1e-12, note="eps to 5"
    )


def _modes(rng: np.random.Generator) -> Iterator[Check]:
    accuracy, prompts = Cases(), 300
    beta, table, correct = float(rng.uniform(0.3, 2)), random_table(rng, prompts), rng.integers(0, 6, prompts)
    logs = np.log(table)
    for _ in range(40):
        logs = objective.sharpen(logs, beta)
        accuracy.add((logs.argmax(axis=1) != table.argmax(axis=1)).sum(), 0)
    accuracy.add(np.mean(np.exp(logs[np.arange(prompts), correct])), np.mean(table.argmax(axis=1) == correct))
    yield accuracy.agree(
        "P5", "exact rounds move no mode and end at the accuracy of the base model's modes", "identity", 1e-6,
        note=f"modes counted after each of 40 rounds of `sharpen` on {prompts} prompts",
    )  # fmt: skip


def _search(rng: np.random.Generator) -> Iterator[Check]:
    bounds, sharp, missed = Cases(), Cases(), 0
    for _ in range(60):
        vocabulary, depth = int(rng.integers(2, 5)), int(rng.integers(1, 6))
        tree = random_tree(rng, vocabulary, min(depth, 4) if vocabulary > 3 else depth, float(rng.uniform(0.2, 3)))
        (at, expanded), chances = tree.search(), tree.responses()
        missed += chances[at] < chances.max()
        bounds.add(contraction.expansions_bound(len(tree.steps), float(chances.max())), expanded)
    for number in range(1, 5):
        tree: TokenTree = chains(number, int(rng.integers(1, 6)))
        sharp.add(contraction.expansions_bound(len(tree.steps), 1 / number), tree.search()[1])
    sharp.add(missed, 0)
    yield bounds.dominate(
        "P6", "uniform-cost search proves the mode within 1 + (L-1)/pi(y*|x) expansions",
        note="60 token trees of random depth, modes by enumeration",
    )  # fmt: skip
    yield sharp.agree(
        "P6, sharp", "with equality on equally likely chains of one way each; no mode was missed", "identity", 1e-12
    )


checks = in_turn(_definitions, _objective, _population, _with_error, _modes, _search)
