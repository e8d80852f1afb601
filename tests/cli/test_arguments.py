"""Whatever a command line, a configuration file or a prompts file holds: an answer, or one sentence and exit code 2."""

import json
import tempfile
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import fields
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from srlm.cli.main import run
from srlm.diagnosis.settings import DiagnosisSettings
from srlm.errors import InputError
from srlm.tasks.prompts import load_prompts
from srlm.training.settings import Request, RunSettings

ODD = st.one_of(
    st.sampled_from(
        ["", "0", "-1", "1e308", "1e400", "1" + "0" * 40, "nan", "inf", "\udc80", "\x1b[31m", "true", "[]"]
    ),
    st.floats().map(str),
    st.integers().map(str),
    st.text(max_size=20),
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=10)
    | st.sampled_from([10**400, -(2**70), 1e308, "\ud800", "a\0b", "answer", "previous"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
PLAN = ("kappa0", "pairs", "log-class-size", "dim", "radius", "margin", "min-confidence", "mass-slack", "rho", "beta",
        "constant", "lower-constant", "reward-range", "responses", "tokens-per-response", "target-failure", "rounds",
        "from", "plot")  # fmt: skip
GOOD = {"kappa0": "3", "pairs": "1000", "log-class-size": "5"}


def ended(arguments: list[str]) -> tuple[int, str]:
    with redirect_stdout(StringIO()), redirect_stderr(StringIO()) as told:
        return run(arguments), told.getvalue()


@QUICK
@given(st.dictionaries(st.sampled_from(PLAN), ODD, max_size=4))
def test_a_plan_of_anything_is_a_plan_or_a_sentence(odd: dict[str, str]) -> None:
    code, told = ended(["plan", "--json", *(f"--{name}={value}" for name, value in (GOOD | odd).items())])
    assert code in (0, 2)
    assert told.count("\n") == (code == 2)


@QUICK
@given(st.dictionaries(st.sampled_from([one.name for one in fields(RunSettings)]), VALUES, max_size=4))
def test_a_configuration_of_anything_is_one_or_is_refused_before_torch_is_imported(odd: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (file := Path(folder) / "config.json").write_text(json.dumps(odd), encoding="utf-8")
        with suppress(InputError):
            told = Request(config_file=file).folder()
            kept = RunSettings(**json.loads(file.read_text(encoding="utf-8")))
            assert told == Path(kept.output_dir or "runs/srlm")
            assert 1 <= kept.rounds <= 10_000
            assert type(kept.rescore) is bool
            json.dumps([kept.beta, kept.lora_dropout], allow_nan=False)


@QUICK
@given(st.dictionaries(st.sampled_from([one.name for one in fields(DiagnosisSettings)]), VALUES, max_size=3))
def test_settings_of_a_diagnosis_are_right_or_refused(odd: dict[str, Any]) -> None:
    with suppress(InputError):
        made = DiagnosisSettings(**odd)
        assert 1 <= made.samples <= 100_000
        json.dumps(made.beta, allow_nan=False)


ROWS = st.fixed_dictionaries({}, optional=dict.fromkeys(("prompt", "answer", "split", "answer_type", "x"), VALUES))


@QUICK
@given(
    st.lists(ROWS.map(json.dumps) | st.text(max_size=20), max_size=4),
    st.sampled_from(["\n", "\r\n", "\n\n"]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
def test_prompts_are_read_or_refused(lines: list[str], end: str, encoding: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (file := Path(folder) / "prompts.jsonl").write_bytes(end.join(lines).encode(encoding, "surrogatepass"))
        with suppress(InputError):
            for prompt in load_prompts(str(file)):
                prompt.text.encode()
                assert all(one.encode() is not None for one in prompt.answers)


@pytest.mark.parametrize("odd", ["\u2028", "\x85", "\x0b", "\x1c"])
def test_what_only_python_takes_for_the_end_of_a_line_stays_in_it(odd: str, tmp_path: Path) -> None:
    row = {"prompt": f"one{odd}two"}
    (tmp_path / "p.jsonl").write_text("\n".join([json.dumps(row, ensure_ascii=False)] * 2), encoding="utf-8")
    if odd in "\x0b\x1c":  # JSON wants them escaped
        (tmp_path / "p.jsonl").write_text("\r\n".join([json.dumps(row)] * 2), encoding="utf-8")
    assert [one.content for one in load_prompts(str(tmp_path / "p.jsonl"))] == [f"one{odd}two"] * 2


@pytest.mark.parametrize("where", ["prompt", "answer", "another", "content"])
def test_half_a_character_in_a_prompts_file_is_refused_with_its_line(where: str, tmp_path: Path) -> None:
    row: dict[str, Any] = {"prompt": "w1"} | {where: "\ud800"}
    if where == "content":
        row = {"prompt": [{"role": "user", "content": "\ud800"}]}
    (tmp_path / "p.jsonl").write_text('{"prompt": "w1"}\n' + json.dumps(row))
    with pytest.raises(InputError, match="line 2 holds"):
        load_prompts(str(tmp_path / "p.jsonl"))


@pytest.mark.parametrize("flag", ["--dtype=bfloat16", "--device=cpu", "--trust-remote-code"])
def test_what_a_model_here_is_told_is_refused_of_an_endpoint(flag: str) -> None:
    given = ["diagnose", "--level", "answer", "--engine", "openai:http://127.0.0.1:9/v1", "--model", "x", flag]
    code, told = ended([*given, "--limit", "2"])
    assert code == 2
    assert "of a model here, not of an endpoint" in told
