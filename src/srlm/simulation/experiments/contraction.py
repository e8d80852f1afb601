"""kappa over rounds beside what theory says of it: P3 and the recurrence."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from srlm.simulation.experiments import _softmax
from srlm.simulation.experiments._registry import Workers
from srlm.simulation.experiments._result import Reading
from srlm.simulation.experiments._table import Table, chart, column, course, entry, stacked
from srlm.theory import recurrence


def measure(values: Mapping[str, Any], workers: Workers) -> Table:
    start = _softmax.start_of(values, np.random.default_rng(workers.seed))
    run = _softmax.simulated(start, values, workers.seed)
    told = _softmax.premises(run, values, values["rounds"])
    recur = recurrence(told["eps_stat"], told["beta"], told["margin"], told["min_confidence"])
    exact = _softmax.exact_rounds(start.tabular(), told["beta"], values["rounds"])
    exceeded = run.kappa[:, 1:] > run.population_bound * (1 + 1e-9)
    extra = {
        "exact": [one.conditioning().policy_condition_number for one in exact],
        "p3_exceeded": [None, *exceeded.mean(axis=0)],
        "recurrence": [float(recur.bound_after(run.kappa[0, 0], t)) for t in range(values["rounds"] + 1)],
        "one_over_c": 1 / told["min_confidence"],
    }
    names = ("kappa", "population_bound", "informative_pairs", "mode_drift")
    return stacked(_softmax.by_round(run, *names) | extra | told)


def read(table: Table, values: Mapping[str, Any]) -> Reading:
    exceeded, pairs = column(table, "p3_exceeded")[1:], column(table, "informative_pairs")[:-1]
    share, worst = float(exceeded.mean()), float(pairs[exceeded > 0].max(initial=0))
    few = f"only in rounds where on average at most {worst:.0%} of the pairs differed"
    where = few if worst < pairs.max() else "the first round included"
    p3 = f"in {share:.1%} of the seed-rounds, {where}" if share else "in none of the seed-rounds"
    first, last = entry(table, "kappa", 0), entry(table, "kappa")
    recur, trivial = (float(column(table, name)[-1]) for name in ("recurrence", "one_over_c"))
    says = "vacuous beside" if recur >= trivial else "below"
    beta, error, margin = (column(table, name)[0] for name in ("beta", "eps_stat", "margin"))
    title = f"{course('kappa - 1', first.mean - 1, last.mean - 1)}; P3 exceeded in {share:.1%}"
    lines = {
        "measured": "kappa",
        "P3 from the round before --": "population_bound",
        "infinitely many samples o": "exact",
    }
    bounds = {"measured": "kappa", "eq. 66 --": "recurrence", "1/c --": "one_over_c"}
    charts = (
        chart(title, table, "round", "kappa - 1", lines, less=1, log="y"),
        chart(f"the recurrence (C = 1) is {says} 1/c", table, "round", "bound on kappa", bounds, log="y"),
    )
    return Reading(
        f"One round leaves {entry(table, 'kappa', 1).over(first.mean - 1, 1)} of kappa - 1, and "
        f"{course('kappa', first.mean, last.mean)} in {values['rounds']} (95 % over {values['seeds']} seeds). "
        f"P3, which speaks of exact rounds, was exceeded {p3}. {_softmax.domain(beta, error)}; with C = 1 and the "
        f"smallest margin of all rounds, {margin:.2g} nats, its recurrence gives {recur:.2g} after {values['rounds']} "
        f"rounds, {says} 1/c = {trivial:.3g}.",
        charts,
        {"p3_exceeded": share, "recurrence": recur, "one_over_c": trivial},
        (
            "With noise-free self-rewards eq. 3 is solved exactly in the span of the sampled pairs; once pairs "
            "coincide the span loses directions, and rounds are no longer exact.",
        ),
    )


QUESTION = "Does kappa contract as P3 says, and where does the recurrence of theorem 5.3 stand beside it?"
SETTINGS = _softmax.shared(*_softmax.SOFTMAX, "beta_scale", norm=14.0, seeds=40)
