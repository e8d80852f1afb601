"""The theory's promises against records of exact policies, and of rounds that depart from them."""

import math
from typing import Any

import numpy as np
import pytest

from srlm.measure.promises import Promise, log_kappa, promises, refuted
from srlm.records.bracket import Bracket
from srlm.records.rounds import Accuracy, ExactnessRecord, Population, RoundRecord, SplitRecord

BETA = 2.0
BASE = np.array([[0.5, 0.3, 0.2], [0.4, 0.35, 0.25]])


def measured(policy: np.ndarray, number: int, slack: float = 0.0, **changes: Any) -> RoundRecord:
    """The record of a policy, (prompts, responses), from the definitions; log kappa is known within `slack`."""
    top = np.sort(policy, axis=1)[:, ::-1]
    kappa, margins = float(np.mean(1 / top[:, 0])), np.log(top[:, 0] / top[:, 1])
    bound = 1 + np.mean(np.exp(-margins / BETA) * (1 / top[:, 0] - 1))
    exact = np.mean(((policy / top[:, :1]) ** (1 + 1 / BETA)).sum(axis=1))
    facts: dict[str, Any] = {
        "kappa": Bracket(lower=kappa, upper=kappa),
        "log_kappa": Bracket(lower=math.log(kappa) - slack, upper=math.log(kappa) + slack),
        "failure_rate": Bracket(lower=0.0, upper=0.0),
        "median_margin": float(np.median(margins)),
        "certified_share": 1.0,
        "mode_drift": 0.0,
        "accuracy": Accuracy(sample=float(policy[:, 0].mean()), mode=1.0),
        "population": Population(log_exact_round=Bracket(lower=math.log(exact), upper=math.log(bound))),
    }
    return RoundRecord(round=number, train=SplitRecord(**(facts | changes)))


def exact_rounds(count: int, **changes: Any) -> list[RoundRecord]:
    powers = [BASE ** (1 + 1 / BETA) ** number for number in range(count + 1)]
    policies = [power / power.sum(axis=1, keepdims=True) for power in powers]
    return [measured(policy, number, **changes) for number, policy in enumerate(policies)]


def named(kept: list[Promise]) -> dict[str, Promise]:
    return {one.statement: one for one in kept}


def test_exact_rounds_keep_what_is_promised_and_reach_what_is_expected() -> None:
    kept = named(promises(exact_rounds(3), BETA))
    assert (kept["contraction"].outcome, kept["modes_stay"].outcome) == ("held", "held")
    assert [step.round for step in kept["contraction"].steps] == [1, 2, 3]
    for step in (*kept["exact_round"].steps, *kept["margin"].steps):
        assert step.lower == step.upper == pytest.approx(step.expected)
    ceiling = kept["ceiling"].steps[-1]
    assert ceiling.expected == 1.0
    # pi_3(y|x) is proportional to pi_0(y|x) to the power (1 + 1/beta)^3
    power = BASE**3.375
    assert ceiling.upper == pytest.approx((power[:, 0] / power.sum(axis=1)).mean())


def test_the_base_model_alone_promises_nothing() -> None:
    assert promises(exact_rounds(0), BETA) == []


def test_a_policy_above_its_bound_departs_and_one_that_straddles_it_is_open() -> None:
    base = measured(BASE, 0)
    assert named(promises([base, measured(np.full((2, 3), 1 / 3), 1)], BETA))["contraction"].outcome == "departed"
    assert named(promises(exact_rounds(1, slack=5.0), BETA))["contraction"].outcome == "open"
    moved = measured(BASE, 1, mode_drift=0.5)
    assert named(promises([base, moved], BETA))["modes_stay"].outcome == "departed"


def test_without_certified_modes_the_bound_is_vacuous() -> None:
    kept = named(promises(exact_rounds(2, certified_share=0.0), BETA))
    assert (kept["contraction"].outcome, kept["contraction"].vacuous, kept["contraction"].steps) == ("open", True, ())
    assert kept.keys() == {"contraction", "modes_stay"}


def test_where_the_theory_is_silent_everything_is_a_comparison() -> None:
    kept = promises(exact_rounds(2), BETA, comparison_only=True)
    assert {one.outcome for one in kept} == {"note"}
    assert len(kept) == len(promises(exact_rounds(2), BETA))


def test_kappa_beyond_a_double_is_compared_by_its_logarithm() -> None:
    """log kappa 900 under a bound of 950, then 960 above one of 955: no double holds any of the four."""
    beyond = Bracket(lower=None, upper=None)

    def record(number: int, log: float, bound: float) -> RoundRecord:
        ends = {"kappa": beyond, "log_kappa": Bracket(lower=log, upper=log)}
        return measured(BASE, number, **ends, population=Population(log_exact_round=Bracket(lower=bound, upper=bound)))

    first, second, third = record(0, 940.0, 950.0), record(1, 900.0, 955.0), record(2, 960.0, 955.0)
    assert named(promises([first, second], BETA))["contraction"].outcome == "held"
    assert named(promises([first, second, third], BETA))["contraction"].outcome == "departed"


def test_without_its_logarithm_kappa_is_compared_by_its_number() -> None:
    ahead = {"log_kappa": None, "population": Population(log_exact_round=Bracket.of(math.log(2.25), math.log(2.5)))}
    kept = named(promises([measured(BASE, 0, **ahead), measured(BASE, 1, **ahead)], BETA))
    assert kept["contraction"].outcome == "held"  # kappa = (2 + 2.5) / 2 = 2.25 both times
    assert kept["exact_round"].steps[0].expected == pytest.approx(math.log(2.25)) == kept["exact_round"].steps[0].upper
    split = measured(BASE, 0, **ahead).train
    assert split is not None
    assert log_kappa(split) == pytest.approx((math.log(2.25), math.log(2.25)))


@pytest.mark.parametrize(
    ("recorded", "share", "expected"), [(True, 1.0, True), (False, 0.5, False), (None, 1.0, False), (None, 0.5, True)]
)
def test_p4_is_refuted_as_recorded_or_where_an_older_record_has_a_prompt_at_which_it_is(
    recorded: bool | None, share: float, expected: bool
) -> None:
    certificate = ExactnessRecord(eps=1.0, holds=False, refuted=recorded, prompts_holding=share)
    assert refuted(certificate) is expected
    kept = promises([RoundRecord(round=1, certificate=certificate)], BETA)
    assert [(one.statement, one.outcome, one.steps[0].upper) for one in kept] == [("exactness", "note", share)]
