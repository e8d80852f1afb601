"""The order of a self-rewarding run: sample, certify, record, update, T times, resumable at any instant.

Knows: the stages of a round and what each leaves on disk. Folder NN describes policy NN: its checkpoint, samples drawn from
it, its certified modes, its metrics. Round 00 is the untouched base model; policy NN+1 is trained on the samples of folder
NN. A stage that is complete on disk is never run again, one that is not is run anew from what lies before it, and since
every stage is a function of the configuration, the seed and the files before it, a killed run ends as an undisturbed one.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from srlm.lm.grading import decode
from srlm.lm.mode_search import KnownResponse, ModeBracket, search_modes
from srlm.lm.sampling import Response, draw_uniforms, sample_responses
from srlm.records.run_directory import RoundDirectory, RunDirectory
from srlm.training.measurement import Measured, summarise
from srlm.training.policy import export_model, restore_policy, save_policy

if TYPE_CHECKING:
    from srlm.training.trainer import SelfRewardingTrainer, TrainingGroup


class Observer:
    """Is told what a run is doing; this one does nothing. The command line draws progress, tests count."""

    def stage(self, round_number: int, name: str, total: int) -> None:
        """A stage ("sample", "certify", "train", "save") of a round begins; `total` steps lie before it."""

    def advance(self, done: int, total: int) -> None:
        """`done` of `total` steps of the stage are done."""

    def round_done(self, directory: RunDirectory, round_number: int, metrics: dict[str, Any]) -> None:
        """The round's metrics are on disk."""


def run_rounds(trainer: "SelfRewardingTrainer", directory: RunDirectory, observer: Observer) -> None:
    """Bring the run in `directory` to its last round, doing only what is not on disk yet.

    Args:
        trainer: the policy, its prompts and its configuration.
        directory: the run's folder, created or opened by the caller.
        observer: is told about every stage.
    """
    _Run(trainer, directory, observer).go()


@dataclass(slots=True)
class _Run:
    trainer: "SelfRewardingTrainer"
    directory: RunDirectory
    observer: Observer
    # Round whose policy the model in memory is; None until a checkpoint was restored or made.
    current: int | None = None
    seconds: dict[str, float] = field(default_factory=dict)

    def go(self) -> None:
        rounds = self.trainer.args.rounds
        for number in range(rounds + 1):
            folder = self.directory.round(number)
            if folder.is_complete("metrics"):
                continue
            self.seconds = {"sample": 0.0, "certify": 0.0, "train": 0.0}
            outcome = self._reach_policy(number)
            samples = self._samples(number)
            brackets = self._modes(number, samples)
            metrics = self._metrics(number, samples, brackets, outcome)
            folder.write_metrics(metrics)
            self.observer.round_done(self.directory, number, metrics)
        self._export()

    def _reach_policy(self, number: int) -> "_Training | None":
        """Put policy `number` into the model: restored from its checkpoint, or trained from the round before."""
        folder = self.directory.round(number)
        model = self.trainer.policy
        outcome = None
        if number > 0 and not folder.is_complete("checkpoint"):
            self._restore(number - 1)
            outcome = self._train(number)
        if not folder.is_complete("checkpoint"):
            self.observer.stage(number, "save", 1)
            with folder.writing_checkpoint(outcome.as_record() if outcome else {}) as target:
                save_policy(model, target)
            self.current = number
        self._restore(number)
        return outcome or _Training.from_record(folder.checkpoint_record())

    def _restore(self, number: int) -> None:
        if self.current != number:
            restore_policy(self.trainer.policy, self.directory.round(number).checkpoint())
            self.current = number

    def _train(self, number: int) -> "_Training":
        from srlm.training.trainer import TrainingGroup

        began = time.perf_counter()
        rows = self._read_samples(number - 1)
        groups = [
            TrainingGroup(
                tuple(self.trainer.encoded[at]),
                tuple(response.tokens for response in responses),
                tuple(response.logprob for response in responses),
                tuple(response.logprob for response in responses),
            )
            for at, responses in enumerate(rows)
            if self.trainer.prompts[at].split == "train"
        ]
        self.current = None  # the model is between two policies until the update is through
        loss = self.trainer.update(groups, lambda done, total: self.observer.advance(done, total), number)
        tokens = sum(len(tokens) for group in groups for tokens in group.responses)
        return _Training(loss, tokens, time.perf_counter() - began)
