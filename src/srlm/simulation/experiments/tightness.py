"""Bound over measured, statement by statement, after one round and beyond."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from srlm.policies.linear_softmax import LinearSoftmaxPolicy
from srlm.simulation.experiments import _softmax
from srlm.simulation.experiments._registry import Workers
from srlm.simulation.experiments._result import Reading
from srlm.simulation.experiments._table import Table, chart, kinds, select, stacked
from srlm.theory import (
    certified_kappa_bound,
    failure_bound,
    failure_coefficient,
    failure_from_suboptimality,
    failure_rate,
    one_round_failure_bound,
    policy_condition_number,
    population_kappa_bound_by_prompt,
    recurrence,
    tail_integral_bound,
)

_EXPLICIT, _HIDDEN = "explicit", "C = 1"


def _row(statement: str, constants: str, t: int, bound: float, measured: float, trivial: float) -> dict[str, Any]:
    """One bound at one round; `trivial` is what holds anyway."""
    tightness = bound / measured if measured > 0 else None
    return {
        "statement": statement,
        "constants": constants,
        "round": t,
        "bound": float(bound),
        "measured": float(measured),
        "tightness": tightness,
        "vacuous": bool(bound >= trivial),
    }


def measure(values: Mapping[str, Any], workers: Workers) -> Table:
    start = _softmax.start_of(values, np.random.default_rng(workers.seed))
    run = _softmax.simulated(start, values, workers.seed)
    rows: list[dict[str, Any]] = []
    for t in dict.fromkeys((1, values["rounds"])):
        told = _softmax.premises(run, values, t)
        premise = {name: told[name] for name in ("margin", "min_confidence")}
        error, beta, floor = told["eps_stat"], told["beta"], 1 / told["min_confidence"]
        policies = [LinearSoftmaxPolicy(start.features, run.theta[0, at]).tabular() for at in (t - 1, t)]
        kappa, fail = float(run.kappa[:, t].mean()), float(run.failure_rate[:, t].mean())
        coefficient = failure_coefficient(float(run.kappa[:, t - 1].mean()), error, beta, told["margin"])
        recur = recurrence(error, beta, told["margin"], told["min_confidence"])
        whole = failure_bound(run.kappa[0, 0], values["pairs"], told["log_class_size"], rounds=t, **premise)
        tail = tail_integral_bound(coefficient, told["min_confidence"])
        extra = {"beta": beta, "eps_stat": error, **premise}
        rows += [
            row | extra
            for row in (
                *_exact_statements(policies[0], policies[1], t, beta),
                _row("eq. 43, failure rate", _HIDDEN, t, one_round_failure_bound(coefficient), fail, 1.0),
                _row("eq. 52-56 after eq. 43, kappa", _HIDDEN, t, tail, kappa, floor),
                _row("eq. 66, kappa", _HIDDEN, t, float(recur.bound_after(run.kappa[0, 0], t)), kappa, floor),
                _row("theorem 5.3, failure rate", _HIDDEN, t, float(whole.value), fail, 1.0),
            )
        ]
    return stacked(*rows)


def _exact_statements(before: Any, after: Any, t: int, beta: float) -> list[dict[str, Any]]:
    """P3, P4, lemma C.1 and the tail integral with what was measured in one seed, prompt by prompt where they allow
    it."""
    modes, gaps, exact = before.modes, before.margins, _softmax.exact_rounds(before, beta, 1)[-1]
    eps = _softmax.largest_error(before.logprobs, after.logprobs, modes, beta)
    kept = after.logprobs[np.arange(len(modes)), modes]
    share = np.sort(np.exp(after.mode_logprobs))
    lost = float((before.mode_logprobs - (np.exp(after.logprobs) * before.logprobs).sum(axis=1)).mean())
    coefficient = float((np.arange(1, len(share) + 1) / len(share) * (1 - share)).max())
    p3 = population_kappa_bound_by_prompt(before.mode_logprobs, gaps, beta) - 1
    p4 = np.mean(certified_kappa_bound(np.exp(-before.mode_logprobs), gaps, beta, eps)) - 1
    c1, tail = failure_from_suboptimality(lost, float(gaps.min())), tail_integral_bound(coefficient, float(share[0]))
    sharp, held = policy_condition_number(exact.mode_logprobs) - 1, policy_condition_number(kept) - 1
    kappa = policy_condition_number(after.mode_logprobs)
    return [
        _row("P3, kappa - 1 (exact round)", _EXPLICIT, t, p3, sharp, np.inf),
        _row("P4, kappa - 1", _EXPLICIT, t, p4, held, np.inf),
        _row("lemma C.1, failure rate", _EXPLICIT, t, c1, failure_rate(kept), 1.0),
        _row("tail integral, kappa", _EXPLICIT, t, tail, kappa, 1 / share[0]),
    ]


def read(table: Table, values: Mapping[str, Any]) -> Reading:
    rows = [dict(zip(table, cells, strict=True)) for cells in zip(*table.values(), strict=True)]
    explicit = [row for row in rows if row["constants"] == _EXPLICIT]
    hidden = [row for row in rows if row["constants"] != _EXPLICIT]
    failed = [row for row in explicit if row["bound"] < row["measured"] * (1 - 1e-9)]
    vacuous = sum(row["vacuous"] for row in hidden)
    rated = [row for row in explicit if row["tightness"] is not None]
    loosest = max(rated, key=lambda row: row["tightness"], default=None)
    idle = sum(row["vacuous"] for row in explicit)
    held = f"{len(explicit) - len(failed)} of the {len(explicit)} bounds with explicit constants held ({idle} vacuous)"
    if failed:
        held += " (not: " + ", ".join(f"{row['statement']}, round {row['round']}" for row in failed) + ")"
    if loosest:
        held += f", the loosest {loosest['tightness']:.3g} times what was measured ({loosest['statement']}, round "
        held += f"{loosest['round']})"
    useful = [f"{row['statement']}, round {row['round']}" for row in hidden if not row["vacuous"]]
    charts = []
    for t in kinds(table, "round"):
        part = [row for row in rows if row["round"] == t]
        title = f"round {t}: {sum(row['vacuous'] for row in part)} of {len(part)} bounds are vacuous"
        lines = {"bound over measured |": "tightness"}
        charts.append(chart(title, select(table, round=t), "statement", "bound / measured", lines, log="y"))
    return Reading(
        f"{held}. Of the {len(hidden)} with a universal constant set to 1, {vacuous} are vacuous at n = "
        f"{values['pairs']}"
        + (f" (not: {', '.join(useful)})" if useful else "")
        + f"; {_softmax.domain(table['beta'][0], table['eps_stat'][0])}.",
        tuple(charts),
        {"failed": len(failed), "explicit": len(explicit), "vacuous": vacuous, "hidden": len(hidden)},
        ("Theorem 5.3 must hold for the worst class of this size; on a benign one it cannot be tight.",),
    )


QUESTION = "How loose is each bound, at T = 1 and beyond?"
SETTINGS = _softmax.shared(*_softmax.SOFTMAX, "beta_scale", rounds=4)
