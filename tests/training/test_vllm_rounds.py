"""Rounds whose samples come from vLLM servers (a stub that loads what the run wrote, by peft)."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from peft import LoraConfig
from tests.engines.stub_vllm import StubVllm

from srlm.errors import InputError
from srlm.lm.loading import load_model
from srlm.records.progress import Observer
from srlm.records.run_directory import RunDirectory
from srlm.records.tables import samples_from_table
from srlm.report.findings import caveats
from srlm.report.reading import read_run
from srlm.tasks.prompts import load_prompts
from srlm.training.config import SelfRewardingConfig
from srlm.training.trainer import SelfRewardingTrainer


def engine(*stubs: StubVllm) -> str:
    return "vllm:" + ",".join(one.url for one in stubs)


def responses(directory: RunDirectory, number: int) -> list[Any]:
    return [one.tokens for one in samples_from_table(directory.round(number).read_table("samples"))]


def test_every_round_has_an_adapter_of_its_own_on_every_server(
    start: Callable[..., Any], stub: StubVllm, other: StubVllm, tmp_path: Path
) -> None:
    directory = start(tmp_path / "run", engine=engine(stub, other), rounds=2)
    for one in (stub, other):
        assert [name[-4:] for name in one.loaded] == [
            "-r00",
            "-r00",
            "-r01",
            "-r02",
        ]  # the handshake's, then the rounds'
        assert len(set(one.loaded)) == 4
        assert one.unloaded == one.loaded
        assert not one.adapters
    for number in range(3):
        record = directory.round(number).read()
        assert record.numerics is not None
        assert record.numerics.parity is not None
        assert (record.numerics.engine, record.numerics.widened) == ("vllm", 0)
        assert 0 < record.numerics.parity.token <= record.numerics.parity.response < 1e-4
        table = directory.round(number).read_table("samples")
        drew = json.loads(table.schema.metadata[b"servers"])
        assert set(drew) == {stub.url, other.url}
        assert record.drift is not None
        assert record.drift.responses == 2 * 2 * 4  # two prompts of each server
        assert not directory.round(number).drawn.exists()
    assert not list(tmp_path.glob(".srlm-*"))
    assert "Samples were drawn by vllm" in " ".join(caveats(read_run(tmp_path / "run")))


def test_answer_level_rounds_vote_with_served_samples(
    start: Callable[..., Any], stub: StubVllm, tmp_path: Path
) -> None:
    """Servers tell no entropies, by which the vote once told draws from what was searched."""
    directory = start(
        tmp_path / "run", engine=engine(stub), rounds=1, level="answer", answers="words", accept_unreadable=True
    )
    record = directory.round(1).read()
    assert record.reward is not None
    assert record.reward.mean < 0  # of votes; without them no reward would apply
    assert record.train is not None
    assert record.train.entropy is None


class Killed(Exception):
    pass


class Killer(Observer):
    """Ends the run after so many prompts of round 1's sampling."""

    def __init__(self, after: int) -> None:
        self.after, self.at = after, (0, "")

    def stage(self, round_number: int, name: str, total: int) -> None:
        self.at = (round_number, name)

    def advance(self, done: int, total: int) -> None:
        if self.at == (1, "sample") and done >= self.after:
            raise Killed


def test_a_killed_run_goes_on_without_drawing_again(start: Callable[..., Any], stub: StubVllm, tmp_path: Path) -> None:
    whole = start(tmp_path / "whole", engine=engine(stub), rounds=1)
    stub.asked.clear()
    with pytest.raises(Killed):
        start(tmp_path / "parts", engine=engine(stub), rounds=1, observer=Killer(5))
    before = sum(one["model"].endswith("-r01") for one in stub.asked)
    parts = start(tmp_path / "parts", engine=engine(stub), rounds=1, resume=True)
    assert sum(one["model"].endswith("-r01") for one in stub.asked) <= 8 + before - 5  # those under way are lost
    assert [responses(parts, number) for number in (0, 1)] == [responses(whole, number) for number in (0, 1)]
    np.testing.assert_allclose(
        parts.round(1).metrics()["self_reward_mean"], whole.round(1).metrics()["self_reward_mean"], rtol=1e-5
    )


def test_a_resumed_run_may_have_another_engine(start: Callable[..., Any], stub: StubVllm, tmp_path: Path) -> None:
    start(tmp_path / "run", engine=engine(stub), rounds=1)
    directory = start(tmp_path / "run", engine="transformers", rounds=2, resume=True)
    assert [directory.round(n).metrics()["numerics"]["engine"] for n in range(3)] == ["vllm", "vllm", "transformers"]


def test_a_server_that_comes_back_has_the_adapter_loaded_again(
    start: Callable[..., Any], stub: StubVllm, tmp_path: Path
) -> None:
    class Restart(Observer):
        def stage(self, round_number: int, name: str, total: int) -> None:
            if (round_number, name) == (1, "sample"):
                self.pending = True

        def advance(self, done: int, total: int) -> None:
            if getattr(self, "pending", False):
                self.pending = False
                stub.adapters.clear()  # as after a restart between two requests

    directory = start(tmp_path / "run", engine=engine(stub), rounds=1, observer=Restart())
    assert [name[-4:] for name in stub.loaded].count("-r01") == 2
    assert [len(one) for one in responses(directory, 1)] == [4] * 8


def test_unsaid_log_probabilities_are_counted(start: Callable[..., Any], stub: StubVllm, tmp_path: Path) -> None:
    stub.null = (0, 2)
    directory = start(tmp_path / "run", engine=engine(stub), rounds=1)
    assert directory.round(0).metrics()["drift"]["unsaid"] == 16
    assert "of 32 responses is the training forward's" in " ".join(caveats(read_run(tmp_path / "run")))


@pytest.fixture
def distorted(stub: StubVllm) -> StubVllm:
    """A server whose log-probabilities are 0.9 nats a token too low from round 1 on: the handshake sees nothing."""
    plain = stub.complete

    def complete(body: dict[str, Any]) -> Any:
        status, reply = plain(body)
        if body["model"].endswith("-r01"):
            for one in reply["choices"]:
                one["logprobs"]["token_logprobs"] = [value - 0.9 for value in one["logprobs"]["token_logprobs"]]
        return status, reply

    stub.complete = complete  # pyright: ignore[reportAttributeAccessIssue]
    return stub


def test_parity_above_max_drift_stops_the_run_and_names_causes(
    start: Callable[..., Any], distorted: StubVllm, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=r"round 1: .* nats on a response .* tempers or truncates, another base model"):
        start(tmp_path / "run", engine=engine(distorted), rounds=2)
    assert RunDirectory.open(tmp_path / "run").record()["status"] == "failed"


def test_what_rests_on_samples_is_widened_by_what_they_are_off(
    start: Callable[..., Any], distorted: StubVllm, tmp_path: Path
) -> None:
    """Without a search a bracket rests on served log-probabilities."""
    directory = start(tmp_path / "run", engine=engine(distorted), rounds=1, max_drift=None, max_expansions=0)
    record = directory.round(1).read()
    assert record.numerics is not None
    assert record.numerics.parity is not None
    assert record.numerics.parity.token == pytest.approx(0.9, abs=1e-3)
    assert record.numerics.widened == record.numerics.parity.response >= 0.9
    assert "samples up to" in __import__("srlm.cli._progress", fromlist=["_summary"])._summary(record)


def _no_runtime(stub: StubVllm) -> None:
    stub.runtime = False


def _low_rank(stub: StubVllm) -> None:
    stub.max_rank = 8


def _short(stub: StubVllm) -> None:
    stub.max_model_len = 5


def _two_engines(stub: StubVllm) -> None:
    stub.engines = 2


def _tempers(stub: StubVllm) -> None:
    stub.temperature = 0.3


def _another_model(stub: StubVllm) -> None:
    stub.model.lm_head.weight.data.mul_(3.0)
    stub.folder = "somebody/else"


def _another_tokenizer(stub: StubVllm) -> None:
    stub.tokenizer = lambda text, **_: {"input_ids": [1, 2, 3]}


def _blind(stub: StubVllm) -> None:
    load = stub.load
    stub.load = lambda name, folder: load(name, Path("/elsewhere") / folder.name)  # pyright: ignore


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (_no_runtime, r"loads no adapters while it runs; start it with VLLM_ALLOW_RUNTIME_LORA_UPDATING=1"),
        (_low_rank, r"no adapter of this rank .* higher --max-lora-rank"),
        (_short, r"takes 5 tokens .* this needs \d+; start it with --max-model-len \d+"),
        (_two_engines, r"over 2 engines.*--data-parallel-size"),
        (_tempers, r"tempers or truncates what it draws.*--logprobs-mode raw_logprobs"),
        (_another_model, r"holds another model.*it serves somebody/else"),
        (_another_tokenizer, r"another tokenizer"),
        (_blind, r"does not see the folder .*put --out where the server has it at the same path"),
    ],
)
def test_a_wrong_server_is_seen_before_anything_is_written(
    start: Callable[..., Any], stub: StubVllm, other: StubVllm, tmp_path: Path, fault: Any, message: str
) -> None:
    fault(other)
    with pytest.raises(InputError, match=message) as caught:
        start(tmp_path / "run", engine=engine(stub, other), max_drift=0.05)
    assert len(caught.value.problems) == 1
    assert other.url in caught.value.problems[0]
    assert not list(tmp_path.iterdir())


def test_nobody_there_prints_the_command_that_starts_one(
    start: Callable[..., Any], tiny_model_folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="no server answers") as caught:
        start(tmp_path / "run", engine="vllm:http://127.0.0.1:9", lora_r=9)
    command = str(caught.value).partition("started by: ")[2]
    assert command.startswith(f"VLLM_ALLOW_RUNTIME_LORA_UPDATING=1 vllm serve {tiny_model_folder} --port 9 ")
    assert "--enable-lora --max-lora-rank 16 " in command
    assert "--logprobs-mode raw_logprobs --generation-config vllm" in command
    assert not list(tmp_path.iterdir())


def _trainer(folder: Path, prompts: str, out: Path, adapter: Any = None, **options: Any) -> SelfRewardingTrainer:
    config = SelfRewardingConfig(output_dir=str(out), engine="vllm:http://127.0.0.1:9", use_cpu=True, **options)
    given = load_prompts(prompts, held_out=0.25, seed=0)
    return SelfRewardingTrainer(load_model(str(folder), device="cpu"), config, given, peft_config=adapter)


@pytest.mark.parametrize(
    ("adapter", "options", "message"),
    [
        (None, {"use_peft": False}, "trains all weights"),
        (LoraConfig(target_modules=["q_proj"], use_dora=True), {}, "DoRA"),
        (LoraConfig(target_modules=["q_proj"], bias="all"), {}, "biases"),
        (LoraConfig(target_modules=["q_proj"], modules_to_save=["lm_head"]), {}, "modules trained beside it"),
        (LoraConfig(target_modules=["q_proj", "lm_head"]), {}, "an adapter on lm_head"),
        (LoraConfig(target_modules=["q_proj", "embed_tokens"]), {}, "an adapter on embed_tokens"),
        (LoraConfig(target_modules=["q_proj"], init_lora_weights="pissa"), {}, "'pissa', which changes the base"),
        (LoraConfig(target_modules=["q_proj"], target_parameters=["self_attn.k_proj.weight"]), {}, "target_parameters"),
        (None, {"rewards": ["entropy"]}, "entropy needs next-token distributions"),
    ],
)
def test_what_vllm_would_serve_wrongly_is_refused_with_the_way_out(
    tiny_model_folder: Path, prompts_file: str, tmp_path: Path, adapter: Any, options: Any, message: str
) -> None:
    with pytest.raises(InputError, match=rf"{message}.*use --engine transformers"):
        _trainer(tiny_model_folder, prompts_file, tmp_path / "run", adapter, **options)


def test_an_endpoint_trains_nothing() -> None:
    with pytest.raises(InputError, match=r"engine openai.*vllm:URL"):
        SelfRewardingConfig(engine="openai:http://127.0.0.1:9/v1")
    with pytest.raises(InputError, match="engine is 'sglang'"):
        SelfRewardingConfig(engine="sglang:http://127.0.0.1:9")
