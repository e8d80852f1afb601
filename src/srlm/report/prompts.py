"""What was said to every prompt at every round, as a page's script reads it.

Knows: the tables of a run's rounds, which are read a column and a round at a time, so that only what a page shows stays
in memory however long responses are; certificates of majorities through `srlm.measure.majorities`. Refuses to know: how
a page looks, metrics.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from itertools import pairwise
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from srlm.measure.majorities import majorities
from srlm.measure.split import share
from srlm.records.reading import reading
from srlm.records.responses import Complete, Response, Rollout
from srlm.records.run_directory import RoundDirectory
from srlm.records.tables import greedy_of
from srlm.records.text import visible
from srlm.report.payload import At, Item, Prompt

SHOWN = 280  # characters of a response
_PROMPT = 4000  # as in `run_directory.prompt_key`, by which prompts of runs are paired
_SAID = 400


_Reply = tuple[bytes, str, bool | None, float, bool]  # key, text, right, log-probability, ended


@dataclass(slots=True)
class _Seen:
    """What came up at one prompt so far: items by what tells them apart, and its rounds."""

    items: list[Item] = field(default_factory=list)
    numbers: dict[Any, int] = field(default_factory=dict)
    rounds: list[At] = field(default_factory=list)

    def number(self, key: Any, text: str, right: bool | None, cut: bool = False) -> int:
        if key not in self.numbers:
            self.numbers[key] = len(self.numbers)
            self.items.append(Item(text=visible(text, SHOWN), right=right, cut=cut or not text.strip()))
        return self.numbers[key]


def read_prompts(rounds: Sequence[RoundDirectory], of_answers: bool, confidence: float) -> tuple[Prompt, ...]:
    """One a prompt, with all complete rounds.

    Args:
        rounds: round 0 and those after it, complete.
        of_answers: items are canonical answers, certified by draws; else responses, told apart by their tokens.
        confidence: of the certificates of a round, at all its prompts at once; only for answers.
    """
    first = rounds[0].read_table("samples" if of_answers else "modes")
    told = {row["prompt_id"]: row for row in _facts(first).to_pylist()}
    seen = {at: _Seen() for at in told}
    before: list[Rollout] | None = None
    for one in rounds:
        with reading(one.path, "did another srlm write it?"):
            if of_answers:
                before = _add_answers(one.read_table("samples"), seen, before, confidence)
            else:
                _add_responses(one.read_table("modes"), one.read_table("samples"), seen)
    return tuple(_prompt(at, told[at], one) for at, one in seen.items())


def _facts(table: pa.Table) -> pa.Table:
    """The first row of every prompt, without what is large."""
    numbers = table.column("prompt_id").to_pylist()
    firsts = [at for at, number in enumerate(numbers) if at == 0 or number != numbers[at - 1]]
    names = [name for name in ("prompt_id", "split", "prompt") if name in table.column_names]
    names += ["answer"] if "mode_text" in table.column_names else []
    return table.select(names).take(pa.array(firsts, pa.int64()))


def _prompt(number: int, row: dict[str, Any], seen: _Seen) -> Prompt:
    known = row.get("answer")
    if known is None:  # tables of samples do not hold it; what was graded as right does
        known = [one.text or "" for one in seen.items if one.right]
    return Prompt(
        id=number,
        split=row["split"],
        prompt=visible(row["prompt"], _PROMPT),
        known=visible(", ".join(known), 200),
        items=seen.items,
        rounds=[_padded(one, len(seen.items)) for one in seen.rounds],
    )


def _padded(at: At, items: int) -> At:
    """With the items that later rounds found."""
    more = items - len(at.counts)
    logprobs = [*at.logprobs, *([None] * more)] if at.logprobs else []
    return at.model_copy(update={"counts": [*at.counts, *([0] * more)], "logprobs": logprobs})


def six(value: float | None) -> float | None:
    """Six significant digits; None for what is not finite."""
    return None if value is None or not math.isfinite(value) else float(f"{value:.6g}")


def _add_responses(modes: pa.Table, samples: pa.Table, seen: dict[int, _Seen]) -> None:
    drawn = _grouped(samples)
    for row, best in zip(_modes(modes), _best(modes), strict=True):
        one, replies = seen[row["prompt_id"]], drawn[row["prompt_id"]]
        logs = {one.number(key, text, right, not ended): six(logprob) for key, text, right, logprob, ended in best}
        lead, beneath, counts = next(iter(logs)), list[int](), Counter[int]()

        def place(reply: _Reply, one: _Seen = one, logs: dict[int, Any] = logs, beneath: list[int] = beneath) -> int:
            key, text, right, logprob, ended = reply
            at = one.number(key, text, right, not ended)
            if at not in logs:
                logs[at] = six(logprob)
                beneath.append(at)
            return at

        counts.update(map(place, replies))
        greedy = place(row["greedy"])
        dropped = six(row.get("dropped_logprob"))
        numbers = range(len(one.items))
        one.rounds.append(
            At(
                lead=lead,
                lower=six(row["mode_logprob_lower"]),
                upper=six(row["mode_logprob_upper"]),
                certified=row["certified"],
                proved=row["certified"],
                right=best[0][2],
                share=six(share([right for _, _, right, _, _ in replies])),
                logprobs=[logs.get(at) for at in numbers],
                open=[value for value in map(six, row.get("open_prefixes") or ()) if value is not None],
                open_texts=[visible(text, SHOWN) for text in row.get("open_texts") or ()],
                dropped=None if dropped is None else (row["dropped_mass"], dropped),
                beneath=beneath,
                expansions=row["expansions"],
                counts=[counts[at] for at in numbers],
                drawn=len(replies),
                greedy=greedy,
            )
        )


def _modes(table: pa.Table) -> list[dict[str, Any]]:
    """What the table says of every prompt, without the lists that `_best` reads; `greedy` as a reply."""
    left = ("prompt", "answer", "best", "mode_text", "mode_tokens", "greedy_tokens")
    rows = table.select([name for name in table.column_names if name not in left]).to_pylist()
    for row, key in zip(rows, _keys(_flat(table, "greedy_tokens")), strict=True):
        told = (row["greedy_text"], row["greedy_correct"], row["greedy_logprob"], row["greedy_ended"])
        row["greedy"] = (key, *told)
    return rows


def _best(table: pa.Table) -> list[list[_Reply]]:
    """What the search kept at every prompt."""
    column = _flat(table, "best")
    of = {name: column.values.field(name) for name in ("tokens", "text", "correct", "logprob", "ended")}
    lists = [of[name].to_pylist() for name in ("correct", "logprob", "ended")]
    flat = list(zip(_keys(of["tokens"]), _texts(of["text"]), *lists, strict=True))
    return [flat[start:end] for start, end in pairwise(column.offsets.to_pylist())]


def _grouped(samples: pa.Table) -> dict[int, list[_Reply]]:
    """The samples of every prompt."""
    columns = [_flat(samples, name).to_pylist() for name in ("correct", "logprob", "ended")]
    rows = zip(_keys(_flat(samples, "tokens")), _texts(_flat(samples, "response")), *columns, strict=True)
    told: dict[int, list[Any]] = {}
    for number, row in zip(_flat(samples, "prompt_id").to_pylist(), rows, strict=True):
        told.setdefault(number, []).append(row)
    return told


def _add_answers(
    table: pa.Table, seen: dict[int, _Seen], before: list[Rollout] | None, confidence: float
) -> list[Rollout]:
    """Add a round of answers; returned is what the next one may name beforehand."""
    drawn = _rollouts(table, len(seen))
    for rollout, found in zip(drawn, majorities(drawn, before, confidence), strict=True):
        one = seen[rollout.prompt]
        draws = [
            -1 if reply.answer is None else one.number(reply.answer, reply.answer, reply.correct)
            for reply in rollout.responses
        ]
        lead, greedy = (None if found.leader is None else one.numbers[found.leader]), None
        if (reply := rollout.greedy) is not None:
            greedy = -1 if reply.answer is None else one.number(reply.answer, reply.answer, reply.correct)
        said = next((reply.text for reply in rollout.responses if reply.answer == found.leader), None)
        counts = Counter(draws)
        one.rounds.append(
            At(
                lead=lead,
                lower=six(found.log_lower),
                upper=six(found.log_upper),
                certified=found.certified,
                proved=found.proved,
                right=found.correct,
                share=six(share([reply.correct for reply in rollout.responses])),
                draws=draws,
                counts=[counts[at] for at in range(len(one.items))],
                drawn=len(draws),
                greedy=greedy,
                said=None if lead is None else visible(said or "", _SAID),
            )
        )
    forgotten = [[replace(of, complete=None, text=None) for of in one.responses] for one in drawn]
    return [replace(one, responses=tuple(some)) for one, some in zip(drawn, forgotten, strict=True)]


def _rollouts(table: pa.Table, prompts: int) -> list[Rollout]:
    """The table's rollouts with a number in place of the tokens of a response, which may be many."""
    tokens = _flat(table, "tokens")
    numbers: dict[bytes, int] = {}
    codes = [numbers.setdefault(key, len(numbers)) for key in _keys(tokens)]
    names = ("prompt_id", "logprob", "ended", "correct", "answer")
    columns = [_flat(table, name).to_pylist() for name in names]
    texts = _texts(_flat(table, "response"), _SAID)
    responses: list[list[Response]] = [[] for _ in range(prompts)]
    known = tokens.is_valid().to_pylist()
    for there, code, text, number, logprob, ended, correct, answer in zip(known, codes, texts, *columns, strict=True):
        complete = Complete((code,), logprob, ended) if there else None
        responses[number].append(Response(complete, text, correct, answer=answer))
    greedy = [of for of, _ in greedy_of(table)] or [None] * prompts
    return [Rollout(at, tuple(some), of) for at, (some, of) in enumerate(zip(responses, greedy, strict=True))]


def _flat(table: pa.Table, name: str) -> Any:
    column = table.column(name).combine_chunks()
    return column if isinstance(column, pa.Array) else pa.concat_arrays(column.chunks)


def _texts(column: Any, letters: int = SHOWN) -> list[str]:
    """Beginnings that are long enough to be cut, and no longer."""
    return pc.call_function("utf8_slice_codeunits", [column], pc.SliceOptions(0, 2 * letters)).to_pylist()


def _keys(tokens: Any) -> list[bytes]:
    """What tells responses apart, 16 bytes each however long they are."""
    flat = memoryview(tokens.values.to_numpy(zero_copy_only=False)).cast("B")
    ends = tokens.offsets.to_numpy().tolist()
    return [blake2b(flat[4 * start : 4 * end], digest_size=16).digest() for start, end in pairwise(ends)]
