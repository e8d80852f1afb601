"""What every pair of reward and update does to kappa, accuracy and modes on the embedded model.

Usage: python benchmarks/updates.py [RECORDS.jsonl]     (24 bundled prompts, K = 4, L = 12, 2 rounds, seed 0)

Every pair's numbers are appended to RECORDS.jsonl as it ends, and pairs found there are not run again. Prints a Markdown
table; the committed one is benchmarks/results/updates.md. Nothing is stopped: every signature is only noted.
"""

import json
import sys
import tempfile
from itertools import product
from pathlib import Path
from typing import Any

from srlm.training.losses import LOSS_TYPES
from srlm.training.rewards import REWARDS
from srlm.training.start import start_run

PROMPTS, ROUNDS = 24, 2


def measure(reward: str, loss: str) -> dict[str, Any]:
    """One run's rounds, as their metrics."""
    with tempfile.TemporaryDirectory() as folder:
        options: dict[str, Any] = {
            "rounds": ROUNDS,
            "rewards": [reward],
            "loss_type": loss,
            "on_signature": {"all": "note"},
            "output_dir": str(Path(folder) / "run"),
        }
        directory = start_run(model="smollm2-135m", prompts="bundled", limit=PROMPTS, options=options)
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
    records = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(tempfile.mkdtemp()) / "updates.jsonl"
    known: dict[tuple[str, str], dict[str, Any]] = {}
    if records.is_file():
        for line in records.read_text(encoding="utf-8").splitlines():
            record = json.loads(line)
            known[record["reward"], record["loss"]] = record
    # Rewards vary fastest, so that an interrupted table compares rewards under the theory's update first.
    for loss, reward in product(LOSS_TYPES, REWARDS):
        if (reward, loss) not in known:
            known[reward, loss] = measure(reward, loss)
            with records.open("a", encoding="utf-8") as file:
                file.write(json.dumps(known[reward, loss]) + "\n")
    print(
        "| reward | update | kappa | sample accuracy | held-out sample accuracy | mode accuracy | mode drift | tokens "
        "| signatures |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for loss, reward in product(LOSS_TYPES, REWARDS):
        print(row(known[reward, loss]))


if __name__ == "__main__":
    main()
