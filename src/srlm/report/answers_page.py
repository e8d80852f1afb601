"""The page of a diagnosis at the level of answers, and its sentences.

Knows: the record and its template. What a model or a user wrote goes through `visible` and jinja's escaping. Refuses to
know: models, how anything was measured.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import plotly.graph_objects as go

from srlm.records.answer_diagnosis import AnswerDiagnosis, AnswerPrompt
from srlm.records.bracket import Bracket
from srlm.records.diagnosis import Judgement
from srlm.records.forecast import ForecastRecord
from srlm.records.text import visible
from srlm.report import numbers
from srlm.report._pieces import MOST_ROWS, filters, first_rows, flat
from srlm.report.figures import BLUE, GREEN, ORANGE, Figure, finished_spec, percent_axis
from srlm.report.page import render

_TAGS = (
    ("wrong", "majority wrong"),
    ("sure", "majority certain"),
    ("differs", "greedy disagrees"),
    ("unread", "some without an answer"),
)
_SHOWN = 6
MEANING: Mapping[Judgement, str] = {
    "helps": "Train: single draws should climb towards the accuracy of the majorities.",
    "no headroom": "Do not train for accuracy: there is nothing to gain.",
    "would amplify errors": "Do not train like this: the model would become surer of wrong answers.",
    "undecided": "Measure more before training.",
}


def headline(diagnosis: AnswerDiagnosis) -> str:
    """The verdict in a line."""
    start, end = numbers.share(diagnosis.accuracy.sample), numbers.share(diagnosis.accuracy.majority)
    headlines: dict[Judgement, str] = {
        "helps": f"Rewarding answers should help: from {start} right draws towards {end}",
        "no headroom": "Rewarding answers has nothing to gain here",
        "would amplify errors": "Rewarding answers would make this model worse here",
        "undecided": "It is open whether rewarding answers would help",
    }
    return headlines[diagnosis.verdict.verdict]


def certified(value: Bracket) -> str:
    """A bracket with its confidence."""
    level = "" if value.confidence is None else f", certified at {value.confidence:.0%}"
    return f"{numbers.bracket(value)}{level}"


def forecast_rows(rounds: tuple[ForecastRecord, ...]) -> list[tuple[str, str, str]]:
    """(round, kappa, right draws with their interval) of every round; certificates only speak of the first."""
    return [
        (
            str(one.round or "now"),
            "–" if one.kappa_point is None else f"about {numbers.number(one.kappa_point)}",
            "–" if one.sample_accuracy_point is None
            else f"{numbers.share(one.sample_accuracy_point)} ({numbers.share_bracket(one.sample_accuracy)})",
        )
        for one in rounds
    ]  # fmt: skip


def break_even_words(diagnosis: AnswerDiagnosis) -> str | None:
    """When training pays, in a sentence."""
    if (pays := diagnosis.break_even) is None:
        return None
    if pays.votes is None or pays.questions is None:
        return "Training is not forecast to pay: a single draw of the base model does as well already."
    return (
        f"One draw after training is forecast to do as well as voting over {pays.votes} draws before it; the "
        f"run costs as much as {pays.run_draws:,} draws, so it pays after {pays.questions:,} questions"
    )


def write_answers_page(diagnosis: AnswerDiagnosis, out: Path) -> Path:
    """Draw the page of one diagnosis of answers.

    Args:
        diagnosis: the record.
        out: the HTML file.

    Raises:
        OSError: the file cannot be written; an older page stays as it was.
    """
    rows = [_row(one) for one in first_rows(diagnosis.prompts, lambda one: one.majority.correct is False)]
    figures = _figures(diagnosis)
    context = {
        "title": f"{visible(diagnosis.model, 60)}: diagnosis of answers",
        "diagnosis": diagnosis,
        "headline": headline(diagnosis),
        "meaning": MEANING[diagnosis.verdict.verdict],
        "facts": _facts(diagnosis),
        "figures": figures,
        "forecast": diagnosis.forecast and forecast_rows(diagnosis.forecast.rounds),
        "break_even": break_even_words(diagnosis),
        "rows": rows,
        "filters": filters(rows, _TAGS),
        "left_out": max(0, len(diagnosis.prompts) - MOST_ROWS),
        "settings": flat(diagnosis.settings),
    }
    return render("answers_diagnosis.html", out, figures, context)


def _facts(diagnosis: AnswerDiagnosis) -> list[tuple[str, str, str]]:
    of, accuracy, count = diagnosis.measured.answers, diagnosis.accuracy, len(diagnosis.prompts)
    estimate = "–" if diagnosis.kappa_estimate is None else f"{diagnosis.kappa_estimate:.3g}"
    facts = [
        (
            "κ of answers, about",
            estimate,
            f"draws until the favourite is seen once; {certified(diagnosis.kappa)}",
        ),
        ("Draws right", numbers.share(accuracy.sample), f"greedy decoding {numbers.share(accuracy.greedy)}"),
        (
            "Majorities right",
            numbers.share(accuracy.majority),
            "the ceiling: rounds that reward answers end there (P10)",
        ),
    ]
    if of is not None:
        right = "" if accuracy.certified is None else f"; {numbers.share(accuracy.certified)} of them right"
        told = (
            f"{of.certified - of.proved} certified by draws at {of.confidence:.0%} together, {of.proved} proved{right}"
        )
        facts.append(("Majorities certain", f"{of.certified} of {count}", told))
    facts.append(
        ("Without an answer", numbers.share(diagnosis.unparseable_share), "of the draws; left out of all else")
    )
    return facts


def _figures(diagnosis: AnswerDiagnosis) -> list[Figure]:
    accuracy = diagnosis.accuracy
    if not accuracy.maj_at:
        return []
    figure = go.Figure()
    for values, name, colour in (
        (accuracy.pass_at, "pass@k: one of k draws is right", ORANGE),
        (accuracy.maj_at, "maj@k: the vote of k draws is right", BLUE),
    ):
        figure.add_scatter(x=list(map(int, values)), y=list(values.values()), name=name, line={"color": colour})
    last = diagnosis.forecast and diagnosis.forecast.rounds[-1]
    if last and last.sample_accuracy_point is not None:
        text = f"one draw, forecast after {last.round} rounds"
        line = {"color": GREEN, "dash": "dash"}
        ends = [1, int(list(accuracy.maj_at)[-1])]
        figure.add_scatter(x=ends, y=[last.sample_accuracy_point] * 2, name=text, mode="lines", line=line)
    figure.update_xaxes(type="log", title_text="k, draws of the base model", dtick=0.30103)
    percent_axis(figure)
    told = "; ".join(f"k = {k}: {numbers.share(value)}" for k, value in accuracy.maj_at.items())
    caption = "Share of questions answered right; unbiased over every subset of the draws."
    return [Figure("votes", "What a vote buys", caption, f"maj@k: {told}", finished_spec(figure, 360, False), True)]


def _row(one: AnswerPrompt) -> dict[str, Any]:
    tags = {
        "wrong": one.majority.correct is False,
        "sure": one.majority.certified,
        "differs": one.greedy is not None and one.greedy != one.majority.answer,
        "unread": one.unparseable > 0,
    }
    return {
        "prompt": visible(one.prompt, 300),
        "group": "" if one.group == "all" else visible(one.group, 60),
        "known": visible(", ".join(one.accepted), 120),
        "answers": [
            (visible(each.answer, 80), each.count, round(100 * each.count / one.draws)) for each in one.answers[:_SHOWN]
        ],
        "more": max(0, len(one.answers) - _SHOWN),
        "correct": one.majority.correct,
        "greedy": None if one.greedy is None else visible(one.greedy, 80),
        "probability": numbers.share_bracket(one.majority.probability),
        "state": "proved" if one.majority.proved else "certified" if one.majority.certified else "",
        "unparseable": one.unparseable,
        "samples": one.sample_accuracy,
        "tags": [name for name, holds in tags.items() if holds],
    }
