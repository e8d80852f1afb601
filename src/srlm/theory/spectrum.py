"""Dimension that counts: covering numbers, effective dimension, spectral regimes, Fisher spectra (docs/theory:
linear-softmax).

Knows: eigenvalues and what theorem 6.2 and corollaries 6.4, G.5, G.6 make of them. Refuses to know whose they are. A
result beyond the float range is inf, still an upper bound.

Arguments: dimension: d > 0; radius: B > 0; eigenvalues: (d,) of Sigma = E[phi phi^T], each >= 0; ridge: lambda > 0;
scale: C > 0 of an envelope of the eigenvalues. Outside its domain an argument raises `InputError`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from srlm.errors import InputError
from srlm.theory._domain import ROUNDING, Array, real, result, whole
from srlm.theory.conditioning import checked


def log_covering_number(dimension: Array, radius: Array, scale: Array) -> Array:
    """log N(eps) <= d*log(1 + 4B/eps) for linear softmax in the metric sup|log pi/pi'| (section 5); scale: eps > 0."""
    d, b = real("dimension", dimension, 0, open_low=True), real("radius", radius, 0, open_low=True)
    eps = real("scale", scale, 0, open_low=True)
    with np.errstate(over="ignore"):
        return result(d * np.logaddexp(0.0, np.log(4) + np.log(b) - np.log(eps)))


def loss_lipschitz_bound(beta: Array, clip: Array, distance: Array) -> Array:
    """Lemma F.4: |(Delta_pi - Delta)^2 - (Delta_pi' - Delta)^2| <= 8*beta*Bc*eps.

    beta > 0 is the KL strength; `clip`, Bc >= 0, bounds |Delta_pi|, |Delta_pi'| and |Delta|; `distance` is eps =
    sup|log pi/pi'| >= 0.
    """
    strength, level = real("beta", beta, 0, open_low=True), real("clip", clip, 0)
    # The largest times the smallest first: no product of two leaves the float range unless all three do.
    low, middle, high = np.sort(np.stack(np.broadcast_arrays(strength, level, real("distance", distance, 0))), axis=0)
    with np.errstate(over="ignore"):
        return result(8 * (high * low * middle))


def effective_dimension(eigenvalues: ArrayLike, ridge: float) -> float:
    """d_lambda = sum_i lambda_i/(lambda_i + lambda); in [0, rank], decreasing in lambda.

    >>> effective_dimension([1.0, 1.0, 0.0], 1.0)
    1.0
    """
    values = _eigenvalues(eigenvalues)
    level = float(real("ridge", ridge, 0, open_low=True))
    with np.errstate(divide="ignore", over="ignore"):
        return float((1 / (1 + level / values)).sum())


def effective_dimension_bound(eigenvalues: ArrayLike, ridge: float, kept: int) -> float:
    """Eq. 149: d_lambda <= k + (1/lambda)*sum_{i>k} lambda_i, for any whole k >= 0, eigenvalues in falling order."""
    values = np.sort(_eigenvalues(eigenvalues))[::-1]
    k, level = whole("kept", kept, 0), float(real("ridge", ridge, 0, open_low=True))
    with np.errstate(over="ignore"):
        return k + float((values[k:] / level).sum())


def exponential_decay_bound(scale: float, rate: float, ridge: float) -> float:
    """Lemma G.4, regime A: lambda_i <= C e^{-a i} gives d_lambda <= k + C e^{-a(k+1)}/(lambda(1 - e^{-a})), k =
    ceil(log(C/lambda)/a); rate: a > 0.

    Corollary G.5: order log(1/lambda)/a; lambda = 1/d gives order log d.
    """
    c, a = float(real("scale", scale, 0, open_low=True)), float(real("rate", rate, 0, open_low=True))
    level = float(real("ridge", ridge, 0, open_low=True))
    with np.errstate(over="ignore"):
        k = max(0.0, _ceil((log_ratio := np.log(c) - np.log(level)) / a))
        return k + float(np.exp(log_ratio - a * (k + 1)) / -np.expm1(-a))


def polynomial_decay_bound(scale: float, power: float, ridge: float) -> float:
    """Lemma G.4, regime B: lambda_i <= C i^{-p}, p > 1, gives d_lambda <= k + C k^{1-p}/((p-1) lambda), k =
    ceil((C/lambda)^{1/p}). Corollary G.6: order (C/lambda)^{1/p}.
    """
    c, p = float(real("scale", scale, 0, open_low=True)), float(real("power", power, 1, open_low=True))
    level = float(real("ridge", ridge, 0, open_low=True))
    with np.errstate(over="ignore"):
        k = max(1.0, _ceil(np.exp((log_ratio := np.log(c) - np.log(level)) / p)))
        return k + float(np.exp(log_ratio + (1 - p) * np.log(k)) / (p - 1))


def spike_bound(dimension: int, rank: int, tail: float, ridge: float) -> float:
    """Regime C: a spike of rank k in [0, d] and a tail at most tau >= 0 give d_lambda <= k + (d-k)*tau/(lambda + tau).
    d and k are whole.
    """
    d = whole("dimension", dimension, 1)
    k, tau, level = whole("rank", rank, 0, d), real("tail", tail, 0), real("ridge", ridge, 0, open_low=True)
    with np.errstate(divide="ignore", over="ignore"):
        return k + float((d - k) / (1 + level / tau))


@dataclass(frozen=True, slots=True)
class FisherSpectrum:
    """Spectrum of F(theta) = E_x[Cov_{y~pi}(phi(x, y))]. Not kappa: a different quantity that some texts call by its
    name.

    Attributes:
        eigenvalues: in falling order, (d,).
        condition_number: lambda_max/lambda_min over eigenvalues above the cut-off; inf where none is.
        rank: eigenvalues above the cut-off.
        cutoff: the relative cut-off.
    """

    eigenvalues: np.ndarray
    condition_number: float
    rank: int
    cutoff: float


def fisher_spectrum(
    features: ArrayLike, logprobs: ArrayLike, weights: ArrayLike | None = None, cutoff: float = 1e-10
) -> FisherSpectrum:
    """Eigenvalues of the Fisher information of a linear softmax policy.

    Args:
        features: phi, (P, M, d), entries within 1e150 (the theory has ||phi|| <= 1).
        logprobs: log pi(y|x), (P, M); every row sums to 1 within 1e-6.
        weights: prompt probabilities, (P,), >= 0, positive sum; normalised here. Default: uniform.
        cutoff: relative to the largest eigenvalue, in (0, 1).
    """
    phi = real("features", features, -1e150, 1e150)  # squares must stay in the float range
    probabilities = np.exp(real("logprobs", logprobs, high=ROUNDING, infinite=True))
    if phi.ndim != 3 or probabilities.shape != phi.shape[:2]:
        raise InputError(
            f"features have shape {phi.shape} and logprobs {probabilities.shape}; give (P, M, d) and (P, M)"
        )
    if (abs(probabilities.sum(axis=1) - 1) > ROUNDING).any():
        raise InputError("logprobs has a row that does not sum to 1")
    share = checked(np.zeros(len(phi)), weights)[1]
    share = np.full(len(phi), 1 / len(phi)) if share is None else share
    level = float(real("cutoff", cutoff, 0, 1, open_low=True, open_high=True))
    unit = max(float(abs(phi).max()), 1e-300)  # squares of tiny features must not vanish
    phi = phi / unit
    centred = phi - np.einsum("pm,pmd->pd", probabilities, phi)[:, None]
    matrix = np.einsum("p,pm,pmd,pme->de", share, probabilities, centred, centred, optimize=True)
    values = np.maximum(np.linalg.eigvalsh(matrix)[::-1], 0.0)
    above = values[values > level * values[0]]
    number = float(above[0] / above[-1]) if len(above) else float("inf")
    return FisherSpectrum(values * unit**2, number, len(above), level)


def _ceil(value: float) -> float:
    """The ceiling, forgiving what rounding adds to a whole number; the bounds that use it hold for every k."""
    return float(np.ceil(value * (1 - 1e-12)))


def _eigenvalues(values: ArrayLike) -> np.ndarray:
    found = np.atleast_1d(real("eigenvalues", values, 0))
    if found.ndim != 1:
        raise InputError(f"eigenvalues have shape {found.shape}; give a vector")
    return found
