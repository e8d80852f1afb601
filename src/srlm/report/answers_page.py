"""The page of a diagnosis at the level of answers, and its sentences.

Knows: the record and its template. What a model or a user wrote goes through `visible` and jinja's escaping. Refuses to
know: models, how anything was measured.
"""

from collections.abc import Mapping
from pathlib import Path

from srlm.records.answer_diagnosis import AnswerDiagnosis
from srlm.records.bracket import Bracket
from srlm.records.diagnosis import DIAGNOSIS_FILE, Judgement
from srlm.records.forecast import ForecastRecord
from srlm.records.text import visible
from srlm.report import numbers
from srlm.report._pieces import flat
from srlm.report.diagnosis_charts import answer_charts
from srlm.report.diagnosis_explorer import answers_run
from srlm.report.page import command_of, render
from srlm.report.traced import trace
from srlm.report.verdict import Chip

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
    level = "" if value.confidence is None else f", certified at {numbers.share(value.confidence)}"
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
        return "Training is not forecast to pay: a single draw of the base model does as well already"
    return (
        f"One draw after training is forecast to do as well as voting over {numbers.whole(pays.votes)} draws before "
        f"it; the run costs as much as {numbers.whole(pays.run_draws)} draws, so it pays after "
        f"{numbers.whole(pays.questions)} questions"
    )


def write_answers_page(diagnosis: AnswerDiagnosis, out: Path, source: Path | None = None) -> Path:
    """Draw the page of one diagnosis of answers into a file; where that fails (OSError) an older page stays as it was.

    Args:
        source: where the record lies; None: beside the page.
    """
    diagnosis = trace(diagnosis, DIAGNOSIS_FILE)
    figures, forecast, command = (
        answer_charts(diagnosis),
        diagnosis.forecast,
        command_of("report", [source or out.parent]),
    )
    of, judged = diagnosis.measured.answers, diagnosis.verdict
    draws = f", {numbers.whole(of.draws)} draws" if of else ""
    assumes = visible("; ".join(forecast.assumes), 700) if forecast else ""
    wrong = len(diagnosis.surer_of_wrong)
    context = {
        "title": f"{visible(diagnosis.model, 60)}: diagnosis of answers",
        "over": f"{visible(diagnosis.model, 80)} · diagnosis of answers before training · "
        f"{len(diagnosis.prompts)} prompts{draws}",
        "headline": headline(diagnosis),
        "meaning": MEANING[judged.verdict],
        "reason": visible(judged.reason, 700),
        "remedy": visible(judged.remedy, 300),
        "more": f"{told}." if (told := break_even_words(diagnosis)) else "",
        "chips": _chips(diagnosis),
        "forecast_words": f"Rounds at β = {numbers.number(forecast.beta)} (P10): {assumes}." if forecast else "",
        "forecast_headers": ["Round", "κ of answers", "Draws right"],
        "forecast": forecast_rows(forecast.rounds) if forecast else [],
        "verdicts": [],
        "figures": figures,
        "about": "Training makes the first answer surer, right or wrong"
        + (f"; it is wrong at {wrong} prompts." if wrong else "."),
        "cautions": [
            "Ends of κ, of failure and of probabilities are certificates from draws"
            f"{f' at {numbers.mass(of.confidence)}' if of else ''} for all prompts at once (P11). They are no proofs; "
            "only what is called proved is.",
            *_CAUTIONS,
        ],
        "spectra": None,
        "settings": list((flat(diagnosis.settings) | {"weights": visible(diagnosis.checksum, 24)}).items()),
    }  # fmt: skip
    return render("diagnosis.html", out, context, command, figures, [answers_run(diagnosis)])


_CAUTIONS = (
    "κ has no upper end where some prompt gave no answer twice. Its estimate is biased towards 1, because the "
    "favourite of few draws looks more frequent than it is.",
    "Training on answers sharpens what the model answers most often. It adds no knowledge, and it makes wrong "
    "favourites surer, too.",
)


def _chips(diagnosis: AnswerDiagnosis) -> list[Chip]:
    of, accuracy = diagnosis.measured.answers, diagnosis.accuracy
    chips = [
        Chip("κ of answers, about", "", numbers.known(diagnosis.kappa_estimate),
             f"draws until the favourite is seen once; {certified(diagnosis.kappa)}", "forecast"),
        Chip("Draws right", "", numbers.share(accuracy.sample), f"greedy decoding {numbers.share(accuracy.greedy)}",
             "forecast"),
        Chip("Majorities right", "", numbers.share(accuracy.majority),
             "the ceiling: rounds that reward answers end there (P10)", "forecast"),
    ]  # fmt: skip
    if of is not None:
        right = "" if accuracy.certified is None else f"; {numbers.share(accuracy.certified)} of them right"
        told = f"{of.certified - of.proved} certified by draws at {numbers.mass(of.confidence)} together, "
        told += f"{numbers.whole(of.proved)} proved{right}"
        count = f"{numbers.whole(of.certified)} of {len(diagnosis.prompts)}"
        chips.append(Chip("Majorities certain", "", count, told, "prompts"))
    unread = numbers.share(diagnosis.unparseable_share)
    chips.append(Chip("Without an answer", "", unread, "of the draws; left out of all else", "prompts"))
    return chips
