"""A plan in words.

Knows: the plan's fields and how to say them to someone new to the theory. Refuses to know: formulas.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from srlm.theory.planning import Plan


def plan_text(planned: Plan, read: Sequence[str] = ()) -> str:
    """The plan as text, one heading a question.

    Args:
        planned: the plan.
        read: sentences on what was read from a diagnosis.
    """
    return "\n".join(
        [
            *_start(planned.inputs, read),
            *("", "Is one round enough?"),
            *_one_round(planned.single_step),
            *("", "What do the rounds buy?"),
            *_rounds_buy(planned),
            *("", "What says something at these numbers?"),
            *_statements(planned.statements),
            *("", "What does it cost?"),
            *_cost(planned.cost),
            *("", "Read with care"),
            *(f"  {note}" for note in planned.notes),
        ]
    )


def _start(inputs: dict[str, Any], read: Sequence[str]) -> Iterator[str]:
    yield f"Start: kappa {inputs['kappa0']:.4g} (so many samples on average until the favourite answer is seen once),"
    yield (
        f"{inputs['pairs']:.4g} pairs a round, log class size {inputs['log_class_size']:.4g}, "
        f"margin {inputs['margin']:.3g} nats, beta {inputs['beta']:.3g}, {_rounds(inputs['rounds'])}."
    )
    yield from (f"  read: {sentence}" for sentence in read)


def _one_round(single: dict[str, Any]) -> Iterator[str]:
    level = single["failure_lower_bound"]
    left = "every prompt failing" if level >= 1 else f"at least {level:.3g} of the prompts failing"
    yield f"  Whatever the method, on some model of this kappa one round leaves {left} (theorem 4.1)."
    worst = single["hard_instance"]["failure_rate"]
    yield f"  On the explicit hard instance of this kappa the best learner fails at {worst:.3g} of the prompts (P7)."
    yield "  So: " + (
        "one round cannot be relied on; plan for several." if max(level, worst) >= 0.5 else "one round can be enough."
    )


def _rounds_buy(planned: Plan) -> Iterator[str]:
    many, rounds = planned.iterative, planned.inputs["rounds"]
    yield f"  The start is forgotten after {_rounds(many['rounds_to_suppress'])} (corollary 5.7)."
    yield f"  With exact updates kappa would go at most {_path(planned.population['kappa_bounds'])} (P3)."
    yield f"  Failure rate after {_rounds(rounds)}: at most {many['failure_bound']:.3g} (theorem 5.3)" + (
        ", which is vacuous: a failure rate is never above 1." if many["vacuous"] else "."
    )
    if many["dominant_term"] == "transient":
        yield "  The memory of the start (transient term) dominates the bound: more rounds lower it."
    else:
        yield "  The sampling error (stable term) dominates the bound: more pairs lower it, more rounds do not."
    if (goal := planned.target) is not None:
        yield (
            f"  For a failure rate of {goal['failure']:g} the bound asks for {goal['pairs']:.3g} pairs a round "
            f"and {_rounds(goal['rounds'])}."
            if goal["pairs"] is not None and goal["rounds"] is not None
            else f"  A failure rate of {goal['failure']:g} is out of the bound's reach ({goal['reason']})."
        )


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


def _rounds(number: int | None) -> str:
    return "more rounds than were tried" if number is None else f"{number} round{'' if number == 1 else 's'}"


def _path(values: Sequence[float]) -> str:
    return " -> ".join(f"{value:.3g}" for value in values)
