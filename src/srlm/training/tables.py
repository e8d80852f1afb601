"""Samples and mode brackets as the tables of a round's folder, and back.

Knows: the columns of `samples.parquet` and `modes.parquet`. Text and marks of right and wrong stand beside the
tokens so that a reader needs neither model nor tokenizer; reading back for training uses the tokens alone.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from srlm.lm.mode_search import ModeBracket
from srlm.lm.sampling import Greedy, Response
from srlm.training.drift import Drift
from srlm.training.measurement import Modes

if TYPE_CHECKING:
    from srlm.training.trainer import SelfRewardingTrainer

_TOKENS = pa.list_(pa.int32())
_SECONDS = b"seconds"
_DRIFT = b"drift"
_GREEDY = b"greedy"


def samples_to_table(
    trainer: "SelfRewardingTrainer",
    samples: Sequence[Sequence[Response]],
    seconds: float,
    drift: Drift,
    greedy: Sequence[Greedy] | None = None,
) -> pa.Table:
    """One row a response, prompts in order; `seconds` is the time it took to draw them, `drift` how far the training
    numerics are from the sampling ones, `greedy` every prompt's greedy answer where no search will find it.
    """
    rows: list[dict[str, Any]] = []
    for number, (prompt, responses) in enumerate(zip(trainer.prompts, samples, strict=True)):
        for response in responses:
            text = trainer.text(response.tokens)
            rows.append(
                {
                    "prompt_id": number,
                    "split": prompt.split,
                    "prompt": prompt.text,
                    "response": text,
                    "tokens": list(response.tokens),
                    "logprob": response.logprob,
                    "ended": response.ended,
                    "entropy": response.entropy,
                    "self_certainty": response.self_certainty,
                    "correct": prompt.grade(text),
                }
            )
    table = _with_seconds(pa.Table.from_pylist(rows, schema=_SAMPLES), seconds)
    beside = {_DRIFT: json.dumps(drift.as_json()).encode()}
    if greedy is not None:
        beside[_GREEDY] = json.dumps([asdict(one) for one in greedy]).encode()
    return table.replace_schema_metadata({**table.schema.metadata, **beside})


def drift_of(table: pa.Table) -> dict[str, Any] | None:
    """The drift recorded with a table of samples; None in one of an older srlm."""
    found = (table.schema.metadata or {}).get(_DRIFT)
    return json.loads(found) if found else None


def greedy_of(table: pa.Table) -> list[Greedy] | None:
    """Every prompt's greedy answer where it was recorded with the samples."""
    found = (table.schema.metadata or {}).get(_GREEDY)
    return found and [
        Greedy(Response(**one["response"] | {"tokens": tuple(one["response"]["tokens"])}), one["bound"])
        for one in json.loads(found)
    ]


def samples_from_table(table: pa.Table) -> tuple[list[list[Response]], float]:
    """The responses of every prompt, and the seconds it took to draw them."""
    found: list[list[Response]] = []
    for row in table.select(["prompt_id", "tokens", "logprob", "ended", "entropy", "self_certainty"]).to_pylist():
        if row["prompt_id"] == len(found):
            found.append([])
        found[-1].append(
            Response(tuple(row["tokens"]), row["logprob"], row["ended"], row["entropy"], row["self_certainty"])
        )
    return found, seconds_of(table)


def modes_to_table(trainer: "SelfRewardingTrainer", brackets: Sequence[ModeBracket], seconds: float) -> pa.Table:
    """One row a prompt; `seconds` is the time the search took."""
    rows: list[dict[str, Any]] = []
    for number, (prompt, bracket) in enumerate(zip(trainer.prompts, brackets, strict=True)):
        mode, greedy = trainer.text(bracket.mode.tokens), trainer.text(bracket.greedy.tokens)
        rows.append(
            {
                "prompt_id": number,
                "split": prompt.split,
                "prompt": prompt.text,
                "answer": list(prompt.answers),
                "mode_text": mode,
                "mode_tokens": list(bracket.mode.tokens),
                "mode_ended": bracket.mode.ended,
                "mode_logprob_lower": bracket.logprob_lower,
                "mode_logprob_upper": bracket.logprob_upper,
                "certified": bracket.certified,
                "margin_lower": bracket.margin_lower,
                "expansions": bracket.expansions,
                "status": bracket.status.value,
                "greedy_text": greedy,
                "greedy_tokens": list(bracket.greedy.tokens),
                "greedy_logprob": bracket.greedy.logprob,
                "mode_correct": prompt.grade(mode),
                "greedy_correct": prompt.grade(greedy),
            }
        )
    return _with_seconds(pa.Table.from_pylist(rows, schema=_MODES), seconds)


def modes_from_table(table: pa.Table) -> tuple[list[Modes], float]:
    """The modes of every prompt, and the seconds the search took."""
    names = ("mode_tokens", "mode_logprob_lower", "mode_logprob_upper", "certified", "margin_lower", "expansions")
    rows = table.select([*names, "mode_correct", "greedy_correct"]).to_pylist()
    return [
        Modes(
            tuple(row["mode_tokens"]),
            row["mode_logprob_lower"],
            row["mode_logprob_upper"],
            row["certified"],
            row["margin_lower"],
            row["expansions"],
            row["mode_correct"],
            row["greedy_correct"],
        )
        for row in rows
    ], seconds_of(table)


def _with_seconds(table: pa.Table, seconds: float) -> pa.Table:
    return table.replace_schema_metadata({_SECONDS: repr(seconds).encode()})


def seconds_of(table: pa.Table) -> float:
    """Seconds of work behind a table written here."""
    return float((table.schema.metadata or {})[_SECONDS])


_SAMPLES = pa.schema(
    [
        ("prompt_id", pa.int32()),
        ("split", pa.string()),
        ("prompt", pa.string()),
        ("response", pa.string()),
        ("tokens", _TOKENS),
        ("logprob", pa.float64()),
        ("ended", pa.bool_()),
        ("entropy", pa.float64()),
        ("self_certainty", pa.float64()),
        ("correct", pa.bool_()),
    ]
)
_MODES = pa.schema(
    [
        ("prompt_id", pa.int32()),
        ("split", pa.string()),
        ("prompt", pa.string()),
        ("answer", pa.list_(pa.string())),
        ("mode_text", pa.string()),
        ("mode_tokens", _TOKENS),
        ("mode_ended", pa.bool_()),
        ("mode_logprob_lower", pa.float64()),
        ("mode_logprob_upper", pa.float64()),
        ("certified", pa.bool_()),
        ("margin_lower", pa.float64()),
        ("expansions", pa.int64()),
        ("status", pa.string()),
        ("greedy_text", pa.string()),
        ("greedy_tokens", _TOKENS),
        ("greedy_logprob", pa.float64()),
        ("mode_correct", pa.bool_()),
        ("greedy_correct", pa.bool_()),
    ]
)
