"""Pages about diagnoses: one, or several side by side, each a single HTML file.

Knows: the document of `diagnosis.json` and its templates. What a model or a user wrote goes through `visible` and
jinja's escaping.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from srlm.errors import InputError
from srlm.records.diagnosis_file import read_diagnosis
from srlm.records.text import visible
from srlm.report import numbers
from srlm.report.diagnosis_figures import comparison_figures, diagnosis_figures
from srlm.report.page import html_target, names_of, render

_MOST = 400
_SHORT, _LONG = 140, 4000
_TAGS = (
    ("differs", "greedy misses the mode"),
    ("wrong", "mode wrong"),
    ("degenerate", "degenerate mode"),
    ("open", "mode not proved"),
)
_MEANING = {
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
    found = [read_diagnosis(folder) for folder in folders]
    try:
        if out is None or len(folders) == 1:
            beside = folders[0] if folders[0].is_dir() else folders[0].parent
            page = write_diagnosis_page(found[0], html_target(out or beside / "diagnosis.html"))
        else:
            page = write_diagnosis_comparison(list(zip(names_of(folders), found, strict=True)), html_target(out))
        said = [
            {"diagnosis": str(folder), "headline": _headline(one), "verdict": one["verdict"]}
            for folder, one in zip(folders, found, strict=True)
        ]
    except (KeyError, TypeError, IndexError) as error:
        names = ", ".join(str(folder) for folder in folders)
        raise InputError(
            f"{names}: a field is missing or has the wrong type ({error}); was the file edited, or written by another "
            "srlm? write it anew with srlm diagnose"
        ) from error
    return {"report": str(page), "diagnoses": said}


def write_diagnosis_page(found: dict[str, Any], out: Path) -> Path:
    """Draw the page of one diagnosis.

    Args:
        found: the document of `diagnosis.json`.
        out: the HTML file.

    Raises:
        OSError: the file cannot be written; an older page stays as it was.
    """
    figures = diagnosis_figures(found)
    rows = [_row(one) for one in _chosen(found["prompts"])]
    counts = Counter(tag for row in rows for tag in row["tags"])
    whole = found["verdict"][0]
    context = {
        "title": f"{visible(found['model'], 60)}: diagnosis",
        "found": found,
        "figures": figures,
        "headline": _headline(found),
        "whole": whole,
        "meaning": _MEANING[whole["verdict"]],
        "facts": _facts(found),
        "verdicts": [_verdict(one) for one in found["verdict"]],
        "cautions": _cautions(found),
        "rows": rows,
        "filters": [(tag, name, counts[tag]) for tag, name in _TAGS if 0 < counts[tag] < len(rows)],
        "left_out": max(0, len(found["prompts"]) - _MOST),
        "settings": _flat(found["settings"]),
        "weights": (found["effective_dimension"] or {}).get("weights", []),
        "regimes": (found["effective_dimension"] or {}).get("decay", {}).get("regimes", []),
        "ends": _ends,
    }
    return render("diagnosis.html", out, figures, context)


def write_diagnosis_comparison(
    found: Sequence[tuple[str, dict[str, Any]]], out: Path, notes: Sequence[str] = ()
) -> Path:
    """Draw several diagnoses side by side.

    Args:
        found: names and documents.
        out: the HTML file.
        notes: what makes them hard to compare.
    """
    figures = comparison_figures(found)
    context = {
        "title": f"{len(found)} models side by side",
        "figures": figures,
        "rows": [(visible(name, 80), one, one["verdict"][0]) for name, one in found],
        "notes": [visible(note, 400) for note in notes],
        "margin": _margin,
        "ends": _ends,
    }
    return render("diagnosis_comparison.html", out, figures, context)


def _headline(found: dict[str, Any]) -> str:
    verdict = found["verdict"][0]["verdict"]
    accuracy = found["accuracy"]
    start, end = numbers.share(accuracy["sample"]), numbers.share(accuracy["mode"])
    if verdict == "helps":
        return f"Self-rewarding should help: from {start} right samples towards {end}"
    if verdict == "no headroom":
        return "Self-rewarding has nothing to gain here"
    if verdict == "would amplify errors":
        return "Self-rewarding would make this model worse"
    return "Not enough is known to say whether self-rewarding helps"


def _facts(found: dict[str, Any]) -> list[tuple[str, str, str]]:
    """(name, value, meaning) of the figures at the top."""
    count, accuracy = len(found["prompts"]), found["accuracy"]
    boot = found["bootstrap"]["kappa"]
    facts = [
        (
            "Condition number κ",
            _ends(found["kappa"]),
            "Mean samples until the favourite answer is seen once; 1 is deterministic. With other prompts of this kind "
            f"{_ends(boot)} ({numbers.share(boot['level'])} bootstrap).",
        ),
        (
            "Failure rate",
            _ends(found["failure_rate"], percent=True),
            "Prompts whose favourite answer has at most half the probability.",
        ),
        ("Modes proved", f"{found['certified']} of {count}", "The search ruled out every likelier answer."),
    ]
    if accuracy["mode"] is not None:
        bracket = accuracy["mode_bracket"]
        facts.insert(
            0,
            (
                "Right samples → ceiling",
                f"{numbers.share(accuracy['sample'])} → {_ends(bracket, percent=True)}",
                "Where exact rounds start and end (P5): the ceiling is the accuracy of the modes.",
            ),
        )
    facts.append(
        (
            "Greedy misses the mode",
            f"{found['greedy_failures']} of {count}",
            "Prompts where decoding greedily is proved not to give the likeliest answer.",
        )
    )
    judged = found["self_reward_against_correctness"]
    if judged is not None and judged["auroc_within"] is not None:
        facts.append(
            (
                "Self-reward picks the right one",
                numbers.share(judged["auroc_within"]),
                "of pairs of a right and a wrong sample of the same prompt; 50% is chance.",
            )
        )
    return facts


def _verdict(one: dict[str, Any]) -> dict[str, Any]:
    css = {"helps": "held", "would amplify errors": "departed"}.get(one["verdict"], "open")
    return one | {"css": css, "group": visible(one["group"], 60)}


def _cautions(found: dict[str, Any]) -> list[str]:
    """What must be said with the numbers."""
    said = []
    count = len(found["prompts"])
    if found["certified"] < count:
        said.append(
            f"{count - found['certified']} of {count} modes are not proved: brackets hold all that the search left "
            "open. More expansions or fewer new tokens narrow them."
        )
    marks = {name: number for name, number in found["degenerate_modes"].items() if number}
    if marks:
        listed = ", ".join(f"{number} {name}" for name, number in marks.items())
        said.append(f"Degenerate modes: {listed}. Self-rewarding makes exactly these responses likelier.")
    if found["numeric_error"]:
        said.append(
            f"Computed in {found['settings']['dtype']}: brackets are widened by "
            f"{numbers.number(found['numeric_error'])} nats, the largest difference from float32 that was measured."
        )
    spectra = found["effective_dimension"]
    if spectra:
        said.extend(f"{one}." for one in (spectra["warning"], spectra["fisher"]["warning"]) if one)
    said.append(
        "The ceiling is what exact rounds on these prompts end in. Real rounds are not exact, and nothing here adds "
        "knowledge that the model does not have."
    )
    said.append(
        "Certification brackets say what the search proved about these prompts; bootstrap intervals say how far a "
        "number would move with other prompts. They are different uncertainties."
    )
    return said


def _chosen(prompts: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """At most _MOST: where there are more, those where something is the matter come first."""
    if len(prompts) <= _MOST:
        return list(prompts)
    return sorted(prompts, key=lambda one: not _tags(one))[:_MOST]


def _tags(one: dict[str, Any]) -> list[str]:
    marks = {
        "differs": one["greedy_is_mode"] is False,
        "wrong": one["mode_correct"] is False,
        "degenerate": bool(one["mode"]["marks"]),
        "open": not one["mode"]["certified"],
    }
    return [tag for tag, _ in _TAGS if marks[tag]]


def _row(one: dict[str, Any]) -> dict[str, Any]:
    answers = one["answer"] if isinstance(one["answer"], list) else [] if one["answer"] is None else [one["answer"]]
    margin = one["margin_lower"]
    return {
        "prompt": _cut(one["prompt"]),
        "group": visible(one["group"], 40),
        "known": visible(", ".join(map(str, answers)), 80),
        "tags": _tags(one),
        "mode": _cut(one["mode"]["text"]) | {"correct": one["mode_correct"], "marks": one["mode"]["marks"]},
        "greedy": _cut(one["greedy"]["text"]) | {"correct": one["greedy_correct"], "marks": one["greedy"]["marks"]},
        "same": one["mode"]["text"] == one["greedy"]["text"],
        "certified": one["mode"]["certified"],
        "probability": _from_logs(one["mode"]["logprob_lower"], one["mode"]["logprob_upper"]),
        "margin": "infinite" if margin is None else numbers.number(margin),
        "samples": one["sample_accuracy"],
    }


def _cut(text: str) -> dict[str, Any]:
    shown = visible(text, _LONG)
    return {"short": visible(text, _SHORT), "whole": shown if len(shown) > _SHORT else None}


def _flat(values: dict[str, Any]) -> dict[str, str]:
    flat: dict[str, str] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            flat |= {visible(str(inner), 80): visible(str(one), 200) for inner, one in value.items()}
        else:
            flat[visible(name, 80)] = visible(str(value), 200)
    return flat


def _margin(found: dict[str, Any]) -> str:
    known = sorted(one["margin_lower"] for one in found["prompts"] if one["margin_lower"] is not None)
    return f"{numbers.number(known[0])}, {numbers.number(known[len(known) // 2])}" if known else "infinite"


def _ends(ends: dict[str, float] | None, percent: bool = False) -> str:
    if ends is None:
        return "not known"
    form = numbers.share if percent else numbers.number
    low, high = form(ends["lower"]), form(ends["upper"])
    return low if low == high else f"{low}–{high}"


def _from_logs(lower: float, upper: float) -> str:
    low, high = numbers.from_log(lower), numbers.from_log(upper)
    return low if low == high else f"{low}–{high}"
