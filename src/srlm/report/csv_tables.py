"""Every table of a run, a diagnosis or an audit as a CSV file: RFC 4180, UTF-8, numbers as they stand in the records.

Knows: which records make which table. Text that a model or a user wrote is on one line, and no spreadsheet takes it for
a formula. Refuses to know: how a page words them.
"""

import csv
import io
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from srlm.measure.majorities import majorities
from srlm.measure.split import right_shares
from srlm.records.answer_diagnosis import AnswerDiagnosis, read_answer_diagnosis
from srlm.records.diagnosis import DiagnosisRecord, holds_diagnosis, read_diagnosis
from srlm.records.responses import Rollout
from srlm.records.rounds import SPLITS
from srlm.records.run_directory import RunDirectory
from srlm.records.tables import samples_from_table
from srlm.records.text import spreadsheet_safe, visible
from srlm.report import findings
from srlm.report.promises import promise_texts
from srlm.report.reading import RunView, read_run

Row = Mapping[str, Any]
Tables = Mapping[str, Sequence[Row]]
# Tables by name, each with its first columns, which it has even where it has no row.
_COLUMNS = {
    "rounds": ("round", "split"),
    "prompts": ("round", "prompt_id", "split", "prompt"),
    "forecast": ("split", "round"),
    "promises": ("label", "expected", "measured", "verdict"),
    "alarms": ("name", "round", "step", "evidence", "advice"),
    "verdicts": ("group", "verdict", "reason"),
}


def tables_of(folder: Path) -> dict[str, str]:
    """The text of every table by the name of its file.

    Args:
        folder: what `srlm run`, `srlm diagnose` or `srlm audit` wrote with --out.

    Returns:
        `rounds.csv`, `prompts.csv`, `forecast.csv`, `promises.csv`, `alarms.csv` of a run or an audit; `prompts.csv`,
        `forecast.csv`, `verdicts.csv` of a diagnosis.

    Raises:
        InputError: nothing there, or damaged records.
    """
    if not holds_diagnosis(folder):
        tables = _of_run(read_run(folder, False))
    else:
        tables = _of_diagnosis(read_answer_diagnosis(folder) or read_diagnosis(folder))
    return {f"{name}.csv": _text(_COLUMNS[name], rows) for name, rows in tables.items()}


def _of_run(run: RunView) -> Tables:
    beside = {"train", "held_out", "gate", "forecast", "forecast_held_out", "signatures", "round"}
    rounds = [
        {
            "round": one.round,
            "split": split,
            **of.model_dump(mode="json"),
            **one.model_dump(mode="json", exclude=beside),
        }
        for one in run.rounds
        for split in SPLITS
        if (of := one.split(split)) is not None
    ]
    forecast = [{"split": split, **one.model_dump(mode="json")} for split in SPLITS for one in run.forecast(split)]
    signatures = [one.model_dump(mode="json") for of in run.rounds for one in of.signatures or ()]
    return {
        "rounds": rounds,
        "prompts": list(_prompts(run)),
        "forecast": forecast,
        "promises": [asdict(one) for one in promise_texts(run)],
        "alarms": [*signatures, *findings.alarms(run)],
    }


def _prompts(run: RunView) -> Iterator[Row]:
    """What was drawn, and at the level of responses proved, of every prompt at every round."""
    before: list[Rollout] | None = None
    for one in run.rounds:
        folder = RunDirectory(run.path).round(one.round)
        table = folder.read_table("samples")
        drawn = samples_from_table(table)
        texts = {row["prompt_id"]: row for row in table.select(["prompt_id", "split", "prompt"]).to_pylist()}
        shares = right_shares(drawn)
        told = [{"responses": len(of.responses), "sample_accuracy": at} for of, at in zip(drawn, shares, strict=True)]
        if run.of_answers:
            found = majorities(drawn, before, run.confidence)
            before = drawn if not run.watched else None
            fields = ("leader", "share", "certified", "proved", "correct", "log_lower", "log_upper", "counts")
            more = [{name: getattr(of, name) for name in fields} for of in found]
        else:
            more = (
                folder.read_table("modes")
                .drop_columns(["best", "open_prefixes", "open_texts", "mode_tokens", "greedy_tokens"])
                .to_pylist()
            )
        for at, row in texts.items():
            yield {"round": one.round, **row, **told[at], **more[at]}


def _of_diagnosis(of: DiagnosisRecord | AnswerDiagnosis) -> Tables:
    verdicts = of.verdict if isinstance(of.verdict, tuple) else (of.verdict,)
    prompts = [one.model_dump(mode="json", exclude={"known"}) for one in of.prompts]
    return {
        "prompts": [{"prompt_id": at, **one} for at, one in enumerate(prompts)],
        "forecast": [one.model_dump(mode="json") for one in (of.forecast.rounds if of.forecast else ())],
        "verdicts": [one.model_dump(mode="json") for one in verdicts],
    }


def _text(columns: Sequence[str], rows: Sequence[Row]) -> str:
    flat = [dict(_flat(row)) for row in rows]
    names = list(dict.fromkeys([*columns, *(name for row in flat for name in row)]))
    known = [name for name in names if not flat or any(row.get(name) not in (None, "") for row in flat)]
    sink = io.StringIO(newline="")
    writer = csv.writer(sink)
    writer.writerow([spreadsheet_safe(visible(name)) for name in known])
    writer.writerows([_cell(row.get(name)) for name in known] for row in flat)
    return sink.getvalue()


def _flat(row: Row, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """ "kappa.lower" for what lies in "kappa"; lists as JSON."""
    for name, value in row.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", json.dumps(value, ensure_ascii=False) if isinstance(value, list | tuple) else value


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return spreadsheet_safe(visible(value)) if isinstance(value, str) else value
