"""Diagnose: sample, find the modes, look at the features, and say whether self-rewarding will help. No training.

Knows: which prompts are looked at, and who draws. Refuses to know: how anything is measured or judged (`srlm.measure`),
and torch, unless the model is run in this process.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from srlm.diagnosis.settings import Cluster, DiagnosisSettings, settings_for
from srlm.engines.names import TRANSFORMERS, parse_engine
from srlm.errors import InputError
from srlm.lm.subject import BUNDLED, EMBEDDED_MODEL, prompts_of
from srlm.records.answer_diagnosis import AnswerDiagnosis
from srlm.records.diagnosis import DiagnosisRecord
from srlm.records.progress import Observer
from srlm.tasks.answers import answer_rule
from srlm.tasks.prompts import as_prompts, load_prompts, without_gate
from srlm.tasks.readable import require_readable

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
    cluster: Cluster | None = None,
    parts: Path | None = None,
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
        cluster: where to look, if not in this process; features are then left out.
        parts: a folder in which the parts of a cluster's look are kept until all are there.

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
    if chosen.level == "answer":
        require_readable(asked, answer_rule(chosen.answers or "auto"))
    gate, told = sum(one.split == "gate" for one in given), observer or Observer()
    drawing = parse_engine(chosen.engine).kind
    if drawing != TRANSFORMERS and cluster is not None and cluster.ray:
        raise InputError(f"--ray deals out what runs in its workers; leave it out with engine {drawing}")
    if drawing == "openai":
        if (dtype, device, trust_remote_code) != ("float32", None, False):
            raise InputError("dtype, device, trust_remote_code: of a model here, not of an endpoint; leave them out")
        from srlm.diagnosis.endpoint import diagnose_endpoint

        return diagnose_endpoint(model, asked, source, gate, chosen, told)
    from srlm.diagnosis.look import look_at
    from srlm.diagnosis.seen import diagnose_seen
    from srlm.lm.loading import as_loaded, load_model

    if cluster is not None and cluster.ray:
        if not isinstance(model, str):
            raise InputError("--ray needs a model that every worker can load by its name; give a folder or a hub name")
        from srlm.diagnosis.cluster import look_on_cluster

        named = {"name": model, "dtype": dtype, "device": device, "trust_remote_code": trust_remote_code}
        look = look_on_cluster(named, asked, chosen, cluster, parts, told)
        return diagnose_seen(look, asked, source, gate, replace(chosen, spectra=False))
    loaded = (
        load_model(model, dtype=dtype, device=device, trust_remote_code=trust_remote_code)
        if isinstance(model, str)
        else as_loaded(model, processing_class)
    )
    look = look_at(loaded, asked, range(len(asked)), chosen, len(asked), told)
    return diagnose_seen(look, asked, source, gate, chosen)
