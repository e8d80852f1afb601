"""Fates, flips and what is kept, against counts by hand and by brute force over small rounds made at random."""

import math
import random
from itertools import product

import pytest

from srlm.measure.fates import FATES, counts, fates, kept_probabilities, majority_outcomes, moved
from srlm.measure.round import measure_round
from srlm.measure.split import measure_samples, measure_split
from srlm.records.responses import Complete, ModeBracket, Response, Rollout
from srlm.records.rounds import RoundRecord

# What a response says, by its first token; 7 is right. Tokens 3 and 4 give the same answer in different words.
SAYS = {1: "5", 2: "6", 3: "7", 4: "it is 7", 5: "none"}


def response(token: int, logprob: float) -> Response:
    return Response(Complete((token, 0), logprob, True), SAYS[token], token in (3, 4))


def bracket(token: int, probability: float, certified: bool = True) -> ModeBracket:
    mode, logprob = response(token, math.log(probability)), math.log(probability)
    return ModeBracket((mode,), logprob, logprob if certified else 0.0, certified, mode, 0.1 if certified else 0.0)


def rollout(*tokens: int) -> Rollout:
    return Rollout(0, tuple(response(token, -float(token)) for token in tokens))


def test_a_fate_is_what_was_right_and_what_is_right() -> None:
    outcomes = (True, False, None)
    for before, now in product(outcomes, outcomes):
        (found,) = fates([before], [now])
        if before is None or now is None:
            assert found is None
            continue
        assert found in FATES
        assert (found in ("kept", "learned")) == now
        assert (found in ("kept", "corrupted")) == before


def test_every_fate_is_counted_and_unknown_ones_are_not() -> None:
    assert counts(["kept", None, "kept", "corrupted"]) == {"kept": 2, "learned": 0, "corrupted": 1, "still_wrong": 0}
    assert counts([None]) == {}


def test_the_majority_is_of_answers_and_not_of_responses() -> None:
    # 5 is the most frequent text with two of five; 7 is said three times, in two ways.
    assert majority_outcomes([rollout(1, 1, 3, 4, 3), rollout(1, 1, 3)]) == [True, False]


def test_only_certified_modes_move_or_are_kept() -> None:
    base = [bracket(3, 0.2), bracket(3, 0.2), bracket(3, 0.2), bracket(3, 0.2, certified=False)]
    now = [bracket(3, 0.8), bracket(1, 0.9), bracket(3, 0.7, certified=False), bracket(3, 0.6)]
    assert moved(now, base) == [False, True, None, None]
    assert kept_probabilities(now, base) == [pytest.approx(0.8), 0.0, 0.0, None]


def test_precision_lowers_what_is_kept() -> None:
    base, now = [bracket(3, 0.2)], [bracket(3, 0.8).widened(0.05)]
    assert kept_probabilities(now, base) == [pytest.approx(0.8 * math.exp(-0.05))]


def test_what_is_kept_bounds_the_probability_of_the_first_modes_from_below() -> None:
    # Policies over three responses, so that the probability of a first mode is looked up, not measured.
    rng = random.Random(0)
    for _ in range(200):
        laws = [[[rng.random() ** 4 for _ in range(3)] for _ in range(6)] for _ in range(2)]
        laws = [[[p / sum(row) for p in row] for row in law] for law in laws]
        tops = [[max(range(3), key=row.__getitem__) for row in law] for law in laws]
        base, now = (
            [bracket(1 + top, row[top], rng.random() < 0.8) for row, top in zip(law, top_of, strict=True)]
            for law, top_of in zip(laws, tops, strict=True)
        )
        asked = [at for at in range(6) if base[at].certified]
        split = measure_split([rollout(1, 2)] * 6, now, base)
        assert split is not None
        if not asked:
            assert split.kept_confidence is None
            continue
        truth = sum(laws[1][at][tops[0][at]] for at in asked) / len(asked)
        still = [at for at in asked if now[at].certified and tops[1][at] == tops[0][at]]
        assert split.kept_confidence == pytest.approx(sum(laws[1][at][tops[1][at]] for at in still) / len(asked))
        assert split.kept_confidence <= truth + 1e-12
        mean = split.kept_confidence
        values = [laws[1][at][tops[1][at]] if at in still else 0.0 for at in asked]
        if len(asked) == 1:
            assert split.kept_confidence_se is None
        else:
            spread = sum((value - mean) ** 2 for value in values) / (len(asked) - 1) / len(asked)
            assert split.kept_confidence_se == pytest.approx(math.sqrt(spread))


ROUNDS = {
    "base": [bracket(3, 0.2), bracket(1, 0.2), bracket(3, 0.2), bracket(2, 0.2)],
    "first": [bracket(3, 0.5), bracket(4, 0.5), bracket(1, 0.5), bracket(2, 0.5)],
    "second": [bracket(3, 0.9), bracket(4, 0.9), bracket(2, 0.9), bracket(1, 0.9, certified=False)],
}
SAMPLES = [rollout(3, 3, 4, 1), rollout(1, 1, 2, 3), rollout(1, 2, 3, 4), rollout(5, 5, 5, 5)]


def test_a_round_tells_fates_flips_and_diversity() -> None:
    split = measure_split(
        SAMPLES, ROUNDS["second"], ROUNDS["base"], previous=ROUNDS["first"], base_rollouts=[rollout(1, 1)] * 4
    )
    assert split is not None
    # Prompts 0 to 3: right still; wrong, now right; right, now wrong; wrong still.
    assert split.fates["mode"] == {"kept": 1, "learned": 1, "corrupted": 1, "still_wrong": 1}
    # Majorities of the samples: 7, 5, 7 and none; of round 00 always 5.
    assert split.fates["majority"] == {"kept": 0, "learned": 2, "corrupted": 0, "still_wrong": 2}
    assert split.flips == pytest.approx(1 / 3)  # prompt 3 is not certified
    assert split.mode_drift == pytest.approx(2 / 3)
    assert split.distinct == pytest.approx((3 + 3 + 4 + 1) / 4 / 4)
    assert split.kept_confidence == pytest.approx(0.9 / 4)


def test_what_was_not_given_is_left_out() -> None:
    split = measure_split(SAMPLES, ROUNDS["first"], ROUNDS["base"])
    assert split is not None
    assert split.flips is None
    assert set(split.fates) == {"mode"}


def test_every_split_is_compared_with_its_own_prompts() -> None:
    record = measure_round(
        2,
        ["train", "held_out", "train", "held_out"],
        SAMPLES,
        ROUNDS["second"],
        base=ROUNDS["base"],
        base_rollouts=[rollout(1, 1)] * 4,
        previous=ROUNDS["first"],
    )
    assert record.train is not None
    assert record.held_out is not None
    assert record.train.fates["mode"] == {"kept": 1, "learned": 0, "corrupted": 1, "still_wrong": 0}
    assert record.held_out.fates["mode"] == {"kept": 0, "learned": 1, "corrupted": 0, "still_wrong": 1}
    assert (record.train.flips, record.held_out.flips) == (0.5, 0.0)
    assert RoundRecord.model_validate(record.to_document()) == record


def test_samples_alone_leave_open_what_needs_modes() -> None:
    split = measure_samples(SAMPLES)
    assert split is not None
    assert (split.kappa.lower, split.kappa.upper) == (None, None)
    assert (split.failure_rate.lower, split.failure_rate.upper) == (0.0, 1.0)
    assert (split.kept_confidence, split.flips, split.fates) == (None, None, {})
    assert split.accuracy.sample == pytest.approx((3 + 1 + 2 + 0) / 16)
    assert set(split.intervals) == {"sample_accuracy"}
    assert measure_samples([]) is None
