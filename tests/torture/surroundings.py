"""What a shell, a machine, a second process or somebody else's model folder does to a command that is right.

A second process in a folder, signals at any moment, pipes that close, streams that are not UTF-8, a clock that goes
back, homes and caches that are not there, names of every kind, models with pickles, programs and absurd values.
"""

import io
import json
import os
import pickle
import re
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from tests.torture.arguments import LETTERS, LINES, asked, started
from tests.torture.case import Case, Ended, Outcome, copied, files, prepared, scratch
from tests.torture.subjects import base, contents, difference, goes_on, subjects, undisturbed

COMMANDS = ("run", "diagnose", "plan", "simulate", "audit", "report")
WRITING = ("run", "diagnose", "simulate", "audit")
_MOMENTS = 12  # at which a command is told to stop, for each of them and each signal
Made = Iterator[tuple[str, Callable[[Path], Outcome]]]


def cases(seed: int) -> Iterator[Case]:
    """Every case, in an order that does not matter."""
    asked("report")  # makes what all of them need
    for of, made in (
        ("two processes, one folder", _two()),
        ("signals", _signals(seed)),
        ("pipes and full devices", _streams()),
        ("encodings", _encodings()),
        ("clock", _clocks()),
        ("homes, caches, folders that are gone", _homes()),
        ("names of files", _names()),
        ("model folders", _models()),
        ("pages", _pages()),
    ):
        for name, run in made:
            yield Case(name, run, of=of, limit=300)


def _codes(command: str) -> tuple[int, ...]:
    return (0, 3) if command == "audit" else (0,)


def _wrong(ended: Ended, codes: Sequence[int]) -> Outcome:
    found = ended.problem(codes=codes, lines=LINES)
    if not found and ended.code in (1, 2) and len(ended.err) > LETTERS:
        found = f"many lines: {len(ended.err)} characters on stderr"
    return Outcome(found, ended.err)


def _refused(ended: Ended, *words: str) -> Outcome:
    """Exit 2 in a sentence with these words in it."""
    found = _wrong(ended, (2,))
    missing = [word for word in words if word not in ended.err]
    return found if found.problem or not missing else Outcome(f"not said: {', '.join(missing)}", ended.err)


def _place(folder: Path, name: str = "place") -> Path:
    (folder / name).mkdir()
    return folder / name


# Two processes, one folder


def _two() -> Made:
    for command in WRITING:
        yield f"{command} while another one goes on", partial(_second, command, command, ())
        yield f"{command} after another one was killed", partial(_after_kill, command)
    yield "diagnose while a run goes on", partial(_second, "run", "diagnose", ())
    yield "run --resume while a run goes on", partial(_second, "run", "run", ("--resume",))


def _holder(place: Path, command: str) -> tuple[int, int, int]:
    """A command that has locked its folder and waits: its process, its own fork's, and what it is told to go on by."""
    (reads, writes), (told, tell) = os.pipe(), os.pipe()

    def waits() -> None:
        from srlm.records import lock

        locked = lock._locked

        def wait(folder: Path) -> int:
            handle = locked(folder)
            os.write(tell, b"%10d" % os.getpid())
            os.read(reads, 1)
            return handle

        lock._locked = wait

    child = os.fork()
    if child == 0:
        os.close(writes)
        try:
            ended = started(place, asked(command), {}, waits)
            (place.parent / "first.json").write_text(json.dumps([ended.code, ended.err]))
        finally:
            os._exit(0)
    os.close(tell)
    return child, int(os.read(told, 10) or 0), writes


def _second(first: str, command: str, more: Sequence[str], folder: Path) -> Outcome:
    place = _place(folder)
    child, holds, writes = _holder(place, first)
    ended = started(place, [*asked(command), *more], {})
    os.write(writes, b"x")
    os.waitpid(child, 0)
    found = _refused(ended, f"process {holds}")
    code, err = json.loads((folder / "first.json").read_text())
    if not found.problem and code not in _codes(first):
        return Outcome(f"lost: the first one ended with {code}", err)
    left = [name for name in files(place) if "partial" in name]
    return found if found.problem or not left else Outcome(f"left over: {left}")


def _after_kill(command: str, folder: Path) -> Outcome:
    place = _place(folder)
    child, holds, _ = _holder(place, command)
    os.kill(holds, signal.SIGKILL)
    os.waitpid(child, 0)
    return _wrong(started(place, asked(command), {}), _codes(command))


# Signals


def _signals(seed: int) -> Made:
    chosen = [one for one in subjects() if one.every == 1]
    for subject in chosen:

        def seconds(made: Path, subject: Any = subject) -> None:
            (made / "seconds").write_text(str(subject.work(subject.place(made), None).seconds))

        whole = float((prepared(f"seconds of {subject.name}", seconds) / "seconds").read_text())
        _, due = undisturbed(subject)
        for number in (signal.SIGINT, signal.SIGTERM):
            for moment in range(_MOMENTS):
                share = (moment + 0.5 + 0.3 * ((seed + moment) % 2)) / _MOMENTS
                name = f"{subject.name}: {number.name} after {share:.0%}"
                yield name, partial(_stopped, subject, due, number, share * whole)


def _stopped(subject: Any, due: dict[str, Any], number: int, seconds: float, folder: Path) -> Outcome:
    out = subject.place(folder)

    def inside() -> None:
        from srlm.cli import main

        for one in (signal.SIGINT, signal.SIGTERM):
            signal.signal(one, main._stop)
        me = os.getpid()
        threading.Timer(seconds, lambda: os.kill(me, number)).start()

    ended = subject.work(out, inside)
    if ended.code == subject.code:  # it was faster
        return Outcome("" if (told := difference(contents(out), due)) == "" else f"end differs: {told}")
    if problem := ended.problem(codes=(128 + number,), lines=LINES):
        return Outcome(problem, ended.err)
    if "stopped by" not in ended.err:
        return Outcome("silent: it does not say that it was stopped", ended.err)
    if left := [name for name in files(folder) if "partial" in name]:
        return Outcome(f"left over: {left}")
    return goes_on(subject, due, out)


# Streams


def _streams() -> Made:
    for command in (*COMMANDS, "verify"):
        for json_output in (False, True):
            for number, stream in ((1, "stdout"), (2, "stderr")):
                for what in ("a closed pipe", "a full device", "closed"):
                    name = f"{command}{' --json' * json_output}: {stream} is {what}"
                    yield name, partial(_streaming, command, json_output, number, what)


def _streaming(command: str, json_output: bool, number: int, what: str, folder: Path) -> Outcome:
    def inside() -> None:
        if what == "closed":
            setattr(sys, {1: "stdout", 2: "stderr"}[number], None)
            return
        if what == "a closed pipe":
            reads, to = os.pipe()
            os.close(reads)
        else:
            to = os.open("/dev/full", os.O_WRONLY)
        os.dup2(to, number)

    ended = started(_place(folder), [*asked(command), *["--json"] * json_output], {}, inside)
    if ended.code not in (*_codes(command), 1):
        return Outcome(f"exit code: {ended.code}; {ended.err[-200:]}", ended.err)
    if "Traceback" in ended.err or "Exception ignored" in ended.err:
        return Outcome(f"traceback: {ended.err.strip().splitlines()[-1]}", ended.err)
    return Outcome("" if number == 2 or ended.code == 0 or len(ended.err.splitlines()) <= LINES + 9 else "many lines")


def _encodings() -> Made:
    for command in (*COMMANDS, "verify"):
        for encoding in ("ascii", "latin-1", "cp437", "utf-16"):
            for json_output in (False, True):
                name = f"{command}{' --json' * json_output} in {encoding}"
                yield name, partial(_encoded, command, encoding, json_output)


def _encoded(command: str, encoding: str, json_output: bool, folder: Path) -> Outcome:
    def inside() -> None:
        for at, name in ((1, "stdout"), (2, "stderr")):
            setattr(sys, name, io.TextIOWrapper(open(at, "wb", closefd=False), encoding=encoding))

    place = _place(folder, "place é \u2028 東")
    ended = started(place, [*asked(command), *["--json"] * json_output], {}, inside)
    found = _wrong(ended, _codes(command))
    if not found.problem and json_output and encoding != "utf-16":
        try:
            json.loads(ended.out)
        except ValueError as error:
            return Outcome(f"no JSON: {error}", ended.out[:2000])
    return found


# Machine


def _clocks() -> Made:
    for command in COMMANDS:
        for step in (-1.0, -1e9, 1e9):
            yield f"{command}: {step:g} s at every look", partial(_clock, command, step)


def _clock(command: str, step: float, folder: Path) -> Outcome:
    def inside() -> None:
        real, looks = time.time, iter(range(1, 1_000_000_000))
        time.time = lambda: max(0.0, real() + step * next(looks) % 4e9)

    place = _place(folder)
    found = _wrong(started(place, asked(command), {}, inside), _codes(command))
    if found.problem:
        return found
    for path in place.rglob("*.json"):
        if re.search(r'"(seconds|sample|certify|train|save)": -', path.read_text(encoding="utf-8")):
            return Outcome(f"negative: a duration in {path.name}")
    return Outcome()


def _homes() -> Made:
    nowhere = {"HOME": "/dev/null/home", "XDG_CACHE_HOME": "/dev/null/cache", "HF_HOME": "/dev/null/hf"}
    settings: dict[str, dict[str, str | None]] = {
        "no HOME": {"HOME": None},
        "a HOME that is none": {**nowhere},
        "caches that cannot be written": {"XDG_CACHE_HOME": "/proc/cache", "HF_HOME": "/proc/hf", "MPLCONFIGDIR": "/proc/m"},
        "an empty HOME": {"HOME": ""},
        "offline": {"HF_HUB_OFFLINE": "1"},
        "no PATH": {"PATH": ""},
        "no place for temporary files": {"TMPDIR": "/dev/null"},
        "a strange terminal": {"TERM": "x\x1b", "COLUMNS": "-3", "LINES": "x"},
        "colours forced": {"FORCE_COLOR": "1", "TERM": "xterm"},
        "LC_ALL=C": {"LC_ALL": "C", "LANG": "C", "PYTHONIOENCODING": "ascii"},
        "a rank that is none": {"LOCAL_RANK": "x"},
    }  # fmt: skip
    for name, changes in settings.items():
        for command in COMMANDS:
            codes = (*_codes(command), 1, 2) if name == "a rank that is none" else _codes(command)
            yield f"{command}: {name}", partial(_surrounded, command, changes, codes)
    for command in COMMANDS:
        yield f"{command}: the working folder is gone", partial(_gone, command)
    for source in ("no-such/model", "x", "a/b/c", "../x", "gpt2", "hf://x", "https://example.org/x"):
        rest = {"HF_HUB_OFFLINE": "1"}
        yield f"run --model {source} offline", partial(_hub, "--model", source, rest)
        yield f"run --prompts {source} offline", partial(_hub, "--prompts", source, rest)


def _change(changes: dict[str, str | None]) -> None:
    for name, value in changes.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def _surrounded(command: str, changes: dict[str, str | None], codes: Sequence[int], folder: Path) -> Outcome:
    return _wrong(started(_place(folder), asked(command), {}, partial(_change, changes)), codes)


def _gone(command: str, folder: Path) -> Outcome:
    place = _place(folder)
    return _wrong(started(place, asked(command), {}, lambda: place.rmdir()), (*_codes(command), 1, 2))


def _hub(flag: str, source: str, changes: dict[str, str | None], folder: Path) -> Outcome:
    def inside() -> None:
        import huggingface_hub.constants

        _change(changes)
        huggingface_hub.constants.HF_HUB_OFFLINE = True

    place = _place(folder)
    ended = started(place, [*asked("run"), flag, source], {}, inside)
    found = _refused(ended)
    return found if found.problem or not files(place) else Outcome(f"written on exit 2: {list(files(place))[:3]}")


def _names() -> Made:
    names = (
        "with spaces", "it's", 'a "quote"', "new\nline", "$HOME `x`", "per%cent", "[abc]*?", "#frag?x=1&y", "é東\u202e",
        "-dash", "--out", " ", "a" * 200, "back\\slash", "<b>", "{{x}}", "..a", "semi;colon", "tab\t", "a.partial-x",
        ".hidden", "con", "trailing.", "~",
    )  # fmt: skip
    for name in names:
        for command in COMMANDS:
            yield f"{command}: {ascii(name)[:40]}", partial(_named, command, name)


def _named(command: str, name: str, folder: Path) -> Outcome:
    """Everything that the command reads and writes has this name."""
    place = _place(folder)
    given = asked(command)
    for at, one in enumerate(given):
        if one.startswith(str(scratch())):
            kind = place / "in" / str(at)
            kind.mkdir(parents=True)
            whole = kind / f"{name}{Path(one).suffix}"
            copied(Path(one), whole) if Path(one).is_dir() else shutil.copy(one, whole)
            given[at] = str(whole)
        elif one in ("out", "out.html"):
            given[at] = f"./{name}" if one == "out" else f"./{name}.html"
    ended = started(place, given, {})
    found = _wrong(ended, _codes(command))
    if not found.problem and command == "run":
        found = _wrong(started(place, ["report", f"./{name}"], {}), (0,))
    return found


# Models of somebody else


class _Bomb:
    """Unpickled, it leaves a mark."""

    def __reduce__(self) -> Any:
        return os.mkdir, ("exploded",)


def _models() -> Made:
    templates = {
        "loops": "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
        "a range of a billion": "{% for i in range(10**9) %}x{% endfor %}",
        "a long string": "{{ 'a' * 10**9 }}",
        "a longer string": "{{ 'a' * 10**12 }}",
        "a tower of powers": "{{ 10 ** (10 ** 9) }}",
        "doubles": "{% set n = namespace(s='ab') %}{% for i in range(60) %}{% set n.s = n.s + n.s %}{% endfor %}{{ n.s }}",
        "calls itself": "{% macro f(n) %}{{ f(n) }}{{ f(n) }}{% endmacro %}{{ f(1) }}",
        "centres": "{{ 'a'|center(2000000000) }}",
        "reads a file": "{% include '/etc/passwd' %}",
        "opens": "{{ open('/etc/passwd').read() }}",
        "attributes": "{{ messages.__class__.__mro__[1].__subclasses__() }}",
        "changes messages": "{{ messages.append(1) }}",
        "raises": "{{ raise_exception('no') }}",
        "undefined": "{{ a.b.c }}",
        "no template": "{% for %}",
        "empty": "",
        "a number": "{{ 1/0 }}",
        "format": "{{ '%99999999999d' % 1 }}",
        "lone surrogate": "{{ '\\ud800' }}",
        "control": "\x00\x1b[31m{{ messages[0].content }}",
    }  # fmt: skip
    for name, text in templates.items():
        ends = (0, 1, 2) if name in ("empty", "control", "no template", "lone surrogate") else (2,)
        yield f"chat template: {name}", partial(_model, {"chat_template.jinja": text.encode()}, ends)
    values: dict[str, Sequence[Any]] = {
        "vocab_size": (0, -1, 10**12, "x", None),
        "hidden_size": (0, -1, 7, 10**12, "x", None, 32.5),
        "num_hidden_layers": (0, -1, 10**9, "x", None),
        "num_attention_heads": (0, -1, 3, 10**12, None),
        "num_key_value_heads": (0, -3, 10**12),
        "intermediate_size": (0, -1, 10**12),
        "max_position_embeddings": (0, -1, 10**12, "x", None),
        "model_type": ("", "x", 3, None, "bert", "t5", "__class__"),
        "architectures": ([], ["X"], "x", [1], ["BertModel"]),
        "eos_token_id": (-1, 10**12, "x", [], [[1]], {}),
        "torch_dtype": ("x", "float8", 3),
        "dtype": ("x", "int8", "complex64"),
        "rope_parameters": ("x", {"rope_type": "x"}, {"rope_theta": -1, "rope_type": "default"}),
        "hidden_act": ("x", 3, "__import__"),
        "rms_norm_eps": ("x", -1, 1e308),
        "tie_word_embeddings": ("x", 3),
        "quantization_config": ("x", {}, {"quant_method": "x"}, {"quant_method": "bitsandbytes", "load_in_4bit": True}),
        "auto_map": ({"AutoModelForCausalLM": "evil.Evil", "AutoConfig": "evil.C"}, "x", {"AutoConfig": 3}),
        "attn_implementation": ("x", "https://x/y"),
        "id2label": ({"x": 1}, 3),
    }
    for field, some in values.items():
        for value in some:
            change = {"config.json": {field: value}}
            yield f"config.json: {field} is {json.dumps(value)[:40]}", partial(_model, change, (0, 1, 2))
    whole: dict[str, Any] = {
        "only a pickle": ({"model.safetensors": None, "pytorch_model.bin": pickle.dumps(_Bomb())}, (2,)),
        "only a pickle in parts": (
            {"model.safetensors": None, "pytorch_model-00001-of-00001.bin": pickle.dumps(_Bomb()),
             "pytorch_model.bin.index.json": b'{"weight_map": {"x": "pytorch_model-00001-of-00001.bin"}}'}, (2,)),
        "a pickle beside": ({"pytorch_model.bin": pickle.dumps(_Bomb())}, (0,)),
        "an adapter in a pickle": (
            {"model.safetensors": None, "config.json": None, "adapter_model.bin": pickle.dumps(_Bomb()),
             "adapter_config.json": b'{"peft_type": "LORA", "base_model_name_or_path": "x"}'}, (2,)),
        "an adapter in a pickle beside": (
            {"adapter_model.bin": pickle.dumps(_Bomb()),
             "adapter_config.json": b'{"peft_type": "LORA", "base_model_name_or_path": "x"}'}, (0, 2)),
        "code of its own": (
            {"config.json": {"auto_map": {"AutoConfig": "evil.C", "AutoModelForCausalLM": "evil.M"}, "model_type": "e"},
             "evil.py": b"import os\nos.mkdir('exploded')\n"}, (2,)),
        "a tokenizer with code": (
            {"tokenizer_config.json": {"auto_map": {"AutoTokenizer": ["evil.T", None]}, "tokenizer_class": "T"},
             "evil.py": b"import os\nos.mkdir('exploded')\n"}, (0, 2)),
    }  # fmt: skip
    for file in (
        "config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "generation_config.json",
        "model.safetensors",
    ):
        for name, content in (
            ("missing", None), ("empty", b""), ("half", 0.5), ("{}", b"{}"), ("[]", b"[]"), ("null", b"null"),
            ("a text", b'"x"'), ("deep", b"[" * 100_000), ("no UTF-8", b"\xff\xfe{}"), ("zeros", b"\0" * 4096),
            ("a huge header", b"\xff" * 7 + b"\x7f{}"), ("a link to nowhere", ...), ("a folder", {}),
        ):  # fmt: skip
            whole[f"{file} is {name}"] = ({file: content}, (0, 1, 2))
    for name, (change, ends) in whole.items():
        yield name, partial(_model, change, ends)
    for field, value in (("eos_token_id", -5), ("max_length", -1), ("temperature", "x"), ("eos_token_id", [[]])):
        change = {"generation_config.json": {field: value}}
        yield f"generation_config.json: {field} is {value}", partial(_model, change, (0, 1, 2))
    for key, value in (("vocab", {}), ("vocab", {"x": 2**40}), ("vocab", {"x": -1}), ("unk_token", 3), ("type", "X")):
        yield (
            f"tokenizer.json: {key} is {value}",
            partial(_model, {"tokenizer.json": {"model": {key: value}}}, (0, 1, 2)),
        )


def _model(changes: dict[str, Any], ends: Sequence[int], folder: Path) -> Outcome:
    place = _place(folder)
    model = copied(base() / "model", place / "model")
    for name, change in changes.items():
        path = model / name
        if change is None or change is ...:
            path.unlink()
            if change is ...:
                path.symlink_to("nowhere")
        elif isinstance(change, bytes):
            path.write_bytes(change)
        elif isinstance(change, float):
            path.write_bytes(path.read_bytes()[: int(path.stat().st_size * change)])
        elif not change:
            path.unlink()
            path.mkdir()
        else:
            path.write_text(json.dumps(_changed(json.loads(path.read_text()), change)))
    given = asked("diagnose")
    given[given.index("--model") + 1] = "model"
    ended = started(place, given, {})
    if list(place.rglob("exploded")):
        return Outcome("lost: code of the model has run", ended.err)
    found = _wrong(ended, ends)
    return (
        found if found.problem or ended.code != 2 or not (place / "out").exists() else Outcome("written on exit 2: out")
    )


def _changed(document: Any, change: Any) -> Any:
    if not isinstance(change, dict) or not isinstance(document, dict):
        return change
    return document | {key: _changed(document.get(key), value) for key, value in change.items()}


# Pages

_EVIL = (
    "</script><script>alert(1)</script>", "<img src=x onerror=alert(1)>", "--><svg onload=alert(1)>", "{{7*7}}",
    "'\"><iframe src=javascript:alert(1)>", "</style></title></textarea><script>alert(1)</script>", "]]><script>alert(1)",
    "<!--<script>", "\u2028alert(1)//", "&lt;script&gt;", "</JSON><script >alert(1)</script\t>", "javascript:alert(1)",
)  # fmt: skip


def _pages() -> Made:
    for at, text in enumerate(_EVIL):
        for command in ("run", "diagnose", "audit"):
            yield f"{command}: {ascii(text)[:40]} ({at})", partial(_paged, command, text)


def _paged(command: str, text: str, folder: Path) -> Outcome:
    """What people and models wrote closes nothing and starts nothing in a page."""
    place = _place(folder)
    rows = [{"prompt": f"w{at} {text}", "answer": text, "split": "train" if at else "held_out"} for at in range(3)]
    (place / "prompts.jsonl").write_text("\n".join(map(json.dumps, rows)))
    steps = [
        {"prompt": text, "completion": f"{text} {at % 3}", "answer": text, "step": at // 8, "reward": 0.5}
        for at in range(64)
    ]
    (place / "rollouts.jsonl").write_text("\n".join(map(json.dumps, steps)))
    given = asked(command)
    if command == "audit":
        given[1] = "rollouts.jsonl"
    else:
        given[given.index("--prompts") + 1] = "prompts.jsonl"
    found = _wrong(started(place, given, {}), _codes(command))
    if found.problem:
        return found
    pages = list((place / "out").rglob("*.html"))
    if not pages:
        return Outcome("no page")
    for page in pages:
        whole = page.read_text(encoding="utf-8")
        tags = re.sub(r"<script[^>]*>.*?</script>", "", whole, flags=re.S)
        if text in whole and text not in ("{{7*7}}", "&lt;script&gt;", "javascript:alert(1)"):
            return Outcome(f"script in a page: {page.name} holds it as it is")
        if re.search(r"<(img|svg|iframe|script)[^>]*(alert|javascript:)", tags):
            return Outcome(f"script in a page: {page.name} has a tag of it")
    return Outcome()
