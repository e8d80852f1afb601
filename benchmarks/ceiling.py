"""The ceiling that a diagnosis predicts, beside what three rounds of self-rewarding reach; default run, several seeds.

Usage: python benchmarks/ceiling.py FOLDER [SEEDS]     (default 3 seeds; about 5 minutes each, 4 for the diagnosis)

By P5 exact rounds end in the modes of the base model, so the accuracy of its modes is where they end. The same prompts,
response length and budgets as `srlm run` has by default. Runs and the diagnosis are kept in FOLDER; what is there is
gone on with, not done again. Prints Markdown; the committed output is benchmarks/results/ceiling.md.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

from srlm.diagnosis.preflight import diagnose
from srlm.diagnosis.settings import DiagnosisSettings
from srlm.records.atomic import write_json
from srlm.training.start import start_run

ROUNDS = 3
STRATEGIES = ("sample", "greedy", "mode")


def diagnosed(file: Path) -> dict[str, Any]:
    """The diagnosis of the base model, measured where FOLDER has none."""
    if not file.is_file():
        write_json(file, diagnose(settings=DiagnosisSettings(spectra=False)).as_dict())
    return json.loads(file.read_text(encoding="utf-8"))


def main() -> None:
    folder = Path(sys.argv[1])
    seeds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    began = time.perf_counter()
    found = diagnosed(folder / "diagnosis.json")
    certified = sum(one["mode"]["certified"] for one in found["prompts"])
    wrong = [one for one in found["prompts"] if one["greedy_is_mode"] is False]
    print(f"Diagnosis: {certified} of {len(found['prompts'])} modes proved; greedy decoding misses {len(wrong)}.\n")
    print("| greedy decoding is proved wrong at | greedy | mode | loss (nats) |\n|---|---|---|---|")
    for one in wrong:
        loss = one["mode"]["logprob_lower"] - one["greedy"]["logprob"]
        cells = (said(one["prompt"]), said(one["greedy"]["text"]), said(one["mode"]["text"]), f"{loss:.2f}")
        print("| " + " | ".join(cells) + " |")
    print(f"\nVerdict: {found['verdict'][0]['verdict']}: {found['verdict'][0]['reason']}.\n")
    head = [f"{split} {what}" for split in ("trained", "held-out") for what in ("kappa", "failure", *STRATEGIES)]
    print(f"| seed | round | {' | '.join(head)} |\n|{'---|' * (len(head) + 2)}", flush=True)
    for seed in range(seeds):
        options = {"output_dir": str(folder / f"seed-{seed}"), "rounds": ROUNDS, "seed": seed}
        run = start_run(model="smollm2-135m", prompts="bundled", options=options, resume=True)
        for number in run.completed_rounds():
            metrics = run.round(number).metrics()
            cells = [cell for block in (metrics, metrics["held_out"]) for cell in row(block)]
            print(f"| {seed} | {number} | {' | '.join(cells)} |", flush=True)
        if run.record()["status"] != "done":
            print(f"\nseed {seed}: {run.record()['reason']}\n")
    print(f"\n{time.perf_counter() - began:.0f} s.")


def row(block: dict[str, Any]) -> list[str]:
    """kappa, failure rate and accuracies of one split."""
    brackets = [f"{block['kappa']['upper']:.2f}", f"{block['failure_rate']['upper']:.2f}"]
    return brackets + [f"{block['accuracy'][strategy]:.0%}" for strategy in STRATEGIES]


def said(value: Any) -> str:
    """A prompt or response as the cell of a Markdown table."""
    text = value if isinstance(value, str) else value[-1]["content"]
    return text.strip().replace("|", "\\|").replace("\n", " ") or "(empty)"


if __name__ == "__main__":
    main()
