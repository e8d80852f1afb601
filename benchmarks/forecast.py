"""What round 00 forecasts of a run, beside what the run measured.

Usage: python benchmarks/forecast.py [RUN ...]    folders of finished runs; default runs/quality/ours-*

Made again from the samples and modes of round 00 in each folder, so that runs of an srlm that did not forecast can be
held against it, too. Prints a Markdown table; the committed one, of the runs of `benchmarks/quality.py`, is
benchmarks/results/forecast.md.
"""

import sys
from collections import Counter
from pathlib import Path

from srlm.measure.forecast import forecast_run
from srlm.records.bracket import Bracket
from srlm.records.forecast import ForecastRecord
from srlm.records.rounds import SPLITS, Split, SplitRecord
from srlm.records.run_directory import RunDirectory
from srlm.records.tables import modes_from_table, samples_from_table

ROOT = Path(__file__).resolve().parent.parent


def forecasts(directory: RunDirectory) -> dict[Split, tuple[ForecastRecord, ...]]:
    """The forecast of every split, for as many rounds as were measured."""
    record, first = directory.record(), directory.round(0)
    samples, modes = first.read_table("samples"), modes_from_table(first.read_table("modes"))
    split_of = {row["prompt_id"]: row["split"] for row in samples.select(["prompt_id", "split"]).to_pylist()}
    splits = [split_of[at] for at in range(len(modes))]
    beta, last = record["configuration"]["beta"], directory.completed_rounds()[-1]
    measured = zip(splits, samples_from_table(samples), modes, strict=True)
    told = forecast_run(measured, beta, last, record["seed"])
    return {split: told["forecast" if split == "train" else "forecast_held_out"] or () for split in SPLITS}


def bracket(ends: Bracket, digits: int = 2) -> str:
    shown = ["beyond a double" if end is None else f"{end:.{digits}f}" for end in (ends.lower, ends.upper)]
    return " to ".join(shown)


def place(measured: Bracket, told: Bracket) -> str:
    """Where a measured number lies against a forecast bracket."""
    if measured.lower is None or told.lower is None or measured.lower < told.lower - 1e-9:
        return "below"
    return "above" if told.upper is not None and (measured.upper or 0) > told.upper + 1e-9 else "within"


def row(told: ForecastRecord, now: SplitRecord) -> list[str]:
    right = told.sample_accuracy
    return [
        bracket(told.kappa),
        f"{told.projection_kappa or 0:.2f}",
        f"{now.kappa.upper or 0:.2f}",
        bracket(told.failure_rate),
        f"{now.failure_rate.upper or 0:.2f}",
        "" if right is None else f"{told.sample_accuracy_point or 0:.2f} ({bracket(right)})",
        "" if now.accuracy.sample is None else f"{now.accuracy.sample:.2f}",
    ]


def main() -> None:
    folders = [Path(one) for one in sys.argv[1:]] or sorted((ROOT / "runs" / "quality").glob("ours-?"))
    heads = ["run", "prompts", "round", "kappa, certain of exact rounds", "target of projections", "measured"]
    heads += ["failure, certain", "measured", "right samples: point (certain)", "measured"]
    print(f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
    places: Counter[tuple[str, str, str]] = Counter()
    for folder in folders:
        directory = RunDirectory.open(folder)
        for split, told in forecasts(directory).items():
            for one in told[1:]:
                now = directory.round(one.round).read().split(split)
                if now is None:
                    continue
                print(f"| {folder.name} | {split} | {one.round:02d} | " + " | ".join(row(one, now)) + " |")
                places[split, "kappa", place(now.kappa, one.kappa)] += 1
                places[split, "failure", place(now.failure_rate, one.failure_rate)] += 1
    print()
    for split in SPLITS:
        for what in ("kappa", "failure"):
            counted = {where: places[split, what, where] for where in ("within", "below", "above")}
            told = ", ".join(f"{count} {where}" for where, count in counted.items())
            print(f"- {what}, {split}: measured against what is certain of exact rounds: {told}")


if __name__ == "__main__":
    main()
