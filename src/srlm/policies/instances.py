"""Named instances: the policies that the theory and its experiments are about.

Knows: how each is built. Randomness is a generator.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from srlm.errors import InputError
from srlm.policies.autoregressive import AutoregressivePolicy
from srlm.policies.linear_softmax import LinearSoftmaxPolicy
from srlm.theory.lower_bound import greedy_trap as trap_of

Regime = Literal["A", "B", "C"]


def greedy_trap_tree(mode_probability: float, excess: float) -> AutoregressivePolicy:
    """Proposition 4.3 as a tree of two steps: greedy decoding walks into the trap and misses the mode."""
    trap = trap_of(mode_probability, excess)
    tokens = max(3, trap.continuations)
    q, first = trap.mode_probability, np.zeros(tokens)
    first[0], first[1] = q, q + excess
    rest = 1 - first.sum()
    # What neither the mode nor the trap takes is spread so thin that none of it beats the mode.
    spread = max(tokens, 2 + int(np.ceil(rest / (0.5 * q)))) if rest > 1e-15 else tokens
    first = np.r_[first, np.zeros(spread - tokens)]
    first[2:] = rest / (spread - 2)
    second = np.zeros((spread, spread))
    second[0, 0] = 1.0
    second[1, : trap.continuations] = 1 / trap.continuations
    second[2:, 0] = 1.0
    with np.errstate(divide="ignore"):
        return AutoregressivePolicy((np.log(first)[None, :], np.log(second)), ends=False)


def random_softmax(
    rng: np.random.Generator, prompts: int = 200, responses: int = 50, dimensions: int = 32, radius: float = 8.0
) -> LinearSoftmaxPolicy:
    """Features even on the unit ball's sphere, parameters of norm `radius` in a random direction."""
    if min(prompts, responses, dimensions) < 1 or radius < 0:
        raise InputError("prompts, responses and dimensions must be at least 1, radius at least 0")
    features = rng.standard_normal((prompts, responses, dimensions))
    features /= np.linalg.norm(features, axis=-1, keepdims=True)
    theta = rng.standard_normal(dimensions)
    return LinearSoftmaxPolicy(features, radius * theta / np.linalg.norm(theta))


def spectrum_of(regime: Regime, dimensions: int, strength: float) -> np.ndarray:
    """d >= 1 eigenvalues of assumption G.3, largest 1: (A) exp(-a(i-1)); (B) i^(-p); (C) k ones over a tail of 1e-3.
    `strength` is a > 0, p > 1, or k >= 1.
    """
    index = np.arange(dimensions)
    if regime == "A" and strength > 0:
        return np.exp(-strength * index)
    if regime == "B" and strength > 1:
        return (1.0 + index) ** -strength
    if regime == "C" and 1 <= strength <= dimensions:
        return np.where(index < int(strength), 1.0, 1e-3)
    raise InputError(f"regime is {regime!r} with strength {strength}; use A (> 0), B (> 1) or C (1 to dimensions)")


def controlled_spectrum(
    rng: np.random.Generator,
    regime: Regime,
    strength: float,
    prompts: int = 100,
    responses: int = 30,
    dimensions: int = 64,
    radius: float = 8.0,
) -> LinearSoftmaxPolicy:
    """Features whose covariance has the eigenvalues of `spectrum_of`, up to a common scale that keeps ||phi|| <= 1."""
    values = spectrum_of(regime, dimensions, strength)
    features = rng.standard_normal((prompts, responses, dimensions)) * np.sqrt(values)
    features /= np.linalg.norm(features, axis=-1).max()
    theta = rng.standard_normal(dimensions)
    return LinearSoftmaxPolicy(features, radius * theta / np.linalg.norm(theta))


@dataclass(frozen=True)
class LabelledPolicy:
    """A policy on a real task.

    Attributes:
        policy: linear softmax over classes.
        correct: (P,) true class of each prompt.
    """

    policy: LinearSoftmaxPolicy
    correct: np.ndarray


def digits(labelled: int = 60, inverse_penalty: float = 5.0, seed: int = 0) -> LabelledPolicy:
    """scikit-learn's handwritten digits: 10 classes, a softmax policy fitted on few labels, asked about the others.

    phi(x, y) places the image (scaled to norm at most 1, with a constant) in the block of class y, so d = 650. The seed
    says which images, at least 10, are labelled; C > 0 is that of scikit-learn's logistic regression: small means
    unsure.
    """
    from sklearn.datasets import load_digits
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import train_test_split

    if labelled < 10 or inverse_penalty <= 0:
        raise InputError(f"labelled is {labelled} and inverse_penalty {inverse_penalty}; need at least 10 and above 0")
    images, labels = load_digits(return_X_y=True)
    images = np.c_[images, np.full(len(images), 8.0)]
    images = images / np.linalg.norm(images, axis=1).max()
    known, rest, targets, correct = train_test_split(
        images, labels, train_size=labelled, stratify=labels, random_state=seed
    )
    fitted = LogisticRegression(C=inverse_penalty, fit_intercept=False, max_iter=2000).fit(known, targets)
    pixels = images.shape[1]
    features = np.zeros((len(rest), 10, 10 * pixels))
    for label in range(10):
        features[:, label, label * pixels : (label + 1) * pixels] = rest
    return LabelledPolicy(LinearSoftmaxPolicy(features, fitted.coef_.ravel().copy()), np.asarray(correct))
