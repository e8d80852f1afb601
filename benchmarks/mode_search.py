"""Exact mode search: expansions a second against rerunning every prefix, and certainty against beam search.

Usage: python benchmarks/mode_search.py [PROMPTS] [TOKENS] [BEAMS]
       (default 64 bundled prompts, answers up to 16 tokens, beam search with 4,16,64 beams; BEAMS = 0 leaves it out)

Prints a Markdown table; the committed one is benchmarks/results/mode_search.md. Rates are given by wall clock and by
CPU time: on a machine that others use only the second can be compared.
"""

import math
import platform
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from unittest import mock

import torch

from srlm.lm import mode_search
from srlm.lm.encoding import encode_prompts
from srlm.lm.loading import LoadedModel, load_model
from srlm.lm.mode_search import ModeBracket, search_modes
from srlm.lm.scoring import score_responses
from srlm.tasks.prompts import load_prompts

BEAMS = "4,16,64"
# Rerunning is slow: its rate is measured on this many prompts, and that of the search on the same ones too.
RERUN_PROMPTS = 4


@dataclass(frozen=True, slots=True)
class Spent:
    """What a call took."""

    wall: float
    cpu: float


def timed(work: Callable[[], Any]) -> tuple[Any, Spent]:
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    return result, Spent(time.perf_counter() - wall, time.process_time() - cpu)


def search(loaded: LoadedModel, encoded: list[list[int]], limit: int, **options: Any) -> list[ModeBracket]:
    """The search as `srlm diagnose` makes it, runners-up included."""
    return search_modes(loaded.model, encoded, max_new_tokens=limit, end_token_ids=loaded.end_token_ids, **options)


def rerun(loaded: LoadedModel, encoded: list[list[int]], limit: int) -> list[ModeBracket]:
    """The same search where every prefix is run from its first token, 16 at a time as in a plain implementation."""
    with mock.patch.object(mode_search, "has_tree_attention", return_value=False):
        return search(loaded, encoded, limit, nodes_per_step=16)


def beam_search(loaded: LoadedModel, prompt: list[int], beams: int, limit: int) -> tuple[int, ...]:
    """The best response that beam search finds by summed log-probability."""
    ids = torch.tensor([prompt], device=loaded.model.device)
    model: Any = loaded.model
    with torch.inference_mode():
        found = model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            num_beams=beams,
            do_sample=False,
            max_new_tokens=limit,
            length_penalty=0.0,
            early_stopping="never",
            pad_token_id=loaded.tokenizer.pad_token_id,
            eos_token_id=list(loaded.end_token_ids),
            temperature=None,
            top_p=None,
            top_k=None,
        )[0, len(prompt) :].tolist()
    ends = [at for at, token in enumerate(found) if token in loaded.end_token_ids]
    return tuple(found[: ends[0] + 1] if ends else found[:limit])


def evaluations(brackets: list[ModeBracket]) -> int:
    return sum(one.evaluations for one in brackets)


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 64
    limit = int(sys.argv[2]) if len(sys.argv) > 2 else 16
    widths = [int(part) for part in (sys.argv[3] if len(sys.argv) > 3 else BEAMS).split(",") if int(part) > 0]
    loaded = load_model()
    encoded = encode_prompts(load_prompts(limit=count), loaded, max_new_tokens=limit)
    found, spent = timed(lambda: search(loaded, encoded, limit))
    for one in found:
        bound = limit / math.exp(one.logprob_lower)
        if one.certified and one.expansions > bound:
            raise AssertionError(f"{one.expansions} expansions exceed L/p = {bound:.0f}")
    print(f"{platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}, smollm2-135m float32,")
    print(f"{count} bundled prompts, answers up to {limit} tokens\n")
    certified = sum(one.certified for one in found)
    expansions = sum(one.expansions for one in found)
    share = max(one.expansions * math.exp(one.logprob_lower) / limit for one in found)
    print(
        f"{certified} of {count} modes proved with {expansions} expansions, at most {share:.2f} of L/p at any prompt\n"
    )
    print("| search | wall s | CPU s | prefixes evaluated | a second (wall) | a second (CPU) |")
    print("|---|---|---|---|---|---|")

    def row(name: str, brackets: list[ModeBracket], cost: Spent) -> float:
        done = evaluations(brackets)
        print(
            f"| {name} | {cost.wall:.1f} | {cost.cpu:.1f} | {done} | {done / cost.wall:.0f} | {done / cost.cpu:.0f} |",
            flush=True,
        )
        return done / cost.cpu

    fast = row("prefix tree on the cache, all prompts", found, spent)
    few = encoded[:RERUN_PROMPTS]
    plain, cost = timed(lambda: rerun(loaded, few, limit))
    slow = row(f"every prefix run again, {len(few)} prompts", plain, cost)
    for one, other in zip(found, plain, strict=False):
        if one.mode.tokens != other.mode.tokens:
            raise AssertionError("the two searches disagree")
    print(f"\n{fast / slow:.0f} times more prefixes a CPU second\n")
    print("| decoding | wall s | CPU s | proves its answer | mode missed | worst loss (nats) |")
    print("|---|---|---|---|---|---|")
    print(
        f"| exact search | {spent.wall:.1f} | {spent.cpu:.1f} | {certified} of {count} | 0 of {certified} | 0 |",
        flush=True,
    )
    greedy = [one.mode.logprob - one.greedy.logprob for one in found if one.certified]
    print(f"| greedy | - | - | 0 of {count} | {sum(v > 1e-4 for v in greedy)} of {certified} | {max(greedy):.2f} |")
    for beams in widths:
        answers, cost = timed(lambda b=beams: [beam_search(loaded, ids, b, limit) for ids in encoded])
        groups = [(ids, [answer]) for ids, answer in zip(encoded, answers, strict=True)]
        scores = score_responses(loaded.model, groups, tree_attention=False)
        losses = [one.mode.logprob - score[0] for one, score in zip(found, scores, strict=True) if one.certified]
        missed = sum(loss > 1e-3 for loss in losses)
        print(
            f"| beam search, {beams} beams | {cost.wall:.1f} | {cost.cpu:.1f} | 0 of {count} | {missed} of {certified} "
            f"| {max(losses):.2f} |",
            flush=True,
        )
    print(f"\npeak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB")


if __name__ == "__main__":
    main()
