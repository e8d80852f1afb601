"""Diagnose: sample, find the modes, look at the features, and say whether self-rewarding will help. No training.

Knows: what comes before and after a look at a model. Refuses to know: how anything is measured or judged
(`srlm.measure`), who looks.
"""

import platform
from collections.abc import Sequence
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from srlm.diagnosis.answers import diagnose_answers, setup_of
from srlm.diagnosis.look import Look, look_at
from srlm.diagnosis.settings import Cluster, DiagnosisSettings, settings_for
from srlm.errors import InputError
from srlm.lm.loading import LoadedModel, as_loaded, load_model
from srlm.lm.subject import BUNDLED, EMBEDDED_MODEL, prompts_of
from srlm.measure.forecast import forecast_of
from srlm.measure.prompt import EVERYTHING, diagnose_prompt, sample_facts
from srlm.measure.strategies import self_judgement
from srlm.measure.verdict import accuracy_of, bootstrap_of, judge_group, statistics_of
from srlm.records.answer_diagnosis import AnswerDiagnosis
from srlm.records.diagnosis import MARKS, DiagnosisRecord, DiagnosisSetup, PromptDiagnosis
from srlm.records.progress import Observer
from srlm.records.responses import widen
from srlm.tasks.answers import answer_rule
from srlm.tasks.prompts import Prompt, as_prompts, load_prompts, without_gate
from srlm.tasks.readable import require_readable


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
        model: a name for `load_model`, a `LoadedModel`, or a bare model with its tokenizer in `processing_class`.
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
    if cluster is not None and cluster.ray:
        if not isinstance(model, str):
            raise InputError("--ray needs a model that every worker can load by its name; give a folder or a hub name")
        named = {"name": model, "dtype": dtype, "device": device, "trust_remote_code": trust_remote_code}
        from srlm.diagnosis.cluster import look_on_cluster

        look = look_on_cluster(named, asked, chosen, cluster, parts, observer or Observer())
        chosen = replace(chosen, spectra=False)
    else:
        loaded = (
            load_model(model, dtype=dtype, device=device, trust_remote_code=trust_remote_code)
            if isinstance(model, str)
            else as_loaded(model, processing_class)
        )
        look = look_at(loaded, asked, range(len(asked)), chosen, len(asked), observer or Observer())
    facts, gate = look.facts, sum(one.split == "gate" for one in given)
    if chosen.level == "answer":
        about = {name: facts[name] for name in ("model", "checksum")}
        about["settings"] = setup_of(source, gate, chosen, engine=facts["engine"], dtype=facts["dtype"])
        return diagnose_answers(asked, look.rollouts, chosen, about, look.seconds["sample"])
    setup = DiagnosisSetup(
        prompts=source if isinstance(source, str) else "records",
        gate_prompts=gate,
        **{name: value for name, value in asdict(chosen).items() if name in DiagnosisSetup.model_fields},
        **{name: facts[name] for name in ("dtype", "parameters", "architecture")},
        versions={
            "python": platform.python_version(),
            **{name: version(name) for name in ("torch", "transformers", "numpy")},
        },
    )
    return _judge(asked, look, setup)


def _judge(prompts: Sequence[Prompt], look: Look, setup: DiagnosisSetup) -> DiagnosisRecord:
    """The record of what was run."""
    rollouts = [prompt.graded_rollout(one) for prompt, one in zip(prompts, look.rollouts, strict=True)]
    modes = [prompt.graded_bracket(one) for prompt, one in zip(prompts, widen(look.modes), strict=True)]
    diagnosed = [
        diagnose_prompt(prompt, rollout, mode) for prompt, rollout, mode in zip(prompts, rollouts, modes, strict=True)
    ]
    groups: dict[str, list[PromptDiagnosis]] = {}
    for one in diagnosed:
        groups.setdefault(one.group, []).append(one)
    named = [(EVERYTHING, diagnosed), *(groups.items() if set(groups) != {EVERYTHING} else ())]
    slack, generator = setup.mass_slack, np.random.default_rng([setup.seed, 1])
    record = DiagnosisRecord(
        model=look.facts["model"],
        checksum=look.facts["checksum"],
        settings=setup,
        prompts=tuple(diagnosed),
        **asdict(statistics_of(diagnosed, slack)),
        bootstrap=bootstrap_of(diagnosed, slack, generator),
        certified=sum(one.mode.certified for one in diagnosed),
        greedy_failures=sum(one.greedy_is_mode is False for one in diagnosed),
        degenerate_modes={mark: sum(mark in one.mode.marks for one in diagnosed) for mark in MARKS},
        samples=sample_facts(rollouts),
        accuracy=accuracy_of(diagnosed),
        self_reward_against_correctness=self_judgement(rollouts),
        effective_dimension=look.spectra,
        numeric_error=max(one.error for one in look.modes),
        verdict=tuple(judge_group(name, members, generator, slack) for name, members in named),
        seconds=look.seconds,
    )
    return record.model_copy(update={"forecast": forecast_of(record)})
