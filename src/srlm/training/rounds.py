"""The order of a self-rewarding run: sample, certify, record, update, T times, resumable at any instant.

Knows: the stages of a round and what each leaves on disk. Folder NN describes policy NN: its checkpoint, samples
drawn from it, its certified modes, its metrics. Round 00 is the untouched base model; policy NN+1 is trained on the
samples of folder NN. A stage that is complete on disk is never run again, one that is not is run anew from what lies
before it, and since every stage is a function of the configuration, the seed and the files before it, a killed run
ends as an undisturbed one. After every round `control.py` may end the run; that, too, is a function of the metrics.
"""

import math
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from srlm.diagnosis.signatures import signatures
from srlm.lm.mode_search import ModeBracket
from srlm.lm.sampling import Greedy, Response
from srlm.records.atomic import replace_folder
from srlm.records.run_directory import RunDirectory
from srlm.training.certificate import Scored, certificate
from srlm.training.control import Decision, best_round, decide, diverged
from srlm.training.drift import PROMPTS_COMPARED, Drift, measure_drift, require_small, rescore, spread
from srlm.training.groups import TrainingGroup, reward_summary
from srlm.training.inference import certify, draw
from srlm.training.measurement import Measured, Modes, summarise
from srlm.training.model_card import model_card
from srlm.training.policy import export_model, merged, restore_policy, save_policy
from srlm.training.sharding import trained_state
from srlm.training.tables import (
    drift_of,
    greedy_of,
    modes_from_table,
    modes_to_table,
    samples_from_table,
    samples_to_table,
)

if TYPE_CHECKING:
    from srlm.training.trainer import SelfRewardingTrainer

# Prompts of each split scored for P4's certificate: a few per cent of an update's work.
_SCORED = 8


class Observer:
    """Is told what a run is doing; this one does nothing. The command line draws progress, tests count and kill."""

    def begin(self, rounds: int) -> None:
        """A run of so many rounds T begins, or goes on."""

    def stage(self, round_number: int, name: str, total: int) -> None:
        """A stage ("sample", "certify", "train", "save") of a round begins, with `total` steps before it."""

    def advance(self, done: int, total: int) -> None:
        """`done` of `total` steps of the stage are done."""

    def round_done(self, directory: RunDirectory, round_number: int, metrics: dict[str, Any]) -> None:
        """The round's metrics are on disk."""


class Rounds:
    """One run in progress.

    Args:
        trainer: the policy, its prompts and its configuration.
        directory: the run's folder, created or opened by the caller.
        observer: is told about every stage.
    """

    def __init__(self, trainer: "SelfRewardingTrainer", directory: RunDirectory, observer: Observer) -> None:
        self._trainer, self._directory, self._observer = trainer, directory, observer
        self._processes = trainer.processes
        self._in_memory: int | None = None  # the round whose policy the model is; None while it is between two
        self.number, self.stage = 0, "sample"  # where the run is

    def finish(self) -> None:
        """Bring the run to its last round, or to the one at which control ends it, and export its model, doing only
        what is not on disk yet.
        """
        history: list[dict[str, Any]] = []
        decision: Decision | None = None
        self._observer.begin(self._trainer.args.rounds)
        for number in range(self._trainer.args.rounds + 1):
            try:
                if not self._directory.round(number).is_complete("metrics"):
                    self._round(number, history)
            except FloatingPointError as error:
                if number == 0:
                    raise
                decision = diverged(number, history, str(error))
            else:
                history.append(self._directory.round(number).metrics())
                decision = decide(history, self._trainer.actions)
            if decision is not None:
                self._end_early(number, decision, history)
                return
            self._prune(history)
        self._export(self._trainer.args.rounds, history)
        best = best_round(history)
        self._processes.on_main(
            lambda: self._directory.update(status="done", reason=None, best_round=best, control=None)
        )

    def _prune(self, history: Sequence[dict[str, Any]]) -> None:
        """With `keep_checkpoints` "best_and_last", remove the weights of every other round; its record stays."""
        if self._trainer.args.keep_checkpoints != "best_and_last" or not self._processes.main:
            return
        base = {0} if self._trainer.args.reference == "base" else set()
        for number in set(range(len(history))) - {best_round(history), len(history) - 1} - base:
            shutil.rmtree(self._directory.round(number).path / "checkpoint", ignore_errors=True)

    def _end_early(self, number: int, decision: Decision, history: Sequence[dict[str, Any]]) -> None:
        self._export(decision.keep, history)
        control = {
            "round": number,
            "action": decision.action,
            "signatures": list(decision.signatures),
            "model_of_round": decision.keep,
        }
        best = decision.keep if decision.action == "rollback" else None
        self._processes.on_main(
            lambda: self._directory.update(status="stopped", reason=decision.reason, best_round=best, control=control)
        )

    def _round(self, number: int, history: Sequence[dict[str, Any]]) -> None:
        folder = self._directory.round(number)
        seconds = {"sample": 0.0, "certify": 0.0, "train": 0.0}
        if not folder.is_complete("checkpoint"):
            self._make_policy(number)
        trained = folder.checkpoint_facts()
        seconds["train"] = trained["seconds"]
        if not folder.is_complete("samples"):
            began = time.perf_counter()
            samples, greedy, drift = self._sample(number)
            spent = time.perf_counter() - began
            drawn = samples_to_table(self._trainer, samples, spent, drift, greedy)
            self._processes.on_main(lambda: folder.write_table("samples", drawn))
        table = folder.read_table("samples")
        samples, seconds["sample"] = samples_from_table(table)
        if not folder.is_complete("modes"):
            began = time.perf_counter()
            brackets = self._certify(number, samples, greedy_of(table))
            found = modes_to_table(self._trainer, brackets, time.perf_counter() - began)
            self._processes.on_main(lambda: folder.write_table("modes", found))
        modes, seconds["certify"] = modes_from_table(folder.read_table("modes"))
        seconds["certify"] += trained.get("certificate_seconds", 0.0)
        metrics = self._metrics(number, samples, modes)
        metrics |= {
            "seconds": seconds,
            "tokens": {
                "sampled": sum(len(r.tokens) for responses in samples for r in responses),
                "trained": trained["tokens"],
            },
            "loss": trained["loss"],
            "beta": self._trainer.beta,
            "update": trained.get("update"),
            "reward": trained.get("reward"),
            "certificate": trained.get("certificate"),
            "drift": drift_of(table),
        }
        metrics["signatures"] = [one.as_json() for one in signatures([*history, metrics])]
        self._processes.on_main(lambda: folder.write_metrics(metrics))
        self._trainer.log_round(self._steps(number), metrics)
        self._observer.round_done(self._directory, number, metrics)

    def _steps(self, number: int) -> int:
        """Optimiser steps that led to policy `number`, as far as the records count them."""
        updates = [self._directory.round(at).checkpoint_facts().get("update") or {} for at in range(1, number + 1)]
        return sum(update.get("steps", 0) for update in updates)

    def _make_policy(self, number: int) -> None:
        """Train policy `number` from the round before (or take the base model) and write its checkpoint."""
        facts: dict[str, Any] = {"loss": None, "tokens": 0, "seconds": 0.0}
        if number > 0:
            samples, _ = samples_from_table(self._directory.round(number - 1).read_table("samples"))
            began = time.perf_counter()
            reference = self._base_logprobs(samples) if self._trainer.args.reference == "base" else None
            self._restore(number - 1)
            self._in_memory = None
            context = self._trainer.reward_context()
            groups = self._processes.on_main(lambda: self._trainer.groups(samples, "train", context, reference))
            held_out: Sequence[TrainingGroup] = ()
            if self._trainer.args.early_stopping_patience:
                held_out = self._processes.on_main(
                    lambda: self._trainer.groups(samples, "held_out", reference=reference)
                )
            steps = self._trainer.steps_per_update(len(groups))
            self._enter(number, "train", steps)
            update = self._trainer.update(groups, self._observer.advance, held_out, self._steps(number - 1))
            facts["loss"] = update.loss if math.isfinite(update.loss) else None
            facts["tokens"] = sum(len(tokens) for group in groups for tokens in group.responses)
            facts["update"] = update.as_json()
            facts["reward"] = reward_summary(groups) | {"metrics": context.metrics()}
            facts["seconds"] = time.perf_counter() - began
            began = time.perf_counter()
            facts["certificate"] = self._processes.on_main(lambda: self._certificate(number, samples))
            facts["certificate_seconds"] = time.perf_counter() - began
        self._enter(number, "save", 1)
        state = trained_state(self._trainer.policy)
        self._processes.on_main(lambda: self._save(number, facts, state))
        self._in_memory = number

    def _base_logprobs(self, samples: Sequence[Sequence[Response]]) -> list[list[float]]:
        """log pi_0 of every sample, for updates that are kept near the base model."""
        self._restore(0)
        trainer = self._trainer
        mine = self._processes.share(range(len(samples)))
        return self._processes.gather(
            lambda: trainer.score([(trainer.encoded[at], [r.tokens for r in samples[at]]) for at in mine])
        )

    def _save(self, number: int, facts: dict[str, Any], state: dict[str, Any]) -> None:
        with self._directory.round(number).writing_checkpoint(facts) as target:
            save_policy(self._trainer.policy, state, target)

    def _certificate(self, number: int, samples: Sequence[Sequence[Response]]) -> dict[str, Any] | None:
        """P4 for the update that has just made policy `number`; None where the reward is not the log-probability or the
        reference not pi_t, an exact round then being something else than sharpening.

        Scored are a few prompts of each split, spread evenly, so that it stays a small part of the round.
        """
        weight = self._trainer.reward.log_probability_weight
        if weight is None or self._trainer.args.reference == "base":
            return None
        modes, _ = modes_from_table(self._directory.round(number - 1).read_table("modes"))
        splits = [prompt.split for prompt in self._trainer.prompts]
        chosen = [
            of_split[place]
            for name in ("train", "held_out")
            if (of_split := [at for at, split in enumerate(splits) if split == name])
            for place in spread(len(of_split), _SCORED)
        ]
        groups = [
            (self._trainer.encoded[at], [modes[at].mode_tokens, *(r.tokens for r in samples[at])]) for at in chosen
        ]
        after = self._trainer.score(groups)
        if not all(math.isfinite(value) for values in after for value in values):
            return None
        scored = [
            Scored(
                before=(modes[at].logprob_lower, *(r.logprob for r in samples[at])),
                after=tuple(values),
                margin=max(0.0, modes[at].margin_lower),
                trained=splits[at] == "train",
            )
            for at, values in zip(chosen, after, strict=True)
        ]
        return certificate(scored, self._trainer.beta / weight)

    def _enter(self, number: int, stage: str, total: int) -> None:
        self.number, self.stage = number, stage
        self._observer.stage(number, stage, total)

    def _restore(self, number: int) -> None:
        if self._in_memory != number:
            restore_policy(self._trainer.policy, self._directory.round(number).checkpoint())
            self._in_memory = number
        self._trainer.policy.eval()

    def _sample(self, number: int) -> tuple[list[list[Response]], list[Greedy] | None, Drift]:
        trainer, args = self._trainer, self._trainer.args
        self._restore(number)
        self._enter(number, "sample", len(trainer.prompts))
        mine = self._processes.share(range(len(trainer.prompts)))
        with merged(trainer.policy):
            drawn = self._processes.gather(lambda: draw(trainer, number, mine, self._observer.advance))
        samples = [responses for responses, _ in drawn]
        greedy = [answer for _, answer in drawn if answer is not None]
        compared = spread(len(samples), len(samples) if args.rescore else PROMPTS_COMPARED)
        again = self._processes.on_main(
            lambda: trainer.score([(trainer.encoded[at], [r.tokens for r in samples[at]]) for at in compared])
        )
        drift = measure_drift([samples[at] for at in compared], again, args.rescore)
        require_small(drift, args.max_drift, number)
        return (rescore(samples, again) if args.rescore else samples), greedy or None, drift

    def _certify(
        self, number: int, samples: Sequence[Sequence[Response]], greedy: Sequence[Greedy] | None
    ) -> list[ModeBracket]:
        self._enter(number, "certify", len(samples))
        if greedy is not None:
            return certify(self._trainer, range(len(samples)), samples, greedy, self._observer.advance)
        self._restore(number)
        mine = self._processes.share(range(len(samples)))
        with merged(self._trainer.policy):
            return self._processes.gather(
                lambda: certify(self._trainer, mine, [samples[at] for at in mine], None, self._observer.advance)
            )

    def _metrics(self, number: int, samples: Sequence[Sequence[Response]], modes: Sequence[Modes]) -> dict[str, Any]:
        base = modes if number == 0 else modes_from_table(self._directory.round(0).read_table("modes"))[0]
        splits: dict[str, list[Measured]] = {"train": [], "held_out": []}
        for prompt, responses, mode, origin in zip(self._trainer.prompts, samples, modes, base, strict=True):
            correct = [prompt.grade(self._trainer.text(response.tokens)) for response in responses]
            start = origin.mode_tokens if origin.certified else None
            splits[prompt.split].append(Measured(responses, correct, mode, start))
        beta = self._trainer.beta
        trained = summarise(splits["train"], beta)
        return {"round": number, **(trained or {}), "held_out": summarise(splits["held_out"], beta)}

    def _export(self, number: int, history: Sequence[dict[str, Any]]) -> None:
        """Write policy `number` as the run's model."""
        folder = self._directory.path / "model"
        self._restore(number)
        self._enter(number, "save", 1)
        card = model_card(self._directory.record(), history, number)
        self._processes.on_main(lambda: self._write_model(folder, card))

    def _write_model(self, folder: Path, card: str) -> None:
        with replace_folder(folder) as fresh:
            export_model(self._trainer.policy, self._trainer.loaded.tokenizer, fresh)
            (fresh / "README.md").write_text(card, encoding="utf-8")
