"""What a run will cost, from a calibration of at most about two minutes on the model and prompts it is meant for.

Knows: the stages of a round. Each is tried on more and more prompts until the pieces are as large as the run's own
(then the peak memory is the run's, too) or its share of the time is spent; the rest is proportion. Nothing is
written, and the model is left as it was. Refuses to know: how a stage works.
"""

import copy
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch

from srlm.engines.engine import PolicyVersion
from srlm.lm.loading import LoadedModel
from srlm.records.responses import ModeBracket, Rollout
from srlm.records.text import duration
from srlm.tasks.prompts import Prompt
from srlm.training.config import SelfRewardingConfig
from srlm.training.trainer import SelfRewardingTrainer

# Seconds after which a stage is not tried on more prompts; three stages, and each may overshoot by one doubling.
_STAGE_SECONDS = 20.0
_PROMPTS_CERTIFIED = 8


@dataclass(frozen=True, slots=True)
class RunEstimate:
    """What a run is expected to cost. Later rounds are cheaper than the first, so the times are upper ends.

    Attributes:
        rounds: T.
        train_prompts, held_out_prompts: how many there are.
        responses_per_round: sampled in each of T + 1 rounds.
        pairs_per_round: n of the theory.
        beta: the effective KL strength; an exact round is the policy to the power 1 + 1/beta.
        steps_per_round: optimiser steps.
        trainable_parameters, parameters: of the model with its adapter.
        seconds_per_round: by stage (sample, certify, train).
        seconds: of the whole run.
        peak_memory_bytes: of the process (or the accelerator) at the calibration's largest pieces.
        memory_is_measured: whether those were as large as the run's; otherwise the peak is a lower end.
        disk_bytes: of the run's folder.
        calibration_seconds: how long this took.
    """

    rounds: int
    train_prompts: int
    held_out_prompts: int
    responses_per_round: int
    pairs_per_round: int
    beta: float
    steps_per_round: int
    trainable_parameters: int
    parameters: int
    seconds_per_round: dict[str, float]
    seconds: float
    peak_memory_bytes: int
    memory_is_measured: bool
    disk_bytes: int
    calibration_seconds: float

    def as_json(self) -> dict[str, Any]:
        """The estimate as `srlm run --dry-run --json` prints it."""
        return asdict(self)

    def lines(self) -> list[str]:
        """The estimate as a person reads it."""
        prompts = self.train_prompts + self.held_out_prompts
        stages = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in self.seconds_per_round.items())
        least = "about" if self.memory_is_measured else "at least"
        return [
            f"{self.rounds} rounds of {self.steps_per_round} optimiser steps on {self.train_prompts} prompts "
            f"({self.held_out_prompts} held out); {self.trainable_parameters:,} of {self.parameters:,} parameters "
            "trained",
            f"every round: {self.responses_per_round} responses to {prompts} prompts, {self.pairs_per_round} pairs, "
            f"beta {self.beta:g} (an exact round is the policy to the power {1 + 1 / self.beta:g})",
            f"time: at most about {duration(self.seconds)} (a round: {stages}; later rounds are cheaper)",
            f"memory: {least} {self.peak_memory_bytes / 1e9:.1f} GB; disk: about {self.disk_bytes / 1e9:.2f} GB",
            f"(calibrated in {self.calibration_seconds:.0f} s; nothing was written)",
        ]


def estimate_run(loaded: LoadedModel, config: SelfRewardingConfig, prompts: Sequence[Prompt]) -> RunEstimate:
    """Calibrate the stages of a round and extrapolate.

    Args:
        loaded: the model; it is used up (an adapter is put on it).
        config: the run.
        prompts: its prompts.

    Raises:
        InputError: what the run itself would refuse.
    """
    trial = copy.copy(config)
    with tempfile.TemporaryDirectory() as trial.output_dir:  # a `Trainer` makes its folder when it is made
        return _estimate(loaded, trial, prompts)


def _estimate(loaded: LoadedModel, config: SelfRewardingConfig, prompts: Sequence[Prompt]) -> RunEstimate:
    began = time.perf_counter()
    _reset_peak()
    trainer = SelfRewardingTrainer(loaded, config, list(prompts))
    trainer.check_servers(adapters=False)
    work, base = trainer.work(), PolicyVersion(0)
    trained = [one for one in work.encoded if work.prompts[one.number].split == "train"]
    # Trained prompts first: training is calibrated on the samples.
    order = trained + [one for one in work.encoded if work.prompts[one.number].split != "train"]
    rollouts: list[Rollout] = []
    modes: list[ModeBracket] = []

    def sample(count: int) -> None:
        rollouts[:] = work.engine.at(base).draw(order[:count], work.ask(0))

    def certify(count: int) -> None:
        modes[:] = work.certifier.certify(base, order[:count], rollouts[:count])

    beta = work.beta or 1.0  # one that is chosen from what is drawn costs the same

    def step(count: int) -> None:
        """One optimiser step on so many prompts, by the trainer's own update."""
        some = [modes[at % len(modes)] for at in range(count)]  # their cost is all that matters here
        known = [work.update.responses(*pair) for pair in zip(rollouts[:count], some, strict=True)]
        trainer.fit(work.groups(known, some, [one.logprobs for one in known], trainer.reward_context(), beta), beta)

    whole_pass = min(len(order), max(1, config.rows_per_pass // config.num_generations))
    sampled, per_sampled = _grow(sample, whole_pass)
    _, per_certified = _grow(certify, min(len(rollouts), _PROMPTS_CERTIFIED))
    batch = min(config.per_device_train_batch_size, len(trained))
    steps = trainer.steps_per_update(len(trained))
    trainer.args = copy.copy(trainer.args)
    trainer.args.num_train_epochs = 1.0
    trainer.args.logging_strategy = "no"  # pyright: ignore[reportAttributeAccessIssue]
    stepped, per_trained = _grow(step, min(batch, len(rollouts)))
    per_round = {
        "sample": per_sampled * len(order),
        "certify": per_certified * len(order),
        "train": per_trained * len(trained) * config.num_train_epochs,
    }
    parameters = list(trainer.policy.parameters())
    trainable = sum(value.numel() for value in parameters if value.requires_grad)
    checkpoint = sum(value.numel() * value.element_size() for value in parameters if value.requires_grad)
    exported = sum(value.numel() * value.element_size() for value in loaded.model.parameters())
    return RunEstimate(
        rounds=config.rounds,
        train_prompts=len(trained),
        held_out_prompts=len(order) - len(trained),
        responses_per_round=len(order) * config.num_generations,
        pairs_per_round=len(trained) * config.num_generations * (config.num_generations - 1) // 2,
        beta=beta,
        steps_per_round=steps,
        trainable_parameters=trainable,
        parameters=sum(value.numel() for value in parameters),
        seconds_per_round=per_round,
        seconds=sum(per_round.values()) * config.rounds + per_round["sample"] + per_round["certify"],
        peak_memory_bytes=_peak(),
        memory_is_measured=sampled == whole_pass and stepped == batch,
        disk_bytes=checkpoint * (config.rounds + 1) + exported,
        calibration_seconds=time.perf_counter() - began,
    )


def _grow(work: Callable[[int], None], most: int) -> tuple[int, float]:
    """(largest count tried, seconds for each of them), doubling from 1 while time lasts."""
    began, count, per_prompt = time.perf_counter(), 0, 0.0
    while count < most and (count == 0 or time.perf_counter() - began < _STAGE_SECONDS):
        count = min(most, max(1, 2 * count))
        started = time.perf_counter()
        work(count)
        per_prompt = (time.perf_counter() - started) / count
    return count, per_prompt


def _reset_peak() -> None:
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()


def _peak() -> int:
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    # Kilobytes everywhere but on macOS.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
