"""A run as a page needs it: its record, its rounds, and what it answered to each prompt at every round.

Knows: the run's folder through `srlm.records`. Only rounds whose metrics are complete are read, so a run in progress
can be looked at. Refuses to know: how a page looks.
"""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from srlm.records.responses import ModeBracket
from srlm.records.rounds import RoundRecord, RunRecord, Split, SplitRecord, parse
from srlm.records.run_directory import RUN_FILE, RoundDirectory, RunDirectory
from srlm.records.tables import modes_from_table


@dataclass(frozen=True, slots=True)
class AnswerAt:
    """What the policy says to one prompt at one round: its greedy answer and mode, and the share of right samples (None
    where no answer is known).
    """

    bracket: ModeBracket
    sample_accuracy: float | None


@dataclass(frozen=True, slots=True)
class Answer:
    """One prompt, with accepted answers, and what was said to it at every complete round from 0."""

    prompt: str
    known: tuple[str, ...]
    split: Split
    rounds: tuple[AnswerAt, ...]

    @property
    def base(self) -> ModeBracket:
        """What the base model says."""
        return self.rounds[0].bracket

    @property
    def last(self) -> ModeBracket:
        """What the policy of the last complete round says."""
        return self.rounds[-1].bracket


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
    def widened(self) -> float:
        """Most nats by which a round's brackets were widened; where this is positive they are estimates."""
        return max((one.numerics.widened for one in self.rounds if one.numerics), default=0.0)

    @property
    def off_theory(self) -> str | None:
        """What makes this run's rounds others than the theory's, in words; None for eq. 3 with the log-probability."""
        rewards = self.record.configuration.get("rewards") or ["log_probability"]
        loss = self.record.configuration.get("loss_type") or "regression"
        departures = []
        if rewards != ["log_probability"]:
            departures.append(f"the reward {' + '.join(map(str, rewards))}")
        if loss not in ("projection", "regression"):
            departures.append(f"the update {loss}")
        if self.record.configuration.get("reference") == "base":
            departures.append("the base model as reference")
        if self.record.configuration.get("anchor_weight"):
            departures.append("a likelihood anchor")
        return " and ".join(departures) or None

    def split(self, name: Split) -> list[tuple[int, SplitRecord]]:
        """(round, measurements) of one split, for the rounds that have it."""
        return [(one.round, metrics) for one in self.rounds if (metrics := one.split(name)) is not None]

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
    rounds = [directory.round(number) for number in directory.completed_rounds()]
    return RunView(folder, record, tuple(one.read() for one in rounds), _answers(rounds) if answers and rounds else ())


def _answers(rounds: list[RoundDirectory]) -> tuple[Answer, ...]:
    prompts = rounds[0].read_table("modes").select(["prompt", "answer", "split"]).to_pylist()
    answers = zip(*map(_answers_at, rounds), strict=True)
    return tuple(
        Answer(row["prompt"], tuple(row["answer"] or ()), row["split"], tuple(at))
        for row, at in zip(prompts, answers, strict=True)
    )


def _answers_at(folder: RoundDirectory) -> list[AnswerAt]:
    marks: dict[int, list[bool]] = defaultdict(list)
    for row in folder.read_table("samples").select(["prompt_id", "correct"]).to_pylist():
        if row["correct"] is not None:
            marks[row["prompt_id"]].append(row["correct"])
    return [
        AnswerAt(bracket, sum(marks[at]) / len(marks[at]) if marks[at] else None)
        for at, bracket in enumerate(modes_from_table(folder.read_table("modes")))
    ]
