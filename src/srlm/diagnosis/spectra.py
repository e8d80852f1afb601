"""The `effective_dimension` part of a diagnosis: how many directions of a model's features count, and how sure that is.

Knows: spectra and what corollary 6.4 makes of them (theory.md section 5). The effective dimension takes the place of d
in the number of samples that theory asks for.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from srlm.lm.features import FeatureSpectrum, WeightSpectrum, measure_features, weight_matrices, weight_spectrum
from srlm.measure.decay import GOOD_FIT, NAMES, DecayFit, best_fit, fit_decay
from srlm.records.progress import Progress
from srlm.records.responses import TokenGroup
from srlm.theory.spectrum import effective_dimension

# Most eigenvalues written to the record; their number is there beside them.
_SHOWN = 512


def describe_spectra(
    model: Any,
    groups: Sequence[TokenGroup],
    *,
    tree_attention: bool,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Spectra of features, of the Fisher information and of weights, as JSON values.

    Args:
        model: a causal model in evaluation mode.
        groups: prompts with their sampled responses.
        tree_attention: the model passed `has_tree_attention`.
        progress: called with (prompts done, prompts in all).

    Returns:
        `value`: d_lambda at lambda = `ridge` = 1/d (as in corollary G.5); `by_ridge`: at others; `decay`: the regimes;
        `fisher`; `weights`; `warning`: None, or why the numbers must be read with care.
    """
    found = measure_features(model, groups, tree_attention=tree_attention, progress=progress)
    weights = [describe_weights(weight_spectrum(name, one)) for name, one in weight_matrices(model)]
    return describe_features(found) | {"fisher": describe_fisher(found), "weights": weights}


def describe_features(found: FeatureSpectrum) -> dict[str, Any]:
    """Effective dimension and decay of E[h h^T], as JSON values."""
    values, width = found.eigenvalues, len(found.eigenvalues)
    ridge = 1.0 / width
    above = values[values > found.noise_floor * values[0]]
    fits = fit_decay(above, ridge, width)
    few = found.distinct < 4 * width
    return {
        "value": effective_dimension(values, ridge),
        "ridge": ridge,
        "dimension": width,
        "by_ridge": [
            {"ridge": level, "value": effective_dimension(values, level)} for level in (1e-1, 1e-2, 1e-3, 1e-4, 1e-5)
        ],
        "positions": found.positions,
        "distinct_positions": found.distinct,
        "rank": len(above),
        "trace": float(values.sum()),
        "largest_norm": found.largest_norm,
        "eigenvalues": [float(value) for value in values[:_SHOWN]],
        "decay": describe_decay(fits),
        "warning": (
            f"{found.distinct} distinct positions for {width} directions: small eigenvalues are underestimated; give "
            "more prompts or more samples"
            if few
            else None
        ),
    }


def describe_fisher(found: FeatureSpectrum) -> dict[str, Any]:
    """Spectrum and condition number of the Fisher information about h, as JSON values.

    The condition number is that of [W]'s linear softmax, not kappa. It is meaningless where small eigenvalues are
    rounding noise: then it is given over those above the noise, with a warning.
    """
    values, width = found.fisher, len(found.fisher)
    largest = float(values[0])
    above = values[values > found.noise_floor * largest] if largest > 0 else values[:0]
    warning = None
    if not len(above):
        warning = "every eigenvalue is zero: next tokens are certain, and the condition number is not defined"
    elif len(above) < width:
        warning = (
            f"{width - len(above)} of {width} eigenvalues lie below the rounding noise of the hidden states "
            f"({found.noise_floor:.1e} of the largest): the condition number over all of them is meaningless, and the "
            "one given is over the others"
        )
    return {
        "condition_number": float(above[0] / above[-1]) if len(above) else None,
        "rank": len(above),
        "cutoff": found.noise_floor,
        "meaningful": warning is None,
        "warning": warning,
        "trace": float(values.sum()),
        "eigenvalues": [float(value) for value in values[:_SHOWN]],
    }


def describe_weights(found: WeightSpectrum) -> dict[str, Any]:
    """Spectrum of one W^T W scaled to a largest eigenvalue of 1, as JSON values."""
    largest = float(found.eigenvalues[0])
    scaled = found.eigenvalues / largest if largest > 0 else found.eigenvalues
    ridge = 1.0 / min(found.shape)
    values = scaled[scaled > np.finfo(np.float32).eps]
    fits = fit_decay(values, ridge, len(scaled)) if found.whole else []
    return {
        "name": found.name,
        "shape": list(found.shape),
        "largest": largest,
        "stable_rank": found.stable_rank,
        "effective_dimension": effective_dimension(scaled, ridge) if found.whole else None,
        "ridge": ridge,
        "by_lanczos": not found.whole,
        "decay": describe_decay(fits)["best"],
    }


def describe_decay(fits: Sequence[DecayFit]) -> dict[str, Any]:
    """The regimes that were tried, and which fits, as JSON values."""
    best = best_fit(fits)
    if not fits:
        sentence = "too few different eigenvalues to tell how they decay"
    elif best is None:
        sentence = f"no regime fits (the best, {NAMES[fits[0].regime]}, explains {fits[0].r_squared:.0%})"
    else:
        sentence = (
            f"{NAMES[best.regime]} decay (regime {best.regime}) explains {best.r_squared:.1%} of the log spectrum"
        )
    return {
        "best": None if best is None else best.regime,
        "sentence": sentence,
        "good_fit": GOOD_FIT,
        "regimes": [
            {
                "regime": one.regime,
                "name": NAMES[one.regime],
                "parameters": dict(one.parameters),
                "r_squared": one.r_squared,
                "information": one.information,
                "effective_dimension_bound": one.dimension_bound,
            }
            for one in fits
        ],
    }
