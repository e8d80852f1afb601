"""Every argument has a domain: its edges are accepted or refused as stated, and it is named when refused."""

import inspect
import math
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import pytest

from srlm import theory
from srlm.errors import InputError
from srlm.theory import contraction, guarantees, lower_bound, planning, spectrum

POSITIVE, UNIT_OPEN, PROBABILITY_OPEN_LOW = (0, math.inf, "()"), (0, 1, "()"), (0, 1, "(]")
AT_LEAST_0, AT_LEAST_1, UNIT = (0, math.inf, "[)"), (1, math.inf, "[)"), (0, 1, "[]")
LOGPROB, MARGIN = (-math.inf, 0, "[]"), (0, math.inf, "[]")  # closed at an infinite end: it belongs to the domain

# function, legal arguments, and the domain of each
TABLE: list[tuple[Callable[..., Any], dict[str, Any], dict[str, tuple[float, float, str]]]] = [
    (theory.failure_lower_bound, {"kappa0": 5, "pairs": 10, "log_class_size": 2, "lower_constant": 1},
     {"kappa0": AT_LEAST_1, "pairs": AT_LEAST_1, "log_class_size": POSITIVE, "lower_constant": POSITIVE}),
    (theory.failure_lower_bound_asymptotic, {"kappa0": 5, "pairs": 10, "log_class_size": 2, "lower_constant": 1},
     {"kappa0": AT_LEAST_1, "pairs": AT_LEAST_1, "log_class_size": POSITIVE, "lower_constant": POSITIVE}),
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
     {"kappa0": AT_LEAST_1, "pairs": AT_LEAST_1, "informative_prompts": AT_LEAST_1, "bias": (0, 1e6, "(]")}),
    (theory.worst_hard_instance_within, {"kappa0": 5, "pairs": 10, "log_class_size": 9, "bias": 1},
     {"kappa0": AT_LEAST_1, "pairs": AT_LEAST_1, "log_class_size": POSITIVE, "bias": (0, 1e6, "(]")}),
    (theory.greedy_trap, {"mode_probability": 0.3, "excess": 0.2},
     {"mode_probability": (0, 0.5, "()"), "excess": (0, 0.4, "(]")}),
    (theory.greedy_finds_mode, {"mode_probability": 0.3}, {"mode_probability": UNIT}),
    (theory.population_kappa_bound, {"kappa": 5, "margin": 1, "beta": 1},
     {"kappa": AT_LEAST_1, "margin": AT_LEAST_0, "beta": POSITIVE}),
    (theory.population_margin, {"margin": 1, "beta": 1, "rounds": 2},
     {"margin": AT_LEAST_0, "beta": POSITIVE, "rounds": AT_LEAST_0}),
    (theory.population_kappa_bound_by_prompt, {"mode_logprobs": -1.0, "margins": 1.0, "beta": 1},
     {"mode_logprobs": LOGPROB, "margins": MARGIN, "beta": POSITIVE}),
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
    (theory.statistical_error, {"pairs": 10, "log_class_size": 2, "rho": 0.1, "constant": 1, "reward_range": 1},
     {"pairs": AT_LEAST_1, "log_class_size": AT_LEAST_0, "rho": UNIT_OPEN, "constant": POSITIVE,
      "reward_range": POSITIVE}),
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
      "rho": 0.1, "rounds": 2, "constant": 1, "reward_range": 1, "measured": 0.5},
     {"kappa0": AT_LEAST_1, "pairs": AT_LEAST_1, "log_class_size": AT_LEAST_0, "margin": POSITIVE,
      "min_confidence": PROBABILITY_OPEN_LOW, "mass_slack": UNIT_OPEN, "rho": UNIT_OPEN, "rounds": AT_LEAST_1,
      "constant": POSITIVE, "reward_range": (1, math.inf, "[)"), "measured": UNIT}),
    (theory.failure_bound_at_beta,
     {"kappa0": 5, "pairs": 10, "log_class_size": 2, "beta": 1, "margin": 1, "min_confidence": 0.5, "mass_slack": 0.5,
      "rho": 0.1, "rounds": 2, "constant": 1, "reward_range": 1},
     {"kappa0": AT_LEAST_1, "pairs": AT_LEAST_1, "log_class_size": AT_LEAST_0, "beta": POSITIVE, "margin": POSITIVE,
      "min_confidence": PROBABILITY_OPEN_LOW, "mass_slack": UNIT_OPEN, "rho": UNIT_OPEN, "rounds": AT_LEAST_1,
      "constant": POSITIVE, "reward_range": (1, math.inf, "[)")}),
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
    (theory.plan,
     {"kappa0": 5, "pairs": 10, "log_class_size": 2, "margin": 1, "min_confidence": 0.5, "mass_slack": 0.5, "rho": 0.1,
      "beta": 1, "rounds": 2, "constant": 1, "lower_constant": 1, "reward_range": 1, "target_failure": 0.1},
     {"kappa0": AT_LEAST_1, "pairs": (1, 1e18, "[]"), "log_class_size": POSITIVE, "margin": POSITIVE,
      "min_confidence": PROBABILITY_OPEN_LOW, "mass_slack": UNIT_OPEN, "rho": UNIT_OPEN, "beta": POSITIVE,
      "rounds": AT_LEAST_1, "constant": POSITIVE, "lower_constant": POSITIVE, "reward_range": (1, math.inf, "[)"),
      "target_failure": UNIT_OPEN}),
    (theory.self_reward_residual, {"logps": -1, "reference_logps": -1, "beta": 1}, {"beta": POSITIVE}),
    (theory.sharpen, {"logprobs": [0.0], "beta": 1}, {"beta": POSITIVE}),
    (theory.policy_condition_number, {"mode_logprobs": [-1.0]}, {"mode_logprobs": LOGPROB}),
    (theory.log_min_confidence, {"mode_logprobs": [-1.0]}, {"mode_logprobs": LOGPROB}),
    (theory.mean_probability, {"logprobs": [-1.0]}, {}),
    (theory.failure_rate, {"mode_logprobs": [-1.0], "mass_slack": 0.5}, {"mass_slack": UNIT_OPEN}),
]  # fmt: skip

# The same for P8 to P12, whose extreme arguments have tests of their own
EDGES: list[tuple[Callable[..., Any], dict[str, Any], dict[str, tuple[float, float, str]]]] = [
    (theory.search_failure_bound,
     {"log_class_size": 2, "prompts": 10, "loss": 1, "mass_slack": 0.5, "rho": 0.1, "eta": 1, "threshold": None},
     {"log_class_size": AT_LEAST_0, "prompts": AT_LEAST_1, "loss": AT_LEAST_0, "mass_slack": UNIT_OPEN,
      "rho": UNIT_OPEN, "eta": POSITIVE, "threshold": POSITIVE}),
    (theory.linear_softmax_search_bound, {"dimension": 2, "radius": 1, "prompts": 10, "loss": 1}, {"loss": AT_LEAST_0}),
    (theory.held_out_failure_bound, {"failures": 0, "prompts": 10, "rho": 0.1},
     {"failures": (0, 10, "[]"), "prompts": (1, 1e12, "[]"), "rho": (1e-300, 1, "[)")}),
    (theory.hellinger_gap, {"mass_slack": 0.5, "target_slack": 0.0}, {"mass_slack": UNIT_OPEN}),
    (theory.hellinger_gap, {"mass_slack": 0.5, "target_slack": 0.1}, {"target_slack": (0, 0.5, "[)")}),
    (theory.sampled_target_failure_bound,
     {"log_class_size": 2, "prompts": 10, "target_slack": 0.0, "mass_slack": 0.5, "rho": 0.1},
     {"log_class_size": AT_LEAST_0, "prompts": AT_LEAST_1, "mass_slack": UNIT_OPEN, "rho": UNIT_OPEN}),
    (theory.worst_search_failure, {"kappa0": 5, "prompts": 10, "informative_prompts": 1, "bias": 1},
     {"kappa0": (1, 1e100, "[]"), "prompts": (1, 1e100, "[]"), "informative_prompts": (1, 1e100, "[]"),
      "bias": (0, 1e100, "(]")}),
    (theory.projection_weights, {"logprobs": [-1.0], "beta": 1}, {"beta": POSITIVE}),
    (theory.projection_divergence, {"tau": 0.5}, {"tau": (0, 1, "[)")}),
    (theory.target_divergence, {"weights": [1.0], "logprobs": [-1.0]}, {}),
    (theory.exact_round_bracket, {"known": [-0.5], "open_prefixes": [-0.9], "beta": 1, "power": None},
     {"beta": POSITIVE, "power": AT_LEAST_1}),
    (theory.mean_bracket, {"log_lower": [0.1], "log_upper": [0.2], "mass_slack": 0.5}, {"mass_slack": UNIT_OPEN}),
    (theory.majority_bracket, {"draws": [0, 0, 1], "alpha": 0.1}, {"alpha": UNIT_OPEN}),
    (theory.certified_prompts, {"log_evidence": [1.0], "alpha": 0.1}, {"alpha": UNIT_OPEN}),
    (theory.draws_needed, {"first": 0.6, "second": 0.2, "alpha": 0.1, "number": 1},
     {"alpha": UNIT_OPEN, "number": AT_LEAST_1}),
    (theory.draws_needed, {"first": 1.0, "second": 0.0}, {"first": PROBABILITY_OPEN_LOW}),
    (theory.draws_needed, {"first": 0.6, "second": 0.2}, {"second": (0, 0.4, "[]")}),
    (theory.plugin_target, {"probabilities": [0.5, 0.5], "beta": 1, "draws": 3},
     {"beta": (1 / 99.5, math.inf, "()"), "draws": AT_LEAST_1}),
    (theory.regression_target, {"probabilities": [0.5, 0.5], "beta": 1, "draws": 3}, {"draws": (2, math.inf, "[)")}),
    (theory.answer_weights, {"counts": [3, 1], "beta": 1}, {"beta": POSITIVE}),
    (theory.forecast_error_bound, {"eps": 0.1, "beta": 1, "rounds": 1, "kappa0": 2, "margin": 1},
     {"eps": AT_LEAST_0, "beta": POSITIVE, "rounds": AT_LEAST_0, "kappa0": AT_LEAST_1, "margin": AT_LEAST_0}),
    (theory.forecast, {"prompts": [theory.KnownPrompt([-0.5], [-0.9])], "beta": 1, "rounds": 1, "mass_slack": 0.5},
     {"rounds": AT_LEAST_0, "mass_slack": UNIT_OPEN}),
    (theory.answer_forecast, {"answers": [[0.5, 0.5]], "beta": 1, "rounds": 1, "mass_slack": 0.5},
     {"rounds": AT_LEAST_0, "mass_slack": UNIT_OPEN}),
    (theory.drift_chance, {"distance": 1, "sigma": 1, "beta": 1, "rounds": 2},
     {"distance": AT_LEAST_0, "sigma": POSITIVE, "beta": POSITIVE, "rounds": (1, math.inf, "[]")}),
]  # fmt: skip

CASES = [
    pytest.param(function, legal, name, domain, id=f"{getattr(function, '__name__', '?')}-{name}")
    for function, legal, domains in [*TABLE, *EDGES]
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
            wrong += [edge + outward * max(1e-3, 1e-9 * abs(edge)), outward * math.inf]
    for value in right:
        function(**(legal | {name: value}))
    for value in wrong:
        with pytest.raises(InputError, match=f"{name} is "):
            function(**(legal | {name: value}))


def test_every_function_of_numbers_has_its_domain_here() -> None:
    named = {getattr(function, "__name__", "") for function, _, _ in TABLE}
    for module in (contraction, guarantees, lower_bound, spectrum, planning):
        for name, function in inspect.getmembers(module, inspect.isfunction):
            if function.__module__ == module.__name__ and not name.startswith(("_", "log_pop", "log_exact")):
                assert name in named | {"fisher_spectrum", "lower_bound_level"}, name


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
    one = theory.failure_lower_bound(np.array([2.0, 50.0]), 1e3, 5.0).value
    assert one == pytest.approx([theory.failure_lower_bound(k, 1e3, 5.0).value for k in (2.0, 50.0)])
    assert theory.failure_bound_at_beta(2.0, np.array([1e3, 1e6]), 5.0, 0.1).pairs_help is True


EXTREMES = (
    5e-324, 1e-310, 2.3e-308, 1e-300, 1e-155, 1e-16, 1e-8, 0.3, 0.5, 1 - 2**-53, 1.0, 1 + 2**-52, 1.0001, 2.0, 3.0,
    50.0, 1e3, 1e8, 1e16, 1e155, 1e300, 1.7e308,
)  # fmt: skip


def inside(value: float, domain: tuple[float, float, str]) -> bool:
    low, high, brackets = domain
    above = value >= low if brackets[0] == "[" else value > low
    return above and (value <= high if brackets[1] == "]" else value < high)


def numbers(value: Any) -> Iterator[Any]:
    """Every number of a result."""
    if is_dataclass(value):
        value = [getattr(value, field.name) for field in fields(value)]
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for one in value:
            yield from numbers(one)
    elif not isinstance(value, str) and value is not None and not callable(value):
        yield from np.ravel(value)


@pytest.mark.parametrize(
    ("function", "legal", "domains"), TABLE, ids=[getattr(f, "__name__", "?") for f, _, _ in TABLE]
)
def test_extreme_arguments_are_refused_or_answered_without_nan(
    function: Callable[..., Any], legal: dict[str, Any], domains: dict[str, tuple[float, float, str]]
) -> None:
    choices = {
        name: [one for value in EXTREMES for one in (value, -value, 0.0) if inside(one, domain)]
        for name, domain in domains.items()
    }
    rng, answered = np.random.default_rng(0), 0
    for _ in range(150):
        given = {name: float(rng.choice(values)) for name, values in choices.items()}
        shaped = {name: np.full(np.shape(legal[name]), value) if np.ndim(legal[name]) else value
                  for name, value in given.items()}  # fmt: skip
        try:
            found = function(**(legal | shaped))
        except InputError as error:
            assert " is " in str(error) or "too" in str(error)  # noqa: PT017 - one sentence, whatever was refused
            continue
        answered += 1
        assert not any(np.isnan(float(one)) for one in numbers(found)), given
    assert answered > 10


TINY, HUGE = -1.7e308, -1e-320
LOGPROBS = (0.0, HUGE, -1e-16, -0.7, -50.0, -800.0, -1e16, -1e300, TINY, -math.inf)


def test_extreme_tables_are_refused_or_answered_without_nan() -> None:
    rng = np.random.default_rng(0)
    calls: list[Callable[[np.ndarray, float], Any]] = [
        lambda logs, scale: theory.sharpen(logs, scale),
        lambda logs, scale: theory.condition(logs),
        lambda logs, scale: theory.policy_condition_number(logs.ravel(), np.full(logs.size, scale)),
        lambda logs, scale: theory.failure_rate(logs.ravel(), min(scale, 0.5), np.full(logs.size, scale)),
        lambda logs, scale: theory.self_reward_residual(logs, logs[::-1], scale),
        lambda logs, scale: theory.group_loss(logs[0], logs[-1], scale),
        lambda logs, scale: theory.effective_dimension(-logs.ravel(), scale),
        lambda logs, scale: theory.effective_dimension_bound(-logs.ravel(), scale, 1),
        lambda logs, scale: theory.fisher_spectrum(scale * rng.uniform(-1, 1, (*logs.shape, 2)), np.log(softmax(logs))),
        lambda logs, scale: theory.population_kappa_bound_by_prompt(logs[0], -logs[-1], scale),
        lambda logs, scale: theory.log_mean_exp(logs),
    ]
    for call in calls:
        answered = 0
        for _ in range(200):
            logs = rng.choice(LOGPROBS, (2, 3))
            try:
                found = call(logs, float(rng.choice(EXTREMES)))
            except InputError:
                continue
            answered += 1
            assert not any(np.isnan(float(one)) for one in numbers(found)), logs
        assert answered > 5


def softmax(logs: np.ndarray) -> np.ndarray:
    top = np.maximum(logs.max(axis=1, keepdims=True), -1e308)
    with np.errstate(all="ignore"):
        weights = np.exp(np.nan_to_num(logs, neginf=-1e308) - top)
    return np.maximum(weights, 1e-300) / np.maximum(weights, 1e-300).sum(axis=1, keepdims=True)


def test_examples_of_overflow_have_their_right_answers() -> None:
    assert theory.polynomial_decay_bound(1e300, 1.0001, 1e-300) == math.inf  # (C/lambda)^(1/p) is near 1e600
    assert theory.exponential_decay_bound(1.0, 1e-310, 0.5) == math.inf
    assert np.exp(theory.sharpen(np.log([0.5, 0.3, 0.2]), 1e-310)) == pytest.approx([1.0, 0.0, 0.0])
    assert theory.sharpen(np.log([0.4, 0.4, 0.2]), 1e-310)[:2] == pytest.approx(np.log([0.5, 0.5]))
    assert theory.population_margin(0.0, 1e-310) == 0.0
    assert theory.certified_kappa_bound(1.0, 0.0, 1.0, 1e4) == 1.0
    assert theory.effective_dimension([1e308, 1e308], 1e308) == pytest.approx(1.0)
    assert theory.spike_bound(10, 2, 1e308, 1e308) == pytest.approx(2 + 8 / 2)
    assert theory.loss_lipschitz_bound(1e300, 1e300, 0.0) == 0.0
    assert theory.loss_lipschitz_bound(1e200, 1e200, 1e-200) == pytest.approx(8e200)
    assert theory.linear_softmax_log_class_size(2, 1e308, 1e308) == pytest.approx(
        2 * math.log(4) + 4 * 308 * math.log(10)
    )
    assert theory.tail_integral_bound(1e-300, 1e-305) == pytest.approx(1 + 1e5)  # 1 + A/c, A far below 1
    assert theory.failure_from_suboptimality(0.0, 1e-320, 1e-10) == 0.0
    assert theory.failure_bound(2.0, 10, 1.0, rounds=1e300).transient_term == 0.0
    # One response a prompt of a million has its label: n = 0 leaves a guess among all M, whatever M is.
    assert theory.bayes_failure(1.0, 1e300, 1, 0) == 1.0
    assert theory.bayes_failure(1.0, 1e6, 1, 0.9) == pytest.approx(1 - 1e-6)
    with pytest.raises(InputError, match="more responses than a float can count"):
        theory.worst_hard_instance(1.7e308, 10)
    with pytest.raises(InputError, match="more continuations than a float can count"):
        theory.greedy_trap(5e-324, 0.5)
