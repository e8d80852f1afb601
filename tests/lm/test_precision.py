"""Lower precisions: what widens a bracket, what restores the weights, and where NaN comes from."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch

from srlm.lm._frontier import Complete
from srlm.lm.mode_search import ModeBracket, SearchStatus, search_modes
from srlm.lm.precision import in_float32, locate_nan, measured_error, widened
from srlm.lm.scoring import score_responses

PROMPTS = [[3, 4, 5], [3, 4], [2], [5, 4, 3, 2, 3]]


def bracket(lower: float, upper: float, margin: float, certified: bool) -> ModeBracket:
    best, other = Complete((1, 0), lower, True), Complete((2, 0), lower - margin, True)
    status = SearchStatus.CERTIFIED if certified else SearchStatus.BUDGET
    return ModeBracket(best, lower, upper, certified, other, certified, margin, best, 3, 3, status)


def test_weights_are_restored_bit_for_bit(tiny_llama: Callable[..., Any]) -> None:
    model = tiny_llama(1, torch.bfloat16)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with in_float32(model):
        assert model.dtype == torch.float32
        assert all(value.dtype == torch.float32 for value in model.state_dict().values())
    after = model.state_dict()
    assert all(torch.equal(after[name], value) and after[name].dtype == value.dtype for name, value in before.items())


def test_the_reference_precision_has_no_error(tiny_llama: Callable[..., Any]) -> None:
    assert measured_error(tiny_llama(), [([1], [[2]])], [[123.0]]) == 0.0


def test_the_error_is_the_largest_difference_from_float32(tiny_llama: Callable[..., Any]) -> None:
    model = tiny_llama(1, torch.bfloat16)
    groups = [(prompt, [[1, 2, 0], [4, 0]]) for prompt in PROMPTS]
    found = score_responses(model, groups, tree_attention=False)
    exact = score_responses(tiny_llama(1, torch.bfloat16).float(), groups, tree_attention=False)
    expected = max(abs(a - b) for x, y in zip(found, exact, strict=True) for a, b in zip(x, y, strict=True))
    assert measured_error(model, groups, found) == pytest.approx(expected)
    assert expected > 0


@pytest.mark.parametrize("seed", range(6))
def test_widened_bfloat16_brackets_hold_the_exact_mode(tiny_llama: Callable[..., Any], seed: int) -> None:
    options: dict[str, Any] = {"max_new_tokens": 3, "end_token_ids": {0}}
    model = tiny_llama(seed, torch.bfloat16, vocab_size=6, sharpness=0.5)
    rough = search_modes(model, PROMPTS, **options)
    groups = [(prompt, [one.mode.tokens]) for prompt, one in zip(PROMPTS, rough, strict=True)]
    error = measured_error(model, groups, [[one.mode.logprob] for one in rough])
    exact = search_modes(tiny_llama(seed, torch.bfloat16, vocab_size=6, sharpness=0.5).float(), PROMPTS, **options)
    for one, truth in zip(rough, exact, strict=True):
        wide = widened(one, error)
        assert wide.logprob_lower - 1e-6 <= truth.logprob_lower
        # The measured error is that of the modes found; a likelier response not found may err a little more.
        assert truth.logprob_upper <= wide.logprob_upper + error
        if wide.certified:
            assert wide.mode.tokens == truth.mode.tokens


def test_a_lead_within_the_error_is_not_certified() -> None:
    sure = widened(bracket(-1.0, -1.0, 0.5, True), 0.1)
    assert sure.certified
    assert sure.margin_lower == pytest.approx(0.3)
    assert (sure.logprob_lower, sure.logprob_upper) == (pytest.approx(-1.1), pytest.approx(-0.9))
    close = widened(bracket(-1.0, -1.0, 0.1, True), 0.1)
    assert not close.certified
    assert close.margin_lower == 0.0
    assert close.status is SearchStatus.BUDGET
    assert widened(bracket(-0.01, -0.01, 5.0, True), 0.1).logprob_upper == 0.0
    same = bracket(-1.0, -0.5, 0.0, False)
    assert widened(same, 0.0) is same
    assert math.isinf(widened(bracket(-1.0, -1.0, math.inf, True), 0.1).margin_lower)


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
