"""What runs in `quality.py`: one evaluation for all, runs of srlm, trl's trainers.

Knows: models, clocks, when they stop. Refuses to know: which methods are compared, files of results, tables.
"""

import json
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from srlm.records.atomic import write_json, write_text
from srlm.records.progress import Observer

SPLITS = ("train", "held_out")
ROUNDS, SAMPLES, STEP = 3, 4, 8
SEED = 1_000_003  # of the evaluation, unlike any run's
MARKS = (30, 60, 90, 120, 180, 240, 360, 480, 720, 960, 1440)


@dataclass(frozen=True, slots=True)
class Method:
    """One contender: its name in tables, its seeds, and what it is: options of a run, a single response to every prompt
    chosen from (rollout, mode), or a trainer of trl with its learning rate.
    """

    title: str
    seeds: int = 1
    options: dict[str, Any] = field(default_factory=dict)
    choose: Callable[[Any, Any], Any] | None = None
    trl: tuple[str, float] | None = None


class Evaluation:
    """The one evaluation. The base model is evaluated once and kept beside the results."""

    def __init__(self, base_model: Any, prompts: Sequence[Any], engine: Any, length: int, kept: Path) -> None:
        from srlm.engines.engine import Encoded, PolicyVersion
        from srlm.lm.encoding import checksum_of, encode_prompts

        self.prompts = [one for one in prompts if one.split in SPLITS]
        tokens = encode_prompts(self.prompts, base_model, max_new_tokens=length)
        self.encoded = [Encoded(number, tuple(ids)) for number, ids in enumerate(tokens)]
        self.checksum = f"{base_model.checksum} {checksum_of(self.prompts, tokens)}"
        self.engine, self.length, self.base = engine, length, None
        found = json.loads(kept.read_text(encoding="utf-8")) if kept.is_file() else {}
        if found.get("checksum") != self.checksum:
            point, modes = self._measured(PolicyVersion(0))
            found = {"checksum": self.checksum, "point": point, "modes": modes}
            write_text(kept, json.dumps(found, separators=(",", ":")) + "\n")
        self.base, self.start = found["modes"], found["point"]

    def __call__(self, policy: Any) -> dict[str, Any]:
        return self._measured(policy)[0]

    def _measured(self, policy: Any) -> tuple[dict[str, Any], list[Any]]:
        """Lists with one entry a prompt, by split; and the tokens of the modes, None where none is proved."""
        from srlm.engines.engine import Draw
        from srlm.engines.search import Search
        from srlm.records.responses import widen
        from srlm.training.settings import RunSettings

        rollouts = self.engine.at(policy).draw(self.encoded, Draw(SAMPLES, self.length, SEED, 0))
        search = Search(self.engine, self.length, RunSettings().max_expansions, k_best=1)
        brackets = search.certify(policy, self.encoded, rollouts)
        modes = widen(brackets)
        proved = [list(one.mode.tokens) if one.certified else None for one in modes]
        point: dict[str, Any] = {split: {} for split in SPLITS}
        for at, (prompt, rollout, mode) in enumerate(zip(self.prompts, rollouts, modes, strict=True)):
            drawn, bracket = prompt.graded_rollout(rollout).responses, prompt.graded_bracket(mode)
            before = self.base[at] if self.base else proved[at]
            facts = {
                "samples": None if drawn[0].correct is None else float(np.mean([one.correct for one in drawn])),
                "greedy": bracket.greedy.correct,
                "modes": bracket.mode.correct,
                "drift": None if before is None or proved[at] is None else proved[at] != before,
                "certified": bracket.certified,
                "logp": round(bracket.logprob_lower, 5),
                "entropy": round(float(np.mean([one.entropy for one in drawn])), 5),
            }
            for name, value in facts.items():
                point[prompt.split].setdefault(name, []).append(int(value) if isinstance(value, bool) else value)
        return point, proved


class Clock(Observer):
    """Seconds of a run until each policy was on disk, and until its round was measured. A run that was killed goes on
    from the last stage that began, which it does anew.
    """

    def __init__(self, file: Path) -> None:
        known = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
        self.file, self.before, self.began = file, known.get("before", 0.0), time.perf_counter()
        self.ready, self.measured = known.get("ready", {}), known.get("measured", {})

    def begin(self, rounds: int) -> None:
        self.began = time.perf_counter()

    def stage(self, round_number: int, name: str, total: int) -> None:
        if name == "sample":
            self.ready.setdefault(str(round_number), self._now())
        self._write()

    def round_done(self, directory: Any, record: Any) -> None:
        self.measured.setdefault(str(record.round), self._now())
        self._write()

    def _now(self) -> float:
        return self.before + time.perf_counter() - self.began

    def _write(self) -> None:
        write_json(self.file, {"before": self._now(), "ready": self.ready, "measured": self.measured})


def run_srlm(method: Method, seed: int, asked: Any, save: Callable[..., None]) -> None:
    """Run the method to its last round, then evaluate every policy that it left."""
    from srlm.engines.engine import PolicyVersion
    from srlm.training.settings import Request
    from srlm.training.start import prepared
    from srlm.training.trainer import SelfRewardingTrainer
    from srlm.training.update import Group
    from srlm.training.updates import best_of_k_loss

    folder = asked.runs / f"{asked.method}-{seed}"
    options = {"rounds": ROUNDS, "seed": seed, "output_dir": str(folder), **method.options}
    if method.choose is not None:
        options |= {"max_expansions": 0, "loss_type": "best_of_k", "gate": "off"}
    config, prompts, loaded = prepared(
        Request(model=asked.model, prompts=asked.prompts, options=options, resume=True, device="cpu")
    )
    trained = prompts if method.choose is None else [one for one in prompts if one.split == "train"]
    trainer = SelfRewardingTrainer(loaded, config, trained)
    if (choose := method.choose) is not None:

        def single(measured: Sequence[Any], beta: float) -> list[Group]:
            chosen = [(one.prompt.tokens, choose(one.rollout, one.mode).tokens) for one in measured]
            return [Group(prompt, (tokens,), (0.0,), (0.0,)) for prompt, tokens in chosen]

        update = replace(trainer.parts.update, groups=single, loss=best_of_k_loss)
        trainer.parts = replace(trainer.parts, update=update)
    clock = Clock(asked.runs / f"{asked.method}-{seed}.clock.json")
    run = trainer.train(resume_from_checkpoint=True, observer=clock)
    trainer.restore(PolicyVersion(0, run.round(0).checkpoint()))
    evaluate = Evaluation(loaded, prompts, trainer.engine, config.max_completion_length, asked.folder / "base.json")
    about = {name: value for name, value in run.record().items() if name not in ("configuration", "versions")}
    points: list[dict[str, Any]] = []
    for number in run.completed_rounds():
        policy = PolicyVersion(number, run.round(number).checkpoint())
        seconds = {"seconds": clock.ready[str(number)], "measured": clock.measured[str(number)]}
        metrics = run.round(number).metrics()
        point = evaluate(policy) if number else evaluate.start
        points.append({"at": f"round {number:02d}", **seconds, **point, "record": recorded(metrics)})
        save(points, evaluate.checksum, run=about)
    save(points, evaluate.checksum, run=about, done=True)
    for place in (folder / "model", *folder.glob("rounds/*/checkpoint")):  # gigabytes in all; records stay
        shutil.rmtree(place, ignore_errors=True)


def recorded(metrics: dict[str, Any]) -> dict[str, Any]:
    """What only the run's own records know of a round, as far as they do."""
    kept = {name: metrics[name] for name in ("projection", "retention", "seconds", "tokens") if metrics.get(name)}
    names = ("population", "kept_confidence", "kept_confidence_se", "intervals", "fates", "flips", "distinct")
    parts = {"train": metrics, "held_out": metrics.get("held_out") or {}}
    return kept | {split: {name: part[name] for name in names if part.get(name)} for split, part in parts.items()}


def run_trl(method: Method, seed: int, asked: Any, save: Callable[..., None]) -> None:
    """Train for the budget, evaluating where the marks are passed, with the clock stopped."""
    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import TrainerCallback

    from srlm.engines.transformers import InProcess
    from srlm.lm.loading import load_model
    from srlm.lm.scoring import has_plain_head, has_tree_attention, score_responses
    from srlm.tasks.prompts import load_prompts
    from srlm.training.settings import RunSettings
    from srlm.training.weights import merged
    from trainers import settings

    assert method.trl is not None
    (name, rate), length = method.trl, RunSettings().max_completion_length
    loaded, prompts = load_model(asked.model, device="cpu"), load_prompts(asked.prompts)
    tree, trained = has_tree_attention(loaded.model), [one for one in prompts if one.split == "train"]
    evaluate = Evaluation(loaded, prompts, InProcess(loaded, loaded.model, tree), length, asked.folder / "base.json")
    told: dict[str, Any] = {
        **settings(asked.runs / f"{asked.method}-{seed}"),
        "num_train_epochs": 10_000,
        "learning_rate": rate,
        "lr_scheduler_type": "constant",
        "seed": seed,
    }
    latest: list[float] = []

    def reward(prompts: Any, completion_ids: Any, **more: Any) -> list[float]:
        if latest:  # OnlineDPOTrainer's own
            return latest
        groups = []
        for _, members in groupby(zip(prompts, completion_ids, strict=True), key=lambda one: str(one[0])):
            asked_for, replies = zip(*members, strict=True)
            text: Any = loaded.tokenizer.apply_chat_template(asked_for[0], add_generation_prompt=True, tokenize=True)
            groups.append((list(text["input_ids"]), [list(one) for one in replies]))
        scores = score_responses(policy, groups, tree_attention=tree, plain_head=plain)
        return [value for group in scores for value in group]

    if name == "grpo":
        from trl.trainer.grpo_config import GRPOConfig
        from trl.trainer.grpo_trainer import GRPOTrainer

        kind: Any = GRPOTrainer
        config: Any = GRPOConfig(
            **told,
            per_device_train_batch_size=STEP * SAMPLES,
            num_generations=SAMPLES,
            max_completion_length=length,
        )
    else:
        from trl.experimental.online_dpo import OnlineDPOConfig, OnlineDPOTrainer

        class Scoring(OnlineDPOTrainer):
            """Keeps the log-probabilities that it computes just before it asks for rewards."""

            def _forward(self, *arguments: Any, **more: Any) -> Any:
                logps = super()._forward(*arguments, **more)
                if torch.is_grad_enabled():
                    mask = arguments[4]
                    latest[:] = (logps.detach() * mask).sum(1).tolist()
                return logps

        kind, config = Scoring, OnlineDPOConfig(**told, per_device_train_batch_size=STEP, max_new_tokens=length)
    torch.manual_seed(seed)  # peft draws the adapter before any trainer seeds
    trainer = kind(
        model=loaded.model,
        args=config,
        reward_funcs=reward,
        train_dataset=Dataset.from_dict({"prompt": [[{"role": "user", "content": one.text}] for one in trained]}),
        processing_class=loaded.tokenizer,
        peft_config=LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM"),
    )
    policy = trainer.accelerator.unwrap_model(trainer.model)
    plain = tree and has_plain_head(policy)

    @contextmanager
    def hold(_: Any) -> Iterator[None]:
        policy.eval()
        with merged(policy):
            yield
        policy.train()

    evaluate.engine = InProcess(loaded, policy, tree, hold)
    points = [{"at": "start", "seconds": 0.0, **evaluate.start}]

    class Pauses(TrainerCallback):
        paused = 0.0

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            now = time.perf_counter()
            seconds = now - began - self.paused
            over = seconds >= asked.budget
            if over or any(points[-1]["seconds"] < mark <= seconds for mark in MARKS):
                points.append({"at": f"step {state.global_step}", "seconds": seconds, **evaluate(None)})
                save(points, evaluate.checksum)
            control.should_training_stop = over
            self.paused += time.perf_counter() - now

    trainer.add_callback(Pauses())
    began = time.perf_counter()
    trainer.train()
    save(points, evaluate.checksum, done=True)
