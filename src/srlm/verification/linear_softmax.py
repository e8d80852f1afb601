"""Section 5 checked: covering numbers, Lipschitz losses, effective dimensions and Fisher information.

Knows: routes that share no code with `theory.spectrum`: intervals counted, traces, long sums, second differences.
"""

import math
from collections.abc import Iterator

import numpy as np

from srlm.theory import guarantees, spectrum
from srlm.verification._check import Cases, Check, in_turn


def _classes(rng: np.random.Generator) -> Iterator[Check]:
    sizes, scales, metric, sharp, cover = (Cases() for _ in range(5))
    for trial in range(60):
        d, b, n = (float(10 ** rng.uniform(low, high)) for low, high in ((-1, 3), (-3, 2), (0, 9)))
        sizes.add(guarantees.linear_softmax_log_class_size(d, b, n), d * math.log1p(4 * b * n))
        scales.add(spectrum.log_covering_number(d, b, 1 / n), d * math.log1p(4 * b * n))
        eps = b * float(10 ** rng.uniform(-3, 1))
        cover.add(spectrum.log_covering_number(1.0, b, eps), math.log(math.ceil(2 * b / eps)))
        phi = rng.standard_normal((5, 8, 3))
        phi /= np.maximum(1, np.linalg.norm(phi, axis=-1, keepdims=True))
        one, two = rng.standard_normal((2, 3))
        metric.add(2 * np.linalg.norm(one - two), _distance(phi, one, two))
        if trial < 5:  # features at both poles of the difference, nearly all mass at one of them
            direction = rng.standard_normal(3)
            direction /= np.linalg.norm(direction)
            one, two = 20 * direction, (20 + 1e-3) * direction
            sharp.add(2 * np.linalg.norm(one - two), _distance(np.stack([-direction, direction])[None], one, two))
    yield sizes.agree("theorem 6.2", "transcribed: log|Pi| becomes d log(1 + 4 B n)", "transcription")
    yield scales.agree(
        "theorem 6.2, covering", "transcribed: the covering number d log(1 + 4B/eps) at scale 1/n", "transcription"
    )
    yield metric.dominate(
        "section 5, metric", "|log pi_theta/pi_theta'| <= 2 ||theta - theta'||", note="60 random pairs of parameters"
    )
    yield sharp.agree(
        "section 5, metric, sharp", "with equality for features at both poles of the difference", "identity", 1e-6
    )
    yield cover.dominate(
        "section 5, covering number", "log N(eps) <= d log(1 + 4B/eps)",
        note="d = 1: intervals of length eps (radius eps/2 in theta) cover [-B, B]",
    )  # fmt: skip


def _distance(phi: np.ndarray, one: np.ndarray, two: np.ndarray) -> float:
    logs = [scores - np.logaddexp.reduce(scores, axis=1, keepdims=True) for scores in (phi @ one, phi @ two)]
    return float(np.abs(logs[0] - logs[1]).max())


def _losses(rng: np.random.Generator) -> Iterator[Check]:
    bounds, sharp = Cases(), Cases()
    for trial in range(200):
        beta, clip, eps = float(rng.uniform(0.1, 3)), float(rng.uniform(0.5, 5)), float(rng.uniform(0, 0.3))
        middle = min(beta * eps, clip)
        first, target = rng.uniform(-clip + middle, clip - middle), float(rng.uniform(-clip, clip))
        second = float(np.clip(first + rng.uniform(-2, 2) * beta * eps, -clip, clip))
        bounds.add(spectrum.loss_lipschitz_bound(beta, clip, eps), abs((first - target) ** 2 - (second - target) ** 2))
        if trial < 20:  # all at the clip, and eps small
            eps *= 1e-6 * clip / beta
            change = (2 * clip) ** 2 - (2 * clip - 2 * beta * eps) ** 2
            sharp.add(spectrum.loss_lipschitz_bound(beta, clip, eps), change)
    yield bounds.dominate(
        "lemma F.4", "the squared residual changes by at most 8 beta Bc eps",
        note="200 random residuals within the clip",
    )  # fmt: skip
    yield sharp.agree("lemma F.4, sharp", "with equality at the clip as eps falls", "identity", 1e-5)


def _dimension(rng: np.random.Generator) -> Iterator[Check]:
    traces, bounds, sharp, isotropic, rates = (Cases() for _ in range(5))
    for _ in range(20):
        d, ridge = int(rng.integers(2, 15)), float(10 ** rng.uniform(-2, 1))
        factor = rng.standard_normal((20, d))
        sigma = factor.T @ factor / 20
        values = np.linalg.eigvalsh(sigma)
        trace = float(np.trace(np.linalg.solve(sigma + ridge * np.eye(d), sigma)))
        traces.add(spectrum.effective_dimension(values, ridge), trace)
        bounds.add([spectrum.effective_dimension_bound(values, ridge, k) for k in range(d + 1)], trace)
        k = int(rng.integers(0, d))  # the first k far above lambda, the others far below
        apart = np.where(np.arange(d) < k, 1e12, 1e-9) * rng.uniform(0.5, 2, d) * ridge
        sharp.add(spectrum.effective_dimension_bound(rng.permutation(apart), ridge, k), k + apart[k:].sum() / ridge)
        sharp.add(spectrum.effective_dimension(apart, ridge), k + apart[k:].sum() / ridge)
        level = float(10 ** rng.uniform(-2, 2))
        isotropic.add(spectrum.effective_dimension(np.full(d, level), level * rng.uniform(0, 1)), d / 2)
        isotropic.add(d / 2 * (1 + 1e-12), spectrum.effective_dimension(np.full(d, level), level))
        n, radius = float(10 ** rng.uniform(3, 8)), float(10 ** rng.uniform(-1, 1))
        size = guarantees.linear_softmax_log_class_size(spectrum.effective_dimension(values, ridge), radius, n)
        front = (2**0.5 + 20**0.5 / (1 + (n / 2) ** 0.5) ** 1.5) / (0.5 * n**0.5)
        written = front * (math.log(n / 0.05) + trace * math.log(1 + 4 * radius * n))
        rates.add(guarantees.failure_bound(20.0, n, size, rounds=4).value, written)
    yield traces.agree(
        "section 5, d_lambda", "d_lambda = sum_i lambda_i/(lambda_i + lambda) = tr Sigma (Sigma + lambda I)^(-1)",
        "identity",
    )  # fmt: skip
    yield bounds.dominate("eq. 149", "d_lambda <= k + (1/lambda) sum_{i>k} lambda_i for every k")
    yield sharp.agree(
        "eq. 149, sharp", "with equality where k eigenvalues are far above lambda and the others far below",
        "identity", 1e-8,
    )  # fmt: skip
    yield isotropic.dominate(
        "section 5, isotropic",
        "an isotropic spectrum with lambda at most the eigenvalue has at least half its rank, exactly so at equality",
    )
    yield rates.agree(
        "corollary 6.4", "transcribed: d_lambda takes the place of d in the statistical factor", "transcription",
        note="up to a constant and a logarithm (lemma G.2); a rate",
    )  # fmt: skip


def _regimes(rng: np.random.Generator) -> Iterator[Check]:
    index = np.arange(1, 20_001, dtype=float)
    bounds, tails, orders = ([Cases() for _ in range(3)] for _ in range(3))
    for trial in range(12):
        scale, ridge = float(10 ** rng.uniform(-1, 1)), float(10 ** rng.uniform(-4, -0.5))
        rate, power = float(10 ** rng.uniform(-1.3, 0.5)), float(rng.uniform(1.2, 4))
        if trial == 0:  # no eigenvalue above the ridge; then lambda = C e^{-3a} exactly, where k must not be one more
            scale = 0.5 * ridge
        if trial == 1:
            ridge = scale * math.exp(-3 * rate)
        exponential = spectrum.exponential_decay_bound(scale, rate, ridge)
        decaying = scale * np.exp(-rate * index)
        bounds[0].add(exponential, (decaying / (decaying + ridge)).sum())
        k = 3 if trial == 1 else int((decaying > ridge).sum()) + (scale > ridge)
        tails[0].add(exponential, k + decaying[k:].sum() / ridge)
        polynomial = spectrum.polynomial_decay_bound(scale, power, ridge)
        decaying = scale * index**-power
        bounds[1].add(polynomial, (decaying / (decaying + ridge)).sum())
        k = int((decaying > ridge).sum()) + 1
        tails[1].add(polynomial, k + scale * _integral(power, k) / ridge)
        d, rank = int(rng.integers(1, 60)), int(rng.integers(0, 20))
        d = 1 if trial == 0 else d
        rank, tail = min(d, rank), float(10 ** rng.uniform(-3, 1))
        spiked = np.r_[np.full(rank, 1e15 * ridge), np.full(d - rank, tail)]
        bounds[2].add(spectrum.spike_bound(d, rank, tail, ridge), (spiked * 0.7 / (spiked * 0.7 + ridge)).sum())
        tails[2].add(spectrum.spike_bound(d, rank, tail, ridge), (spiked / (spiked + ridge)).sum())
        large = float(10 ** rng.uniform(6, 12))
        growth = [spectrum.exponential_decay_bound(1.0, rate / 100, 1 / one) for one in (large, large**2)]
        orders[0].add(np.diff(growth), math.log(large) / (rate / 100))
        growth = [spectrum.polynomial_decay_bound(1.0, power, one) for one in (1e-9, 1e-12)]
        orders[1].add(growth[1] / growth[0], 1000 ** (1 / power))
    regimes = (
        ("(A)", "exponential", "C e^{-a(k+1)}/(lambda(1 - e^{-a}))"),
        ("(B)", "polynomial", "C k^{1-p}/((p-1) lambda)"),
    )
    for at, (name, decay, tail) in enumerate(regimes):
        yield bounds[at].dominate(
            f"lemma G.4 {name}", f"{decay} decay: d_lambda <= k + {tail}", note="spectra of 20,000 eigenvalues summed"
        )
        yield tails[at].agree(
            f"lemma G.4 {name}, tail", "k counts the eigenvalues above lambda, the rest is their tail over lambda",
            "identity", 1e-6,
        )  # fmt: skip
    yield bounds[2].dominate("lemma G.4 (C)", "a spike of rank k over a tail at most tau: k + (d-k) tau/(lambda + tau)")
    yield tails[2].agree("lemma G.4 (C), sharp", "with equality for a high spike over a flat tail", "identity", 1e-9)
    yield orders[0].agree(
        "corollary G.5", "lambda = 1/d gives order (log d)/a", "identity", 0.02, note="growth per unit of log d"
    )
    yield orders[1].agree(
        "corollary G.6", "order (C/lambda)^(1/p)", "identity", 0.02, note="growth of the bound as lambda falls"
    )


def _integral(power: float, k: int) -> float:
    """The integral of x^-p from k on: Gauss-Legendre over octaves, until nothing is left of the tail."""
    nodes, weights = np.polynomial.legendre.leggauss(30)
    logs = np.log(k) + math.log(2) * np.arange(400)[:, None] + math.log(2) / 2 * (1 + nodes)
    return float((np.exp((1 - power) * logs) * weights * math.log(2) / 2).sum())


def _fisher(rng: np.random.Generator) -> Iterator[Check]:
    values = Cases()
    for _ in range(4):
        phi = rng.standard_normal((5, int(rng.integers(4, 8)), 3))
        theta, weights = rng.standard_normal(3), 7 * rng.random(5)

        def partition(at: np.ndarray, phi: np.ndarray = phi, weights: np.ndarray = weights) -> float:
            return float(weights / weights.sum() @ np.logaddexp.reduce(phi @ at, axis=1))

        step, units = 1e-3, 1e-3 * np.eye(3)
        hessian = [
            [partition(theta + a + b) - partition(theta + a - b) - partition(theta - a + b) + partition(theta - a - b)
             for b in units] for a in units
        ]  # fmt: skip
        expected = np.linalg.eigvalsh(np.array(hessian) / (4 * step**2))[::-1]
        scores = phi @ theta
        logprobs = scores - np.logaddexp.reduce(scores, axis=1, keepdims=True)
        fisher = spectrum.fisher_spectrum(phi, logprobs, weights)
        values.add([*fisher.eigenvalues, fisher.condition_number], [*expected, expected[0] / expected[-1]])
        flat = spectrum.fisher_spectrum(phi * np.array([1.0, 1.0, 1e-9]), logprobs, weights, cutoff=1e-8)
        tiny = spectrum.fisher_spectrum(phi * 1e-170, logprobs, weights)
        values.add([fisher.rank, flat.rank, tiny.condition_number], [3, 2, fisher.condition_number])
        edges = [share * fisher.eigenvalues[-1] / fisher.eigenvalues[0] for share in (0.99, 1.01)]
        values.add([spectrum.fisher_spectrum(phi, logprobs, weights, cutoff=one).rank for one in edges], [3, 2])
        values.add(
            spectrum.fisher_spectrum(phi, logprobs).eigenvalues,
            spectrum.fisher_spectrum(phi, logprobs, np.full(5, 3.0)).eigenvalues,
        )
    yield values.agree(
        "section 5, Fisher information",
        "F(theta) is the Hessian of E_x[log Z(x; theta)]; its condition number is lambda_max/lambda_min", "identity",
        1e-4,
        note="central differences, step 1e-3; weights normalised. Not kappa, though some texts give it that name",
    )  # fmt: skip


checks = in_turn(_classes, _losses, _dimension, _regimes, _fisher)
