"""Plans: each number is the theory's, what is vacuous is called so, and the solved-for n and T do reach the target."""

import json
import math
from typing import Any

import pytest

from srlm import theory
from srlm.errors import InputError

PLAN: dict[str, Any] = {"kappa0": 130, "pairs": 192, "dim": 64, "radius": 10, "rounds": 3}


def test_every_number_is_the_theorys_own() -> None:
    found = theory.plan(**PLAN)
    size = 64 * math.log(1 + 4 * 10 * 192)
    bound = theory.failure_bound(130, 192, size, rounds=3)
    assert found.inputs["log_class_size"] == pytest.approx(size)
    assert found.inputs["beta"] == pytest.approx(192**-0.5)
    assert found.inputs["min_confidence"] == 0.5
    assert found.single_step["applies"] is True
    assert found.single_step["failure_lower_bound"] == theory.failure_lower_bound(130, 192, size).value
    asymptotic = theory.failure_lower_bound_asymptotic(130, 192, size)
    assert found.single_step["failure_lower_bound_asymptotic"] == asymptotic.value
    many = found.iterative
    assert (many["statement"], many["pairs_help"], many["reason"]) == ("theorem 5.3", True, None)
    assert (many["sampling_term"], many["beta_term"]) == (None, None)
    assert (many["failure_bound"], many["stable_term"], many["transient_term"]) == pytest.approx(
        (bound.value, bound.stable_term, bound.transient_term)
    )
    assert many["vacuous"] is True
    assert many["dominant_term"] == "stable"
    assert many["rounds_to_suppress"] == theory.rounds_to_suppress(130, 192, 0.5)
    recur = theory.recurrence(theory.statistical_error(192, size), 192**-0.5, 1.0, 0.5)
    assert many["fixed_point"] == pytest.approx(recur.fixed_point)
    assert many["contraction_factor"] == pytest.approx(recur.contraction_factor)
    assert many["kappa_bounds"] == pytest.approx([130, *(recur.bound_after(130, t) for t in (1, 2, 3))])
    assert found.population["kappa_bounds"] == pytest.approx(theory.population_kappa_bounds(130, 1, 192**-0.5, 3))
    # 2 responses give 1 pair a prompt.
    assert found.cost["prompts_per_round"] == 192
    assert found.cost["responses_per_round"] == 384
    assert found.cost["responses"] == 3 * 384
    assert found.cost["tokens"] is None
    assert found.target is None


def test_the_hard_instance_is_the_adversarys_for_that_class_size() -> None:
    found = theory.plan(10, 1000, 20.0)
    hard = found.single_step["hard_instance"]
    worst = theory.worst_hard_instance_within(10, 1000, 20.0)
    assert hard["informative_prompts"] * math.log(hard["responses"]) <= 20.0
    assert hard == {
        "failure_rate": worst.failure_rate,
        "informative_mass": worst.informative_mass,
        "responses": worst.responses,
        "informative_prompts": worst.informative_prompts,
    }
    assert theory.plan(1, 10, 1e-3).single_step["hard_instance"]["failure_rate"] == 0


def test_the_class_of_the_hard_instance_never_exceeds_the_one_asked_for() -> None:
    # Five nats asked: two prompts with log(283) nats each, 11.3 in all, would be an instance of another class.
    hard = theory.plan(10, 1000, 5.0).single_step["hard_instance"]
    assert (hard["informative_prompts"], hard["responses"]) == (1, math.floor(math.exp(5.0)))
    for kappa, n, size in ((7.0, 10, 50.0), (130, 192, 573.0), (2.0, 1e6, 1e3)):
        hard = theory.plan(kappa, n, size).single_step["hard_instance"]
        d, labels = hard["informative_prompts"], hard["responses"]
        assert d * math.log(labels) <= size < (d + 1) * math.log(theory.worst_hard_instance(kappa, n, d + 1).responses)
    small = theory.plan(10, 1000, 1.0)
    assert small.single_step["hard_instance"]["failure_rate"] == 0
    assert "hide nothing" in " ".join(small.notes)


def test_theorem_4_1_is_not_said_below_kappa_two() -> None:
    found = theory.plan(1.5, 100, 20.0)
    assert found.single_step["applies"] is False
    assert found.single_step["failure_lower_bound"] is found.single_step["failure_lower_bound_asymptotic"] is None
    assert found.single_step["hard_instance"]["failure_rate"] > 0
    assert "Theorem 4.1 is for kappa_0 >= 2" in " ".join(found.notes)
    assert theory.plan(2.0, 100, 20.0).single_step["applies"] is True
    assert "Theorem 4.1" not in " ".join(theory.plan(2.0, 100, 20.0).notes)


def test_where_beta_alone_reaches_delta_no_number_of_pairs_helps() -> None:
    found = theory.plan(**PLAN, beta=5)
    many = found.iterative
    assert (many["statement"], many["pairs_help"]) == ("eq. 43", False)
    # kappa_2 <= 1/c = 2, so beta log(kappa)/(gamma delta) = 5 log 2 / (1/2) at every n.
    assert many["beta_term"] == pytest.approx(10 * math.log(2))
    assert f"{10 * math.log(2):.3g}" in many["reason"]
    assert "beta*log(kappa)/gamma does not fall with n" in many["reason"]
    for n in (1e3, 1e9, 1e18):
        assert theory.plan(**(PLAN | {"pairs": n}), beta=5).iterative["vacuous"]
    assert [one["informative_from_pairs"] for one in found.statements] == [None, None, None]
    # Corollary 5.7 and the terms of theorem 5.3 do not hold for this beta; the notes say so.
    assert (many["stable_term"], many["transient_term"], many["rounds_to_suppress"]) == (None, None, None)
    assert "theorem 5.3 and corollary 5.7 do not hold" in " ".join(found.notes)
    goal = theory.plan(**PLAN, beta=5, target_failure=0.1).target
    assert goal is not None
    assert (goal["pairs"], goal["rounds"]) == (None, None)
    assert "alone leaves 6.93" in goal["reason"]


def test_a_plan_honours_beta() -> None:
    small, middle, large = (theory.plan(**PLAN, beta=beta) for beta in (0.01, 0.5, 5.0))
    assert len({one.iterative["failure_bound"] for one in (small, middle, large)}) == 3
    assert small.iterative["statement"] == "theorem 5.3"  # the failure coefficient rises with beta
    assert middle.iterative["pairs_help"] is True
    # From one statement to the other exactly above n^(-1/2).
    assert theory.plan(5, 100, 3.0, beta=0.1).iterative["statement"] == "theorem 5.3"
    assert theory.plan(5, 100, 3.0, beta=0.1001).iterative["statement"] == "eq. 43"
    # Where more pairs help, the plan says from how many on, at this beta.
    since = middle.statements[1]["informative_from_pairs"]
    for factor, vacuous in ((0.999, True), (1.001, False)):
        assert theory.plan(**(PLAN | {"pairs": since * factor}), beta=0.5).statements[1]["vacuous"] is vacuous
    goal = theory.plan(**PLAN, beta=0.01, target_failure=0.1).target
    assert goal is not None
    reached = theory.plan(**(PLAN | {"pairs": goal["pairs"], "rounds": goal["rounds"]}), beta=0.01)
    assert reached.iterative["statement"] == "eq. 43"  # at that many pairs 0.01 is above n^(-1/2)
    assert reached.iterative["failure_bound"] <= 0.1


def test_groups_of_responses_make_pairs() -> None:
    cost = theory.plan(5, 100, 3.0, rounds=2, responses_per_prompt=4, tokens_per_response=10).cost
    assert cost["prompts_per_round"] == math.ceil(100 / 6)
    assert cost["responses"] == 2 * 4 * 17
    assert cost["tokens"] == 10 * 2 * 4 * 17
    assert theory.plan(5, 100, 3.0, tokens_per_response=0.5).cost["tokens"] == 100
    assert theory.plan(5, 100, 3.0, responses_per_prompt=3).cost["prompts_per_round"] == 34
    assert theory.plan(5, 100, 3.0).cost["responses"] == 200


def test_given_values_replace_the_defaults() -> None:
    given: dict[str, Any] = {
        "margin": 2, "min_confidence": 0.8, "mass_slack": 0.25, "rho": 0.1, "constant": 2, "reward_range": 4.0
    }  # fmt: skip
    found = theory.plan(5, 1e6, 3.0, beta=0.5, lower_constant=0.3, **given)
    bound = theory.failure_bound_at_beta(5, 1e6, 3.0, 0.5, **given)
    assert found.iterative["failure_bound"] == pytest.approx(bound.value)
    assert found.population["kappa_bounds"] == pytest.approx([5, 1 + math.exp(-4) * 4])
    recur = theory.recurrence(theory.statistical_error(1e6, 3.0, 0.1, 2, 4.0), 0.5, 2, 0.8)
    assert found.iterative["fixed_point"] == pytest.approx(recur.fixed_point)
    assert found.single_step["failure_lower_bound"] == theory.failure_lower_bound(5, 1e6, 3.0, 0.3).value
    assert (found.inputs["lower_constant"], found.inputs["reward_range"]) == (0.3, 4.0)
    plain = theory.plan(5, 1e6, 3.0, margin=2)
    assert (plain.inputs["lower_constant"], plain.inputs["reward_range"]) == (1 / (2 * math.e), 2.0)
    assert found.inputs["mass_slack"] == 0.25
    assert found.inputs["constant"] == 2


@pytest.mark.parametrize("said", [PLAN, {"kappa0": 40, "pairs": 50, "log_class_size": 30.0, "rounds": 2}])
def test_each_statement_turns_informative_where_the_plan_says(said: dict[str, Any]) -> None:
    found = theory.plan(**said)
    assert [one["vacuous"] for one in found.statements] == [True, True, True]
    for at in range(3):
        since = found.statements[at]["informative_from_pairs"]
        assert theory.plan(**(said | {"pairs": since * 1.001})).statements[at]["vacuous"] is False
        assert theory.plan(**(said | {"pairs": since * 0.999})).statements[at]["vacuous"] is True
    assert found.iterative["informative_from_pairs"] == found.statements[1]["informative_from_pairs"]
    for at, rounds in ((0, 1), (1, said["rounds"])):
        since = found.statements[at]["informative_from_pairs"]
        size = theory.linear_softmax_log_class_size(64, 10, since) if "dim" in said else 30.0
        assert theory.failure_bound(said["kappa0"], since, size, rounds=rounds).value == pytest.approx(1, rel=1e-6)
    since = found.statements[2]["informative_from_pairs"]
    assert theory.plan(**(said | {"pairs": since})).statements[2]["value"] == pytest.approx(2, rel=1e-6)  # 1/c
    once, many, kappa = found.statements
    assert many["value"] == pytest.approx(found.iterative["failure_bound"])
    assert once["value"] >= many["value"]
    assert kappa["value"] == pytest.approx(found.iterative["kappa_bounds"][-1])


def test_a_statement_that_always_says_something_does_from_one_pair_on() -> None:
    # log(1 * 1/rho) C with a tiny constant: below 1 at every n.
    found = theory.plan(1, 100, 0.5, constant=1e-6)
    assert [one["vacuous"] for one in found.statements[:2]] == [False, False]
    assert found.statements[0]["informative_from_pairs"] == 1.0
    assert theory.plan(1, 100, 0.5, constant=1e12).statements[0]["informative_from_pairs"] is None


@pytest.mark.parametrize("goal", [0.5, 0.1, 0.01])
def test_the_target_is_reached_with_the_pairs_and_rounds_found_and_not_much_fewer(goal: float) -> None:
    found = theory.plan(130, 192, 20.0, target_failure=goal)
    assert found.target is not None
    n, rounds = found.target["pairs"], found.target["rounds"]
    assert theory.failure_bound(130, n, 20.0, rounds=rounds).value <= goal
    assert rounds == 1 or theory.failure_bound(130, n, 20.0, rounds=rounds - 1).value > goal
    assert theory.failure_bound(130, n / 1.025, 20.0, rounds=10**6).value > goal
    assert theory.failure_bound(130, n / 1.015, 20.0, rounds=10**6).value < goal
    assert found.target["failure"] == goal
    assert found.target["reason"] is None


def test_a_target_out_of_reach_says_so() -> None:
    found = theory.plan(130, 192, 20.0, target_failure=1e-9, constant=1e3)
    assert found.target is not None
    assert found.target["pairs"] is None
    assert "1e18" in found.target["reason"]


def test_notes_say_what_was_assumed() -> None:
    plain = " ".join(theory.plan(130, 192, 20.0).notes)
    assert "No minimum confidence was given; 1/2" in plain
    assert "C is set to 1 times the reward range R = 1 nats" in plain
    assert "C0 to 0.184" in plain
    careful = " ".join(theory.plan(130, 192, 20.0, min_confidence=0.5).notes)
    assert "c cannot include round 0" in careful
    assert "No minimum confidence" not in careful
    small = " ".join(theory.plan(1.5, 192, 20.0).notes)
    assert "stable term is the larger one from round 1 on" in small
    assert "stable term is the larger" not in plain
    assert "stable term is the larger" not in " ".join(theory.plan(2.5, 192, 20.0).notes)
    assert "stable term is the larger" in " ".join(theory.plan(2.0, 192, 20.0).notes)
    assert "cannot include" not in " ".join(theory.plan(2.0, 192, 20.0, min_confidence=0.5).notes)


def test_the_transient_dominates_where_kappa_is_large_and_rounds_are_few() -> None:
    assert theory.plan(1e6, 1e4, 20.0, rounds=1).iterative["dominant_term"] == "transient"
    assert theory.plan(1e6, 1e4, 20.0, rounds=9).iterative["dominant_term"] == "stable"


def test_a_plan_is_one_json_document_without_infinities() -> None:
    for said in (PLAN, {"kappa0": 1e300, "pairs": 1, "log_class_size": 1e300, "rounds": 2}):
        assert ("float range" in " ".join(theory.plan(**said).notes)) == (said["kappa0"] == 1e300)
        text = json.dumps(theory.plan(**said).as_dict(), allow_nan=False)
        assert set(json.loads(text)) == {
            "inputs", "single_step", "iterative", "population", "cost", "target", "statements", "notes"
        }  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kappa0": 0.5}, "kappa0 is 0.5"),
        ({"pairs": 0}, "pairs is 0"),
        ({"rounds": 0}, "rounds is 0"),
        ({"rounds": 1.5}, "rounds is 1.5; it must be a whole number, at least 1"),
        ({"responses_per_prompt": 1}, "responses_per_prompt is 1"),
        ({"beta": 0}, "beta is 0"),
        ({"margin": 0}, "margin is 0"),
        ({"min_confidence": 0}, "min_confidence is 0"),
        ({"mass_slack": 1}, "mass_slack is 1"),
        ({"rho": 0}, "rho is 0"),
        ({"constant": 0}, "constant is 0"),
        ({"lower_constant": 0}, "lower_constant is 0"),
        ({"reward_range": 0.5}, "reward_range is 0.5; it holds the margin, so give at least 1 nats"),
        ({"tokens_per_response": -1}, "tokens_per_response is -1"),
        ({"target_failure": 1}, "target_failure is 1"),
        ({"target_failure": 0}, "target_failure is 0"),
        ({"dim": 0}, "dim is 0|dimension is 0"),
        ({"radius": None}, "either log_class_size, or dim and radius together"),
        ({"dim": None, "radius": None}, "either log_class_size, or dim and radius"),
        ({"log_class_size": 3.0}, "either log_class_size, or dim and radius"),
        ({"dim": None, "radius": None, "log_class_size": 0}, "log_class_size is 0"),
        ({"kappa0": math.nan}, "kappa0 is nan"),
    ],
)
def test_arguments_outside_their_domain_are_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        theory.plan(**(PLAN | changes))
