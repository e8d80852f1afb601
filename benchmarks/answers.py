"""How long reading answers takes: 1,000 prompts with 64 responses each, with and without math-verify.

Usage: python benchmarks/answers.py

Responses are short worked solutions that end in a number, in one of two notations of an expression, or in words; about
five answers a prompt. Prints Markdown: a row a rule; seconds for reading alone, and all that a round measures.
"""

import random
import time

from srlm.measure.answers import measure_answers
from srlm.measure.majorities import CONFIDENCE, majorities
from srlm.records.responses import Complete, Response, Rollout
from srlm.tasks.answers import ANSWER_RULES
from srlm.tasks.prompts import Prompt

PROMPTS, SAMPLES = 1000, 64


def response(draw: random.Random, prompt: int) -> str:
    """One of about five answers, the right one every other time."""
    value = prompt % 97 + (0 if draw.random() < 0.5 else draw.randint(1, 4))
    working = f"First we take {prompt} and then add {draw.randint(1, 99)}, which makes {value * 2}. " * 3
    form = prompt % 3
    if form == 0:
        return f"{working}So the answer is {value}.00 apples."
    if form == 1:
        return working + draw.choice([f"\\boxed{{x+{value}}}", f"\\boxed{{{value}+x}}"])
    return f"{working}I think it is yes, or Paris number {value}."


def main() -> None:
    """Print the table."""
    draw = random.Random(0)
    texts = [[response(draw, prompt) for _ in range(SAMPLES)] for prompt in range(PROMPTS)]
    print("| rule | seconds, keys | with marks, counts and certificates |\n|---|---|---|")
    for name, rule in ANSWER_RULES.items():
        began = time.perf_counter()
        for one in texts:
            rule.keys(one)
        keys = time.perf_counter() - began
        began = time.perf_counter()
        rollouts = [
            Prompt("?", answers=(str(prompt % 97),)).answered_rollout(drawn(prompt, some), rule)
            for prompt, some in enumerate(texts)
        ]
        now = majorities(rollouts)
        measure_answers(rollouts, now, now, CONFIDENCE)
        print(f"| {name} | {keys:.1f} | {time.perf_counter() - began:.1f} |")


def drawn(prompt: int, texts: list[str]) -> Rollout:
    """Different responses of next to no probability."""
    return Rollout(prompt, tuple(Response(Complete((at,), -40.0, True), text) for at, text in enumerate(texts)))


if __name__ == "__main__":
    main()
