"""The model as its own judge: an expectation over score tokens, compared with every score run by itself."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from srlm.errors import InputError
from srlm.rewards import PolicyView
from srlm.rewards.judge import RUBRIC, judge


def digit_tokenizer(words: Sequence[str]) -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(models.WordLevel({word: at for at, word in enumerate(words)}, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=core, eos_token="<end>", unk_token="<unk>", pad_token="<end>")


WORDS = ["<end>", "<unk>", "Score:", "blue", "sky", *map(str, range(6)), "Question:", "Response:", "one"]


@pytest.fixture
def policy(tiny_llama: Callable[..., Any]) -> PolicyView:
    from srlm.lm.scoring import score_responses

    model = tiny_llama(vocab_size=len(WORDS), sharpness=0.5, max_position_embeddings=256)
    return PolicyView(digit_tokenizer(WORDS), lambda groups: score_responses(model, groups, tree_attention=True), 256)


def test_the_score_is_the_expectation_over_the_score_tokens(policy: PolicyView, tiny_llama: Callable[..., Any]) -> None:
    questions, replies = ["sky", "sky", "one"], ["blue", "blue sky", "1"]
    logged: dict[str, float] = {}
    found = judge(questions, replies, policy=policy, log_metric=lambda name, value: logged.update({name: value}))
    model = tiny_llama(vocab_size=len(WORDS), sharpness=0.5, max_position_embeddings=256)
    masses = []
    for question, reply, score in zip(questions, replies, found, strict=True):
        # The slow route: one plain forward pass of the whole text, probabilities of the next token.
        text = RUBRIC.format(question=question, response=reply) + "\nScore:"
        ids = policy.tokenizer(text)["input_ids"]
        with torch.inference_mode():
            probabilities = model(torch.tensor([ids])).logits[0, -1].softmax(-1)
        digits = torch.tensor([float(probabilities[WORDS.index(str(k))]) for k in range(6)])
        assert score == pytest.approx(float((digits / digits.sum()) @ torch.arange(6.0)), abs=1e-4)
        masses.append(float(digits.sum()))
    assert logged["judge/score_mass"] == pytest.approx(math.fsum(masses) / 3, rel=1e-3)
    assert found[0] != found[1]


def test_scores_stay_in_range_and_chat_messages_are_read(policy: PolicyView) -> None:
    chat = judge([[{"role": "user", "content": "sky"}]], [[{"role": "assistant", "content": "blue"}]], policy=policy)
    assert chat == judge(["sky"], ["blue"], policy=policy)
    assert 0 <= chat[0] <= 5


def test_a_tokenizer_that_cannot_tell_digits_apart_is_refused(policy: PolicyView) -> None:
    blind = PolicyView(digit_tokenizer(["<end>", "<unk>", "Score:"]), policy.logprobs)
    with pytest.raises(InputError, match="digits 0 to 5 apart"):
        judge(["sky"], ["blue"], policy=blind)


def test_a_judged_response_that_does_not_fit_is_refused(policy: PolicyView) -> None:
    small = PolicyView(policy.tokenizer, policy.logprobs, 50)
    with pytest.raises(InputError, match=r"judging needs \d+ tokens"):
        judge(["sky"], ["blue"], policy=small)


def test_a_run_can_be_judged_by_its_own_policy(
    tiny_llama: Callable[..., Any], start: Callable[..., Any], tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    words = [*WORDS, *(f"w{n}" for n in range(12))]
    tiny_llama(vocab_size=len(words), sharpness=1.0, max_position_embeddings=256).save_pretrained(folder)
    digit_tokenizer(words).save_pretrained(folder)
    metrics = start(tmp_path / "run", model=str(folder), rounds=1, rewards=["judge"]).round(1).metrics()
    assert 0 <= metrics["reward"]["min"] <= metrics["reward"]["max"] <= 5
    assert 0 < metrics["reward"]["metrics"]["judge/score_mass"] <= 1
    assert metrics["certificate"] is None  # P4 speaks of the log-probability
