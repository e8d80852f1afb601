"""Section 3 checked: theorem 4.1 by root finding and arbitrary precision, the hard instance by enumeration.

Knows: routes that share no code with `theory.lower_bound`.
"""

import itertools
import math
from collections.abc import Iterator
from dataclasses import replace

import mpmath
import numpy as np

from srlm.theory import lower_bound as theory
from srlm.theory.conditioning import condition
from srlm.verification._check import Check, agrees, dominates
from srlm.verification._policies import TokenTree, kappa_of, random_table, random_tree

_KAPPAS = (1.0, 1.5, 10.0, 1e3, 1e12, 1e300)
_LEVELS = (1e-300, 1e-100, 1e-12, 1e-6, 1e-3, 0.03, 0.3, 0.9, 0.999)


def checks(rng: np.random.Generator) -> Iterator[Check]:
    """Every check of section 3."""
    cases = [(kappa, level) for kappa in _KAPPAS for level in _LEVELS]
    found = [theory.failure_at_level(kappa, level) for kappa, level in cases]
    plain = [(kappa, level) for kappa, level in cases if 2 <= kappa <= 1e12 and level >= 1e-12]
    given = [theory.failure_lower_bound(kappa, 8 * kappa / level, 4.0, 2.0).value for kappa, level in plain]
    yield agrees(
        "theorem 4.1",
        "eps* is the root of eps^2 (1 + log(kappa_0/eps)) = a",
        [*found, *given],
        [_root(kappa, level) for kappa, level in [*cases, *plain]],
        kind="identity",
        tolerance=1e-12,
        note="root by bisection with 60 digits, down to a = 1e-300; C0 is universal and unknown, 1 unless said",
    )
    yield agrees(
        "eq. 99",
        "eps* in closed form by the lower branch of Lambert W",
        found,
        [_lambert(kappa, level) for kappa, level in cases],
        kind="transcription",
        tolerance=1e-12,
        note="W_{-1} by mpmath; its argument underflows float64 from kappa_0 = 1e154 on",
    )
    pairs, kappa, size = 1e300, 50.0, 3.0
    rate = math.sqrt(2) * math.sqrt(kappa * size / (pairs * math.log(pairs * kappa / size)))
    yield agrees(
        "eq. 6",
        "the bound is of order sqrt(kappa_0 log|Pi| / (n log(n kappa_0/log|Pi|))), with constant sqrt(2) as n grows",
        theory.failure_lower_bound(kappa, pairs, size, 1.0).value,
        rate,
        kind="transcription",
        tolerance=0.01,
        note="a rate: compared at n = 1e300, where the next term is below 1 %",
    )
    ns = np.array([1e4, 1e8, 1e100])
    yield agrees(
        "eq. 100",
        "for large n eps ~ sqrt(2a / log(e^2 kappa_0^2 / (2a)))",
        theory.failure_lower_bound_asymptotic(kappa, ns, size, 1.0).value,
        [_asymptotic(kappa, kappa * size / n) for n in ns],
        kind="transcription",
        tolerance=1e-12,
        note="a rate, not a bound: its relative error falls like log log n / log n",
    )
    yield agrees(
        "section 3, near-uniform",
        "a policy uniform over M responses has kappa = M",
        theory.near_uniform_kappa(7),
        condition(np.full((2, 7), -math.log(7))).policy_condition_number,
        kind="identity",
    )
    uniform = TokenTree(tuple(np.full((2**d, 2), 0.5) for d in range(5)))
    yield agrees(
        "section 3, autoregressive",
        "top-1 token probability alpha at each of L steps gives kappa = alpha^(-L)",
        theory.autoregressive_kappa(0.5, 5),
        1 / uniform.responses().max(),
        kind="identity",
    )
    yield from _hard_instance(rng)
    yield from _greedy_trap(rng)


def _root(kappa: float, level: float) -> float:
    with mpmath.workdps(60):
        k, a = mpmath.mpf(kappa), mpmath.mpf(level)
        if a >= 1 + mpmath.log(k):
            return 1.0
        low, high = mpmath.mpf("1e-320"), mpmath.mpf(1)
        for _ in range(260):  # halves the logarithm's interval, 737 wide, down to 1e-75
            middle = mpmath.sqrt(low * high)
            low, high = (low, middle) if middle**2 * (1 + mpmath.log(k / middle)) > a else (middle, high)
        return float(low)


def _lambert(kappa: float, level: float) -> float:
    with mpmath.workdps(60):
        k, a = mpmath.mpf(kappa), mpmath.mpf(level)
        if a >= 1 + mpmath.log(k):
            return 1.0
        return float(mpmath.sqrt(-2 * a / mpmath.re(mpmath.lambertw(-2 * a / (mpmath.e * k) ** 2, -1))))


def _asymptotic(kappa: float, level: float) -> float:
    with mpmath.workdps(40):
        return float(mpmath.sqrt(2 * level / mpmath.log((mpmath.e * kappa) ** 2 / (2 * level))))


def _hard_instance(rng: np.random.Generator) -> Iterator[Check]:
    cases = [(0.6, 3, 1, 4, 1.0), (0.9, 4, 2, 3, 0.5), (1.0, 2, 1, 5, 0.8), (0.3, 5, 1, 3, 2.0), (0.7, 2, 1, 4, 1.0)]
    yield agrees(
        "P7",
        "exact failure of the Bayes-optimal learner on the hard instance",
        [theory.bayes_failure(*case) for case in cases],
        [_enumerated(*case) for case in cases],
        kind="identity",
        tolerance=1e-12,
        note="all sequences of n draws enumerated, the learner guessing among labels never seen",
    )
    mass, responses, prompts, pairs, trials = 0.5, 40, 5, 60, 20_000
    failures = _simulated(rng, mass, responses, prompts, pairs, trials)
    error = failures.std() / math.sqrt(trials)
    predicted, observed = theory.bayes_failure(mass, responses, prompts, pairs), float(failures.mean())
    yield agrees(
        "P7, simulated",
        "a simulated learner fails as often as P7 says",
        predicted,
        observed,
        kind="simulation",
        tolerance=4 * error / observed,
        note=f"{trials} trials, standard error {error:.1g}; four of them are allowed",
    )
    table = np.vstack([np.eye(1, 6), np.tile([2 / 6, *([(1 - 2 / 6) / 5] * 5)], (3, 1))])
    weights = np.array([0.4, 0.2, 0.2, 0.2])
    with np.errstate(divide="ignore"):
        kappa = condition(np.log(table), weights=weights).policy_condition_number
    yield agrees(
        "appendix D",
        "kappa = (1-p) + p*M/(1+g) on the hard instance",
        theory.hard_instance_kappa(0.6, 6, 1.0),
        kappa,
        kind="identity",
    )
    rows = [(20.0, 500.0, 3), (5.0, 50.0, 1), (200.0, 1e4, 2)]
    yield agrees(
        "P7, the adversary",
        "the best hard instance for given kappa_0, d and n",
        [theory.worst_hard_instance(kappa, n, d).failure_rate for kappa, n, d in rows],
        [_best_by_search(kappa, n, d) for kappa, n, d in rows],
        kind="identity",
        tolerance=1e-9,
        note="every M up to 20,000 tried",
    )
    far = theory.worst_hard_instance(100.0, 1e12, 2)
    yield agrees(
        "P7, limit",
        "the adversary's value approaches sqrt(d kappa_0/(2 e n))",
        math.sqrt(2 * 100.0 / (2 * math.e * 1e12)),
        far.failure_rate * math.sqrt(100.0 / 99.0),
        kind="identity",
        tolerance=1e-3,
        note="at kappa_0 = 100 the exact value has kappa_0 - 1 in place of kappa_0",
    )


def _enumerated(mass: float, responses: int, prompts: int, pairs: int, bias: float) -> float:
    """Failure by enumerating every sequence of draws; outcome 0 is a draw at any other prompt."""
    here = mass / prompts
    chances = [1 - here, here * (1 + bias) / responses]
    chances += [here * (1 - (1 + bias) / responses) / (responses - 1)] * (responses - 1)
    wrong = 0.0
    for draws in itertools.product(range(responses + 1), repeat=pairs):
        if 1 in draws:
            continue
        chance = math.prod(chances[draw] for draw in draws)
        unseen = responses - len({draw for draw in draws if draw})
        wrong += chance * (1 - 1 / unseen)
    return mass * wrong


def _simulated(
    rng: np.random.Generator, mass: float, responses: int, prompts: int, pairs: int, trials: int
) -> np.ndarray:
    """Failure rate of the Bayes learner in each trial; label 0 is the favourite (g = 1), which it does not know."""
    label = rng.random((trials, pairs)) * responses
    label = np.where(label < 2, 0, 1 + np.floor((label - 2) * (responses - 1) / (responses - 2))).astype(int)
    where = np.where(rng.random((trials, pairs)) < mass, rng.integers(0, prompts, (trials, pairs)), -1)
    seen = np.zeros((trials, prompts, responses), dtype=bool)
    rows = np.broadcast_to(np.arange(trials)[:, None], where.shape)[where >= 0]
    seen[rows, where[where >= 0], label[where >= 0]] = True
    unseen = responses - seen.sum(axis=2)
    wrong = ~seen[:, :, 0] & (rng.random(unseen.shape) < 1 - 1 / np.maximum(unseen, 1))
    return mass * wrong.mean(axis=1)


def _best_by_search(kappa: float, pairs: float, prompts: int) -> float:
    numbers = np.arange(math.ceil(2 * kappa), 20_000)
    mass = np.minimum(1.0, (kappa - 1) / (numbers / 2 - 1))
    rough = mass * (1 - mass / prompts * 2 / numbers) ** pairs * (1 - 1 / numbers)
    near = np.argsort(-rough)[:5]  # the guess among unseen labels moves the optimum by at most a label or two
    return max(theory.bayes_failure(float(mass[at]), float(numbers[at]), prompts, pairs) for at in near)


def _greedy_trap(rng: np.random.Generator) -> Iterator[Check]:
    bounds, reached, fewest, stated = [], [], [], []
    for mode, excess in ((0.5, 1e-9), (0.3, 0.2), (0.1, 0.6), (0.01, 0.001), (0.2, 0.2)):
        if 2 * mode + excess > 1:
            continue
        trap = theory.greedy_trap(mode, excess)
        bounds.append(mode)
        reached.append((mode + excess) / trap.continuations)
        fewest.append((mode + excess) / max(1, trap.continuations - 1) >= mode * (1 - 1e-12))
        stated.append((trap.mode_probability, trap.excess) == (mode, excess))
    check = dominates(
        "proposition 4.3",
        "for q <= 1/2 a policy exists whose unique mode, of probability q, greedy decoding misses",
        bounds,
        reached,
        kind="inequality",
        note="the trap's first token wins, its best continuation stays below q; the fewest continuations are used",
    )
    unique = all(fewest) and all(stated) and all(r < b for r, b in zip(reached, bounds, strict=True))
    yield replace(check, ok=check.ok and unique)
    found = safe = 0
    for _ in range(300):
        tree = random_tree(rng, spread=4.0)
        chances = tree.responses()
        if theory.greedy_finds_mode(float(chances.max())):
            safe += 1
            found += tree.greedy() == int(np.argmax(chances))
    yield agrees(
        "proposition 4.3, converse",
        "if pi(y*|x) > 1/2 greedy decoding finds y*",
        safe,
        found,
        kind="identity",
        tolerance=0.0,
        note=f"{safe} of 300 random token trees have such a mode",
    )
    table = random_table(rng)
    yield agrees(
        "eq. 5",
        "kappa = E_x[1/pi(y*|x)]",
        condition(np.log(table)).policy_condition_number,
        kappa_of(table),
        kind="identity",
        tolerance=1e-12,
    )
