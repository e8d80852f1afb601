"""P9 and P11 checked: failure after search, and certificates of a majority.

Knows: routes that share no code with `theory.search_bounds` and `theory.certificates`: tails summed term by term,
integrals by quadrature, and every sequence of a few draws. Refuses to know: where draws come from.
"""

import itertools
import math
from collections.abc import Iterator

import numpy as np

from srlm.theory import certificates, search_bounds
from srlm.verification._check import Cases, Check, in_turn

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(40)


def _search(rng: np.random.Generator) -> Iterator[Check]:
    errors, formulas, worst = (Cases() for _ in range(3))
    for _ in range(30):
        weights, n = rng.dirichlet(np.ones(3)), 4
        losses = np.where(rng.random((4, 3)) < 0.4, rng.uniform(0.7, 3, (4, 3)), 0.01)
        rho, eta, slack = float(rng.uniform(0.2, 0.9)), float(rng.uniform(0.2, 3)), float(rng.uniform(0.2, 0.6))
        seen = np.array(list(itertools.product(range(3), repeat=n)))
        failing = (losses >= -math.log1p(-slack)) @ weights
        reached = losses[:, seen].sum(axis=2)
        bound = search_bounds.search_failure_bound(math.log(4), n, loss=reached, mass_slack=slack, rho=rho, eta=eta)
        broken = (failing[:, None] > np.asarray(bound)).any(axis=0)
        errors.add(rho, float(weights[seen].prod(axis=1)[broken].sum()))
    yield errors.dominate(
        "P9 (a)", "no policy of the class fails more often than its bound, with probability 1 - rho",
        note="30 random classes; all samples of 4 prompts enumerated",
    )  # fmt: skip
    for trial in range(20):
        size, n, loss = float(rng.uniform(0, 50)), int(rng.integers(2, 10_000)), float(rng.exponential(5))
        if trial == 0:  # the smallest class, the smallest sample
            size, n = 0.0, 1
        slack, rho, k = float(rng.uniform(0.1, 0.9)), float(10 ** rng.uniform(-6, -0.1)), float(rng.uniform(0.1, 3))
        eta, target = float(rng.uniform(0.1, 4)), slack * float(rng.random())
        found = [
            search_bounds.search_failure_bound(size, n, mass_slack=slack, rho=rho),
            search_bounds.search_failure_bound(size, n, loss=loss, rho=rho, eta=eta, threshold=k),
            search_bounds.linear_softmax_search_bound(3.0, 5.0, n, loss=loss, mass_slack=slack, rho=rho),
            search_bounds.sampled_target_failure_bound(size, n, target_slack=target, mass_slack=slack, rho=rho),
            search_bounds.search_failure_bound(size, n, loss=loss),
            search_bounds.linear_softmax_search_bound(3.0, 5.0, n, loss=loss),
            search_bounds.sampled_target_failure_bound(size, n, target_slack=0.1),
        ]
        whole, ball = size - math.log(rho), 3 * math.log(1 + 20 * n) - math.log(rho)
        hidden = 1 - math.sqrt((1 - slack) * (1 - target)) - math.sqrt(slack * target)
        written = [
            whole / n,
            (whole + eta * loss) / (n * (1 - math.exp(-eta * k))),
            (ball + loss + 2) / (n * slack),
            whole / (n * hidden),
            (size + math.log(20) + loss) / (n * 0.5),
            (3 * math.log(1 + 20 * n) + math.log(20) + loss + 2) / (n * 0.5),
            (size + math.log(20)) / (n * (1 - math.sqrt(0.45) - math.sqrt(0.05))),
        ]
        formulas.add(found, written)
    yield formulas.agree("P9, formulas", "(a), (b), (c) as written", "transcription", 1e-6)
    worst.add(1 + search_bounds.worst_search_failure(1.0, 10), 1.0)  # nothing to hide
    for trial in range(12):
        kappa, n, d = 1 + float(10 ** rng.uniform(-4, 2)), int(10 ** rng.uniform(0, 4)), int(rng.integers(1, 6))
        kappa = 2.0 if trial == 0 else kappa
        p, g = min(1.0, d / (n + 1)) * np.geomspace(1e-4, 1, 20_001), float(10 ** rng.uniform(-1, 1))
        grid = p * (1 - p / d) ** n * (1 - p / ((1 + g) * (kappa - 1 + p)))
        worst.add(search_bounds.worst_search_failure(kappa, n, d, g), grid.max())
    worst.add(search_bounds.worst_search_failure(50, 1000) / search_bounds.worst_search_failure(50, 1000, 1, 1.0), 1)
    yield worst.agree(
        "P9, hard instance", "the adversary's best p against a learner that searches", "identity", 1e-6,
        note="20,000 p tried; M = (1+g)(kappa - 1 + p)/p",
    )  # fmt: skip


def _held_out(rng: np.random.Generator) -> Iterator[Check]:
    tails, nearest = Cases(), Cases()
    for trial in range(60):
        n, rho = int(rng.integers(1, 80)), float(rng.uniform(0.01, 0.5))
        f = int(rng.integers(n))
        bound = float(search_bounds.held_out_failure_bound(f, n, rho))
        tails.add(math.fsum(math.comb(n, i) * bound**i * (1 - bound) ** (n - i) for i in range(f + 1)), rho)
        slack = float(rng.uniform(0.1, 0.9))
        target = slack * float(rng.uniform(0, 0.99))
        if trial == 0:
            tails.add(search_bounds.held_out_failure_bound(n, n), 1.0)
        p, q = 1 - slack, 1 - target  # attained where both put the rest on one response
        if trial:
            p, q = p * float(rng.random()), q + target * float(rng.random())
        share = 1.0 if not trial else float(rng.random())
        ps, qs = np.array([p, (1 - p) * share, (1 - p) * (1 - share)]), np.array([q, 1 - q, 0.0])
        nearest.add(((np.sqrt(ps) - np.sqrt(qs)) ** 2).sum(), search_bounds.hellinger_gap(slack, target))
    yield tails.agree("P9 (d)", "P(Bin(n, bound) <= f) = rho (Clopper-Pearson)", "identity")
    yield nearest.dominate("P9 (b)", "no failing policy is nearer than h2", attained=1 + 1e-9)


def _mixture(c: int, n: int, p: float, low: float = 0.0) -> float:
    """Integral over q in [low, 1] of the likelihood ratio of q to p, for c of n."""
    q = low + (1 - low) * (_NODES + 1) / 2
    return float((1 - low) / 2 * _WEIGHTS @ ((q / p) ** c * ((1 - q) / (1 - p)) ** (n - c)))


def _numbers(rng: np.random.Generator) -> Iterator[Check]:
    evidence, ends, times = (Cases() for _ in range(3))
    for _ in range(60):
        draws = rng.choice(4, size=int(10 ** rng.uniform(0, 1.6)), p=[0.5, 0.3, 0.1, 0.1]).tolist()
        named = [2] if rng.random() < 0.3 else []
        order = [*named, *dict.fromkeys(one for one in draws if one not in named)]
        after = {a: draws if a in named else draws[draws.index(a) + 1 :] for a in order}
        leader = max(order, key=draws.count)
        u, v = after[leader].count(leader), max(after[leader].count(b) for b in [*order, -1] if b != leader)
        j = order.index(leader) + 1
        mixed = 2 * _mixture(u, u + v, 0.5, low=0.5) / (j * (j + 1))
        evidence.add(math.exp(certificates.majority_evidence(draws, named)), mixed)
        alpha = float(10 ** rng.uniform(-4, -0.3))
        low, high = certificates.majority_bracket(draws, alpha, named)
        if high < 1:
            ends.add(_mixture(draws.count(leader), len(draws), high), 2 / alpha)
        # At the lower end the answer that sets it has just its level, and no other has more.
        excesses = [
            _mixture(after[a].count(a), len(after[a]), low) * alpha / (2 * i * (i + 1))
            for i, a in enumerate(order, start=1)
            if after[a].count(a) and low < after[a].count(a) / len(after[a])
        ]
        if low > 0:
            ends.add(max(excesses), 1.0)
        p1 = float(rng.uniform(0.3, 0.5))
        p2 = p1 * (1 - float(10 ** rng.uniform(-5, 0)))
        n = certificates.draws_needed(p1, p2, alpha, number=j)
        share = p1 / (p1 + p2)
        lean = (p1 - p2) / (p1 + p2)
        kl = share * math.log1p(lean) + (1 - share) * math.log1p(-lean)
        times.add(n * (p1 + p2) * kl, math.log(j * (j + 1) / alpha) + 0.5 * math.log(n))
    evidence.add(1 + math.exp(certificates.majority_evidence([])), 1)
    evidence.add(np.add(1, certificates.majority_bracket([], 0.1)), [1, 2])
    yield evidence.agree("P11 (i)", "E is a mixture of likelihood ratios over q > 1/2", "identity")
    yield ends.agree("P11 (ii)", "the mixture has its level at both ends", "identity", 1e-7)
    n = certificates.draws_needed(0.75, 0.25)
    times.add(n * (1.5 * math.log(3) / 2 - math.log(2)), math.log(2 * 20) + 0.5 * math.log(n))
    yield times.agree("P11 (iii)", "draws needed solve their equation", "identity", 1e-5)


def _errors(rng: np.random.Generator) -> Iterator[Check]:
    wrong, missed, length = Cases(), Cases(), 8
    nodes = [seq for n in range(1, length + 1) for seq in itertools.product((0, 1), repeat=n)]
    for named in ((), (1,)):
        alpha, p = float(rng.uniform(0.3, 0.6)), float(rng.uniform(0.5, 0.6))
        found = dict(zip(nodes, certificates.majorities(nodes, alpha, [named] * len(nodes)), strict=True))
        bad = {seq: one.log_evidence >= -math.log(alpha) and one.leader == 1 for seq, one in found.items()}
        out = {seq: not one.lower <= p <= one.upper for seq, one in found.items()}
        for events, cases in ((bad, wrong), (out, missed)):
            ever = [seq for seq in nodes if len(seq) == length and any(events[seq[:n]] for n in range(1, length + 1))]
            cases.add(alpha, math.fsum(p ** seq.count(0) * (1 - p) ** seq.count(1) for seq in ever))
    yield wrong.dominate(
        "P11 (i), errors", "ever certifying an answer that is no mode has chance alpha at most",
        note="every sequence of 8 draws of two answers, looked at after each draw",
    )  # fmt: skip
    yield missed.dominate("P11 (ii), errors", "and so has ever missing p_max")


def _several(rng: np.random.Generator) -> Iterator[Check]:
    means, listed = Cases(), Cases()
    groups = [rng.choice(3, size=30, p=[0.7, 0.2, 0.1]).tolist() for _ in range(12)]
    alpha, slack = float(rng.uniform(0.05, 0.5)), float(rng.uniform(0.3, 0.6))
    each = [certificates.majority_bracket(one, alpha / 12) for one in groups]
    found = certificates.simultaneous_bracket(groups, alpha, slack)
    expected = [math.fsum(1 / one[at] for one in each) / 12 for at in (1, 0)]
    expected += [1 + sum(one[at] <= 1 - slack for one in each) / 12 for at in (1, 0)]
    means.add([*found.kappa, *(1 + one for one in found.failure_rate)], expected)
    alone = certificates.simultaneous_bracket(groups[:1], alpha)
    means.add(alone.kappa.upper, 1 / certificates.majority_bracket(groups[0], alpha)[0])
    yield means.agree("P11 (iv)", "means and shares of ends at alpha/P each", "identity")
    for _ in range(40):
        evidence = rng.uniform(-1, 4, size=9)
        largest = max(r for r in range(10) if r == 0 or sum(np.exp(evidence) >= 9 / (alpha * r)) >= r)
        found = float(np.exp(evidence) @ certificates.certified_prompts(evidence, alpha))
        listed.add(1 + found, 1 + math.fsum(sorted(np.exp(evidence))[9 - largest :]))
    yield listed.agree("P11 (iv), e-BH", "the R largest with E/D >= P/(alpha R)", "identity")


checks = in_turn(_search, _held_out, _numbers, _errors, _several)
