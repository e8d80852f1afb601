"""The spectra of a diagnosis: what is said about them, and when it must be read with care."""

from typing import Any

import numpy as np
import pytest

from srlm.diagnosis.spectra import describe_decay, describe_features, describe_fisher, describe_weights
from srlm.lm.features import FeatureSpectrum, WeightSpectrum
from srlm.theory.spectrum import effective_dimension


def spectrum(values: Any, fisher: Any = None, distinct: int = 10_000, precision: float = 1e-7) -> FeatureSpectrum:
    values = np.asarray(values, dtype=float)
    return FeatureSpectrum(values, values if fisher is None else np.asarray(fisher), 20_000, distinct, 2.0, precision)


def test_value_is_the_theorys_effective_dimension_at_one_over_d() -> None:
    values = 0.3 * np.arange(1, 33) ** -1.5
    said = describe_features(spectrum(values))
    assert said.value == pytest.approx(effective_dimension(values, 1 / 32))
    assert said.decay.best == "B"
    for regime in said.decay.regimes:
        bound = regime.effective_dimension_bound
        assert bound is None or bound >= said.value
    levels = [one.value for one in said.by_ridge]
    assert levels == sorted(levels)  # the smaller lambda, the more directions count


def test_few_positions_are_said_to_hide_small_eigenvalues() -> None:
    assert "give more prompts" in describe_features(spectrum(np.ones(16) / 16, distinct=20)).warning
    assert describe_features(spectrum(np.ones(16) / 16, distinct=64)).warning is None


def test_a_condition_number_above_the_noise_is_exact_and_below_it_is_called_meaningless() -> None:
    clean = describe_fisher(spectrum(np.ones(4), fisher=[8.0, 4.0, 2.0, 1.0]))
    assert clean.condition_number == 8.0
    assert clean.meaningful
    noisy = describe_fisher(spectrum(np.ones(4), fisher=[8.0, 4.0, 2.0, 1e-9]))
    assert noisy.condition_number == 4.0
    assert not noisy.meaningful
    assert "1 of 4" in noisy.warning
    nothing = describe_fisher(spectrum(np.ones(2), fisher=[0.0, 0.0]))
    assert nothing.condition_number is None
    assert "not defined" in nothing.warning


def test_weights_found_by_lanczos_claim_no_effective_dimension() -> None:
    values = 5.0 * np.arange(1, 21) ** -2.0
    whole = describe_weights(WeightSpectrum("w", (20, 40), values, float(values.sum()), True))
    assert whole.effective_dimension == pytest.approx(effective_dimension(values / 5.0, 1 / 20))
    assert whole.decay == "B"
    some = describe_weights(WeightSpectrum("w", (4000, 4000), values, 100.0, False))
    assert some.effective_dimension is None
    assert some.by_lanczos
    assert some.stable_rank == pytest.approx(20.0)
    assert describe_weights(WeightSpectrum("w", (3, 3), np.zeros(3), 0.0, True)).stable_rank == 0.0


def test_decay_says_when_nothing_fits() -> None:
    assert "too few" in describe_decay([]).sentence
    assert describe_decay([]).best is None
