"""What is measured of a split, against the definitions; what floats cannot hold is told by its logarithm."""

import json
import math

import numpy as np
import pytest

from srlm.measure.round import measure_round
from srlm.measure.split import measure_split
from srlm.records.responses import Complete, ModeBracket, Response, Rollout
from srlm.records.rounds import RoundRecord, SplitRecord


def response(token: int, logprob: float, correct: bool | None = None) -> Response:
    return Response(Complete((token, 0), logprob, True), f"w{token}", correct, 1.0, 2.0)


def rollout(*logprobs: float) -> Rollout:
    return Rollout(0, tuple(response(at, value, at == 0) for at, value in enumerate(logprobs)))


def proved(logprob: float, margin: float, token: int = 0) -> ModeBracket:
    mode = response(token, logprob, True)
    return ModeBracket((mode,), logprob, logprob, True, mode, margin)


def measured(rollouts: list[Rollout], modes: list[ModeBracket]) -> SplitRecord:
    split = measure_split(rollouts, modes, modes, beta=1.0)
    assert split is not None
    json.dumps(split.model_dump(mode="json"), allow_nan=False)
    return split


def test_the_numbers_are_their_definitions() -> None:
    split = measured(
        [rollout(-1.0, -2.0), rollout(-0.5, -0.5)], [proved(math.log(0.25), 1.0), proved(math.log(0.8), 0.5)]
    )
    assert split.kappa.lower == split.kappa.upper == pytest.approx((4 + 1.25) / 2)
    assert split.failure_rate.lower == 0.5
    assert split.min_confidence is not None
    assert split.min_confidence.upper == pytest.approx(0.25)
    assert (split.margin, split.median_margin, split.margin_note) == (0.5, 0.75, None)
    assert split.accuracy.sample == 0.5
    assert split.population is not None
    # Known: the mode (the first sample, too) and the second sample. Nothing else is known, so whatever is left may be
    # one response as likely as it can be (P8 iii with the empty prefix open).
    known = [{0.25, math.exp(-2)}, {0.8, math.exp(-0.5)}]
    lower = [sum(p**2 for p in some) / max(some) ** 2 for some in known]
    upper = [low + (1 - min(1, sum(some))) / max(some) ** 2 for low, some in zip(lower, known, strict=True)]
    assert split.population.exact_round is not None
    assert split.population.exact_round.lower == pytest.approx(np.mean(lower))
    assert split.population.exact_round.upper == pytest.approx(np.mean(upper), rel=1e-6)


def test_the_only_possible_response_has_an_infinite_margin_and_the_round_is_written_all_the_same() -> None:
    split = measured([rollout(0.0)], [proved(0.0, math.inf)])
    assert (split.margin, split.median_margin) == (None, None)
    assert split.margin_note is not None
    assert split.population is not None
    assert split.population.exact_round is not None
    assert split.population.exact_round.lower == pytest.approx(1.0)
    record = measure_round(0, ["train"], [rollout(0.0)], [proved(0.0, math.inf)], base=[proved(0.0, 0.1)], beta=1.0)
    text = json.dumps(record.to_document(), allow_nan=False)
    assert RoundRecord.model_validate(json.loads(text)) == record


def test_long_answers_are_told_by_their_logarithms() -> None:
    split = measured([rollout(-2000.0, -2001.0)], [proved(-2000.0, 0.5)])
    assert (split.kappa.lower, split.kappa.upper) == (None, None)
    assert split.log_kappa is not None
    assert split.log_kappa.lower == pytest.approx(2000)
    assert split.min_confidence is not None
    assert split.min_confidence.lower is None
    assert split.log_min_confidence is not None
    assert split.log_min_confidence.upper == pytest.approx(-2000)
    assert split.population is not None
    assert split.population.exact_round is not None
    assert split.population.exact_round.upper is None
    assert split.population.log_exact_round is not None
    # All but the known responses may be one response: its mass over p(y*)^2.
    assert split.population.log_exact_round.upper == pytest.approx(4000)


def test_an_empty_split_has_no_measurements() -> None:
    assert measure_split([], [], [], beta=1.0) is None
