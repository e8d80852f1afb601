"""No connection and no look-up of a name while commands work on what lies here, whatever libraries would like to do."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

# Every way out that Python knows passes an audit event; each is noted, with who asked for it, and forbidden.
_WATCHED = """
import json, os, sys, traceback

_OUT = {"socket.connect", "socket.sendto", "socket.sendmsg", "socket.bind", "socket.getaddrinfo", "socket.getnameinfo",
        "socket.gethostbyname", "socket.gethostbyaddr", "urllib.Request", "ftplib.connect", "smtplib.connect"}

def _forbid(event, arguments):
    if event in _OUT and not (event in ("socket.connect", "socket.bind") and isinstance(arguments[1], (str, bytes))):
        with open(os.environ["TRIED"], "a") as tried:
            tried.write(f"{event} {arguments[1:]!r}\\n" + "".join(traceback.format_stack(limit=12)))
        raise OSError(f"a test forbids {event}")

sys.addaudithook(_forbid)
from srlm.cli.main import run
for command in json.loads(sys.argv[1]):
    code = run(command)
    print("code", command[0], code, flush=True)
    if code:
        sys.exit(f"{command}: exit code {code}")
"""


def _offline(commands: list[list[str]], folder: Path, **variables: str) -> None:
    tried = folder / "tried"
    gone = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE")
    surroundings = {name: value for name, value in os.environ.items() if name not in gone}
    surroundings |= {"TRIED": str(tried), "HOME": str(folder), "HF_HOME": str(folder / "hub"), **variables}
    ended = subprocess.run(
        [sys.executable, "-c", _WATCHED, json.dumps(commands)],
        cwd=folder, env=surroundings, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert not tried.exists(), tried.read_text(encoding="utf-8")
    assert ended.returncode == 0, ended.stderr[-4000:]
    assert sum(line.startswith("code ") for line in ended.stdout.splitlines()) == len(commands)


def _run_and_look(model: str, prompts: list[str], out: str, tokens: int = 6) -> list[list[str]]:
    few = ["--max-new-tokens", f"{tokens}", "--rounds", "1"]
    return [
        ["run", "--model", model, *prompts, *few, "--out", out],
        ["run", "--model", model, *prompts, *few[:-1], "2", "--out", out, "--resume"],
        ["report", out],
        ["report", out, "--out", "again.html", "--json"],
    ]


def test_commands_on_what_lies_here_open_no_connection(tmp_path: Path, tiny_model_folder: Path) -> None:
    (tmp_path / "prompts.jsonl").write_text(
        "".join(json.dumps({"prompt": f"w{n} w{n + 1}", "answer": "w5"}) + "\n" for n in range(8))
    )
    rows = [{"step": n, "prompt": "1 + 1?", "completion": f"It is {2 + n % 2}.", "answer": "2"} for n in range(8)]
    (tmp_path / "trained.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    tiny = ["--model", "tiny-reasoner", "--limit", "6", "--samples", "4"]
    commands = [
        ["plan", "--kappa0", "130", "--pairs", "192", "--dim", "64", "--radius", "10", "--rounds", "3"],
        ["simulate", "contraction", "--out", "laboratory"],
        ["audit", "trained.jsonl", "--out", "audited"],
        *_run_and_look(str(tiny_model_folder), ["--prompts", "prompts.jsonl"], "folder"),
        *_run_and_look("tiny-reasoner", ["--limit", "6"], "tiny", tokens=64),
        ["diagnose", *tiny, "--out", "looked"],
        ["diagnose", "--model", str(tiny_model_folder), "--prompts", "prompts.jsonl", "--max-new-tokens", "3"],
        ["report", "looked"],
        ["report", "folder", "folder", "--out", "two.html"],
    ]
    _offline(commands, tmp_path)


@pytest.mark.slow
def test_verify_and_the_embedded_model_open_no_connection(tmp_path: Path) -> None:
    embedded = _run_and_look("smollm2-135m", ["--limit", "4"], "embedded")
    _offline([["verify"], *embedded, ["diagnose", "--limit", "2", "--max-new-tokens", "3"]], tmp_path)


def test_a_connection_would_be_noticed(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="getaddrinfo"):
        _offline([["diagnose", "--engine", "openai:http://nowhere.invalid/v1", "--level", "answer", "--model", "m"]],
                 tmp_path)  # fmt: skip


def test_dependencies_are_told_to_report_on_nobody_unless_the_user_has_spoken(tmp_path: Path) -> None:
    code = (
        "import os, srlm.cli.main;"
        "print(*(os.environ[n] for n in ('DO_NOT_TRACK', 'HF_HUB_DISABLE_TELEMETRY', 'RAY_USAGE_STATS_ENABLED')))"
    )
    names = ("DO_NOT_TRACK", "HF_HUB_DISABLE_TELEMETRY", "RAY_USAGE_STATS_ENABLED")
    unset = {name: value for name, value in os.environ.items() if name not in names}
    for said, expected in (({}, "1 1 0"), ({"RAY_USAGE_STATS_ENABLED": "1", "DO_NOT_TRACK": "0"}, "0 1 1")):
        ended = subprocess.run(
            [sys.executable, "-c", code], env=unset | said, capture_output=True, text=True, check=True
        )
        assert ended.stdout.split() == expected.split()
