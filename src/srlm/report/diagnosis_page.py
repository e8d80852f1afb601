"""Pages about diagnoses: one, or several side by side, each a single HTML file.

Knows: the record of a diagnosis and its templates. What a model or a user wrote goes through `visible` and jinja's
escaping. Refuses to know: models, how anything was measured.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from srlm.errors import InputError
from srlm.records.answer_diagnosis import read_answer_diagnosis
from srlm.records.diagnosis import DIAGNOSIS_FILE, DiagnosisRecord, Judgement, Verdict, read_diagnosis
from srlm.records.text import visible
from srlm.report import numbers
from srlm.report._pieces import flat
from srlm.report.answers_page import headline, write_answers_page
from srlm.report.diagnosis_charts import comparison_charts, diagnosis_charts
from srlm.report.diagnosis_explorer import diagnosis_runs
from srlm.report.page import command_of, html_target, names_of, render
from srlm.report.traced import trace
from srlm.report.verdict import Chip

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
        page = write_answers_page(answers, html_target(out or beside / "diagnosis.html"), folders[0])
        told = {"diagnosis": str(folders[0]), "headline": headline(answers), "verdict": [answers.as_dict()["verdict"]]}
        return {"report": str(page), "diagnoses": [told]}
    diagnoses = [read_diagnosis(folder) for folder in folders]
    if out is None or len(folders) == 1:
        page = write_diagnosis_page(diagnoses[0], html_target(out or beside / "diagnosis.html"), folders[0])
    else:
        page = write_diagnosis_comparison(list(zip(names_of(folders), diagnoses, strict=True)), html_target(out))
    summaries = [
        {"diagnosis": str(folder), "headline": _headline(one), "verdict": one.as_dict()["verdict"]}
        for folder, one in zip(folders, diagnoses, strict=True)
    ]
    return {"report": str(page), "diagnoses": summaries}


def write_diagnosis_page(diagnosis: DiagnosisRecord, out: Path, source: Path | None = None) -> Path:
    """Draw the page of one diagnosis into a file; where that fails (OSError) an older page stays as it was.

    Args:
        source: where the record lies; None: beside the page.
    """
    diagnosis = trace(diagnosis, DIAGNOSIS_FILE)
    figures, whole = diagnosis_charts(diagnosis), diagnosis.verdict[0]
    setup = diagnosis.settings.model_dump(exclude={"versions"}) | diagnosis.settings.versions
    forecast, command = diagnosis.forecast, command_of("report", [source or out.parent])
    about = (
        f"{visible(diagnosis.model, 80)} · diagnosis before training · {len(diagnosis.prompts)} prompts, answers up to "
    )
    assumes = visible("; ".join(forecast.assumes), 600) if forecast else ""
    context = {
        "title": f"{visible(diagnosis.model, 60)}: diagnosis",
        "over": f"{about}{numbers.whole(diagnosis.settings.max_new_tokens)} tokens",
        "headline": _headline(diagnosis),
        "meaning": _MEANING[whole.verdict],
        "reason": visible(whole.reason, 600),
        "remedy": visible(whole.remedy, 300),
        "more": f"Training would make the model surer of a wrong answer at {wrong} of {len(diagnosis.prompts)} prompts."
        if (wrong := len(diagnosis.surer_of_wrong))
        else "",
        "chips": _chips(diagnosis),
        "forecast_words": f"Rounds at β = {numbers.number(forecast.beta)} (P8): {assumes}." if forecast else "",
        "forecast_headers": ["Round", "κ", "Prompts that fail", "Samples right"],
        "forecast": numbers.forecast_rows(forecast.rounds) if forecast else [],
        "verdicts": [(one, _css(one)) for one in diagnosis.verdict],
        "figures": figures,
        "about": "The mode is the likeliest whole response, the one that self-rewarding makes surer.",
        "cautions": _cautions(diagnosis),
        "spectra": diagnosis.effective_dimension,
        "settings": list((flat(setup) | {"weights": visible(diagnosis.checksum, 24)}).items()),
    }
    return render("diagnosis.html", out, context, command, figures, diagnosis_runs([(diagnosis.model, diagnosis)]))


def write_diagnosis_comparison(
    several: Sequence[tuple[str, DiagnosisRecord]], out: Path, notes: Sequence[str] = ()
) -> Path:
    """Draw several diagnoses side by side.

    Args:
        several: names and diagnoses.
        out: the HTML file.
        notes: what makes them hard to compare.
    """
    several = [(visible(name, 80), trace(one, f"{visible(name, 80)}/{DIAGNOSIS_FILE}")) for name, one in several]
    figures = comparison_charts(several)
    context = {
        "title": f"{len(several)} models side by side",
        "over": "diagnoses before training",
        "headline": f"{len(several)} models side by side",
        "headers": list(_COMPARED),
        "rows": [(name, *(cell(one) for cell in list(_COMPARED.values())[1:])) for name, one in several],
        "css": "",
        "said_title": "Why",
        "said": [f"{name}: {one.verdict[0].verdict}. {visible(one.verdict[0].reason, 600)}." for name, one in several],
        "notes": [visible(note, 400) for note in notes],
        "figures": figures,
        "runs_shown": True,
        "differences": None,
        "footer": "Drawn by srlm from diagnoses of these models on the same prompts. No training was done.",
    }
    return render("comparison.html", out, context, "", figures, diagnosis_runs(several))


_COMPARED: Mapping[str, Callable[[DiagnosisRecord], str]] = {
    "Model": lambda one: one.model,
    "κ": numbers.kappa,
    "failure rate": lambda one: numbers.share_bracket(one.failure_rate),
    "margin (least, median)": numbers.margins,
    "modes": lambda one: f"{_of(one, one.certified)} {numbers.proved(one.numeric_error)}",
    "samples right": lambda one: numbers.share(one.accuracy.sample, "–"),
    "greedy right": lambda one: numbers.share(one.accuracy.greedy, "–"),
    "modes right": lambda one: numbers.share_bracket(one.accuracy.mode_bracket, "–"),
    "effective dimension": lambda one: "–" if (of := one.effective_dimension) is None
    else f"{numbers.number(of.value)} of {numbers.whole(of.dimension)}",
    "regime": lambda one: "–" if (of := one.effective_dimension) is None else of.decay.best or "none fits",
    "Self-rewarding": lambda one: one.verdict[0].verdict,
}  # fmt: skip


def _of(diagnosis: DiagnosisRecord, count: int) -> str:
    return f"{numbers.whole(count)} of {len(diagnosis.prompts)}"


def _headline(diagnosis: DiagnosisRecord) -> str:
    start, end = numbers.share(diagnosis.accuracy.sample), numbers.share(diagnosis.accuracy.mode)
    headlines: dict[Judgement, str] = {
        "helps": f"Self-rewarding should help: from {start} right samples towards {end}",
        "no headroom": "Self-rewarding has nothing to gain here",
        "would amplify errors": "Self-rewarding would make this model worse",
        "undecided": "Not enough is known to say whether self-rewarding helps",
    }
    return headlines[diagnosis.verdict[0].verdict]


def _chips(diagnosis: DiagnosisRecord) -> list[Chip]:
    """The figures at the top."""
    accuracy, proved = diagnosis.accuracy, numbers.proved(diagnosis.numeric_error)
    boot, judgement = diagnosis.bootstrap.log_kappa, diagnosis.self_reward_against_correctness
    chips = [
        Chip(
            "Condition number κ", "", numbers.kappa(diagnosis),
            "Mean samples until the favourite answer is seen once; 1 is deterministic. With other prompts of this kind "
            f"{numbers.log_bracket(boot)} ({numbers.share(boot.level)} bootstrap).", "forecast",
        ),
        Chip("Failure rate", "", numbers.share_bracket(diagnosis.failure_rate),
             "Prompts whose favourite answer has at most half the probability.", "forecast"),
        Chip(f"Modes {proved}", "", _of(diagnosis, diagnosis.certified), "The search ruled out every likelier answer.",
             "prompts"),
        Chip("Greedy misses the mode", "", _of(diagnosis, diagnosis.greedy_failures),
             f"Prompts where decoding greedily is {proved} not to give the likeliest answer.", "prompts"),
    ]  # fmt: skip
    if accuracy.mode is not None:
        meaning = "Where exact rounds start and end (P5): the ceiling is the accuracy of the modes."
        ends = numbers.share(accuracy.sample), numbers.share_bracket(accuracy.mode_bracket)
        chips.insert(0, Chip("Right samples → ceiling", *ends, meaning, "forecast"))
    if judgement is not None and judgement.auroc_within is not None:
        meaning = "of pairs of a right and a wrong sample of the same prompt; 50% is chance."
        right = numbers.share(judgement.auroc_within)
        chips.append(Chip("Self-reward picks the right one", "", right, meaning, "forecast"))
    return chips


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
