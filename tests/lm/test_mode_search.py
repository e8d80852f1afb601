"""Mode search against brute-force enumeration of every response of tiny models."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from srlm.lm.mode_search import bracket_without_search, search_modes
from srlm.lm.sampling import draw_uniforms, sample_responses
from srlm.records.responses import Complete, ModeBracket, SearchStatus

PROMPTS = [[3, 4, 5], [3, 4], [2], [5, 4, 3, 2, 3]]
VOCABULARY = 6


def every_response(model: Any, prompt: list[int], limit: int, ends: set[int]) -> dict[tuple[int, ...], float]:
    """Log-probability of every response, each by a forward pass of its own (no cache, no tree)."""
    found: dict[tuple[int, ...], float] = {}
    open_ = {(): 0.0}
    for _ in range(limit):
        onward: dict[tuple[int, ...], float] = {}
        for prefix, total in open_.items():
            with torch.inference_mode():
                logprobs = model(torch.tensor([[*prompt, *prefix]])).logits[0, -1].double().log_softmax(-1).tolist()
            for token, logprob in enumerate(logprobs):
                longer = (*prefix, token)
                if token in ends or len(longer) == limit:
                    found[longer] = total + logprob
                else:
                    onward[longer] = total + logprob
        open_ = onward
    return found


def search(
    model: Any, limit: int, ends: set[int], prompts: list[list[int]] = PROMPTS, **options: Any
) -> list[ModeBracket]:
    return search_modes(model, prompts, max_new_tokens=limit, end_token_ids=ends, **options)


@pytest.mark.parametrize("ends", [{0}, {0, 1}, {5}])
@pytest.mark.parametrize("limit", [1, 2, 4])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_mode_runner_up_and_greedy_equal_brute_force(
    tiny_llama: Callable[..., Any], seed: int, limit: int, ends: set[int]
) -> None:
    model = tiny_llama(seed, torch.float64, vocab_size=VOCABULARY, sharpness=1.5)
    for prompt, bracket in zip(PROMPTS, search(model, limit, ends, after_proof=1e6), strict=True):
        truth = every_response(model, prompt, limit, ends)
        assert math.fsum(math.exp(v) for v in truth.values()) == pytest.approx(1)
        ranked = sorted(truth.values(), reverse=True)
        assert bracket.certified
        assert bracket.status is SearchStatus.CERTIFIED
        assert bracket.logprob_lower == bracket.logprob_upper == pytest.approx(ranked[0], abs=1e-5)
        assert truth[bracket.mode.tokens] == pytest.approx(ranked[0], abs=1e-5)
        assert bracket.mode.ended == (bracket.mode.tokens[-1] in ends)
        assert bracket.runner_up is not None
        assert bracket.proved > 1
        assert bracket.runner_up.logprob == pytest.approx(ranked[1], abs=1e-5)
        assert bracket.margin_lower == pytest.approx(ranked[0] - ranked[1], abs=2e-5)
        assert truth[bracket.greedy.tokens] == pytest.approx(bracket.greedy.logprob, abs=1e-5)
        prefix: list[int] = []  # greedy decoding, step by step
        while tuple(prefix) not in truth:
            with torch.inference_mode():
                prefix.append(int(model(torch.tensor([[*prompt, *prefix]])).logits[0, -1].argmax()))
        assert bracket.greedy.tokens == tuple(prefix)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 30),
    budget=st.integers(1, 60),
    limit=st.integers(1, 3),
    sharpness=st.sampled_from([0.1, 0.5, 2.0, 6.0]),
    per_step=st.integers(1, 40),
    k_best=st.integers(1, 3),
)
def test_brackets_contain_the_truth_at_every_budget(
    tiny_llama: Callable[..., Any], seed: int, budget: int, limit: int, sharpness: float, per_step: int, k_best: int
) -> None:
    model = tiny_llama(seed, torch.float64, vocab_size=VOCABULARY, sharpness=sharpness)
    options = {"max_expansions": budget, "nodes_per_step": per_step, "k_best": k_best}
    for prompt, bracket in zip(PROMPTS[:2], search(model, limit, {0}, PROMPTS[:2], **options), strict=True):
        ranked = sorted(every_response(model, prompt, limit, {0}).values(), reverse=True)
        assert bracket.logprob_lower - 1e-5 <= ranked[0] <= bracket.logprob_upper + 1e-5
        assert bracket.margin_lower <= ranked[0] - ranked[1] + 2e-5
        assert bracket.expansions <= budget
        assert (bracket.status is SearchStatus.CERTIFIED) == bracket.certified
        if bracket.certified:
            assert bracket.logprob_lower == pytest.approx(ranked[0], abs=1e-5)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 30), limit=st.integers(1, 3), sharpness=st.sampled_from([0.1, 2.0, 8.0]))
def test_brackets_without_a_search_contain_the_truth(
    tiny_llama: Callable[..., Any], seed: int, limit: int, sharpness: float
) -> None:
    model = tiny_llama(seed, vocab_size=VOCABULARY, sharpness=sharpness)
    uniforms = draw_uniforms(seed, 0, range(len(PROMPTS)), 3, limit)
    rollouts = sample_responses(model, PROMPTS, uniforms, greedy=True, end_token_ids={0})
    for prompt, rollout in zip(PROMPTS, rollouts, strict=True):
        greedy, bound = rollout.greedy, rollout.first_token_bound
        assert greedy is not None
        assert bound is not None
        known = [one.known for one in (*rollout.responses, greedy)]
        bracket = bracket_without_search(known[:-1], known[-1], bound)
        truth = max(every_response(model, prompt, limit, {0}).values())
        assert bracket.logprob_lower - 1e-5 <= truth <= bracket.logprob_upper + 1e-5
        assert bracket.logprob_lower == max(one.logprob for one in known)
        assert bracket.expansions == bracket.margin_lower == 0
        if bracket.certified:
            assert bracket.logprob_lower == pytest.approx(truth, abs=1e-5)
        if limit == 1:  # greedy decoding of one token is the mode
            assert bracket.certified


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 100),
    limit=st.integers(1, 4),
    sharpness=st.sampled_from([0.1, 1.0, 3.0]),
    per_step=st.integers(1, 64),
)
def test_expansions_never_exceed_limit_over_mode_probability(
    tiny_llama: Callable[..., Any], seed: int, limit: int, sharpness: float, per_step: int
) -> None:
    model = tiny_llama(seed, vocab_size=VOCABULARY, sharpness=sharpness)
    for bracket in search(model, limit, {0}, k_best=1, nodes_per_step=per_step):
        assert bracket.certified
        assert bracket.expansions <= limit / math.exp(bracket.logprob_lower) + 1e-6


def test_ties_are_settled_without_trying_everything(tiny_llama: Callable[..., Any]) -> None:
    model = tiny_llama(0, torch.float64, vocab_size=VOCABULARY)
    model.lm_head.weight.data.zero_()  # uniform: every response of a length is as likely as any other
    for bracket in search(model, 3, {0}):
        assert bracket.certified
        assert bracket.mode.tokens == (0,)
        assert bracket.logprob_lower == pytest.approx(-math.log(VOCABULARY))
        # Two tokens at least: 1/36 each, and only the empty prefix is likelier than the mode.
        assert bracket.expansions <= 3 * VOCABULARY


def test_an_immediate_end_and_a_sure_response_have_probability_one(tiny_llama: Callable[..., Any]) -> None:
    model = tiny_llama(0, torch.float64, vocab_size=VOCABULARY)
    model.lm_head.weight.data.zero_()
    model.lm_head.weight.data[0] = 0
    hook = model.lm_head.register_forward_hook(lambda _m, _i, out: out + 80.0 * torch.eye(VOCABULARY)[0])
    try:
        for bracket in search(model, 5, {0}, k_best=1):
            assert bracket.mode.known == Complete((0,), pytest.approx(0.0, abs=1e-9), True)
            assert bracket.greedy.tokens == (0,)
            assert bracket.expansions <= 1
        for bracket in search(model, 5, {1}):  # never ends: cut at the limit
            assert bracket.mode.tokens == (0,) * 5
            assert not bracket.mode.ended
    finally:
        hook.remove()


def test_greedy_decoding_is_proved_wrong_where_it_is_wrong(tiny_llama: Callable[..., Any]) -> None:
    wrong = 0
    for seed in range(12):
        model = tiny_llama(seed, torch.float64, vocab_size=VOCABULARY, sharpness=0.6)
        for prompt, bracket in zip(PROMPTS, search(model, 4, {0}), strict=True):
            truth = every_response(model, prompt, 4, {0})
            assert (bracket.greedy.tokens == bracket.mode.tokens) == (
                truth[bracket.greedy.tokens] >= max(truth.values()) - 1e-9
            )
            wrong += bracket.greedy.tokens != bracket.mode.tokens
    assert wrong > 0


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 60),
    budget=st.integers(1, 80),
    limit=st.integers(1, 4),
    sharpness=st.sampled_from([0.3, 1.0, 4.0]),
    k_best=st.integers(1, 8),
    after_proof=st.sampled_from([0.0, 0.3, 5.0]),
)
def test_k_best_are_what_they_are_said_to_be_and_everything_else_is_bounded(
    tiny_llama: Callable[..., Any],
    seed: int,
    budget: int,
    limit: int,
    sharpness: float,
    k_best: int,
    after_proof: float,
) -> None:
    model = tiny_llama(seed, torch.float64, vocab_size=VOCABULARY, sharpness=sharpness)
    options = {"max_expansions": budget, "k_best": k_best, "after_proof": after_proof}
    for prompt, bracket in zip(PROMPTS[:2], search(model, limit, {0}, PROMPTS[:2], **options), strict=True):
        truth = every_response(model, prompt, limit, {0})
        ranked = sorted(truth.values(), reverse=True)
        known = [one.logprob for one in bracket.best]
        assert len({one.tokens for one in bracket.best}) == len(known) <= k_best
        assert known == pytest.approx([truth[one.tokens] for one in bracket.best], abs=1e-5)
        assert bracket.certified == (bracket.proved > 0)
        assert known[: bracket.proved] == pytest.approx(ranked[: bracket.proved], abs=1e-5)
        others = [value for tokens, value in truth.items() if tokens not in {one.tokens for one in bracket.best}]
        outside = bracket.outside
        for power in (1.0, 1.5, 2.0, 5.0):
            left = math.fsum(math.exp(power * value) for value in others)
            parts = math.fsum(math.exp(power * value) for value in outside.prefixes)
            assert left <= parts + outside.mass * math.exp((power - 1) * max(outside.largest, -99.0)) + 2e-6
        if others and outside.mass:
            largest = max([*outside.prefixes, outside.largest])
            assert max(others) <= largest + 1e-5


@pytest.mark.parametrize("budget", [1, 3, 12])
def test_prefixes_left_open_are_told_with_their_tokens(tiny_llama: Callable[..., Any], budget: int) -> None:
    model, named = tiny_llama(2, torch.float64, vocab_size=VOCABULARY, sharpness=0.7), 0
    for prompt, bracket in zip(PROMPTS, search(model, 4, {0}, max_expansions=budget), strict=True):
        truth, outside = every_response(model, prompt, 4, {0}), bracket.outside
        assert len(outside.tokens) == min(8, len(outside.prefixes)) == len(set(outside.tokens))
        for tokens, logprob in zip(outside.tokens, outside.prefixes, strict=False):
            beneath = math.fsum(math.exp(p) for one, p in truth.items() if one[: len(tokens)] == tokens)
            assert beneath == pytest.approx(math.exp(logprob), rel=1e-5)
            assert len(tokens) < 4
            named += 1
    assert named


def test_a_budget_after_the_proof_is_a_share_of_the_one_before(tiny_llama: Callable[..., Any]) -> None:
    model = tiny_llama(3, torch.float64, vocab_size=VOCABULARY, sharpness=0.5)
    none, some, all_ = (search(model, 4, {0}, after_proof=share, nodes_per_step=1) for share in (0.0, 0.3, 1e6))
    for a, b, c in zip(none, some, all_, strict=True):
        assert a.mode.tokens == b.mode.tokens == c.mode.tokens
        assert a.expansions == b.expansions == c.expansions  # until the proof
        assert a.proved <= b.proved <= c.proved == 8
        assert a.margin_lower <= b.margin_lower + 1e-9 <= c.margin_lower + 2e-9


def test_a_full_pool_forgets_and_recomputes_with_the_same_result(tiny_llama: Callable[..., Any]) -> None:
    model = tiny_llama(5, torch.float64, vocab_size=VOCABULARY, sharpness=0.3)
    roomy = search(model, 4, {0}, after_proof=1e6)
    tight = search(model, 4, {0}, after_proof=1e6, memory_limit_bytes=1)
    for a, b in zip(roomy, tight, strict=True):
        assert a.mode.tokens == b.mode.tokens
        assert a.logprob_lower == pytest.approx(b.logprob_lower, abs=1e-6)
        assert a.margin_lower == pytest.approx(b.margin_lower, abs=1e-5)


def test_batching_over_prompts_and_nodes_changes_nothing(tiny_llama: Callable[..., Any]) -> None:
    model = tiny_llama(6, torch.float64, vocab_size=VOCABULARY, sharpness=0.5)
    together = search(model, 4, {0}, after_proof=1e6)
    alone = [search(model, 4, {0}, [p], nodes_per_step=1, lanes=1, after_proof=1e6)[0] for p in PROMPTS]
    for a, b in zip(together, alone, strict=True):
        assert a.mode.tokens == b.mode.tokens
        assert a.logprob_lower == pytest.approx(b.logprob_lower, abs=1e-6)
        assert a.margin_lower == pytest.approx(b.margin_lower, abs=1e-5)


def test_recurrent_models_are_searched_by_running_prefixes_again() -> None:
    from transformers import MambaConfig, MambaForCausalLM

    torch.manual_seed(0)
    model = MambaForCausalLM(
        MambaConfig(vocab_size=VOCABULARY, hidden_size=16, num_hidden_layers=2, state_size=4)
    ).eval()
    for prompt, bracket in zip(PROMPTS[:2], search(model, 3, {0}, PROMPTS[:2]), strict=True):
        truth = every_response(model, prompt, 3, {0})
        assert bracket.certified
        assert bracket.logprob_lower == pytest.approx(max(truth.values()), abs=1e-4)


def test_a_long_list_of_next_tokens_is_looked_at_again_when_it_matters(
    tiny_llama: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("srlm.lm.mode_search._LISTED", 2)
    model = tiny_llama(7, torch.float64, vocab_size=40, sharpness=0.1)
    for prompt, bracket in zip(PROMPTS[:2], search(model, 2, {0}, PROMPTS[:2], k_best=2), strict=True):
        truth = every_response(model, prompt, 2, {0})
        assert bracket.certified
        assert bracket.logprob_lower == pytest.approx(max(truth.values()), abs=1e-5)


@pytest.mark.parametrize("wrong", [{"max_new_tokens": 0}, {"k_best": 0}, {"max_expansions": 0}, {"nodes_per_step": 0}])
def test_arguments_outside_their_domain_are_named(tiny_llama: Callable[..., Any], wrong: dict[str, Any]) -> None:
    options: dict[str, Any] = {"max_new_tokens": 2, "end_token_ids": {0}} | wrong
    with pytest.raises(ValueError, match=next(iter(wrong))):
        search_modes(tiny_llama(), PROMPTS, **options)
    with pytest.raises(ValueError, match="at least one token"):
        search_modes(tiny_llama(), [[]], max_new_tokens=1, end_token_ids={0})
