"""Folders that somebody, or a dying disk, damaged, and every command that reads them.

Each file of a run, of a diagnosis, of an audit and of another trainer is deleted, emptied, cut, altered, replaced by a
folder or a link, or, where it is JSON, given wrong types at every field, values that are no JSON numbers, too deep a
nest and bytes that are no text. A reader does without, or refuses in one sentence that names what is wrong; it changes
nothing but what it is there to write.
"""

import json
import os
import random
import shutil
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from tests.torture.case import Case, Ended, Outcome, copied, files, prepared, srlm
from tests.torture.subjects import audited, base, diagnosed, finished, run_command, watched

_Damage = Callable[[Path], Any]
_VALUES = (None, True, -1, 1e999, "", "\ud800", [], {}, [[]], 10**400)
_FIELDS = 12  # of one file, drawn by the seed
_DEEP = 100_000


def cases(seed: int) -> Iterable[Case]:
    """Every damage to every file, read by one of its readers after the other, by turns."""
    for of, make, names, readers in _folders():
        turn = seed
        for name in names:
            for what, damage in _damages(make() / name, random.Random(f"{seed} {of} {name}")):
                reader, read = readers[turn % len(readers)]
                turn += 1
                run = partial(_damaged, make, name, damage, reader, read)
                yield Case(f"{name} {what}, {reader}", run, of=of, limit=120)


_Reader = tuple[str, Callable[[Path, Path], Ended]]


def _folders() -> Iterator[tuple[str, Callable[[], Path], list[str], list[_Reader]]]:
    """What is attacked, the folder, its files, and who reads them: (damaged folder, free place) -> an end."""
    for level in ("response", "answer"):
        make = partial(finished, level, 2)
        readers: list[_Reader] = [
            ("report", lambda folder, free: srlm("report", folder)),
            ("run --resume", partial(_resumed, level)),
            ("report beside another", lambda folder, free, level=level: _beside(folder, free, finished(level, 2))),
        ]
        yield f"runs of {level}s", make, _names(make(), without="model/"), readers
    for level in ("response", "answer"):
        make = partial(diagnosed, level)
        readers = [("report", lambda folder, free: srlm("report", folder))]
        if level == "response":
            readers += [
                ("plan --from", lambda folder, free: srlm("plan", "--from", folder, "--beta", "1", "--rounds", "2")),
                ("diagnose --compare", lambda folder, free: _compared(folder, free, diagnosed("response"))),
            ]
        yield f"diagnoses of {level}s", make, ["diagnosis.json"], readers
    readers = [
        ("report", lambda folder, free: srlm("report", folder)),
        ("report beside another", lambda folder, free: _beside(folder, free, audited())),
        ("audit over it", lambda folder, free: srlm("audit", watched(), "--out", folder)),
    ]
    yield "audits", audited, _names(audited()), readers
    for form in ("trl", "verl", "prime", "table"):
        make = partial(_foreign, form)
        readers = [
            ("audit", lambda folder, free: srlm("audit", folder)),
            ("audit --out", lambda folder, free: srlm("audit", folder, "--out", free)),
        ]
        of = {"table": "tables of completions", "prime": "what prime-rl wrote"}.get(form, f"what {form} wrote")
        yield of, make, [name for name in _names(make()) if not name.endswith("STABLE")], readers


def _names(folder: Path, without: str = "?") -> list[str]:
    """Files, of many rounds or steps those of the first and the last ones."""
    every = [path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*")) if path.is_file()]
    kept = [name for name in every if not name.startswith(without) and not name.endswith((".html", ".md"))]
    return [
        name for name in kept if not any(part in name for part in ("rounds/02", "rounds/03", "rounds/04", "_00003"))
    ]


def _foreign(form: str) -> Path:
    from tests.watching import written

    def make(folder: Path) -> None:
        rows = written.rows(steps=4)
        if form == "prime":
            written.prime(folder / "theirs")
        elif form == "table":
            written.lines(folder / "theirs" / "samples.jsonl", [written.table_record(one) for one in rows])
        else:
            getattr(written, form)(folder / "theirs", rows)

    return prepared(f"theirs-{form}", make) / "theirs"


def _resumed(level: str, folder: Path, free: Path) -> Ended:
    return run_command(level, "--resume", "--rounds", "3")(folder, None)


def _beside(folder: Path, free: Path, other: Path) -> Ended:
    return srlm("report", other, folder, "--out", free / "page.html")


def _compared(folder: Path, free: Path, other: Path) -> Ended:
    few = ["--max-new-tokens", "2", "--samples", "4", "--prompts", str(base() / "prompts.jsonl")]
    return srlm("diagnose", "--compare", other, folder, *few)


def _damaged(
    make: Callable[[], Path],
    name: str,
    damage: _Damage,
    reader: str,
    read: Callable[[Path, Path], Ended],
    folder: Path,
) -> Outcome:
    held, free = copied(make(), folder / "held"), folder / "free"
    free.mkdir()
    damage(held / name)
    before = files(held)
    ended = read(held, free)
    allowed = (0, 1, 2, 3) if reader.startswith("audit") else (0, 1, 2)
    if problem := ended.problem(codes=allowed, lines=4 if ended.code == 2 else 12):
        return Outcome(problem, ended.err)
    after = files(held)
    gone = [one for one in before if one not in after and ".partial" not in one]
    if ended.code == 2:
        if not _names_it(ended.err, name):
            return Outcome(f"not named: {ended.err.strip()[:200]}", ended.err)
        # A run that cannot go on says why in its record.
        changed = [one for one in before if after.get(one) != before[one] and not one.endswith("run.json")]
        if changed or (files(free) and "report" not in reader):
            return Outcome(f"written on exit 2: {', '.join(changed) or 'in a free place'}", ended.err)
    elif ended.code == 0 and reader in ("report", "run --resume") and gone:
        return Outcome(f"lost: {', '.join(gone[:3])}")
    elif ended.code == 0 and reader == "report" and name.startswith("rounds/01") and "checkpoint" not in name:
        page = (held / "report.html").read_text(encoding="utf-8")
        if not _harmless(make() / name, held / name) and not any(
            told in page for told in ("damaged", "is missing", "is not complete", "no complete")
        ):
            return Outcome("not said: the page leaves out a damaged round and does not tell")
    return Outcome()


def _harmless(was: Path, now: Path) -> bool:
    """Whether a file says what it said, such as one whose last line lost its end."""
    try:
        return was.suffix == ".json" and json.loads(was.read_bytes()) == json.loads(now.read_bytes())
    except (OSError, ValueError, RecursionError):
        return False


def _names_it(said: str, name: str) -> bool:
    """Whether a sentence names the file, its stage or its round."""
    path = Path(name)
    words = [path.name, path.name.split(".")[0], *path.parts[:-1], "no run", "holds no completion"]
    words += [f"round {int(part)}" for part in path.parts if part.isdigit()]
    return any(word in said for word in words)


def _damages(path: Path, rng: random.Random) -> Iterator[tuple[str, _Damage]]:
    """What can befall a file."""
    size = path.stat().st_size
    yield "deleted", lambda path: path.unlink()
    yield "emptied", lambda path: path.write_bytes(b"")
    for share in (0.1, 0.5, 0.9):
        yield f"cut to {share:.0%}", lambda path, share=share: os.truncate(path, int(share * size))
    yield "cut by a byte", lambda path: os.truncate(path, size - 1)
    for _ in range(2):
        at, mask = rng.randrange(size), rng.randrange(1, 256)
        yield f"altered at byte {at}", lambda path, at=at, mask=mask: _flip(path, at, mask)
    yield "with zeros for its last half", lambda path: _overwrite(path, size // 2, bytes(size - size // 2))
    yield "grown by a byte", lambda path: path.write_bytes(path.read_bytes() + b"\x00")
    yield "replaced by a folder", lambda path: (path.unlink(), path.mkdir(), (path / "x").write_text("mine"))
    yield "replaced by a link to nowhere", lambda path: (path.unlink(), path.symlink_to("nowhere"))
    yield "replaced by a link to itself", lambda path: (path.unlink(), path.symlink_to(path.name))
    yield "not text", lambda path: path.write_bytes(b"\xff\xfe\x00" + path.read_bytes())
    if "/" in path.name or path.parent.name.isdigit() or path.parent.name in ("checkpoint", "completions"):
        yield "with a file for its folder", lambda path: (shutil.rmtree(path.parent), path.parent.write_text("mine"))
        yield "with its folder gone", lambda path: shutil.rmtree(path.parent)
    if path.suffix == ".json":
        yield from _damages_of_json(path, rng)
    if path.suffix == ".jsonl":
        yield from _damages_of_lines(path, rng)
    if path.suffix == ".parquet":
        yield from _damages_of_tables(path)


def _flip(path: Path, at: int, mask: int) -> None:
    held = bytearray(path.read_bytes())
    held[at] ^= mask
    path.write_bytes(held)


def _overwrite(path: Path, at: int, with_: bytes) -> None:
    path.write_bytes(path.read_bytes()[:at] + with_)


def _damages_of_json(path: Path, rng: random.Random) -> Iterator[tuple[str, _Damage]]:
    deep = b"[" * _DEEP + b"]" * _DEEP
    for what, held in (
        ("too deep", deep),
        ("with a deep field", b'{"format": 1, "x": ' + deep + b"}"),
        ("rather deep", b'{"format": 1, "x": ' + b"[" * 900 + b"]" * 900 + b"}"),
        ("a list", b"[]"),
        ("a number", b"1e999"),
        ("NaN", b"NaN"),
        ("an empty object", b"{}"),
        ("an object twice", path.read_bytes() * 2),
        ("with a mark before it", b"\xef\xbb\xbf" + path.read_bytes()),
    ):
        yield what, lambda path, held=held: path.write_bytes(held)
    document = json.loads(path.read_text(encoding="utf-8"))
    places = list(_places(document))
    chosen = places if len(places) <= _FIELDS else rng.sample(places, _FIELDS)
    for at, place in enumerate(chosen):
        shown = ".".join(map(str, place))
        if at % 4 == 0:
            yield f"without {shown}", partial(_change, document, place, None, True)
        value = _VALUES[rng.randrange(len(_VALUES))]
        yield f"with {str(value)[:12]!r} for {shown}", partial(_change, document, place, value, False)


def _places(document: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    pairs = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    for key, value in pairs:
        if isinstance(document, list) and key > 1:
            break
        yield (*above, key)
        yield from _places(value, (*above, key))


def _change(document: Any, place: tuple[Any, ...], value: Any, remove: bool, path: Path) -> None:
    fresh = json.loads(json.dumps(document))
    holder = fresh
    for key in place[:-1]:
        holder = holder[key]
    if remove:
        del holder[place[-1]]
    else:
        holder[place[-1]] = value
    path.write_text(json.dumps(fresh).replace("Infinity", "1e999"), encoding="utf-8")


def _damages_of_lines(path: Path, rng: random.Random) -> Iterator[tuple[str, _Damage]]:
    lines = path.read_text(encoding="utf-8").splitlines()
    for what, line in (
        ("a line too deep", "[" * _DEEP),
        ("a line with a deep field", '{"input": ' + "[" * _DEEP + "]" * _DEEP + "}"),
        ("a line that is a number", "1e999"),
        ("a line that is a list", "[]"),
        ("lines of zeros", "\0" * 1000),
    ):
        for at in (0, len(lines) // 2):
            held = "\n".join([*lines[:at], line, *lines[at:]])
            yield f"with {what}, {at} lines before it", lambda path, held=held: path.write_text(held, encoding="utf-8")
    for field in json.loads(lines[0]):
        for value in rng.sample(_VALUES, 2):
            for every in (True, False):
                what = f"with {str(value)[:12]!r} for {field} in {'every line' if every else 'a line'}"
                yield what, partial(_change_lines, lines, field, value, every)


def _change_lines(lines: list[str], field: str, value: Any, every: bool, path: Path) -> None:
    records = [json.loads(one) for one in lines]
    for at, one in enumerate(records):
        if every or at == len(records) // 2:
            one[field] = value
    path.write_text("\n".join(json.dumps(one).replace("Infinity", "1e999") for one in records), encoding="utf-8")


def _damages_of_tables(path: Path) -> Iterator[tuple[str, _Damage]]:
    table = pq.read_table(path)
    for name in table.column_names[:12]:
        yield f"without its column {name}", lambda path, name=name: pq.write_table(table.drop_columns([name]), path)
        for kind, value in (("numbers", 7), ("lists", [["x"]]), ("nothing", None)):
            column = pa.array([value] * table.num_rows)
            at = table.column_names.index(name)
            told = table.set_column(at, name, column)
            yield f"with {kind} in its column {name}", lambda path, told=told: pq.write_table(told, path)
    yield "without a row", lambda path: pq.write_table(table.slice(0, 0), path)
    yield "half of it", lambda path: pq.write_table(table.slice(0, table.num_rows // 2), path)
    yield "twice", lambda path: pq.write_table(pa.concat_tables([table, table]), path)
    yield "without what is told beside it", lambda path: pq.write_table(table.replace_schema_metadata(None), path)
