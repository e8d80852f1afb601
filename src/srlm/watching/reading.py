"""Files of completions as the groups of each step, in order and in bounded memory.

Knows: pieces of files, read side by side in processes of their own; what is half written, broken or repeated, which is
left out and counted. Refuses to know: names of fields (`formats`), what is alarming. No torch.
"""

import heapq
import json
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from queue import SimpleQueue
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from srlm.errors import InputError
from srlm.tasks.answers import answer_rule
from srlm.tasks.worker import TooSlow, Worker
from srlm.watching.formats import FORMATS, Columns, Record, Row
from srlm.watching.groups import Group, mean
from srlm.watching.memory import number_of

_PIECE = 4 << 20  # bytes of JSON Lines that are read at once
_ROWS = 8192  # of a Parquet file
_GROUPS = 200_000  # of one step that are held
_ASIDE = 64  # tables that are read side by side
_LOOKED_AT = 50  # records that say which fields there are
_SECONDS = 600.0  # of processor time for one piece
_PROMPT, _TEXT, _TEXTS = 2000, 400, 2  # letters of a prompt and of a text to show, and texts of a group


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a file: bytes `start` to `end` of JSON Lines, or some rows of a Parquet file.

    Attributes:
        path, format, columns: of the file.
        step: by its name; what a record says comes first.
        rule: by which answers are read.
        rows: a table of Arrow, as its stream.
    """

    path: str
    format: str
    columns: Columns | None
    step: int
    rule: str
    start: int = 0
    end: int = 0
    rows: bytes | None = None


class Portion(NamedTuple):
    """What a piece holds: groups with their steps; records that are no JSON, or hold no completion; completions of a
    step below one above them; and a digest of all texts, "" where no prompt has two that differ.
    """

    groups: list[tuple[int, Group]]
    broken: int
    empty: int
    late: int
    digest: str


def read_piece(piece: Piece) -> Portion:
    """The groups of a piece, answers read. Runs in any process."""
    read = FORMATS[piece.format].rows
    together: dict[tuple[int, str], list[Row]] = {}
    broken = empty = late = newest = 0
    for record in _records(piece):
        if record is None:
            broken += 1
            continue
        try:
            rows = list(read(record, piece.columns))
        except (TypeError, KeyError, ValueError, IndexError, OverflowError):
            rows = []
        empty += not rows
        for row in rows:
            step = piece.step if row.step is None else row.step
            if step < newest:
                late += 1
                continue
            newest = step
            together.setdefault((step, row.prompt), []).append(row)
    rule = answer_rule(piece.rule)

    @lru_cache(maxsize=4096)
    def accepted(known: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(key for one in known if (key := rule.accepted(one)) is not None))

    digest, varied = blake2b(digest_size=16), False
    groups = []
    for (step, prompt), rows in together.items():
        texts = [row.text for row in rows if row.text is not None]
        right = accepted(next((row.gold for row in rows if row.gold), ()))
        keys = iter(rule.keys(texts, right))
        answers = tuple(None if row.text is None else next(keys) for row in rows)
        rewards = tuple(row.reward for row in rows if row.reward is not None)
        logprobs = tuple(row.logprob for row in rows if row.logprob is not None)
        groups.append(
            (
                step,
                Group(
                    prompt=_shown(prompt, _PROMPT),
                    answers=answers,
                    correct=tuple(one in right for one in answers) if right else tuple(row.correct for row in rows),
                    rewards=rewards if len(rewards) == len(rows) else None,
                    lengths=tuple(row.length for row in rows),
                    logprobs=logprobs if len(logprobs) == len(rows) else None,
                    mismatch=mean([row.mismatch for row in rows if row.mismatch is not None]),
                    entropy=mean([row.entropy for row in rows if row.entropy is not None]),
                    sample=tuple(_shown(text, _TEXT) for text in texts[:_TEXTS]),
                ),
            )
        )
        if piece.format == "trl":
            varied = varied or len(set(texts)) > 1
            digest.update("\0".join([prompt, *texts]).encode("utf-8", "replace"))
    return Portion(groups, broken, empty, late, digest.hexdigest() if varied else "")


def _records(piece: Piece) -> Iterator[Record | None]:
    """The records of a piece; None for what is none."""
    if piece.rows is not None:
        with pa.ipc.open_stream(piece.rows) as stream:
            yield from stream.read_all().to_pylist()
        return
    with open(piece.path, "rb") as file:
        file.seek(piece.start)
        for line in file.read(piece.end - piece.start).split(b"\n"):
            if line and not line.isspace():
                yield record_of(line)


def record_of(line: bytes) -> Record | None:
    """A line as a JSON object; None where it is none."""
    try:
        record = json.loads(line.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def _shown(text: str, limit: int) -> str:
    """A text as files hold it; a long one by its beginning and its hash, so that it stays another than all others."""
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode()
    if len(text) <= limit:
        return text
    mark = blake2b(text.encode(), digest_size=6).hexdigest()
    return f"{text[: limit - 40]} … ({len(text)} letters, {mark})"


class Readers:
    """Reads pieces, several at once in processes of their own, and hands them back in order."""

    def __init__(self, processes: int) -> None:
        self._idle: SimpleQueue[Worker] = SimpleQueue()
        self._workers = [Worker() for _ in range(processes)]
        for one in self._workers:
            self._idle.put(one)
        self._threads = ThreadPoolExecutor(processes) if processes else None

    def close(self) -> None:
        """End the processes."""
        if self._threads is not None:
            self._threads.shutdown(cancel_futures=True)
        for one in self._workers:
            one.close()

    def read(self, pieces: Iterable[Piece]) -> Iterator[Portion]:
        """What the pieces hold, in their order, a few read ahead."""
        if self._threads is None:
            yield from map(read_piece, pieces)
            return
        ahead: deque[Future[Portion]] = deque()
        for piece in pieces:
            ahead.append(self._threads.submit(self._call, piece))
            if len(ahead) > 2 * len(self._workers):
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()

    def _call(self, piece: Piece) -> Portion:
        worker = self._idle.get()
        try:
            return worker.call("srlm.watching.reading:read_piece", piece, _SECONDS)
        except TooSlow as error:
            raise InputError(f"{piece.path}: a part of it needs more than {_SECONDS:g} s or 4 GB to read") from error
        except ValueError as error:
            if str(error).startswith("InputError: "):
                raise InputError(str(error).removeprefix("InputError: ")) from error
            raise
        finally:
            self._idle.put(worker)


@dataclass(frozen=True, slots=True)
class File:
    """A file of a folder: its path, its name below the folder, its format, the step that its name says (0: none), and
    its bytes; of those of one step or of a table, whether nothing more is to come.
    """

    path: Path
    shown: str
    format: str
    step: int
    size: int
    whole: bool = True


@dataclass(slots=True)
class Reading:
    """A folder as far as it was read.

    Attributes:
        rule: by which answers are read.
        readers: who reads.
        rewards: names of the columns that are rewards, where something says so.
        at: bytes of every file that were read.
        broken, empty: records left out, because they are no JSON, or hold no completion.
        unreadable: names of files left out, and why.
        repeated: steps whose batch is the one of the step before.
        backwards: completions of steps that were over.
        completions: all that were read.
    """

    rule: str
    readers: Readers
    rewards: frozenset[str] | None = None
    at: dict[Path, int] = field(default_factory=dict)
    broken: int = 0
    empty: int = 0
    unreadable: dict[str, str] = field(default_factory=dict)
    repeated: int = 0
    backwards: int = 0
    completions: int = 0
    _columns: dict[Path, Columns | None] = field(default_factory=dict)
    _now: int | None = None
    _groups: list[Group] = field(default_factory=list)
    _below: int = 1 << 64
    _digests: list[str] = field(default_factory=list)
    _before: list[str] = field(default_factory=list)

    def steps(self, files: Sequence[File], final: bool) -> Iterator[tuple[int, list[Group]]]:
        """The steps that are complete and were not told yet.

        Args:
            files: in order of their steps.
            final: nothing is written any more, so the last step is complete, and a last line without its end too.

        Raises:
            InputError: the rule by which answers are read fails.
        """
        # Tables of several processes are written side by side, each through all steps.
        aside = 1 < len(files) <= _ASIDE and files[0].format == "table"
        told = [self._told(some, final) for some in ([[one] for one in files] if aside else [files])]
        for step, group, digest in heapq.merge(*told, key=lambda one: one[0]) if aside else told[0]:
            if self._now is not None and step < self._now:
                self.backwards += len(group.answers)
                continue
            if step != self._now:
                yield from self._complete()
                self._now = step
            self.completions += len(group.answers)
            if self._digests[-1:] != [digest]:
                self._digests.append(digest)
            if self._below < 1 << 64 and number_of(group.prompt) >= self._below:
                continue
            self._groups.append(group)
            if len(self._groups) > _GROUPS:
                self._below //= 2
                self._groups = [one for one in self._groups if number_of(one.prompt) < self._below]
        if final:
            yield from self._complete()

    def notes(self) -> Iterator[str]:
        """What was left out, a sentence each."""
        if self.unreadable:
            name, why = next(iter(self.unreadable.items()))
            more = f"; and {len(self.unreadable) - 1} more files" if len(self.unreadable) > 1 else ""
            yield f"{name} is left out: {why}{more}"
        if self.broken:
            yield f"{self.broken} lines are no JSON objects and were left out"
        if self.empty:
            yield f"{self.empty} records have no prompt or no completion that is text and were left out"
        if self.repeated:
            yield f"{self.repeated} steps show the batch of the step before, which counts once"
        if self._below < 1 << 64:
            yield f"a step holds more than {_GROUPS:,} prompts, of which a sample is read, chosen by hash"
        if self.backwards:
            yield (
                f"{self.backwards} completions belong to steps that were over (was the run resumed?) and were left out"
            )

    def _complete(self) -> Iterator[tuple[int, list[Group]]]:
        groups, digests = self._groups, self._digests
        self._groups, self._digests = [], []
        if not groups or self._now is None:
            return
        if all(digests) and digests == self._before:
            self.repeated += 1
            return
        self._before = digests
        yield self._now, groups

    def _told(self, files: Sequence[File], final: bool) -> Iterator[tuple[int, Group, str]]:
        for portion in self.readers.read(self._pieces(files, final)):
            self.broken += portion.broken
            self.empty += portion.empty
            self.backwards += portion.late
            for step, group in portion.groups:
                yield step, group, portion.digest

    def _pieces(self, files: Sequence[File], final: bool) -> Iterator[Piece]:
        for one in files:
            if self.at.get(one.path, 0) >= one.size:
                continue
            if not (one.whole or final):
                return  # what comes after it comes later
            try:
                yield from self._rows(one) if one.path.suffix == ".parquet" else self._lines(one, final)
            except InputError as error:
                self.unreadable[one.shown] = str(error)
            except (OSError, pa.ArrowException) as error:
                self.unreadable[one.shown] = f"it cannot be read ({(str(error).splitlines() or ['?'])[0][:120]})"
            else:
                continue
            self.at[one.path] = one.size

    def _rows(self, file: File) -> Iterator[Piece]:
        with pq.ParquetFile(file.path.absolute()) as table:
            schema = table.schema_arrow
            numbers = [one.name for one in schema if pa.types.is_floating(one.type)]
            columns = self._what(file, schema.names, numbers)
            used = columns.used if columns else schema.names
            for batch in table.iter_batches(_ROWS, columns=used, use_threads=False):
                sink = pa.BufferOutputStream()
                with pa.ipc.new_stream(sink, batch.schema) as stream:
                    stream.write_batch(batch)
                yield Piece(
                    str(file.path), file.format, columns, file.step, self.rule, rows=sink.getvalue().to_pybytes()
                )
        self.at[file.path] = file.size

    def _lines(self, file: File, final: bool) -> Iterator[Piece]:
        begin = self.at.get(file.path, 0)
        with file.path.open("rb") as lines:
            while begin < file.size:
                lines.seek(min(begin + _PIECE, file.size) - 1)
                lines.readline()
                end = min(lines.tell(), file.size)
                lines.seek(begin)
                held = lines.read(end - begin)
                last = held.rfind(b"\n") + 1
                if last < len(held):  # the last line has no end yet
                    if final and (rest := held[last:]).strip() and record_of(rest) is None:
                        self.unreadable[f"the last line of {file.shown}"] = "it is half written"
                    elif final:
                        last = len(held)
                    else:
                        end = begin + last
                if last:
                    if file.path not in self._columns:
                        several = filter(None, map(record_of, held[:last].split(b"\n", _LOOKED_AT)[:_LOOKED_AT]))
                        names = list(dict.fromkeys(name for one in several for name in one))
                        self._columns[file.path] = self._what(file, names, ())
                    columns = self._columns[file.path]
                    yield Piece(str(file.path), file.format, columns, file.step, self.rule, begin, begin + last)
                self.at[file.path] = end
                if end == begin or not last:
                    return
                begin = end

    def _what(self, file: File, names: Sequence[str], numbers: Sequence[str]) -> Columns | None:
        columns = FORMATS[file.format].what_is_what(names, numbers)
        if columns is None or self.rewards is None or file.format != "trl":
            return columns
        return replace(columns, rewards=tuple(one for one in columns.rewards if one in self.rewards))
