"""Options are the fields of settings: each with its default, only what was typed passed on, a line for a new one."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import MISSING, dataclass
from pathlib import Path
from typing import Annotated, Any

import pytest
import typer
from typer.testing import CliRunner

import srlm
from srlm.cli._options import with_options
from srlm.cli.main import run
from srlm.diagnosis.settings import DiagnosisSettings
from srlm.errors import InputError
from srlm.lm.subject import Subject
from srlm.records.options import facts_of, option
from srlm.training.settings import Request, RunSettings

# What users and scripts type; these names may grow, and none may go.
RUN = (
    "model prompts rounds out resume config responses max-new-tokens beta learning-rate reward loss reference "
    "beta-schedule early-stopping rescore on-signature preset dry-run passes batch-size expansions limit held-out full "
    "raw-prompts dtype load-in-4bit device seed trust-remote-code json help"
)
DIAGNOSE = (
    "model prompts max-new-tokens expansions samples limit mass-slack no-spectra raw-prompts dtype device seed "
    "trust-remote-code compare families out json help"
)


def shown(command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What the help says, by option, in a terminal so wide that everything stands on one line."""
    monkeypatch.setenv("COLUMNS", "400")
    monkeypatch.setenv("TERMINAL_WIDTH", "400")
    assert run([command, "--help"]) == 0
    lines = re.findall(r"^│ --(\S+) +(.*?) *│$", capsys.readouterr().out, flags=re.MULTILINE)
    return dict(lines)


@pytest.mark.parametrize(("command", "names"), [("run", RUN), ("diagnose", DIAGNOSE)])
def test_no_option_is_lost(
    command: str, names: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert set(names.split()) <= shown(command, capsys, monkeypatch).keys()


@pytest.mark.parametrize(
    ("command", "groups"), [("run", (Request, RunSettings)), ("diagnose", (Subject, DiagnosisSettings))]
)
def test_help_shows_every_option_with_its_meaning_its_default_and_its_domain(
    command: str, groups: tuple[type, ...], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    told = shown(command, capsys, monkeypatch)
    for group in groups:
        for one, facts in facts_of(group):
            if facts.flag is None:
                continue
            said = told[facts.flag]
            assert facts.help in said
            assert facts.domain.lower() in said.lower()
            if isinstance(one.default, bool):
                assert "[default: (off)]" in said
            elif one.default is None:
                assert facts.shown, f"{one.name}: the default None stands for something, which help must say"
                assert f"[default: ({facts.shown})]" in said
            else:
                assert f"[default: {one.default}]" in said


@pytest.mark.parametrize(
    ("command", "option_", "default"),
    [
        ("plan", "margin", "(1)"),
        ("plan", "beta", "(pairs^(-1/2))"),
        ("report", "out", "(RUN/report.html)"),
        ("simulate", "out", "(simulations)"),
    ],
)
def test_defaults_that_a_command_works_out_are_shown(
    command: str, option_: str, default: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert f"[default: {default}]" in shown(command, capsys, monkeypatch)[option_]


def test_help_needs_no_torch() -> None:
    code = (
        "import sys; sys.modules['torch'] = sys.modules['transformers'] = None\n"
        "from srlm.cli.main import run\n"
        "sys.exit(run(['--help']) or run(['run', '--help']) or run(['diagnose', '--help']) or run(['plan', '--help']))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, stdout=subprocess.DEVNULL).returncode == 0


def asked(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What `srlm run` asks of `start` for these arguments."""
    from srlm.training import start

    taken: list[dict[str, Any]] = []

    def instead(**given: Any) -> None:
        taken.append(given)
        raise InputError("enough")

    monkeypatch.setattr(start, "dry_run", instead)
    assert run(["run", "--dry-run", *arguments]) == 2
    return taken[0]


def test_what_was_not_typed_is_left_to_file_preset_and_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    assert asked([], monkeypatch) == {"options": {}}
    # A default typed by hand is typed: it wins over a file and a preset.
    assert asked(["--rounds", "3"], monkeypatch) == {"options": {"rounds": 3}}


def test_every_option_reaches_its_field(monkeypatch: pytest.MonkeyPatch) -> None:
    typed = (
        "--model m --prompts p --rounds 5 --out o --resume --config c.json --responses 6 --max-new-tokens 7 --beta 0.5 "
        "--learning-rate 1e-3 --reward entropy --reward judge --loss dpo --reference base --beta-schedule n^-1/2 "
        "--early-stopping 2 --rescore --on-signature all=note --on-signature kappa_rises=stop --preset quick "
        "--passes 2 --batch-size 3 --expansions 0 --limit 9 --held-out 0.5 --full --raw-prompts --dtype bfloat16 "
        "--load-in-4bit --device cpu --seed 4 --trust-remote-code"
    )
    assert asked(typed.split(), monkeypatch) == {
        "model": "m", "prompts": "p", "resume": True, "config_file": Path("c.json"), "preset": "quick", "limit": 9,
        "held_out": 0.5, "dtype": "bfloat16", "load_in_4bit": True, "device": "cpu", "trust_remote_code": True,
        "options": {
            "rounds": 5, "output_dir": "o", "num_generations": 6, "max_completion_length": 7, "beta": 0.5,
            "learning_rate": 1e-3, "rewards": ["entropy", "judge"], "loss_type": "dpo", "reference": "base",
            "beta_schedule": "n^-1/2", "early_stopping_patience": 2, "rescore": True,
            "on_signature": {"all": "note", "kappa_rises": "stop"}, "num_train_epochs": 2.0,
            "per_device_train_batch_size": 3, "max_expansions": 0, "use_peft": False, "raw_prompts": True, "seed": 4,
        },
    }  # fmt: skip


def test_a_command_may_mix_derived_options_with_its_own() -> None:
    @dataclass
    class Tea:
        cups: int = option(2, "How many.", "cups", low=1)
        sorts: list[str] | None = option(None, "Which.", "sort", shown="any")
        milk: bool = option(True, "Without milk.", "black")
        secret: int = option(1, "Not offered.")

    taken: list[Any] = []

    @with_options(tea=Tea)
    def command(names: Annotated[list[str], typer.Argument()], tea: dict[str, Any], loud: bool = False) -> None:
        """Make tea."""
        taken.append((names, tea, loud))

    app = typer.Typer()
    app.command()(command)
    outcome = CliRunner().invoke(app, ["ann", "--cups", "3", "bob", "--sort", "green", "--black", "--loud"])
    assert outcome.exit_code == 0, outcome.output
    assert taken == [(["ann", "bob"], {"cups": 3, "sorts": ["green"], "milk": False}, True)]
    assert CliRunner().invoke(app, ["ann", "--secret", "3"]).exit_code != 0


def test_a_new_option_is_one_line_in_one_file(tmp_path: Path) -> None:
    source = Path(srlm.__file__).parent
    shutil.copytree(source, tmp_path / "srlm", ignore=shutil.ignore_patterns("__pycache__"))
    settings = tmp_path / "srlm" / "training" / "settings.py"
    text = settings.read_text()
    line = '    breadth: int = option(7, "How wide a run is.", "breadth", low=2, on_resume="free")\n'
    after = "    seed: int = option("
    assert text.count(after) == 1
    settings.write_text(text.replace(after, line + after))
    environment = os.environ | {"PYTHONPATH": str(tmp_path), "COLUMNS": "400", "TERMINAL_WIDTH": "400"}

    def srlm_(code: str) -> str:
        outcome = subprocess.run(
            [sys.executable, "-c", code], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
        )
        return outcome.stdout + outcome.stderr

    told = srlm_("from srlm.cli.main import main; main(['run', '--help'])")
    assert re.search(r"--breadth +<int> +How wide a run is\. At least 2\. \[default: 7\]", told)
    told = srlm_("from srlm.cli.main import main; main(['run', '--breadth', '1', '--dry-run'])")
    assert "breadth is 1; it must be a whole number, at least 2 (How wide a run is)" in told
    told = srlm_(
        "from srlm import SelfRewardingConfig\n"
        "config = SelfRewardingConfig(use_cpu=True, breadth=9)\n"
        "print(config.recorded()['breadth'], 'breadth' in config.may_change(config.recorded(), config.recorded()))"
    )
    assert told.splitlines()[-1] == "9 True"


def test_nobody_else_says_what_a_setting_is_by_default() -> None:
    # The interface in Python has defaults of its own: they are the same.
    import inspect

    from srlm.diagnosis.preflight import diagnose
    from srlm.lm.loading import load_model
    from srlm.tasks.prompts import load_prompts

    facts = {one.name: one.default for one, _ in facts_of(Request)}
    renamed = {(load_model, "name"): "model", (load_prompts, "source"): "prompts"}
    for function in (diagnose, load_model, load_prompts):
        for name, parameter in inspect.signature(function).parameters.items():
            name = renamed.get((function, name), name)
            if name in facts and parameter.default is not inspect.Parameter.empty:
                assert parameter.default == facts[name], (function.__name__, name)
    assert MISSING not in facts.values()
