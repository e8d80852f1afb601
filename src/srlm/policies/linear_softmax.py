"""Linear softmax policies, pi_theta(y|x) proportional to exp(<phi(x,y), theta>) (docs/theory: linear-softmax).

Knows: features and parameters, and what both say exactly: log-probabilities, Fisher information, feature covariance.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from srlm.errors import InputError
from srlm.policies.tabular import TabularPolicy
from srlm.theory.spectrum import FisherSpectrum, fisher_spectrum


@dataclass(frozen=True)
class LinearSoftmaxPolicy:
    """A point of the class.

    Attributes:
        features: phi, (P, M, d).
        theta: parameters, (d,).
    """

    features: np.ndarray
    theta: np.ndarray

    def __post_init__(self) -> None:
        check_features(self.features)
        if self.theta.shape != (self.features.shape[2],) or not np.isfinite(self.theta).all():
            raise InputError(f"theta has shape {self.theta.shape}; give {self.features.shape[2]} finite numbers")

    def tabular(self) -> TabularPolicy:
        """The policy as a table."""
        return TabularPolicy.from_logits(self.features @ self.theta)

    def fisher(self, cutoff: float = 1e-10) -> FisherSpectrum:
        """Spectrum of F(theta) = E_x[Cov_{y~pi}(phi)]; a different quantity from kappa."""
        return fisher_spectrum(self.features, self.tabular().logprobs, cutoff=cutoff)

    def feature_covariance(self) -> np.ndarray:
        """(d, d), Sigma = E_{x, y~pi}[phi phi^T]."""
        share = np.exp(self.tabular().logprobs) / len(self.features)
        flat = self.features.reshape(-1, self.features.shape[2])
        return flat.T @ (flat * share.reshape(-1, 1))


def check_features(features: ArrayLike) -> np.ndarray:
    """Features as (P, M, d); float32 is kept (arithmetic on them is float64), everything else becomes float64.

    Raises:
        InputError: another shape, or entries that are not finite.
    """
    found = np.asarray(features)
    if found.dtype != np.float32:
        found = found.astype(np.float64, copy=False)
    if found.ndim != 3 or found.size == 0:
        raise InputError(f"features have shape {found.shape}; give (prompts, responses, dimensions)")
    wrong = sum(int((~np.isfinite(rows)).sum()) for rows in found)  # row by row: no second array of that size
    if wrong:
        raise InputError(f"features hold {wrong} entries that are not finite")
    return found
