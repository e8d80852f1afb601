"""Rounds that reward answers on the tiny reasoner: weighted likelihood, its controls, a hard vote, a policy gradient.

Usage: python benchmarks/answer_rounds.py METHOD... [--seeds 0 1 2]    METHOD: a name in METHODS, or "all"
       python benchmarks/answer_rounds.py                              the Markdown tables

Every run has the settings that come with the tiny reasoner (K = 16 draws, 256 trained and 128 held-out chains) and four
rounds; nothing stops it. One JSON file a run in benchmarks/results/answers/; what is there is not done again. The
forecast is the one that the run recorded at round 00, before its first update. The policy gradient is a clipped one
over whole responses with rewards of 1 for the majority's answer, normalised in each group, as TTRL and GRPO do.
"""

import argparse
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from srlm.records.atomic import write_text

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "benchmarks" / "results" / "answers"
ROUNDS = 4
METHODS: dict[str, tuple[str, int, dict[str, Any]]] = {
    "weighted": ("weights by share (the default)", 3, {}),
    "uniform": ("uniform weights (control)", 3, {"loss_type": "likelihood"}),
    "random": ("random rewards (control)", 3, {"rewards": ["random"]}),
    "leave_one_out": ("leave-one-out weights", 1, {"loss_type": "leave_one_out", "beta": 1.0}),
    "beta_1": ("weights by share, beta 1", 1, {"beta": 1.0}),
    "majority": ("hard vote", 1, {"loss_type": "majority"}),
    "gradient": ("policy gradient on the hard vote", 1, {"loss_type": "regression"}),
}
KEPT = ("kappa", "accuracy", "mode_drift", "fates", "intervals", "answers", "distinct", "entropy")


def hard_vote(prompts: Any, completions: Any, given_answers: Any, **_: Any) -> list[float]:
    """1 for the commonest answer of a prompt, 0 for others."""
    by_prompt: dict[str, list[str]] = {}
    for prompt, answer in zip(map(str, prompts), given_answers, strict=True):
        if answer is not None:
            by_prompt.setdefault(prompt, []).append(answer)
    leaders = {prompt: max(dict.fromkeys(some), key=some.count) for prompt, some in by_prompt.items()}
    pairs = zip(map(str, prompts), given_answers, strict=True)
    return [float(answer is not None and answer == leaders[prompt]) for prompt, answer in pairs]


def gradient_loss(batch: Any, beta: float) -> Any:
    """Clipped policy gradient over whole responses, advantages normalised in each group."""
    import torch

    count = torch.zeros(batch.count).index_add(0, batch.groups, torch.ones_like(batch.rewards))
    mean = torch.zeros(batch.count).index_add(0, batch.groups, batch.rewards) / count
    apart = batch.rewards - mean[batch.groups]
    spread = (torch.zeros(batch.count).index_add(0, batch.groups, apart**2) / count).sqrt()
    advantage = apart / (spread[batch.groups] + 1e-4)
    ratio = (batch.logps - batch.reference_logps).clamp(-20, 20).exp()
    return -torch.minimum(ratio * advantage, ratio.clamp(0.8, 1.2) * advantage).mean()


def run(name: str, seed: int, runs: Path) -> None:
    """One run, and its file."""
    from srlm.training.settings import Request
    from srlm.training.start import prepared
    from srlm.training.trainer import SelfRewardingTrainer

    title, _, options = METHODS[name]
    folder = runs / f"{name}-{seed}"
    told = {"rounds": ROUNDS, "seed": seed, "output_dir": str(folder), "on_signature": {"all": "note"}, **options}
    request = Request(model="tiny-reasoner", options=told, resume=True, device="cpu")
    config, prompts, loaded = prepared(request)
    trainer = SelfRewardingTrainer(loaded, config, prompts, hard_vote if name == "gradient" else None)
    if name == "gradient":
        trainer.parts = replace(trainer.parts, update=replace(trainer.parts.update, loss=gradient_loss))
    directory = trainer.train(resume_from_checkpoint=True)
    points = []
    for number in directory.completed_rounds():
        metrics = directory.round(number).metrics()
        point = {"retention": metrics.get("retention"), "seconds": metrics["seconds"], "beta": metrics.get("beta")}
        for split, part in (("train", metrics), ("held_out", metrics["held_out"])):
            point[split] = {field: part[field] for field in KEPT}
        points.append(point)
        if number == 0:
            point |= {field: metrics.get(field) for field in ("forecast", "forecast_held_out")}
    about = {"method": name, "title": title, "seed": seed, "choice": directory.record().get("choice"), "points": points}
    FOLDER.mkdir(exist_ok=True)
    write_text(FOLDER / f"{name}-{seed}.json", json.dumps(about, allow_nan=False, separators=(",", ":")) + "\n")
    shutil.rmtree(folder, ignore_errors=True)


def tables() -> str:
    """What is in the folder."""
    found: dict[str, list[dict[str, Any]]] = {}
    for name in METHODS:
        if some := [json.loads(file.read_text()) for file in sorted(FOLDER.glob(f"{name}-[0-9].json"))]:
            found[name] = some
    lines = ["Right single draws on held-out questions, by round; 95 % intervals over prompts at the last.", ""]
    lines += [f"| update | seed | {' | '.join(f'{n:02d}' for n in range(ROUNDS + 1))} | last, interval | ceiling | least "
              "against 00 | kept |",
              "|---" * (ROUNDS + 6) + "|"]  # fmt: skip
    for name, some in found.items():
        for one in some:
            held = [point["held_out"] for point in one["points"]]
            right = [part["accuracy"]["sample"] for part in held]
            band, ceiling = held[-1]["intervals"]["sample_accuracy"], held[0]["accuracy"]["mode"]
            cells = [f"{value:.3f}" for value in right]
            least = min(right) - right[0]
            lines.append(
                f"| {METHODS[name][0]} | {one['seed']} | {' | '.join(cells)} | {band['lower']:.2f} to "
                f"{band['upper']:.2f} | {ceiling:.3f} | {least:+.3f} | {(one['choice'] or {}).get('round')} |"
            )
    lines += ["", "At the last round: estimates of kappa_A, trained / held out; KL to the base model on its own "
              "held-out samples (nats a response); entropy of a response within its answer (nats) at rounds 00 and last; "
              "majorities moved since round 00; held-out majorities kept, learned, corrupted, still wrong.", "",
              "| update | seed | beta | kappa_A | KL to base | entropy within | distinct draws | moved | fates |",
              "|---" * 9 + "|"]  # fmt: skip
    for name, some in found.items():
        for one in some:
            first, last = one["points"][0], one["points"][-1]
            kappa = " / ".join(f"{last[split]['answers']['kappa_estimate']:.2f}" for split in ("train", "held_out"))
            within = " to ".join(f"{point['held_out']['answers']['entropy_within']:.2f}" for point in (first, last))
            moved = " / ".join(f"{last[split]['mode_drift']:.2f}" for split in ("train", "held_out"))
            fates = ", ".join(str(value) for value in last["held_out"]["fates"]["majority"].values())
            apart = f"{last['retention']['kl_base']:.2f}"
            shown = f"{last['beta']:.3g}" if name != "gradient" else "–"
            lines.append(
                f"| {METHODS[name][0]} | {one['seed']} | {shown} | {kappa} | {apart} | {within} | "
                f"{last['held_out']['distinct']:.2f} | {moved} | {fates} |"
            )
    lines += ["", "The forecast of right single draws made at round 00 (95 % bootstrap), and what was reached.", "",
              "| seed | questions | round | forecast | reached | within |", "|---" * 6 + "|"]  # fmt: skip
    for one in found.get("weighted", []):
        for field, split in (("forecast", "train"), ("forecast_held_out", "held_out")):
            for number in range(1, len(one["points"])):
                told = one["points"][0][field][number]
                low, high = (told["sample_accuracy"][end] for end in ("lower", "upper"))
                reached = one["points"][number][split]["accuracy"]["sample"]
                within = "yes" if low <= reached <= high else f"no, by {max(low - reached, reached - high):.3f}"
                lines.append(
                    f"| {one['seed']} | {split.replace('_', ' ')} | {number:02d} | "
                    f"{told['sample_accuracy_point']:.3f} [{low:.3f}, {high:.3f}] | {reached:.3f} | {within} |"
                )
    some = [sum(point["seconds"].values()) for runs in found.values() for one in runs for point in one["points"][1:]]
    if some:
        lines += ["", f"A round took {np.median(some):.0f} s (median; {min(some):.0f} to {max(some):.0f}), on a machine "
                  "shared with other work."]  # fmt: skip
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description="Rounds that reward answers; see the head of this file.")
    parser.add_argument("methods", nargs="*", metavar="METHOD", help=f"all, {', '.join(METHODS)}")
    parser.add_argument("--seeds", nargs="+", type=int, help="default: those of the method")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "answers", help="folders of runs")
    asked = parser.parse_args()
    for name in METHODS if asked.methods == ["all"] else asked.methods:
        for seed in asked.seeds if asked.seeds is not None else range(METHODS[name][1]):
            if not (FOLDER / f"{name}-{seed}.json").is_file():
                run(name, seed, asked.runs)
    if not asked.methods:
        print(tables())


if __name__ == "__main__":
    main()
