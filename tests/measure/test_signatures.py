"""Signatures: each speaks where its definition holds, and only there."""

import copy
import json
import math
from typing import Any

import pytest

from srlm.measure.signatures import SIGNATURES, signatures
from srlm.measure.symptoms import Thresholds
from srlm.records.rounds import RoundRecord


def metrics(kappa: float = 20.0, **changes: Any) -> dict[str, Any]:
    """A round of a healthy run, with `changes`."""
    log = math.log(kappa)
    base: dict[str, Any] = {
        "prompts": 48,
        "kappa": {"lower": kappa, "upper": kappa},
        "log_kappa": {"lower": log, "upper": log},
        "failure_rate": {"lower": 0.9, "upper": 0.9},
        "median_margin": 0.6,
        "certified_share": 1.0,
        "informative_pairs": 0.9,
        "mode_drift": 0.0,
        "mean_response_tokens": 10.0,
        "cut_share": 0.5,
        "self_reward_mean": -20.0,
        "accuracy": {"sample": 0.3, "greedy": 0.7, "mode": 0.8},
        "commonest_mode_share": 0.1,
        "tokens": {"sampled": 100, "trained": 100},
        "held_out": held_out(),
    }
    return base | changes


def held_out(**accuracy: float) -> dict[str, Any]:
    half = {"lower": 0.5, "upper": 0.5}
    known = {"sample": 0.5, "greedy": 0.7, "mode": 0.8} | accuracy
    return {"prompts": 24, "kappa": {"lower": 9.0, "upper": 9.0}, "failure_rate": half, "accuracy": known}


HALF = {"lower": 0.5, "upper": 0.5}


def kept(confidence: float, error: float | None = 0.05) -> dict[str, Any]:
    return held_out() | {"kept_confidence": confidence, "kept_confidence_se": error}


def tied(share: float) -> dict[str, Any]:
    return {"mean": 0.0, "std": 1.0, "min": -1.0, "max": 1.0, "at_top": 0.1, "tied_pairs": share}


HEALTHY = [
    metrics(50.0, self_reward_mean=-24.0),
    metrics(6.6, self_reward_mean=-5.0, failure_rate={"lower": 0.85, "upper": 0.85}, cut_share=0.1),
    metrics(2.8, self_reward_mean=-2.4, failure_rate={"lower": 0.6, "upper": 0.6}, cut_share=0.0),
    metrics(2.1, self_reward_mean=-1.7, failure_rate={"lower": 0.4, "upper": 0.4}, mean_response_tokens=6.0),
]


def records(history: list[dict[str, Any]]) -> list[RoundRecord]:
    return [RoundRecord.model_validate({"round": at} | one) for at, one in enumerate(history)]


def names(history: list[dict[str, Any]]) -> set[str]:
    return {one.name for one in signatures(records(history))}


def test_a_healthy_run_shows_none_at_any_round() -> None:
    for length in range(1, 5):
        assert names(HEALTHY[:length]) == set()


PLANTED: dict[str, list[dict[str, Any]]] = {
    "kappa_rises": [metrics(20.0), metrics(30.0)],
    "kappa_stalls": [
        metrics(20.0, failure_rate={"lower": 0.95, "upper": 0.95}),
        metrics(19.9),
        metrics(20.1),
    ],
    "failure_stays": [metrics(20.0), metrics(10.0), metrics(5.0)],
    "margin_collapses": [metrics(20.0), metrics(10.0, median_margin=0.29)],
    "informative_pairs_vanish": [metrics(20.0), metrics(1.1, informative_pairs=0.05)],
    "modes_drift": [metrics(20.0), metrics(10.0, mode_drift=0.3)],
    "modes_flip": [metrics(20.0), metrics(10.0, flips=0.5), metrics(5.0, flips=0.4, failure_rate=HALF)],
    "peaked": [
        metrics(20.0, held_out=kept(0.1)),
        metrics(10.0, held_out=kept(0.6)),
        metrics(5.0, held_out=kept(0.4), failure_rate=HALF),
    ],
    "length_collapses": [metrics(20.0), metrics(10.0, mean_response_tokens=3.0)],
    "length_explodes": [metrics(20.0), metrics(10.0, mean_response_tokens=30.0)],
    "accuracy_falls": [metrics(20.0), metrics(10.0, self_reward_mean=-5.0, held_out=held_out(greedy=0.3))],
    "one_answer_for_all": [metrics(20.0), metrics(10.0, commonest_mode_share=0.6)],
    "rewards_tie": [metrics(20.0), metrics(10.0, reward=tied(0.95))],
}


def test_every_signature_has_a_planted_history() -> None:
    assert set(PLANTED) == set(SIGNATURES)


@pytest.mark.parametrize("name", sorted(PLANTED))
def test_a_signature_speaks_where_it_was_planted_and_no_other_does(name: str) -> None:
    found = signatures(records(PLANTED[name]))
    assert [one.name for one in found] == [name]
    assert found[0].round == len(PLANTED[name]) - 1
    assert found[0].values
    assert found[0].advice
    json.dumps(found[0].model_dump(mode="json"), allow_nan=False)


def just_inside(name: str) -> list[dict[str, Any]]:
    """The planted history, moved to the quiet side of the threshold."""
    history = copy.deepcopy(PLANTED[name])
    last = history[-1]
    quiet: dict[str, dict[str, Any]] = {
        "kappa_rises": {"log_kappa": {"lower": math.log(20) + 0.2, "upper": math.log(20) + 0.2}},
        "kappa_stalls": {"log_kappa": {"lower": 0.94 * math.log(20), "upper": 0.94 * math.log(20)}},
        "failure_stays": {"failure_rate": {"lower": 0.89, "upper": 0.89}},
        "margin_collapses": {"median_margin": 0.31},
        "informative_pairs_vanish": {"informative_pairs": 0.11},
        "modes_drift": {"mode_drift": 0.25},
        "modes_flip": {"flips": 0.34},
        "peaked": {"held_out": kept(0.47)},
        "length_collapses": {"mean_response_tokens": 3.6},
        "length_explodes": {"mean_response_tokens": 28.0},
        "accuracy_falls": {"held_out": held_out(greedy=0.5)},
        "one_answer_for_all": {"commonest_mode_share": 0.49},
        "rewards_tie": {"reward": tied(0.89)},
    }
    last |= quiet[name]
    return history


@pytest.mark.parametrize("name", sorted(PLANTED))
def test_a_signature_is_silent_just_inside_its_threshold(name: str) -> None:
    assert names(just_inside(name)) == set()


@pytest.mark.parametrize("name", sorted(PLANTED))
def test_what_was_not_measured_is_not_held_against_a_run(name: str) -> None:
    bare = [RoundRecord(round=number) for number in range(3)]
    assert SIGNATURES[name].find(bare, Thresholds()) is None


def test_a_bracket_that_allows_the_healthy_reading_is_given_it() -> None:
    log = math.log(20)
    unproved = metrics(30.0, log_kappa={"lower": log, "upper": log + 2})
    assert names([metrics(20.0), unproved]) == set()
    assert names([metrics(20.0), metrics(10.0, median_margin=0.1, certified_share=0.5)]) == set()


def test_accuracy_is_judged_on_trained_prompts_where_none_are_held_out() -> None:
    before, after = metrics(20.0, held_out=None), metrics(10.0, held_out=None, self_reward_mean=-5.0)
    assert names([before, after]) == set()
    after["accuracy"] = {"sample": 0.3, "greedy": 0.2, "mode": 0.8}
    assert names([before, after]) == {"accuracy_falls"}


def test_a_fall_within_two_standard_errors_is_no_signature() -> None:
    # 24 prompts: sqrt((0.7*0.3 + 0.55*0.45)/24) = 0.138, and 0.15 is less than twice that.
    after = metrics(10.0, self_reward_mean=-5.0, held_out=held_out(greedy=0.55))
    assert names([metrics(20.0), after]) == set()


def test_thresholds_can_be_moved() -> None:
    history = [metrics(20.0), metrics(10.0, mode_drift=0.3)]
    assert signatures(records(history), Thresholds(drift=0.4)) == ()


def test_modes_that_settle_after_the_first_round_are_silent_and_such_as_keep_changing_are_not() -> None:
    """The default run moved 12 % of its modes in round 01 and 0 to 5 % later; a collapsed one moves most of them."""
    for course, speaks in (
        ([0.12, 0.0, 0.05], False),
        ([0.12, 0.15, 0.19], False),  # too few to tell
        ([0.88, 0.5, 0.3], False),  # far from settled, settling
        ([0.5], False),
        ([0.88, 0.7], True),
        ([0.1, 0.3], True),
        ([1.0, 1.0, 1.0], True),
        ([0.51], True),  # most modes at once
    ):
        history = [metrics(20.0), *(metrics(20.0 / 2**at, flips=share) for at, share in enumerate(course))]
        assert ("modes_flip" in names(history)) == speaks, course


def test_a_peak_is_a_rise_and_a_fall_beyond_chance() -> None:
    def speaks(*scores: float, error: float | None = 0.05, base: float = 0.1) -> bool:
        return "peaked" in names([metrics(20.0, held_out=kept(score, error)) for score in (base, *scores)])

    assert not speaks(0.4, 0.7, 0.8)
    assert speaks(0.05, 0.0, error=0.01), "round 00 may be the best"
    assert speaks(0.2, 0.14, error=0.01), "more than a quarter"
    assert not speaks(0.2, 0.16, error=0.01)
    assert not speaks(0.05, 0.0), "base and fall are within their errors"
    assert speaks(0.2, 0.8, 0.75, 0.5), "the best round may lie further back"
    assert not speaks(0.6, 0.51), "less than a tenth"
    # Standard errors of 0.1: the difference of independent rounds has 0.141, and 0.25 is less than twice that.
    assert speaks(0.6, 0.3, error=0.1)
    assert not speaks(0.6, 0.35, error=0.1)
    assert not speaks(0.9, 0.1, error=None), "a single prompt has no error"


def test_a_peak_of_trained_prompts_counts_where_no_held_out_prompt_is_certified() -> None:
    rounds = [metrics(20.0, kept_confidence=score, kept_confidence_se=0.01) for score in (0.1, 0.6, 0.3)]
    (found,) = (one for one in signatures(records(rounds)) if one.name == "peaked")
    assert "train prompts" in found.evidence
    assert found.values == {"base": 0.1, "best": 0.6, "now": 0.3, "standard_error": pytest.approx(0.01 * 2**0.5)}


def test_a_monotone_history_is_silent() -> None:
    rounds = [
        metrics(
            20.0 / 2**at,
            held_out=kept(1 - 0.9 / 2**at),
            flips=0.4 / 2**at,
            failure_rate={"lower": 0.9 / 2**at, "upper": 0.9 / 2**at},
        )
        for at in range(5)
    ]
    for length in range(1, 6):
        assert names(rounds[:length]) == set()


def test_modes_are_called_proved_only_where_no_precision_widened_their_brackets() -> None:
    history = [metrics(20.0), metrics(10.0, mode_drift=0.3)]
    assert "30% of the proved modes" in signatures(records(history))[0].evidence
    history[0]["numerics"] = {"engine": "e", "dtype": "bfloat16", "widened": 0.25}
    assert "30% of the modes certified up to an error of 0.25 nats (an estimate)" in (
        signatures(records(history))[0].evidence
    )
