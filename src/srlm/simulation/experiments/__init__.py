"""The experiments that the theory calls for. One file each; a new one is a file and its name in `EXPERIMENTS`. Users
type the file's name, with hyphens.
"""

from collections.abc import Mapping
from typing import Any

from srlm.errors import InputError
from srlm.simulation.experiments import (
    answers,
    certificates,
    contraction,
    digits,
    effective_dimension,
    faithfulness,
    fisher,
    greedy_trap,
    hard_instance,
    initialisation,
    margin_collapse,
    noisy_reward,
    non_linear,
    realizability,
    reward_design,
    sample_size,
    search_or_sample,
    tightness,
    update_rules,
)
from srlm.simulation.experiments._registry import Experiment, Workers
from srlm.simulation.experiments._result import Chart, ExperimentResult, Reading, Series

__all__ = ["EXPERIMENTS", "Chart", "ExperimentResult", "Reading", "Series", "run_experiment"]

EXPERIMENTS: dict[str, Experiment] = {
    name: Experiment(name, module.QUESTION, module.SETTINGS, module.measure, module.read)
    for module in (
        contraction, initialisation, sample_size, hard_instance, search_or_sample, greedy_trap, effective_dimension,
        digits, noisy_reward, reward_design, update_rules, realizability, margin_collapse, faithfulness, fisher,
        non_linear, answers, certificates, tightness,
    )
    for name in [module.__name__.rpartition(".")[2].replace("_", "-")]
}  # fmt: skip


def run_experiment(
    name: str, settings: Mapping[str, Any] | None = None, *, seed: int = 0, jobs: int = 1, backend: str = "loky"
) -> ExperimentResult:
    """Run one experiment of `EXPERIMENTS`, with values (numbers, or text as typed) for some of its settings. Everything
    random follows from the seed; `jobs` and `backend` say where sweeps run, and change no number.

    Raises:
        InputError: an unknown name or setting, or a value outside its domain.
    """
    experiment = EXPERIMENTS.get(name)
    if experiment is None:
        raise InputError(f"experiment {name!r} is unknown; there are {', '.join(EXPERIMENTS)}")
    return experiment.run(experiment.values(settings or {}), Workers(seed, jobs, backend))
