"""Several models, initialisations or checkpoints side by side, each by its diagnosis.

Knows: documents of `diagnosis.json`. A name may be a model, which is diagnosed now, or what an earlier
`srlm diagnose --out` wrote, which is read.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from srlm.diagnosis.preflight import diagnose
from srlm.diagnosis.settings import DiagnosisSettings
from srlm.errors import InputError
from srlm.records.diagnosis_file import holds_diagnosis, read_diagnosis
from srlm.records.progress import Observer

# Two diagnoses can be compared only where these agree.
_SHARED = ("prompts", "max_new_tokens", "mass_slack", "raw_prompts")


def compare(
    models: Sequence[str],
    prompts: str = "bundled",
    *,
    settings: DiagnosisSettings | None = None,
    limit: int | None = None,
    dtype: str = "float32",
    device: str | None = None,
    trust_remote_code: bool = False,
    observer: Callable[[str], Observer] | None = None,
) -> list[tuple[str, dict[str, Any]]]:
    """Diagnose models one after the other on the same prompts.

    Args:
        models: two or more names for `load_model`, or folders with a `diagnosis.json`; different ones.
        prompts, settings, limit, dtype, device, trust_remote_code: as for `diagnose`.
        observer: given a model's name, returns what is told about its diagnosis.

    Returns:
        (name, document) in the order given.

    Raises:
        InputError: fewer than two models, one named twice, or as for `diagnose`.
    """
    if len(models) < 2:
        raise InputError(f"--compare needs two models or more, {len(models)} given; for one leave it out")
    twice = sorted({name for name in models if models.count(name) > 1})
    if twice:
        raise InputError(f"--compare names {', '.join(twice)} more than once; name different models")
    found: list[tuple[str, dict[str, Any]]] = []
    for name in models:
        if holds_diagnosis(Path(name)):
            found.append((name, read_diagnosis(Path(name))))
            continue
        told = None if observer is None else observer(name)
        found.append(
            (
                name,
                diagnose(
                    name,
                    prompts,
                    settings=settings,
                    limit=limit,
                    dtype=dtype,
                    device=device,
                    trust_remote_code=trust_remote_code,
                    observer=told,
                ).as_dict(),
            )
        )
    return found


def comparison_document(found: Sequence[tuple[str, dict[str, Any]]]) -> dict[str, Any]:
    """The rows of the comparison, and what makes them hard to compare, as JSON values."""
    first = found[0][1]
    notes = [
        f"{name} was diagnosed with {field} = {one['settings'].get(field)!r}, {found[0][0]} with "
        f"{first['settings'].get(field)!r}: their numbers cannot be compared"
        for name, one in found[1:]
        for field in _SHARED
        if one["settings"].get(field) != first["settings"].get(field)
    ]
    asked = [prompt["prompt"] for prompt in first["prompts"]]
    notes += [
        f"{name} was asked other prompts than {found[0][0]}"
        for name, one in found[1:]
        if [prompt["prompt"] for prompt in one["prompts"]] != asked
    ]
    return {"models": [_row(name, one) for name, one in found], "notes": notes}


def _row(name: str, one: dict[str, Any]) -> dict[str, Any]:
    margins = [prompt["margin_lower"] for prompt in one["prompts"] if prompt["margin_lower"] is not None]
    spectra = one.get("effective_dimension") or {}
    whole = one["verdict"][0]
    return {
        "name": name,
        "model": one["model"],
        "architecture": one["settings"].get("architecture"),
        "parameters": one["settings"].get("parameters"),
        "prompts": len(one["prompts"]),
        "certified": one.get("certified"),
        "kappa": one["kappa"],
        "failure_rate": one["failure_rate"],
        "min_confidence": one.get("min_confidence"),
        "margin": {"least": min(margins), "median": median(margins)} if margins else None,
        "greedy_failures": one.get("greedy_failures"),
        "degenerate_modes": one.get("degenerate_modes"),
        "accuracy": one["accuracy"],
        "effective_dimension": spectra.get("value"),
        "dimension": spectra.get("dimension"),
        "regime": (spectra.get("decay") or {}).get("best"),
        "fisher_condition_number": (spectra.get("fisher") or {}).get("condition_number"),
        "verdict": whole["verdict"],
        "reason": whole["reason"],
    }
