"""Decay regimes are recognised, and their bounds dominate the effective dimension (lemma G.4)."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from srlm.measure.decay import best_fit, fit_decay
from srlm.theory.spectrum import effective_dimension

D = 64
INDEX = np.arange(1, D + 1)
SPECTRA = {
    "A": 0.5 * np.exp(-0.2 * INDEX),
    "B": 0.5 * INDEX**-1.7,
    "C": np.where(INDEX <= 5, 0.3, 0.001),
}


@pytest.mark.parametrize("regime", SPECTRA)
def test_a_spectrum_made_by_a_regime_is_recognised_with_its_parameters(regime: str) -> None:
    noise = np.exp(np.random.default_rng(1).normal(0, 0.05, D))
    fits = fit_decay(np.sort(SPECTRA[regime] * noise)[::-1], 1 / D, D)
    best = best_fit(fits)
    assert best is not None
    assert best.regime == regime
    expected = {"A": ("rate", 0.2), "B": ("power", 1.7), "C": ("rank", 5.0)}[regime]
    assert best.parameters[expected[0]] == pytest.approx(expected[1], rel=0.05)


@given(
    st.lists(st.floats(1e-5, 1.0), min_size=8, max_size=40),
    st.floats(1e-4, 0.5),
    st.integers(0, 20),
)
def test_every_regimes_bound_dominates_the_effective_dimension(values: list[float], ridge: float, hidden: int) -> None:
    kept = np.sort(values)[::-1]
    # Eigenvalues left out as noise are at most the last one kept: the worst case is equal to it.
    whole = np.concatenate([kept, np.full(hidden, kept[-1])])
    for fit in fit_decay(kept, ridge, len(whole)):
        if fit.effective_dimension_bound is not None:
            assert fit.effective_dimension_bound >= effective_dimension(whole, ridge) * (1 - 1e-9)


def test_a_spectrum_of_no_regime_has_no_good_fit() -> None:
    # Straight in neither logarithm: falls along a staircase of five steps.
    steps = np.repeat([1.0, 0.3, 0.29, 1e-3, 0.9e-3], 12) * np.linspace(1, 0.999, 60)
    fits = fit_decay(np.sort(steps)[::-1], 1 / 60, 60)
    assert best_fit([fit for fit in fits if fit.regime != "C"]) is None


def test_too_few_or_equal_eigenvalues_have_no_decay() -> None:
    assert fit_decay([1.0] * 5, 0.1, 5) == []
    assert fit_decay([1.0] * 30, 0.1, 30) == []
    assert best_fit([]) is None
