"""How often each signature speaks: on planted failures (detection) and on healthy runs (false alarms).

Usage: python benchmarks/signatures.py [SEEDS]     (tiny Llamas, 36 prompts, 3 rounds; default 10 seeds)

Every seed is another model, trained here on another noisy sample of a small task so that self-rewarding has something
latent to sharpen, with other prompts and other samples. A failure is planted by a reward or a rate that produces it; it
counts as detected when its signature speaks at any round, and as ended when the default actions end the run. Nothing is
really ended here: all signatures are noted and the decision is taken afterwards. The last table says which round the
gate would export of the whole run, and what held-out prompts get from it and from the last round. Prints three Markdown
tables; the committed ones are benchmarks/results/signatures.md.
"""

import copy
import operator
import random
import sys
import tempfile
import warnings
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, partial
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from srlm.lm.loading import as_loaded
from srlm.measure.decision import best_round, checked_actions, decide
from srlm.measure.signatures import SIGNATURES
from srlm.records.rounds import RoundRecord
from srlm.tasks.prompts import Prompt
from srlm.training.config import SelfRewardingConfig
from srlm.training.trainer import SelfRewardingTrainer

WORDS = [f"w{n}" for n in range(30)]
PROMPTS, LENGTH, ROUNDS, PRETRAINING = 36, 6, 3, 1200


@dataclass(frozen=True, slots=True)
class Plant:
    """A run's setting and the signatures of which at least one must speak."""

    expected: tuple[str, ...]
    reward: Callable[..., list[float]] | None = None
    options: dict[str, Any] = field(default_factory=dict)


def by_tokens(value: Callable[[list[int]], float]) -> Callable[..., list[float]]:
    """A reward that looks at a response's tokens alone."""

    def reward(prompts: Any, completions: Any, *, completion_ids: Any, **_: Any) -> list[float]:
        return [value(list(ids)) for ids in completion_ids]

    return reward


def against(prompts: Any, completions: Any, *, logps: Any, **_: Any) -> list[float]:
    """Prefers what the model finds unlikely."""
    return [-value for value in logps]


noise = by_tokens(lambda ids: zlib.crc32(repr(ids).encode()) % 1000 / 50)
RATE = 3e-3  # right on average for these models
LARGE = {"learning_rate": 0.1, "lr_scheduler_type": "constant"}
HEALTHY = Plant(())
PLANTS: dict[str, Plant] = {
    "noisy reward, large rate": Plant(
        ("one_answer_for_all", "accuracy_falls", "kappa_rises", "length_collapses", "length_explodes"),
        noise,
        LARGE,
    ),
    "noisy reward": Plant(("modes_flip", "peaked"), noise),
    "rate 30 times too large": Plant(("modes_flip", "peaked"), None, {"learning_rate": 30 * RATE}),
    "reward against the model": Plant(("kappa_rises",), against),
    "reward for brevity": Plant(("length_collapses",), by_tokens(lambda ids: -4.0 * len(ids))),
    "reward for length": Plant(("length_explodes",), by_tokens(lambda ids: 4.0 * len(ids))),
    "reward for one word": Plant(
        ("one_answer_for_all", "modes_drift"), by_tokens(lambda ids: 4.0 * ids.count(7)), {"learning_rate": 1e-2}
    ),
    "constant reward": Plant(("rewards_tie",), by_tokens(lambda ids: 1.0)),
    "rate far too small": Plant(("kappa_stalls",), None, {"learning_rate": 1e-8}),
    "rate far too large": Plant(
        ("kappa_rises", "one_answer_for_all", "accuracy_falls", "length_collapses", "length_explodes", "modes_drift"),
        None,
        {"learning_rate": 1.0, "lr_scheduler_type": "constant"},
    ),
}


def answer_to(prompt: list[int]) -> list[int]:
    """The task: the words that follow the prompt's last two in the list of words, last one first."""
    return [2 + (token - 1) % len(WORDS) for token in (prompt[-1], prompt[-2])]


@cache
def pretrained(seed: int) -> Any:
    """A two-layer Llama that has seen the task with much noise, so that it can do it and mostly does not: every word
    is wrong with probability 0.4, and a third of the answers run on. Its modes are right, its samples rarely are.
    """
    words = ["<end>", "<unk>", *WORDS]
    core = Tokenizer(models.WordLevel({word: at for at, word in enumerate(words)}, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, eos_token="<end>", unk_token="<unk>", pad_token="<end>")
    rng = random.Random(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = LlamaForCausalLM(
            LlamaConfig(
                vocab_size=len(words),
                hidden_size=64,
                intermediate_size=128,
                num_hidden_layers=2,
                num_attention_heads=4,
                num_key_value_heads=2,
                max_position_embeddings=64,
                bos_token_id=None,
                eos_token_id=0,
                pad_token_id=0,
                tie_word_embeddings=False,
            )
        )
        optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3)
        rates = torch.optim.lr_scheduler.OneCycleLR(optimiser, 5e-3, PRETRAINING)
        for _ in range(PRETRAINING):
            rows = [example(rng) for _ in range(64)]
            ids = torch.zeros(len(rows), 3 + LENGTH + 1, dtype=torch.long)
            labels = torch.full_like(ids, -100)
            for at, (prompt, reply) in enumerate(rows):
                ids[at, : 3 + len(reply)] = torch.tensor(prompt + reply)
                labels[at, 3 : 3 + len(reply)] = torch.tensor(reply)
            optimiser.zero_grad()
            model(input_ids=ids, labels=labels).loss.backward()
            optimiser.step()
            rates.step()
    return as_loaded(model.eval().requires_grad_(False), tokenizer)


def example(rng: random.Random) -> tuple[list[int], list[int]]:
    """A prompt and a noisy reply to it."""
    prompt = [rng.randrange(2, 2 + len(WORDS)) for _ in range(3)]
    reply = [rng.randrange(2, 2 + len(WORDS)) if rng.random() < 0.4 else word for word in answer_to(prompt)]
    while len(reply) < LENGTH and rng.random() < 0.33:
        reply.append(rng.randrange(2, 2 + len(WORDS)))
    return prompt, [*reply, 0]


def questions(seed: int) -> list[Prompt]:
    """Prompts with their right answers, a third of them held out."""
    rng = random.Random(1000 + seed)
    found = []
    for at in range(PROMPTS):
        prompt, _ = example(rng)
        text, answer = (" ".join(WORDS[token - 2] for token in tokens) for tokens in (prompt, answer_to(prompt)))
        found.append(
            Prompt(text, "held_out" if at % 3 == 2 else "train", (answer,), judge=partial(operator.eq, answer))
        )
    return found


def measure(plant: Plant, seed: int) -> list[RoundRecord] | None:
    """The rounds of one run; None where its update left no numbers (which always ends a run)."""
    loaded = copy.deepcopy(pretrained(seed))
    with tempfile.TemporaryDirectory() as folder:
        options: dict[str, Any] = {
            "output_dir": str(Path(folder) / "run"),
            "rounds": ROUNDS,
            "max_completion_length": LENGTH,
            "learning_rate": RATE,
            "logging_strategy": "no",
            "seed": seed,
            "max_expansions": 500,
            "on_signature": {"all": "note"},
        }
        config = SelfRewardingConfig(**(options | plant.options))
        trainer = SelfRewardingTrainer(loaded, config, questions(seed), reward_funcs=plant.reward)
        directory = trainer.train()
        rounds = [directory.round(number).read() for number in directory.completed_rounds()]
        return rounds if directory.record()["status"] == "done" else None


def spoken(rounds: list[RoundRecord] | None) -> set[str]:
    """Every signature that spoke at any round."""
    return {one.name for record in rounds or [] for one in record.signatures or ()}


def ended(rounds: list[RoundRecord] | None) -> bool:
    """Whether the default actions would have ended the run."""
    if rounds is None:
        return True
    actions = checked_actions(None)
    return any(decide(rounds[: number + 1], actions) is not None for number in range(len(rounds)))


def exported(name: str, runs: list[list[RoundRecord] | None]) -> str:
    """A row about what the gate keeps: how often each round; held-out prompts there, at the last round and at 00."""
    whole = [rounds for rounds in runs if rounds]
    kept = [rounds[best_round(rounds).round] for rounds in whole]
    count = Counter(one.round for one in kept)
    cells = [name, ", ".join(f"{number:02d} {count[number]}" for number in sorted(count))]
    for value in (lambda split: split.kept_confidence, lambda split: split.accuracy.sample):
        for chosen in (kept, [rounds[-1] for rounds in whole], [rounds[0] for rounds in whole]):
            known = [value(one.held_out) for one in chosen if one.held_out and value(one.held_out) is not None]
            cells.append(f"{fmean(known):.2f}" if known else "-")
    return f"| {' | '.join(cells)} |"


def main() -> None:
    warnings.simplefilter("ignore")
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    healthy = [measure(HEALTHY, seed) for seed in range(seeds)]
    kappas = [[one.train.kappa.upper for one in rounds or [] if one.train] for rounds in healthy]
    falling = sum(all(a is not None and b is not None and a > b for a, b in pairwise(one)) for one in kappas)
    print(
        f"{seeds} healthy runs, {PROMPTS} prompts, {ROUNDS} rounds: kappa fell in every round of {falling}; the "
        f"defaults would have ended {sum(map(ended, healthy))}\n"
    )
    print("| signature | spoke on healthy runs |\n|---|---|")
    alarms = Counter(name for rounds in healthy for name in spoken(rounds))
    for name in SIGNATURES:
        print(f"| {name} | {alarms[name]} of {seeds} |")
    print("\n| planted failure | detected | ended by default | signatures that spoke |\n|---|---|---|---|", flush=True)
    gate = [exported("healthy", healthy)]
    for name, plant in PLANTS.items():
        runs = [measure(plant, seed) for seed in range(seeds)]
        detected = sum(run is None or bool(spoken(run) & set(plant.expected)) for run in runs)
        counts = Counter(one for run in runs for one in spoken(run))
        counts["update_diverged"] = sum(run is None for run in runs)
        told = ", ".join(f"{one} {number}" for one, number in counts.most_common() if number)
        print(f"| {name} | {detected} of {seeds} | {sum(map(ended, runs))} of {seeds} | {told} |", flush=True)
        gate.append(exported(name, runs))
    print("\n| run | round exported | kept confidence there | last | base | samples right there | last | base |")
    print("|---|---|---|---|---|---|---|---|", *gate, sep="\n")


if __name__ == "__main__":
    main()
