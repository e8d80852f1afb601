"""A watcher of trl's GRPOTrainer and RLOOTrainer, in two lines of a training script:

    watcher = srlm.watch(answers="number", stop_on=("corrupted_grow", "one_answer"), out="watched")
    trainer = GRPOTrainer(..., reward_funcs=[my_reward, watcher.reward], callbacks=[watcher])

Knows: trl's public hooks alone. A reward function is called for every batch on every process; this one gives no reward
(None, which trl leaves out whatever its weight). A callback may log, save and stop. Every process measures the gathered
batch, so that all decide alike; the main one alerts and writes. Refuses to know: trl's private state.
"""

import json
import logging
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, wraps
from pathlib import Path
from typing import Any

from accelerate.utils import gather_object
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from srlm.errors import InputError
from srlm.records.atomic import replace_folder, write_json
from srlm.records.options import option
from srlm.records.run_directory import RunDirectory
from srlm.tasks.answers import answer_rule
from srlm.watching import writing
from srlm.watching.alarms import ALARMS, Alarm
from srlm.watching.formats import text_of
from srlm.watching.groups import Group
from srlm.watching.steps import Watcher, WatchSettings

_SOLUTIONS = ("solution", "answer", "answers", "ground_truth", "label")
# What trl logs of a step, and what a watcher calls it.
_LOGGED = {
    "entropy": "entropy",
    "reward": "reward",
    "frac_reward_zero_std": "zero_variance",
    "sampling/sampling_logp_difference/mean": "mismatch",
}
_NOT_WEIGHTS = ("optimizer*", "scheduler*", "scaler*", "rng_state*", "global_step*", "trainer_state.json")
_SHOWN = 500  # letters of a completion that are kept


@dataclass(frozen=True, slots=True)
class TrlSettings(WatchSettings):
    """Settings of `srlm.watch`, beside those of every watcher."""

    answers: str = option("auto", "how answers are read: a rule as in `--answers`")
    solution: str | None = option(None, "column with the known answer", shown="the first of " + ", ".join(_SOLUTIONS))
    stop_on: Sequence[str] = option((), "alarms that stop the training; () only tells")
    out: str | None = option(None, "folder for the run directory and the best model, new or empty")
    keep_every: int = option(50, "steps between two looks at whether the model is the best so far", low=1)

    def __post_init__(self) -> None:
        WatchSettings.__post_init__(self)
        answer_rule(self.answers)
        if unknown := sorted(set(self.stop_on) - set(ALARMS)):
            raise InputError(f"stop_on has {', '.join(unknown)}; use some of {', '.join(ALARMS)}")


def watch(**settings: Any) -> "TrlWatcher":
    """A watcher to hand to a trl trainer as `reward_funcs=[..., watcher.reward]` and `callbacks=[watcher]`; settings
    are the fields of `TrlSettings`.

    Raises:
        InputError: a setting outside its domain, or one that there is not.
    """
    try:
        return TrlWatcher(TrlSettings(**settings))
    except TypeError as error:
        raise InputError(f"srlm.watch: {str(error).partition('__init__() ')[2] or error}") from error


class TrlWatcher(TrainerCallback):
    """Watches one training; see the module.

    Attributes:
        watcher: what measures.
    """

    def __init__(self, settings: TrlSettings) -> None:
        self.settings = settings
        self.watcher = Watcher(settings)
        self._rule = answer_rule(settings.answers)
        self._accepted = lru_cache(maxsize=1 << 16)(self._rule.accepted)
        self._training = False
        self._limit: int | None = None
        self._end: int | None = None
        self._metrics: dict[str, float] = {}
        self._rewards: list[float] | None = None
        self._told = 0
        self._stopped: Alarm | None = None
        self._best: float | None = None
        self._saving = False
        self._directory: RunDirectory | None = None

    def sees(self, reward: Callable[..., list[float | None]], weight: float = 1.0) -> Callable[..., list[float | None]]:
        """`reward` with its values shown to the watcher, which needs them completion by completion only for groups
        without variance; give it before `watcher.reward`, and its weight in `reward_weights`.
        """

        @wraps(reward)
        def seen(*args: Any, **kwargs: Any) -> list[float | None]:
            values = reward(*args, **kwargs)
            before = self._rewards or [0.0] * len(values)
            self._rewards = [sum_ + weight * (one or 0.0) for sum_, one in zip(before, values, strict=True)]
            return values

        return seen

    def srlm(
        self,
        prompts: Sequence[Any],
        completions: Sequence[Any],
        completion_ids: Sequence[Sequence[int]],
        trainer_state: TrainerState,
        log_metric: Callable[[str, float], None] | None = None,
        **columns: Any,
    ) -> list[None]:
        """The reward function: measures a batch and gives no reward. trl logs it by this name."""
        rewards, self._rewards = self._rewards, None
        if self._training:  # an evaluation calls rewards too
            rows = self._rows(prompts, completions, completion_ids, rewards, columns)
            groups = _groups(gather_object(rows))
            self.watcher.step(trainer_state.global_step + 1, groups, self._metrics)
            for name, value in self.watcher.facts.items() if log_metric else ():
                log_metric(f"srlm/{name}", value)  # pyright: ignore[reportOptionalCall]
        return [None] * len(prompts)

    reward = srlm

    def _rows(self, prompts: Any, completions: Any, ids: Any, rewards: Any, columns: Any) -> list[tuple[Any, ...]]:
        """(prompt, answer, right, reward, length, cut, text) of every completion here."""
        column = self.settings.solution or next((name for name in _SOLUTIONS if name in columns), None)
        if self.settings.solution and column not in columns:
            raise InputError(f"the data set has no column {column!r} for solution; it has {', '.join(columns)}")
        known = columns[column] if column else [None] * len(prompts)
        by_prompt: dict[str, list[int]] = {}
        for at, prompt in enumerate(prompts):
            by_prompt.setdefault(text_of(prompt) or json.dumps(prompt, default=str), []).append(at)
        rows = []
        for prompt, chosen in by_prompt.items():
            given = known[chosen[0]]
            given = [] if given is None else given if isinstance(given, list | tuple) else [given]
            accepted = [key for one in given if (key := self._accepted(str(one))) is not None]
            texts = [text_of(completions[at]) or "" for at in chosen]
            for at, text, key in zip(chosen, texts, self._rule.keys(texts, accepted), strict=True):
                cut = self._limit is not None and len(ids[at]) >= self._limit and ids[at][-1] != self._end
                right = key in accepted if accepted else None
                rows.append((prompt, key, right, rewards and rewards[at], len(ids[at]), cut, text[:_SHOWN]))
        return rows

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Start the run directory.

        Raises:
            InputError: the folder holds something already, and no training is resumed.
        """
        self._limit = getattr(args, "max_completion_length", None)
        self._end = getattr(kwargs.get("processing_class"), "eos_token_id", None)
        if self.settings.out and state.is_world_process_zero:
            out = Path(self.settings.out)
            told = {"learning_rate": args.learning_rate, "num_generations": getattr(args, "num_generations", None)}
            again = state.global_step > 0 and (out / "run.json").is_file()
            name = getattr(getattr(kwargs.get("model"), "config", None), "_name_or_path", "") or "a model"
            self._directory = RunDirectory.open(out) if again else writing.start(out, name, told)

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        """What is sampled from here on is training."""
        self._training = True

    def on_log(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, logs: Any = None, **kwargs: Any
    ) -> None:
        """What trl measured of a step is used at the next."""
        known = {ours: (logs or {}).get(theirs) for theirs, ours in _LOGGED.items()}
        self._metrics |= {name: float(value) for name, value in known.items() if value is not None}

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Tell of alarms, stop, ask for a checkpoint of the best model so far."""
        self._training = False
        new, self._told = self.watcher.alarms[self._told :], len(self.watcher.alarms)
        for one in new:
            if state.is_world_process_zero:
                _alert(one, args)
            if one.signature in self.settings.stop_on:
                self._stopped = self._stopped or one
                control.should_training_stop = True
        if self._directory and state.global_step % self.settings.keep_every == 0:
            writing.write(self.watcher, self._directory)
        if self.settings.out and state.global_step % self.settings.keep_every == 0 and not self._stopped:
            score = self.watcher.score
            if score is not None and (self._best is None or score > self._best):
                self._best, self._saving, control.should_save = score, True, True

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Copy the checkpoint asked for to `out/best`, without the optimiser's state."""
        if self._saving and self._directory:
            source = Path(args.output_dir or ".") / f"checkpoint-{state.global_step}"
            with replace_folder(self._directory.path / "best") as fresh:
                shutil.copytree(source, fresh, dirs_exist_ok=True, ignore=shutil.ignore_patterns(*_NOT_WEIGHTS))
                write_json(fresh / "srlm.json", {"step": state.global_step, "score": self._best})
        self._saving = False

    def on_train_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Finish the run directory."""
        if self._directory:
            why = self._stopped and f"{self._stopped.signature} at step {self._stopped.step}: {self._stopped.evidence}"
            writing.write(self.watcher, self._directory, "stopped" if why else "done", why)


def _groups(rows: Sequence[tuple[Any, ...]]) -> list[Group]:
    by_prompt: dict[str, list[tuple[Any, ...]]] = {}
    for one in rows:
        by_prompt.setdefault(one[0], []).append(one)
    groups = []
    for prompt, some in by_prompt.items():
        _, answers, right, rewards, lengths, cut, texts = zip(*some, strict=True)
        known = None if None in rewards else tuple(map(float, rewards))
        groups.append(Group(prompt, answers, right, known, lengths, cut, sample=texts))
    return groups


def _alert(one: Alarm, args: TrainingArguments) -> None:
    """Through the tracker in use, and as a warning in the log."""
    title, text = f"srlm: {one.signature} at step {one.step}", f"{one.evidence}. {one.advice}"
    logging.getLogger(__name__).warning("%s: %s", title, text)
    wandb, trackio = (
        sys.modules.get(name) if name in (args.report_to or ()) else None for name in ("wandb", "trackio")
    )
    if wandb is not None and wandb.run is not None:
        wandb.run.alert(title=title, text=text)
    if trackio is not None:
        trackio.alert(title=title, text=text, level=trackio.AlertLevel.WARN)
