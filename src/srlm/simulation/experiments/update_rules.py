"""DPO, IPO, best-of-K and eq. 3 under four rewards: is the contraction the reward's or the loss's?"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from srlm.policies.tabular import TabularPolicy
from srlm.simulation.experiments._registry import Setting, Workers
from srlm.simulation.experiments._result import Reading
from srlm.simulation.experiments._softmax import SOFTMAX, by_round, shared, simulated, start_of
from srlm.simulation.experiments._table import Table, chart, column, entry, kinds, listed, select, stacked
from srlm.simulation.population import RULES, population_round
from srlm.simulation.sweep import Cell
from srlm.simulation.updates import UPDATES, dpo

_REWARDS = ("self-reward", "inverted", "fixed", "constant")
_CONTRACTS = 0.99  # a rule contracts under a reward where the last kappa - 1 is below this share of the first


def _cell(cell: Cell, stream: np.random.SeedSequence) -> dict[str, Any]:
    """Finite samples under the self-reward."""
    start = start_of(cell, np.random.default_rng(cell["seed"]))
    update = partial(dpo, ridge=cell["ridge"]) if cell["ridge"] else UPDATES[cell["rule"]]
    run = simulated(start, cell, int(stream.generate_state(1)[0]), update=update)
    rule = f"dpo, ridge {cell['ridge']:g}" if cell["ridge"] else cell["rule"]
    return {"samples": "finite", "reward": "self-reward", "rule": rule} | by_round(run, "kappa", "mode_drift")


def _exact(
    start: TabularPolicy, rule: str, reward: str, fixed: np.ndarray, values: Mapping[str, Any]
) -> dict[str, Any]:
    """Infinitely many samples, no class."""
    policy, kappas = start, []
    for _ in range(values["rounds"] + 1):
        kappas.append(policy.conditioning().policy_condition_number)
        own = np.maximum(policy.logprobs, -1e4)
        worth = {"self-reward": own, "inverted": -own, "fixed": fixed, "constant": np.zeros_like(own)}[reward]
        policy = population_round(policy, worth, values["beta"], rule)
    return {"samples": "infinite", "reward": reward, "rule": rule, "round": list(range(len(kappas))), "kappa": kappas}


def measure(values: Mapping[str, Any], workers: Workers) -> Table:
    rules = [(rule, None) for rule in RULES if rule != "dpo"] + [("dpo", ridge) for ridge in sorted(values["ridges"])]
    finite = workers.sweep(
        _cell, [{**values, "rule": rule, "ridge": ridge, "seed": workers.seed} for rule, ridge in rules]
    )
    rng = np.random.default_rng(workers.seed)
    start = start_of(values, rng).tabular()
    fixed = rng.standard_normal(start.logprobs.shape)
    exact = [_exact(start, rule, reward, fixed, values) for reward in _REWARDS for rule in RULES]
    return stacked(*exact, *finite)


def read(table: Table, values: Mapping[str, Any]) -> Reading:
    exact, finite = select(table, samples="infinite"), select(table, samples="finite")
    factors: dict[str, dict[str, float]] = {}
    for reward in kinds(exact, "reward"):
        paths = {rule: column(select(exact, reward=reward, rule=rule), "kappa") for rule in kinds(exact, "rule")}
        factors[reward] = {rule: float((path[-1] - 1) / (path[0] - 1)) for rule, path in paths.items()}
    sharpened = {reward: [rule for rule, by in each.items() if by < _CONTRACTS] for reward, each in factors.items()}
    left = [rule for rule in factors["self-reward"] if rule not in sharpened["self-reward"]]
    loss = f"a constant reward sharpens under {listed(sharpened['constant'])}"
    reward = f"the self-reward leaves {listed(left)} unsharpened"
    if sharpened["constant"]:
        verdict = f"The loss alone can sharpen: {loss}"
    elif left:
        verdict = f"Neither the reward nor the loss alone sharpens: {loss}, and {reward}"
    else:
        verdict = f"The reward decides: {loss}, and {reward}"
    verdict += f"; the inverted reward sharpens under {listed(sharpened['inverted'])}, a fixed one under "
    verdict += f"{listed(sharpened['fixed'])}."
    ends = {rule: select(finite, rule=rule) for rule in kinds(finite, "rule")}
    each = "; ".join(
        f"{rule} to {entry(one, 'kappa')}, {entry(one, 'mode_drift').mean:.0%} of modes moved"
        for rule, one in ends.items()
    )
    ridged = [entry(one, "kappa").mean for rule, one in ends.items() if rule.startswith("dpo")]
    apart = max(ridged) / min(ridged) - 1
    ridge = f"DPO's ridge {'matters' if apart > 0.05 else 'hardly matters'} (kappa {apart:.1%} apart)"
    bars = stacked(*({"reward": name, "rule": list(by), "factor": list(by.values())} for name, by in factors.items()))
    y_label = f"kappa - 1 after {values['rounds']} exact rounds, over the start's"
    few = f"{values['pairs']} pairs a round: {ridge}"
    charts = (
        chart(verdict.split(":")[0], bars, "rule", y_label, {"{} |": "factor"}, by="reward", least=1e-6, log="y"),
        chart(few, finite, "round", "kappa", {"{}": "kappa"}, by="rule", log="y"),
    )
    multiplied = "; ".join(
        f"{name}: " + ", ".join(f"{rule} {by:.2g}" for rule, by in one.items()) for name, one in factors.items()
    )
    return Reading(
        f"With infinitely many samples {values['rounds']} rounds multiply kappa - 1 by, under each reward, "
        f"{multiplied}. {verdict} With {values['pairs']} pairs a round and the self-reward kappa goes from "
        f"{entry(finite, 'kappa', 0).mean:.3g}: {each} (95 % over seeds); {ridge}.",
        charts,
        {"factors": factors, "sharpened": sharpened, "ridge": apart},
        (
            "DPO labels are drawn from the Bradley-Terry model; named without noise they are separable and DPO has no "
            "minimiser. beta means different things in different rules, best-of-k and uniform (likelihood of every "
            "sample, whatever its reward) have none: compare directions, not levels.",
        ),
    )


QUESTION = "Does kappa contract under other losses and rewards too, and is it the reward or the loss that does it?"
SETTINGS = shared(
    *SOFTMAX, prompts=100, responses=30, dimensions=16, norm=8.0, beta=1.0, pairs=1500, rounds=6, seeds=8
) | {"ridges": Setting((1e-3, 1e-1), 1e-6, 10.0, "of DPO's logistic regression, several")}
