"""`srlm diagnose --engine openai:URL`: what it prints and writes, what it refuses, and that it needs no torch."""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from tests.engines.stub import MODEL, Stub, Table, table_draw

from srlm.cli.main import run
from srlm.diagnosis.answers import diagnose_answers, draw_answers
from srlm.diagnosis.preflight import diagnose
from srlm.diagnosis.settings import DiagnosisSettings
from srlm.engines.engine import Draw, Encoded
from srlm.engines.names import parse_engine
from srlm.errors import InputError
from srlm.records.progress import Observer, Progress
from srlm.records.responses import Response, Rollout
from srlm.tasks.prompts import load_prompts

KEY = "sk-never-written"
TABLES: dict[str, Table] = {
    f"{n}+{n}?": {f"it is {2 * n}": 0.7, f"{2 * n + 1}": 0.2, "who\x1b[2J knows": 0.1} for n in range(12)
}
# Without what a plain `pip install srlm` does not bring.
_WITHOUT = """
import sys
class Without:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "transformers", "peft", "accelerate", "datasets", "tokenizers",
                                      "safetensors", "gguf", "jaxtyping", "filelock"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Without())
from srlm.cli.main import main
main(sys.argv[1:])
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Stub]:
    with Stub(TABLES) as one:
        yield one


@pytest.fixture(scope="module")
def prompts(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("endpoint") / "prompts.jsonl"
    rows = [{"prompt": prompt, "answer": prompt.partition("+")[0]} for prompt in TABLES]
    path.write_text("".join(json.dumps(row | {"answer": str(2 * int(row["answer"]))}) + "\n" for row in rows))
    return str(path)


def arguments(server: Stub, prompts: str, *more: str) -> list[str]:
    return [
        *("diagnose", "--engine", f"openai:{server.address}", "--model", MODEL, "--level", "answer"),
        *("--prompts", prompts, "--max-new-tokens", "16", "--answers", "number", *more),
    ]


def test_no_model_library_is_needed(server: Stub, prompts: str, tmp_path: Path) -> None:
    out, command = tmp_path / "out", [sys.executable, "-W", "error", "-c", _WITHOUT]
    more = ["--out", str(out), "--cache", str(tmp_path / "cache"), "--api-key-env", "MY_KEY"]
    environment = {"MY_KEY": KEY, "PATH": "", "HOME": str(tmp_path), "PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run(
        [*command, *arguments(server, prompts, *more)], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert server.keys[-1] == f"Bearer {KEY}"
    assert "24 requests for 204 draws, at most 3,264 tokens" in " ".join(done.stderr.split())
    assert "\x1b[2J" not in done.stdout
    document = json.loads((out / "diagnosis.json").read_text())
    assert (document["model"], document["settings"]["engine"], document["checksum"]) == (MODEL, "openai", "not known")
    assert (document["settings"]["requests"], document["settings"]["answered_as"]) == (24, [MODEL])
    assert document["settings"]["tokens"] == sum(
        len(body["messages"]) and server.reply(body, True)["usage"]["completion_tokens"] for body in server.bodies
    )
    assert document["measured"]["mean_response_tokens"] is None
    assert document["measured"]["cut_share"] == 0
    page = (out / "diagnosis.html").read_text()
    assert MODEL in page
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(written) == 3
    assert not any(KEY.encode() in path.read_bytes() for path in written)
    assert KEY not in done.stdout + done.stderr
    # The public name, too.
    code = _WITHOUT.rpartition("from srlm")[0] + "import srlm; srlm.diagnose"
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


@dataclass(frozen=True)
class TableSampler:
    """Another engine: serves given samples, with or without the tokens and log-probabilities it has of them."""

    rollouts: Sequence[Rollout]

    def draw(self, prompts: Sequence[Encoded], ask: Draw, progress: Progress | None = None) -> list[Rollout]:
        return [
            replace(
                one, responses=one.responses[ask.skip : ask.skip + ask.count], greedy=one.greedy if ask.greedy else None
            )
            for one in (self.rollouts[each.number] for each in prompts)
        ]


@pytest.mark.parametrize("until_certain", [False, True])
def test_brackets_are_those_of_another_engine_on_the_same_samples(
    until_certain: bool, server: Stub, prompts: str, tmp_path: Path
) -> None:
    settings = DiagnosisSettings(
        level="answer", answers="number", max_new_tokens=16, samples=48, until_certain=until_certain,
        engine=f"openai:{server.address}", cache=str(tmp_path),
    )  # fmt: skip
    found: Any = diagnose(MODEL, prompts, settings=settings)
    asked = load_prompts(prompts, held_out=0.0)
    # What the table behind the server gives to the same seeds, without a server.
    greedy = {at: max(table, key=table.__getitem__) for at, table in enumerate(TABLES.values())}
    seeds = {body["messages"][-1]["content"]: body["seed"] for body in server.bodies if not body["temperature"]}
    drawn = [
        Rollout(
            at,
            tuple(Response(None, table_draw(TABLES[one.text], seeds[one.text] + draw)) for draw in range(48)),
            Response(None, greedy[at]),
        )
        for at, one in enumerate(asked)
    ]
    numbered = [Encoded(number, ()) for number in range(len(asked))]
    about = {"model": MODEL, "checksum": "", "settings": {}}
    again = draw_answers(TableSampler(drawn), asked, numbered, settings, len(asked), Observer())
    other = diagnose_answers(asked, again, settings, about, 0.0)
    for name in ("prompts", "kappa", "log_kappa", "failure_rate", "accuracy", "forecast", "verdict", "surer_of_wrong"):
        assert getattr(found, name) == getattr(other, name), name
    assert found.accuracy.sample is not None
    assert found.kappa.confidence == 0.95
    if until_certain:
        assert found.measured.answers.draws < 48 * len(asked)


def test_the_settings_say_what_cannot_be(server: Stub, prompts: str, capsys: pytest.CaptureFixture[str]) -> None:
    base = arguments(server, prompts)
    sent = len(server.bodies)
    for changed, sentence in (
        (
            ["--level", "response"],
            "engine openai gives no next-token tables, so modes cannot be proved; use --level answer",
        ),
        (["--engine", "vllm:http://a:1"], "cache: of an endpoint; give --engine openai:URL"),
        (
            ["--engine", "transformers", "--max-requests", "3"],
            "max_requests, cache: of an endpoint; give --engine openai:URL",
        ),
        (["--engine", "gpt"], "engine is 'gpt'; use transformers, vllm:URL[,URL...] or openai:URL"),
        (["--raw-prompts", "--endpoint", "chat"], "use --endpoint completions"),
        (["--max-requests", "0"], "max_requests is 0"),
        (["--max-requests", "23"], "the budget is 23 requests, and 24 may be needed; raise --max-requests"),
        (["--model", "other"], f"has no model 'other'; give one of its own by --model: {MODEL}"),
        (["--engine", "openai:http://127.0.0.1:9/v1"], "no server answers at http://127.0.0.1:9/v1/models"),
        (["--api-key-env", "NOT_SET_AT_ALL"], "the environment variable NOT_SET_AT_ALL holds no key"),
    ):
        typed = [*base, "--cache", "none", *changed]
        assert run(typed) == 2, changed
        shown = " ".join(capsys.readouterr().err.split())
        assert sentence in shown
        assert "Traceback" not in shown
    assert len(server.bodies) == sent


@pytest.mark.parametrize("value", ["a b", "a\nb", "ü"])
def test_a_key_that_cannot_be_one_is_not_shown(
    value: str, server: Stub, prompts: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ODD", f"sk-odd{value}")
    assert run(arguments(server, prompts, "--cache", "none", "--api-key-env", "ODD")) == 2
    shown = capsys.readouterr()
    assert "ODD holds something that cannot be a key" in shown.err
    assert "sk-odd" not in shown.err + shown.out


@pytest.mark.parametrize(
    ("text", "kind", "addresses"),
    [
        ("transformers", "transformers", ()),
        ("openai:https://api.example/v1/", "openai", ("https://api.example/v1",)),
        ("vllm:http://a:8000, http://[::1]:8001/", "vllm", ("http://a:8000", "http://[::1]:8001")),
    ],
)
def test_engines_by_name(text: str, kind: str, addresses: tuple[str, ...]) -> None:
    found = parse_engine(text)
    assert (found.kind, found.addresses) == (kind, addresses)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "use transformers"),
        ("transformers:x", "use transformers"),
        ("vllm", "use transformers"),
        ("openai:", "is no http:// or https:// address"),
        ("openai:ftp://a/v1", "is no http:// or https:// address"),
        ("openai:http://a:99999/v1", "is no http:// or https:// address"),
        ("openai:http://a b/v1", "is no http:// or https:// address"),
        ("openai:http://a/v1,http://b/v1", "a comma, ? or #; give one address alone"),
        ("openai:http://sk-1@a/v1", "holds a name or a key"),
        ("openai:http://a/v1?key=sk-1", "a comma, ? or #; give one address alone"),
        ("openai:http://a", "give the base of the interface, which ends in /v1"),
        ("vllm:http://a,http://a/", "an address is given twice"),
        ("vllm:http://a/v1", "give the server's root"),
    ],
)
def test_a_wrong_name_is_one_sentence_without_keys(text: str, sentence: str) -> None:
    with pytest.raises(InputError) as error:
        parse_engine(text)
    assert sentence in str(error.value)
    assert "sk-1" not in str(error.value)
