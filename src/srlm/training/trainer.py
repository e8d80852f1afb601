"""`SelfRewardingTrainer`: a `transformers.Trainer` whose `train()` runs T self-rewarding rounds.

Knows: `Trainer`'s hooks. It is a `Learner`: rounds restore, fit, score and save through it. Refuses to know: the order
of rounds (`rounds.py`), what updates train on (`updates/`), what ends an update early (`early_stopping.py`), folders
(`assembly.py`).
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch.utils.checkpoint import checkpoint
from transformers import PreTrainedModel, PrinterCallback, Trainer, TrainerCallback

from srlm.engines.engine import PolicyVersion
from srlm.engines.search import certifier
from srlm.engines.transformers import InProcess
from srlm.engines.vllm import VllmServers
from srlm.lm.loading import LoadedModel, as_loaded
from srlm.lm.mode_search import K_BEST
from srlm.lm.room import keeps_activations, tree_tokens
from srlm.lm.scoring import has_plain_head, has_tree_attention, response_logprobs, score_responses
from srlm.records.lock import holding
from srlm.records.progress import Observer, Progress
from srlm.records.responses import TokenGroup
from srlm.records.rounds import RoundRecord, UpdateRecord
from srlm.records.run_directory import RunDirectory
from srlm.records.trackers import tracked
from srlm.rewards import PolicyView
from srlm.rewards.mixture import RewardContext
from srlm.training.assembly import assemble, open_folder
from srlm.training.batches import Collator, GroupDataset
from srlm.training.config import SelfRewardingConfig
from srlm.training.drawing import engine_of, require_servers
from srlm.training.early_stopping import PassEnd, held_out_residual
from srlm.training.memory import explanation
from srlm.training.processes import Processes
from srlm.training.rounds import run_rounds
from srlm.training.sharding import WrappedPolicy, gather, require_supported, scatter, trained_state
from srlm.training.update import Group
from srlm.training.updates import GroupedBatch, best_of_k_loss
from srlm.training.weights import export_model, make_trainable, merged, restore_policy, save_policy
from srlm.training.work import Work


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

    Raises InputError for prompts, a model or a configuration that cannot be used.
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
        self.parts = assemble(args, self.loaded, train_dataset, reward_funcs)
        self._pass_end = PassEnd()
        self._steps_before, self._beta = 0, self.parts.beta or 1.0
        self._version: int | None = None  # the policy that the model is; None while it is between two
        self.tree_attention = has_tree_attention(self.loaded.model)
        super().__init__(
            model=make_trainable(self.loaded.model, args, peft_config),
            args=args,
            data_collator=Collator(self.tree_attention),
            processing_class=self.loaded.tokenizer,
            callbacks=[*(callbacks or []), self._pass_end],
        )
        require_supported(self.accelerator)
        if not (self.is_fsdp_enabled or self.is_deepspeed_enabled):  # there all processes make the same passes
            self.data_collator = Collator(self.tree_attention, tree_tokens(self.loaded.model))
        self.plain_head = self.tree_attention and has_plain_head(self.policy)
        self.processes = Processes(args.process_index, args.world_size)
        own = InProcess(self.loaded, self.policy, self.tree_attention, self._holding, args.rows_per_pass)
        self.engine = engine_of(args, own, self.parts, self.score)
        self.certifier = certifier(own, args.max_completion_length, args.max_expansions, args.k_best or K_BEST)
        # What the steps log goes to trackers and to the round's record; printing it would break the progress display.
        self.remove_callback(PrinterCallback)

    @property
    def policy(self) -> Any:
        """The model being trained, outside any wrapper that accelerate put around it."""
        return self.accelerator.unwrap_model(self.model)

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
        if isinstance(self.engine, VllmServers) and observer is not None:
            self.engine.tell = observer.note
        self.check_servers()
        with ExitStack() as held:

            def opened() -> RunDirectory:
                held.enter_context(holding(self.args.run_folder))
                return open_folder(self.args, self.loaded, self.parts, resume_from_checkpoint)

            directory = self.processes.on_main(opened)
            if isinstance(self.engine, VllmServers):
                held.callback(self.engine.close)
            run_rounds(self.work(), directory, observer if observer is not None and self.processes.main else Observer())
        return directory

    def check_servers(self, adapters: bool = True) -> None:
        """Find out, before anything is written, whether the servers that draw, if there are any, will do.

        Args:
            adapters: they will be asked to load some.

        Raises:
            InputError: they will not.
        """
        if isinstance(engine := self.engine, VllmServers):
            write = partial(save_policy, self.policy, trained_state(self.policy)) if adapters else None
            self.processes.on_main(lambda: require_servers(engine, self.work(), self.certifier.engine, write))

    def work(self) -> Work:
        """What the run is made of."""
        return Work(
            learner=self,
            engine=self.engine,
            certifier=self.certifier,
            settings=self.args,
            processes=self.processes,
            explain=partial(explanation, self.args, self.processes),
            **{field.name: getattr(self.parts, field.name) for field in fields(self.parts)},
        )

    # As a `Learner`:

    def restore(self, version: PolicyVersion) -> None:
        if self._version != version.number and version.checkpoint is not None:
            restore_policy(self.policy, version.checkpoint)
            self._version = version.number
        self.policy.eval()

    @contextmanager
    def _holding(self, version: PolicyVersion) -> Iterator[None]:
        self.restore(version)
        with merged(self.policy):
            yield

    def reward_context(self) -> RewardContext:
        view = PolicyView(self.loaded.tokenizer, self.score, self.loaded.context_length)
        return RewardContext(view, self.state)

    def steps_per_update(self, groups: int) -> int:
        per_step = self.args.train_batch_size * self.args.world_size * self.args.gradient_accumulation_steps
        return max(1, math.ceil(math.ceil(groups / per_step) * self.args.num_train_epochs))

    def fit(
        self,
        groups: Sequence[Group],
        beta: float,
        held_out: Sequence[Group] = (),
        steps_before: int = 0,
        progress: Progress | None = None,
    ) -> UpdateRecord:
        residual = partial(held_out_residual, self.score, held_out, beta) if held_out else None
        self._version, self._beta = None, beta
        self.train_dataset, self._steps_before = GroupDataset(groups), steps_before
        self.optimizer = self.lr_scheduler = None
        self._pass_end.begin(progress, residual, self.args.early_stopping_patience)
        scatter(self.policy)
        loss = float(super().train().training_loss)
        if self.is_deepspeed_enabled:  # an engine belongs to one optimiser; the next update makes its own
            engine: Any = self.model_wrapped
            engine.destroy()
            self.model_wrapped = self.model
        gather(self.policy)
        return UpdateRecord(
            loss=loss if math.isfinite(loss) else None,
            passes=float(self.state.epoch or 0.0),
            steps=self.state.global_step,
            held_out_residuals=tuple(value if math.isfinite(value) else None for value in self._pass_end.residuals),
            stopped_early=self._pass_end.stopped_early,
        )

    def _logprobs(self, policy: WrappedPolicy, sequences: list[Any]) -> Any:
        """Of all responses; what the activations of all pieces would not fit into is computed again backwards."""
        scored = partial(response_logprobs, policy, plain_head=self.plain_head)
        tokens = sum(one.input_ids.numel() for one in sequences)
        if len(sequences) == 1 or keeps_activations(self.policy, tokens):
            return torch.cat([scored(one) for one in sequences])
        return torch.cat([checkpoint(scored, one, use_reentrant=False) for one in sequences])

    def score(self, groups: Sequence[TokenGroup]) -> list[list[float]]:
        training = self.policy.training
        self.policy.eval()
        try:
            return score_responses(self.policy, groups, tree_attention=self.tree_attention, plain_head=self.plain_head)
        finally:
            self.policy.train(training)

    def snapshot(self, number: int) -> Callable[[Path], None]:
        self._version = number
        state = trained_state(self.policy)
        return lambda folder: save_policy(self.policy, state, folder)

    def export(self, folder: Path) -> None:
        export_model(self.policy, self.loaded.tokenizer, folder)

    def log_round(self, steps: int, record: RoundRecord) -> None:
        self._steps_before = steps - self.state.global_step
        self.log(tracked(record))

    # Of `Trainer`:

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """As in `transformers.Trainer`, on one axis for the whole run: every update counts its steps from 0."""
        self.state.global_step += self._steps_before
        try:
            super().log(logs, start_time)
        finally:
            self.state.global_step -= self._steps_before

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """The update's loss on one batch made by `Collator`."""
        logps = self._logprobs(WrappedPolicy(model, self.policy), inputs["sequences"])
        groups, count = inputs["groups"], int(inputs["groups"].max()) + 1
        batch = GroupedBatch(
            logps, inputs["reference_logps"], inputs["rewards"], groups, count, inputs["weights"].to(logps.dtype)
        )
        loss = self.parts.update.loss(batch, self._beta)
        if self.args.anchor_weight:
            loss = loss + self.args.anchor_weight * best_of_k_loss(batch, self._beta)
        return (loss, {"logps": logps}) if return_outputs else loss
