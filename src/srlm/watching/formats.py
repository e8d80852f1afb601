"""Formats in which trainers write what was drawn: which files they are, and one record of them as completions.

Knows: names of files and fields (trl 1.16, verl 0.9, prime-rl), and what makes a value text, a number, a known answer.
Refuses to know: how files are read, what a completion answers, what is alarming. A format is one entry of `FORMATS`.
"""

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, NamedTuple

from srlm.errors import InputError

Record = Mapping[str, Any]
# Fields that mean the same, the first that is there counts.
_PROMPT = ("prompt", "input", "question", "problem")
_COMPLETION = ("completion", "completions", "response", "responses", "output", "outputs")
_STEP = ("step", "global_step", "iteration")
_REWARD = ("reward", "rewards", "score", "scores")
_GOLD = ("solution", "answer", "gts", "ground_truth", "target")
_LOGPROB = ("logprob", "logprobs")
_CORRECT = ("acc", "correct")
_BESIDE = frozenset({"step", "advantage", *_CORRECT})


class Row(NamedTuple):
    """One completion.

    Attributes:
        step: of training; None where the record does not say.
        prompt: its text, or what stands for it.
        text: what was completed; None in a format without texts.
        gold: known answers, as they are written.
        reward, logprob, mismatch, entropy: as in `Group`.
        length: letters, or tokens in a format without texts.
        correct: right or wrong, where the record says so itself.
    """

    step: int | None
    prompt: str
    text: str | None
    gold: tuple[str, ...]
    reward: float | None
    length: int
    correct: bool | None = None
    logprob: float | None = None
    mismatch: float | None = None
    entropy: float | None = None


@dataclass(frozen=True, slots=True)
class Columns:
    """Which field of a table is what; None, or none at all, where there is no such field."""

    prompt: str
    completion: str
    step: str | None = None
    rewards: tuple[str, ...] = ()
    gold: str | None = None
    logprob: str | None = None
    correct: str | None = None

    @property
    def used(self) -> list[str]:
        """Every field that is read."""
        named = self.prompt, self.completion, self.step, *self.rewards, self.gold, self.logprob, self.correct
        return list(dict.fromkeys(one for one in named if one))


@dataclass(frozen=True, slots=True)
class Format:
    """One way to write completions down.

    Attributes:
        name: as `--format` takes it.
        about: what it is, in a few words.
        path: of a file's path below the folder; its group is the step.
        fields: of a record, needed.
        columns: names of fields -> which is what; None where a record is read by `rows` alone.
        rows: a record, and what is what in it -> its completions; none where it has none.
        unit: of lengths.
    """

    name: str
    about: str
    path: re.Pattern[str]
    fields: tuple[tuple[str, ...], ...]
    columns: Callable[[Sequence[str], Sequence[str]], Columns] | None
    rows: Callable[[Record, Columns | None], Iterator[Row]]
    unit: str = "characters"

    def what_is_what(self, names: Sequence[str], numbers: Sequence[str]) -> Columns | None:
        """The columns of a file, by the names of its fields, and of those that hold numbers with a fraction.

        Raises:
            InputError: a field is missing.
        """
        if missing := [" or ".join(one[:3]) for one in self.fields if not set(one) & set(names)]:
            have = ", ".join(sorted(names)[:12]) or "nothing"
            raise InputError(f"it has no field {' and no '.join(missing)}, which format {self.name} needs, but {have}")
        return None if self.columns is None else self.columns(names, numbers)


def _named(names: Sequence[str], among: Sequence[str]) -> str | None:
    return next((one for one in among if one in names), None)


def _table(names: Sequence[str], numbers: Sequence[str]) -> Columns:
    reward = _named(names, _REWARD)
    return Columns(
        _named(names, _PROMPT) or "",
        _named(names, _COMPLETION) or "",
        _named(names, _STEP),
        (reward,) if reward else (),
        _named(names, _GOLD),
        _named(names, _LOGPROB),
        _named(names, _CORRECT),
    )


def _trl(names: Sequence[str], numbers: Sequence[str]) -> Columns:
    rewards = tuple(name for name in names if name in numbers and name not in _BESIDE)
    return Columns("prompt", "completion", "step", rewards, _named(names, _GOLD), None, None)


def _table_rows(record: Record, columns: Columns | None) -> Iterator[Row]:
    assert columns is not None
    prompt, completions = text_of(record.get(columns.prompt)), record.get(columns.completion)
    several = isinstance(completions, list) and not any(isinstance(one, Mapping) for one in completions)
    texts = [text_of(one) for one in completions] if several else [text_of(completions)]  # pyright: ignore
    if prompt is None or not texts:
        return
    step = _whole(record.get(columns.step)) if columns.step else None
    gold = known_answers(record.get(columns.gold)) if columns.gold else ()
    rewards = [_spread(record.get(name), len(texts)) for name in columns.rewards]
    logprobs = _spread(record.get(columns.logprob), len(texts)) if columns.logprob else [None] * len(texts)
    right = record.get(columns.correct) if columns.correct else None
    marks = right if isinstance(right, list) and len(right) == len(texts) else [right] * len(texts)
    for at, text in enumerate(texts):
        if text is None:
            continue
        parts = [one for of in rewards if (one := of[at]) is not None]
        correct = bool(marks[at]) if marks[at] in (0, 1) else None
        reward = math.fsum(parts) if parts else None
        yield Row(step, prompt, text, gold, reward, len(text), correct, logprobs[at])


def _token_rows(record: Record, columns: Columns | None) -> Iterator[Row]:
    mask, ids, ours = record["loss_mask"], record["token_ids"], record["trainer_logprobs"]
    at = [place for place, counts in enumerate(mask) if counts]
    if not at or not len(mask) == len(ids) == len(ours):
        return
    prompt = blake2b(json.dumps(ids[: at[0]]).encode(), digest_size=8).hexdigest()
    theirs, entropies = record.get("inference_logprobs"), record.get("entropy")
    pairs = [] if not theirs else [abs(ours[one] - theirs[one]) for one in at if one < len(theirs)]
    spread = [] if not entropies else [entropies[one] for one in at if one < len(entropies)]
    yield Row(
        _whole(record.get("step")),
        f"prompt with tokens {prompt}",
        None,
        (),
        _number(record.get("reward")),
        len(at),
        logprob=math.fsum(ours[one] for one in at),
        mismatch=math.fsum(pairs) / len(pairs) if pairs else None,
        entropy=math.fsum(spread) / len(spread) if spread else None,
    )


FORMATS = {
    one.name: one
    for one in (
        Format(
            "trl",
            "completion tables of trl's GRPO and RLOO",
            re.compile(r"(?:.*/)?completions_(\d+)\.parquet"),
            (("prompt",), ("completion",)),
            _trl,
            _table_rows,
        ),
        Format(
            "verl",
            "rollout files of verl",
            re.compile(r"(?:.*/)?(\d+)\.jsonl"),
            (("input",), ("output",)),
            _table,
            _table_rows,
        ),
        Format(
            "prime-rl",
            "token exports of prime-rl",
            re.compile(r"(?:.*/)?step_(\d+)/rank_\d+\.jsonl"),
            (("token_ids",), ("loss_mask",), ("trainer_logprobs",)),
            None,
            _token_rows,
            "tokens",
        ),
        Format(
            "table",
            "JSON Lines or Parquet with prompt, completion and step",
            re.compile(r"(?:.*/)?[^/]*?(?:(\d+)[^/\d]*)?\.(?:jsonl|ndjson|parquet)"),
            (_PROMPT, _COMPLETION),
            _table,
            _table_rows,
        ),
    )
}


def text_of(value: Any) -> str | None:
    """A text, or the messages of a chat as one text; None where it is neither."""
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        value = [value]
    if not isinstance(value, list) or not value or not all(isinstance(one, Mapping) for one in value):
        return None
    told = [(str(one.get("role", "")), _content(one.get("content", one.get("text")))) for one in value]
    return told[0][1] if len(told) == 1 else "\n\n".join(f"{role}: {content}" for role, content in told)


def _content(value: Any) -> str:
    if isinstance(value, list):
        return "".join(_content(one.get("text")) for one in value if isinstance(one, Mapping))
    return value if isinstance(value, str) else ""


def known_answers(value: Any) -> tuple[str, ...]:
    """What is written as the known answer, or several; none for what is no answer."""
    if isinstance(value, list):
        return tuple(text for one in value for text in known_answers(one))
    if isinstance(value, str):
        return (value,) if value else ()
    number = _number(value)
    return () if number is None else (str(int(value)) if value == int(value) else repr(value),)


def _whole(value: Any) -> int | None:
    number = _number(value)
    return int(number) if number is not None and number == int(number) and number >= 0 else None


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not -1e300 < value < 1e300:
        return None
    return float(value)


def _spread(value: Any, count: int) -> list[float | None]:
    """A number for each of several completions, or one for the only one."""
    if isinstance(value, list) and len(value) == count:
        return [_number(one) for one in value]
    return [_number(value)] * count if count == 1 else [None] * count
