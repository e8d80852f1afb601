"""Several models, initialisations or checkpoints side by side, each by its diagnosis.

Knows: a name may be a model, which is diagnosed now, or what an earlier `srlm diagnose --out` wrote, which is read.
Refuses to know: how a diagnosis is made.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from srlm.diagnosis.preflight import diagnose
from srlm.errors import InputError
from srlm.records.diagnosis import DiagnosisRecord, holds_diagnosis, read_diagnosis
from srlm.records.progress import Observer

# Two diagnoses can be compared only where these agree.
_SHARED = ("prompts", "max_new_tokens", "mass_slack", "raw_prompts")


def compare(
    models: Sequence[str],
    prompts: str = "bundled",
    *,
    observer: Callable[[str], Observer] | None = None,
    **options: Any,
) -> list[tuple[str, DiagnosisRecord]]:
    """Diagnose models one after the other on the same prompts.

    Args:
        models: two or more names for `load_model`, or folders with a `diagnosis.json`; different ones.
        prompts, options: as for `diagnose`.
        observer: given a model's name, returns what is told about its diagnosis.

    Returns:
        (name, diagnosis) in the order given.

    Raises:
        InputError: fewer than two models, one named twice, or as for `diagnose`.
    """
    if len(models) < 2:
        raise InputError(f"--compare needs two models or more, {len(models)} given; for one leave it out")
    twice = sorted({name for name in models if models.count(name) > 1})
    if twice:
        raise InputError(f"--compare names {', '.join(twice)} more than once; name different models")
    several = []
    for name in models:
        if holds_diagnosis(Path(name)):
            several.append((name, read_diagnosis(Path(name))))
        else:
            several.append((name, diagnose(name, prompts, observer=observer(name) if observer else None, **options)))
    return several


def comparison_notes(several: Sequence[tuple[str, DiagnosisRecord]]) -> list[str]:
    """What makes named diagnoses hard to compare."""
    first, of_first = several[0]
    notes = [
        f"{name} was diagnosed with {field} = {getattr(one.settings, field)!r}, {first} with "
        f"{getattr(of_first.settings, field)!r}: their numbers cannot be compared"
        for name, one in several[1:]
        for field in _SHARED
        if getattr(one.settings, field) != getattr(of_first.settings, field)
    ]
    notes += [
        f"{name} was computed in {one.settings.dtype}: its brackets are estimates, and nothing of it is proved"
        for name, one in several
        if one.numeric_error
    ]
    asked = [prompt.prompt for prompt in of_first.prompts]
    return notes + [
        f"{name} was asked other prompts than {first}"
        for name, one in several[1:]
        if [prompt.prompt for prompt in one.prompts] != asked
    ]


def comparison_document(several: Sequence[tuple[str, DiagnosisRecord]]) -> dict[str, Any]:
    """The contents of `comparison.json`: a row a model, and the notes."""
    return {"models": [_row(name, one) for name, one in several], "notes": comparison_notes(several)}


def _row(name: str, one: DiagnosisRecord) -> dict[str, Any]:
    spectra, whole = one.effective_dimension, one.verdict[0]
    brackets = {"kappa", "log_kappa", "failure_rate", "min_confidence", "log_min_confidence", "accuracy"}
    counts = {"model", "certified", "greedy_failures", "degenerate_modes"}
    return {
        "name": name,
        "architecture": one.settings.architecture,
        "parameters": one.settings.parameters,
        "prompts": len(one.prompts),
        "margin": one.margins and dict(zip(("least", "median"), one.margins, strict=True)),
        **one.model_dump(mode="json", include=brackets | counts),
        "effective_dimension": spectra and spectra.value,
        "dimension": spectra and spectra.dimension,
        "regime": spectra and spectra.decay.best,
        "fisher_condition_number": spectra and spectra.fisher.condition_number,
        "verdict": whole.verdict,
        "reason": whole.reason,
    }
