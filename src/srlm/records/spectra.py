"""The spectra in a diagnosis: of final hidden states, of the Fisher information, of weights.

Knows: fields and units (docs/theory: linear-softmax). Refuses to know: models, how eigenvalues are computed or fitted.
"""

from typing import Literal

from srlm.records.bracket import Number, Record, Share

Regime = Literal["A", "B", "C"]


class DecayFit(Record):
    """One regime fitted to one spectrum.

    Attributes:
        regime: A: lambda_i <= C e^{-a i}; B: lambda_i <= C i^{-p}; C: k large ones, the rest at most tau.
        name: the regime's.
        parameters: A: scale, rate; B: scale, power; C: rank, level, tail. Scale and tail are those of the envelope.
        r_squared: share of the variance of log eigenvalues that the fit explains; can be negative.
        information: Bayes' information criterion; smaller is better.
        effective_dimension_bound: the regime's bound at the envelope; None where it does not apply (p <= 1).
    """

    regime: Regime
    name: str
    parameters: dict[str, Number]
    r_squared: Number
    information: Number
    effective_dimension_bound: Number | None


class Decay(Record):
    """The regimes that were tried, best first, and which fits (None: none does), in a sentence too."""

    best: Regime | None
    sentence: str
    good_fit: Share
    regimes: tuple[DecayFit, ...]


class FisherRecord(Record):
    """The Fisher information of next tokens about the final hidden state.

    Attributes:
        condition_number: of the linear softmax (docs/theory: linear-softmax), not kappa; over the `rank` eigenvalues
            above the rounding noise `cutoff`. None where there are none.
        meaningful: whether that is all of them; otherwise `warning` says what is amiss.
        trace, eigenvalues: in the units of the output head's rows; the largest eigenvalues, falling.
    """

    condition_number: Number | None
    rank: int
    cutoff: Number
    meaningful: bool
    warning: str | None
    trace: Number
    eigenvalues: tuple[Number, ...]


class WeightRecord(Record):
    """Spectrum of one W^T W; `effective_dimension` (at `ridge`, scaled to a largest eigenvalue of 1) and `decay` are
    None where Lanczos saw only the largest eigenvalues, or no regime fits.
    """

    name: str
    shape: tuple[int, ...]
    largest: Number
    stable_rank: Number
    effective_dimension: Number | None
    ridge: Number
    by_lanczos: bool
    decay: Regime | None


class AtRidge(Record):
    """An effective dimension at one lambda."""

    ridge: Number
    value: Number


class EffectiveDimension(Record):
    """How many directions of the final hidden states count (docs/theory: linear-softmax).

    Attributes:
        value, ridge, dimension: d_lambda at lambda = `ridge` = 1/d (corollary G.5), of d = `dimension`.
        by_ridge: at other lambdas.
        positions, distinct_positions: response positions with multiplicity, and those run through the model.
        rank: eigenvalues above the rounding noise.
        trace, eigenvalues: of E[h h^T], max ||h|| = 1; the largest eigenvalues, falling.
        largest_norm: max ||h|| before scaling.
        decay: how the eigenvalues fall.
        warning: None, or why the numbers must be read with care.
        fisher, weights: spectra of the Fisher information and of the weights.
    """

    value: Number
    ridge: Number
    dimension: int
    by_ridge: tuple[AtRidge, ...]
    positions: int
    distinct_positions: int
    rank: int
    trace: Number
    largest_norm: Number
    eigenvalues: tuple[Number, ...]
    decay: Decay
    warning: str | None
    fisher: FisherRecord
    weights: tuple[WeightRecord, ...]
