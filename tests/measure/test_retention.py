"""What is left of the base model, against laws small enough to write down."""

import math
import random

import pytest

from srlm.measure.retention import retention
from srlm.records.responses import Complete, Response, Rollout
from srlm.records.rounds import RetentionRecord, RoundRecord

BASE, NOW = (0.5, 0.3, 0.2), (0.8, 0.15, 0.05)


def sampled(tokens: list[int]) -> Rollout:
    return Rollout(0, tuple(Response(Complete((token,), math.log(BASE[token]), True)) for token in tokens))


def now(rollouts: list[Rollout]) -> list[list[float]]:
    return [[math.log(NOW[response.tokens[0]]) for response in one.responses] for one in rollouts]


def test_the_estimate_is_the_divergence_over_many_samples() -> None:
    rng = random.Random(1)
    rollouts = [sampled(rng.choices(range(3), BASE, k=4)) for _ in range(4000)]
    found = retention(rollouts, now(rollouts))
    truth = sum(p * math.log(p / q) for p, q in zip(BASE, NOW, strict=True))
    assert found.kl_base is not None
    assert found.kl_base_se is not None
    assert abs(found.kl_base - truth) < 4 * found.kl_base_se
    variance = sum(p * (math.log(p / q) - truth) ** 2 for p, q in zip(BASE, NOW, strict=True))
    assert found.kl_base_se == pytest.approx(math.sqrt(variance / 16000), rel=0.1)
    assert found.responses == 16000


def test_prompts_count_by_their_responses_and_round_00_keeps_everything() -> None:
    rollouts = [sampled([0]), sampled([1, 2, 2])]
    shift = [[-1.0], [-2.0, -3.0, -4.0]]
    moved = [
        [r.logprob + d for r, d in zip(one.responses, of, strict=True)] for one, of in zip(rollouts, shift, strict=True)
    ]
    assert retention(rollouts, moved).kl_base == pytest.approx((1 + 2 + 3 + 4) / 4)
    same = retention(rollouts, [one.logprobs for one in rollouts], [-6.0, -2.0], [-6.0, -2.0], tokens=4)
    assert (same.kl_base, same.kl_base_se, same.text, same.text_base, same.tokens) == (0.0, 0.0, -2.0, -2.0, 4)


def test_text_is_told_a_token() -> None:
    found = retention([], [], [-10.0, -20.0], [-5.0, -7.0], tokens=6)
    assert (found.kl_base, found.responses) == (None, 0)
    assert (found.text, found.text_base) == (pytest.approx(-5.0), pytest.approx(-2.0))


def test_what_no_double_holds_is_none_and_what_does_not_fit_is_refused() -> None:
    found = retention([sampled([0, 1])], [[-math.inf, -1.0]], [-math.inf], [-1.0], tokens=3)
    assert (found.kl_base, found.kl_base_se, found.text) == (None, None, None)
    with pytest.raises(ValueError, match="zip"):
        retention([sampled([0, 1])], [[-1.0]])
    with pytest.raises(ValueError, match="1 passages now, 0 at round 00"):
        retention([], [], [-1.0])


def test_a_round_carries_it_and_older_rounds_do_without() -> None:
    record = RoundRecord(round=1, retention=RetentionRecord(kl_base=0.5, responses=8))
    assert RoundRecord.model_validate(record.to_document()) == record
    assert RoundRecord.model_validate({"round": 0}).retention is None
