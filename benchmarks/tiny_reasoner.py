"""The tiny reasoner that ships with the package: how its weights, its tokenizer and its questions came about.

Usage: python benchmarks/tiny_reasoner.py train [--steps 4500] [--seed 0] [--folder src/srlm/lm/data/tiny_reasoner]
       python benchmarks/tiny_reasoner.py questions [--file src/srlm/tasks/data/chains.jsonl]

A question is a chain of 3 to 6 additions and subtractions of one digit, "21+7-9-8+4?", whose values stay in 10..99; its
trace works it out from left to right, "21+7=28;-9=19;19-8=11;+4=15;#15", a character a token, each step written long
("19-8=11;") or short ("-9=19;") by a coin. The traces that it learns from slip on purpose:
- a step in ten is wrong at random, by one of -10, -2, -1, 1, 2, 10, so that samples err and each errs elsewhere;
- to take 8 away is done as if it were 7 in four cases of five, so that every majority errs on the same questions.
What follows a slip goes on from the wrong value. So single samples are often wrong, majorities mostly right, and some
questions are answered wrongly by nearly everyone: what training on one's own majority can and cannot mend.

Recipe: Llama of 3 blocks, width 96, 3 heads of 32 (which vLLM can serve), feed-forward 384, embeddings tied; AdamW,
rate 3e-3 warmed up over 100 steps and then linear to 0, betas (0.9, 0.98), weight decay 0.01, gradients clipped to norm
1; 48 fresh traces a step, cross-entropy of the trace alone. 4,500 steps reach the plateau (a softer base is destroyed
by its own noise): the loss printed beside the traces' own entropy says how near it is. Nothing is read but the seed;
float32 sums depend on the number of threads (one, for the weights that ship), so that other machines give other last
digits.
A question whose sha256 begins with a byte below 32 is never trained on; the questions of the package are of that kind.
"""

import argparse
import hashlib
import json
import math
import random
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
CHARACTERS = "0123456789+-=;#?"
SLIPS = (-10, -2, -1, 1, 2, 10)
SLIP, AS_IF_SEVEN = 0.1, 0.8
LENGTHS = (3, 4, 5, 6)
RULE = r"regex:(?:#|^)(\d+)$"


def chain(rng: random.Random, length: int) -> tuple[int, list[int]]:
    """A first value and the signed digits that follow, every value on the way in 10..99."""
    first = value = rng.randint(10, 99)
    moves: list[int] = []
    while len(moves) < length:
        move = rng.choice((-1, 1)) * rng.randint(2, 9)
        if 10 <= value + move <= 99:
            moves.append(move)
            value += move
    return first, moves


def question(first: int, moves: list[int]) -> str:
    return f"{first}{''.join(f'{move:+d}' for move in moves)}?"


def kept_back(text: str) -> bool:
    """Whether a question is never trained on."""
    return hashlib.sha256(text.encode()).digest()[0] < 32


def trace(rng: random.Random, first: int, moves: list[int]) -> str:
    """One working of a question, slips included."""
    value, steps = first, []
    for move in moves:
        result = value + move
        if rng.random() < SLIP:
            result += rng.choice(SLIPS)
        elif move == -8 and rng.random() < AS_IF_SEVEN:
            result += 1
        result = max(result, 0)
        steps.append(f"{value if rng.random() < 0.5 else ''}{move:+d}={result};")
        value = result
    return f"{''.join(steps)}#{value}"


def trace_entropy(moves: list[int]) -> float:
    """Nats of a trace given its question, slips below 0 (which are rare) left out: what no training gets below."""
    slip = -SLIP * math.log(SLIP / len(SLIPS)) - (1 - SLIP) * math.log(1 - SLIP)
    # A random slip by 1 reads as if 7 had been taken: one result, its two ways added up.
    one, right = SLIP / len(SLIPS) + (1 - SLIP) * AS_IF_SEVEN, (1 - SLIP) * (1 - AS_IF_SEVEN)
    others = SLIP * (len(SLIPS) - 1) / len(SLIPS)
    eight = -one * math.log(one) - right * math.log(right) - others * math.log(SLIP / len(SLIPS))
    return sum(math.log(2) + (eight if move == -8 else slip) for move in moves)


def tokenizer() -> Any:
    """A character a token, with a token that ends a response and one that fills rows."""
    from tokenizers import Tokenizer, decoders, models
    from transformers import PreTrainedTokenizerFast

    vocabulary = {text: at for at, text in enumerate(["<pad>", "<end>", "<unk>", *CHARACTERS])}
    core = Tokenizer(models.BPE(vocabulary, [], unk_token="<unk>"))
    core.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        pad_token="<pad>",
        eos_token="<end>",
        unk_token="<unk>",
        clean_up_tokenization_spaces=False,
        model_max_length=1024,
    )


def fresh_model(seed: int, vocabulary: int) -> Any:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=vocabulary,
            hidden_size=96,
            intermediate_size=384,
            num_hidden_layers=3,
            num_attention_heads=3,
            num_key_value_heads=3,
            head_dim=32,
            max_position_embeddings=1024,
            tie_word_embeddings=True,
            bos_token_id=None,
            eos_token_id=1,
            pad_token_id=0,
        )
    )


def batch(rng: random.Random, ids: dict[str, int], rows: int) -> tuple[Any, Any, float]:
    """Token ids (rows, length), labels with -100 off the trace, and the traces' entropy a token."""
    import torch

    length, lines, nats, count = rng.choice(LENGTHS), [], 0.0, 0
    while len(lines) < rows:
        first, moves = chain(rng, length)
        asked = question(first, moves)
        if kept_back(asked):
            continue
        worked = trace(rng, first, moves)
        lines.append((len(asked), [*(ids[one] for one in asked + worked), ids["<end>"]]))
        nats += trace_entropy(moves)
        count += len(worked) + 1
    width = max(len(line) for _, line in lines)
    tokens = torch.zeros(rows, width, dtype=torch.long)
    labels = torch.full((rows, width), -100)
    for row, (start, line) in enumerate(lines):
        tokens[row, : len(line)] = torch.tensor(line)
        labels[row, start : len(line)] = tokens[row, start : len(line)]
    return tokens, labels, nats / count


def train(folder: Path, steps: int, seed: int, rows: int = 48, rate: float = 3e-3) -> None:
    import torch

    made = tokenizer()
    ids, rng, model = made.get_vocab(), random.Random(seed), fresh_model(seed, len(made))
    decayed = [p for p in model.parameters() if p.ndim > 1]
    plain = [p for p in model.parameters() if p.ndim < 2]
    optimizer = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": 0.01}, {"params": plain, "weight_decay": 0.0}], lr=rate, betas=(0.9, 0.98)
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / 100, max(0.0, (steps - step) / max(1, steps - 100)))
    )
    began, told = time.monotonic(), [0.0, 0.0]
    model.train()
    for step in range(1, steps + 1):
        tokens, labels, entropy = batch(rng, ids, rows)
        # Rows are filled on the right, where a causal model does not look: no mask.
        logits = model(input_ids=tokens).logits[:, :-1]
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels[:, 1:].flatten(), ignore_index=-100)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        told[0] += loss.item()
        told[1] += entropy
        if step % 100 == 0 or step == steps:
            size = step % 100 or 100
            spent = time.monotonic() - began
            print(f"step {step}: loss {told[0] / size:.4f}, entropy {told[1] / size:.4f}, {spent:.0f} s", flush=True)
            told = [0.0, 0.0]
        if step % 500 == 0 or step == steps:
            model.save_pretrained(folder)
    made.save_pretrained(folder)


def questions(file: Path, count: int = 384, seed: int = 1) -> None:
    """Questions that training kept back, as many of each length; every third is held out."""
    rng, found = random.Random(seed), {}
    while len(found) < count:
        length = LENGTHS[len(found) // 3 % len(LENGTHS)]
        first, moves = chain(rng, length)
        asked = question(first, moves)
        if kept_back(asked) and asked not in found:
            found[asked] = {
                "prompt": asked,
                "answer": str(first + sum(moves)),
                "answer_type": RULE,
                "kind": f"{length} steps",
                "split": "held_out" if len(found) % 3 == 2 else "train",
            }
    file.write_text("".join(json.dumps(one) + "\n" for one in found.values()), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("train", "questions"))
    parser.add_argument("--steps", type=int, default=4500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, default=ROOT / "src/srlm/lm/data/tiny_reasoner")
    parser.add_argument("--file", type=Path, default=ROOT / "src/srlm/tasks/data/chains.jsonl")
    asked = parser.parse_args()
    if asked.what == "train":
        train(asked.folder, asked.steps, asked.seed)
    else:
        questions(asked.file)


if __name__ == "__main__":
    main()
