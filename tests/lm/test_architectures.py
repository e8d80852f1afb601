"""Mode search, sampling and scoring on every supported family, against one forward pass a prefix."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from srlm.diagnosis.families import FAMILIES, FamilySettings, build
from srlm.lm.mode_search import search_modes
from srlm.lm.sampling import draw_uniforms, sample_responses
from srlm.lm.scoring import has_tree_attention, score_responses

VOCABULARY = 6
LIMIT = 3
# Of different lengths, so that padding would be seen; longer than the Gemma family's sliding window of 4.
PROMPTS = [[3, 4, 5, 1, 2, 4, 3], [3, 4], [2], [5, 4, 3, 2, 3]]


@pytest.fixture(params=sorted(FAMILIES))
def family(request: pytest.FixtureRequest) -> str:
    return request.param


def sharp(family: str, seed: int = 0) -> Any:
    """A random model whose next-token distributions are not nearly uniform."""
    model = build(family, FamilySettings(width=16, seed=seed), VOCABULARY)
    with torch.no_grad():
        head = model.get_output_embeddings().weight
        head.copy_(torch.randn(head.shape, generator=torch.Generator().manual_seed(seed)) / 2)
    return model


def every_response(model: Any, prompt: list[int]) -> dict[tuple[int, ...], float]:
    """Each prefix on its own: no batch, no padding, no cache."""
    found: dict[tuple[int, ...], float] = {}
    open_: dict[tuple[int, ...], float] = {(): 0.0}
    for _ in range(LIMIT):
        onward: dict[tuple[int, ...], float] = {}
        for prefix, total in open_.items():
            with torch.inference_mode():
                logits = model(torch.tensor([[*prompt, *prefix]]), use_cache=False).logits[0, -1]
            for token, logprob in enumerate(logits.double().log_softmax(-1).tolist()):
                longer = (*prefix, token)
                (found if token == 0 or len(longer) == LIMIT else onward)[longer] = total + logprob
        open_ = onward
    return found


@pytest.fixture
def truths(family: str) -> tuple[Any, list[dict[tuple[int, ...], float]]]:
    model = sharp(family)
    return model, [every_response(model, prompt) for prompt in PROMPTS]


def test_mode_runner_up_margin_and_kappa_equal_brute_force(truths: tuple[Any, list[Any]]) -> None:
    model, tables = truths
    found = search_modes(model, PROMPTS, max_new_tokens=LIMIT, end_token_ids={0}, after_proof=1e6)
    for bracket, table in zip(found, tables, strict=True):
        ranked = sorted(table.values(), reverse=True)
        assert bracket.certified
        assert bracket.proved > 1
        assert bracket.runner_up is not None
        assert bracket.logprob_lower == pytest.approx(ranked[0], abs=1e-4)
        assert bracket.runner_up.logprob == pytest.approx(ranked[1], abs=1e-4)
        assert bracket.margin_lower == pytest.approx(ranked[0] - ranked[1], abs=2e-4)
    kappa = np.mean([math.exp(-one.logprob_lower) for one in found])
    assert kappa == pytest.approx(np.mean([math.exp(-max(table.values())) for table in tables]), rel=1e-3)


@pytest.mark.parametrize("budget", range(1, 9))
def test_brackets_hold_the_truth_at_every_budget(truths: tuple[Any, list[Any]], budget: int) -> None:
    model, tables = truths
    found = search_modes(model, PROMPTS, max_new_tokens=LIMIT, end_token_ids={0}, max_expansions=budget)
    for bracket, table in zip(found, tables, strict=True):
        assert bracket.logprob_lower - 1e-4 <= max(table.values()) <= bracket.logprob_upper + 1e-4
        assert bracket.expansions <= budget


def test_samples_carry_their_true_log_probability(truths: tuple[Any, list[Any]]) -> None:
    model, tables = truths
    uniforms = draw_uniforms(0, 0, range(len(PROMPTS)), 12, LIMIT)
    rollouts = sample_responses(model, PROMPTS, uniforms, end_token_ids={0}, tree_attention=has_tree_attention(model))
    for rollout, table in zip(rollouts, tables, strict=True):
        for one in rollout.responses:
            assert one.logprob == pytest.approx(table[one.tokens], abs=1e-4)
    groups = [(prompt, rollout.tokens) for prompt, rollout in zip(PROMPTS, rollouts, strict=True)]
    scored = score_responses(model, groups, tree_attention=has_tree_attention(model))
    for values, rollout in zip(scored, rollouts, strict=True):
        assert values == pytest.approx(rollout.logprobs, abs=1e-4)


def test_sliding_windows_never_pass_for_tree_attention_however_long_the_window() -> None:
    from transformers import MistralConfig, MistralForCausalLM

    shape: dict[str, Any] = {
        "vocab_size": VOCABULARY, "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2,
        "num_attention_heads": 2, "num_key_value_heads": 1,
    }  # fmt: skip
    assert not has_tree_attention(MistralForCausalLM(MistralConfig(**shape, sliding_window=64)).eval())
    assert has_tree_attention(MistralForCausalLM(MistralConfig(**shape, sliding_window=None)).eval())


def test_families_that_keep_everything_take_the_fast_path_and_the_others_do_not(family: str) -> None:
    assert has_tree_attention(sharp(family)) == (family in ("Llama", "GPT-2", "Qwen3"))


@pytest.mark.parametrize("ends", [{0}, {0, 3}, {1, 2, 5}])
def test_several_end_tokens_and_padding_change_nothing(tiny_llama: Callable[..., Any], ends: set[int]) -> None:
    model = tiny_llama(4, torch.float64, vocab_size=VOCABULARY, sharpness=0.5)
    options: dict[str, Any] = {"max_new_tokens": LIMIT, "end_token_ids": ends, "after_proof": 1e6}
    together = search_modes(model, PROMPTS, **options)
    for prompt, bracket in zip(PROMPTS, together, strict=True):
        alone = search_modes(model, [prompt], **options)[0]
        assert bracket.mode.tokens == alone.mode.tokens
        assert bracket.logprob_lower == pytest.approx(alone.logprob_lower, abs=1e-6)
        assert bracket.mode.ended == (bracket.mode.tokens[-1] in ends)
