"""A self-rewarding run, round after round, resumable at any instant.

    for n = 0..T, each line only where its manifest is not in place yet:
      policy    n > 0:  groups = update.groups(what round n-1 measured, beta)
                        learner.restore(n-1); learner.fit(groups)                     -> checkpoint
      samples   rollouts = engine.at(n).draw(prompts); again = learner.score(some)    -> samples.parquet
      modes     brackets = widen(certifier.certify(n, prompts, rollouts))             -> modes.parquet (of responses)
      metrics   record = measure_round(n, rollouts, brackets, history)                -> metrics.json
      decision  decide(history + record) -> go on | stop | go back to the best round
    learner.export(model)

Folder NN describes policy NN; round 00 is the untouched base model. Every stage is a function of the configuration, the
seed and the files before it, so a killed run ends as an undisturbed one.

Knows: the order of stages and what each leaves on disk, through a `Learner`, an `Engine` and a `Certifier`. Refuses to
know: torch, trainers, which engine, how anything is measured.
"""

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from srlm.engines.drawing import draw_until_certain
from srlm.engines.engine import Draw, Encoded, PolicyVersion, Sampler
from srlm.errors import InputError
from srlm.measure.decision import Decision, best_round, decide, diverged, round_to_return_to
from srlm.measure.forecast import forecast_run
from srlm.measure.numerics import measure_drift, parity_of, require_small, rescore, some_of_every_server
from srlm.measure.round import measure_round
from srlm.records.atomic import replace_folder
from srlm.records.model_card import model_card
from srlm.records.numerics import NumericsRecord
from srlm.records.progress import Observer
from srlm.records.responses import ModeBracket, Rollout, widen
from srlm.records.rounds import SPLITS, RoundRecord, Split
from srlm.records.run_directory import RunDirectory, Stage
from srlm.records.tables import (
    beside_of,
    drift_of,
    modes_from_table,
    modes_to_table,
    samples_from_table,
    samples_to_table,
    seconds_of,
)
from srlm.rewards.mixture import RewardContext
from srlm.tasks.readable import require_answers
from srlm.training.answering import beta_of_answers, measured_answers
from srlm.training.beside import document
from srlm.training.reached import compared, errors, projected
from srlm.training.update import Group, reward_record
from srlm.training.work import Work

# Rounds of the forecast, whatever the run is told: it may be told more when it is resumed.
_FORETOLD = 10


def run_rounds(work: Work, directory: RunDirectory, observer: Observer) -> None:
    """Bring the run to its last round, or to the one at which a decision ends it, and export its model, doing only what
    is not on disk yet.

    Args:
        work: what it is made of.
        directory: the run's folder, created or opened by the caller.
        observer: is told about every stage.

    Raises:
        InputError: as `work.explain` puts an error of a stage; any other error as it is. `run.json` says what ended it.
    """
    run = _Run(work, directory, observer)
    try:
        run.finish()
    except BaseException as error:
        stopped = isinstance(error, KeyboardInterrupt)
        why = "interrupted by the user" if stopped else f"{type(error).__name__}: {error}"
        with suppress(OSError):  # on a full disk the record stays "running"; resuming treats both alike
            if work.processes.main:
                directory.update(status="stopped" if stopped else "failed", reason=why)
        if sentence := work.explain(error, run.number, run.stage):
            raise InputError(sentence) from error
        raise


class _Run:
    """One run in progress."""

    def __init__(self, work: Work, directory: RunDirectory, observer: Observer) -> None:
        self._work, self._settings, self._processes = work, work.settings, work.processes
        self._directory, self._observer = directory, observer
        self.number, self.stage = 0, "sample"  # where the run is

    def finish(self) -> None:
        self._observer.begin(self._settings.rounds)
        history: list[RoundRecord] = []
        decision: Decision | None = None
        stages: tuple[Stage, ...] = ("metrics", "checkpoint", *self._directory.tables)
        for number in range(self._settings.rounds + 1):
            try:
                if not all(map(self._directory.round(number).is_complete, stages)):
                    self._round(number, history)
            except FloatingPointError as error:
                if number == 0:
                    raise
                decision = diverged(number, history, str(error), self._work.gate)
            else:
                history.append(self._directory.round(number).read())
                decision = decide(history, self._work.actions, self._work.gate)
            if decision is not None:
                self._end_early(number, decision, history)
                return
            self._prune(history)
        best = best_round(history, self._work.gate)
        self._export(best.round, history)
        self._conclude(status="done", reason=None, best_round=best.round, choice=asdict(best), control=None)

    def _end_early(self, number: int, decision: Decision, history: Sequence[RoundRecord]) -> None:
        self._export(decision.keep, history)
        control = {
            "round": number,
            "action": decision.action,
            "signatures": list(decision.signatures),
            "model_of_round": decision.keep,
        }
        best = decision.keep if decision.action == "rollback" else None
        self._conclude(status="stopped", reason=decision.reason, best_round=best, control=control)

    def _conclude(self, **facts: Any) -> None:
        self._processes.on_main(lambda: self._directory.update(**facts))

    def _prune(self, history: Sequence[RoundRecord]) -> None:
        """With `keep_checkpoints` "best_and_last", remove the weights of every other round; its record stays."""
        if self._settings.keep_checkpoints != "best_and_last" or not self._processes.main:
            return
        base = {0} if self._settings.reference == "base" or self._work.reward.asks_base else set()
        kept = {round_to_return_to(history, self._work.gate).round, len(history) - 1} | base
        for number in set(range(len(history))) - kept:
            shutil.rmtree(self._directory.round(number).path / "checkpoint", ignore_errors=True)

    def _round(self, number: int, history: Sequence[RoundRecord]) -> None:
        folder = self._directory.round(number)
        if not folder.is_complete("checkpoint"):
            self._make_policy(number)
        facts = folder.checkpoint_facts()
        if not folder.is_complete("samples"):
            self._sample(number)
        samples = folder.read_table("samples")
        rollouts = samples_from_table(samples)
        beside, engine = beside_of(samples), self._work.engine
        seconds = {"sample": seconds_of(samples), "train": facts["seconds"]}
        seconds["measure"] = facts.get("certificate_seconds", 0.0) + beside.get("seconds", 0.0)
        tokens = sum(len(response.tokens) for rollout in rollouts for response in rollout.responses)
        names = ("update", "reward", "certificate", "projection")
        told = {name: facts.get(name) for name in names} | {name: beside.get(name) for name in ("retention", "gate")}
        told |= {"history": history, "loss": facts["loss"], "drift": drift_of(samples), "seconds": seconds}
        told |= {"tokens": {"sampled": tokens, "trained": facts["tokens"]}}
        parity = parity_of(told["drift"])
        told |= {"numerics": NumericsRecord(engine=engine.name, dtype=engine.dtype, parity=parity)}
        if self._work.answers is None:
            record = self._measured_responses(number, rollouts, told)
        else:
            base = rollouts if number == 0 else self._rollouts(0)
            previous = self._rollouts(number - 1) if number else None
            record = measured_answers(self._work, number, rollouts, base, previous, _FORETOLD, **told)
        self._processes.on_main(lambda: folder.write_metrics(record.to_document()))
        self._work.learner.log_round(self._steps(number), record)
        self._observer.round_done(self._directory, record)

    def _measured_responses(self, number: int, rollouts: Sequence[Rollout], told: dict[str, Any]) -> RoundRecord:
        """The record of a round whose modes are searched."""
        folder = self._directory.round(number)
        if not folder.is_complete("modes"):
            self._certify(number, rollouts)
        table = folder.read_table("modes")
        modes = modes_from_table(table)
        splits: list[Split] = [prompt.split for prompt in self._work.prompts]
        told["seconds"]["certify"] = seconds_of(table)
        told["numerics"] = told["numerics"].model_copy(update={"widened": max(one.widening for one in modes)})
        if number == 0:
            measured = zip(splits, rollouts, modes, strict=True)
            told |= forecast_run(measured, self._work.exact_beta, _FORETOLD, self._settings.seed)
        return measure_round(
            number,
            splits,
            rollouts,
            modes,
            base=modes if number == 0 else self._modes(0),
            base_rollouts=rollouts if number == 0 else self._rollouts(0),
            previous=self._modes(number - 1) if number else None,
            beta=self._work.exact_beta or self._work.beta,
            **told,
        )

    def _steps(self, number: int) -> int:
        """Optimiser steps that led to policy `number`, as far as the records count them."""
        updates = [self._directory.round(at).checkpoint_facts().get("update") or {} for at in range(1, number + 1)]
        return sum(update.get("steps", 0) for update in updates)

    def _rollouts(self, number: int) -> list[Rollout]:
        return samples_from_table(self._directory.round(number).read_table("samples"))

    def _modes(self, number: int) -> list[ModeBracket]:
        return modes_from_table(self._directory.round(number).read_table("modes"))

    def _version(self, number: int) -> PolicyVersion:
        folder = self._directory.round(number)
        return PolicyVersion(number, folder.checkpoint(), folder.drawn)

    def _enter(self, number: int, stage: str, total: int) -> None:
        self.number, self.stage = number, stage
        self._observer.stage(number, stage, total)

    # Stage 1: the policy.

    def _make_policy(self, number: int) -> None:
        """Train policy `number` from the round before (or take the base model) and write its checkpoint."""
        facts = self._train(number) if number > 0 else {"loss": None, "tokens": 0, "seconds": 0.0}
        self._enter(number, "save", 1)
        write = self._work.learner.snapshot(number)
        self._processes.on_main(lambda: self._save(number, facts, write))

    def _save(self, number: int, facts: Mapping[str, Any], write: Callable[[Path], None]) -> None:
        with self._directory.round(number).writing_checkpoint(facts) as target:
            write(target)

    def _train(self, number: int) -> dict[str, Any]:
        learner, work = self._work.learner, self._work
        rollouts = self._rollouts(number - 1)
        modes: Sequence[ModeBracket | None] = [None] * len(rollouts)
        if work.answers is None:
            modes = self._modes(number - 1)
        beta = work.beta if work.answers is None else beta_of_answers(work, self._rollouts(0))
        began = time.perf_counter()
        known = [work.update.responses(*pair) for pair in zip(rollouts, modes, strict=True)]
        reference = base = [rollout.logprobs for rollout in known]
        if self._settings.reference == "base" or work.reward.asks_base:
            learner.restore(self._version(0))
            base = self._scored(known, range(len(known)))
            reference = base if self._settings.reference == "base" else reference
        learner.restore(self._version(number - 1))
        contexts = [replace(learner.reward_context(), base_logps=dict(enumerate(base))) for _ in SPLITS]

        def groups(split: Split, context: RewardContext) -> list[Group]:
            used = [at for at, prompt in enumerate(work.prompts) if prompt.split == split]
            chosen = [known[at] for at in used], [modes[at] for at in used], [reference[at] for at in used]
            return work.groups(*chosen, context, beta or 1.0)

        context = contexts[0]
        trained = self._processes.on_main(lambda: groups("train", context))
        held_out: Sequence[Group] = ()
        if self._settings.early_stopping_patience:
            held_out = self._processes.on_main(lambda: groups("held_out", contexts[1]))
        spent = time.perf_counter() - began
        began = time.perf_counter()
        exact = work.exact_beta
        searched = [] if exact is None else self._modes(number - 1)
        scored = compared(work.prompts, work.encoded, rollouts, searched) if searched else []
        before = self._processes.on_main(lambda: learner.score([group for _, group in scored]))
        checked, began = time.perf_counter() - began, time.perf_counter()
        self._enter(number, "train", learner.steps_per_update(len(trained)))
        update = learner.fit(trained, beta or 1.0, held_out, self._steps(number - 1), self._observer.advance)
        spent, began = spent + time.perf_counter() - began, time.perf_counter()
        after = self._processes.on_main(lambda: learner.score([group for _, group in scored]))
        certificate = errors(work.prompts, [at for at, _ in scored], searched, before, after, exact)
        projection = None
        if trained[0].weights and work.answers is None:
            reached = self._processes.on_main(lambda: learner.score([(one.prompt, one.responses) for one in trained]))
            projection = projected(trained, reached, known, searched, None if exact is None else 1 + 1 / exact)
        return {
            "loss": update.loss,
            "tokens": sum(len(tokens) for group in trained for tokens in group.responses),
            "seconds": spent,
            "update": update.model_dump(mode="json"),
            "reward": reward_record(trained, context.metrics()).model_dump(mode="json"),
            "certificate": certificate and certificate.model_dump(mode="json"),
            "projection": projection and projection.model_dump(mode="json"),
            "certificate_seconds": checked + time.perf_counter() - began,
        }

    # Stage 2: samples.

    def _sample(self, number: int) -> None:
        work, settings, prompts = self._work, self._settings, self._work.prompts
        version = self._version(number)
        self._enter(number, "sample", len(prompts))
        began = time.perf_counter()
        work.learner.restore(version)  # before sampling: an engine may have responses scored
        ask, sampler, mine = work.ask(number), work.engine.at(version), self._processes.share(work.encoded)
        rollouts = self._processes.gather(lambda: self._drawn(number, sampler, mine, ask))
        if settings.rescore:
            compared = list(range(len(rollouts)))
            again = self._scored(rollouts, compared)
        else:  # too few to be dealt out
            compared = some_of_every_server(rollouts)
            some = [(work.encoded[at].tokens, rollouts[at].tokens) for at in compared]
            again = self._processes.on_main(lambda: work.learner.score(some))
        drift = measure_drift([rollouts[at] for at in compared], again, settings.rescore)
        drift = drift.model_copy(update={"unsaid": sum(one.unsaid for one in rollouts)})
        require_small(drift, settings.max_drift, number, served=not work.engine.scores)
        if settings.rescore:
            rollouts = rescore(rollouts, again)
        graded = work.graded(rollouts, self._rollouts(number - 1) if number and work.answers else None)
        if work.answers is not None and number == 0:
            require_answers(graded, work.answers, go_on=settings.accept_unreadable)
        taken, began = time.perf_counter() - began, time.perf_counter()
        beside = self._beside(number, graded, sampler, ask)
        beside["seconds"] = time.perf_counter() - began
        table = samples_to_table(prompts, graded, taken, drift, beside)
        self._processes.on_main(lambda: self._directory.round(number).write_table("samples", table))

    def _drawn(self, number: int, sampler: Sampler, mine: Sequence[Encoded], ask: Draw) -> list[Rollout]:
        """What the policy says to the prompts of this process."""
        work = self._work
        if work.answers is None or not self._settings.until_certain:
            return sampler.draw(mine, ask, self._observer.advance)
        before = self._rollouts(number - 1) if number else [None] * len(work.prompts)
        return draw_until_certain(
            sampler,
            [work.prompts[one.number] for one in mine],
            mine,
            ask,
            work.answers,
            [before[one.number] for one in mine],
            self._settings.confidence,
            len(work.prompts),
            self._observer.advance,
        )

    def _scored(self, rollouts: Sequence[Rollout], prompts: Sequence[int]) -> list[list[float]]:
        """The samples of some prompts under the policy as it is now, each prompt scored by one of the processes."""
        mine = self._processes.share(prompts)
        groups = [(self._work.encoded[at].tokens, rollouts[at].tokens) for at in mine]
        return self._processes.gather(lambda: self._work.learner.score(groups))

    def _beside(self, number: int, rollouts: Sequence[Rollout], sampler: Sampler, ask: Draw) -> dict[str, Any]:
        """What is measured of policy `number`, which the learner holds, beside the run's prompts."""
        work, text = self._work, None
        if number:
            first = self._directory.round(0).read_table("samples")
            rollouts, text = samples_from_table(first), beside_of(first).get("passages", ())
        score = work.learner.score
        kept = work.beside.retained(work.prompts, work.encoded, rollouts, score, self._processes, text)
        return document(*kept, work.beside.answers(sampler, replace(ask, greedy=False), self._processes))

    # Stage 3: modes.

    def _certify(self, number: int, rollouts: Sequence[Rollout]) -> None:
        work, version = self._work, self._version(number)
        self._enter(number, "certify", len(rollouts))
        began = time.perf_counter()
        mine = self._processes.share(range(len(rollouts)))
        encoded, known = [work.encoded[at] for at in mine], [rollouts[at] for at in mine]
        brackets = self._processes.gather(
            lambda: work.certifier.certify(version, encoded, known, self._observer.advance)
        )
        drift = drift_of(self._directory.round(number).read_table("samples"))
        # In this process samples and search share their numerics.
        sampled = 0.0 if work.engine.scores or drift is None or drift.rescored else drift.max
        widened = widen(brackets, sampled)
        graded = [prompt.graded_bracket(one) for prompt, one in zip(work.prompts, widened, strict=True)]
        table = modes_to_table(work.prompts, graded, time.perf_counter() - began)
        self._processes.on_main(lambda: self._directory.round(number).write_table("modes", table))

    def _export(self, number: int, history: Sequence[RoundRecord]) -> None:
        """Write policy `number` as the run's model."""
        self._work.learner.restore(self._version(number))
        self._enter(number, "save", 1)
        card = model_card(self._directory.record(), history, number)
        self._processes.on_main(lambda: self._write_model(card))

    def _write_model(self, card: str) -> None:
        with replace_folder(self._directory.path / "model") as fresh:
            self._work.learner.export(fresh)
            (fresh / "README.md").write_text(card, encoding="utf-8")
