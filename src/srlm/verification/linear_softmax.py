"""Section 5 checked: covering numbers, Lipschitz losses, effective dimensions and Fisher information.

Knows: routes that share no code with `theory.spectrum`.
"""

import math
from collections.abc import Iterator
from typing import Any

import mpmath
import numpy as np

from srlm.theory import guarantees, spectrum
from srlm.verification._check import Check, agrees, dominates


def checks(rng: np.random.Generator) -> Iterator[Check]:
    """Every check of section 5."""
    yield from _classes(rng)
    yield from _dimension(rng)
    yield from _regimes()
    yield _fisher(rng)


def _classes(rng: np.random.Generator) -> Iterator[Check]:
    cases = [(2.0, 1.0, 10.0), (64.0, 10.0, 192.0), (0.5, 1e-3, 1e9)]
    sizes = [guarantees.linear_softmax_log_class_size(*case) for case in cases]
    yield agrees(
        "theorem 6.2",
        "log|Pi| becomes d log(1 + 4 B n)",
        sizes,
        [float(d * mpmath.log(1 + 4 * mpmath.mpf(b) * n)) for d, b, n in cases],
        kind="transcription",
    )
    yield agrees(
        "theorem 6.2, covering",
        "that is the covering number at scale 1/n",
        [spectrum.log_covering_number(d, b, 1 / n) for d, b, n in cases],
        sizes,
        kind="transcription",
    )
    ratios, distances = [], []
    for trial in range(200):
        phi = rng.standard_normal((5, 8, 3))
        phi /= np.maximum(1, np.linalg.norm(phi, axis=-1, keepdims=True))
        one, two = rng.standard_normal((2, 3))
        if trial == 0:  # near-sharp: features at both poles of the difference, nearly all mass at one of them
            step = np.array([1e-3, 0, 0])
            phi, one = np.array([[[-1.0, 0, 0], [1.0, 0, 0]]]), np.array([20.0, 0, 0])
            two = one + step
        logs = [scores - np.logaddexp.reduce(scores, axis=1, keepdims=True) for scores in (phi @ one, phi @ two)]
        ratios.append(float(np.abs(logs[0] - logs[1]).max()))
        distances.append(2 * float(np.linalg.norm(one - two)))
    yield dominates(
        "section 5, metric",
        "|log pi_theta/pi_theta'| <= 2 ||theta - theta'||",
        distances,
        ratios,
        kind="inequality",
        attained=1 + 1e-3,
        note="200 random pairs",
    )
    radius, scales = 3.0, np.array([0.01, 0.1, 1.0, 6.0])
    yield dominates(
        "section 5, covering number",
        "log N(eps) <= d log(1 + 4B/eps)",
        [spectrum.log_covering_number(1.0, radius, scale) for scale in scales],
        np.log(np.ceil(2 * radius / scales)),
        kind="inequality",
        note="d = 1: intervals of length eps (radius eps/2 in theta) cover [-B, B]",
    )
    yield agrees(
        "section 5, covering formula",
        "d log(1 + 4B/eps)",
        [spectrum.log_covering_number(7.0, radius, scale) for scale in scales],
        [float(7 * mpmath.log(1 + 4 * radius / mpmath.mpf(scale))) for scale in scales],
        kind="transcription",
    )
    bounds, changes = [], []
    for trial in range(300):
        beta, clip, eps = float(rng.uniform(0.1, 3)), float(rng.uniform(0.5, 5)), float(rng.uniform(0, 0.3))
        middle = min(beta * eps, clip)
        first = rng.uniform(-clip + middle, clip - middle)
        second = float(np.clip(first + rng.uniform(-2, 2) * beta * eps, -clip, clip))
        target = float(rng.uniform(-clip, clip))
        if trial == 0:
            beta, clip, eps = 1.0, 2.0, 1e-7
            first, second, target = clip, clip - 2 * beta * eps, -clip
        bounds.append(spectrum.loss_lipschitz_bound(beta, clip, eps))
        changes.append(abs((first - target) ** 2 - (second - target) ** 2))
    yield dominates(
        "lemma F.4",
        "the squared residual changes by at most 8 beta Bc eps",
        bounds,
        changes,
        kind="inequality",
        attained=1 + 1e-5,
        note="300 random residuals within the clip; sharp as eps falls",
    )


def _dimension(rng: np.random.Generator) -> Iterator[Check]:
    factor = rng.standard_normal((30, 12))
    sigma = factor.T @ factor / 30
    values = np.linalg.eigvalsh(sigma)
    ridge = 0.3
    yield agrees(
        "section 5, d_lambda",
        "d_lambda = sum_i lambda_i/(lambda_i + lambda) = tr Sigma (Sigma + lambda I)^(-1)",
        spectrum.effective_dimension(values, ridge),
        float(np.trace(np.linalg.solve(sigma + ridge * np.eye(12), sigma))),
        kind="identity",
    )
    spectra = [(values, ridge), (np.array([1e12, 1e12, 1e-9, 1e-9]), 1.0), (np.ones(10), 0.5)]
    yield dominates(
        "eq. 149",
        "d_lambda <= k + (1/lambda) sum_{i>k} lambda_i for every k",
        [spectrum.effective_dimension_bound(one, level, k) for one, level in spectra for k in range(len(one) + 1)],
        [spectrum.effective_dimension(one, level) for one, level in spectra for k in range(len(one) + 1)],
        kind="inequality",
        attained=1 + 1e-8,
        note="sharp where the first k eigenvalues are far above lambda and the others far below",
    )
    yield dominates(
        "section 5, isotropic",
        "an isotropic spectrum with lambda at most the eigenvalue has at least half its rank",
        [spectrum.effective_dimension(np.full(8, level), level) for level in (0.01, 1.0, 50.0)],
        4.0,
        kind="inequality",
        attained=1 + 1e-12,
    )
    small, full = spectrum.effective_dimension(values, ridge), 12.0
    bounds = [
        guarantees.failure_bound(20.0, 1e6, guarantees.linear_softmax_log_class_size(d, 5.0, 1e6), rounds=4).value
        for d in (small, full)
    ]
    front = (math.sqrt(2) + math.sqrt(20.0) / (1 + math.sqrt(5e5)) ** 1.5) / (0.5 * math.sqrt(1e6))
    written = [front * (math.log(1e6 / 0.05) + d * math.log(1 + 2e7)) for d in (small, full)]
    yield agrees(
        "corollary 6.4",
        "d_lambda takes the place of d in the statistical factor",
        [*bounds, min(bounds)],
        [*written, written[0]],
        kind="transcription",
        note="up to a universal constant and a logarithm (lemma G.2); a rate",
    )


def _regimes() -> Iterator[Check]:
    index = np.arange(1, 200_001, dtype=float)
    bounds, exact, direct = [], [], []
    for scale, rate, ridge in (
        (1.0, 0.5, 1e-3),
        (5.0, 0.05, 0.1),
        (0.2, 2.0, 1e-8),
        (0.1, 1.0, 1.0),
        (1.0, 1.0, math.exp(-3.0)),
    ):
        bounds.append(spectrum.exponential_decay_bound(scale, rate, ridge))
        exact.append(spectrum.effective_dimension(scale * np.exp(-rate * index), ridge))
        k = max(0, math.ceil(math.log(scale / ridge) / rate - 1e-12))
        tail: Any = mpmath.nsum(lambda i, s=scale, r=rate: s * mpmath.exp(-r * i), [k + 1, mpmath.inf])
        direct.append(float(k + tail / ridge))
    yield dominates(
        "lemma G.4 (A)",
        "exponential decay: d_lambda <= k + C e^{-a(k+1)}/(lambda(1 - e^{-a}))",
        bounds,
        exact,
        kind="inequality",
    )
    yield agrees(
        "lemma G.4 (A), tail", "that is k plus the geometric tail over lambda", bounds, direct, kind="transcription"
    )
    bounds, exact, direct = [], [], []
    for scale, power, ridge in ((1.0, 2.0, 1e-4), (3.0, 1.5, 0.01), (0.5, 4.0, 1e-6), (0.01, 3.0, 1.0)):
        bounds.append(spectrum.polynomial_decay_bound(scale, power, ridge))
        exact.append(spectrum.effective_dimension(scale * index**-power, ridge))
        k = max(1, math.ceil((scale / ridge) ** (1 / power) - 1e-12))
        tail = mpmath.quad(lambda x, s=scale, p=power: s * x**-p, [k, 10 * k, 1000 * k, mpmath.inf])
        direct.append(float(k + tail / ridge))
    yield dominates(
        "lemma G.4 (B)", "polynomial decay: d_lambda <= k + C k^{1-p}/((p-1) lambda)", bounds, exact, kind="inequality"
    )
    yield agrees(
        "lemma G.4 (B), tail",
        "that is k plus the integral of the tail over lambda",
        bounds,
        direct,
        kind="transcription",
        tolerance=1e-7,
    )
    cases = [(50, 5, 0.01, 0.1), (10, 0, 1.0, 1.0), (8, 8, 0.5, 0.2)]
    yield dominates(
        "lemma G.4 (C)",
        "a spike of rank k over a flat tail: k + (d-k) tau/(lambda + tau)",
        [spectrum.spike_bound(*case) for case in cases],
        [
            spectrum.effective_dimension(np.r_[np.full(k, 1e15), np.full(d - k, tau)], ridge)
            for d, k, tau, ridge in cases
        ],
        kind="inequality",
        attained=1 + 1e-9,
    )
    sizes = np.array([1e6, 1e12, 1e24])
    grown = np.diff([spectrum.exponential_decay_bound(1.0, 0.01, 1 / d) for d in sizes]) / np.diff(np.log(sizes))
    yield agrees("corollary G.5", "lambda = 1/d gives order (log d)/a", grown, 1 / 0.01, kind="transcription",
                 tolerance=0.005, note="growth of the bound per unit of log d, a = 0.01")  # fmt: skip
    ridges = np.array([1e-6, 1e-9, 1e-12])
    slope = np.diff(np.log([spectrum.polynomial_decay_bound(1.0, 3.0, r) for r in ridges])) / -np.diff(np.log(ridges))
    yield agrees("corollary G.6", "order (C/lambda)^(1/p)", slope, 1 / 3, kind="transcription", tolerance=0.005,
                 note="slope of log bound against log 1/lambda, p = 3")  # fmt: skip


def _fisher(rng: np.random.Generator) -> Check:
    phi, theta, weights = rng.standard_normal((3, 5, 4)), rng.standard_normal(4), np.array([0.5, 0.3, 0.2])

    def partition(at: np.ndarray) -> float:
        return float(weights @ np.logaddexp.reduce(phi @ at, axis=1))

    step = 1e-3
    units = step * np.eye(4)
    hessian = np.array(
        [
            [
                partition(theta + a + b)
                - partition(theta + a - b)
                - partition(theta - a + b)
                + partition(theta - a - b)
                for b in units
            ]
            for a in units
        ]
    ) / (4 * step**2)
    scores = phi @ theta
    logprobs = scores - np.logaddexp.reduce(scores, axis=1, keepdims=True)
    found = spectrum.fisher_spectrum(phi, logprobs, weights)
    expected = np.linalg.eigvalsh(hessian)[::-1]
    return agrees(
        "section 5, Fisher information",
        "F(theta) is the Hessian of E_x[log Z(x; theta)]; its condition number is lambda_max/lambda_min",
        [*found.eigenvalues, found.condition_number],
        [*expected, expected[0] / expected[-1]],
        kind="identity",
        tolerance=1e-4,
        note="central differences, step 1e-3. Not kappa, though some texts give it that name",
    )
