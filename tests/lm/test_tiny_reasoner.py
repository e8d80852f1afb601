"""The reasoner that ships with the package: loads by name, small, served by vLLM, and reasons in steps."""

import re
import time
from pathlib import Path

import numpy as np
import pytest

from srlm.lm import loading
from srlm.lm.encoding import encode_prompts
from srlm.lm.loading import LoadedModel, load_model
from srlm.lm.sampling import draw_uniforms, sample_responses
from srlm.lm.subject import MODEL_DEFAULTS, TINY_REASONER
from srlm.tasks.prompts import Prompt, load_prompts

BROUGHT = MODEL_DEFAULTS[TINY_REASONER]


@pytest.fixture(scope="module")
def reasoner() -> LoadedModel:
    return load_model(TINY_REASONER)


@pytest.fixture(scope="module")
def asked() -> list[Prompt]:
    return [p for p in load_prompts(BROUGHT["prompts"]) if p.split == "held_out"][:48]


def answers(reasoner: LoadedModel, prompts: list[Prompt], count: int, greedy: bool) -> list[list[str | None]]:
    """What the rule reads of `count` samples (or of greedy decoding) of each prompt, by `re` alone."""
    length = BROUGHT["max_completion_length"]
    rule = re.compile(BROUGHT["answers"].removeprefix("regex:"))
    rollouts = sample_responses(
        reasoner.model,
        encode_prompts(prompts, reasoner, max_new_tokens=length, raw=True),
        draw_uniforms(0, 0, range(len(prompts)), count, length),
        greedy=greedy,
        end_token_ids=reasoner.end_token_ids,
    )
    read = [
        [rule.search(reasoner.text(one.tokens)) for one in ([rollout.greedy] if greedy else rollout.responses) if one]
        for rollout in rollouts
    ]
    return [[found and found[1] for found in row] for row in read]


def test_it_is_small_loads_quickly_and_is_what_vllm_can_serve(reasoner: LoadedModel) -> None:
    began = time.process_time()
    again = load_model(TINY_REASONER)
    assert time.process_time() - began < 1
    assert again.checksum == reasoner.checksum
    assert reasoner.name == TINY_REASONER
    assert reasoner.checksum.startswith("sha256:")
    assert reasoner.model.num_parameters() <= 1_000_000
    assert reasoner.model.config.head_dim in (32, 64)
    folder = Path(loading.__file__).parent / "data" / "tiny_reasoner"
    assert {path.suffix for path in folder.iterdir()} == {".json", ".safetensors"}
    assert sum(path.stat().st_size for path in folder.iterdir()) <= 3_000_000
    # The L = 512 of long responses fits.
    assert reasoner.context_length is not None
    assert reasoner.context_length >= 1024


def test_its_tokenizer_takes_a_character_a_token_and_gives_the_text_back(reasoner: LoadedModel) -> None:
    tokenizer = reasoner.tokenizer
    assert tokenizer.chat_template is None
    assert tokenizer.pad_token_id != tokenizer.eos_token_id
    assert reasoner.end_token_ids == (tokenizer.eos_token_id,)
    for text in ("21+7-9-8+4?", "21+7=28;-9=19;#15"):
        ids = tokenizer(text)["input_ids"]
        assert len(ids) == len(text)
        assert reasoner.text([*ids, tokenizer.eos_token_id]) == text


def test_greedy_decoding_ends_in_an_answer(reasoner: LoadedModel, asked: list[Prompt]) -> None:
    read = answers(reasoner, asked[:24], 1, greedy=True)
    assert sum(row[0] is not None for row in read) >= 23


def test_single_samples_are_often_wrong_and_majorities_mostly_right(reasoner: LoadedModel, asked: list[Prompt]) -> None:
    read = answers(reasoner, asked, 12, greedy=False)
    accepted = [p.answers[0] for p in asked]
    single = np.mean([[one == right for one in row] for row, right in zip(read, accepted, strict=True)])
    majority = np.mean([max(row, key=row.count) == right for row, right in zip(read, accepted, strict=True)])
    # By the slips of its traces (benchmarks/tiny_reasoner.py): 0.9 a step and 4.5 steps, less the questions that take
    # 8 away, which most samples then get wrong. Four standard errors of 48 questions are 0.26.
    assert 0.3 < single < 0.65
    assert 0.5 < majority < 0.95
    assert majority > single + 0.1
