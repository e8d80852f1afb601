"""A plan and a forecast in words.

Knows: their fields and how to say them to someone new to the theory. Refuses to know: the theory.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from srlm.records.forecast import Forecast
from srlm.theory.planning import Plan


def plan_text(plan: Plan, read: Sequence[str] = ()) -> str:
    """The plan as text, one heading a question.

    Args:
        plan: the plan.
        read: sentences on what was read from a diagnosis.
    """
    return "\n".join(
        [
            *_start(plan.inputs, read),
            *("", "Is one round enough?"),
            *_one_round(plan.single_step),
            *("", "What do the rounds buy?"),
            *_rounds_buy(plan),
            *("", "What says something at these numbers?"),
            *_statements(plan.statements),
            *("", "What does it cost?"),
            *_cost(plan.cost),
            *("", "Read with care"),
            *(f"  {note}" for note in plan.notes),
        ]
    )


def forecast_text(forecast: Forecast) -> Iterator[str]:
    """The lines of a diagnosis's forecast, under a heading."""
    from srlm.report import numbers  # a plan without a diagnosis has no use for it

    yield "What would rounds make of it?"
    rows = [("round", "kappa", "prompts that fail", "samples right"), *numbers.forecast_rows(forecast.rounds)]
    widths = [max(len(row[at]) for row in rows) for at in range(4)]
    for row in rows:
        yield ("  " + "  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True))).rstrip()
    yield f"  Rounds at beta {forecast.beta:g} (P8). Assumed: {forecast.assumes[0]}."
    yield f"  Read: {'; '.join(forecast.assumes[1:])}."
    aims = [numbers.number(one.projection_kappa) for one in forecast.rounds[1:]]
    yield f"  Updates by projection aim at kappa {', '.join(aims)}: what they know, and no more."


def _start(inputs: dict[str, Any], read: Sequence[str]) -> Iterator[str]:
    yield f"Start: kappa {inputs['kappa0']:.4g}, the mean number of samples until the favourite answer is seen once,"
    yield (
        f"{inputs['pairs']:.4g} pairs a round, log class size {inputs['log_class_size']:.4g}, "
        f"margin {inputs['margin']:.3g} nats, beta {inputs['beta']:.3g}, {_rounds(inputs['rounds'])}."
    )
    yield (
        f"Constants: C = {inputs['constant']:.3g} times R = {inputs['reward_range']:.3g} nats of reward range, "
        f"C0 = {inputs['lower_constant']:.3g}."
    )
    yield from (f"  read: {sentence}" for sentence in read)


def _one_round(single: dict[str, Any]) -> Iterator[str]:
    hard, worst = single["hard_instance"], single["hard_instance"]["failure_rate"]
    if hard["informative_prompts"] > 0:
        yield (
            f"  On the explicit hard instance of this kappa and class the best learner that only samples fails at "
            f"{worst:.3g} of the prompts (P7, exact)."
        )
    if single["applies"]:
        yield (
            f"  Whatever the method that only samples, some model of this kappa keeps a failure rate of order "
            f"{single['failure_lower_bound']:.3g} after one round (theorem 4.1, a rate)."
        )
    yield "  So: " + (
        "one round cannot be relied on; plan for several." if worst >= 0.5 else "one round can be enough."
    )


def _rounds_buy(plan: Plan) -> Iterator[str]:
    many, rounds = plan.iterative, plan.inputs["rounds"]
    if (forgotten := many["rounds_to_suppress"]) is not None:
        yield f"  The start is forgotten after {_rounds(forgotten)} (corollary 5.7)."
    yield f"  With exact updates kappa would go at most {_path(plan.population['kappa_bounds'])} (P3)."
    yield f"  Failure rate after {_rounds(rounds)}: at most {many['failure_bound']:.3g} ({many['statement']})" + (
        ", which is vacuous: a failure rate is never above 1." if many["vacuous"] else "."
    )
    yield "  " + (
        f"No number of pairs helps: {many['reason']}." if not many["pairs_help"] else _DOMINANT[many["dominant_term"]]
    )
    if (goal := plan.target) is not None:
        yield (
            f"  A failure rate of {goal['failure']:g} is out of reach ({goal['reason']})."
            if goal["reason"] is not None
            else f"  For a failure rate of {goal['failure']:g} it asks for {goal['pairs']:.3g} pairs a round "
            f"and {_rounds(goal['rounds'])}."
        )


_DOMINANT = {
    "transient": "The memory of the start (transient term) dominates it: more rounds lower it.",
    "stable": "The sampling error (stable term) dominates it: more pairs lower it, more rounds do not.",
    "sampling": "The sampling error dominates it: more pairs lower it.",
    "beta": "The pull towards the policy before (beta*log(kappa)/gamma) dominates it: a smaller beta lowers it.",
}


def _statements(statements: Sequence[dict[str, Any]]) -> Iterator[str]:
    for one in {one["statement"]: one for one in statements}.values():  # with one round two of them are the same
        since = one["informative_from_pairs"]
        if not one["vacuous"]:
            says = "informative"
        elif since is None:
            says = "vacuous, and so at every n up to 1e18"
        else:
            says = f"vacuous; informative from about {since:.2g} pairs a round on"
        yield f"  {one['statement']}: {one['value']:.3g} - {says}."


def _cost(cost: dict[str, Any]) -> Iterator[str]:
    tokens = "" if cost["tokens"] is None else f", about {cost['tokens']:,.0f} tokens"
    yield (
        f"  {cost['prompts_per_round']:,} prompts and {cost['responses_per_round']:,} responses a round, "
        f"{cost['responses']:,} responses in all{tokens}."
    )


def _rounds(number: int) -> str:
    return f"{number} round{'' if number == 1 else 's'}"


def _path(values: Sequence[float]) -> str:
    return " -> ".join(f"{value:.3g}" for value in values)
