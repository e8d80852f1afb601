"""From a few numbers to a plan: what one round can do, how many rounds forget the start, what it costs.

Knows: how the statements of the theory combine into advice, and which of them hold at these numbers. Refuses to print:
it returns a record.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from srlm.errors import InputError
from srlm.theory._domain import Array, real, whole
from srlm.theory.contraction import Recurrence, population_kappa_bounds, recurrence, statistical_error
from srlm.theory.guarantees import (
    BetaRate,
    RoundsRate,
    beta_of_order,
    failure_bound,
    failure_bound_at_beta,
    linear_softmax_log_class_size,
    rounds_to_suppress,
)
from srlm.theory.lower_bound import (
    LOWER_CONSTANT,
    failure_lower_bound,
    failure_lower_bound_asymptotic,
    worst_hard_instance_within,
)

_MOST_PAIRS = 1e18  # nobody draws more
_FORGOTTEN = 10_000  # rounds after which no transient is left, whatever kappa_0


@dataclass(frozen=True, slots=True)
class Plan:
    """What the theory says about a run with these numbers. The dictionaries are those of the `srlm plan` contract.

    Attributes:
        inputs: every number used, defaults and derived ones included.
        single_step: theorem 4.1 where it applies, and the adversary's hard instance, the number to act on.
        iterative: theorem 5.3 and corollary 5.7 where beta is of their order, else eq. 43; the recurrence. What does
            not hold at this beta is None; where no number of pairs helps `pairs_help` is False and `reason` says why.
        population: P3 iterated.
        cost: responses and (where response length is known) tokens.
        target: what `target_failure` needs, None where it was not asked for.
        statements: every bound that can say nothing, with its value, whether it does (`vacuous`), and the number of
            pairs a round from which on it does not (None above 1e18).
        notes: what to know about these numbers, in sentences.
    """

    inputs: dict[str, Any]
    single_step: dict[str, Any]
    iterative: dict[str, Any]
    population: dict[str, Any]
    cost: dict[str, Any]
    target: dict[str, Any] | None
    statements: Sequence[dict[str, Any]]
    notes: Sequence[str] = field(default_factory=tuple)

    def as_dict(self) -> dict[str, Any]:
        """The plan as one JSON document, without non-finite numbers."""
        names = ("inputs", "single_step", "iterative", "population", "cost", "target", "statements", "notes")
        return {name: _finite(getattr(self, name)) for name in names}


def plan(
    kappa0: float,
    pairs: float,
    log_class_size: float | None = None,
    *,
    dim: float | None = None,
    radius: float | None = None,
    margin: float = 1.0,
    min_confidence: float | None = None,
    mass_slack: float = 0.5,
    rho: float = 0.05,
    beta: float | None = None,
    rounds: int = 1,
    constant: float = 1.0,
    lower_constant: float = LOWER_CONSTANT,
    reward_range: float | None = None,
    responses_per_prompt: int = 2,
    tokens_per_response: float | None = None,
    target_failure: float | None = None,
) -> Plan:
    """Plan a self-rewarding run.

    Args:
        kappa0: kappa_0 >= 1, the base policy's condition number.
        pairs: n in [1, 1e18], pairs per round.
        log_class_size: log|Pi| > 0; or give `dim` and `radius` (theorem 6.2: d*log(1 + 4*B*n)).
        dim: d > 0, the dimension or the effective dimension.
        radius: B > 0.
        margin: gamma > 0 in nats.
        min_confidence: c in [1e-300, 1] over rounds t >= 1; default 1/2, the level at which greedy decoding is safe.
        mass_slack: delta in (0, 1).
        rho: failure probability in (0, 1).
        beta: KL strength > 0; default n^(-1/2), of theorem 5.3's order at every n. A given beta stays as n changes.
        rounds: T >= 1.
        constant: C > 0 of theorem 5.3 and eq. 43, not known.
        lower_constant: C0 > 0 of theorem 4.1, not known; the hard instance supports 1/(2e).
        reward_range: R >= gamma in nats, the range of the rewards; default the larger of 1 and the margin.
        responses_per_prompt: K >= 2; K responses give K(K-1)/2 pairs (P2).
        tokens_per_response: mean length, for the cost.
        target_failure: a failure rate in (0, 1) to reach; the plan then says which n and T the bound asks for.

    Raises:
        InputError: any argument outside its domain, or no class size.

    >>> plan(130, 192, dim=64, radius=10, rounds=3).iterative["vacuous"]
    True
    """
    start, n = float(real("kappa0", kappa0, 1)), float(real("pairs", pairs, 1, _MOST_PAIRS))
    count, responses = whole("rounds", rounds, 1, _FORGOTTEN), whole("responses_per_prompt", responses_per_prompt, 2)
    if (log_class_size is None) == (dim is None) or (dim is None) != (radius is None):
        raise InputError("give either log_class_size, or dim and radius together")
    confidence = 0.5 if min_confidence is None else float(real("min_confidence", min_confidence, 1e-300, 1))
    strength = float(beta_of_order(n)) if beta is None else float(real("beta", beta, 0, open_low=True))

    def class_size(at: Array) -> Array:
        if log_class_size is not None:
            return real("log_class_size", log_class_size, 0, open_low=True)
        return linear_softmax_log_class_size(dim, radius, at)

    size = float(class_size(n))
    common: dict[str, Any] = {
        "margin": margin, "min_confidence": confidence, "mass_slack": mass_slack, "rho": rho, "constant": constant,
        "reward_range": reward_range,
    }  # fmt: skip

    def of_order(at: Array) -> Array:
        """Whether theorem 5.3 holds: beta at most of its order (the failure coefficient rises with beta)."""
        return beta is None or strength <= (1 + 1e-12) / np.sqrt(at)

    def theorem(at: Array, last: int) -> RoundsRate:
        return failure_bound(start, at, class_size(at), rounds=last, **common)

    def eq43(at: Array, last: int) -> BetaRate:
        return failure_bound_at_beta(start, at, class_size(at), strength, rounds=last, **common)

    def value(at: Array, last: int) -> Array:
        return theorem(at, last).value if beta is None else np.where(
            of_order(at), theorem(at, last).value, eq43(at, last).value
        )  # fmt: skip

    many = theorem(n, count) if of_order(n) else eq43(n, count)
    reach, label = float(many.reward_range), "theorem 5.3" if isinstance(many, RoundsRate) else "eq. 43"

    def recur_at(at: Array) -> Recurrence:
        error = statistical_error(at, class_size(at), rho, constant, reach)
        return recurrence(error, beta_of_order(at) if beta is None else strength, margin, confidence)

    recur = recur_at(n)
    worst = worst_hard_instance_within(start, n, size)
    lower = failure_lower_bound(start, n, size, lower_constant)
    asymptotic = failure_lower_bound_asymptotic(start, n, size, lower_constant)
    statements = (
        _statement(f"{label} at T = 1, failure rate", value(n, 1), 1.0, lambda at: value(at, 1)),
        _statement(f"{label} at T = {count}, failure rate", value(n, count), 1.0, lambda at: value(at, count)),
        _statement(
            f"eq. 66, kappa at round {count} (1/c bounds it anyway)",
            recur.bound_after(start, count),
            1 / confidence,
            lambda at: recur_at(at).bound_after(start, count),
        ),
    )
    reason = None
    if beta is not None and not (fixed := eq43(n, count)).pairs_help:
        reason = (
            f"beta*log(kappa)/gamma does not fall with n: at beta {strength:g} it alone bounds the failure rate by "
            f"{float(fixed.without_sampling):.3g}, which says nothing; lower beta"
        )
    target = None
    if target_failure is not None:
        floor = 0.0 if beta is None else float(eq43(n, _FORGOTTEN).without_sampling)
        target = _target(target_failure, value, floor)
    prompts = math.ceil(n / (responses * (responses - 1) / 2))
    per_round = prompts * responses
    tokens = None
    if tokens_per_response is not None:
        tokens = per_round * count * float(real("tokens_per_response", tokens_per_response, 0))
    notes = []
    if not lower.applies:
        notes.append(
            "Theorem 4.1 is for kappa_0 >= 2 (at 1 it is false for every constant: each sample shows the mode); the "
            "hard instance (P7) takes its place."
        )
    if worst.informative_prompts == 0:
        notes.append("A class this small can hide nothing on the hard instance of this kappa_0.")
    if start > 1 / confidence and min_confidence is not None:
        notes.append("kappa_0 exceeds 1/c, so c cannot include round 0; it is read as the confidence of rounds t >= 1.")
    if min_confidence is None:
        notes.append("No minimum confidence was given; 1/2 over rounds t >= 1 is assumed.")
    if isinstance(many, BetaRate):
        notes.append(
            f"beta {strength:g} is above n^(-1/2) = {float(beta_of_order(n)):.3g}: theorem 5.3 and corollary 5.7 do "
            "not hold for it and their numbers are left out; eq. 43 along the recurrence takes their place."
        )
    elif start <= 1 / confidence:
        notes.append("With kappa_0 <= 1/c the stable term is the larger one from round 1 on: rounds buy little.")
    if not math.isfinite(recur.fixed_point):
        notes.append("The recurrence's fixed point exceeds the float range; its numbers are given as null.")
    notes.append(
        f"The constants are not known: C is set to {constant:g} times the reward range R = {reach:g} nats (the margin "
        f"is in nats, only R/margin is free of units), C0 to {lower_constant:.3g}. These are rates: compare plans, do "
        "not read levels as promises."
    )
    return Plan(
        inputs={
            "kappa0": start, "pairs": n, "log_class_size": size, "dim": dim, "radius": radius, "margin": float(margin),
            "min_confidence": confidence, "mass_slack": float(mass_slack), "rho": float(rho), "beta": strength,
            "rounds": count, "constant": float(constant), "lower_constant": float(lower_constant),
            "reward_range": reach,
        },
        single_step={
            "applies": bool(lower.applies),
            "failure_lower_bound": float(lower.value) if lower.applies else None,
            "failure_lower_bound_asymptotic": float(asymptotic.value) if lower.applies else None,
            "hard_instance": {
                "failure_rate": worst.failure_rate, "informative_mass": worst.informative_mass,
                "responses": worst.responses, "informative_prompts": worst.informative_prompts,
            },
        },
        iterative={
            "statement": label,
            "failure_bound": float(many.value),
            "vacuous": bool(many.vacuous),
            **_terms(many),
            "rounds_to_suppress": int(rounds_to_suppress(start, n, confidence)) if label == "theorem 5.3" else None,
            "informative_from_pairs": statements[1]["informative_from_pairs"],
            "pairs_help": reason is None,
            "reason": reason,
            "fixed_point": float(recur.fixed_point),
            "contraction_factor": float(recur.contraction_factor),
            "kappa_bounds": [start, *(float(recur.bound_after(start, t)) for t in range(1, count + 1))],
        },
        population={"kappa_bounds": population_kappa_bounds(start, float(margin), strength, count).tolist()},
        cost={
            "responses": per_round * count, "tokens": tokens, "prompts_per_round": prompts,
            "responses_per_round": per_round,
        },
        target=target,
        statements=statements,
        notes=tuple(notes),
    )  # fmt: skip


def _terms(rate: RoundsRate | BetaRate) -> dict[str, Any]:
    """The two terms of the statement that holds, the other statement's as None, and which one is larger."""
    names = ("stable_term", "transient_term", "sampling_term", "beta_term")
    terms = {name: float(getattr(rate, name)) if hasattr(rate, name) else None for name in names}
    return terms | {"dominant_term": max(names, key=lambda name: terms[name] or 0.0).removesuffix("_term")}


def _statement(name: str, at_plan: Array, trivial: float, value: Any) -> dict[str, Any]:
    return {
        "statement": name,
        "value": float(at_plan),
        "vacuous": bool(at_plan >= trivial),
        "informative_from_pairs": _least_pairs(trivial, value),
    }


def _target(rate: float, value: Any, floor: float) -> dict[str, Any]:
    """The fewest pairs for which enough rounds bring the failure rate to `rate`, and the fewest rounds at that number;
    `floor` is what no number of pairs takes away.
    """
    wanted = float(real("target_failure", rate, 0, 1, open_low=True, open_high=True))
    pairs = _least_pairs(wanted, lambda at: value(at, _FORGOTTEN))
    if pairs is None:
        why = (
            f"beta*log(kappa)/gamma alone leaves {floor:.3g}" if floor >= wanted else "no number below 1e18 reaches it"
        )
        return {"failure": wanted, "pairs": None, "rounds": None, "reason": why}
    more = math.ceil(1.02 * pairs)  # a little more than the limit of many rounds, so that few suffice
    rounds = next(t for t in itertools.count(1) if value(more, t) <= wanted)
    return {"failure": wanted, "pairs": more, "rounds": rounds, "reason": None}


def _least_pairs(level: float, value: Any) -> float | None:
    """The n >= 1 from which on value(n) < level, on ever finer grids of log n; None above 1e18.

    The rate can rise before it falls (log(n)/sqrt(n) is largest at n = e^2), so the last crossing counts.
    """
    low, high = 0.0, math.log(_MOST_PAIRS)
    while high - low > 1e-8:
        grid = np.linspace(low, high, 300)
        above = np.flatnonzero(value(np.exp(grid)) >= level)
        if not len(above):
            return 1.0
        if (last := above[-1]) == len(grid) - 1:
            return None
        low, high = grid[last : last + 2]
    return math.exp(high)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    return value
