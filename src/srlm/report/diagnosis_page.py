"""Pages about diagnoses: one, or several side by side, each a single HTML file.

Knows: the record of a diagnosis and its templates. What a model or a user wrote goes through `visible` and jinja's
escaping. Refuses to know: models, how anything was measured.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from srlm.errors import InputError
from srlm.records.answer_diagnosis import read_answer_diagnosis
from srlm.records.diagnosis import DiagnosisRecord, Judgement, PromptDiagnosis, Verdict, read_diagnosis
from srlm.records.text import visible
from srlm.report import numbers
from srlm.report._pieces import MOST_ROWS, cut, filters, first_rows, flat
from srlm.report.answers_page import headline, write_answers_page
from srlm.report.diagnosis_figures import comparison_figures, diagnosis_figures
from srlm.report.page import html_target, names_of, render

_TAGS = (
    ("differs", "greedy misses the mode"),
    ("wrong", "mode wrong"),
    ("degenerate", "degenerate mode"),
    ("open", "mode still open"),
)
_MEANING: dict[Judgement, str] = {
    "helps": "Train: samples should climb towards the accuracy of the modes.",
    "no headroom": "Do not train for accuracy: there is nothing to gain.",
    "would amplify errors": "Do not train like this: the model would become surer of wrong or empty answers.",
    "undecided": "Measure more before training.",
}


def report_diagnoses(folders: Sequence[Path], out: Path | None = None) -> dict[str, Any]:
    """Draw the page of one diagnosis or of several, and say in JSON values what it says.

    Args:
        folders: what `srlm diagnose --out` wrote, one or more.
        out: the HTML file; may be left out for one.

    Returns:
        `report` (the file) and `diagnoses`: folder, headline and verdict of each.

    Raises:
        InputError: a folder without a diagnosis; several folders and no `out`.
        OSError: the file cannot be written.
    """
    if len(folders) > 1 and out is None:
        raise InputError("several diagnoses have no folder of their own to put a page in; give --out FILE.html")
    beside = folders[0] if folders[0].is_dir() else folders[0].parent
    if len(folders) == 1 and (answers := read_answer_diagnosis(folders[0])) is not None:
        page = write_answers_page(answers, html_target(out or beside / "diagnosis.html"))
        told = {"diagnosis": str(folders[0]), "headline": headline(answers), "verdict": [answers.as_dict()["verdict"]]}
        return {"report": str(page), "diagnoses": [told]}
    diagnoses = [read_diagnosis(folder) for folder in folders]
    if out is None or len(folders) == 1:
        page = write_diagnosis_page(diagnoses[0], html_target(out or beside / "diagnosis.html"))
    else:
        page = write_diagnosis_comparison(list(zip(names_of(folders), diagnoses, strict=True)), html_target(out))
    summaries = [
        {"diagnosis": str(folder), "headline": _headline(one), "verdict": one.as_dict()["verdict"]}
        for folder, one in zip(folders, diagnoses, strict=True)
    ]
    return {"report": str(page), "diagnoses": summaries}


def write_diagnosis_page(diagnosis: DiagnosisRecord, out: Path) -> Path:
    """Draw the page of one diagnosis.

    Args:
        diagnosis: the record.
        out: the HTML file.

    Raises:
        OSError: the file cannot be written; an older page stays as it was.
    """
    figures = diagnosis_figures(diagnosis)
    rows = [_row(one) for one in first_rows(diagnosis.prompts, _tags)]
    setup = diagnosis.settings.model_dump(exclude={"versions"}) | diagnosis.settings.versions
    context = {
        "title": f"{visible(diagnosis.model, 60)}: diagnosis",
        "diagnosis": diagnosis,
        "proved": numbers.proved(diagnosis.numeric_error),
        "figures": figures,
        "headline": _headline(diagnosis),
        "whole": diagnosis.verdict[0],
        "meaning": _MEANING[diagnosis.verdict[0].verdict],
        "facts": _facts(diagnosis),
        "forecast": diagnosis.forecast and numbers.forecast_rows(diagnosis.forecast.rounds),
        "verdicts": [(one, _css(one)) for one in diagnosis.verdict],
        "cautions": _cautions(diagnosis),
        "rows": rows,
        "filters": filters(rows, _TAGS),
        "left_out": max(0, len(diagnosis.prompts) - MOST_ROWS),
        "settings": flat(setup),
        "spectra": diagnosis.effective_dimension,
    }
    return render("diagnosis.html", out, figures, context)


def write_diagnosis_comparison(
    several: Sequence[tuple[str, DiagnosisRecord]], out: Path, notes: Sequence[str] = ()
) -> Path:
    """Draw several diagnoses side by side.

    Args:
        several: names and diagnoses.
        out: the HTML file.
        notes: what makes them hard to compare.
    """
    figures = comparison_figures(several)
    context = {
        "title": f"{len(several)} models side by side",
        "figures": figures,
        "rows": [(visible(name, 80), one, one.verdict[0]) for name, one in several],
        "notes": [visible(note, 400) for note in notes],
    }
    return render("diagnosis_comparison.html", out, figures, context)


def _headline(diagnosis: DiagnosisRecord) -> str:
    start, end = numbers.share(diagnosis.accuracy.sample), numbers.share(diagnosis.accuracy.mode)
    headlines: dict[Judgement, str] = {
        "helps": f"Self-rewarding should help: from {start} right samples towards {end}",
        "no headroom": "Self-rewarding has nothing to gain here",
        "would amplify errors": "Self-rewarding would make this model worse",
        "undecided": "Not enough is known to say whether self-rewarding helps",
    }
    return headlines[diagnosis.verdict[0].verdict]


def _facts(diagnosis: DiagnosisRecord) -> list[tuple[str, str, str]]:
    """(name, value, meaning) of the figures at the top."""
    count, accuracy, proved = len(diagnosis.prompts), diagnosis.accuracy, numbers.proved(diagnosis.numeric_error)
    boot, judgement = diagnosis.bootstrap.log_kappa, diagnosis.self_reward_against_correctness
    facts = [
        (
            "Condition number κ",
            numbers.kappa(diagnosis),
            "Mean samples until the favourite answer is seen once; 1 is deterministic. With other prompts of this kind "
            f"{numbers.log_bracket(boot)} ({numbers.share(boot.level)} bootstrap).",
        ),
        (
            "Failure rate",
            numbers.share_bracket(diagnosis.failure_rate),
            "Prompts whose favourite answer has at most half the probability.",
        ),
        (f"Modes {proved}", f"{diagnosis.certified} of {count}", "The search ruled out every likelier answer."),
        (
            "Greedy misses the mode",
            f"{diagnosis.greedy_failures} of {count}",
            f"Prompts where decoding greedily is {proved} not to give the likeliest answer.",
        ),
    ]
    if accuracy.mode is not None:
        value = f"{numbers.share(accuracy.sample)} → {numbers.share_bracket(accuracy.mode_bracket)}"
        meaning = "Where exact rounds start and end (P5): the ceiling is the accuracy of the modes."
        facts.insert(0, ("Right samples → ceiling", value, meaning))
    if judgement is not None and judgement.auroc_within is not None:
        meaning = "of pairs of a right and a wrong sample of the same prompt; 50% is chance."
        facts.append(("Self-reward picks the right one", numbers.share(judgement.auroc_within), meaning))
    return facts


def _css(one: Verdict) -> str:
    return {"helps": "held", "would amplify errors": "departed"}.get(one.verdict, "open")


def _cautions(diagnosis: DiagnosisRecord) -> list[str]:
    """What must be said with the numbers."""
    cautions = []
    count, spectra = len(diagnosis.prompts), diagnosis.effective_dimension
    if diagnosis.certified < count:
        cautions.append(
            f"{count - diagnosis.certified} of {count} modes are not {numbers.proved(diagnosis.numeric_error)}: "
            "brackets hold all that the search left open. More expansions or fewer new tokens narrow them."
        )
    if marks := {name: number for name, number in diagnosis.degenerate_modes.items() if number}:
        listed = ", ".join(f"{number} {name}" for name, number in marks.items())
        cautions.append(f"Degenerate modes: {listed}. Self-rewarding makes exactly these responses likelier.")
    if diagnosis.numeric_error:
        cautions.append(numbers.widening(diagnosis.settings.dtype, diagnosis.numeric_error))
    if spectra is not None:
        cautions += [f"{one}." for one in (spectra.warning, spectra.fisher.warning) if one]
    cautions.append(
        "The ceiling is what exact rounds on these prompts end in. Real rounds are not exact, and nothing here adds "
        "knowledge that the model does not have."
    )
    says = "estimated" if diagnosis.numeric_error else "proved"
    cautions.append(
        f"Certification brackets say what the search {says} about these prompts; bootstrap intervals say how far a "
        "number would move with other prompts. They are different uncertainties."
    )
    return cautions


def _tags(one: PromptDiagnosis) -> list[str]:
    shown = (
        one.greedy_is_mode is False,
        one.mode_correct is False,
        bool(one.mode.marks),
        not one.mode.certified,
    )
    return [tag for (tag, _), there in zip(_TAGS, shown, strict=True) if there]


def _row(one: PromptDiagnosis) -> dict[str, Any]:
    answers = (one.answer,) if isinstance(one.answer, str) else one.answer or ()
    ends = numbers.from_log(one.mode.logprob_lower), numbers.from_log(one.mode.logprob_upper)
    return {
        "prompt": cut(one.prompt),
        "group": visible(one.group, 40),
        "known": visible(", ".join(answers), 80),
        "tags": _tags(one),
        "mode": cut(one.mode.text, correct=one.mode_correct, marks=one.mode.marks),
        "greedy": cut(one.greedy.text, correct=one.greedy_correct, marks=one.greedy.marks),
        "same": one.mode.text == one.greedy.text,
        "certified": one.mode.certified,
        "probability": numbers.between(*ends),
        "margin": "infinite" if one.margin_lower is None else numbers.number(one.margin_lower),
        "samples": one.sample_accuracy,
    }
