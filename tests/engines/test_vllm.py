"""vLLM servers against a stub that draws from a real tiny model by another route: peft's forward, token by token."""

import itertools
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.engines.stub_vllm import StubVllm, error, next_token

from srlm.diagnosis.preflight import diagnose
from srlm.diagnosis.settings import DiagnosisSettings
from srlm.engines.engine import Draw, Encoded, PolicyVersion
from srlm.engines.vllm import SEEDS, VllmServers, seed_of
from srlm.errors import InputError
from srlm.lm.loading import LoadedModel, load_model
from srlm.lm.scoring import score_responses
from srlm.records.answer_diagnosis import AnswerDiagnosis

PROMPTS = [Encoded(number, (2, 4 + number, 5 + number, 3)) for number in range(6)]
ASK = Draw(count=3, max_tokens=4, seed=7, stream=2)


@pytest.fixture(scope="module")
def loaded(tiny_model_folder: Path) -> LoadedModel:
    return load_model(str(tiny_model_folder), device="cpu")


def servers(loaded: LoadedModel, *stubs: StubVllm, patience: float = 5.0, **more: Any) -> VllmServers:
    def score(groups: Any) -> list[list[float]]:
        return score_responses(loaded.model, groups, tree_attention=False)

    return VllmServers(tuple(one.url for one in stubs), loaded, score, patience, **more)


def answers(rollouts: Any) -> list[list[tuple[int, ...]]]:
    return [one.tokens for one in rollouts]


def test_what_is_drawn_is_scored_as_training_scores_it(loaded: LoadedModel, stub: StubVllm) -> None:
    asked = Draw(3, 4, 7, 2, greedy=True)
    rollouts = servers(loaded, stub).at(PolicyVersion(0)).draw(PROMPTS, asked)
    scored = score_responses(loaded.model, [(p.tokens, r.tokens) for p, r in zip(PROMPTS, rollouts, strict=True)],
                             tree_attention=False)  # fmt: skip
    for prompt, rollout, values in zip(PROMPTS, rollouts, scored, strict=True):
        assert rollout.prompt == prompt.number
        np.testing.assert_allclose(rollout.logprobs, values, atol=1e-5)
        assert [one.ended for one in rollout.responses] == [one.tokens[-1] == 0 for one in rollout.responses]
        with torch.no_grad():
            first = loaded.model(input_ids=torch.tensor([prompt.tokens])).logits[0, -1].log_softmax(-1)
        assert rollout.greedy is not None
        assert rollout.greedy.tokens[0] == int(first.argmax())
        assert rollout.first_token_bound == pytest.approx(float(first.max()), abs=1e-5)
    assert all(one["top_k"] == 0 and one["top_p"] == one["repetition_penalty"] == 1 for one in stub.asked)


def test_prompts_share_no_seed_and_parts_are_the_whole(loaded: LoadedModel, stub: StubVllm) -> None:
    sampler = servers(loaded, stub).at(PolicyVersion(0))
    # One text at every place: only seeds tell the prompts apart.
    same = [Encoded(number, PROMPTS[0].tokens) for number in range(8)]
    whole = answers(sampler.draw(same, Draw(6, 4, 7, 2)))
    assert len({tuple(one) for one in whole}) == 8
    flat = [one for some in whole for one in some]
    assert len(set(flat)) > 20  # of 48: with one seed for all there would be at most 6
    used = [one["seed"] + k for one in stub.asked for k in range(one["n"])]
    assert len(set(used)) == len(used) == 48
    parts = [answers(sampler.draw(same, Draw(2, 4, 7, 2, skip=skip))) for skip in (0, 2, 4)]
    assert [a + b + c for a, b, c in zip(*parts, strict=True)] == whole
    stub.one_seed = True
    shared = answers(sampler.draw(same, Draw(6, 4, 7, 2)))
    assert len({tuple(one) for one in shared}) == 1  # what the test above would see


def test_seeds_stay_apart_and_within_what_vllm_takes() -> None:
    numbers = [0, 1, 2, 999_999]
    for seed, stream in itertools.product((0, 1), (0, 1, 7)):
        starts = sorted(seed_of(Draw(1, 1, seed, stream), number) for number in numbers)
        assert all(b - a >= SEEDS for a, b in itertools.pairwise(starts))
        assert len({one % 2**32 // SEEDS for one in starts}) == len(starts)  # torch on a CPU takes 32 bits
        assert starts[0] > 0
        assert starts[-1] + SEEDS < 2**63
    assert len({seed_of(Draw(1, 1, seed, stream), 3) for seed in range(20) for stream in range(20)}) == 400


def test_too_many_draws_for_the_seeds_of_a_prompt_are_refused(loaded: LoadedModel, stub: StubVllm) -> None:
    with pytest.raises(InputError, match=f"at most {SEEDS} responses"):
        servers(loaded, stub).at(PolicyVersion(0)).draw(PROMPTS, Draw(2, 4, 0, 0, skip=SEEDS - 1))


def test_two_servers_share_the_prompts_and_it_is_known_who_drew(
    loaded: LoadedModel, stub: StubVllm, other: StubVllm
) -> None:
    alone = servers(loaded, stub).at(PolicyVersion(0)).draw(PROMPTS, ASK)
    stub.asked.clear()
    both = servers(loaded, stub, other).at(PolicyVersion(0)).draw(PROMPTS, ASK)
    assert answers(both) == answers(alone)  # who draws does not change what is drawn
    for one in (stub, other):
        assert one.drawn == {p.tokens: 1 for p, r in zip(PROMPTS, both, strict=True) if r.server == one.url}
    assert len(stub.drawn) + len(other.drawn) == len(PROMPTS)


def test_a_server_that_dies_in_the_middle_leaves_its_share_to_the_other(
    loaded: LoadedModel, stub: StubVllm, other: StubVllm
) -> None:
    whole = answers(servers(loaded, stub).at(PolicyVersion(0)).draw(PROMPTS, ASK))
    stub.asked.clear()
    other.dies_after = 1
    numbered = [Encoded(number, PROMPTS[number % 6].tokens) for number in range(12)]
    rollouts = servers(loaded, stub, other).at(PolicyVersion(0)).draw(numbered, ASK)
    assert answers(rollouts)[:6] == whole
    assert [one.prompt for one in rollouts] == list(range(12))
    assert sum(one.server == other.url for one in rollouts) == 1
    assert sum(stub.drawn.values()) == 11


def test_when_all_are_away_sampling_waits_says_so_and_goes_on(loaded: LoadedModel, stub: StubVllm) -> None:
    whole = answers(servers(loaded, stub).at(PolicyVersion(0)).draw(PROMPTS, ASK))
    stub.asked.clear()
    stub.dies_after = 2
    told: list[str] = []

    def say(text: str) -> None:
        told.append(text)
        if text.startswith("no server"):
            threading.Timer(0.3, back).start()

    def back() -> None:
        stub.dies_after = None
        stub.start()

    engine = servers(loaded, stub, patience=20, tell=say)
    threading.Thread(target=lambda: (_until(lambda: len(stub.asked) >= 2), stub.stop())).start()
    assert answers(engine.at(PolicyVersion(0)).draw(PROMPTS, ASK)) == whole
    assert [one.split(" (")[0] for one in told] == ["no server answers", f"{stub.url} answers again; sampling goes on"]
    assert sum(stub.drawn.values()) == len(PROMPTS)  # what was drawn before was not drawn again


def _until(true: Any) -> None:
    while not true():
        time.sleep(0.01)


def test_nobody_for_too_long_ends_in_one_sentence(loaded: LoadedModel, stub: StubVllm) -> None:
    engine = servers(loaded, stub, patience=0.3, tell=lambda _: None)
    stub.dies_after = 0
    with pytest.raises(InputError, match=r"no server got anything done for 0\.3 s .*start a right one"):
        engine.at(PolicyVersion(0)).draw(PROMPTS, ASK)


def test_log_probabilities_that_are_not_said_are_the_training_forwards(loaded: LoadedModel, stub: StubVllm) -> None:
    plain = servers(loaded, stub).at(PolicyVersion(0)).draw(PROMPTS, ASK)
    stub.null = (1,)
    rollouts = servers(loaded, stub).at(PolicyVersion(0)).draw(PROMPTS, ASK)
    assert answers(rollouts) == answers(plain)
    assert [one.unsaid for one in rollouts] == [1] * len(PROMPTS)
    for one, known in zip(rollouts, plain, strict=True):
        np.testing.assert_allclose(one.logprobs, known.logprobs, atol=1e-5)


def test_what_was_kept_is_not_drawn_again(loaded: LoadedModel, stub: StubVllm, tmp_path: Path) -> None:
    version = PolicyVersion(0, keep=tmp_path / "drawn")
    whole = servers(loaded, stub).at(version).draw(PROMPTS, ASK)
    stub.asked.clear()
    (file,) = version.keep.glob("*.jsonl")  # pyright: ignore[reportOptionalMemberAccess]
    lines = file.read_text().splitlines()
    file.write_text("\n".join([*lines[:4], lines[4][:20]]))  # killed while the fifth was written
    again = servers(loaded, stub).at(version).draw(PROMPTS, ASK)
    assert answers(again) == answers(whole)
    np.testing.assert_allclose([one.logprobs for one in again], [one.logprobs for one in whole], rtol=0)
    assert sum(stub.drawn.values()) == 2
    # Another round, or other seeds, may not take these.
    servers(loaded, stub).at(version).draw(PROMPTS, Draw(3, 4, 8, 2))
    assert sum(stub.drawn.values()) == 2 + len(PROMPTS)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda body: (200, {"choices": []}), "0 responses instead of 3"),
        (lambda body: (200, {"text": "hello"}), "choices"),
        (lambda body: (200, ["a list"]), "what vLLM does not"),
        (lambda body: error(400, "no such option"), "no such option"),
    ],
)
def test_replies_that_cannot_be_right_end_in_one_sentence(
    loaded: LoadedModel, stub: StubVllm, answer: Any, message: str
) -> None:
    stub.answer = answer
    with pytest.raises(InputError, match=message):
        servers(loaded, stub).at(PolicyVersion(0)).draw(PROMPTS, ASK)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"token_ids": [5], "logprobs": {"token_logprobs": [-1.0]}}, "ends after 1 tokens with token 5"),
        ({"logprobs": {"token_logprobs": [-1.0]}, "token_ids": [5, 5, 5, 5]}, "1 log-probabilities of 4 tokens"),
        ({"prompt_token_ids": [1, 2]}, "another prompt"),
        ({"token_ids": ["w1"] * 4}, "no numbers"),
        ({"index": 0}, "instead of"),
    ],
)
def test_one_damaged_response_is_seen(loaded: LoadedModel, stub: StubVllm, change: Any, message: str) -> None:
    def damaged(body: Any) -> Any:
        choices = [stub.choice(stub.model, body, at) for at in range(body["n"])]
        return 200, {"choices": [*choices[:-1], choices[-1] | change]}

    stub.answer = damaged
    with pytest.raises(InputError, match=message):
        servers(loaded, stub).at(PolicyVersion(0)).draw(PROMPTS[:1], ASK)


def test_a_server_that_breaks_off_is_asked_again(loaded: LoadedModel, stub: StubVllm) -> None:
    """vLLM answers what it has with finish_reason abort when it is told to stop."""
    whole = answers(servers(loaded, stub).at(PolicyVersion(0)).draw(PROMPTS, ASK))

    def once(body: Any) -> Any:
        stub.answer = None
        choices = [stub.choice(stub.model, body, at) | {"finish_reason": "abort"} for at in range(body["n"])]
        return 200, {"choices": choices}

    stub.answer = once
    assert answers(servers(loaded, stub).at(PolicyVersion(0)).draw(PROMPTS, ASK)) == whole


def test_a_diagnosis_of_answers_draws_through_the_server(
    tiny_model_folder: Path, prompts_file: str, stub: StubVllm, loaded: LoadedModel
) -> None:
    chosen = DiagnosisSettings(
        level="answer", answers="words", samples=6, max_new_tokens=3, engine=f"vllm:{stub.url}", accept_unreadable=True
    )
    found = diagnose(str(tiny_model_folder), prompts_file, settings=chosen, device="cpu")
    assert isinstance(found, AnswerDiagnosis)
    assert found.settings["engine"] == "vllm"
    drawn = [one for one in stub.asked if one["temperature"] and one["n"] == 6]
    assert len(drawn) == len(found.prompts) == 8
    for prompt in found.prompts:
        assert sum(one.count for one in prompt.answers) + prompt.unparseable == 6
    with pytest.raises(InputError, match="modes cannot be proved; use --level answer"):
        DiagnosisSettings(engine=f"vllm:{stub.url}")
    stub.model.lm_head.weight.data.mul_(5.0)
    next_token.cache_clear()
    with pytest.raises(InputError, match="holds another model"):
        diagnose(str(tiny_model_folder), prompts_file, settings=chosen, device="cpu")
