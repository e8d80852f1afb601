"""Two runs at the prompts that both have, in words: is one better there, and how sure is that?

Knows: texts of prompts by which runs are paired, and what each run's shown round answered. Refuses to know: how a page
looks.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow.parquet as pq

from srlm.measure.uncertainty import Paired, paired
from srlm.records.reading import reading
from srlm.records.run_directory import PROMPTS_FILE, prompt_key
from srlm.report.reading import RunView

Outcome = tuple[float | None, bool | None]


@dataclass(frozen=True, slots=True)
class Pair:
    """Two runs by name, and their difference of what."""

    first: str
    second: str
    what: str
    result: Paired

    @property
    def sentence(self) -> str:
        """What the test says."""
        one = self.result
        ends = f"{100 * one.interval.lower:+.1f} to {100 * one.interval.upper:+.1f} points at {one.interval.level:.0%}"
        sure = one.interval.lower > 0 or one.interval.upper < 0
        better = self.second if one.difference > 0 else self.first
        told = (
            f"at the {one.prompts} prompts that both have, {self.what} of {self.second} are right "
            f"{100 * one.difference:+.1f} points more often than those of {self.first} ({ends})"
        )
        if one.p_value is not None:
            told += f", at {one.gained} prompts in {self.second} only and at {one.lost} in {self.first} only"
            told += f" (McNemar's exact test: p = {one.p_value:.2g})"
        return f"{told}: {f'{better} is better there' if sure else 'that is no difference shown'}"

    def to_document(self) -> dict[str, Any]:
        """As JSON values."""
        result = asdict(self.result) | {"interval": self.result.interval.model_dump(mode="json")}
        return {"first": self.first, "second": self.second, "what": self.what, **result, "sentence": self.sentence}


def pairs(runs: Sequence[tuple[str, RunView]]) -> list[Pair]:
    """The first run beside every other, where they share prompts with known answers.

    Args:
        runs: by name, with their answers read.
    """
    known = [(name, _outcomes(run), run.modes_name) for name, run in runs]
    told = []
    for name, other, modes in known[1:]:
        first, base, _ = known[0]
        for at, what in enumerate(("samples", modes)):
            both = [(base[text][at], other[text][at]) for text in base if text in other]
            values = [(one, two) for one, two in both if one is not None and two is not None]
            if result := paired([one for one, _ in values], [two for _, two in values]):
                told.append(Pair(first, name, what, result))
    return told


def _outcomes(run: RunView) -> dict[str, Outcome]:
    """(share of right samples, whether the mode or majority is right) at the round shown, by the prompt's text; of
    equal texts the last.
    """
    if (file := run.path / PROMPTS_FILE).is_file():
        with reading(file):
            rows = pq.read_table(file.absolute()).to_pylist()
            return {row["prompt"]: (row["sample_accuracy"], row["majority_correct"]) for row in rows}
    told: dict[str, Outcome] = {
        prompt_key(one.prompt): (one.rounds[-1].sample_accuracy, one.rounds[-1].majority.correct)
        for one in run.questions
    }
    return told | {
        prompt_key(one.prompt): (one.rounds[-1].sample_accuracy, one.last.mode.correct) for one in run.answers
    }
