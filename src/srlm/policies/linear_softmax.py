"""Linear softmax policies, pi_theta(y|x) proportional to exp(<phi(x,y), theta>) (docs/theory: linear-softmax).

Knows: features and parameters, and what both say exactly: log-probabilities and Fisher information.
Refuses to know: how parameters are learned.
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
        features: phi, (P, M, d), as `as_features` gives them.
        theta: parameters, (d,), float64.
    """

    features: np.ndarray
    theta: np.ndarray

    def __post_init__(self) -> None:
        object.__setattr__(self, "features", as_features(self.features))
        object.__setattr__(self, "theta", np.asarray(self.theta, dtype=np.float64))
        if self.theta.shape != (self.features.shape[2],) or not np.isfinite(self.theta).all():
            raise InputError(f"theta has shape {self.theta.shape}; give {self.features.shape[2]} finite numbers")

    def tabular(self) -> TabularPolicy:
        """The policy as a table."""
        return TabularPolicy.from_logits(self.features @ self.theta)

    def fisher(self, cutoff: float = 1e-10) -> FisherSpectrum:
        """Spectrum of F(theta) = E_x[Cov_{y~pi}(phi)]; a different quantity from kappa."""
        return fisher_spectrum(self.features, self.tabular().logprobs, cutoff=cutoff)


def as_features(features: ArrayLike) -> np.ndarray:
    """Features as (P, M, d); float32 is kept (arithmetic on them is float64), everything else becomes float64.

    Raises:
        InputError: no numbers, another shape, or entries that are not finite.
    """
    try:
        phi = np.asarray(features)
        if phi.dtype != np.float32:
            phi = phi.astype(np.float64, copy=False)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"features are no table of numbers ({error}); give (prompts, responses, dimensions)"
        ) from error
    if phi.ndim != 3 or phi.size == 0:
        raise InputError(f"features have shape {phi.shape}; give (prompts, responses, dimensions)")
    wrong = sum(int((~np.isfinite(rows)).sum()) for rows in phi)  # row by row: no second array of that size
    if wrong:
        raise InputError(f"features hold {wrong} entries that are not finite")
    return phi
