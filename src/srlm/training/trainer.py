"""`SelfRewardingTrainer`: a `transformers.Trainer` whose `train()` runs T self-rewarding rounds.

Knows: `Trainer`'s hooks. The losses are in `losses/`, the packing of responses in `lm/scoring.py`, the order of a
round in `rounds.py`; this class only connects them.
"""

import math
import platform
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import Dataset
from transformers import PreTrainedModel, PrinterCallback, Trainer, TrainerCallback

from srlm.errors import InputError
from srlm.lm.loading import LoadedModel, as_loaded
from srlm.lm.prompts import as_prompts, checksum_of, encode_prompts
from srlm.lm.sampling import Response
from srlm.lm.scoring import has_tree_attention, pack, pad, response_logprobs
from srlm.records.run_directory import RUN_FILE, RunDirectory
from srlm.training.config import EXTENDABLE, SelfRewardingConfig
from srlm.training.losses import LOSSES, GroupedBatch
from srlm.training.policy import make_trainable
from srlm.training.rounds import Observer, Rounds
from srlm.training.scoring_rewards import reward_mixture


@dataclass(frozen=True, slots=True)
class TrainingGroup:
    """One prompt with its K responses, all that an update needs to know about them.

    Attributes:
        prompt: token ids.
        responses: token ids of each response.
        reference_logps: log pi_t(y|x) recorded while sampling (nats).
        rewards: r(x, y) of each response.
    """

    prompt: tuple[int, ...]
    responses: tuple[tuple[int, ...], ...]
    reference_logps: tuple[float, ...]
    rewards: tuple[float, ...]


class GroupDataset(Dataset[TrainingGroup]):
    """The groups of one round, in a fixed order (the trainer's sampler shuffles them)."""

    def __init__(self, groups: Sequence[TrainingGroup]) -> None:
        self._groups = list(groups)

    def __len__(self) -> int:
        return len(self._groups)

    def __getitem__(self, index: int) -> TrainingGroup:
        return self._groups[index]


@dataclass(frozen=True, slots=True)
class Collator:
    """Makes one batch of groups: their sequences (packed where the model has tree attention), references and
    rewards.
    """

    tree_attention: bool

    def __call__(self, groups: Sequence[TrainingGroup]) -> dict[str, Any]:
        sequences = [(group.prompt, group.responses) for group in groups]
        return {
            "sequences": pack(sequences) if self.tree_attention else pad(sequences),
            "reference_logps": torch.tensor([value for group in groups for value in group.reference_logps]),
            "rewards": torch.tensor([value for group in groups for value in group.rewards]),
            "groups": torch.tensor([at for at, group in enumerate(groups) for _ in group.responses]),
        }


class _StepProgress(TrainerCallback):
    """Passes on how far an update has come."""

    call: Callable[[int, int], None] | None = None

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self.call is not None:
            self.call(state.global_step, state.max_steps)


class SelfRewardingTrainer(Trainer):
    """Trains a causal language model on its own judgement, one certified round after the other.

    Args:
        model: a `LoadedModel`, or a causal model (give `processing_class`), or a name for `load_model`.
        args: the configuration.
        train_dataset: prompts: `Prompt`s, or records (dicts or a `datasets.Dataset`) with a `prompt` column.
        reward_funcs: a name in `REWARDS`, a function with trl's reward signature, or a list of them, weighted by
            `args.reward_weights`; default `args.rewards`, the log-probability. The reference term is always the
            recorded sampling log-probability, so no second model is needed.
        processing_class: the tokenizer, where `model` is a bare model.
        peft_config: an adapter other than the one that `args` describes.
        callbacks: as in `transformers.Trainer`.

    Raises:
        InputError: prompts, model, or configuration that cannot be used.
    """

    args: SelfRewardingConfig  # pyright: ignore[reportIncompatibleVariableOverride]

    def __init__(
        self,
        model: LoadedModel | PreTrainedModel | str,
        args: SelfRewardingConfig | None = None,
        train_dataset: Sequence[Any] | None = None,
        reward_funcs: Any = None,
        processing_class: Any = None,
        peft_config: Any = None,
        callbacks: list[TrainerCallback] | None = None,
    ) -> None:
        args = args or SelfRewardingConfig()
        self.loaded = as_loaded(model, processing_class)
        self.prompts = as_prompts(train_dataset)
        self.encoded = encode_prompts(
            self.prompts, self.loaded, max_new_tokens=args.max_completion_length, raw=args.raw_prompts
        )
        self.reward = reward_mixture(reward_funcs if reward_funcs is not None else args.rewards, args.reward_weights)
        self._step_progress = _StepProgress()
        self.tree_attention = has_tree_attention(self.loaded.model)
        super().__init__(
            model=make_trainable(self.loaded.model, args, peft_config),
            args=args,
            data_collator=Collator(self.tree_attention),
            processing_class=self.loaded.tokenizer,
            callbacks=[*(callbacks or []), self._step_progress],
        )
        # What the steps log goes to trackers and to the round's record; printing it would break the progress display.
        self.remove_callback(PrinterCallback)

    @property
    def policy(self) -> Any:
        """The model being trained, outside any wrapper that accelerate put around it."""
        return self.accelerator.unwrap_model(self.model)

    def text(self, tokens: Sequence[int]) -> str:
        """A response as a person reads it: decoded, without special tokens."""
        return str(self.loaded.tokenizer.decode(list(tokens), skip_special_tokens=True))

    def train(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, resume_from_checkpoint: bool = False, observer: Observer | None = None
    ) -> RunDirectory:
        """Run the rounds that `args` asks for, and return the run's folder.

        Args:
            resume_from_checkpoint: go on with the run in `args.output_dir`; what it finished is not done again.
            observer: is told what is happening.

        Raises:
            InputError: the folder holds another run, or this run with another configuration.
        """
        directory = self._directory(resume_from_checkpoint)
        try:
            Rounds(self, directory, observer or Observer()).finish()
        except BaseException as error:
            stopped = isinstance(error, KeyboardInterrupt)
            why = "interrupted by the user" if stopped else f"{type(error).__name__}: {error}"
            with suppress(OSError):  # on a full disk the record stays "running"; resuming treats both alike
                directory.update(status="stopped" if stopped else "failed", reason=why)
            raise
        return directory

    def groups(self, samples: Sequence[Sequence[Response]]) -> list[TrainingGroup]:
        """What an update sees of a round's samples: the trained prompts with their rewards, and the recorded
        log-probability as reference (P1). A response that no reward applies to is left out.
        """
        used = [at for at, prompt in enumerate(self.prompts) if prompt.split == "train"]
        chosen = [samples[at] for at in used]
        texts = [[self.text(response.tokens) for response in responses] for responses in chosen]
        found = self.reward([self.prompts[at] for at in used], chosen, texts)
        groups = []
        for at, responses, rewards in zip(used, chosen, found, strict=True):
            kept = [(r, reward) for r, reward in zip(responses, rewards, strict=True) if reward is not None]
            if len(kept) > 1:
                groups.append(
                    TrainingGroup(
                        prompt=tuple(self.encoded[at]),
                        responses=tuple(response.tokens for response, _ in kept),
                        reference_logps=tuple(response.logprob for response, _ in kept),
                        rewards=tuple(reward for _, reward in kept),
                    )
                )
        if not groups:
            raise InputError(f"no reward of {', '.join(self.reward.names)} applies to two responses of one prompt")
        return groups

    def steps_per_update(self, groups: int) -> int:
        """Optimiser steps of one update on so many groups."""
        per_step = self.args.train_batch_size * self.args.world_size * self.args.gradient_accumulation_steps
        return max(1, math.ceil(math.ceil(groups / per_step) * self.args.num_train_epochs))

    def update(self, groups: Sequence[TrainingGroup], progress: Callable[[int, int], None] | None = None) -> float:
        """One round's update on its groups, with a fresh optimiser and schedule; returns the mean loss of its steps.

        Args:
            groups: the prompts and responses of the round.
            progress: called with (steps done, steps in all).
        """
        self.train_dataset = GroupDataset(groups)
        self.optimizer = self.lr_scheduler = None
        self._step_progress.call = progress
        return float(super().train().training_loss)

    def _directory(self, resume: bool) -> RunDirectory:
        path = Path(self.args.output_dir or "runs/srlm")
        configuration = self.args.recorded() | {
            "rewards": list(self.reward.names),
            "model": self.loaded.name,
            "model_checksum": self.loaded.checksum,
            "prompts_checksum": checksum_of(self.prompts, self.encoded),
        }
        if resume and (path / RUN_FILE).is_file():
            directory = RunDirectory.open(path)
            directory.require_same(configuration, may_differ=EXTENDABLE)
            directory.update(status="running", reason=None, configuration=configuration)
            return directory
        counts = Counter(prompt.split for prompt in self.prompts)
        about = {
            "seed": self.args.seed,
            "prompts": {"train": counts["train"], "held_out": counts["held_out"]},
            "versions": {name: version(name) for name in ("srlm", "torch", "transformers", "peft", "numpy")}
            | {"python": platform.python_version()},
        }
        return RunDirectory.create(path, configuration, about)

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """The update's loss on one batch made by `Collator`."""
        logps = response_logprobs(model, inputs["sequences"])
        batch = GroupedBatch(
            logps, inputs["reference_logps"], inputs["rewards"], inputs["groups"], int(inputs["groups"].max()) + 1
        )
        loss = LOSSES[self.args.loss_type](batch, self.args.beta)
        return (loss, {"logps": logps}) if return_outputs else loss
