"""A plan in words.

Knows: the plan's fields and how to say them to someone new to the theory.
"""

from collections.abc import Sequence

from srlm.theory.planning import Plan


def plan_text(drawn: Plan, read: Sequence[str] = ()) -> str:
    """The plan as text, one heading a question."""
    said, single, many = drawn.inputs, drawn.single_step, drawn.iterative
    rounds = said["rounds"]
    lines = [
        f"Start: kappa {said['kappa0']:.4g}"
        f" (on average {said['kappa0']:.3g} samples until the model's favourite answer is seen once),",
        f"{said['pairs']:.4g} pairs a round, log class size {said['log_class_size']:.4g}, margin {said['margin']:.3g},"
        f" beta {said['beta']:.3g}, {_rounds(rounds)}.",
        *(f"  read: {sentence}" for sentence in read),
        "",
        "Is one round enough?",
        f"  No method can promise a failure rate below {single['failure_lower_bound']:.3g} after one round"
        " (theorem 4.1)" + (": one round may learn nothing." if single["failure_lower_bound"] >= 0.5 else "."),
        "  On the worst instance of that kappa even the best learner fails at"
        f" {single['hard_instance']['failure_rate']:.3g} of the prompts (P7).",
        "",
        "What do the rounds buy?",
        f"  The start is forgotten after {_rounds(many['rounds_to_suppress'])} (corollary 5.7).",
        f"  With exact updates kappa would go {_path(drawn.population['kappa_bounds'])} at most (P3).",
        f"  With {said['pairs']:.4g} pairs the recurrence guarantees kappa <= {_path(many['kappa_bounds'])},"
        f" towards {many['fixed_point']:.3g}.",
        f"  Failure rate after {_rounds(rounds)}: at most {many['failure_bound']:.3g}"
        + (" - vacuous, a bound of 1 or more says nothing" if many["vacuous"] else "")
        + f" (theorem 5.3); its {many['dominant_term']} term dominates"
        + (": more rounds help." if many["dominant_term"] == "transient" else ": more pairs help, more rounds do not."),
    ]
    if many["vacuous"] and many["informative_from_pairs"]:
        lines.append(f"  It starts to say something from about {many['informative_from_pairs']:.2g} pairs a round on.")
    if drawn.target is not None:
        goal = drawn.target
        lines.append(
            f"  For a failure rate of {goal['failure']:g} the bound asks for {goal['pairs']:.3g} pairs a round"
            f" and {_rounds(goal['rounds'])}."
            if goal["pairs"] is not None and goal["rounds"] is not None
            else f"  A failure rate of {goal['failure']:g} is out of the bound's reach ({goal['reason']})."
        )
    cost = drawn.cost
    lines += [
        "",
        "What does it cost?",
        f"  {cost['prompts_per_round']:,} prompts and {cost['responses_per_round']:,} responses a round,"
        f" {cost['responses']:,} in all"
        + (f", about {cost['tokens']:,.0f} tokens." if cost["tokens"] is not None else "."),
        "",
        "Read with care",
        *(f"  {note}" for note in drawn.notes),
    ]
    return "\n".join(lines)


def _rounds(number: int | None) -> str:
    return "more rounds than were tried" if number is None else f"{number} round{'' if number == 1 else 's'}"


def _path(values: Sequence[float]) -> str:
    return " -> ".join(f"{value:.3g}" for value in values)
