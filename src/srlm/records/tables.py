"""Rollouts and mode brackets as the tables of a round's folder, and back.

Knows: the columns of `samples.parquet` and `modes.parquet`. Text and marks of right and wrong stand beside the tokens,
so that a reader needs neither model nor tokenizer. Refuses to know: who drew, decoded, graded or searched.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa

from srlm.records.numerics import Drift
from srlm.records.reading import reading
from srlm.records.responses import Complete, ModeBracket, Outside, Response, Rollout
from srlm.records.rounds import Split

_TOKENS = pa.list_(pa.int32())
_SECONDS = b"seconds"
_DRIFT = b"drift"
_GREEDY = b"greedy"
_BESIDE = b"beside"
_SERVERS = b"servers"
_WHOSE = "did another srlm write it?"


class PromptText(Protocol):
    """What a table says about a prompt."""

    @property
    def text(self) -> str: ...
    @property
    def split(self) -> Split: ...
    @property
    def answers(self) -> tuple[str, ...]: ...


def samples_to_table(
    prompts: Sequence[PromptText],
    rollouts: Sequence[Rollout],
    seconds: float,
    drift: Drift | None = None,
    beside: Mapping[str, Any] | None = None,
) -> pa.Table:
    """One row a response, prompts in order; in the metadata, where servers drew, which one at each prompt ("servers").

    Args:
        prompts: the run's prompts.
        rollouts: one a prompt, decoded and graded.
        seconds: the time it took to draw them.
        drift: how far the training numerics are from the sampling ones, where that was measured.
        beside: JSON values to keep with the samples.
    """
    rows = [
        {
            "prompt_id": number,
            "split": prompt.split,
            "prompt": prompt.text,
            "response": response.text,
            "tokens": response.complete and list(response.tokens),
            "logprob": response.complete and response.logprob,
            "ended": response.complete and response.ended,
            "entropy": response.entropy,
            "self_certainty": response.self_certainty,
            "correct": response.correct,
            "answer": response.answer,
        }
        for number, (prompt, rollout) in enumerate(zip(prompts, rollouts, strict=True))
        for response in rollout.responses
    ]
    facts = {_SECONDS: repr(seconds).encode(), _BESIDE: json.dumps(beside or {}).encode()}
    if drift is not None:
        facts[_DRIFT] = drift.model_dump_json().encode()
    if any(one.server for one in rollouts):
        facts[_SERVERS] = json.dumps([one.server for one in rollouts]).encode()
    greedy = [(one.greedy, one.first_token_bound) for one in rollouts if one.greedy is not None]
    if greedy:
        answers = [
            {
                "response": {"tokens": one.tokens, "logprob": one.logprob, "ended": one.ended},
                "bound": bound,
                "told": [one.text, one.correct, one.answer],
            }
            for one, bound in greedy
        ]
        facts[_GREEDY] = json.dumps(answers).encode()
    return pa.Table.from_pylist(rows, schema=_SAMPLES).replace_schema_metadata(facts)


@reading(Path("samples.parquet"), _WHOSE)
def samples_from_table(table: pa.Table) -> list[Rollout]:
    """The rollout of every prompt."""
    responses: list[list[Response]] = []
    read = [name for name in _SAMPLES.names if name in table.column_names and name not in ("split", "prompt")]
    for row in table.select(read).to_pylist():
        if row["prompt_id"] == len(responses):
            responses.append([])
        complete, answer = None, row.get("answer")
        if row["tokens"] is not None:  # only text was told
            complete = Complete(tuple(row["tokens"]), row["logprob"], row["ended"])
        responses[-1].append(
            Response(complete, row["response"], row["correct"], row["entropy"], row["self_certainty"], answer)
        )
    greedy = greedy_of(table) or [(None, None)] * len(responses)
    return [Rollout(at, tuple(some), *beside) for at, (some, beside) in enumerate(zip(responses, greedy, strict=True))]


def greedy_of(table: pa.Table) -> list[tuple[Response, float | None]]:
    """What greedy decoding answered to every prompt, with the first token's bound; empty where it did not go along."""
    facts: list[dict[str, Any]] = json.loads((table.schema.metadata or {}).get(_GREEDY, b"[]"))
    return [(_greedy(one), one["bound"]) for one in facts]


def _greedy(facts: dict[str, Any]) -> Response:
    text, correct, answer = facts["told"]
    return Response(_complete(facts["response"]), text, correct, answer=answer)


def _complete(facts: dict[str, Any]) -> Complete:
    return Complete(tuple(facts["tokens"]), facts["logprob"], facts["ended"])


def drift_of(table: pa.Table) -> Drift | None:
    """The drift recorded with a table of samples; None where none was measured."""
    text = (table.schema.metadata or {}).get(_DRIFT)
    return Drift.model_validate_json(text) if text else None


def beside_of(table: pa.Table) -> dict[str, Any]:
    """What was kept with a table of samples; empty where nothing was."""
    return json.loads((table.schema.metadata or {}).get(_BESIDE, b"{}"))


def modes_to_table(prompts: Sequence[PromptText], brackets: Sequence[ModeBracket], seconds: float) -> pa.Table:
    """One row a prompt; `seconds` is the time the search took."""
    rows = [
        {
            "prompt_id": number,
            "split": prompt.split,
            "prompt": prompt.text,
            "answer": list(prompt.answers),
            "mode_text": bracket.mode.text,
            "mode_tokens": list(bracket.mode.tokens),
            "mode_logprob": bracket.mode.logprob,
            "mode_ended": bracket.mode.ended,
            "mode_logprob_lower": bracket.logprob_lower,
            "mode_logprob_upper": bracket.logprob_upper,
            "certified": bracket.certified,
            "margin_lower": bracket.margin_lower,
            "expansions": bracket.expansions,
            "status": bracket.status.value,
            "widening": bracket.widening,
            "greedy_text": bracket.greedy.text,
            "greedy_tokens": list(bracket.greedy.tokens),
            "greedy_logprob": bracket.greedy.logprob,
            "greedy_ended": bracket.greedy.ended,
            "mode_correct": bracket.mode.correct,
            "greedy_correct": bracket.greedy.correct,
            "best": [
                {
                    "text": one.text,
                    "tokens": list(one.tokens),
                    "logprob": one.logprob,
                    "ended": one.ended,
                    "correct": one.correct,
                }
                for one in bracket.best
            ],
            "proved": bracket.proved,
            "open_prefixes": list(bracket.outside.prefixes),
            "open_texts": list(bracket.outside.texts),
            "dropped_mass": bracket.outside.mass,
            "dropped_logprob": bracket.outside.largest,
        }
        for number, (prompt, bracket) in enumerate(zip(prompts, brackets, strict=True))
    ]
    return pa.Table.from_pylist(rows, schema=_MODES).replace_schema_metadata({_SECONDS: repr(seconds).encode()})


@reading(Path("modes.parquet"), _WHOSE)
def modes_from_table(table: pa.Table) -> list[ModeBracket]:
    """The bracket of every prompt's mode."""
    return [
        ModeBracket(
            best=tuple(Response(_complete(one), one["text"], one["correct"]) for one in row["best"]),
            logprob_lower=row["mode_logprob_lower"],
            logprob_upper=row["mode_logprob_upper"],
            certified=row["certified"],
            greedy=Response(
                Complete(tuple(row["greedy_tokens"]), row["greedy_logprob"], row["greedy_ended"]),
                row["greedy_text"],
                row["greedy_correct"],
            ),
            margin_lower=row["margin_lower"],
            proved=row["proved"],
            outside=Outside(
                tuple(row["open_prefixes"]),
                row["dropped_mass"],
                row["dropped_logprob"],
                texts=tuple(row.get("open_texts") or ()),
            ),
            expansions=row["expansions"],
            widening=row["widening"],
        )
        for row in table.to_pylist()
    ]


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
        ("answer", pa.string()),
    ]
)
_RESPONSE = {
    "text": pa.string(),
    "tokens": _TOKENS,
    "logprob": pa.float64(),
    "ended": pa.bool_(),
    "correct": pa.bool_(),
}
_MODES = pa.schema(
    [
        ("prompt_id", pa.int32()),
        ("split", pa.string()),
        ("prompt", pa.string()),
        ("answer", pa.list_(pa.string())),
        ("mode_text", pa.string()),
        ("mode_tokens", _TOKENS),
        ("mode_logprob", pa.float64()),
        ("mode_ended", pa.bool_()),
        ("mode_logprob_lower", pa.float64()),
        ("mode_logprob_upper", pa.float64()),
        ("certified", pa.bool_()),
        ("margin_lower", pa.float64()),
        ("expansions", pa.int64()),
        ("status", pa.string()),
        ("widening", pa.float64()),
        ("greedy_text", pa.string()),
        ("greedy_tokens", _TOKENS),
        ("greedy_logprob", pa.float64()),
        ("greedy_ended", pa.bool_()),
        ("mode_correct", pa.bool_()),
        ("greedy_correct", pa.bool_()),
        ("best", pa.list_(pa.struct(_RESPONSE))),
        ("proved", pa.int32()),
        ("open_prefixes", pa.list_(pa.float64())),
        ("open_texts", pa.list_(pa.string())),
        ("dropped_mass", pa.float64()),
        ("dropped_logprob", pa.float64()),
    ]
)
