"""Two runs at the prompts that both have, in words: is one better there, and how sure is that?

Knows: texts of prompts by which runs are paired, and what each run's shown round answered. Refuses to know: how a page
looks.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow.parquet as pq

from srlm.measure.uncertainty import Paired, paired
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
    def better(self) -> str | None:
        """Which of both is better; None where no difference is shown."""
        ends = self.result.interval
        return self.second if ends.lower > 0 else self.first if ends.upper < 0 else None

    @property
    def sentence(self) -> str:
        """What the test says."""
        one = self.result
        ends = f"{100 * one.interval.lower:+.1f} to {100 * one.interval.upper:+.1f} points at {one.interval.level:.0%}"
        told = (
            f"at the {one.prompts} prompts that both have, {self.what} of {self.second} are right "
            f"{100 * one.difference:+.1f} points more often than those of {self.first} ({ends})"
        )
        if one.p_value is not None:
            told += f", at {one.gained} prompts in {self.second} only and at {one.lost} in {self.first} only"
            told += f" (McNemar's exact test: p = {one.p_value:.2g})"
        return f"{told}: {f'{self.better} is better there' if self.better else 'that is no difference shown'}"

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


def headline(runs: Sequence[tuple[str, RunView]], told: Sequence[Pair]) -> str:
    """What the tests of samples say of all runs, in a sentence without its full stop."""
    tests = [one for one in told if one.what == "samples"]
    beside = f"{len(runs)} runs side by side"
    shown = [f"{one.better} is right more often than {one.first if one.better == one.second else one.second}"
             for one in tests if one.better]  # fmt: skip
    if not tests:
        return beside
    return f"{beside}: at the same prompts {' and '.join(shown) or 'no difference is shown'}"


def _outcomes(run: RunView) -> dict[str, Outcome]:
    """(share of right samples, whether the mode or majority is right) at the round shown, by the prompt's text; of
    equal texts the last.
    """
    if (file := run.path / PROMPTS_FILE).is_file():
        rows = pq.read_table(file).to_pylist()
        return {row["prompt"]: (row["sample_accuracy"], row["majority_correct"]) for row in rows}
    return {prompt_key(one.prompt): (one.rounds[run.now].share, one.rounds[run.now].right) for one in run.prompts}
