"""Sections 1, 2 and 4 checked: exact sharpening on random policies, quadrature, root finding, iterated recurrences.

Knows: routes that share no code with `theory.contraction`, `theory.guarantees` and `theory.objective`.
"""

import itertools
import math
from collections.abc import Iterator
from typing import Any

import mpmath
import numpy as np

from srlm.theory import contraction, guarantees, objective
from srlm.theory.conditioning import condition
from srlm.verification._check import Check, agrees, dominates
from srlm.verification._policies import TokenTree, kappa_of, margins, random_table, random_tree, tied_table


def checks(rng: np.random.Generator) -> Iterator[Check]:
    """Every check of sections 1, 2 and 4."""
    yield from _objective(rng)
    yield from _sharpening(rng)
    yield from _search(rng)
    yield from _lemmas(rng)
    yield from _one_round(rng)
    yield from _recurrence(rng)
    yield from _many_rounds(rng)


def _objective(rng: np.random.Generator) -> Iterator[Check]:
    logps, reference, beta = -5 * rng.random(6), -5 * rng.random(6), 0.7
    written = [
        beta * ((logps[i] - reference[i]) - (logps[j] - reference[j])) - (reference[i] - reference[j])
        for i, j in itertools.combinations(range(6), 2)
    ]
    free = [
        objective.self_reward_residual(logps[i], reference[i], beta)
        - objective.self_reward_residual(logps[j], reference[j], beta)
        for i, j in itertools.combinations(range(6), 2)
    ]
    yield agrees(
        "P1",
        "recorded log-probabilities are the reward and the reference",
        free,
        written,
        kind="identity",
        tolerance=1e-12,
    )
    yield agrees(
        "P2",
        "all pairs of a group cost one sum over its responses",
        objective.group_loss(logps, reference, beta),
        sum(value**2 for value in written),
        kind="identity",
        tolerance=1e-12,
        note="eq. 3 written out pair by pair",
    )


def _sharpening(rng: np.random.Generator) -> Iterator[Check]:
    sharp, powers, bounds, kappas, hats, hat_bounds, moved = [], [], [], [], [], [], 0
    for trial in range(200):
        table = tied_table(rng) if trial % 4 == 0 else random_table(rng)
        beta, gap = float(rng.uniform(0.2, 4)), float(margins(table).min())
        power = table ** (1 + 1 / beta)
        direct = power / power.sum(axis=1, keepdims=True)
        found = np.exp(objective.sharpen(np.log(table), beta))
        sharp += list(found.ravel())
        powers += list(direct.ravel())
        kappas.append(kappa_of(direct) - 1)
        bounds.append(contraction.population_kappa_bound(kappa_of(table), gap, beta) - 1)
        # P4: log-ratios to the mode off by at most eps; all of them by +eps in the sharp case.
        eps = 0.3
        shift = np.full_like(table, eps) if trial % 4 == 0 else rng.uniform(-eps, eps, table.shape)
        shift[np.arange(len(table)), table.argmax(axis=1)] = 0.0
        perturbed = direct * np.exp(shift)
        modes = perturbed[np.arange(len(table)), table.argmax(axis=1)] / perturbed.sum(axis=1)
        hats.append(float(np.mean(1 / modes)) - 1)
        hat_bounds.append(contraction.certified_kappa_bound(kappa_of(table), gap, beta, eps) - 1)
        moved += int((direct.argmax(axis=1) != table.argmax(axis=1)).sum())
    yield agrees("eq. 12-14", "the population optimum is pi_t to the power 1 + 1/beta", sharp, powers, kind="identity")
    yield dominates(
        "P3",
        "exact rounds contract: kappa_{t+1} - 1 <= exp(-gamma/beta) (kappa_t - 1)",
        bounds,
        kappas,
        kind="inequality",
        attained=1 + 1e-9,
        note="kappa - 1 compared on 200 random policies; sharp where all responses but the mode tie",
    )
    table = random_table(rng)
    yield agrees(
        "P3, margin",
        "the margin grows by 1 + 1/beta",
        contraction.population_margin(condition(np.log(table)).margin, 0.8),
        margins(table**2.25 / (table**2.25).sum(axis=1, keepdims=True)).min(),
        kind="identity",
    )
    path = [table := tied_table(rng)]
    for _ in range(3):
        power = path[-1] ** 2
        path.append(power / power.sum(axis=1, keepdims=True))
    yield agrees(
        "P3, iterated",
        "bounds over rounds, the margin growing along",
        contraction.population_kappa_bounds(kappa_of(table), float(margins(table).min()), 1.0, 3),
        [kappa_of(one) for one in path],
        kind="identity",
        note="on a policy where P3 is sharp in every round",
    )
    yield agrees(
        "P3, no margin",
        "at margin 0 nothing contracts",
        contraction.population_kappa_bound(4.0, 0.0, 0.5),
        kappa_of(np.full((1, 4), 0.25)),
        kind="identity",
        note="the theory is silent on ties: which of two tied modes wins is decided by noise",
    )
    yield dominates(
        "P4",
        "with log-ratios off by at most eps: kappa_hat - 1 <= exp(eps - gamma/beta) (kappa - 1)",
        hat_bounds,
        hats,
        kind="inequality",
        attained=1 + 1e-9,
        note="kappa_hat here is the mean of 1/pi_hat(y*) at the old mode, which bounds the condition number",
    )
    correct = rng.integers(0, 6, 400)
    base = random_table(rng, 400)
    limit = np.log(base)
    for _ in range(30):
        limit = objective.sharpen(limit, 0.5)
    yield agrees(
        "P5",
        "exact rounds end at the accuracy of the base model's modes",
        np.mean(np.exp(limit[np.arange(400), correct])) + moved,
        np.mean(base.argmax(axis=1) == correct),
        kind="identity",
        note=f"30 rounds on 400 prompts; {moved} modes moved in 200 other policies",
    )


def _search(rng: np.random.Generator) -> Iterator[Check]:
    trees = [random_tree(rng, spread=float(rng.uniform(0.2, 3))) for _ in range(60)]
    sure = np.zeros((1, 3))
    sure[0, 1] = 1.0
    trees.append(TokenTree(tuple(np.tile(sure, (3**d, 1)) for d in range(4))))
    found = [tree.search() for tree in trees]
    chances = [tree.responses() for tree in trees]
    proved = all(mode[at] == mode.max() for mode, (at, _) in zip(chances, found, strict=True))
    yield dominates(
        "P6",
        "uniform-cost search proves the mode within L/pi(y*|x) expansions" + ("" if proved else " (A MODE WAS MISSED)"),
        [contraction.expansions_bound(4, float(mode.max())) if proved else 0.0 for mode in chances],
        [expanded for _, expanded in found],
        kind="inequality",
        attained=1 + 1e-9,
        note="61 token trees of depth 4, modes by enumeration; sharp on a deterministic one",
    )


def _lemmas(rng: np.random.Generator) -> Iterator[Check]:
    bounds, fails, lefts, rights = [], [], [], []
    for trial in range(200):
        before, after = random_table(rng), random_table(rng)
        slack, gap = float(rng.uniform(0.05, 0.95)), float(margins(before).min())
        if trial == 0:  # sharp: two responses, half of the prompts at the threshold, the others sure
            before = np.tile([0.7, 0.3], (4, 1))
            after = np.array([[1 - slack, slack]] * 2 + [[1.0, 0.0]] * 2)
            gap = math.log(0.7 / 0.3)
        modes = before.argmax(axis=1)
        loss = np.log(before.max(axis=1)).mean() - (after * np.log(before)).sum(axis=1).mean()
        bounds.append(contraction.failure_from_suboptimality(loss, gap, slack))
        fails.append(float(np.mean(after[np.arange(len(after)), modes] <= 1 - slack + 1e-12)))
        ratio = after / before
        coefficient = float((after * ratio).sum(axis=1).mean())
        f = (
            ratio[:, :, None] * np.ones(after.shape[1])
            if trial == 0
            else rng.random((len(after), *(after.shape[1],) * 2))
        )
        lefts.append(float(np.einsum("pa,pb,pab->", after, before, f) / len(after)))
        second = float(np.einsum("pa,pb,pab->", before, before, f**2) / len(after))
        rights.append(contraction.change_of_measure_bound(coefficient, second))
    yield dominates(
        "lemma C.1",
        "fail(delta) <= (J(pi*) - J(pi)) / (gamma delta)",
        bounds,
        fails,
        kind="inequality",
        attained=1 + 1e-9,
        note="no constants; 200 random pairs of policies, sharp with two responses. At gamma = 0 it says nothing (1)",
    )
    yield dominates(
        "lemma C.2",
        "E_pi[f] <= sqrt(C_pi) sqrt(E_{pi_t}[f^2])",
        rights,
        lefts,
        kind="inequality",
        attained=1 + 1e-9,
        note="no constants; sharp at f = pi/pi_t",
    )
    table = random_table(rng)
    sure = np.eye(table.shape[1])[table.argmax(axis=1)]
    yield agrees(
        "lemma C.2, comparator",
        "for the policy that always gives the mode C is kappa_t",
        condition(np.log(table)).policy_condition_number,
        float((sure * sure / table).sum(axis=1).mean()),
        kind="identity",
    )


def _one_round(rng: np.random.Generator) -> Iterator[Check]:
    found, expected = [], []
    given = (  # n, log|Pi|, kappa, beta, gamma, delta, rho, C
        (1e6, 3.0, 20.0, 1e-3, 1.0, 0.5, 0.05, 1.0),
        (1e8, 40.0, 1.0, 0.0, 0.2, 0.9, 0.01, 2.0),
        (1e12, 900.0, 1e4, 1e-6, 3.0, 0.1, 0.5, 0.5),
        (10.0, 2.0, 5.0, 1.0, 1.0, 0.5, 0.1, 1.0),
    )
    for n, size, kappa, beta, gamma, slack, rho, constant in given:
        eps = contraction.statistical_error(n, size, rho, constant)
        found.append(
            contraction.one_round_failure_bound(contraction.failure_coefficient(kappa, eps, beta, gamma), slack)
        )
        with mpmath.workdps(40):
            sampled = constant * mpmath.log(mpmath.mpf(n) * mpmath.exp(size) / rho) / mpmath.sqrt(n)
            value = (sampled * mpmath.sqrt(kappa) + beta * mpmath.log(kappa)) / (mpmath.mpf(gamma) * slack)
            expected.append(float(min(mpmath.mpf(1), value)))
    yield agrees(
        "eq. 43",
        "fail_{t+1}(delta) <= min(1, A_t/delta)",
        found,
        expected,
        kind="transcription",
        note="C is universal and unknown, 1 unless said; a value of 1 is vacuous",
    )
    cases = [(a, c) for c in (1e-6, 0.01, 0.05, 0.2, 0.5, 0.9, 1.0) for a in _coefficients(c)]
    yield agrees(
        "eq. 52-56",
        "kappa_{t+1} <= 1 + integral of min{1, A s/(s-1)} over [1, 1/c], closed and saturated",
        [contraction.tail_integral_bound(a, c) for a, c in cases],
        [_tail_integral(a, c) for a, c in cases],
        kind="identity",
        tolerance=1e-8,
        note="adaptive quadrature, at both sides of each transition",
    )
    bounds, kappas = [], []
    for trial in range(200):
        c = float(rng.uniform(0.02, 0.5))
        modes = np.sort(c + (1 - c) * rng.random(40) ** rng.uniform(0.2, 3))
        if trial == 0:  # the extremal law of p: P(p < 1/s) = min(1, A s/(s-1)) on [c, 1], an atom at c
            c, a, count = 0.1, 0.05, 200_000
            levels = (np.arange(count) + 1) / count
            modes = np.clip(1 - a / levels, c, None)
        share = np.arange(1, len(modes) + 1) / len(modes)
        a = float((share * (1 - np.sort(modes))).max())
        bounds.append(contraction.tail_integral_bound(a, min(c, float(modes.min()))))
        kappas.append(float((1 / modes).mean()))
    yield dominates(
        "lemma C.3",
        "any law of mode probabilities >= c with fail(delta) <= A/delta has at most that kappa",
        bounds,
        kappas,
        kind="inequality",
        attained=1 + 1e-4,
        note="read as the step from failure rates to kappa (eq. 52-56). "
        "Sharp on the extremal law, here with 200,000 atoms",
    )


def _coefficients(c: float) -> list[float]:
    edge = 1 - c
    near = [edge * (1 - 1e-6), edge, edge * (1 + 1e-6)] if edge > 0 else []
    return [0.0, 1e-9, 1e-3, 0.1, 0.5, 0.95, 1.0, 3.0, *near]


def _tail_integral(a: float, c: float) -> float:
    if a == 0 or c == 1:
        return 1.0
    with mpmath.workdps(30):
        top = 1 / mpmath.mpf(c)
        split = 1 / (1 - mpmath.mpf(a)) if a < 1 else top
        points = [mpmath.mpf(1), min(split, top)]
        while points[-1] < top:  # decades, so that the quadrature sees the steep beginning
            points.append(min(top, 1 + (points[-1] - 1) * 10))
        whole: Any = mpmath.quad(lambda s: min(mpmath.mpf(1), a * s / (s - 1)) if s > 1 else mpmath.mpf(1), points)
        return float(1 + whole)


def _recurrence(rng: np.random.Generator) -> Iterator[Check]:
    steps, written, roots, fixed, slopes, factors, bounds, reached, gaps, shrunk = ([] for _ in range(10))
    excess = 0.0
    for _ in range(40):
        eps, beta, gamma, c = (
            float(10 ** rng.uniform(low, high)) for low, high in ((-4, 1), (-4, 1), (-1, 1), (-2, 0))
        )
        found = contraction.recurrence(eps, beta, gamma, c)
        kappa = float(10 ** rng.uniform(0, 6))
        steps.append(found.step(kappa))
        written.append(1 + (eps + beta) / (gamma * c) * float(mpmath.sqrt(kappa)))
        loose = 1 + (eps * math.sqrt(kappa) + beta * math.log(kappa)) / (gamma * c)
        excess = max(excess, loose / found.step(kappa))
        slope = (eps + beta) / (gamma * c)
        with mpmath.workdps(40):
            root = mpmath.findroot(lambda k, d=slope: 1 + d * mpmath.sqrt(k) - k, (1 + slope) ** 2)
            roots.append(float(root))
            slopes.append(float(mpmath.diff(lambda k, d=slope: 1 + d * mpmath.sqrt(k), root)))
        fixed.append(found.fixed_point)
        factors.append(found.contraction_factor)
        at, limit = kappa, roots[-1]
        for t in range(1, 6):
            at = 1 + slope * math.sqrt(at)
            bounds.append(found.bound_after(kappa, t))
            reached.append(at)
        one, two = (limit * float(10 ** rng.uniform(0, 4)) for _ in range(2))
        gaps.append(slopes[-1] * abs(one - two))
        shrunk.append(abs(slope * (math.sqrt(one) - math.sqrt(two))))
    yield agrees(
        "eq. 59-66, one round",
        "kappa_{t+1} <= F(kappa_t) = a + d sqrt(kappa_t)",
        [*steps, max(1.0, excess)],
        [*written, 1.0],
        kind="transcription",
        note="log k <= sqrt k was checked along. F drops the logarithm of eq. 56, so it holds up to a constant only; "
        "eq. 52-56 is the bound without one",
    )
    yield agrees(
        "eq. 59-66, fixed point", "kappa_inf = ((d + sqrt(d^2+4a))/2)^2 solves F(k) = k", fixed, roots, kind="identity"
    )
    yield agrees(
        "eq. 59-66, factor", "q = F'(kappa_inf) < 1/2", factors, slopes, kind="identity", note="numerical derivative"
    )
    yield dominates(
        "eq. 59-66",
        "kappa_t <= kappa_inf + q^t max(0, kappa_0 - kappa_inf)",
        bounds,
        reached,
        kind="inequality",
        note="against F iterated, from below and above the fixed point",
    )
    yield dominates(
        "lemma C.4",
        "|F(k) - F(k')| <= q |k - k'| on [kappa_inf, inf)",
        gaps,
        shrunk,
        kind="inequality",
        note="read as the contraction of the recurrence (eq. 59-66)",
    )


def _many_rounds(rng: np.random.Generator) -> Iterator[Check]:
    found, expected, decays, rates, first, scanned, at_first, doubled, twice = ([] for _ in range(9))
    for _ in range(40):
        kappa, n, size = float(10 ** rng.uniform(0, 8)), float(10 ** rng.uniform(2, 12)), float(rng.uniform(1, 300))
        given = {"margin": float(rng.uniform(0.1, 3)), "min_confidence": float(rng.uniform(0.01, 1)),
                 "mass_slack": float(rng.uniform(0.1, 0.9)), "rho": float(rng.uniform(0.01, 0.5))}  # fmt: skip
        constant, rounds = float(rng.uniform(0.5, 2)), int(rng.integers(1, 9))
        c = given["min_confidence"]
        bound = guarantees.failure_bound(kappa, n, size, rounds=rounds, constant=constant, **given)
        found.append(bound.value)
        with mpmath.workdps(40):
            front = constant * max(1.0, given["margin"]) * mpmath.log(n * mpmath.exp(size) / given["rho"])
            front /= mpmath.mpf(given["margin"]) * given["mass_slack"] * mpmath.sqrt(n)
            stable, shrink = front / mpmath.sqrt(c), 1 + mpmath.sqrt(mpmath.mpf(n) * c)
            expected.append(float(stable + front * mpmath.sqrt(kappa) / shrink ** (mpmath.mpf(rounds - 1) / 2)))
            scanned.append(
                next(t for t in range(1, 300) if mpmath.sqrt(c * kappa) <= shrink ** (mpmath.mpf(t - 1) / 2))
            )
        after = guarantees.failure_bound(kappa, n, size, rounds=rounds + 1, constant=constant, **given)
        decays.append(after.transient_term / bound.transient_term)
        rates.append(1 / math.sqrt(float(shrink)))
        first.append(guarantees.rounds_to_suppress(kappa, n, c))
        at_first.append(guarantees.failure_bound(kappa, n, size, rounds=first[-1], constant=constant, **given).value)
        doubled.append(guarantees.stable_failure_bound(n, size, constant=constant, **given).value)
        twice.append(float(2 * stable))
    yield agrees("eq. 7", "theorem 5.3's bound, stable and transient term", found, expected, kind="transcription",
                 note="C is universal and unknown, 1 unless said")  # fmt: skip
    yield agrees(
        "theorem 5.3",
        "the start is forgotten by a factor (1 + sqrt(n c))^(-1/2) a round",
        decays,
        rates,
        kind="transcription",
    )
    yield agrees(
        "corollary 5.7",
        "the fewest rounds after which the transient is at most the stable term",
        first,
        scanned,
        kind="identity",
        tolerance=0.0,
        note="rounds counted up one by one with 40 digits",
    )
    yield agrees(
        "eq. 8",
        "from then on the bound is at most 2C log(n|Pi|/rho)/(gamma delta sqrt(n c))",
        [*doubled, *(max(one, two) for one, two in zip(at_first, doubled, strict=True))],
        [*twice, *doubled],
        kind="transcription",
        note="eq. 8 is read as corollary 5.7's bound",
    )
    table = random_table(rng)
    whole = condition(np.log(table))
    bound = guarantees.failure_bound(
        whole.policy_condition_number, 100, 5.0, min_confidence=whole.min_confidence, rounds=3
    )
    yield dominates(
        "section 4, caveat",
        "with c over all rounds, round 0 included, the transient never exceeds the stable term",
        bound.stable_term,
        bound.transient_term,
        kind="inequality",
        note="kappa_0 <= 1/c then; use c over rounds t >= 1 where the start is to be seen",
    )
