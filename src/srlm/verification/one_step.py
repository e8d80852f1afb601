"""Section 3 checked: theorem 4.1's equation by substitution, the hard instance by enumeration, by inclusion and
exclusion, and by trying every number of labels.

Knows: routes that share no code with `theory.lower_bound`; where two of its functions are compared the check says so.
"""

import itertools
import math
from collections.abc import Iterator

import mpmath
import numpy as np

from srlm.theory import lower_bound as theory
from srlm.verification._check import Cases, Check, in_turn
from srlm.verification._policies import TokenTree, random_tree


def _lower_bound(rng: np.random.Generator) -> Iterator[Check]:
    solved, given, lambert, order, large = (Cases() for _ in range(5))
    for trial in range(60):
        # Down to a = 1e-300, up to kappa_0 = 1e300, and on both sides of where the equation has no root up to 1.
        kappa, level = (float(10 ** rng.uniform(0, (2, 300)[trial % 2])) for _ in range(2))
        level = [1 / level, (1 + math.log(kappa)) * float(rng.uniform(0.9, 1.1))][trial % 3 == 0]
        solved.add(_left_side(kappa, theory.failure_at_level(kappa, level)), min(level, 1 + math.log(kappa)))
        if trial == 0:  # where kappa_0 begins, just below where the equation has no root up to 1
            solved.add(_left_side(1.0, theory.failure_at_level(1.0, 0.999)), 0.999)
            given.add(theory.failure_lower_bound([1.0, 2.0], 1.0, 1.0).applies, [False, True])
        if trial < 12:
            lambert.add(theory.failure_at_level(kappa, level), _lambert(kappa, level))
        kappa, n, size = float(10 ** rng.uniform(0, 3)), float(10 ** rng.uniform(2, 9)), float(10 ** rng.uniform(-1, 2))
        constant = float(10 ** rng.uniform(-1, 1)) if trial % 2 else 1 / (2 * math.e)
        more = (constant,) if trial % 2 else ()
        rate, far = (
            f(kappa, n, size, *more) for f in (theory.failure_lower_bound, theory.failure_lower_bound_asymptotic)
        )
        level = constant * kappa * size / n
        given.add([rate.applies, far.applies, rate.constant], [kappa >= 2, kappa >= 2, constant])
        if kappa >= 2:
            given.add(_left_side(kappa, rate.value), min(level, 1 + math.log(kappa)))
            m = 2 + 2 * math.log(kappa) - math.log(2 * level)
            large.add(far.value, min(1.0, (2 * level / m) ** 0.5) if m > 0 else 1.0)
            ratio = 1e300 / size
            rate = theory.failure_lower_bound(kappa, 1e300, size, 1.0).value
            order.add(rate, math.sqrt(2 * kappa / ratio / math.log(ratio * kappa)))
        else:
            given.add([rate.value, far.value], [0.0, 0.0])
    yield solved.agree(
        "eq. 99",
        "the closed form solves theorem 4.1's equation eps^2 (1 + log(kappa_0/eps)) = a, and is 1 where nothing does",
        "identity", 1e-12, note="substituted with 40 digits, a from 1e-300 on, kappa_0 up to 1e300",
    )  # fmt: skip
    yield given.agree(
        "theorem 4.1, level", "a = C0 kappa_0 log|Pi|/n, and nothing is said below kappa_0 = 2", "identity", 1e-12,
        note="C0 is not known, 1/(2e) unless said",
    )  # fmt: skip
    yield lambert.agree("eq. 99, Lambert W", "transcribed: sqrt(-2a/W_{-1}(-2a/(e kappa_0)^2))", "transcription", 1e-12)
    yield order.agree(
        "eq. 6",
        "eps* is of order sqrt(kappa_0 log|Pi| / (n log(n kappa_0/log|Pi|))), with constant sqrt(2) as n grows",
        "identity", 0.01, note="a rate: compared at n = 1e300, where the next term is below 1 %",
    )  # fmt: skip
    yield large.agree(
        "eq. 100", "transcribed: for large n eps ~ sqrt(2a / log(e^2 kappa_0^2 / (2a)))", "transcription", 1e-12,
        note="a rate, not a bound: its relative error falls like log log n / log n",
    )  # fmt: skip
    hard = Cases()
    for power in (0.5, 9.0, 30.0, *rng.uniform(0.5, 9, 30)):
        kappa, d = float(10 ** rng.uniform(math.log10(2), 3)), int(rng.integers(1, 6))
        n = kappa * 10**power
        worst = theory.worst_hard_instance(kappa, n, d)
        constant = (1 - 1 / kappa) / (2 * math.e)
        hard.add(
            worst.failure_rate, theory.failure_lower_bound(kappa, n, d * math.log(worst.responses), constant).value
        )
    yield hard.dominate(
        "theorem 4.1", "the hard instance of appendix D has that rate, with C0 = (1 - 1/kappa_0)/(2e)", attained=1.02,
        note="P7 against eps* at n from 3 to 1e30 times kappa_0; that no instance is kinder is the theorem's proof",
    )  # fmt: skip


def _left_side(kappa: float, eps: float) -> float:
    with mpmath.workdps(40):
        return float(mpmath.mpf(eps) ** 2 * (1 + mpmath.log(mpmath.mpf(kappa) / eps)))


def _lambert(kappa: float, level: float) -> float:
    with mpmath.workdps(40):
        k, a = mpmath.mpf(kappa), mpmath.mpf(level)
        if a >= 1 + mpmath.log(k):
            return 1.0
        return float(mpmath.sqrt(-2 * a / mpmath.re(mpmath.lambertw(-2 * a / (mpmath.e * k) ** 2, -1))))


def _examples(rng: np.random.Generator) -> Iterator[Check]:
    uniform, steps = Cases(), Cases()
    steps.add(theory.autoregressive_kappa(0.5, 0), 1)
    for trial in range(10):
        responses = int(rng.integers(1, 500)) if trial else 1
        uniform.add(theory.near_uniform_kappa(responses), 1 / np.full(responses, 1 / responses).max())
        vocabulary, depth = int(rng.integers(2, 5)), int(rng.integers(1, 6))
        alpha = float(rng.uniform(1 / vocabulary, 1))
        row = np.r_[alpha, np.full(vocabulary - 1, (1 - alpha) / (vocabulary - 1))]
        tree = TokenTree(tuple(np.array([rng.permutation(row) for _ in range(vocabulary**d)]) for d in range(depth)))
        steps.add(theory.autoregressive_kappa(alpha, depth), 1 / tree.responses().max())
    yield uniform.agree("section 3, near-uniform", "a policy uniform over M responses has kappa = M", "identity", 1e-12)
    yield steps.agree(
        "section 3, autoregressive", "top-1 token probability alpha at each of L steps gives kappa = alpha^(-L)",
        "identity", note="token trees enumerated, random alpha, V and L",
    )  # fmt: skip


def _hard_instance(rng: np.random.Generator) -> Iterator[Check]:
    kappas, enumerated, excluded, distinct, many, drawn = (Cases() for _ in range(6))
    # The favourite sure, and two labels of which one draw shows one: where the formulas end.
    corners = [(1.0, 1, 2, 1.0, 0), (1.0, 1, 3, 2.0, 3), (1.0, 1, 2, 0.5, 1), (0.7, 1, 4, 1.0, 0)]
    for trial in range(16):
        p, d, responses = float(rng.uniform(0.05, 1)), int(rng.integers(1, 5)), int(rng.integers(2, 6))
        g, n = float(rng.uniform(0.1, responses - 1)), int(rng.integers(0, 4))
        if trial < len(corners):
            p, d, responses, g, n = corners[trial]
        table = np.vstack([np.eye(1, responses), np.tile(_row(responses, g), (d, 1))])
        enumerated.add(1 + theory.bayes_failure(0.0, responses, d, n, g), theory.hard_instance_kappa(0.0, responses, g))
        kappas.add(
            theory.hard_instance_kappa(p, responses, g), np.r_[1 - p, np.full(d, p / d)] @ (1 / table.max(axis=1))
        )
        enumerated.add(theory.bayes_failure(p, responses, d, n, g), _enumerated(p, responses, d, n, g))
        if responses > 2:  # the favourite is twice as likely as a label on average unless said
            kappas.add(theory.hard_instance_kappa(p, responses), 1 - p + p / _row(responses, 1.0)[0])
            enumerated.add(theory.bayes_failure(p, responses, d, n), _enumerated(p, responses, d, n, 1.0))
        responses, n, d = int(rng.integers(2, 60)), int(10 ** rng.uniform(0, 3.3)), int(rng.integers(1, 50))
        g = float(rng.uniform(0.1, min(5, responses - 1)))
        excluded.add(theory.bayes_failure(p, responses, d, n, g), _excluded(p, responses, d, n, g))
        distinct.add(theory.bayes_failure(p, responses, d, n, g), _distinct(p, np.array([responses]), d, n, g)[0])
    for _ in range(6):  # where the code leaves the exact law: many labels of which many stay unseen
        responses, p = int(rng.integers(150, 400)), float(rng.uniform(0.5, 1))
        d, g = int(rng.integers(20, 40)), float(rng.uniform(0.1, 2))
        n = int(d * responses * rng.uniform(0.5, 1) * math.log(responses) / 3)
        many.add(theory.bayes_failure(p, responses, d, n, g), _excluded(p, responses, d, n, g))
    for responses in (2.0e6, 1.0e9):  # p = d = 1, g = 1; U of the M - 1 other labels stay unseen
        for draws in (1e3, responses / 3, 2.5 * responses * math.log(responses)):
            n, missed = math.floor(draws), math.log1p(-2 / responses)
            unseen = (responses - 1) * math.exp(n * math.log1p(-1 / responses))  # E[U], the favourite not drawn
            # With many unseen the guess is right with about 1/E[U], with hardly any wrong half as often as one is left.
            wrong = 1 - 1 / unseen if unseen > 1 else unseen / 2
            many.add(theory.bayes_failure(1.0, responses, 1, n), math.exp(n * missed) * wrong)
    yield kappas.agree(
        "appendix D", "kappa = (1-p) + p*M/(1+g) on the hard instance", "identity", 1e-12, note="its table written out"
    )
    yield enumerated.agree(
        "P7", "exact failure of the Bayes-optimal learner on the hard instance", "identity", 1e-12,
        note="all sequences of up to 3 draws enumerated, the learner guessing among labels never seen",
    )  # fmt: skip
    yield excluded.agree(
        "P7, many draws", "the same by inclusion and exclusion", "identity",
        note="up to 2,000 draws, with as many digits as the alternating sum needs",
    )  # fmt: skip
    yield distinct.agree("P7, distinct labels", "the same by the law of distinct labels, draw by draw", "identity")
    yield many.agree(
        "P7, many labels", "where labels count as seen independently of each other the relative error is below 1/M",
        "identity", 1 / 400,
    )  # fmt: skip
    mass, responses, prompts = float(rng.uniform(0.3, 0.9)), int(rng.integers(20, 50)), int(rng.integers(2, 6))
    pairs, trials = int(rng.integers(50, 80)), 4_000
    failures = _simulated(rng, mass, responses, prompts, pairs, trials)
    error, observed = failures.std() / math.sqrt(trials), float(failures.mean())
    drawn.add(theory.bayes_failure(mass, responses, prompts, pairs), observed)
    yield drawn.agree(
        "P7, simulated", "a simulated learner fails as often as P7 says", "simulation", 4.5 * error / observed,
        note=f"{trials} trials, standard error {error:.1g}; four and a half of them are allowed",
    )  # fmt: skip


def _row(responses: int, bias: float) -> np.ndarray:
    """An informative prompt's responses, the favourite first."""
    favourite = (1 + bias) / responses
    return np.r_[favourite, np.full(responses - 1, (1 - favourite) / (responses - 1))]


def _enumerated(mass: float, responses: int, prompts: int, pairs: int, bias: float) -> float:
    """Failure by enumerating every sequence of draws; outcome 0 is a draw at any other prompt."""
    here = mass / prompts
    chances = [1 - here, *(here * _row(responses, bias))]
    wrong = 0.0
    for draws in itertools.product(range(responses + 1), repeat=pairs):
        if 1 not in draws:
            unseen = responses - len({draw for draw in draws if draw})
            wrong += math.prod(chances[draw] for draw in draws) * (1 - 1 / unseen)
    return mass * wrong


def _excluded(mass: float, responses: int, prompts: int, pairs: int, bias: float) -> float:
    """E[1/(labels never seen)] is sum_{i=1}^M (-1)^(i-1) C(M,i) (1 - (i-1) q)^n / M, q the chance of one other label
    where the favourite is not drawn: integrate s^U over s and expand.
    """
    with mpmath.workdps(30 + responses // 3 + int(pairs * mass / prompts / (responses - 1))):
        here = mpmath.mpf(mass) / prompts
        favourite = here * (1 + mpmath.mpf(bias)) / responses
        q = (here - favourite) / (responses - 1) / (1 - favourite)
        terms = (
            math.comb(responses, i) * (1 - (i - 1) * q) ** pairs * (-1) ** (i - 1) for i in range(1, responses + 1)
        )
        return float(mass * (1 - favourite) ** pairs * (1 - mpmath.fsum(terms) / responses))


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


def _adversary(rng: np.random.Generator) -> Iterator[Check]:
    best, limit, within = Cases(), Cases(), Cases()
    for _ in range(4):
        kappa, n, d = float(rng.uniform(1.2, 15)), int(rng.integers(5, 40)), int(rng.integers(1, 4))
        g = float(rng.uniform(0.3, 2))
        worst = theory.worst_hard_instance(kappa, n, d, g)
        best.add(worst.failure_rate, _of_every_number(kappa, n, d, g)[1])
        p, labels = worst.informative_mass, worst.responses
        within.add(theory.hard_instance_kappa(p, labels, g), kappa)
        within.add([worst.informative_prompts, worst.bias, worst.pairs], [d, g, n])
        best.add(theory.worst_hard_instance(kappa, n).failure_rate, _of_every_number(kappa, n, 1, 1.0)[1])
        sure, small = theory.worst_hard_instance(1.0, n, d, g), theory.worst_hard_instance_within(9.0, n, 2.0, g)
        within.add([sure.failure_rate, sure.informative_mass, sure.informative_prompts], [0, 0, d])
        within.add([small.failure_rate, small.informative_mass, small.informative_prompts], [0, 0, 0])
        within.add(theory.worst_hard_instance_within(1.0, n, 50.0).failure_rate, 0)
        within.add(sure.responses, max(2, math.ceil(1 + g)))
        best.add(theory.worst_hard_instance(kappa, 1, d, g).failure_rate, _of_every_number(kappa, 1, d, g)[1])
        size = float(rng.uniform(2, 15))
        one = theory.worst_hard_instance_within(kappa, n, size, g)
        fewest = max(2, math.ceil((1 + g) * kappa), math.floor(1 + g) + 1)
        some = range(1, int(size / math.log(fewest)) + 1)
        fits = [k for k in some if k * math.log(_of_every_number(kappa, n, k, g)[0]) <= size]
        within.add(one.informative_prompts, max(fits, default=int(math.log(fewest) <= size)))
        if not fits:
            within.add(one.responses, max(fewest, math.floor(math.exp(size))))
    for _ in range(5):
        kappa, d = float(10 ** rng.uniform(0.2, 3)), int(rng.integers(1, 20))
        far = theory.worst_hard_instance(kappa, 1e14, d).failure_rate
        limit.add(far, math.sqrt(d * (kappa - 1) / (2 * math.e * 1e14)))
    yield best.agree(
        "P7, the adversary", "no other number of labels gives a worse instance for this kappa_0, d, n and g",
        "inequality", 1e-6, note="every M up to 200 tried, its failure rate by the law of distinct labels",
    )  # fmt: skip
    yield within.agree(
        "P7, within a class",
        "the instance has that kappa_0, and the largest d whose class d log M is at most the one asked for",
        "identity", note="every d that can fit and every M up to 200 tried",
    )  # fmt: skip
    yield limit.agree(
        "P7, limit", "the adversary's value approaches sqrt(d (kappa_0 - 1)/(2 e n))", "identity", 1e-3,
        note="at n = 1e14; kappa_0 - 1, so nothing at kappa_0 = 1",
    )  # fmt: skip


def _of_every_number(kappa: float, pairs: int, prompts: int, bias: float) -> tuple[int, float]:
    """(M, failure rate) of the worst instance among M up to 200."""
    numbers = np.arange(max(2, math.ceil((1 + bias) * kappa), math.floor(1 + bias) + 1), 201)
    mass = np.minimum(1.0, (kappa - 1) * (1 + bias) / (numbers - 1 - bias))
    wrong = _distinct(mass, numbers, prompts, pairs, bias)
    at = int(np.argmax(wrong))
    return int(numbers[at]), float(wrong[at])


def _distinct(mass: np.ndarray | float, numbers: np.ndarray, prompts: int, pairs: int, bias: float) -> np.ndarray:
    """P7 for several M at once: the law of how many other labels were seen, with no favourite drawn, draw by draw."""
    hit = mass / prompts * (1 + bias) / numbers
    other = mass / prompts * (1 - (1 + bias) / numbers)
    counts = np.arange(min(pairs + 1, int(numbers.max())))
    law = np.zeros((len(numbers), len(counts)))
    law[:, 0] = 1.0
    fresh = other[:, None] * np.maximum(0.0, 1 - counts / (numbers - 1)[:, None])
    for _ in range(pairs):
        moved = law * fresh
        law = law * (1 - hit[:, None]) - moved
        law[:, 1:] += moved[:, :-1]
    return mass * (law * (1 - 1 / np.maximum(1, numbers[:, None] - counts))).sum(axis=1)


def _greedy_trap(rng: np.random.Generator) -> Iterator[Check]:
    traps, safe = Cases(), Cases()
    for trial in range(12):
        q = 0.25 if trial == 0 else float(rng.uniform(0.03, 0.5))
        excess = 0.25 if trial == 0 else float(rng.uniform(0, 1) * (1 - 2 * q)) or 1e-9  # a whole ratio ties
        trap = theory.greedy_trap(q, excess)
        fewest = next(k for k in itertools.count(1) if (q + excess) / k < q)
        traps.add([trap.mode_probability, trap.excess, trap.continuations], [q, excess, fewest])
        tree = _trap_tree(q, excess, round(trap.continuations))
        chances = tree.responses()
        mode = int(chances.argmax())
        traps.add([q, 1.0], [chances[mode], (chances == chances[mode]).sum()])
        traps.add(tree.greedy() != mode, 1)
    for _ in range(150):
        tree = random_tree(rng, spread=4.0)
        chances = tree.responses()
        flag = theory.greedy_finds_mode(float(chances.max()))
        safe.add(flag, chances.max() > 0.5)
        safe.add(flag and tree.greedy() != int(np.argmax(chances)), 0)
    yield traps.agree(
        "proposition 4.3", "for q < 1/2 a policy exists whose unique mode, of probability q, greedy decoding misses",
        "identity", 1e-12, note="traps as token trees, enumerated; the fewest continuations counted up",
    )  # fmt: skip
    yield safe.agree(
        "proposition 4.3, converse", "if pi(y*|x) > 1/2 greedy decoding finds y*", "identity", 0.0,
        note="150 random token trees",
    )  # fmt: skip


def _trap_tree(q: float, excess: float, continuations: int) -> TokenTree:
    """Token 0 begins the mode, token 1 the trap; what neither takes is spread over tokens of less than q/2 each."""
    rest = max(0.0, 1 - 2 * q - excess)
    others = math.ceil(rest / (q / 2))
    tokens = max(2 + others, continuations)
    first = np.zeros((1, tokens))
    first[0, :2] = q, q + excess
    first[0, 2 : 2 + others] = rest / max(1, others)
    second = np.zeros((tokens, tokens))
    second[:, 0] = 1.0
    second[1] = 0.0
    second[1, :continuations] = 1 / continuations
    return TokenTree((first, second))


checks = in_turn(_lower_bound, _examples, _hard_instance, _adversary, _greedy_trap)
