"""Every argument has a domain: its edges are accepted or refused as stated, and it is named when refused."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from srlm import theory
from srlm.errors import InputError

POSITIVE, UNIT_OPEN, PROBABILITY_OPEN_LOW = (0, math.inf, "()"), (0, 1, "()"), (0, 1, "(]")
AT_LEAST_0, AT_LEAST_1, UNIT = (0, math.inf, "[)"), (1, math.inf, "[)"), (0, 1, "[]")
LOGPROB, MARGIN = (-math.inf, 0, "[]"), (0, math.inf, "[]")  # closed at an infinite end: it belongs to the domain

# function, legal arguments, and the domain of each
TABLE: list[tuple[Callable[..., Any], dict[str, Any], dict[str, tuple[float, float, str]]]] = [
    (theory.failure_lower_bound, {"kappa0": 5, "pairs": 10, "log_class_size": 2, "constant": 1},
     {"kappa0": AT_LEAST_1, "pairs": AT_LEAST_1, "log_class_size": POSITIVE, "constant": POSITIVE}),
    (theory.failure_lower_bound_asymptotic, {"kappa0": 5, "pairs": 10, "log_class_size": 2, "constant": 1},
     {"kappa0": AT_LEAST_1, "pairs": AT_LEAST_1, "log_class_size": POSITIVE, "constant": POSITIVE}),
    (theory.failure_at_level, {"kappa0": 5, "level": 0.1}, {"kappa0": AT_LEAST_1, "level": POSITIVE}),
    (theory.near_uniform_kappa, {"responses": 5}, {"responses": AT_LEAST_1}),
    (theory.autoregressive_kappa, {"top_probability": 0.5, "length": 3},
     {"top_probability": PROBABILITY_OPEN_LOW, "length": AT_LEAST_0}),
    (theory.hard_instance_kappa, {"informative_mass": 0.5, "responses": 5, "bias": 1},
     {"informative_mass": UNIT, "responses": (2, math.inf, "[)"), "bias": POSITIVE}),
    (theory.bayes_failure, {"informative_mass": 0.5, "responses": 5, "informative_prompts": 2, "pairs": 3, "bias": 0.5},
     {"informative_mass": UNIT, "responses": (2, math.inf, "[)"), "informative_prompts": AT_LEAST_1,
      "pairs": AT_LEAST_0, "bias": POSITIVE}),
    (theory.bayes_failure, {"informative_mass": 0.5, "responses": 5, "informative_prompts": 2, "pairs": 3, "bias": 3},
     {"responses": (4, math.inf, "[)")}),
    (theory.worst_hard_instance, {"kappa0": 5, "pairs": 10, "informative_prompts": 1, "bias": 1},
     {"kappa0": AT_LEAST_1, "pairs": AT_LEAST_1, "informative_prompts": AT_LEAST_1, "bias": POSITIVE}),
    (theory.greedy_trap, {"mode_probability": 0.3, "excess": 0.2},
     {"mode_probability": (0, 0.5, "()"), "excess": (0, 0.4, "(]")}),
    (theory.greedy_finds_mode, {"mode_probability": 0.3}, {"mode_probability": UNIT}),
    (theory.population_kappa_bound, {"kappa": 5, "margin": 1, "beta": 1},
     {"kappa": AT_LEAST_1, "margin": AT_LEAST_0, "beta": POSITIVE}),
    (theory.population_margin, {"margin": 1, "beta": 1, "rounds": 2},
     {"margin": AT_LEAST_0, "beta": POSITIVE, "rounds": AT_LEAST_0}),
    (theory.population_kappa_bound_by_prompt, {"mode_logprobs": -1.0, "margins": 1.0, "beta": 1},
     {"mode_logprobs": LOGPROB, "margins": MARGIN, "beta": POSITIVE}),
    (theory.exact_round_kappa_estimate, {"mode_logprobs": [-1.0], "sample_logprobs": [[-2.0]], "beta": 1},
     {"beta": POSITIVE}),
    (theory.certified_log_factor, {"margin": 1, "beta": 1, "error": 0.1},
     {"margin": MARGIN, "beta": POSITIVE, "error": AT_LEAST_0}),
    (theory.log_ratio_error, {"before": [-1.0], "after": [-1.0], "beta": 1}, {"beta": POSITIVE}),
    (theory.beta_of_order, {"pairs": 4, "scale": 1}, {"pairs": AT_LEAST_1, "scale": POSITIVE}),
    (theory.population_kappa_bounds, {"kappa0": 5, "margin": 1, "beta": 1, "rounds": 2},
     {"kappa0": AT_LEAST_1, "margin": AT_LEAST_0, "beta": POSITIVE, "rounds": AT_LEAST_0}),
    (theory.certified_kappa_bound, {"kappa": 5, "margin": 1, "beta": 1, "error": 0.1},
     {"kappa": AT_LEAST_1, "margin": MARGIN, "beta": POSITIVE, "error": AT_LEAST_0}),
    (theory.failure_from_suboptimality, {"suboptimality": 1, "margin": 1, "mass_slack": 0.5},
     {"suboptimality": AT_LEAST_0, "margin": AT_LEAST_0, "mass_slack": UNIT_OPEN}),
    (theory.change_of_measure_bound, {"coefficient": 2, "second_moment": 1},
     {"coefficient": AT_LEAST_1, "second_moment": AT_LEAST_0}),
    (theory.statistical_error, {"pairs": 10, "log_class_size": 2, "rho": 0.1, "constant": 1},
     {"pairs": AT_LEAST_1, "log_class_size": AT_LEAST_0, "rho": UNIT_OPEN, "constant": POSITIVE}),
    (theory.failure_coefficient, {"kappa": 5, "error": 0.1, "beta": 1, "margin": 1},
     {"kappa": AT_LEAST_1, "error": AT_LEAST_0, "beta": AT_LEAST_0, "margin": POSITIVE}),
    (theory.one_round_failure_bound, {"coefficient": 0.1, "mass_slack": 0.5},
     {"coefficient": AT_LEAST_0, "mass_slack": UNIT_OPEN}),
    (theory.tail_integral_bound, {"coefficient": 0.1, "min_confidence": 0.5},
     {"coefficient": AT_LEAST_0, "min_confidence": PROBABILITY_OPEN_LOW}),
    (theory.recurrence, {"error": 0.1, "beta": 1, "margin": 1, "min_confidence": 0.5},
     {"error": AT_LEAST_0, "beta": AT_LEAST_0, "margin": POSITIVE, "min_confidence": PROBABILITY_OPEN_LOW}),
    (theory.recurrence(0.1, 1, 1, 0.5).step, {"kappa": 5}, {"kappa": AT_LEAST_1}),
    (theory.recurrence(0.1, 1, 1, 0.5).bound_after, {"kappa0": 5, "rounds": 1},
     {"kappa0": AT_LEAST_1, "rounds": AT_LEAST_0}),
    (theory.expansions_bound, {"length": 5, "mode_probability": 0.5},
     {"length": AT_LEAST_1, "mode_probability": PROBABILITY_OPEN_LOW}),
    (theory.failure_bound,
     {"kappa0": 5, "pairs": 10, "log_class_size": 2, "margin": 1, "min_confidence": 0.5, "mass_slack": 0.5,
      "rho": 0.1, "rounds": 2, "constant": 1, "measured": 0.5},
     {"kappa0": AT_LEAST_1, "pairs": AT_LEAST_1, "log_class_size": AT_LEAST_0, "margin": POSITIVE,
      "min_confidence": PROBABILITY_OPEN_LOW, "mass_slack": UNIT_OPEN, "rho": UNIT_OPEN, "rounds": AT_LEAST_1,
      "constant": POSITIVE, "measured": UNIT}),
    (theory.stable_failure_bound,
     {"pairs": 10, "log_class_size": 2, "margin": 1, "min_confidence": 0.5, "mass_slack": 0.5, "rho": 0.1},
     {"margin": POSITIVE, "min_confidence": PROBABILITY_OPEN_LOW, "mass_slack": UNIT_OPEN}),
    (theory.rounds_to_suppress, {"kappa0": 5, "pairs": 10, "min_confidence": 0.5},
     {"kappa0": AT_LEAST_1, "pairs": AT_LEAST_1, "min_confidence": PROBABILITY_OPEN_LOW}),
    (theory.linear_softmax_log_class_size, {"dimension": 5, "radius": 1, "pairs": 10},
     {"dimension": POSITIVE, "radius": POSITIVE, "pairs": AT_LEAST_1}),
    (theory.log_covering_number, {"dimension": 5, "radius": 1, "scale": 0.1},
     {"dimension": POSITIVE, "radius": POSITIVE, "scale": POSITIVE}),
    (theory.loss_lipschitz_bound, {"beta": 1, "clip": 1, "distance": 0.1},
     {"beta": POSITIVE, "clip": AT_LEAST_0, "distance": AT_LEAST_0}),
    (theory.effective_dimension, {"eigenvalues": [1.0], "ridge": 1},
     {"eigenvalues": AT_LEAST_0, "ridge": POSITIVE}),
    (theory.effective_dimension_bound, {"eigenvalues": [1.0], "ridge": 1, "kept": 1},
     {"eigenvalues": AT_LEAST_0, "ridge": POSITIVE, "kept": AT_LEAST_0}),
    (theory.exponential_decay_bound, {"scale": 1, "rate": 1, "ridge": 1},
     {"scale": POSITIVE, "rate": POSITIVE, "ridge": POSITIVE}),
    (theory.polynomial_decay_bound, {"scale": 1, "power": 2, "ridge": 1},
     {"scale": POSITIVE, "power": (1, math.inf, "()"), "ridge": POSITIVE}),
    (theory.spike_bound, {"dimension": 5, "rank": 1, "tail": 1, "ridge": 1},
     {"dimension": AT_LEAST_1, "rank": (0, 5, "[]"), "tail": AT_LEAST_0, "ridge": POSITIVE}),
    (theory.self_reward_residual, {"logps": -1, "reference_logps": -1, "beta": 1}, {"beta": POSITIVE}),
    (theory.sharpen, {"logprobs": [0.0], "beta": 1}, {"beta": POSITIVE}),
    (theory.policy_condition_number, {"mode_logprobs": [-1.0]}, {"mode_logprobs": LOGPROB}),
    (theory.log_min_confidence, {"mode_logprobs": [-1.0]}, {"mode_logprobs": LOGPROB}),
    (theory.mean_probability, {"logprobs": [-1.0]}, {}),
    (theory.failure_rate, {"mode_logprobs": [-1.0], "mass_slack": 0.5}, {"mass_slack": UNIT_OPEN}),
]  # fmt: skip

CASES = [
    pytest.param(function, legal, name, domain, id=f"{getattr(function, '__name__', '?')}-{name}")
    for function, legal, domains in TABLE
    for name, domain in domains.items()
]


@pytest.mark.parametrize(("function", "legal", "name", "domain"), CASES)
def test_edges_of_the_domain(
    function: Callable[..., Any], legal: dict[str, Any], name: str, domain: tuple[float, float, str]
) -> None:
    low, high, brackets = domain
    function(**legal)
    wrong: list[Any] = [math.nan, "many"]
    right: list[float] = []
    for edge, bracket, outward in ((low, brackets[0], -1), (high, brackets[1], 1)):
        (right if bracket in "[]" else wrong).append(edge)
        if math.isfinite(edge):
            wrong += [edge + outward * 1e-3, outward * math.inf]
    for value in right:
        function(**(legal | {name: value}))
    for value in wrong:
        with pytest.raises(InputError, match=f"{name} is "):
            function(**(legal | {name: value}))


def test_the_sentence_names_argument_value_and_interval() -> None:
    with pytest.raises(InputError, match=r"mass_slack is 1; it must be finite and lie in \(0, 1\)$"):
        theory.one_round_failure_bound(0.1, 1)
    with pytest.raises(InputError, match=r"kappa0 is 0.5; it must be finite and lie in \[1, inf\)$"):
        theory.rounds_to_suppress(0.5, 10, 0.5)
    with pytest.raises(InputError, match=r"min_confidence is 2; .* in \(0, 1\]$"):
        theory.rounds_to_suppress(np.array([5.0]), 10, np.array([0.5, 2.0, 3.0]))
    with pytest.raises(InputError, match=r"informative_mass is -1; .* in \[0, 1\]$"):
        theory.hard_instance_kappa(-1, 5)
    with pytest.raises(InputError, match=r"mode_logprobs is 1; .* in \(-inf, 0\]$"):
        theory.policy_condition_number([1.0])
    with pytest.raises(InputError, match=r"logps is nan; .* in \(-inf, inf\)$"):
        theory.self_reward_residual(math.nan, 0, 1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: theory.policy_condition_number([]), "empty"),
        (lambda: theory.policy_condition_number([-1.0], weights=[1.0, 1.0]), "weights have shape"),
        (lambda: theory.policy_condition_number([-1.0], weights=[0.0]), "sum to 0"),
        (lambda: theory.policy_condition_number([-1.0], weights=[-1.0]), "weights is -1"),
        (lambda: theory.condition(np.log([[0.5, 0.4]])), r"row 0 of logprobs sums to 0.9"),
        (lambda: theory.condition(np.log([[0.5, 0.5], [0.5, 0.4], [0.2, 0.1]])), r"row 2 of logprobs sums to 0.3"),
        (lambda: theory.condition(np.zeros(3)), "must be a table"),
        (lambda: theory.condition(np.zeros((0, 3))), "must be a table"),
        (lambda: theory.condition([[0.1, -1.0]]), "each at most 0"),
        (lambda: theory.condition([[math.nan, -1.0]]), "must be a table"),
        (lambda: theory.effective_dimension([[1.0]], 1.0), "give a vector"),
        (lambda: theory.fisher_spectrum(np.zeros((1, 2)), np.zeros((1, 2))), "features have shape"),
        (lambda: theory.fisher_spectrum(np.zeros((1, 2, 3)), np.zeros((2, 2))), "features have shape"),
        (lambda: theory.fisher_spectrum(np.zeros((1, 1, 1)), np.zeros((1, 1)), cutoff=1.0), "cutoff is 1"),
        (lambda: theory.fisher_spectrum(np.zeros((1, 1, 1)), np.zeros((1, 1)), weights=[-1]), "weights is -1"),
        (lambda: theory.group_loss([-1.0], [-1.0], 1.0), "K >= 2 responses"),
        (lambda: theory.group_loss(np.zeros((2, 2)), np.zeros((2, 2)), 1.0), "K >= 2 responses"),
        (lambda: theory.sharpen(0.0, 1.0), "log-probabilities"),
        (lambda: theory.sharpen([], 1.0), "log-probabilities"),
        (lambda: theory.sharpen([0.5], 1.0), "each at most 0"),
        (lambda: theory.sharpen([math.nan], 1.0), "each at most 0"),
        (lambda: theory.sharpen([-math.inf, -math.inf], 1.0), "impossible responses"),
        (lambda: theory.population_kappa_bound_by_prompt([-1.0, -1.0], [1.0], 1.0), "margins have shape"),
        (lambda: theory.exact_round_kappa_estimate([-1.0], [-1.0, -2.0], 1.0), "sample_logprobs have shape"),
        (lambda: theory.log_ratio_error([-1.0], [-1.0, -2.0], 1.0), "the mode first"),
        (lambda: theory.log_ratio_error([], [], 1.0), "the mode first"),
        (lambda: theory.recurrence(1e200, 1, 1e-200, 0.5), "slope exceeds the float range"),
    ],
)
def test_other_misuse_is_one_clear_sentence(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        call()


def test_arrays_broadcast_and_scalars_stay_scalars() -> None:
    bound = theory.failure_bound(np.array([[2.0], [50.0]]), np.array([1e3, 1e6, 1e9]), 5.0, rounds=2)
    assert bound.value.shape == (2, 3)
    assert bound.vacuous.dtype == bool
    assert isinstance(theory.failure_bound(2.0, 10, 1.0).value, float)
    assert isinstance(theory.tail_integral_bound(0.1, 0.1), float)
    assert isinstance(theory.bayes_failure(0.5, 5, 1, 3), float)
    one = theory.failure_lower_bound(np.array([2.0, 50.0]), 1e3, 5.0)
    assert one == pytest.approx([theory.failure_lower_bound(k, 1e3, 5.0) for k in (2.0, 50.0)])
