"""Diagnoses as the page's script reads them: one round, nothing trained.

Knows: that a diagnosis keeps the texts of few responses, and the probabilities of all that were seen. Refuses to know:
how a page looks.
"""

import math
from collections.abc import Sequence
from typing import Any

from srlm.measure.split import MASS_SLACK
from srlm.records.answer_diagnosis import AnswerDiagnosis, AnswerPrompt
from srlm.records.diagnosis import DiagnosisRecord, PromptDiagnosis
from srlm.records.forecast import Forecast
from srlm.records.text import visible
from srlm.report.explorer import PROMPT, fitting
from srlm.report.payload import At, Item, Prompt, Run
from srlm.report.prompts import SHOWN, six

_SAME = 1e-4  # nats between what the search and decoding make of one response


def diagnosis_runs(several: Sequence[tuple[str, DiagnosisRecord]]) -> list[Run]:
    """Diagnoses of responses by name."""
    return fitting([_run(name, one) for name, one in several])


def answers_run(diagnosis: AnswerDiagnosis) -> Run:
    """A diagnosis of answers."""
    of, longest = diagnosis.measured.answers, diagnosis.settings.get("max_new_tokens")
    confidence = None if of is None else float(of.confidence)
    run = Run(
        **_common("answer", diagnosis.model, diagnosis.forecast),
        confidence=confidence,
        alpha=None if confidence is None else six((1 - confidence) / len(diagnosis.prompts)),
        failing=1 - MASS_SLACK,
        max_tokens=longest if isinstance(longest, int) else None,
        prompts=[_question(at, one) for at, one in enumerate(diagnosis.prompts)],
    )
    return fitting([run])[0]


def _common(level: str, name: str, forecast: Forecast | None) -> dict[str, Any]:
    told = {"name": visible(name, 80), "kind": "diagnosis", "level": level, "rounds": [0]}
    rounds = forecast.rounds if forecast else ()
    return told | {"horizon": int(rounds[-1].round) if rounds else 0, "beta": six(forecast.beta) if forecast else None}


def _run(name: str, one: DiagnosisRecord) -> Run:
    return Run(
        **_common("response", name, one.forecast),
        proved="settled" if one.numeric_error else "proved",
        failing=1 - one.settings.mass_slack,
        max_tokens=one.settings.max_new_tokens,
        prompts=[_prompt(at, each) for at, each in enumerate(one.prompts)],
    )


def _prompt(number: int, one: PromptDiagnosis) -> Prompt:
    known, mode = one.known, one.mode
    texts = [mode.text, one.runner_up]
    logs: list[float] = list(known.best)
    counts = [0] * len(logs)
    items: list[dict[str, Any]] = [
        {"text": texts[at] if at < 2 else None, "right": known.best_right and known.best_right[at]}
        for at in range(len(logs))
    ]
    items[0] |= {"right": one.mode_correct, "cut": "cut" in mode.marks or "empty" in mode.marks}
    beneath: list[int] = []

    def add(logprob: float, among: bool, **item: Any) -> int:
        near = min(range(len(logs)), key=lambda at: abs(logs[at] - logprob))
        if among or abs(logs[near] - logprob) < _SAME:
            return near
        logs.append(logprob)
        counts.append(0)
        items.append({"text": None} | item)
        beneath.append(len(logs) - 1)
        return len(logs) - 1

    outcomes = known.sample_right or [None] * len(known.samples)
    for logprob, times, among, correct in zip(known.samples, known.times, known.sample_known, outcomes, strict=True):
        counts[add(logprob, among, right=correct)] += times
    greedy = 0 if one.greedy_is_mode else add(one.greedy.logprob, False, right=one.greedy_correct)
    if items[greedy]["text"] is None:
        items[greedy] |= {"text": one.greedy.text, "cut": "cut" in one.greedy.marks}
    dropped = None
    if known.dropped_logprob is not None:
        dropped = (known.dropped_mass, known.dropped_logprob)
    at = At(
        lead=0,
        lower=six(mode.logprob_lower),
        upper=six(mode.logprob_upper),
        certified=mode.certified,
        proved=mode.certified,
        right=one.mode_correct,
        share=six(one.sample_accuracy),
        logprobs=list(map(six, logs)),
        open=[float(f"{one:.6g}") for one in known.open_prefixes],
        open_texts=[visible(text, SHOWN) for text in known.open_texts],
        dropped=dropped,
        beneath=beneath,
        expansions=one.expansions,
        counts=counts,
        drawn=one.samples.count,
        greedy=greedy,
    )
    accepted = (one.answer,) if isinstance(one.answer, str) else one.answer or ()
    shown = [Item.model_validate(item | {"text": item["text"] and visible(item["text"], SHOWN)}) for item in items]
    return _made(number, one.prompt, accepted, shown, at)


def _made(number: int, text: str, accepted: Sequence[str], items: list[Item], at: At) -> Prompt:
    known = visible(", ".join(accepted), 200)
    prompt = visible(text, PROMPT)
    return Prompt(id=number, split="train", prompt=prompt, known=known, items=items, rounds=[at])


def _question(number: int, one: AnswerPrompt) -> Prompt:
    right = _right(one)
    items = [Item(text=visible(each.answer, SHOWN), right=right[each.answer]) for each in one.answers]
    names = [each.answer for each in one.answers]
    greedy = -1
    if one.greedy is not None:
        if one.greedy not in names:
            names.append(one.greedy)
            items.append(Item(text=visible(one.greedy, SHOWN), right=one.greedy_correct))
        greedy = names.index(one.greedy)
    ends = one.majority.probability
    at = At(
        lead=None if one.majority.answer is None else 0,
        lower=six(math.log(ends.lower)) if ends.lower else None,
        upper=six(math.log(ends.upper)) if ends.upper else None,
        certified=one.majority.certified,
        proved=one.majority.proved,
        right=one.majority.correct,
        share=six(one.sample_accuracy),
        counts=[each.count for each in one.answers] + [0] * (len(names) - len(one.answers)),
        drawn=one.draws,
        greedy=greedy,
    )
    return _made(number, one.prompt, one.accepted, items, at)


def _right(one: AnswerPrompt) -> dict[str, bool | None]:
    """Which answers are right, as far as the share of right draws says so; None where it leaves it open."""
    if one.sample_accuracy is None or not one.answers:
        return {each.answer: None for each in one.answers}
    first, count = one.majority.answer, round(one.sample_accuracy * one.draws)
    known = {each.answer for each in one.answers if each.answer in one.accepted} | (
        {first} if one.majority.correct else set()
    )
    settled = sum(each.count for each in one.answers if each.answer in known) == count
    return {each.answer: True if each.answer in known else False if settled else None for each in one.answers} | (
        {} if first is None else {first: one.majority.correct}
    )
