"""Section 4 checked: lemmas on random policies, quadrature, substitution, the recurrence iterated.

Knows: routes that share no code with `theory.contraction` and `theory.guarantees`. Theorem 5.3, corollary 5.7 and
eq. 43 have a constant that nobody knows: there the code is compared with the written formula, and called transcribed.
"""

import itertools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from srlm.theory import conditioning, contraction, guarantees
from srlm.verification._check import Cases, Check, in_turn
from srlm.verification._policies import any_table, margins, random_table


def _lemmas(rng: np.random.Generator) -> Iterator[Check]:
    suboptimal, measure, sharp, comparator = (Cases() for _ in range(4))
    for trial in range(100):
        before = any_table(rng)
        after = random_table(rng, *before.shape, spread=float(rng.uniform(0.2, 4)))
        slack = float(rng.uniform(0.05, 0.95))
        modes = before.argmax(axis=1)
        loss = np.log(before.max(axis=1)).mean() - (after * np.log(before)).sum(axis=1).mean()
        suboptimal.add(
            contraction.failure_from_suboptimality(loss, float(margins(before).min()), slack),
            np.mean(after[np.arange(len(after)), modes] <= 1 - slack + 1e-12),
        )
        ratio, responses = after / before, before.shape[1]
        coefficient = float((after * ratio).sum(axis=1).mean())
        f = rng.random((len(after), responses, responses))
        best = ratio[:, :, None] * np.ones(responses)  # the bound is attained at f = pi/pi_t
        for cases, values in ((measure, f), (sharp, best)):
            left = np.einsum("pa,pb,pab->", after, before, values) / len(after)
            second = float(np.einsum("pa,pb,pab->", before, before, values**2) / len(after))
            cases.add(contraction.change_of_measure_bound(coefficient, second), left)
        if trial < 30:  # two responses; a share of the prompts at the threshold, the others sure
            gap, failing = float(rng.uniform(0.1, 3)), int(rng.integers(1, 5))
            loss = failing / 5 * slack * gap
            sharp.add(contraction.failure_from_suboptimality(loss, gap, slack), failing / 5)
            kappa = conditioning.condition(np.log(before)).policy_condition_number
            comparator.add(kappa, np.mean([1 / row.max() for row in before]))
    yield suboptimal.dominate(
        "lemma C.1", "fail(delta) <= (J(pi*) - J(pi)) / (gamma delta)",
        note="no constants; 100 random pairs of policies. At gamma = 0 it says nothing (1)",
    )  # fmt: skip
    yield measure.dominate("lemma C.2", "E_pi[f] <= sqrt(C_pi) sqrt(E_{pi_t}[f^2])", note="no constants; random f")
    yield sharp.agree(
        "lemma C.1 and lemma C.2, sharp", "with equality for two responses at the threshold, and at f = pi/pi_t",
        "identity",
    )  # fmt: skip
    yield comparator.agree(
        "lemma C.2, comparator", "for the policy that always gives the mode C is kappa_t", "identity", 1e-12
    )


def _given(rng: np.random.Generator) -> dict[str, Any]:
    """Margin, confidence, slack, rho, C and R at random; R is left to its default in half of the cases."""
    margin = float(10 ** rng.uniform(-1, 1))
    reach = {"reward_range": margin * float(rng.uniform(1, 4))} if rng.random() < 0.5 else {}
    return reach | {
        "margin": margin, "min_confidence": float(10 ** rng.uniform(-2, 0)), "rho": float(rng.uniform(0.01, 0.5)),
        "mass_slack": float(rng.uniform(0.1, 0.9)), "constant": float(10 ** rng.uniform(-1, 1)),
    }  # fmt: skip


def _sampling_error(n: float, size: float, given: dict[str, Any]) -> float:
    reach = given.get("reward_range", max(1.0, given["margin"]))
    return given["constant"] * reach * (math.log(n) + size + math.log(1 / given["rho"])) / n**0.5


def _one_round(rng: np.random.Generator) -> Iterator[Check]:
    rates = Cases()
    for trial in range(40):
        given, n, size = _given(rng), float(10 ** rng.uniform(0, 12)), float(10 ** rng.uniform(-1, 3))
        kappa, beta = float(10 ** rng.uniform(0, 6)), float(10 ** rng.uniform(-5, 1))
        if trial == 0:  # where the domains begin
            kappa, n = 1.0, 1.0
        reach = given.get("reward_range", max(1.0, given["margin"]))
        eps = contraction.statistical_error(n, size, given["rho"], given["constant"], reach)
        a = contraction.failure_coefficient(kappa, eps, beta, given["margin"])
        sampled = _sampling_error(n, size, given)
        written = (sampled * kappa**0.5 + beta * math.log(kappa)) / given["margin"]
        rates.add([eps, a], [sampled, written])
        rates.add(contraction.statistical_error(n, size), (math.log(n) + size + math.log(20)) / n**0.5)  # defaults
        rates.add(contraction.one_round_failure_bound(a / 1e9), min(1.0, 2 * a / 1e9))
        suboptimal = given["mass_slack"] * given["margin"] / 3
        rates.add(contraction.failure_from_suboptimality(suboptimal, given["margin"]), given["mass_slack"] * 2 / 3)
        rates.add(contraction.failure_from_suboptimality([2 * given["margin"], 0.1], [given["margin"], 0.0]), 1.0)
        rates.add(contraction.one_round_failure_bound(a, given["mass_slack"]), min(1.0, written / given["mass_slack"]))
    yield rates.agree(
        "eq. 43",
        "transcribed: fail_{t+1}(delta) <= min(1, A_t/delta), A_t = (eps_stat sqrt(kappa) + beta log(kappa))/gamma",
        "transcription", note="C is not known, 1 unless said; a value of 1 is vacuous",
    )  # fmt: skip


def _tail_integral(rng: np.random.Generator) -> Iterator[Check]:
    closed, laws, extremal = Cases(), Cases(), Cases()
    for trial in range(80):
        c = 1.0 if trial == 0 else float(10 ** rng.uniform(-6, -0.01))
        edge = 1 - c  # the closed form ends here
        a = [float(10 ** rng.uniform(-9, 0)), edge, edge * (1 - 1e-6), edge * (1 + 1e-6), 0.0, 3.0][trial % 6]
        closed.add(contraction.tail_integral_bound(a, c), _quadrature(a, c))
    for _ in range(100):
        c = float(rng.uniform(0.02, 0.5))
        modes = np.sort(c + (1 - c) * rng.random(40) ** rng.uniform(0.2, 3))
        share = np.arange(1, len(modes) + 1) / len(modes)
        a = float((share * (1 - modes)).max())
        laws.add(contraction.tail_integral_bound(a, min(c, float(modes.min()))), (1 / modes).mean())
    for _ in range(4):  # the extremal law of p: P(p < 1/s) = min(1, A s/(s-1)) on [c, 1], an atom at c
        c, a, count = float(rng.uniform(0.05, 0.5)), float(rng.uniform(0.01, 0.4)), 50_000
        modes = np.clip(1 - a * count / (np.arange(count) + 0.5), c, None)
        extremal.add(contraction.tail_integral_bound(a, c), (1 / modes).mean())
    yield closed.agree(
        "eq. 52-56", "kappa_{t+1} <= 1 + integral of min{1, A s/(s-1)} over [1, 1/c], closed and saturated",
        "identity", note="Gauss-Legendre quadrature, at both sides of each transition",
    )  # fmt: skip
    yield laws.dominate(
        "lemma C.3", "any law of mode probabilities >= c with fail(delta) <= A/delta has at most that kappa",
        note="read as the step from failure rates to kappa (eq. 52-56); 100 random laws",
    )  # fmt: skip
    yield extremal.agree(
        "lemma C.3, sharp", "with equality at the extremal law", "identity", 1e-4, note="50,000 atoms stand for the law"
    )


def _quadrature(a: float, c: float) -> float:
    """1 + the integral over s = 1 + e^u: A s/(s-1) ds = A (1 + e^u) du where that is below e^u du, nat by nat."""
    if a == 0 or c == 1:
        return 1.0
    top = math.log(1 / c - 1)
    split = min(math.log(a / (1 - a)), top) if a < 1 else top
    nodes, weights = np.polynomial.legendre.leggauss(20)
    edges = np.linspace(split, top, max(2, math.ceil(top - split) + 1))
    half = np.diff(edges)[:, None] / 2
    u = (edges[:-1] + edges[1:])[:, None] / 2 + half * nodes
    return float(1 + math.exp(split) + (half * weights * a * (1 + np.exp(u))).sum())


def _recurrence(rng: np.random.Generator) -> Iterator[Check]:
    steps, fixed, factors, iterated, contracts, dropped = (Cases() for _ in range(6))
    for _ in range(40):
        eps, beta, gamma, c = (
            float(10 ** rng.uniform(low, high)) for low, high in ((-4, 1), (-4, 1), (-1, 1), (-2, 0))
        )
        recur, kappa = contraction.recurrence(eps, beta, gamma, c), float(10 ** rng.uniform(0, 6))
        slope = (eps + beta) / (gamma * c)
        steps.add(recur.step(kappa), 1 + slope * kappa**0.5)
        dropped.add(recur.step(kappa), 1 + (eps * kappa**0.5 + beta * math.log(kappa)) / (gamma * c))
        limit = recur.fixed_point
        fixed.add(limit, 1 + slope * limit**0.5)
        factors.add(recur.contraction_factor, slope / (2 * limit**0.5))
        factors.add(recur.contraction_factor < 0.5, 1)
        at = kappa
        for t in range(1, 6):
            at = 1 + slope * at**0.5
            iterated.add(recur.bound_after(kappa, t), at)
        one, two = (limit * float(10 ** rng.uniform(0, 4)) for _ in range(2))
        contracts.add(recur.contraction_factor * abs(one - two), slope * abs(one**0.5 - two**0.5))
        # At the fixed point itself the bound stays; just above, the excess shrinks by the factor.
        fixed.add(recur.bound_after(limit, 3), limit)
        fixed.add(recur.bound_after(2 * limit, 2), limit + recur.contraction_factor**2 * limit)
    yield steps.agree("eq. 59-66, one round", "transcribed: F(kappa_t) = a + d sqrt(kappa_t)", "transcription")
    yield dropped.dominate(
        "eq. 59-66, logarithm", "F is above a + b sqrt(kappa_t) + h log(kappa_t), as log k <= sqrt k",
        note="F drops the logarithm of eq. 52-56, so for kappa it holds up to a constant only; eq. 52-56 has none",
    )  # fmt: skip
    yield fixed.agree("eq. 59-66, fixed point", "kappa_inf solves F(k) = k, and the bound stays there", "identity")
    yield factors.agree("eq. 59-66, factor", "q = F'(kappa_inf) < 1/2", "identity", note="d/(2 sqrt(kappa_inf))")
    yield iterated.dominate(
        "eq. 59-66", "kappa_t <= kappa_inf + q^t max(0, kappa_0 - kappa_inf)",
        note="against F iterated, from below and above the fixed point",
    )  # fmt: skip
    yield contracts.dominate(
        "lemma C.4", "|F(k) - F(k')| <= q |k - k'| on [kappa_inf, inf)",
        note="read as the contraction of the recurrence (eq. 59-66)",
    )  # fmt: skip


def _many_rounds(rng: np.random.Generator) -> Iterator[Check]:
    terms, decays, counted, stable, caveat = (Cases() for _ in range(5))
    for trial in range(40):
        kappa, n, size = float(10 ** rng.uniform(0, 8)), float(10 ** rng.uniform(2, 12)), float(rng.uniform(1, 300))
        given, rounds = _given(rng), int(rng.integers(1, 9))
        if trial == 0:  # where the domains begin
            kappa, n, rounds, given["min_confidence"] = 1.0, 1.0, 1, 1.0
        c, measured = given["min_confidence"], float(rng.random())
        rate = guarantees.failure_bound(kappa, n, size, rounds=rounds, measured=measured, **given)
        front = _sampling_error(n, size, given) / given["margin"] / given["mass_slack"]
        forgets = 1 + (n * c) ** 0.5
        expected = [front / c**0.5, front * kappa**0.5 / forgets ** ((rounds - 1) / 2)]
        terms.add([rate.stable_term, rate.transient_term, rate.value], [*expected, math.fsum(expected)])
        terms.add([rate.tightness or 0.0, rate.vacuous], [math.fsum(expected) / measured, math.fsum(expected) >= 1])
        plain = {"margin": 1.0, "min_confidence": 0.5, "mass_slack": 0.5, "rho": 0.05, "constant": 1.0}
        front = _sampling_error(n, size, plain) / 0.5  # everything left to its default
        plain_rate = guarantees.failure_bound(kappa, n, size)
        terms.add([plain_rate.value, plain_rate.reward_range], [front * (2**0.5 + kappa**0.5), 1])
        after = guarantees.failure_bound(kappa, n, size, rounds=rounds + 1, **given)
        decays.add(after.transient_term / rate.transient_term, forgets**-0.5)
        first = guarantees.rounds_to_suppress(kappa, n, c)
        counted.add(first, next(t for t in itertools.count(1) if (c * kappa) ** 0.5 <= forgets ** ((t - 1) / 2)))
        given_constant = given.pop("constant")
        last = guarantees.stable_failure_bound(n, size, **given)
        stable.add(last.value, 2 * expected[0] / given_constant)
        last = guarantees.stable_failure_bound(n, size, constant=given_constant, **given)
        stable.add([last.value, last.vacuous], [2 * expected[0], 2 * expected[0] >= 1])
        given["constant"] = given_constant
        at_first = guarantees.failure_bound(kappa, n, size, rounds=first, **given).value
        caveat.add(last.value, at_first)
        whole = conditioning.condition(np.log(any_table(rng)))
        start = {"margin": 1.0, "min_confidence": whole.min_confidence, "rounds": rounds}
        both = guarantees.failure_bound(whole.policy_condition_number, n, size, **start)
        caveat.add(both.stable_term, both.transient_term)
    yield terms.agree(
        "eq. 7", "transcribed: theorem 5.3's stable and transient term, their sum and tightness", "transcription",
        note="C is not known, 1 unless said; times the range of the rewards, at least 1 nat and the margin",
    )  # fmt: skip
    yield decays.agree(
        "theorem 5.3", "transcribed: the start is forgotten by (1 + sqrt(n c))^(-1/2) a round", "transcription"
    )
    yield counted.agree(
        "corollary 5.7", "the fewest rounds after which the transient is at most the stable term", "identity", 0.0,
        note="rounds counted up one by one",
    )  # fmt: skip
    yield stable.agree(
        "eq. 8", "transcribed: from then on at most 2C R log(n|Pi|/rho)/(gamma delta sqrt(n c))", "transcription",
        note="eq. 8 is read as corollary 5.7's bound",
    )  # fmt: skip
    yield caveat.dominate(
        "section 4, caveat",
        "which the bound is at that round; with c over all rounds the transient never exceeds the stable term",
        note="kappa_0 <= 1/c then; use c over rounds t >= 1 where the start is to be seen",
    )


def _any_beta(rng: np.random.Generator) -> Iterator[Check]:
    rates, limits, order = Cases(), Cases(), Cases()
    for trial in range(40):
        kappa, n, size = float(10 ** rng.uniform(0, 6)), float(10 ** rng.uniform(2, 14)), float(rng.uniform(1, 300))
        given, rounds, beta = _given(rng), int(rng.integers(1, 6)), float(10 ** rng.uniform(-3, 1))
        if trial < 2:  # everything left to its default
            given, rounds = {}, 1 + 2 * trial
        if trial == 2:
            kappa, given["min_confidence"] = 1.0, 1.0
        options = given | {"rounds": rounds} if trial else {}
        given = {"margin": 1.0, "min_confidence": 0.5, "mass_slack": 0.5, "rho": 0.05, "constant": 1.0} | given
        gamma, c, slack = (given[name] for name in ("margin", "min_confidence", "mass_slack"))
        rate = guarantees.failure_bound_at_beta(kappa, n, size, beta, **options)
        eps, at = _sampling_error(n, size, given), kappa
        for _ in range(rounds - 1):
            at = min(1 / c, 1 + eps / (gamma * c) * at**0.5 + beta / (gamma * c) * math.log(at))
        expected = [eps * at**0.5 / gamma / slack, beta * math.log(at) / gamma / slack]
        rates.add([rate.sampling_term, rate.beta_term, rate.value], [*expected, math.fsum(expected)])
        rates.add(rate.vacuous, math.fsum(expected) >= 1)
        far = guarantees.failure_bound_at_beta(kappa, 1e200, size, beta, rounds=rounds, **given)
        limits.add([rate.without_sampling + 1, rate.pairs_help], [far.value + 1, far.value < 1])
        scale = float(10 ** rng.uniform(-1, 1))
        order.add([guarantees.beta_of_order(n, scale), guarantees.beta_of_order(n)], [scale / n**0.5, n**-0.5])
    yield rates.agree(
        "eq. 43, at any beta", "transcribed: along the recurrence, beta log(kappa)/gamma kept", "transcription"
    )
    yield limits.agree(
        "Care 5",
        "what no number of pairs takes away is the value as n grows, and pairs help exactly where it is below 1",
        "identity", note="against n = 1e200",
    )  # fmt: skip
    yield order.agree("theorem 5.3, order of beta", "transcribed: n^(-1/2) times a scale", "transcription")


checks = in_turn(_lemmas, _one_round, _tail_integral, _recurrence, _many_rounds, _any_beta)
