"""What a self-rewarding run is told, without the libraries that carry it out.

Knows: names, defaults and domains of a run's settings, one line each, read by validation, command line, resume rules
and documentation. Refuses to know: torch, transformers, what a setting makes a run do. Names are trl's wherever trl
has one (`num_generations`, `max_completion_length`, `beta`, `loss_type`, `use_peft`, `lora_r`, ...).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from srlm.errors import InputError
from srlm.lm.subject import LEVELS, Subject
from srlm.measure.decision import GATES
from srlm.records.options import option, problems, resolve
from srlm.records.text import visible
from srlm.training.presets import PRESETS
from srlm.training.schedules import BETA_SCHEDULES

# What None stands for at each level.
BY_LEVEL: Mapping[str, Mapping[str, Any]] = {
    "response": {"num_generations": 4, "loss_type": "projection", "max_expansions": 2000, "beta": 1.0},
    "answer": {"num_generations": 16, "loss_type": "weighted", "max_expansions": 0},
}

_FOLDER = "runs/srlm"  # of a run that was given none
_LONGEST = 10_000_000  # characters of a configuration file; some devices never end


@dataclass
class RunSettings:
    """The theory's own fields of `SelfRewardingConfig`, and those of `TrainingArguments` whose default is another."""

    output_dir: str | None = option(_FOLDER, "The run's folder.", "out", on_resume="unrecorded")
    level: str = option(
        "response", "What is sharpened and certified: whole responses, by search, or their answers, by sampling.",
        "level", choices=LEVELS,
    )  # fmt: skip
    answers: str | None = option(
        None, "How an answer is read: auto, boxed, number, choice, yes_no, words, last_line, math, regex:PATTERN or "
        "python:MODULE:FUNCTION.", "answers", shown="what the prompts say, else auto",
    )  # fmt: skip
    rounds: int = option(
        3, "Rounds T of sample, reward, update, certify.", "rounds", low=1, high=10_000, on_resume="free"
    )
    num_generations: int = option(
        None,
        "Responses K to a prompt in a round.",
        "responses",
        low=2,
        high=100_000,
        shown="4; of answers 16",
    )
    until_certain: bool = option(
        False, "Stop drawing at a prompt once its majority is certified; --responses is then the most.", "until-certain"
    )
    confidence: float = option(
        0.95, "Of the certificates of answers, at all prompts of a round at once.", "confidence", above=0, below=1
    )
    accept_unreadable: bool = option(
        False, "Go on where more than half of the responses have no answer.", "accept-unreadable", on_resume="free"
    )
    engine: str = option(
        "transformers", "What draws: transformers (in this process), or vllm:URL[,URL...], roots of servers.", "engine",
        on_resume="free",
    )  # fmt: skip
    server_patience: float = option(
        600.0,
        "Seconds to wait while no server gets anything done.",
        "server-patience",
        above=0,
        high=10_000_000,
        on_resume="free",
    )
    max_completion_length: int = option(
        12, "Longest response in tokens; longer ones are cut.", "max-new-tokens", low=1, high=1_000_000
    )
    beta: float = option(
        None, "KL strength; an exact round is pi_t to the power 1 + 1/beta.", "beta", above=0,
        shown="1; of answers chosen from K and the shares of round 00",
    )  # fmt: skip
    beta_schedule: str = option(
        "constant", "Factor of beta in a round, n its pairs.", "beta-schedule", choices=tuple(BETA_SCHEDULES)
    )
    reference: str = option(
        "previous", "What an update is kept near: pi_t, or the base model.", "reference", choices=("previous", "base")
    )
    loss_type: str = option(
        None, "What an update minimises; the last two are controls.", "loss",
        choices=(
            "projection", "regression", "dpo", "ipo", "best_of_k", "weighted", "leave_one_out", "majority",
            "likelihood", "mode_likelihood",
        ),
        shown="projection; of answers weighted",
    )  # fmt: skip
    anchor_weight: float = option(
        0.0, "Weight of the best-rewarded response's negative log-likelihood in the loss.", low=0
    )
    rewards: list[str] | None = option(
        None, "A reward by name, repeatable (they are summed).", "reward", shown="log_probability; of answers answer"
    )
    reward_weights: list[float] | None = option(None, "One weight for each reward.", shown="1 each")
    learning_rate: float = option(2e-4, "Learning rate at the start of an update.", "learning-rate", above=0)
    lr_scheduler_type: str = option("linear", "Course of the learning rate in an update.")
    num_train_epochs: float = option(4.0, "Passes over a round's responses.", "passes", above=0, high=10_000)
    per_device_train_batch_size: int = option(8, "Prompts a step.", "batch-size", low=1, high=100_000)
    early_stopping_patience: int = option(
        0, "End an update after so many passes without better held-out pairs; 0 never.", "early-stopping", low=0
    )
    max_expansions: int = option(
        None, "Budget of the mode search for a prompt (P6); 0 leaves it out.", "expansions", low=0,
        shown="2000; of answers 0",
    )  # fmt: skip
    k_best: int | None = option(None, "Likeliest responses that the search keeps.", "k-best", low=1, shown="8")
    gate: str | None = option(
        None, "What chooses the round to export: held-out prompts, answers of a third split, or nothing (the last).",
        "gate", choices=GATES, on_resume="free",
        shown="held_out; the trained prompts where none are held out",
    )  # fmt: skip
    rescore: bool = option(False, "Take log-probabilities from the training forward, not from sampling.", "rescore")
    max_drift: float | None = option(
        0.5,
        "Most nats by which training may contradict sampling on a response; None never refuses.",
        above=0,
        on_resume="free",
    )
    on_signature: dict[str, str] | None = option(
        None, "SIGNATURE=note, stop or rollback, repeatable; all=... for every one.", "on-signature", on_resume="free",
        shown="roll back what ruins a model, note the rest",
    )  # fmt: skip
    use_peft: bool = option(True, "Train all weights, not a LoRA adapter.", "full")
    lora_r: int = option(16, "Rank of the adapter.", low=1, high=65_536)
    lora_alpha: int = option(32, "The adapter's scale times its rank.")
    lora_dropout: float = option(0.0, "Dropout in the adapter.", low=0, below=1)
    lora_target_modules: str | list[str] = option("all-linear", "Modules with an adapter, as in peft.")
    raw_prompts: bool = option(False, "Send string prompts without the chat template.", "raw-prompts")
    rows_per_pass: int = option(128, "Most sequences decoded at once; less needs less memory.", low=1, on_resume="free")
    keep_checkpoints: str = option(
        "all", "Rounds whose weights stay.", choices=("all", "best_and_last"), on_resume="unrecorded"
    )
    seed: int = option(0, "Everything random follows from it.", "seed", low=0, below=2**32)
    logging_steps: float = option(1, "Steps between two logs.", on_resume="unrecorded")
    save_strategy: str = option("no", "Checkpoints within an update; rounds write their own.")
    remove_unused_columns: bool = option(False, "Drop columns that the model does not take, such as rewards.")
    disable_tqdm: bool | None = option(True, "No bars of transformers; a run draws its own.", on_resume="unrecorded")
    dataloader_pin_memory: bool = option(False, "Page-locked memory for batches.", on_resume="unrecorded")

    def __post_init__(self) -> None:
        resolve(self, BY_LEVEL)

    @property
    def run_folder(self) -> Path:
        """Where the run is written."""
        return Path(self.output_dir or _FOLDER)


@dataclass(frozen=True, slots=True)
class Request(Subject):
    """A run as a user asks for it.

    Attributes:
        options: fields of `SelfRewardingConfig`; they win over `config_file`, which wins over `preset`.
    """

    held_out: float = option(0.25, "Share of prompts to hold out where they do not say.", "held-out", low=0, below=1)
    load_in_4bit: bool = option(False, "Quantise the base model to 4 bits under its adapter.", "load-in-4bit")
    config_file: Path | None = option(
        None, "JSON file with any field of SelfRewardingConfig; options here win over it.", "config", shown="none"
    )
    preset: str | None = option(
        None, "Fills in what neither --config nor an option says.", "preset", choices=tuple(PRESETS), shown="none"
    )
    resume: bool = option(False, "Go on with the run in --out where it stopped; start it if there is none.", "resume")
    options: Mapping[str, Any] = field(default_factory=dict)

    def configured(self) -> dict[str, Any]:
        """What the configuration file says; nothing where there is none.

        Raises:
            InputError: it is no JSON object.
        """
        if self.config_file is None:
            return {}
        name = f"configuration file {visible(str(self.config_file), 300)!r}"
        try:
            with self.config_file.open(encoding="utf-8-sig") as file:
                values = json.loads(file.read(_LONGEST))
        except (OSError, ValueError, RecursionError) as error:
            raise InputError(f"{name} cannot be read as JSON ({error})") from error
        if not isinstance(values, dict):
            raise InputError(f'{name} is not a JSON object; write {{"rounds": 3, ...}}')
        return values

    def folder(self) -> Path:
        """The run's folder, found before anything slow is imported.

        Raises:
            InputError: as `configured`; or a field of the request or of `RunSettings` is outside its domain.
        """
        ours, asked = {one.name for one in fields(RunSettings)}, self.configured() | dict(self.options)
        told = RunSettings(**{name: value for name, value in asked.items() if name in ours})
        wrong = problems(self) + problems(told)
        if told.output_dir == "":  # as of a shell's variable that is not set
            wrong.append("output_dir is ''; give a folder, or leave it out")
        if wrong:
            raise InputError(wrong)
        return told.run_folder
