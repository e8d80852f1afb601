"""What a self-rewarding run is told: a `TrainingArguments` with the theory's own fields, checked all at once.

Knows: which fields are recorded, and which of them a resumed run may change. Refuses to know: names, defaults and
domains; they stand in `srlm.training.settings`, each with its field.
"""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from importlib.util import find_spec
from typing import Any

from transformers import TrainingArguments

from srlm.engines.names import parse_engine
from srlm.errors import InputError
from srlm.measure.decision import checked_actions
from srlm.records.options import facts_of, problems, resolve
from srlm.training.memory import RECOMPUTE_SETTINGS, same_step
from srlm.training.settings import BY_LEVEL, RunSettings

# Fields of `TrainingArguments` in which a difference never changes what a run computes.
_UNRECORDED = frozenset({
    "run_name", "report_to", "logging_strategy", "logging_first_step", "log_level", "log_level_replica", "project",
    "push_to_hub", "hub_token", "hub_model_id", "hub_private_repo", "hub_strategy", "save_total_limit",
    "resume_from_checkpoint", "dataloader_num_workers", "local_rank", "debug",
})  # fmt: skip
# Fields of `TrainingArguments` that are recorded even at their defaults, which differ between versions.
_RECORDED = frozenset({"optim", "max_grad_norm"})

# Of fields of `TrainingArguments` that nobody else checks before a round is written.
_DOMAINS = {
    "gradient_accumulation_steps": (1, 100_000), "dataloader_num_workers": (0, 4096),
    "neftune_noise_alpha": (0, 10_000), "torch_empty_cache_steps": (1, 2**62),
}  # fmt: skip
# Fields of `TrainingArguments` that have nothing to act on here, and why.
_MEANINGLESS = {
    "eval_on_start": "evaluates with a loss, and rounds measure themselves",
    "dataloader_drop_last": "drops prompts, and an update trains on all of its round",
    "dataloader_multiprocessing_context": "chooses how loaders start, which lists in memory have no use for",
}


@dataclass
class SelfRewardingConfig(RunSettings, TrainingArguments):  # pyright: ignore[reportIncompatibleVariableOverride]
    """Configuration of `SelfRewardingTrainer`: everything `TrainingArguments` takes, and the fields of `RunSettings`.

    Raises:
        InputError: any field outside its domain; all such fields are named at once.
    """

    def __post_init__(self) -> None:
        resolve(self, BY_LEVEL)
        if wrong := problems(self):  # of a wrong type nothing more can be asked
            raise InputError(wrong)
        try:
            checked_actions(self.on_signature)
        except InputError as error:
            wrong.extend(error.problems)
        try:
            if parse_engine(self.engine).kind == "openai":
                wrong.append(
                    "engine openai: only diagnoses, for nothing can be trained there; use transformers or vllm:URL"
                )
        except InputError as error:
            wrong.extend(error.problems)
        if self.k_best is not None and self.max_expansions == 0:
            wrong.append("k_best needs the search that max_expansions 0 leaves out; drop one of the two")
        if self.loss_type == "mode_likelihood" and self.max_expansions == 0:
            wrong.append("loss_type mode_likelihood trains on modes, which max_expansions 0 leaves out; use projection")
        for name, (least, most) in _DOMAINS.items():
            if (value := getattr(self, name)) is not None and not least <= value <= most:
                wrong.append(f"{name} is {value!r}; it must be at least {least} and at most {most}")
        if self.torch_compile or self.torch_compile_backend or self.torch_compile_mode:
            wrong.append("torch_compile compiles for every shape of a batch anew, and few are alike; leave it out")
        for name, why in _MEANINGLESS.items():
            if getattr(self, name):
                wrong.append(f"{name} {why}; leave it out")
        if self.use_liger_kernel and find_spec("liger_kernel") is None:
            wrong.append("use_liger_kernel needs liger-kernel, which is not installed; leave it out, or install it")
        wrong.extend(self._wrong_for_level())
        if wrong:
            raise InputError(wrong)
        # What was asked for, before TrainingArguments resolves it for this machine.
        self._given = {f.name: getattr(self, f.name) for f in fields(self)}
        TrainingArguments.__post_init__(self)  # that of RunSettings is done

    def _wrong_for_level(self) -> list[str]:
        """Settings of one level that mean nothing at the other."""
        rewards = self.rewards or ()
        if self.level == "answer":
            searched = {"projection": "weighted", "mode_likelihood": "majority"}
            checks = [
                (self.max_expansions > 0, "max_expansions is of the search, which level answer does without; leave it"),
                (self.k_best is not None, "k_best is of the search, which level answer does without; leave it out"),
                (
                    self.loss_type in searched,
                    f"loss_type {self.loss_type} needs the search, which level answer does without; use "
                    f"{searched.get(self.loss_type)}",
                ),
                (
                    self.loss_type == "leave_one_out" and self.num_generations < 1 + 1 / (self.beta or 1.0),
                    f"num_generations is {self.num_generations}; leave_one_out needs at least 1 + 1/beta draws (P10)",
                ),
                (
                    self.num_generations < 3 and self.loss_type == "weighted",
                    f"num_generations is {self.num_generations}; shares of fewer than 3 draws sharpen nothing (P10)",
                ),
            ]
        else:
            checks = [
                (self.loss_type in ("leave_one_out", "majority"), f"loss_type {self.loss_type} needs level answer"),
                ("answer" in rewards, "the reward answer needs level answer; set it, or use majority_vote"),
                (self.answers is not None, "answers says how answers are read, for level answer; set it too"),
                (self.until_certain, "until_certain draws until a majority is certified, for level answer; set it too"),
            ]
        return [sentence for wrong, sentence in checks if wrong]

    def recorded(self) -> dict[str, Any]:
        """The fields that decide what a run computes, as JSON values: every one of ours, and whatever is not at its
        default.
        """
        ours = {one.name: facts.on_resume != "unrecorded" for one, facts in facts_of(self)}
        plain = {
            f.name: f.default if f.default is not MISSING else f.default_factory()  # pyright: ignore[reportCallIssue]
            for f in fields(TrainingArguments)
        }
        return {
            name: _as_json(value)
            for name, value in sorted(self._given.items())
            if ours.get(name, name in _RECORDED or (name not in _UNRECORDED and value != plain.get(name, MISSING)))
        }

    def may_change(self, before: Mapping[str, Any], now: Mapping[str, Any]) -> frozenset[str]:
        """Fields in which what a run was told before may differ from what it is told now.

        Args:
            before, now: the `recorded` of both.
        """
        free = {one.name for one, facts in facts_of(self) if facts.on_resume == "free"}
        # The srlm that began the run may have been one without these, and they are at their defaults now.
        defaults = {f.name: f.default for f in fields(self)}
        new = {name for name in now if name not in before and defaults.get(name, MISSING) == now[name]}
        return same_step(before, now) | RECOMPUTE_SETTINGS | free | new


def _as_json(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _as_json(one) for key, one in value.items()}
    if isinstance(value, list | tuple | set):
        return [_as_json(one) for one in value]
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
