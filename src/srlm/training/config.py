"""What a self-rewarding run is told: a `TrainingArguments` with the theory's own fields, checked all at once.

Knows: names, defaults, domains. Names are trl's wherever trl has one (`num_generations`, `max_completion_length`,
`beta`, `loss_type`, `use_peft`, `lora_r`, ...).
"""

import math
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any

from transformers import TrainingArguments

from srlm.errors import InputError
from srlm.measure.decision import checked_actions
from srlm.training.updates import LOSS_TYPES
from srlm.training.schedules import BETA_SCHEDULES

# Differences in these never change what a run computes, so a resumed run may set them anew.
COSMETIC = frozenset(
    {
        "output_dir",
        "run_name",
        "report_to",
        "logging_steps",
        "logging_strategy",
        "logging_first_step",
        "log_level",
        "log_level_replica",
        "disable_tqdm",
        "project",
        "push_to_hub",
        "hub_token",
        "hub_model_id",
        "hub_private_repo",
        "hub_strategy",
        "save_total_limit",
        "keep_checkpoints",
        "resume_from_checkpoint",
        "dataloader_num_workers",
        "dataloader_pin_memory",
        "local_rank",
        "debug",
    }
)
# A finished run can be given more rounds, and one that control stopped can be told to go on.
EXTENDABLE = frozenset({"rounds", "on_signature", "max_drift"})


@dataclass
class SelfRewardingConfig(TrainingArguments):
    """Configuration of `SelfRewardingTrainer`; everything `TrainingArguments` takes, and:

    Attributes:
        rounds: T >= 1, rounds of sample, reward, update, certify.
        num_generations: K >= 2, responses a prompt and round; K(K-1)/2 pairs each.
        max_completion_length: L >= 1, longest response in tokens; a response cut there is a response.
        beta: KL strength > 0; a round's exact solution is pi_t to the power 1 + 1/beta.
        beta_schedule: what makes a round's beta of it (`srlm.training.schedules`): "constant", or "n^-1/2".
        reference: the policy that an update is kept near: "previous" (pi_t, recorded while sampling; the theory's), or
            "base" (one more scoring pass a round).
        loss_type: which update (`srlm.training.updates`); "regression" is eq. 3.
        anchor_weight: this many times the best-rewarded response's negative log-likelihood is added to the loss
            (0, the theory's, adds nothing): updates that only compare responses may let all of them sink.
        rewards: names of rewards (`srlm.rewards`), summed with `reward_weights`; default the log-probability.
        max_expansions: budget of the mode search for one prompt (P6); 0 leaves certification out: the bracket is then
            what samples, greedy decoding and the likeliest first token say.
        rows_per_pass: most sequences decoded at once; lower it when memory is short.
        use_peft: train a LoRA adapter (default) or all weights.
        lora_r, lora_alpha, lora_dropout, lora_target_modules: the adapter, as in trl.
        early_stopping_patience: end an update after so many passes that did not lower the held-out pairs' residual,
            and keep the best pass; 0 always takes all passes.
        max_drift: most nats by which sampling and training may disagree on a response; None never refuses.
        rescore: take the training forward's log-probabilities as reward and reference instead of the recorded ones.
        on_signature: {signature: "note" | "stop" | "rollback"} (`srlm.measure.decision`); "all" names every one.
        keep_checkpoints: "all", or "best_and_last" to remove other rounds' weights as the run goes on.
        raw_prompts: send string prompts without the chat template.

    `num_train_epochs` counts the passes over one round's responses, `per_device_train_batch_size` the prompts of a
    step.

    Raises:
        InputError: any field outside its domain; all such fields are named at once.
    """

    output_dir: str | None = field(default="runs/srlm")
    per_device_train_batch_size: int = field(default=8)
    num_train_epochs: float = field(default=4.0)
    learning_rate: float = field(default=2e-4)
    lr_scheduler_type: str = field(default="linear")  # pyright: ignore[reportAssignmentType]
    logging_steps: float = field(default=1)
    save_strategy: str = field(default="no")  # pyright: ignore[reportAssignmentType]
    remove_unused_columns: bool = field(default=False)
    disable_tqdm: bool | None = field(default=True)
    dataloader_pin_memory: bool = field(default=False)
    seed: int = field(default=0)

    rounds: int = field(default=3)
    num_generations: int = field(default=4)
    max_completion_length: int = field(default=12)
    beta: float = field(default=1.0)
    reference: str = field(default="previous")
    loss_type: str = field(default="regression")
    anchor_weight: float = field(default=0.0)
    rewards: list[str] | None = field(default=None)
    reward_weights: list[float] | None = field(default=None)
    max_expansions: int = field(default=2000)
    rows_per_pass: int = field(default=128)
    use_peft: bool = field(default=True)
    lora_r: int = field(default=16)
    lora_alpha: int = field(default=32)
    lora_dropout: float = field(default=0.0)
    lora_target_modules: str | list[str] = field(default="all-linear")
    raw_prompts: bool = field(default=False)
    beta_schedule: str = field(default="constant")
    early_stopping_patience: int = field(default=0)
    max_drift: float | None = field(default=0.5)
    rescore: bool = field(default=False)
    on_signature: dict[str, str] | None = field(default=None)
    keep_checkpoints: str = field(default="all")

    def __post_init__(self) -> None:
        problems = [problem for problem in (_problem(self, *rule) for rule in _DOMAINS) if problem]
        if self.loss_type not in LOSS_TYPES:
            problems.append(f"loss_type is {self.loss_type!r}; use one of {', '.join(LOSS_TYPES)}")
        if self.reference not in ("previous", "base"):
            problems.append(f"reference is {self.reference!r}; use previous or base")
        if self.keep_checkpoints not in ("all", "best_and_last"):
            problems.append(f"keep_checkpoints is {self.keep_checkpoints!r}; use all or best_and_last")
        if self.beta_schedule not in BETA_SCHEDULES:
            problems.append(f"beta_schedule is {self.beta_schedule!r}; use one of {', '.join(BETA_SCHEDULES)}")
        if self.max_drift is not None and not self.max_drift > 0:
            problems.append(f"max_drift is {self.max_drift!r}; it must be greater than 0, or None to never refuse")
        try:
            checked_actions(self.on_signature)
        except InputError as error:
            problems.extend(error.problems)
        if problems:
            raise InputError(problems)
        # What was asked for, before TrainingArguments resolves it for this machine.
        self._given = {f.name: getattr(self, f.name) for f in fields(self)}
        super().__post_init__()

    def recorded(self) -> dict[str, Any]:
        """The fields that decide what a run computes, as JSON values: every one of ours, and whatever is not at its
        default.
        """
        own = {f.name for f in fields(SelfRewardingConfig)} - {f.name for f in fields(TrainingArguments)}
        kept = {
            name: value
            for name, value in self._given.items()
            if name in own | _ALWAYS_RECORDED or value != _plain(name)
        }
        return {name: _as_json(value) for name, value in sorted(kept.items()) if name not in COSMETIC}


def unrecorded_defaults(before: Mapping[str, Any], now: Mapping[str, Any]) -> frozenset[str]:
    """Fields that an older srlm did not have and record, and that are at their defaults now: no difference."""
    defaults = {f.name: f.default for f in fields(SelfRewardingConfig)}
    return frozenset(name for name in now if name not in before and defaults.get(name, MISSING) == now[name])


# name, lowest, whether the lowest itself is allowed, what to do
_DOMAINS: tuple[tuple[str, float, bool, str], ...] = (
    ("rounds", 1, True, "use at least one round"),
    ("num_generations", 2, True, "a pair needs two responses a prompt"),
    ("max_completion_length", 1, True, "a response has at least one token"),
    ("beta", 0, False, "the KL strength must be positive"),
    ("max_expansions", 0, True, "0 turns certification off"),
    ("early_stopping_patience", 0, True, "0 takes all passes"),
    ("anchor_weight", 0, True, "0 adds no anchor"),
    ("rows_per_pass", 1, True, "decode at least one row at a time"),
    ("lora_r", 1, True, "an adapter has at least rank 1"),
    ("per_device_train_batch_size", 1, True, "a step needs at least one prompt"),
    ("num_train_epochs", 0, False, "pass over the responses at least partly"),
    ("learning_rate", 0, False, "the learning rate must be positive"),
)
_ALWAYS_RECORDED = frozenset(
    {
        "per_device_train_batch_size",
        "num_train_epochs",
        "learning_rate",
        "lr_scheduler_type",
        "seed",
        "optim",
        "max_grad_norm",
    }
)


def _problem(config: Any, name: str, lowest: float, closed: bool, advice: str) -> str | None:
    value = getattr(config, name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return f"{name} is {value!r}; give a number ({advice})"
    if value < lowest or (value == lowest and not closed):
        return f"{name} is {value}; it must be {'at least' if closed else 'greater than'} {lowest:g} ({advice})"
    return None


def _plain(name: str) -> Any:
    found = next(f for f in fields(TrainingArguments) if f.name == name)
    return found.default if found.default is not MISSING else found.default_factory()  # pyright: ignore[reportCallIssue]


def _as_json(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _as_json(one) for key, one in value.items()}
    if isinstance(value, list | tuple | set):
        return [_as_json(one) for one in value]
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
