"""The shape of a forecast of rounds to come, and of what it is made from.

Knows: fields, units, domains. Numbers that are not finite are None or left out; what can overflow has its logarithm
beside it. Refuses to know: how a forecast is made.
"""

from pydantic import Field

from srlm.records.bracket import Bracket, Interval, Number, Record, Share


class ForecastRecord(Record):
    """After `round` exact rounds from the policy that was measured, pi^power renormalised (P8 iterated).

    Attributes:
        kappa, log_kappa, failure_rate, sample_accuracy: brackets that hold at these prompts for exact rounds; the last
            is None where no answer is known.
        kappa_point, log_kappa_point, sample_accuracy_point: what samples outside the known responses make likely.
        projection_kappa: kappa of the projection onto all known responses, what updates by projection aim at.
        intervals: of `kappa`, `failure_rate`, `sample_accuracy`: bootstrap over prompts around both ends of a bracket,
            for prompts like these. One that has an infinite end is left out.
    """

    round: int = Field(ge=0)
    power: Number
    kappa: Bracket
    log_kappa: Bracket
    failure_rate: Bracket
    kappa_point: Number | None = None
    log_kappa_point: Number | None = None
    projection_kappa: Number | None = None
    sample_accuracy: Bracket | None = None
    sample_accuracy_point: Share | None = None
    intervals: dict[str, Interval] = Field(default_factory=dict)


class Forecast(Record):
    """A forecast of rounds 0 to T at one KL strength, and the sentences without which it may not be read."""

    beta: Number
    rounds: tuple[ForecastRecord, ...]
    assumes: tuple[str, ...]


class KnownResponses(Record):
    """What is known of one prompt's responses: enough to forecast rounds of any beta. Log-probabilities in nats.

    Attributes:
        best: of the responses that the search kept, likeliest first, at least one.
        certified: whether the first is the mode.
        open_prefixes, dropped_mass, dropped_logprob: what holds every other response, see `responses.Outside`; the last
            is None where nothing was dropped.
        samples, times: of the different responses drawn, at least one, and how often each was.
        sample_known: whether each is among the best.
        best_right, sample_right: right or wrong; None where nobody knows.
        open_texts: of the first so many open prefixes.
    """

    best: tuple[Number, ...] = Field(min_length=1)
    certified: bool
    open_prefixes: tuple[Number, ...]
    dropped_mass: Share
    dropped_logprob: Number | None
    samples: tuple[Number, ...] = Field(min_length=1)
    times: tuple[int, ...]
    sample_known: tuple[bool, ...]
    best_right: tuple[bool, ...] | None = None
    sample_right: tuple[bool, ...] | None = None
    open_texts: tuple[str, ...] = ()
