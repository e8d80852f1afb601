"""Plans checked: what they say about numbers of pairs is tried, costs are counted, targets are reached.

Knows: that a plan's claims are about other plans, which can be made.
"""

import itertools
import math
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from srlm.theory import contraction, guarantees, lower_bound, planning
from srlm.verification._check import Cases, Check, in_turn


def _numbers(rng: np.random.Generator) -> dict[str, Any]:
    size: dict[str, Any] = (
        {"log_class_size": float(10 ** rng.uniform(0, 3))}
        if rng.random() < 0.5
        else {"dim": float(rng.integers(1, 200)), "radius": float(10 ** rng.uniform(-1, 2))}
    )
    return size | {
        "kappa0": float(10 ** rng.uniform(0, 4)), "pairs": float(10 ** rng.uniform(1, 5)),
        "rounds": int(rng.integers(1, 6)), "margin": float(10 ** rng.uniform(-1, 1)),
        "mass_slack": float(rng.uniform(0.1, 0.9)), "rho": float(rng.uniform(0.01, 0.5)),
        "constant": float(10 ** rng.uniform(-1, 1)), "min_confidence": float(rng.uniform(0.05, 0.95)),
    }  # fmt: skip


def _thresholds(rng: np.random.Generator) -> Iterator[Check]:
    turns, targets, holds, stuck = (Cases() for _ in range(4))
    for trial in range(9):
        given = _numbers(rng)
        if trial == 0:  # one round suffices
            given["kappa0"] = 1.0
        if trial % 3:  # one plan in three has beta = n^(-1/2), left to its default or given
            given["beta"] = float(10 ** rng.uniform(-4, -1) if trial % 3 == 1 else 10 ** rng.uniform(0, 2))
        if trial == 3:
            given["beta"] = given["pairs"] ** -0.5
        plan, goal = planning.plan(**given, target_failure=0.2), 0.2
        many, rates = plan.iterative, partial(_rates, given)
        rate = rates(given["pairs"], given["rounds"])[0]
        theorem = trial == 3 or given.get("beta", 0.0) <= given["pairs"] ** -0.5
        for name in ("stable_term", "transient_term") if theorem else ("sampling_term", "beta_term"):
            holds.add(many[name], getattr(rate, name))
        holds.add([many["failure_bound"], many["statement"] == "theorem 5.3"], [rate.value, theorem])
        for at, (one, last) in enumerate(zip(plan.statements, (1, given["rounds"], given["rounds"]), strict=True)):
            trivial = 1 / given["min_confidence"] if at == 2 else 1.0
            since, values = one["informative_from_pairs"], [(given["pairs"], one["value"])]
            holds.add([one["value"], one["vacuous"]], [_of(rates(given["pairs"], last), at), one["value"] >= trivial])
            for n in (since * 0.999, since * 1.001, 1e18) if since else (1e6, 1e12, 1e18):
                if n >= 1:
                    values.append((n, _of(rates(n, last), at)))
            turns.add([value >= trivial for n, value in values[1:]], [not since or n < since for n, _ in values[1:]])
        stuck.add(many["pairs_help"], rates(1e200, given["rounds"])[0].value < 1)
        holds.add(many["informative_from_pairs"] or 0, plan.statements[1]["informative_from_pairs"] or 0)
        target = plan.target or {}
        if target["pairs"] is None:
            stuck.add("alone leaves" in target["reason"], rates(1e200, 10_000)[0].value >= goal)
        else:
            targets.add(goal, rates(target["pairs"], target["rounds"])[0].value)
            if target["pairs"] > 2:
                targets.add(rates(target["pairs"] / 1.03, 1000)[0].value, goal)
            if target["rounds"] > 1:
                targets.add(rates(target["pairs"], target["rounds"] - 1)[0].value, goal)
    # So small a constant that one pair is enough; so large a one that 1e18 are not, whatever beta.
    easy = planning.plan(1.5, 10, 1.0, constant=1e-9, beta=1e-9)
    holds.add([easy.statements[0]["informative_from_pairs"], easy.iterative["dominant_term"] == "stable"], [1, 1])
    hard = planning.plan(2.0, 10, 1.0, constant=1e12, target_failure=0.005).target or {}
    stuck.add("no number below" in hard["reason"], 1)
    yield holds.agree(
        "theorem 5.3, in a plan", "beta at most n^(-1/2) has theorem 5.3, any other eq. 43", "identity", 1e-12
    )
    yield turns.agree(
        "eq. 7, from how many pairs on", "each statement of a plan says something exactly from there on", "identity",
        0.0, note="0.1 % fewer and more pairs tried",
    )  # fmt: skip
    yield stuck.agree(
        "Care 5, in a plan", "where no number of pairs helps, none does", "identity", 0.0, note="1e200 pairs tried"
    )
    yield targets.dominate(
        "eq. 7, a target",
        "the pairs and rounds found reach the target; fewer rounds, or 3 % fewer pairs with 1,000 rounds, do not",
    )


def _paths(rng: np.random.Generator) -> Iterator[Check]:
    paths = Cases()
    for trial in range(6):
        given = _numbers(rng)
        if trial == 0:  # everything left to its default
            given = {"kappa0": given["kappa0"], "pairs": given["pairs"], "log_class_size": 50.0, "rounds": 1}
        if trial in (1, 2):  # on both sides of 1/c
            given["kappa0"] = (0.9, 1.1)[trial - 1] / min(given["min_confidence"], 0.9)
            given["min_confidence"] = min(given["min_confidence"], 0.9)
        plan = planning.plan(**given)
        full: dict[str, Any] = {
            "margin": 1.0,
            "min_confidence": 0.5,
            "mass_slack": 0.5,
            "rho": 0.05,
            "constant": 1.0,
        } | given
        start, n, last, c = (full[name] for name in ("kappa0", "pairs", "rounds", "min_confidence"))
        many, rates, notes = plan.iterative, partial(_rates, full, n), " ".join(plan.notes)
        paths.add(many["failure_bound"], rates(last)[0].value)
        paths.add(many["kappa_bounds"], [start, *(rates(t)[1] for t in range(1, last + 1))])
        exact = [start]
        for t in range(last):
            gamma = full["margin"] * (1 + n**0.5) ** t
            exact.append(1 + (exact[-1] - 1) * math.exp(-gamma * n**0.5))
        paths.add(plan.population["kappa_bounds"], exact)
        paths.add(many["rounds_to_suppress"], guarantees.rounds_to_suppress(start, n, c))
        terms = (many["stable_term"], many["transient_term"])
        paths.add(many["dominant_term"] == "transient", terms[1] > terms[0])
        paths.add("c cannot include round 0" in notes, start > 1 / c and trial > 0)
        paths.add("the stable term is the larger one from round 1 on" in notes, start <= 1 / c)
        paths.add("1/2 over rounds t >= 1 is assumed" in notes, trial == 0)
    yield paths.agree(
        "corollary 5.7, in a plan", "a plan's path of kappa, its rounds and its notes follow from its numbers",
        "identity", 1e-12,
    )  # fmt: skip


def _rates(given: dict[str, Any], n: float, last: int) -> tuple[Any, float]:
    """(theorem 5.3 or eq. 43, whichever is about this beta; eq. 59-66 on kappa) at n pairs and `last` rounds."""
    size = given.get("log_class_size") or guarantees.linear_softmax_log_class_size(given["dim"], given["radius"], n)
    common = {name: given[name] for name in ("margin", "min_confidence", "mass_slack", "rho", "constant")}
    beta = given.get("beta", n**-0.5)
    if beta <= n**-0.5 * (1 + 1e-9):
        rate: Any = guarantees.failure_bound(given["kappa0"], n, size, rounds=last, **common)
    else:
        rate = guarantees.failure_bound_at_beta(given["kappa0"], n, size, beta, rounds=last, **common)
    eps = contraction.statistical_error(n, size, given["rho"], given["constant"], max(1.0, given["margin"]))
    recur = contraction.recurrence(eps, beta, given["margin"], given["min_confidence"])
    return rate, recur.bound_after(given["kappa0"], last)


def _of(rates: tuple[Any, float], statement: int) -> float:
    return rates[1] if statement == 2 else rates[0].value


def _single(rng: np.random.Generator) -> Iterator[Check]:
    within, applies = Cases(), Cases()
    for trial in range(10):
        kappa, n = float(10 ** rng.uniform(0.05, 3)), float(10 ** rng.uniform(0, 6))
        size = float(10 ** rng.uniform(-0.5, 3))
        plan = planning.plan(kappa, n, size, lower_constant=0.1 + trial / 10)
        single = plan.single_step
        notes = " ".join(plan.notes)
        applies.add(["Theorem 4.1 is for" in notes, "hide nothing" in notes], [kappa < 2, _hidden(kappa, size)])
        hard, rate = single["hard_instance"], lower_bound.failure_lower_bound(kappa, n, size, 0.1 + trial / 10)
        within.add(size, hard["informative_prompts"] * math.log(hard["responses"]))
        applies.add(single["applies"], kappa >= 2)
        applies.add([single["failure_lower_bound"] or 0.0], [rate.value])
        if hard["informative_prompts"]:
            exact = lower_bound.bayes_failure(
                hard["informative_mass"], hard["responses"], hard["informative_prompts"], n
            )
            applies.add(hard["failure_rate"], exact)
    yield within.dominate("P7, in a plan", "the hard instance's class is at most the one asked for")
    yield applies.agree(
        "Care 1", "theorem 4.1 is said from kappa_0 = 2 on, P7 always", "identity", 1e-12, note="random plans"
    )


def _hidden(kappa: float, size: float) -> bool:
    """Whether a class of exp(size) placements is too small for the fewest labels that this kappa asks for (g = 1)."""
    return size < math.log(max(3, math.ceil(2 * kappa)))


def _cost(rng: np.random.Generator) -> Iterator[Check]:
    cost = Cases()
    for _ in range(4):
        n, responses, rounds = int(rng.integers(1, 400)), int(rng.integers(2, 7)), int(rng.integers(1, 5))
        tokens = float(rng.integers(1, 8)) / 4
        more = {"rounds": rounds, "responses_per_prompt": responses, "tokens_per_response": tokens}
        cost_of, plain = (planning.plan(5.0, n, 3.0, **options).cost for options in (more, {}))
        cost.add(plain["responses"], 2 * n)
        pairs = len(list(itertools.combinations(range(responses), 2)))
        prompts = next(count for count in itertools.count(1) if count * pairs >= n)
        cost.add([cost_of["prompts_per_round"], cost_of["responses_per_round"]], [prompts, prompts * responses])
        cost.add([cost_of["responses"], cost_of["tokens"]], np.array([1, tokens]) * prompts * responses * rounds)
    yield cost.agree("P2, the cost of a plan", "K responses give K(K-1)/2 pairs, counted", "identity", 0.0)


checks = in_turn(_thresholds, _paths, _single, _cost)
