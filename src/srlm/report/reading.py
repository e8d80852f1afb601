"""A run as a page needs it: its record, its rounds, and how each prompt's answer changed.

Knows: the run's folder through `srlm.records`, nothing of how a page looks. Only rounds whose metrics are complete are
read, so a run in progress can be looked at.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from srlm.records.rounds import RoundRecord, RunRecord, SplitRecord, parse
from srlm.records.run_directory import RUN_FILE, RunDirectory

Split = Literal["train", "held_out"]


@dataclass(frozen=True, slots=True)
class Reply:
    """One response and whether it is right (None: no known answer)."""

    text: str
    correct: bool | None


@dataclass(frozen=True, slots=True)
class AnswerAt:
    """What the policy says to one prompt at one round.

    Attributes:
        greedy, mode: the two deterministic answers.
        certified: whether the mode was proved to be the mode.
        sample_accuracy: share of right samples, None where no answer is known.
    """

    greedy: Reply
    mode: Reply
    certified: bool
    sample_accuracy: float | None


@dataclass(frozen=True, slots=True)
class Answer:
    """One prompt at the base model and at the last complete round."""

    prompt: str
    known: tuple[str, ...]
    split: Split
    base: AnswerAt
    last: AnswerAt


@dataclass(frozen=True, slots=True)
class RunView:
    """Everything a page says about a run.

    Attributes:
        path: the run's folder.
        record: `run.json`.
        rounds: metrics of the complete rounds, in order from 0; may be empty.
        answers: one a prompt; empty without a complete round.
    """

    path: Path
    record: RunRecord
    rounds: tuple[RoundRecord, ...]
    answers: tuple[Answer, ...]

    @property
    def planned_rounds(self) -> int | None:
        """T, where the configuration says so."""
        planned = self.record.configuration.get("rounds")
        return planned if isinstance(planned, int) and not isinstance(planned, bool) else None

    @property
    def beta(self) -> float | None:
        """The KL strength of the last round, or the configured one where rounds do not say."""
        used = next((one.beta for one in reversed(self.rounds) if one.beta is not None), None)
        beta = self.record.configuration.get("beta") if used is None else used
        return float(beta) if isinstance(beta, int | float) and not isinstance(beta, bool) and beta > 0 else None

    @property
    def off_theory(self) -> str | None:
        """What makes this run's rounds others than the theory's, in words; None for eq. 3 with the log-probability."""
        rewards = self.record.configuration.get("rewards") or ["log_probability"]
        loss = self.record.configuration.get("loss_type") or "regression"
        said = []
        if rewards != ["log_probability"]:
            said.append(f"the reward {' + '.join(map(str, rewards))}")
        if loss != "regression":
            said.append(f"the update {loss}")
        if self.record.configuration.get("reference") == "base":
            said.append("the base model as reference")
        if self.record.configuration.get("anchor_weight"):
            said.append("a likelihood anchor")
        return " and ".join(said) or None

    def split(self, name: Split) -> list[tuple[int, SplitRecord]]:
        """(round, measurements) of one split, for the rounds that have it."""
        found = ((one.round, getattr(one, name)) for one in self.rounds)
        return [(number, metrics) for number, metrics in found if metrics is not None]

    def main_split(self) -> Split:
        """The trained prompts, or the held-out ones where nothing else was measured."""
        return "train" if self.split("train") or not self.split("held_out") else "held_out"


def read_run(folder: Path, answers: bool = True) -> RunView:
    """Read a run, finished or not.

    Args:
        folder: what `srlm run --out` wrote.
        answers: whether to read the tables of answers too.

    Raises:
        InputError: there is no run, or what is there is damaged (the file and the fix are named).
    """
    directory = RunDirectory.open(folder)
    record = parse(RunRecord, directory.record(), folder / RUN_FILE)
    numbers = directory.completed_rounds()
    rounds = tuple(
        parse(RoundRecord, directory.round(number).metrics(), directory.round(number).path / "metrics.json")
        for number in numbers
    )
    found = _answers(directory, numbers[-1]) if answers and numbers else ()
    return RunView(folder, record, rounds, found)


def _answers(directory: RunDirectory, last: int) -> tuple[Answer, ...]:
    before = _modes(directory, 0)
    after = before if last == 0 else _modes(directory, last)
    shares_before = _sample_accuracy(directory, 0)
    shares_after = shares_before if last == 0 else _sample_accuracy(directory, last)
    return tuple(
        Answer(
            prompt=row["prompt"],
            known=tuple(row.get("answer") or ()),
            split="held_out" if row["split"] == "held_out" else "train",
            base=_answer_at(row, shares_before.get(key)),
            last=_answer_at(after[key], shares_after.get(key)),
        )
        for key, row in before.items()
        if key in after
    )


def _modes(directory: RunDirectory, number: int) -> dict[int, dict[str, Any]]:
    return {row["prompt_id"]: row for row in directory.round(number).read_table("modes").to_pylist()}


def _sample_accuracy(directory: RunDirectory, number: int) -> dict[int, float]:
    table = directory.round(number).read_table("samples").select(["prompt_id", "correct"])
    marks: dict[int, list[bool]] = defaultdict(list)
    for row in table.to_pylist():
        if row["correct"] is not None:
            marks[row["prompt_id"]].append(row["correct"])
    return {key: sum(values) / len(values) for key, values in marks.items()}


def _answer_at(row: Mapping[str, Any], sample_accuracy: float | None) -> AnswerAt:
    return AnswerAt(
        greedy=Reply(row["greedy_text"], row["greedy_correct"]),
        mode=Reply(row["mode_text"], row["mode_correct"]),
        certified=row["certified"],
        sample_accuracy=sample_accuracy,
    )
