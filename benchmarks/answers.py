"""How long reading answers takes: 1,000 prompts with 64 responses each, with and without math-verify.

Usage: python benchmarks/answers.py

Responses are short worked solutions that end in a number, in one of two notations of an expression, or in words; about
five answers a prompt. Prints Markdown: a row a rule, seconds of the whole, and answers a second.
"""

import random
import time

from srlm.tasks.answers import ANSWER_RULES

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
    print("| rule | seconds | answers a second |\n|---|---|---|")
    for name, rule in ANSWER_RULES.items():
        began = time.perf_counter()
        for one in texts:
            rule.keys(one)
        seconds = time.perf_counter() - began
        print(f"| {name} | {seconds:.1f} | {PROMPTS * SAMPLES / seconds:,.0f} |")


if __name__ == "__main__":
    main()
