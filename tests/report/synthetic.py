"""Payloads of pages made from laws that are known, and pages of any payload.

Knows: payload and templates. Refuses to know: records.
"""

from pathlib import Path
from typing import Any

import numpy as np

from srlm import theory
from srlm.report.page import render
from srlm.report.payload import Axis, Chart, Line, Page, Rule, Run

S = 1.5  # 1 + 1/beta
WORDS = ("The", "A", "Is", "an", "answer", "of", "one", "four", "five", "red", "blue", "green", "not", "Paris", "was")


def law(rng: np.random.Generator, count: int) -> np.ndarray:
    """Probabilities of `count` responses, likeliest first."""
    return np.sort(rng.dirichlet(np.full(count, 0.5)) + 1e-6)[::-1] / (1 + 1e-6 * count)


def _text(rng: np.random.Generator) -> str:
    return " ".join(rng.choice(WORDS, int(rng.integers(1, 7)))) + "."


def response_run(
    name: str = "responses", prompts: int = 24, rounds: int = 4, sampled: int = 2, seed: int = 0, **more: Any
) -> Run:
    """Every second prompt is held out; four responses are known everywhere, three prefixes are open, `sampled` more are
    drawn at every round from what lies beneath them; every third favourite, a right one, turns wrong at the
    last round.
    """
    rng, told = np.random.default_rng(seed), []
    for number in range(prompts):
        logs = np.log(law(rng, 12)) / (3 if number % 8 == 3 else 1)  # where it is flat, no search of these is a proof
        items: list[dict[str, Any]] = [{"text": _text(rng), "right": bool(rng.random() < 0.6)} for _ in range(4)]
        if number % 3 == 0:
            items[0]["right"], items[1]["right"] = True, False
        items += [{"text": _text(rng), "right": bool(rng.random() < 0.2)} for _ in range(sampled * rounds)]
        at = []
        for t in range(rounds):
            now = logs * S**t + rng.normal(0, 0.02, 12) * (t > 0)
            if t == rounds - 1 and number % 3 == 0 and t:
                now[1] = now.max() + 0.3
            now -= np.logaddexp.reduce(now)
            known = [float(one) for one in now[:4]]
            beneath = [4 + sampled * t + k for k in range(sampled)]
            scored: list[float | None] = [*known, *[None] * (sampled * rounds)]
            for k, index in enumerate(beneath):
                scored[index] = float(now[4 + k % 8])
            opened = sorted((float(np.logaddexp.reduce(now[4 + k :: 3])) for k in range(3)), reverse=True)
            dropped = None
            if number % 4 == 1:  # the search gave up on what lies beneath one of them
                dropped = (float(np.exp(opened.pop())), float(now[4:].max()))
            lead = int(np.argmax(known))
            hidden = max(opened[0], dropped[1] if dropped else opened[0])
            upper, certified = max(known[lead], hidden), known[lead] >= hidden
            counts = [3, 2, 1, 0] + [int(4 + sampled * t <= k < 4 + sampled * (t + 1)) for k in range(4, len(items))]
            at.append(
                {
                    "lead": lead, "lower": known[lead], "upper": upper, "certified": certified, "proved": certified,
                    "right": items[lead]["right"], "share": 0.5, "logprobs": scored, "open": opened, "dropped": dropped,
                    "open_texts": [f"{WORDS[number % 15]} {WORDS[(number + 4) % 15]}", "Or"][: len(opened) - 1],
                    "beneath": beneath, "expansions": 5 + t, "counts": counts, "drawn": sum(counts), "greedy": 0,
                }
            )  # fmt: skip
        told.append(
            {
                "id": number, "split": "held_out" if number % 2 else "train", "prompt": f"{number}: {_text(rng)}?",
                "known": "an answer", "items": items, "rounds": at,
            }
        )  # fmt: skip
    return _run(name, "response", told, rounds, **more)


def answer_run(name: str = "answers", prompts: int = 24, rounds: int = 3, draws: int = 48, seed: int = 1) -> Run:
    """Five answers a prompt, drawn anew at every round; some draws have none."""
    rng, told, alpha = np.random.default_rng(seed), [], 0.05 / prompts
    for number in range(prompts):
        logs = np.log(law(rng, 5))
        items = [{"text": str(k), "right": k == number % 2} for k in range(5)]
        at: list[dict[str, Any]] = []
        for t in range(rounds):
            p = np.exp(logs * S**t - np.logaddexp.reduce(logs * S**t))
            drawn = [int(a) if rng.random() > 0.05 else -1 for a in rng.choice(5, draws, p=p)]
            read, greedy = [a for a in drawn if a >= 0], (1, -1, int(np.argmax(p)))[number % 3]
            named = list(dict.fromkeys([*([at[-1]["lead"]] if at else []), *([greedy] if greedy >= 0 else [])]))
            (found,) = theory.majorities([read], alpha, [named])
            lead = found.leader
            with np.errstate(divide="ignore"):
                lower, upper = (float(np.log(one)) for one in (found.lower, found.upper))
            at.append(
                {
                    "lead": lead, "lower": lower if np.isfinite(lower) else None, "upper": upper,
                    "certified": bool(found.log_evidence >= -np.log(alpha)), "right": lead == number % 2,
                    "share": sum(a == number % 2 for a in drawn) / draws, "draws": drawn, "drawn": draws,
                    "counts": [read.count(a) for a in range(5)], "greedy": greedy, "said": f"so it is {lead}",
                }
            )  # fmt: skip
        told.append(
            {
                "id": number, "split": "train", "prompt": f"{number}: how many?", "known": str(number % 2),
                "items": items, "rounds": at,
            }
        )  # fmt: skip
    return _run(name, "answer", told, rounds, confidence=0.95, alpha=alpha)


def _run(name: str, level: str, prompts: list[dict[str, Any]], rounds: int, **more: Any) -> Run:
    steps = []
    for split in sorted({one["split"] for one in prompts}, reverse=True):
        for t in range(1, rounds):
            pairs = [tuple(one["rounds"][k]["right"] for k in (t - 1, t)) for one in prompts if one["split"] == split]
            fates = {
                "kept": (True, True),
                "learned": (False, True),
                "corrupted": (True, False),
                "still_wrong": (False,) * 2,
            }
            counts = {fate: pairs.count(ends) for fate, ends in fates.items()}
            steps.append({"round": t, "split": split, "counts": counts})
    known = {"kind": "run", "rounds": list(range(rounds)), "horizon": rounds - 1, "beta": 2.0, "steps": steps}
    return Run.model_validate({"name": name, "level": level, "prompts": prompts} | known | more)


def charts() -> list[Chart]:
    """One of each kind that the renderer knows."""
    rounds = Axis(title="round")
    falling = [(float(t), 12 / 2**t, 10 / 2**t, 15 / 2**t) for t in range(4)]
    return [
        Chart(
            key="kappa", title="Condition number κ", caption="Bars: brackets.", words="κ fell", x=rounds,
            y=Axis(title="κ", log=True, lowest=1.0),
            lines=[
                Line(name="exact rounds", points=falling, colour="theory", style="none", mark="none", band=True),
                Line(name="forecast", points=[(x, y, None, None) for x, y, _, _ in falling], style="dash", mark="none"),
                Line(name="measured", points=falling, estimated=True),
            ],
            rules=[Rule(axis="x", at=2, label="stop here"), Rule(axis="y", at=2, label="edge")],
        ),
        Chart(
            key="right", title="Right answers", caption="Shares.", words="rose", x=rounds, y=Axis(percent=True),
            lines=[Line(name="samples", points=[(0, 0.3, 0.2, 0.4), (1, None, None, None), (2, 0.6, 0.5, 0.7)],
                        colour="blue"),
                   Line(name="modes", points=[(0, 0.7, None, None), (2, 0.7, None, None)], colour="green", mark="up")],
            rules=[Rule(axis="y", at=0.6, until=0.8, label="ceiling")],
        ),
        Chart(
            key="time", title="Where the time went", caption="Seconds.", words="all", horizontal=True, stacked=True,
            x=Axis(ticks=[(0, "round 0"), (1, "round 1")]), y=Axis(title="seconds"),
            lines=[Line(name="sampling", style="bars", colour="blue", points=[(0, 3, None, None), (1, 5, None, None)]),
                   Line(name="training", style="bars", colour="purple", points=[(1, 5, None, None)])],
        ),
        Chart(
            key="bars", title="Bars in groups", caption="Values.", words="two groups", wide=True,
            x=Axis(ticks=[(0, "one"), (1, "two")]), y=Axis(title="value"),
            lines=[Line(name="before", style="bars", colour="soft", points=[(0, 1, 0.5, 1.5), (1, 2, None, None)]),
                   Line(name="after", style="bars", colour="orange", estimated=True, points=[(0, 2, None, None)])],
        ),
        Chart(
            key="rate", title="Against a rate", caption="Log and log.", words="falls", x=Axis(title="pairs", log=True),
            y=Axis(log=True), lines=[Line(name="T", points=[(10.0**k, 1 / 3.0**k, None, None) for k in range(6)])],
        ),
    ]  # fmt: skip


def written(target: Path, runs: list[Run], drawn: list[Chart] | None = None) -> Path:
    """A page of any payload."""
    drawn = drawn or []
    context: dict[str, Any] = {
        "title": "a page", "over": "synthetic", "headline": "Made of known laws", "headers": ["Run", "Said"],
        "rows": [(one.name, "a sentence") for one in runs] or [("none", "-1+1")], "css": "compared", "said_title": "",
        "said": [], "notes": [], "figures": drawn, "runs_shown": bool(runs), "differences": None,
        "footer": "",
    }  # fmt: skip
    return render("comparison.html", target, context, "srlm report a b", drawn, runs)


def payload(runs: list[Run], drawn: list[Chart] | None = None) -> Page:
    """What such a page carries."""
    return Page(runs=runs, charts=drawn or [])
