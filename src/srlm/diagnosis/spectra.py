"""The `effective_dimension` part of a diagnosis: how many directions of a model's features count, and how sure that is.

Knows: spectra and what corollary 6.4 makes of them (docs/theory: linear-softmax): the effective dimension takes the
place of d in the number of samples that theory asks for. Refuses to know: prompts, how spectra are shown.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from srlm.lm.features import FeatureSpectrum, WeightSpectrum, measure_features, weight_matrices, weight_spectrum
from srlm.measure.decay import GOOD_FIT, best_fit, fit_decay
from srlm.records.progress import Progress
from srlm.records.responses import TokenGroup
from srlm.records.spectra import AtRidge, Decay, DecayFit, EffectiveDimension, FisherRecord, WeightRecord
from srlm.theory.spectrum import effective_dimension

# Most eigenvalues written to the record; their number is there beside them.
_SHOWN = 512


def describe_spectra(
    model: Any,
    groups: Sequence[TokenGroup],
    *,
    tree_attention: bool,
    progress: Progress | None = None,
) -> EffectiveDimension:
    """Spectra of features, of the Fisher information and of weights.

    Args:
        model: a causal model in evaluation mode.
        groups: prompts with their sampled responses.
        tree_attention: the model passed `has_tree_attention`.
        progress: called with (prompts done, prompts in all).
    """
    features = measure_features(model, groups, tree_attention=tree_attention, progress=progress)
    weights = tuple(describe_weights(weight_spectrum(name, one)) for name, one in weight_matrices(model))
    return describe_features(features, weights)


def describe_features(spectrum: FeatureSpectrum, weights: tuple[WeightRecord, ...] = ()) -> EffectiveDimension:
    """Effective dimension and decay of E[h h^T], at lambda = 1/d (corollary G.5)."""
    values, width = spectrum.eigenvalues, len(spectrum.eigenvalues)
    ridge = 1.0 / width
    above = values[values > spectrum.noise_floor * values[0]]
    few = (
        f"{spectrum.distinct} distinct positions for {width} directions: small eigenvalues are underestimated; give "
        "more prompts or more samples"
    )
    return EffectiveDimension(
        value=effective_dimension(values, ridge),
        ridge=ridge,
        dimension=width,
        by_ridge=tuple(
            AtRidge(ridge=level, value=effective_dimension(values, level)) for level in (1e-1, 1e-2, 1e-3, 1e-4, 1e-5)
        ),
        positions=spectrum.positions,
        distinct_positions=spectrum.distinct,
        rank=len(above),
        trace=float(values.sum()),
        largest_norm=spectrum.largest_norm,
        eigenvalues=tuple(values[:_SHOWN].tolist()),
        decay=describe_decay(fit_decay(above, ridge, width)),
        warning=few if spectrum.distinct < 4 * width else None,
        fisher=describe_fisher(spectrum),
        weights=weights,
    )


def describe_fisher(spectrum: FeatureSpectrum) -> FisherRecord:
    """Spectrum and condition number of the Fisher information about h.

    The condition number is meaningless where small eigenvalues are rounding noise: then it is given over those above
    the noise, with a warning.
    """
    values, width = spectrum.fisher, len(spectrum.fisher)
    largest = float(values[0])
    above = values[values > spectrum.noise_floor * largest] if largest > 0 else values[:0]
    warning = None
    if not len(above):
        warning = "every eigenvalue is zero: next tokens are certain, and the condition number is not defined"
    elif len(above) < width:
        warning = (
            f"{width - len(above)} of {width} eigenvalues lie below the rounding noise of the hidden states "
            f"({spectrum.noise_floor:.1e} of the largest): the condition number over all of them is meaningless, and "
            "the one given is over the others"
        )
    return FisherRecord(
        condition_number=float(above[0] / above[-1]) if len(above) else None,
        rank=len(above),
        cutoff=spectrum.noise_floor,
        meaningful=warning is None,
        warning=warning,
        trace=float(values.sum()),
        eigenvalues=tuple(values[:_SHOWN].tolist()),
    )


def describe_weights(spectrum: WeightSpectrum) -> WeightRecord:
    """Spectrum of one W^T W, scaled to a largest eigenvalue of 1 for its effective dimension and decay."""
    largest = float(spectrum.eigenvalues[0])
    scaled = spectrum.eigenvalues / largest if largest > 0 else spectrum.eigenvalues
    ridge = 1.0 / min(spectrum.shape)
    values = scaled[scaled > np.finfo(np.float32).eps]
    fits = fit_decay(values, ridge, len(scaled)) if spectrum.whole else []
    return WeightRecord(
        name=spectrum.name,
        shape=tuple(spectrum.shape),
        largest=largest,
        stable_rank=spectrum.stable_rank,
        effective_dimension=effective_dimension(scaled, ridge) if spectrum.whole else None,
        ridge=ridge,
        by_lanczos=not spectrum.whole,
        decay=describe_decay(fits).best,
    )


def describe_decay(fits: Sequence[DecayFit]) -> Decay:
    """The regimes that were tried, best first, and which fits."""
    best = best_fit(fits)
    if not fits:
        sentence = "too few different eigenvalues to tell how they decay"
    elif best is None:
        sentence = f"no regime fits (the best, {fits[0].name}, explains {fits[0].r_squared:.0%})"
    else:
        sentence = f"{best.name} decay (regime {best.regime}) explains {best.r_squared:.1%} of the log spectrum"
    return Decay(best=best and best.regime, sentence=sentence, good_fit=GOOD_FIT, regimes=tuple(fits))
