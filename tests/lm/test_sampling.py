"""Samples come from the plain distribution, and what is recorded about them is what the model says."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import chisquare

from srlm.lm.sampling import draw_uniforms, sample_responses
from srlm.lm.scoring import score_responses
from srlm.records.responses import Response

PROMPTS = [[3, 4, 5], [3, 4], [7], [3, 4, 5, 6, 7]]


def draw(model: Any, prompts: list[list[int]], k: int, length: int, **options: Any) -> list[tuple[Response, ...]]:
    uniforms = draw_uniforms(1, 0, range(len(prompts)), k, length)
    rollouts = sample_responses(model, prompts, uniforms, end_token_ids={0}, **options)
    return [rollout.responses for rollout in rollouts]


@pytest.mark.parametrize("tree_attention", [False, True])
def test_recorded_logprobs_equal_a_fresh_forward(tiny_llama: Callable[..., Any], tree_attention: bool) -> None:
    model = tiny_llama()
    drawn = draw(model, PROMPTS, 6, 7, tree_attention=tree_attention)
    fresh = score_responses(
        model, [(p, [r.tokens for r in g]) for p, g in zip(PROMPTS, drawn, strict=True)], tree_attention=False
    )
    for responses, scores in zip(drawn, fresh, strict=True):
        assert [r.logprob for r in responses] == pytest.approx(scores, abs=1e-3)


def test_samples_do_not_depend_on_how_prompts_share_their_forward(tiny_llama: Callable[..., Any]) -> None:
    model = tiny_llama(dtype=torch.float64)
    plain = draw(model, PROMPTS, 5, 6)
    assert [[r.tokens for r in g] for g in draw(model, PROMPTS, 5, 6, tree_attention=True)] == [
        [r.tokens for r in g] for g in plain
    ]
    assert [[r.tokens for r in g] for g in draw(model, PROMPTS, 5, 6, rows_per_pass=5)] == [
        [r.tokens for r in g] for g in plain
    ]


def test_responses_end_at_an_end_token_or_are_cut_at_the_limit(tiny_llama: Callable[..., Any]) -> None:
    for group in draw(tiny_llama(), PROMPTS, 50, 4):
        for response in group:
            assert 1 <= len(response.tokens) <= 4
            assert 0 not in response.tokens[:-1]
            assert response.ended == (response.tokens[-1] == 0)
            assert response.ended or len(response.tokens) == 4


def test_samples_follow_the_untempered_distribution(tiny_llama: Callable[..., Any]) -> None:
    model = tiny_llama()
    model.generation_config.top_k, model.generation_config.temperature = 2, 0.3  # must not matter
    draws = 4000
    first = Counter(r.tokens[0] for r in draw(model, [[3, 4, 5]], draws, 1)[0])
    with torch.inference_mode():
        expected = model(torch.tensor([[3, 4, 5]])).logits[0, -1].double().softmax(-1).numpy() * draws
    observed = np.array([first[token] for token in range(len(expected))])
    often = expected > 5
    pooled_o = np.append(observed[often], observed[~often].sum())
    pooled_e = np.append(expected[often], expected[~often].sum())
    assert chisquare(pooled_o, pooled_e * pooled_o.sum() / pooled_e.sum()).pvalue > 1e-4


def test_entropy_and_self_certainty_are_those_of_the_distributions(tiny_llama: Callable[..., Any]) -> None:
    model = tiny_llama(dtype=torch.float64)
    response = draw(model, [[3, 4, 5]], 1, 5)[0][0]
    with torch.inference_mode():
        logits = model(torch.tensor([[3, 4, 5, *response.tokens]])).logits[0, 2 : 2 + len(response.tokens)]
    logprobs = logits.log_softmax(-1)
    uniform = torch.full_like(logprobs, 1 / logprobs.shape[-1])
    assert response.entropy == pytest.approx(float(-(logprobs.exp() * logprobs).sum(-1).mean()), abs=1e-5)
    divergence = (uniform * (uniform.log() - logprobs)).sum(-1).mean()
    assert response.self_certainty == pytest.approx(float(divergence), abs=1e-5)


def test_models_without_a_cache_are_sampled_all_the_same() -> None:
    from transformers import MambaConfig, MambaForCausalLM

    torch.manual_seed(0)
    model = MambaForCausalLM(MambaConfig(vocab_size=12, hidden_size=16, num_hidden_layers=2, state_size=4)).eval()
    prompts = [[3, 4, 5], [5, 4, 3]]
    drawn = draw(model, prompts, 3, 4)
    fresh = score_responses(
        model, [(p, [r.tokens for r in g]) for p, g in zip(prompts, drawn, strict=True)], tree_attention=False
    )
    for responses, scores in zip(drawn, fresh, strict=True):
        assert [r.logprob for r in responses] == pytest.approx(scores, abs=1e-3)


def test_bad_shapes_and_nan_logits_are_refused(tiny_llama: Callable[..., Any]) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        sample_responses(tiny_llama(), PROMPTS, np.zeros((1, 2, 3)), end_token_ids={0})
    broken = tiny_llama()
    broken.lm_head.weight.data.fill_(float("nan"))
    with pytest.raises(FloatingPointError, match="not numbers"):
        draw(broken, PROMPTS, 2, 2)


@pytest.mark.parametrize("tree_attention", [False, True])
def test_greedy_decoding_beside_samples_changes_none_of_them(
    tiny_llama: Callable[..., Any], tree_attention: bool
) -> None:
    model = tiny_llama(dtype=torch.float64)
    uniforms = draw_uniforms(1, 0, range(len(PROMPTS)), 5, 6)
    options: dict[str, Any] = {"end_token_ids": {0}, "tree_attention": tree_attention, "rows_per_pass": 12}
    alone = sample_responses(model, PROMPTS, uniforms, **options)
    beside = sample_responses(model, PROMPTS, uniforms, greedy=True, **options)
    for prompt, rollout, other in zip(PROMPTS, alone, beside, strict=True):
        assert other.tokens == rollout.tokens
        assert other.logprobs == pytest.approx(rollout.logprobs)
        greedy = other.greedy
        assert greedy is not None
        chosen: list[int] = []
        total, bound = 0.0, None
        while not chosen or (chosen[-1] != 0 and len(chosen) < 6):
            with torch.inference_mode():
                logprobs = model(torch.tensor([[*prompt, *chosen]])).logits[0, -1].log_softmax(-1)
            chosen.append(int(logprobs.argmax()))
            total += float(logprobs.max())
            bound = float(logprobs.max()) if bound is None else bound
        assert greedy.tokens == tuple(chosen)
        assert greedy.ended == (chosen[-1] == 0)
        assert greedy.logprob == pytest.approx(total, abs=1e-5)
        assert other.first_token_bound == pytest.approx(bound, abs=1e-6)
