"""Arguments that are wrong, huge, of another type or merely odd: every option of every command, every field of a run's
configuration file, every field of a prompts file.

A case is clean where the command ends by itself with 0, 1 or 2 (an audit also with 3), without a traceback, with at
most three lines and 3,000 characters on stderr where it refuses, and where it wrote nothing if it ended with 2. Of
values of fields every second is tried, which ones is up to the seed.
"""

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from tests.torture.case import Case, Ended, Outcome, files, forked
from tests.torture.subjects import audited, base, diagnosed, finished, watched

LINES, LETTERS = 3, 3000
_LONG = "a" * 20_000
_HUGE = "1" + "0" * 30
NUMBERS = ("", "0", "-1", "2.5", "1e9", "1000000000", "1e308", "1e400", _HUGE, "nan", "inf", "x", "\udcff", "true")
TEXTS = (
    "", "0", "x", "\udc80\udcff", "\x01\x1b[31m\n", _LONG, "/", ".", "file.txt", "file.txt/below", "full",
    "full/note.txt/x/y", "it's \"a\" <b>&\u2028", "/proc/self/mem", "[" * 2000, "=",
)  # fmt: skip
JSON = (
    "null", "true", "0", "-1", "2.5", "1e308", _HUGE, "NaN", "-Infinity", '""', '"x"', '"\\ud800"', '"a\\u0000b"',
    "[]", '["x"]', "[[1]]", "{}", '{"a": 1}', "[" * 3000 + "]" * 3000, json.dumps(_LONG),
)  # fmt: skip
# Of fields that are transformers' own, fewer: how they can be wrong is theirs, that it is said in a sentence ours.
_THEIRS = ("null", "true", "-1", "1e308", '"x"', '["x"]')
# What the commands find where they start.
_AROUND: Mapping[str, bytes] = {"file.txt": b"text", "full/note.txt": b"mine"}
_ROWS = [{"prompt": "w1 w2", "answer": "w3"}, {"prompt": "w2 w3", "answer": "w4", "split": "held_out"}]


def started(folder: Path, arguments: Sequence[Any], around: Mapping[str, bytes], inside: Any = None) -> Ended:
    """`srlm ARGUMENTS` as the shell starts it, in `folder` with some files in it."""

    def first() -> None:
        os.chdir(folder)
        if inside is not None:
            inside()

    def work() -> None:
        from srlm.cli.main import main

        main([str(one) for one in arguments])

    for name, content in around.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return forked(work, inside=first)


def usual_codes(command: str) -> tuple[int, ...]:
    """With which it ends where all is well."""
    return (0, 3) if command == "audit" else (0,)


def wrong(ended: Ended, codes: Sequence[int]) -> Outcome:
    """What is wrong with an end that is to be one of these, or a few lines."""
    found = ended.problem(codes=codes, lines=LINES)
    if not found and ended.code in (1, 2) and len(ended.err) > LETTERS:
        found = f"many lines: {len(ended.err)} characters on stderr"
    return Outcome(found, ended.err)


def place_in(folder: Path, name: str = "place") -> Path:
    """A new folder to work in."""
    (folder / name).mkdir()
    return folder / name


def tried(folder: Path, arguments: Sequence[Any], around: Mapping[str, bytes] = _AROUND) -> Outcome:
    """What is wrong with how the command ended."""
    place = place_in(folder)
    ended = started(place, arguments, around)
    found = wrong(ended, (*usual_codes(arguments[0]), 1, 2)).problem
    wrote = sorted(files(place).keys() - {str(part) for name in around for part in (Path(name), *Path(name).parents)})
    if not found and ended.code == 2 and wrote:
        found = f"written on exit 2: {', '.join(wrote[:3])}"
    return Outcome(found, ended.err)


def asked(command: str) -> list[str]:
    """A command line that is right and takes a moment."""
    subject = ["--model", str(base() / "model"), "--prompts", str(base() / "prompts.jsonl"), "--device", "cpu"]
    small = ["--max-new-tokens", "2", "--expansions", "20", "--out", "out"]
    return {
        "run": ["run", *subject, *small, "--rounds", "1", "--responses", "2", "--passes", "1"],
        "diagnose": ["diagnose", *subject, *small, "--samples", "2"],
        "plan": ["plan", "--kappa0", "3", "--pairs", "1000", "--log-class-size", "5", "--margin", "1"],
        "simulate": ["simulate", "margin-collapse", "--set", "prompts=6", "--set", "seeds=2", "--out", "out"],
        "verify": ["verify"],
        "audit": ["audit", str(watched()), "--out", "out"],
        "report": ["report", str(finished("response")), "--out", "out.html"],
    }[command]


def cases(seed: int) -> Iterator[Case]:
    """Every case, in an order that does not matter."""
    for command in ("run", "diagnose", "plan", "simulate", "verify", "audit", "report"):
        yield from _options(command)
        yield from _positions(command, seed)
    yield from _configurations(seed)
    yield from _prompts(seed)
    yield from _sources()


def _case(of: str, name: str, arguments: Sequence[str], around: Mapping[str, bytes] = _AROUND) -> Case:
    return Case(name, lambda folder: tried(folder, arguments, around), of=of, limit=180)


def _options(command: str) -> Iterator[Case]:
    import typer

    from srlm.cli._app import app

    group: Any = typer.main.get_command(app)
    for one in group.get_command(None, command).params:
        flag = one.opts[0]
        if not flag.startswith("--") or flag in ("--help", "--families"):  # the last is an experiment of minutes
            continue
        rest = _without(asked(command), flag)
        if one.is_flag:
            for name in (*one.opts, *one.secondary_opts):
                more = ["--idle", "0.2", "--poll", "0.1"] if name == "--follow" else []
                yield _case(f"{command}: options", name, [*rest, *more, name])
                yield _case(f"{command}: options", f"{name}=x", [*rest, *more, f"{name}=x"])
            continue
        kind = one.type_descriptor.annotation
        for value in NUMBERS if kind in (int, float) else TEXTS if flag != "--ray" else ("x", "", "\udcff"):
            yield _case(f"{command}: options", f"{flag} {_short(value)}", [*rest, flag, value])
        yield _case(f"{command}: options", f"{flag} without its value", [*rest, flag])


def _positions(command: str, seed: int) -> Iterator[Case]:
    """Arguments without a name, and too many of them; and the command's other ways."""
    of = f"{command}: positions"
    for value in TEXTS:
        yield _case(of, _short(value), [command, value])
        yield _case(of, f"{_short(value)} added", [*asked(command), value])
    if command == "plan":
        for level in ("response", "answer"):
            found = str(diagnosed(level) / "diagnosis.json")
            for rounds in ("1", "1000000", "1000000000", _HUGE):
                yield _case(
                    of, f"--from, level {level}, --rounds {rounds}", ["plan", "--from", found, "--rounds", rounds]
                )
            for beta in ("0", "-1", "1e-308", "1e308", "5e-324"):
                yield _case(of, f"--from, level {level}, --beta {beta}", ["plan", "--from", found, "--beta", beta])
    if command == "simulate":
        yield from _experiments(seed)
    if command == "audit":
        yield _case(of, "an audit of an audit", ["audit", str(audited())])
        yield _case(of, "an audit of a run", ["audit", str(finished("response"))])


def _experiments(seed: int) -> Iterator[Case]:
    from srlm.simulation.experiments import EXPERIMENTS

    for experiment in EXPERIMENTS.values():
        for turn, name in enumerate([*experiment.settings, "no_such"]):
            for value in ("", "-1", "0", "1e308", _HUGE, "nan", "x")[(turn + seed) % 2 :: 2]:
                given = ["simulate", experiment.name, "--set", f"{name}={value}", "--out", "out"]
                yield _case("simulate: settings", f"{experiment.name} {name}={_short(value)}", given)


def _configurations(seed: int) -> Iterator[Case]:
    from srlm.training.config import SelfRewardingConfig
    from srlm.training.settings import RunSettings

    ours = {one.name for one in fields(RunSettings)}
    for turn, one in enumerate(fields(SelfRewardingConfig)):
        rest = _without(asked("run"), *_flags(one.name))
        for value in (JSON if one.name in ours else _THEIRS)[(turn + seed) % 2 :: 2]:
            yield _configured(f"{one.name}: {_short(value)}", f'{{"{one.name}": {value}}}'.encode(), rest)
    whole: dict[str, bytes] = {
        "empty": b"", "a list": b"[]", "a text": b'"x"', "a number": b"3", "null": b"null", "half": b'{"rounds": ',
        "a mark of byte order": b'\xef\xbb\xbf{"rounds": 1}', "UTF-16": '{"rounds": 1}'.encode("utf-16"),
        "CRLF": b'{\r\n"rounds": 1\r\n}', "twice the same": b'{"rounds": 1, "rounds": 1}',
        "no UTF-8": b'{"rounds": "\xff"}',
        "deep": b'{"a":' * 100_000, "an unknown field": b'{"breadth": 1}', "a name of controls": b'{"\\u001b[31m": 1}',
        "NUL": b'{"rounds": 1}\0', "much": b"{" + b",".join(b'"%d": 0' % at for at in range(100_000)) + b"}",
        "digits": b'{"rounds": ' + b"9" * 10_000 + b"}", "YAML": b"rounds: 1\n", "TOML": b"rounds = 1\n",
    }  # fmt: skip
    for name, content in whole.items():
        yield _configured(name, content, _without(asked("run"), "--rounds"))


def _configured(name: str, content: bytes, rest: Sequence[str]) -> Case:
    around = {**_AROUND, "config.json": content}
    return _case("run: --config", name, [*rest, "--config", "config.json"], around)


def _prompts(seed: int) -> Iterator[Case]:
    """Files of prompts, read by a diagnosis; those that it can use are answered by the tiny model."""
    rest = _without(asked("diagnose"), "--prompts")
    for name, content in dict(_files_of_prompts(seed)).items():
        around = {**_AROUND, "prompts.jsonl": content}
        yield _case("diagnose: prompts files", name, [*rest, "--prompts", "prompts.jsonl"], around)
        if len(content) < 100_000:
            of_answers = [*_without(rest, "--expansions", "--samples"), "--level", "answer", "--samples", "3"]
            given = [*of_answers, "--answers", "regex:w\\d+", "--prompts", "prompts.jsonl"]
            yield _case("diagnose: prompts files by answers", name, given, around)


def _files_of_prompts(seed: int) -> Iterator[tuple[str, bytes]]:
    for field in ("prompt", "answer", "split", "answer_type", "another", "task"):
        for value in JSON[seed % 2 :: 2]:
            row = "{" + f'"{field}": {value}' + ("" if field == "prompt" else ', "prompt": "w1 w2"') + "}"
            yield f"{field}: {_short(value)}", (json.dumps(_ROWS[0]) + "\n" + row).encode()
    for of in ("role", "content", "name"):
        for value in JSON[seed % 2 :: 2]:
            message = {"role": '"user"', "content": '"w1"', "name": '"x"'} | {of: value}
            text = ", ".join(f'"{key}": {said}' for key, said in message.items())
            yield f"message with {of}: {_short(value)}", f'{{"prompt": [{{{text}}}]}}'.encode()
    good = "\n".join(map(json.dumps, _ROWS))
    yield "nothing", b""
    yield "empty lines", b"\n\n \n\r\n"
    yield "empty lines between", good.replace("\n", "\n\n\n").encode()
    yield "CRLF", good.replace("\n", "\r\n").encode()
    yield "CR", good.replace("\n", "\r").encode()
    yield "a mark of byte order", b"\xef\xbb\xbf" + good.encode()
    yield "a mark of byte order within", good.replace("\n", "\n\ufeff").encode()
    yield "UTF-16", good.encode("utf-16")
    yield "latin-1", '{"prompt": "é"}'.encode("latin-1")
    for name, odd in (("U+2028", "\u2028"), ("U+0085", "\x85"), ("U+2029", "\u2029"), ("U+FEFF", "\ufeff")):
        yield f"{name} in a string", json.dumps({"prompt": f"w1{odd}w2", "answer": odd}, ensure_ascii=False).encode()
    yield "vertical tab in a string", b'{"prompt": "w1\\u000bw2\\u000cw3"}'
    yield "NUL in a string", b'{"prompt": "w1\\u0000w2", "answer": "\\u0000"}'
    yield "NUL in the file", good.encode() + b"\0"
    yield "NULs", b"\0" * 1000
    yield "the same twice", f"{good}\n{good}".encode()
    yield "a field twice", b'{"prompt": "w1", "prompt": "w2"}'
    yield "deep", b'{"prompt": "w1", "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    yield "a huge line", json.dumps({"prompt": "w1 " * 1_000_000}).encode()
    yield "a huge answer", json.dumps({"prompt": "w1", "answer": "w" * 3_000_000}).encode()
    yield "many answers", json.dumps({"prompt": "w1", "answer": [str(at) for at in range(20_000)]}).encode()
    yield "many fields", json.dumps({"prompt": "w1"} | {f"f{at}": at for at in range(20_000)}).encode()
    yield "many lines", "\n".join(json.dumps({"prompt": "w1 w2", "split": "gate"}) for _ in range(20_000)).encode()
    yield "a list", json.dumps(_ROWS).encode()
    yield "half a line", good.encode()[:-3]
    yield (
        "closes HTML",
        json.dumps({"prompt": "</script><script>w1</script><!-- <![CDATA[", "answer": "--></style>"}).encode(),
    )
    yield "steers a terminal", b'{"prompt": "w1 \\u001b]0;x\\u0007\\u202e w2"}'


def _sources() -> Iterator[Case]:
    """Files where folders are due and the reverse, as every input and output."""
    inputs = {"run": ("--model", "--prompts", "--config"), "diagnose": ("--model", "--prompts"), "plan": ("--from",)}
    places = ("full", "file.txt", "full/missing", "", "/dev/null", "/dev/zero", "loop", "..", "/root/none")
    for command, flags in inputs.items():
        for flag in flags:
            for place in places:
                arguments = [*_without(asked(command), flag), flag, place]

                def run(folder: Path, arguments: Sequence[str] = arguments) -> Outcome:
                    (folder / "place").mkdir()
                    os.symlink("loop", folder / "place" / "loop")
                    (folder / "place").rename(folder / "odd")
                    os.chdir(folder / "odd")
                    at = [f"../odd/{one}" if one == "loop" else one for one in arguments]
                    return tried(folder, at)

                yield Case(f"{flag} {place}", run, of=f"{command}: files and folders", limit=180)


def _flags(field: str) -> Iterable[str]:
    from srlm.records.options import facts_of
    from srlm.training.settings import RunSettings

    return [f"--{facts.flag}" for one, facts in facts_of(RunSettings) if one.name == field and facts.flag]


def _without(arguments: Sequence[str], *flags: str) -> list[str]:
    """The arguments but for those options and their values."""
    dropped = {at + more for at, one in enumerate(arguments) if one in flags for more in (0, 1)}
    return [one for at, one in enumerate(arguments) if at not in dropped]


def _short(value: str) -> str:
    shown = ascii(value)[1:-1]
    return shown if len(shown) <= 30 else f"{shown[:20]}... ({len(value)})"
