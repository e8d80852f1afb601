"""From a few numbers to a plan: what one round can do, how many rounds forget the start, what it costs (docs/theory).

Knows: how the statements of the theory combine into advice. Returns a record; printing is the command line's.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from srlm.errors import InputError
from srlm.theory._domain import real
from srlm.theory.contraction import population_kappa_bounds, recurrence, statistical_error
from srlm.theory.guarantees import failure_bound, linear_softmax_log_class_size, rounds_to_suppress
from srlm.theory.lower_bound import failure_lower_bound, failure_lower_bound_asymptotic, worst_hard_instance


@dataclass(frozen=True, slots=True)
class Plan:
    """What the theory says about a run with these numbers. The dictionaries are those of the `srlm plan` contract.

    Attributes:
        inputs: every number used, defaults and derived ones included.
        single_step: theorem 4.1 and the adversary's hard instance.
        iterative: theorem 5.3, corollary 5.7 and the recurrence.
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
    responses_per_prompt: int = 2,
    tokens_per_response: float | None = None,
    target_failure: float | None = None,
) -> Plan:
    """Plan a self-rewarding run.

    Args:
        kappa0: kappa_0 >= 1, the base policy's condition number.
        pairs: n >= 1, pairs per round.
        log_class_size: log|Pi| > 0; or give `dim` and `radius` (theorem 6.2: d*log(1 + 4*B*n)).
        dim: d > 0, the dimension or the effective dimension.
        radius: B > 0.
        margin: gamma > 0 in nats.
        min_confidence: c in (0, 1] over rounds t >= 1; default 1/2, the level at which greedy decoding is safe.
        mass_slack: delta in (0, 1).
        rho: failure probability in (0, 1).
        beta: KL strength > 0; default n^(-1/2).
        rounds: T >= 1.
        constant: the universal constants C0 and C, > 0.
        responses_per_prompt: K >= 2; K responses give K(K-1)/2 pairs (P2).
        tokens_per_response: mean length, for the cost.
        target_failure: a failure rate in (0, 1) to reach; the plan then says which n and T the bound asks for.

    Raises:
        InputError: any argument outside its domain, or no class size.

    >>> plan(130, 192, dim=64, radius=10, rounds=3).iterative["vacuous"]
    True
    """
    start, n = float(real("kappa0", kappa0, 1)), float(real("pairs", pairs, 1))
    count, responses = _whole("rounds", rounds, 1), _whole("responses_per_prompt", responses_per_prompt, 2)
    if (log_class_size is None) == (dim is None) or (dim is None) != (radius is None):
        raise InputError("give either log_class_size, or dim and radius together")
    confidence = 0.5 if min_confidence is None else float(min_confidence)
    strength = 1 / math.sqrt(n) if beta is None else float(real("beta", beta, 0, open_low=True))

    def class_size(at: float) -> float:
        if log_class_size is not None:
            return float(real("log_class_size", log_class_size, 0, open_low=True))
        return float(linear_softmax_log_class_size(dim, radius, at))

    size = class_size(n)
    common: dict[str, Any] = {
        "margin": margin, "min_confidence": confidence, "mass_slack": mass_slack, "rho": rho, "constant": constant
    }  # fmt: skip
    bound = failure_bound(start, n, size, rounds=count, **common)
    error = float(statistical_error(n, size, rho, constant))
    recur = recurrence(error, strength, margin, confidence)
    # The instance has log|Pi| = d log M with M near 2 kappa_0 at its smallest.
    worst = worst_hard_instance(start, n, max(1, round(size / math.log(2 * start))))
    suppress = int(rounds_to_suppress(start, n, confidence))

    def value(at: float, last: float) -> float:
        return float(failure_bound(start, at, class_size(at), rounds=last, **common).value)

    def kappa_after(at: float) -> float:
        at_beta = 1 / math.sqrt(at) if beta is None else strength
        found = recurrence(float(statistical_error(at, class_size(at), rho, constant)), at_beta, margin, confidence)
        return float(found.bound_after(start, count))

    target = None if target_failure is None else _target(float(target_failure), start, confidence, value)
    single = float(failure_lower_bound(start, n, size, constant))
    once = float(failure_bound(start, n, size, rounds=1, **common).value)
    statements = (
        _statement("theorem 5.3 at T = 1, failure rate", once, 1.0, lambda at: value(at, 1)),
        _statement(f"theorem 5.3 at T = {count}, failure rate", float(bound.value), 1.0, lambda at: value(at, count)),
        _statement(
            f"eq. 66, kappa at round {count} (1/c bounds it anyway)", kappa_after(n), 1 / confidence, kappa_after
        ),
    )
    chosen = responses * (responses - 1) / 2
    prompts = math.ceil(n / chosen)
    per_round = prompts * responses
    tokens = None
    if tokens_per_response is not None:
        tokens = per_round * count * float(real("tokens_per_response", tokens_per_response, 0))
    notes = []
    if start > 1 / confidence and min_confidence is not None:
        notes.append("kappa_0 exceeds 1/c, so c cannot include round 0; it is read as the confidence of rounds t >= 1.")
    if min_confidence is None:
        notes.append("No minimum confidence was given; 1/2 over rounds t >= 1 is assumed.")
    if start <= 1 / confidence:
        notes.append("With kappa_0 <= 1/c the stable term is the larger one from round 1 on: rounds buy little.")
    if not math.isfinite(recur.fixed_point):
        notes.append("The recurrence's fixed point exceeds the float range; its numbers are given as null.")
    notes.append(
        f"The universal constants are unknown and set to {constant:g}: compare plans, do not read levels as promises."
    )
    return Plan(
        inputs={
            "kappa0": start, "pairs": n, "log_class_size": size, "dim": dim, "radius": radius, "margin": float(margin),
            "min_confidence": confidence, "mass_slack": float(mass_slack), "rho": float(rho), "beta": strength,
            "rounds": count, "constant": float(constant),
        },
        single_step={
            "failure_lower_bound": single,
            "failure_lower_bound_asymptotic": float(failure_lower_bound_asymptotic(start, n, size, constant)),
            "hard_instance": {
                "failure_rate": worst.failure_rate, "informative_mass": worst.informative_mass,
                "responses": worst.responses, "informative_prompts": worst.informative_prompts,
            },
        },
        iterative={
            "failure_bound": float(bound.value),
            "vacuous": bool(bound.vacuous),
            "stable_term": float(bound.stable_term),
            "transient_term": float(bound.transient_term),
            "dominant_term": "transient" if bound.transient_term > bound.stable_term else "stable",
            "rounds_to_suppress": suppress,
            "informative_from_pairs": statements[1]["informative_from_pairs"],
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


def _statement(name: str, value: float, trivial: float, at_pairs: Any) -> dict[str, Any]:
    return {
        "statement": name,
        "value": value,
        "vacuous": value >= trivial,
        "informative_from_pairs": _least_pairs(trivial, at_pairs),
    }


def _target(rate: float, start: float, confidence: float, value: Any) -> dict[str, Any]:
    """The fewest pairs for which enough rounds bring the bound to `rate`, and the fewest rounds at that number."""
    wanted = float(real("target_failure", rate, 0, 1, open_low=True, open_high=True))
    forgotten = 1e4  # rounds after which no transient is left, whatever kappa_0
    pairs = _least_pairs(wanted, lambda at: value(at, forgotten))
    if pairs is None:
        return {"failure": wanted, "pairs": None, "rounds": None, "reason": "no number of pairs below 1e18 reaches it"}
    more = math.ceil(1.02 * pairs)  # a little more than the limit of many rounds, so that few suffice
    rounds = next(t for t in itertools.count(1) if value(more, t) <= wanted)
    return {"failure": wanted, "pairs": more, "rounds": rounds, "reason": None}


def _least_pairs(level: float, value: Any) -> float | None:
    """The n >= 1 from which on value(n) < level, by bisection in log n; None above 1e18.

    The bound can rise before it falls (log(n)/sqrt(n) is largest at n = e^2), so the last crossing counts.
    """
    grid = np.linspace(0, math.log(1e18), 400)
    above = [x for x in grid if value(math.exp(x)) >= level]
    if not above:
        return 1.0
    low = above[-1]
    if low == grid[-1]:
        return None
    high = low + grid[1]
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if value(math.exp(middle)) >= level else (low, middle)
    return math.exp(high)


def _whole(name: str, value: float, low: int) -> int:
    found = float(real(name, value, low))
    if found != int(found):
        raise InputError(f"{name} is {value}; it must be a whole number, at least {low}")
    return int(found)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    return value
