"""A diagnosis of answers in words that a person can act on.

Knows: the record and how to say it. Refuses to know: how it was measured.
"""

from collections.abc import Iterator
from pathlib import Path

from srlm.records.answer_diagnosis import AnswerDiagnosis
from srlm.records.text import visible
from srlm.report import numbers
from srlm.report.answers_page import MEANING, break_even_words, certified, forecast_rows, headline

_LISTED = 8


def answers_text(diagnosis: AnswerDiagnosis, out: Path | None = None) -> str:
    """The diagnosis as text, one heading a question.

    Args:
        diagnosis: the record.
        out: the folder it was written to, if any.
    """
    return "\n".join(
        [
            f"{visible(diagnosis.model, 60)} on {len(diagnosis.prompts)} prompts, by answers. {headline(diagnosis)}.",
            MEANING[diagnosis.verdict.verdict],
            *("", "Why?", f"  {diagnosis.verdict.reason}."),
            *([f"  To do: {diagnosis.verdict.remedy}."] if diagnosis.verdict.remedy else []),
            *("", "How sure is the model?"),
            *_sharpness(diagnosis),
            *("", "What does a vote buy?"),
            *_votes(diagnosis),
            *("", "What would rounds make of it?"),
            *_forecast(diagnosis),
            *_wrong(diagnosis),
            *("", "Next"),
            *_next(diagnosis, out),
        ]
    )


def _sharpness(diagnosis: AnswerDiagnosis) -> Iterator[str]:
    of, accuracy = diagnosis.measured.answers, diagnosis.accuracy
    if diagnosis.kappa_estimate is not None:
        yield (
            f"  kappa of answers about {diagnosis.kappa_estimate:.3g} ({certified(diagnosis.kappa)}): draws until the "
            "favourite answer is seen once."
        )
    yield f"  failure rate {certified(diagnosis.failure_rate)}: prompts whose favourite has at most half the draws."
    if of is not None:
        right = "" if accuracy.certified is None else f", {accuracy.certified:.0%} of them right"
        yield (
            f"  {of.certified} of {len(diagnosis.prompts)} majorities are certain{right}: {of.certified - of.proved} "
            f"certified by draws at {of.confidence:.0%} together, {of.proved} proved by the responses seen."
        )
        spent = "" if of.budget is None else f" of a budget of {of.budget}"
        yield f"  {of.draws} draws{spent}; {of.unparseable_share:.0%} without an answer, left out of all this."
        if of.calibration_error is not None:
            yield f"  Calibration error of an answer's share as its chance of being right: {of.calibration_error:.2f}."


def _votes(diagnosis: AnswerDiagnosis) -> Iterator[str]:
    accuracy = diagnosis.accuracy
    if not accuracy.maj_at:
        yield "  No answers are known."
        return
    for name, values in (("maj@k ", accuracy.maj_at), ("pass@k", accuracy.pass_at)):
        yield f"  {name}  " + "  ".join(f"{k}: {value:.0%}" for k, value in values.items())
    agrees = numbers.share(accuracy.greedy_agrees)
    yield f"  greedy decoding {numbers.share(accuracy.greedy)}; it agrees with the majority at {agrees} of the prompts."
    if words := break_even_words(diagnosis):
        yield f"  {words}."
        if diagnosis.break_even and diagnosis.break_even.votes:
            yield f"  ({diagnosis.break_even.assumes}.)"


def _forecast(diagnosis: AnswerDiagnosis) -> Iterator[str]:
    if diagnosis.forecast is None:
        yield "  Not known: nothing was answered."
        return
    rows = [("round", "kappa of answers", "draws right"), *forecast_rows(diagnosis.forecast.rounds)]
    widths = [max(len(row[at]) for row in rows) for at in range(3)]
    for row in rows:
        yield ("  " + "  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True))).rstrip()
    yield f"  Rounds at beta {diagnosis.forecast.beta:.3g} (P10). Assumed: {'; '.join(diagnosis.forecast.assumes)}."


def _wrong(diagnosis: AnswerDiagnosis) -> Iterator[str]:
    if not diagnosis.surer_of_wrong:
        return
    yield ""
    yield f"Where training makes the model surer of a wrong answer: {len(diagnosis.surer_of_wrong)} prompts"
    for at in diagnosis.surer_of_wrong[:_LISTED]:
        one = diagnosis.prompts[at]
        sure = ", proved" if one.majority.proved else ", certified" if one.majority.certified else ""
        told = f"{visible(one.majority.answer or '', 40)!r}, {one.answers[0].count} of {one.draws} draws{sure}"
        yield f"  {visible(one.prompt, 60)}  ->  {told}; right: {visible(', '.join(one.accepted), 40)}"
    if len(diagnosis.surer_of_wrong) > _LISTED:
        yield f"  and {len(diagnosis.surer_of_wrong) - _LISTED} more in diagnosis.json"


def _next(diagnosis: AnswerDiagnosis, out: Path | None) -> Iterator[str]:
    if out is None:
        yield "  Add --out DIR to keep this (diagnosis.json, diagnosis.html)."
    else:
        yield f"  Look at {out / 'diagnosis.html'}."
    if diagnosis.verdict.verdict == "helps":
        source = visible(str(diagnosis.settings.get("prompts")), 80)
        # An endpoint's name for a model is no folder with its weights, which a run changes.
        model = "FOLDER" if diagnosis.settings.get("engine") == "openai" else visible(diagnosis.model, 80)
        yield f"  srlm run --model {model} --prompts {source} --level answer"
