"""What every pair of reward and update does to kappa, accuracy and modes on the embedded model.

Usage: python benchmarks/updates.py RECORDS.jsonl [--print]     (24 bundled prompts, K = 4, L = 12, 2 rounds, seed 0)

Every pair's numbers are appended to RECORDS.jsonl as it ends, and pairs found there are not run again. Prints a
Markdown table of all pairs known (with --print, only that); the committed one is benchmarks/results/updates.md.
Nothing is stopped: every signature is only noted.
"""

import json
import shutil
import sys
import tempfile
from itertools import product
from pathlib import Path
from typing import Any

from srlm.records.progress import Observer
from srlm.rewards import REWARDS
from srlm.training.start import start_run
from srlm.training.updates import UPDATES

PROMPTS, ROUNDS = 24, 2


class SharedBase(Observer):
    """Puts the base model's samples and modes in place, which no reward or update changes: a stage that is complete
    on disk is never run again.
    """

    def __init__(self, run: Path, kept: Path) -> None:
        self._run, self._kept = run, kept

    def stage(self, round_number: int, name: str, total: int) -> None:
        if (round_number, name) == (0, "save"):
            (self._run / "rounds" / "00").mkdir(parents=True, exist_ok=True)
            for path in self._kept.glob("*"):
                shutil.copy(path, self._run / "rounds" / "00" / path.name)

    def round_done(self, directory: Any, record: Any) -> None:
        for pattern in ("samples.*", "modes.*"):
            for path in (self._run / "rounds" / "00").glob(pattern) if record.round == 0 else ():
                shutil.copy(path, self._kept / path.name)


def measure(reward: str, loss: str, kept: Path) -> dict[str, Any]:
    """One run's rounds, as their metrics; round 00 is taken from, and left in, the folder `kept`."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        options: dict[str, Any] = {
            "rounds": ROUNDS,
            "rewards": [reward],
            "loss_type": loss,
            "on_signature": {"all": "note"},
            "output_dir": str(run),
        }
        observer = SharedBase(run, kept)
        directory = start_run(
            model="smollm2-135m", prompts="bundled", limit=PROMPTS, options=options, observer=observer
        )
        rounds = [directory.round(number).metrics() for number in directory.completed_rounds()]
    return {"reward": reward, "loss": loss, "rounds": rounds}


def row(record: dict[str, Any]) -> str:
    """A run as a line of the table: first -> ... -> last round on trained prompts, held-out accuracy, signatures."""
    rounds = record["rounds"]

    def path(values: list[Any], form: str) -> str:
        return " → ".join("–" if value is None else format(value, form) for value in values)

    noted = sorted({one["name"] for metrics in rounds for one in metrics["signatures"]})
    return (
        " | ".join(
            [
                f"| {record['reward']}",
                record["loss"],
                path([one["kappa"]["upper"] for one in rounds], ".3g"),
                path([one["accuracy"]["sample"] for one in rounds], ".2f"),
                path([one["held_out"]["accuracy"]["sample"] for one in rounds], ".2f"),
                path([one["accuracy"]["mode"] for one in rounds], ".2f"),
                path([one["mode_drift"] for one in rounds], ".2f"),
                path([one["mean_response_tokens"] for one in rounds], ".1f"),
                ", ".join(noted) or "–",
            ]
        )
        + " |"
    )


def main() -> None:
    records = Path(sys.argv[1]) if len(sys.argv) > 1 else Path("updates.jsonl")
    known: dict[tuple[str, str], dict[str, Any]] = {}
    if records.is_file():
        for line in records.read_text(encoding="utf-8").splitlines():
            record = json.loads(line)
            known[record["reward"], record["loss"]] = record
    kept = Path(tempfile.mkdtemp())
    # Those that differ from the theory's pair in one thing come first, so that an interrupted table says most.
    default = next(iter(UPDATES)), next(iter(REWARDS))
    pairs = sorted(product(UPDATES, REWARDS), key=lambda one: sum(a != b for a, b in zip(one, default, strict=True)))
    for loss, reward in () if "--print" in sys.argv else pairs:
        if (reward, loss) not in known:
            known[reward, loss] = measure(reward, loss, kept)
            with records.open("a", encoding="utf-8") as file:
                file.write(json.dumps(known[reward, loss]) + "\n")
    print_table(known)


def print_table(known: dict[tuple[str, str], dict[str, Any]]) -> None:
    """The table of the pairs known so far."""
    print(
        "| reward | update | kappa | sample accuracy | held-out sample accuracy | mode accuracy | mode drift | tokens "
        "| signatures |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for loss, reward in product(UPDATES, REWARDS):
        if (reward, loss) in known:
            print(row(known[reward, loss]))


if __name__ == "__main__":
    main()
