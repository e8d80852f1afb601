"""Runs and diagnoses as the page's script reads them: prompts, the ledger, where one should have stopped.

Knows: how large a page may get, and what came of which prompt. Refuses to know: how a page looks, where numbers come
from beyond the records.
"""

import math
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from srlm.measure.decision import DEFAULT_ACTIONS
from srlm.measure.fates import FATES, Fate, fates
from srlm.measure.signatures import HEALTHY_RUNS
from srlm.measure.split import MASS_SLACK
from srlm.records.rounds import SPLITS
from srlm.records.text import visible
from srlm.report import numbers
from srlm.report.payload import Prompt, Run, Step, Stop
from srlm.report.prompts import six
from srlm.report.reading import RunView
from srlm.theory import from_log, log_mass

MOST_PROMPTS = 400
EASY_BYTES = 600_000  # of all prompts: with less the page stays below 1 MB
MOST_BYTES = 3_000_000
MOST_ITEMS = 16  # responses of a prompt, or open prefixes of a round, where all would be too much
PROMPT = 2000  # letters of a prompt


def runs_of(several: Sequence[tuple[str, RunView]]) -> list[Run]:
    """Runs by name."""
    return fitting([run_of(name, view) for name, view in several])


def fitting(known: Sequence[Run]) -> list[Run]:
    """Runs with what fits on a page: where not all is easily read, only the likeliest open prefixes of a round; where
    that is too much, only the likeliest responses of a prompt; and then the prompts that moved most in any of the runs.
    """
    sizes = _sizes(known)
    for most, responses in ((EASY_BYTES, False), (MOST_BYTES, True)):
        if sizes.total() > most:
            known = [_thinned(one, responses) if one.level == "response" else one for one in known]
            sizes = _sizes(known)
    if len(sizes) <= MOST_PROMPTS and sizes.total() <= MOST_BYTES:
        return list(known)
    moves: dict[str, tuple[float, ...]] = {}
    for prompt in (prompt for one in known for prompt in one.prompts):
        moves[prompt.prompt] = max(_moved(prompt), moves.get(prompt.prompt, (0.0,)))
    kept, size = set[str](), 0
    for text in sorted(moves, key=moves.__getitem__, reverse=True)[:MOST_PROMPTS]:
        if size + sizes[text] <= MOST_BYTES:
            kept.add(text)
            size += sizes[text]
    shown = [[prompt for prompt in one.prompts if prompt.prompt in kept] for one in known]
    return [
        one.model_copy(update={"prompts": some, "left_out": len(one.prompts) - len(some)})
        for one, some in zip(known, shown, strict=True)
    ]


def _sizes(runs: Sequence[Run]) -> Counter[str]:
    """Bytes of every prompt, by its text, over all runs."""
    sizes: Counter[str] = Counter()
    for prompt in (prompt for one in runs for prompt in one.prompts):
        sizes[prompt.prompt] += len(prompt.model_dump_json(exclude_defaults=True))
    return sizes


def _thinned(run: Run, responses: bool) -> Run:
    kept = f"{MOST_ITEMS} likeliest open prefixes" + f" and {MOST_ITEMS} likeliest responses" * responses
    told = f"of each prompt the {kept} are here, the others count as dropped"
    return run.model_copy(update={"prompts": [_thin(one, responses) for one in run.prompts], "thinned": told})


def _thin(prompt: Prompt, responses: bool) -> Prompt:
    """Its likeliest open prefixes and, of all its responses or of few, its favourites, what greedy decoding said, and
    the likeliest others; the rest joins what was dropped, where P8 (ii) still bounds it.
    """
    always = {at for one in prompt.rounds for at in (one.lead, one.greedy) if at is not None}
    best = [
        max((-math.inf if (log := one.logprobs[at]) is None else log for one in prompt.rounds), default=0.0)
        for at in range(len(prompt.items))
    ]
    order = sorted(range(len(best)), key=lambda at: (at not in always, -best[at]))
    kept = sorted(order[: max(MOST_ITEMS, len(always))] if responses else order)
    place = {at: number for number, at in enumerate(kept)}
    rounds = []
    for one in prompt.rounds:
        rest = [
            logprob
            for at, logprob in enumerate(one.logprobs)
            if logprob is not None and at not in place and at not in one.beneath
        ] + one.open[MOST_ITEMS:]
        dropped = one.dropped
        if rest:
            mass, largest = dropped or (0.0, -math.inf)
            dropped = (min(1.0, mass + (from_log(float(log_mass(rest))) or 0.0)), max(largest, *rest))
        rounds.append(
            one.model_copy(
                update={
                    "lead": None if one.lead is None else place[one.lead],
                    "greedy": None if one.greedy is None else place[one.greedy],
                    "logprobs": [one.logprobs[at] for at in kept],
                    "counts": [one.counts[at] for at in kept],
                    "beneath": [place[at] for at in one.beneath if at in place],
                    "open": one.open[:MOST_ITEMS],
                    "dropped": dropped,
                }
            )
        )
    return prompt.model_copy(update={"items": [prompt.items[at] for at in kept], "rounds": rounds})


def _moved(one: Prompt) -> tuple[float, ...]:
    """How much happened at a prompt: turns between right and wrong, new favourites, change of its right samples."""
    pairs = list(pairwise(one.rounds))
    turns = sum(before.right != now.right for before, now in pairs)
    leads = sum(before.lead != now.lead for before, now in pairs)
    shares = [at.share for at in one.rounds if at.share is not None] or [0.0]
    return float(turns), float(leads), max(shares) - min(shares)


def run_of(name: str, view: RunView) -> Run:
    """A run with all its prompts."""
    answers, last = view.of_answers, len(view.rounds) - 1
    longest = view.record.configuration.get("max_completion_length")
    return Run(
        name=name,
        kind="audit" if view.watched else "run",
        level="answer" if answers else "response",
        rounds=[int(one.round) for one in view.rounds],
        horizon=max(last, int(view.planned_rounds or 0), 0),
        beta=six(view.beta),
        confidence=float(view.confidence) if answers else None,
        alpha=six((1 - view.confidence) / len(view.prompts)) if answers and view.prompts else None,
        proved="settled" if view.widened else "proved",
        failing=1 - MASS_SLACK,
        max_tokens=int(longest) if isinstance(longest, int) and not view.watched else None,
        prompts=[one.model_copy(update={"prompt": visible(one.prompt, PROMPT)}) for one in view.prompts],
        steps=steps_of(view.prompts),
        stop=stop_of(view),
        folder=visible(str(view.path), 400),
    )


def steps_of(prompts: Sequence[Prompt]) -> list[Step]:
    """How favourites went from each round to the next; splits without a known answer are left out."""
    told = []
    for split in SPLITS:
        rounds = list(zip(*([at.right for at in one.rounds] for one in prompts if one.split == split), strict=True))
        for number, (before, now) in enumerate(pairwise(rounds), 1):
            known = Counter(one for one in fates(before, now) if one is not None)
            if known:
                counts: dict[Fate, int] = {fate: known[fate] for fate in FATES}
                told.append(Step(round=number, split=split, counts=counts))
    return told


def stop_of(view: RunView) -> Stop | None:
    """The last round before a signature, or the alarm of a watcher, spoke first; None where nothing did."""
    if view.watched:
        return _alarm(view)
    for one in view.rounds:
        # What ruins a model by default counts before what is merely noted.
        spoken = sorted(one.signatures or (), key=lambda each: DEFAULT_ACTIONS.get(each.name) == "note")
        if spoken and one.round > 0:
            first = spoken[0]
            rate = "not measured for answers"
            if not view.of_answers:
                rate = "it spoke in {} of {} healthy runs".format(*HEALTHY_RUNS)
            name, evidence = first.name.replace("_", " "), visible(first.evidence, 400)
            return Stop(round=int(one.round) - 1, signature=visible(name, 60), evidence=evidence, rate=rate)
    return None


def _alarm(view: RunView) -> Stop | None:
    """The window before the one in which an alarm was raised first."""
    raised = [one for one in view.noted("alarms") if isinstance(one, dict) and isinstance(one.get("step"), int)]
    if not raised:
        return None
    first = min(raised, key=lambda one: one["step"])
    steps: list[Any] = [((one.train and one.train.model_extra) or {}).get("steps") for one in view.rounds]
    ends = [one.get("last") if isinstance(one, dict) else None for one in steps]
    at = next((number for number, end in enumerate(ends) if isinstance(end, int) and end >= first["step"]), None)
    if at is None:
        return None
    return Stop(
        round=max(0, at - 1),
        signature=visible(str(first.get("signature", "")).replace("_", " "), 60),
        evidence=visible(str(first.get("evidence", "")), 400),
        rate=false_alarms(first),
    )


def false_alarms(alarm: dict[str, Any]) -> str:
    """False alarms of an alarm's kind, as measured on healthy runs."""
    rate = alarm.get("false_alarms_per_1000_steps") or {}
    if not isinstance(rate, dict) or not all(
        isinstance(rate.get(end), int | float) for end in ("value", "lower", "upper")
    ):
        return "not measured"
    value, low, high = (numbers.number(rate[end]) for end in ("value", "lower", "upper"))
    return f"{value} ({low} to {high}) in 1,000 steps of healthy runs"
