"""Draws that `--until-certain` spends against a fixed number that certifies as many prompts, on the tiny reasoner.

Usage: python benchmarks/until_certain.py [--budget 128]

The held-out chains; a prompt is certified once the evidence for its majority reaches P/alpha (P11), or what was
seen proves it. Draws come from the same random numbers both ways: a stopped prompt's are the first of the
fixed ones.
"""

import argparse

from srlm.engines.drawing import draw_until_certain
from srlm.engines.engine import Draw, Encoded, PolicyVersion
from srlm.engines.transformers import InProcess
from srlm.lm.encoding import encode_prompts
from srlm.lm.loading import load_model
from srlm.lm.scoring import has_tree_attention
from srlm.lm.subject import MODEL_DEFAULTS, TINY_REASONER
from srlm.measure.majorities import settled
from srlm.tasks.answers import answer_rule
from srlm.tasks.prompts import load_prompts

CONFIDENCE = 0.95


def main() -> None:
    parser = argparse.ArgumentParser(description="Draws until certain; see the head of this file.")
    parser.add_argument("--budget", type=int, default=128)
    budget = parser.parse_args().budget
    loaded, brought = load_model(TINY_REASONER, device="cpu"), MODEL_DEFAULTS[TINY_REASONER]
    prompts = [one for one in load_prompts(brought["prompts"]) if one.split == "held_out"]
    length, rule, count = brought["max_completion_length"], answer_rule(brought["answers"]), len(prompts)
    tokens = encode_prompts(prompts, loaded, max_new_tokens=length, raw=True)
    encoded = [Encoded(number, tuple(ids)) for number, ids in enumerate(tokens)]
    sampler = InProcess(loaded, loaded.model, has_tree_attention(loaded.model)).at(PolicyVersion(0))
    ask, nothing = Draw(budget, length, 0, 0, greedy=True), [None] * count
    stopped = draw_until_certain(sampler, prompts, encoded, ask, rule, nothing, CONFIDENCE, count)
    spent = sum(len(one.responses) for one in stopped)
    certain = sum(settled(stopped, nothing, CONFIDENCE, count))
    whole = [one.answered_rollout(each, rule) for one, each in zip(prompts, sampler.draw(encoded, ask), strict=True)]
    print(f"{count} prompts, budget {budget}, confidence {CONFIDENCE:.0%} at all prompts at once\n")
    print("| | draws | prompts certified | draws a certified prompt |\n|---|---|---|---|")
    print(f"| until certain | {spent} | {certain} | {spent / max(1, certain):.0f} |")
    enough = None
    for fixed in sorted({*range(8, budget, 8), budget}):
        first = [type(one)(one.prompt, one.responses[:fixed], one.greedy) for one in whole]
        reached = sum(settled(first, nothing, CONFIDENCE, count))
        if reached >= certain and enough is None:
            enough = fixed
        if fixed in (16, 32, 64, budget) or fixed == enough:
            print(f"| {fixed} at every prompt | {fixed * count} | {reached} | {fixed * count / max(1, reached):.0f} |")
    least = budget if enough is None else enough
    print(
        f"\nLeast fixed number that certifies as many: {least}; until certain spends {spent / least / count:.2f} of it."
    )


if __name__ == "__main__":
    main()
