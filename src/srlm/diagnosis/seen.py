"""The diagnosis of what was seen of a model.

Knows: how a look becomes a record. Refuses to know: who looked, where model and prompts came from, how anything is
measured or judged (`srlm.measure`).
"""

import platform
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

import numpy as np

from srlm.diagnosis.answers import diagnose_answers, setup_of
from srlm.diagnosis.look import Look
from srlm.diagnosis.settings import DiagnosisSettings
from srlm.measure.forecast import forecast_of
from srlm.measure.prompt import EVERYTHING, diagnose_prompt, sample_facts
from srlm.measure.strategies import self_judgement
from srlm.measure.verdict import accuracy_of, bootstrap_of, judge_group, statistics_of
from srlm.records.answer_diagnosis import AnswerDiagnosis
from srlm.records.diagnosis import MARKS, DiagnosisRecord, DiagnosisSetup, PromptDiagnosis
from srlm.records.responses import widen
from srlm.tasks.prompts import Prompt


def diagnose_seen(
    look: Look, asked: Sequence[Prompt], source: Any, gate: int, chosen: DiagnosisSettings
) -> DiagnosisRecord | AnswerDiagnosis:
    """The diagnosis of a look.

    Args:
        look: at every prompt.
        asked: the prompts, at least one.
        source, gate: where they came from, and how many marked `gate` were left out.
        chosen: how it was measured.

    Raises:
        InputError: no answer in more than half of the responses.
    """
    facts = look.facts
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
    error = max(one.error for one in look.modes)
    return DiagnosisRecord(
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
        numeric_error=error,
        verdict=tuple(judge_group(name, members, generator, slack) for name, members in named),
        forecast=forecast_of(diagnosed, setup, error),
        seconds=look.seconds,
    )
