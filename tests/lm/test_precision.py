"""Lower precisions: what widens a bracket, what restores the weights, and where NaN comes from."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch

from srlm.lm.mode_search import search_modes
from srlm.lm.precision import in_float32, locate_nan, with_errors
from srlm.lm.scoring import score_responses
from srlm.records.responses import Complete, ModeBracket, Response, SearchStatus, widen

PROMPTS = [[3, 4, 5], [3, 4], [2], [5, 4, 3, 2, 3]]


def bracket(lower: float, upper: float, margin: float, certified: bool) -> ModeBracket:
    best, other = Response(Complete((1, 0), lower, True)), Response(Complete((2, 0), lower - margin, True))
    return ModeBracket((best, other), lower, upper, certified, best, margin, 2 * certified)


def test_weights_are_restored_bit_for_bit(tiny_llama: Callable[..., Any]) -> None:
    model = tiny_llama(1, torch.bfloat16)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with in_float32(model):
        assert model.dtype == torch.float32
        assert all(value.dtype == torch.float32 for value in model.state_dict().values())
    after = model.state_dict()
    assert all(torch.equal(after[name], value) and after[name].dtype == value.dtype for name, value in before.items())


def test_the_reference_precision_has_no_error(tiny_llama: Callable[..., Any]) -> None:
    (one,) = with_errors(tiny_llama(), [[1]], [bracket(-123.0, -123.0, 1.0, True)])
    assert one.error == 0.0


def test_the_error_is_the_modes_difference_from_float32_and_the_largest_widens_all(
    tiny_llama: Callable[..., Any],
) -> None:
    model = tiny_llama(1, torch.bfloat16)
    rough = with_errors(model, PROMPTS, search_modes(model, PROMPTS, max_new_tokens=3, end_token_ids={0}))
    groups = [(prompt, [one.mode.tokens]) for prompt, one in zip(PROMPTS, rough, strict=True)]
    exact = score_responses(tiny_llama(1, torch.bfloat16).float(), groups, tree_attention=False)
    expected = [abs(value - one.mode.logprob) for (value,), one in zip(exact, rough, strict=True)]
    assert [one.error for one in rough] == pytest.approx(expected)
    assert max(expected) > 0
    for one, wide in zip(rough, widen(rough), strict=True):
        assert wide.widening == max(one.error for one in rough)
        assert wide.logprob_lower == one.logprob_lower - wide.widening
        assert wide.mode.logprob == one.mode.logprob  # the value is no end


@pytest.mark.parametrize("seed", range(6))
def test_widened_bfloat16_brackets_hold_the_exact_mode(tiny_llama: Callable[..., Any], seed: int) -> None:
    options: dict[str, Any] = {"max_new_tokens": 3, "end_token_ids": {0}}
    model = tiny_llama(seed, torch.bfloat16, vocab_size=6, sharpness=0.5)
    rough = with_errors(model, PROMPTS, search_modes(model, PROMPTS, **options))
    exact = search_modes(tiny_llama(seed, torch.bfloat16, vocab_size=6, sharpness=0.5).float(), PROMPTS, **options)
    for wide, truth in zip(widen(rough), exact, strict=True):
        assert wide.logprob_lower - 1e-6 <= truth.logprob_lower
        # The measured error is that of the modes found; a likelier response not found may err a little more.
        assert truth.logprob_upper <= wide.logprob_upper + wide.widening
        if wide.certified:
            assert wide.mode.tokens == truth.mode.tokens


def test_a_lead_within_the_error_is_not_certified() -> None:
    sure = bracket(-1.0, -1.0, 0.5, True).widened(0.1)
    assert sure.certified
    assert sure.margin_lower == pytest.approx(0.3)
    assert (sure.logprob_lower, sure.logprob_upper) == (pytest.approx(-1.1), pytest.approx(-0.9))
    close = bracket(-1.0, -1.0, 0.1, True).widened(0.1)
    assert not close.certified
    assert close.margin_lower == 0.0
    assert close.status is SearchStatus.BUDGET
    assert bracket(-0.01, -0.01, 5.0, True).widened(0.1).logprob_upper == 0.0
    same = bracket(-1.0, -0.5, 0.0, False)
    assert same.widened(0.0) is same
    assert math.isinf(bracket(-1.0, -1.0, math.inf, True).widened(0.1).margin_lower)


def test_nan_is_traced_to_the_prompt_and_the_innermost_module(tiny_llama: Callable[..., Any]) -> None:
    model = tiny_llama()
    assert locate_nan(model, PROMPTS) is None
    with torch.no_grad():
        model.model.embed_tokens.weight[2] = torch.nan
    found = locate_nan(model, [[3, 4], [5, 2]])
    assert found is not None
    assert (found.prompt, found.module) == (2, "model.embed_tokens")
    model = tiny_llama()
    with torch.no_grad():
        model.model.layers[1].mlp.down_proj.weight[0, 0] = torch.inf
    found = locate_nan(model, [[3, 4]])
    assert found is not None
    assert (found.prompt, found.module) == (1, "model.layers.1.mlp.down_proj")
