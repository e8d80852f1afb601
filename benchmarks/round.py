"""Where a round's time goes, tokens a second, and the share of the machine's matrix-product peak that training reaches.

Usage: python benchmarks/round.py [PROMPTS] [--scaling]     (72 bundled prompts, K = 4, L = 12, LoRA r = 16, 2 rounds)

With --scaling also how a round's cost grows with prompts and responses. Prints Markdown tables; the committed ones are
benchmarks/results/round.md.
"""

import platform
import resource
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from srlm.lm.loading import load_model
from srlm.lm.scoring import PackedTree
from srlm.records.progress import Observer
from srlm.tasks.prompts import load_prompts
from srlm.training.config import SelfRewardingConfig
from srlm.training.trainer import SelfRewardingTrainer


def matrix_peak() -> float:
    """Best float32 matrix-product rate of this machine (FLOP/s): 2048^3 products, the fastest of ten."""
    a, b = torch.randn(2048, 2048), torch.randn(2048, 2048)
    best = 0.0
    for _ in range(10):
        began = time.perf_counter()
        a @ b
        best = max(best, 2 * 2048**3 / (time.perf_counter() - began))
    return best


class Counting(SelfRewardingTrainer):
    """Counts the matrix-product operations of the updates: what the packed trees really hold."""

    operations = 0.0

    def compute_loss(self, model: Any, inputs: dict[str, Any], **rest: Any) -> Any:
        trees: list[PackedTree] = inputs["sequences"]
        config = self.loaded.model.config
        head = config.vocab_size * config.hidden_size
        outside = ("embed", "lm_head")
        matrices = [(n, p) for n, p in model.named_parameters() if p.ndim == 2]
        body = sum(p.numel() for n, p in matrices if not any(o in n for o in outside))
        adapter = sum(p.numel() for p in model.parameters() if p.requires_grad)
        nodes = sum(one.input_ids.numel() for one in trees)
        scored = sum(len(one.parents.unique()) for one in trees)
        # 2 operations a weight and token forward, as many backward for activations, once more for adapter weights.
        self.operations += nodes * (4 * body + 2 * adapter) + scored * 4 * head
        return super().compute_loss(model, inputs, **rest)


class Clock(Observer):
    """Seconds of every stage of every round."""

    def __init__(self) -> None:
        self.spent: dict[tuple[int, str], float] = defaultdict(float)
        self._open: tuple[int, str] | None = None
        self._began = 0.0

    def stage(self, round_number: int, name: str, total: int) -> None:
        self.close()
        self._open, self._began = (round_number, name), time.perf_counter()

    def round_done(self, directory: Any, record: Any) -> None:
        self.close()

    def close(self) -> None:
        if self._open is not None:
            self.spent[self._open] += time.perf_counter() - self._began
            self._open = None


def spent(prompts: int, responses: int) -> dict[str, float]:
    """Seconds of each stage of round 01, its certification of the policy it made included, and of the whole round."""
    with tempfile.TemporaryDirectory() as folder:
        config = SelfRewardingConfig(output_dir=str(Path(folder) / "run"), rounds=1, num_generations=responses)
        clock = Clock()
        SelfRewardingTrainer(load_model(), config, load_prompts(limit=prompts)).train(observer=clock)
        clock.close()
    stages = {stage: clock.spent[1, stage] for stage in ("sample", "certify", "train")}
    return stages | {"round": sum(stages.values())}


def scaling() -> None:
    """Cost of a round against prompts and responses, with fitted exponents."""
    print("\n| growing | values | sample s | certify s | train s | round s | exponent of the round |")
    print("|---|---|---|---|---|---|---|")
    for name, points in (
        ("prompts, K = 4", [(number, 4) for number in (18, 36, 72)]),
        ("responses, 24 prompts", [(24, number) for number in (2, 4, 8, 16)]),
    ):
        found = [spent(*point) for point in points]
        values = [max(point) if name.startswith("prompts") else point[1] for point in points]
        slope = np.polyfit(np.log(values), np.log([one["round"] for one in found]), 1)[0]
        cells = [", ".join(f"{one[stage]:.1f}" for one in found) for stage in ("sample", "certify", "train", "round")]
        print(f"| {name} | {', '.join(map(str, values))} | {' | '.join(cells)} | {slope:.2f} |", flush=True)


def main() -> None:
    limit = int(sys.argv[1]) if sys.argv[1:2] and sys.argv[1].isdigit() else 72
    peak = matrix_peak()
    with tempfile.TemporaryDirectory() as folder:
        config = SelfRewardingConfig(output_dir=str(Path(folder) / "run"), rounds=2)
        trainer = Counting(load_model(), config, load_prompts(limit=limit))
        clock = Clock()
        directory = trainer.train(observer=clock)
        clock.close()
        rounds = [directory.round(number).metrics() for number in directory.completed_rounds()]
    print(
        f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}\n"
    )
    print("| round | sample s | certify s | train s | save s | sampled tokens/s | expansions/s | trained tokens/s |")
    print("|---|---|---|---|---|---|---|---|")
    for number, metrics in enumerate(rounds):
        seconds = [clock.spent[number, stage] for stage in ("sample", "certify", "train", "save")]
        blocks = [block for block in (metrics, metrics["held_out"]) if block]
        rates = (
            metrics["tokens"]["sampled"] / seconds[0],
            sum(block["expansions"] for block in blocks) / seconds[1],
            metrics["tokens"]["trained"] * config.num_train_epochs / seconds[2] if seconds[2] else 0.0,
        )
        print(
            " | ".join([f"| {number:02d}", *(f"{s:.1f}" for s in seconds), *(f"{rate:.0f}" for rate in rates)]) + " |"
        )
    training = sum(one for (_, stage), one in clock.spent.items() if stage == "train")
    reached = trainer.operations / training
    print(f"\nmatrix-product peak {peak / 1e9:.0f} GFLOP/s; training reaches {reached / 1e9:.0f}, {reached / peak:.0%}")
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB")
    if "--scaling" in sys.argv:
        scaling()


if __name__ == "__main__":
    main()
