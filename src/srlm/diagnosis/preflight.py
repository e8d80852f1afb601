"""Diagnose: sample, find the modes, look at the features, and say whether self-rewarding will help. No training.

Knows: which prompts are looked at, and who draws. Refuses to know: how anything is measured or judged (`srlm.measure`),
and torch, unless the model is run in this process.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from srlm.diagnosis.settings import DiagnosisSettings, settings_for
from srlm.engines.names import parse_engine
from srlm.errors import InputError
from srlm.lm.subject import BUNDLED, EMBEDDED_MODEL, prompts_of
from srlm.records.answer_diagnosis import AnswerDiagnosis
from srlm.records.diagnosis import DiagnosisRecord
from srlm.records.progress import Observer
from srlm.tasks.prompts import as_prompts, load_prompts, without_gate

if TYPE_CHECKING:
    from srlm.lm.loading import LoadedModel


def diagnose(
    model: LoadedModel | Any = EMBEDDED_MODEL,
    prompts: str | Sequence[Any] = BUNDLED,
    *,
    settings: DiagnosisSettings | None = None,
    limit: int | None = None,
    dtype: str = "float32",
    device: str | None = None,
    trust_remote_code: bool = False,
    processing_class: Any = None,
    observer: Observer | None = None,
) -> DiagnosisRecord | AnswerDiagnosis:
    """Say before any training what self-rewarding would make of a model on these prompts.

    Args:
        model: a name for `load_model`, a `LoadedModel`, or a bare model with its tokenizer in `processing_class`; with
            an endpoint, the name that it has there.
        prompts: a source for `load_prompts`, or records with a `prompt`; those marked `gate` are left out, as in a
            run, and counted.
        settings: how to measure.
        limit: use at most this many prompts.
        dtype, device, trust_remote_code: as for `load_model`, where `model` is a name.
        processing_class: the tokenizer of a bare model.
        observer: is told about every stage.

    Returns:
        The diagnosis, of the settings' level; brackets are honest whatever the budget was.

    Raises:
        InputError: anything given that cannot be used, a model that returns NaN included (with the layer).
    """
    chosen, source = settings or settings_for(model, {}), prompts_of(model, prompts)
    given = load_prompts(source, limit=limit, held_out=0.0) if isinstance(source, str) else as_prompts(source)
    asked = [one for one in without_gate(given) if chosen.split in (None, one.split)][:limit]
    if not asked:
        raise InputError(f"no prompt is marked {chosen.split}; leave --split out, or mark some")
    gate, told = sum(one.split == "gate" for one in given), observer or Observer()
    if parse_engine(chosen.engine).kind == "openai":
        from srlm.diagnosis.endpoint import diagnose_endpoint

        return diagnose_endpoint(model, asked, source, gate, chosen, told)
    from srlm.diagnosis.in_process import diagnose_loaded
    from srlm.lm.loading import as_loaded, load_model

    loaded = (
        load_model(model, dtype=dtype, device=device, trust_remote_code=trust_remote_code)
        if isinstance(model, str)
        else as_loaded(model, processing_class)
    )
    return diagnose_loaded(loaded, asked, source, gate, chosen, told)
