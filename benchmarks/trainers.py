"""The same self-rewarding work by srlm and by trl's trainers: seconds, processor seconds and peak memory.

Usage: python benchmarks/trainers.py [REPEATS]     (embedded model, 16 prompts, 16 tokens, LoRA r = 16; default 2)

Every measurement is a process of its own, started anew: loading the model does not count, everything after it does
(sampling, rewards, updates, and for srlm also checkpoints, records and the exported model). Each contender trains on
the same prompts, PASSES times over freshly sampled responses, 8 prompts an optimiser step, and gets the same
self-reward, the log-probability: srlm's is recorded while sampling, trl's comes from a forward pass in its reward
function. OnlineDPOTrainer makes 2 responses a prompt; for 4, each prompt is given twice. Gradient checkpointing is off
for all. "srlm" samples as often as trl does, and once more at the end, because it measures every policy it makes.
"srlm, one round" takes the same optimiser steps as passes over one round's responses, as its defaults do. "srlm,
certified" also finds and proves every prompt's mode after every round; the others leave that out.

Prints a Markdown table; the committed one is benchmarks/results/trainers.md.
"""

import json
import platform
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

PROMPTS, LENGTH, PASSES, STEP = 16, 16, 2, 8
CONTENDERS = ("srlm", "srlm, one round", "OnlineDPOTrainer", "GRPOTrainer", "srlm, certified")


def questions() -> list[str]:
    from srlm.tasks.prompts import load_prompts

    return [str(prompt.content) for prompt in load_prompts(limit=PROMPTS)]


def ours(responses: int, folder: Path, expansions: int = 0, rounds: int = PASSES) -> Callable[[], Any]:
    from srlm.lm.loading import load_model
    from srlm.tasks.prompts import Prompt
    from srlm.training.config import SelfRewardingConfig
    from srlm.training.trainer import SelfRewardingTrainer

    config = SelfRewardingConfig(
        output_dir=str(folder / "run"),
        rounds=rounds,
        num_generations=responses,
        max_completion_length=LENGTH,
        num_train_epochs=PASSES / rounds,
        per_device_train_batch_size=STEP,
        max_expansions=expansions,
        on_signature={"all": "note"},
    )
    return SelfRewardingTrainer(load_model(), config, [Prompt(question) for question in questions()]).train


def settings(folder: Path) -> dict[str, Any]:
    """What both of trl's trainers are told."""
    return {
        "output_dir": str(folder),
        "num_train_epochs": PASSES,
        "learning_rate": 2e-4,
        "temperature": 1.0,
        "top_p": 1.0,
        "top_k": 0,
        "gradient_checkpointing": False,
        "bf16": False,
        "use_cpu": True,
        "report_to": "none",
        "logging_strategy": "no",
        "save_strategy": "no",
        "disable_tqdm": True,
        "dataloader_pin_memory": False,
    }


class SelfReward:
    """log pi(y|x) by a forward pass of the trainer's model: what a trl user writes today."""

    __name__ = "self_reward"

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer, self.model = tokenizer, None

    def __call__(self, prompts: Any, completion_ids: Any, **_: Any) -> list[float]:
        import torch

        from srlm.lm.scoring import pad, response_logprobs

        groups = []
        for prompt, ids in zip(prompts, completion_ids, strict=True):
            text = self.tokenizer.apply_chat_template(prompt, add_generation_prompt=True, tokenize=True)
            end = self.tokenizer.eos_token_id
            kept = list(ids[: ids.index(end) + 1]) if end in ids else list(ids)
            groups.append((list(text["input_ids"]), [kept]))
        with torch.no_grad():
            return response_logprobs(self.model, pad(groups)).tolist()


def theirs(trainer: str, responses: int, folder: Path) -> Callable[[], Any]:
    from datasets import Dataset
    from peft import LoraConfig

    from srlm.lm.loading import load_model

    loaded = load_model()
    adapter = LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM")
    reward = SelfReward(loaded.tokenizer)
    asked: list[Any] = [[{"role": "user", "content": question}] for question in questions()]
    if trainer == "GRPOTrainer":
        from trl import GRPOConfig, GRPOTrainer

        # Its batch counts responses; beta is 0 by default, so that it needs no reference.
        config = GRPOConfig(
            **settings(folder),
            per_device_train_batch_size=STEP * responses,
            num_generations=responses,
            max_completion_length=LENGTH,
        )
        kind: Any = GRPOTrainer
    else:
        from trl.experimental.online_dpo import OnlineDPOConfig, OnlineDPOTrainer

        asked *= responses // 2
        config = OnlineDPOConfig(
            **settings(folder), per_device_train_batch_size=STEP * responses // 2, max_new_tokens=LENGTH
        )
        kind = OnlineDPOTrainer
    made = kind(
        model=loaded.model,
        args=config,
        reward_funcs=reward,
        train_dataset=Dataset.from_dict({"prompt": asked}),
        processing_class=loaded.tokenizer,
        peft_config=adapter,
    )
    reward.model = made.model
    return made.train


def child(contender: str, responses: int) -> dict[str, float]:
    """Measure one contender in this process."""
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        if contender.startswith("srlm"):
            expansions = 2000 if "certified" in contender else 0
            train = ours(responses, Path(folder), expansions, 1 if "one round" in contender else PASSES)
        else:
            train = theirs(contender, responses, Path(folder))
        wall, cpu = time.perf_counter(), time.process_time()
        train()
        return {
            "seconds": time.perf_counter() - wall,
            "cpu": time.process_time() - cpu,
            "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        }


def measure(contender: str, responses: int, repeats: int) -> dict[str, float]:
    """The least of each number over repeats: other work on the machine only adds."""
    runs = []
    for _ in range(repeats):
        done = subprocess.run(
            [sys.executable, "-W", "ignore", __file__, "--child", contender, str(responses)],
            check=True,
            capture_output=True,
            text=True,
        )
        runs.append(json.loads(done.stdout.strip().splitlines()[-1]))
    return {name: min(run[name] for run in runs) for name in runs[0]}


def main() -> None:
    if sys.argv[1:2] == ["--child"]:
        print(json.dumps(child(sys.argv[2], int(sys.argv[3]))))
        return
    import torch

    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 2
    print(
        f"{platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}; {PROMPTS} prompts, "
        f"{PASSES} x {PROMPTS // STEP} optimiser steps, at most {LENGTH} tokens; least of {repeats}\n"
    )
    print("| K | trainer | seconds | processor seconds | peak GB | time against srlm | srlm's memory against it |")
    print("|---|---|---|---|---|---|---|")
    for responses in (2, 4):
        found: dict[str, dict[str, float]] = {}
        for contender in CONTENDERS:
            found[contender] = one = measure(contender, responses, repeats)
            base = found["srlm"]
            print(
                f"| {responses} | {contender} | {one['seconds']:.1f} | {one['cpu']:.1f} | {one['peak'] / 1e9:.2f} "
                f"| {one['seconds'] / base['seconds']:.2f} | {base['peak'] / one['peak']:.2f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
