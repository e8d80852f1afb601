"""`SelfRewardingTrainer`: a `transformers.Trainer` whose `train()` runs T self-rewarding rounds.

Knows: `Trainer`'s hooks. The losses are in `losses/`, groups and batches in `groups.py`, the order of a round in
`rounds.py`, what ends an update early in `early_stopping.py`; this class only connects them.
"""

import math
import platform
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel, PrinterCallback, Trainer, TrainerCallback

from srlm.errors import InputError
from srlm.lm.loading import LoadedModel, as_loaded
from srlm.lm.prompts import Split, as_prompts, checksum_of, encode_prompts
from srlm.lm.sampling import Response
from srlm.lm.scoring import Group, has_plain_head, has_tree_attention, response_logprobs, score_responses
from srlm.records.run_directory import RUN_FILE, RunDirectory
from srlm.training.certificate import pair_residuals, rms
from srlm.training.config import SelfRewardingConfig
from srlm.training.control import checked_actions
from srlm.training.early_stopping import PassEnd
from srlm.training.groups import Collator, GroupDataset, TrainingGroup
from srlm.training.losses import LOSSES, GroupedBatch, best_of_k_loss
from srlm.training.memory import is_out_of_memory, what_to_lower
from srlm.training.policy import make_trainable
from srlm.training.processes import Processes, is_lost_process
from srlm.training.rewards import PolicyView
from srlm.training.rounds import Observer, Rounds
from srlm.training.schedules import BETA_SCHEDULES
from srlm.training.scoring_rewards import RewardContext, reward_mixture
from srlm.training.sharding import gather, require_supported, scatter
from srlm.training.trackers import tracked


@dataclass(frozen=True, slots=True)
class Update:
    """What one round's update did.

    Attributes:
        loss: mean loss of its steps; NaN where it diverged.
        passes: passes over the responses that were taken.
        steps: optimiser steps that were taken.
        residuals: root-mean-square residual of the held-out pairs after each pass (nats), with early stopping.
        stopped_early: whether early stopping ended it; the best pass's weights are then in place.
    """

    loss: float
    passes: float
    steps: int
    residuals: tuple[float, ...]
    stopped_early: bool

    def as_json(self) -> dict[str, Any]:
        """The update as it stands in `metrics.json`."""
        return {
            "passes": self.passes,
            "steps": self.steps,
            "held_out_residuals": [value if math.isfinite(value) else None for value in self.residuals],
            "stopped_early": self.stopped_early,
        }


class _Forward:
    """The wrapped model's forward pass (gradients are reduced there) with the policy's own attributes (a wrapper hides
    them).
    """

    def __init__(self, wrapped: Any, policy: Any) -> None:
        self._wrapped, self._policy = wrapped, policy

    def __call__(self, **inputs: Any) -> Any:
        return self._wrapped(**inputs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._policy, name)


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
        gather(self.loaded.model)
        self.prompts = as_prompts(train_dataset)
        self.encoded = encode_prompts(
            self.prompts, self.loaded, max_new_tokens=args.max_completion_length, raw=args.raw_prompts
        )
        self.reward = reward_mixture(reward_funcs if reward_funcs is not None else args.rewards, args.reward_weights)
        if args.early_stopping_patience and not any(prompt.split == "held_out" for prompt in self.prompts):
            raise InputError(
                "early_stopping_patience needs held-out prompts; mark some with split held_out, or set it to 0"
            )
        self.actions = checked_actions(args.on_signature)
        trained = sum(prompt.split == "train" for prompt in self.prompts)
        pairs = trained * args.num_generations * (args.num_generations - 1) // 2
        self.beta = BETA_SCHEDULES[args.beta_schedule](args.beta, pairs)
        self._pass_end = PassEnd()
        self._steps_before = 0
        self.tree_attention = has_tree_attention(self.loaded.model)
        super().__init__(
            model=make_trainable(self.loaded.model, args, peft_config),
            args=args,
            data_collator=Collator(self.tree_attention),
            processing_class=self.loaded.tokenizer,
            callbacks=[*(callbacks or []), self._pass_end],
        )
        require_supported(self.accelerator)
        self.plain_head = self.tree_attention and has_plain_head(self.policy)
        self.processes = Processes(args.process_index, args.world_size)
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
            InputError: the folder holds another run, or this run with another configuration; or memory ran out.
        """
        directory = self.processes.on_main(lambda: self._directory(resume_from_checkpoint))
        rounds = Rounds(self, directory, observer if observer is not None and self.processes.main else Observer())
        try:
            rounds.finish()
        except BaseException as error:
            stopped = isinstance(error, KeyboardInterrupt)
            why = "interrupted by the user" if stopped else f"{type(error).__name__}: {error}"
            with suppress(OSError):  # on a full disk the record stays "running"; resuming treats both alike
                if self.processes.main:
                    directory.update(status="stopped" if stopped else "failed", reason=why)
            if is_out_of_memory(error):
                raise InputError(what_to_lower(rounds.stage, rounds.number, self.args)) from error
            if self.processes.count > 1 and is_lost_process(error):
                raise InputError(
                    f"another process of this run ended in round {rounds.number} ({rounds.stage}); what it said last "
                    "tells why; go on with --resume: what was finished is kept"
                ) from error
            raise
        return directory

    def groups(
        self,
        samples: Sequence[Sequence[Response]],
        split: Split = "train",
        context: RewardContext | None = None,
        reference: Sequence[Sequence[float]] | None = None,
    ) -> list[TrainingGroup]:
        """What an update sees of a round's samples: one split's prompts with their rewards, and the recorded
        log-probability as reference (P1). A response that no reward applies to is left out.

        Args:
            samples: the responses of every prompt, drawn from the policy as it is now.
            split: whose prompts.
            context: collects what reward functions log.
            reference: log-probabilities of the samples (nats) to take as reference in place of the recorded ones.
        """
        used = [at for at, prompt in enumerate(self.prompts) if prompt.split == split]
        chosen = [samples[at] for at in used]
        texts = [[self.text(response.tokens) for response in responses] for responses in chosen]
        found = self.reward([self.prompts[at] for at in used], chosen, texts, context or self.reward_context())
        groups = []
        for at, responses, rewards in zip(used, chosen, found, strict=True):
            near = [r.logprob for r in responses] if reference is None else reference[at]
            kept = [
                (r, ref, reward) for r, ref, reward in zip(responses, near, rewards, strict=True) if reward is not None
            ]
            if len(kept) > 1:
                groups.append(
                    TrainingGroup(
                        prompt=tuple(self.encoded[at]),
                        responses=tuple(response.tokens for response, _, _ in kept),
                        reference_logps=tuple(value for _, value, _ in kept),
                        rewards=tuple(reward for _, _, reward in kept),
                    )
                )
        if not groups:
            raise InputError(f"no reward of {', '.join(self.reward.names)} applies to two responses of one prompt")
        return groups

    def reward_context(self) -> RewardContext:
        """What reward functions may use: the policy as it is now, and trl's `trainer_state` and `log_metric`."""
        view = PolicyView(self.loaded.tokenizer, self.score, self.loaded.context_length)
        return RewardContext(view, self.state)

    def score(self, groups: Sequence[Group]) -> list[list[float]]:
        """Log-probabilities (nats) of responses under the policy as it is now, by the training forward, without
        gradients.
        """
        training = self.policy.training
        self.policy.eval()
        try:
            return score_responses(self.policy, groups, tree_attention=self.tree_attention, plain_head=self.plain_head)
        finally:
            self.policy.train(training)

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """As in `transformers.Trainer`, on one axis for the whole run: every update counts its steps from 0."""
        self.state.global_step += self._steps_before
        try:
            super().log(logs, start_time)
        finally:
            self.state.global_step -= self._steps_before

    def log_round(self, steps: int, metrics: Mapping[str, Any]) -> None:
        """Tell trackers (`report_to`) what a round measured.

        Args:
            steps: optimiser steps of the run so far.
            metrics: the round's `metrics.json`.
        """
        self._steps_before = steps - self.state.global_step
        self.log(tracked(metrics))

    def steps_per_update(self, groups: int) -> int:
        """Optimiser steps of one update on so many groups."""
        per_step = self.args.train_batch_size * self.args.world_size * self.args.gradient_accumulation_steps
        return max(1, math.ceil(math.ceil(groups / per_step) * self.args.num_train_epochs))

    def update(
        self,
        groups: Sequence[TrainingGroup],
        progress: Callable[[int, int], None] | None = None,
        held_out: Sequence[TrainingGroup] = (),
        steps_before: int = 0,
    ) -> Update:
        """One round's update on its groups, with a fresh optimiser and schedule.

        Args:
            groups: the prompts and responses of the round.
            progress: called with (steps done, steps in all).
            held_out: what early stopping is judged by.
            steps_before: optimiser steps of earlier rounds, for trackers.
        """

        def residual() -> float:
            after = self.score([(one.prompt, one.responses) for one in held_out])
            found = rms(
                [
                    pair_residuals(one.reference_logps, values, self.beta, one.rewards)
                    for one, values in zip(held_out, after, strict=True)
                ]
            )
            return math.nan if found is None else found

        self.train_dataset, self._steps_before = GroupDataset(groups), steps_before
        self.optimizer = self.lr_scheduler = None
        self._pass_end.begin(progress, residual if held_out else None, self.args.early_stopping_patience)
        scatter(self.policy)
        loss = float(super().train().training_loss)
        if self.is_deepspeed_enabled:  # an engine belongs to one optimiser; the next update makes its own
            engine: Any = self.model_wrapped
            engine.destroy()
            self.model_wrapped = self.model
        gather(self.policy)
        return Update(
            loss,
            float(self.state.epoch or 0.0),
            self.state.global_step,
            tuple(self._pass_end.residuals),
            self._pass_end.stopped_early,
        )

    def _directory(self, resume: bool) -> RunDirectory:
        path = Path(self.args.output_dir or "runs/srlm")
        configuration = self.args.recorded() | {
            "rewards": list(self.reward.names),
            "model": self.loaded.name,
            "model_checksum": self.loaded.checksum,
            "weights": self.loaded.weights,
            "prompts_checksum": checksum_of(self.prompts, self.encoded),
        }
        if resume and (path / RUN_FILE).is_file():
            directory = RunDirectory.open(path)
            before = directory.record()["configuration"]
            may_differ = self.args.may_change(before, configuration)
            may_differ |= {"weights"} - before.keys()  # an older srlm did not record them
            directory.require_same(configuration, may_differ)
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
        logps = response_logprobs(_Forward(model, self.policy), inputs["sequences"], plain_head=self.plain_head)
        batch = GroupedBatch(
            logps, inputs["reference_logps"], inputs["rewards"], inputs["groups"], int(inputs["groups"].max()) + 1
        )
        loss = LOSSES[self.args.loss_type](batch, self.beta)
        if self.args.anchor_weight:
            loss = loss + self.args.anchor_weight * best_of_k_loss(batch, self.beta)
        return (loss, {"logps": logps}) if return_outputs else loss
