"""P8 to P12 at arguments from the ends of the float range: refused in a sentence or answered, never nan, no warning."""

import inspect
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from srlm import theory
from srlm.errors import InputError

SIZES = (
    0.0, 5e-324, 1e-310, 2.3e-308, 1e-155, 1e-16, 0.3, 0.5, 1 - 2**-53, 1.0, 1 + 2**-52, 2.0, 50.0, 1e8, 1e16, 1e155,
    1e300, 1.7e308, math.inf, math.nan, -1.0,
)  # fmt: skip
LOGPROBS = (0.0, -1e-320, -1e-16, -0.7, -1.1, -50.0, -800.0, -1e16, -1e300, -1.7e308, -math.inf)

Draw = Callable[[], float]
CALLS: dict[str, Callable[[Draw, np.ndarray, np.random.Generator], Any]] = {
    "weights": lambda x, logs, rng: theory.projection_weights(logs, x(), -logs if x() < 1 else None),
    "divergence": lambda x, logs, rng: theory.projection_divergence(x()),
    "bracket": lambda x, logs, rng: theory.exact_round_bracket(logs, [[0.0]], x()),
    "powers": lambda x, logs, rng: theory.log_exact_round_bracket(
        logs, [[0.0, -3.0]], 1.0, power=x(), certified=x() < 1, dropped=(x(), logs[:, 0])
    ),
    "estimate": lambda x, logs, rng: theory.outside_estimate(logs, logs < -1, logs.max(axis=1), x()),
    "means": lambda x, logs, rng: theory.mean_bracket(-logs.max(axis=1), -logs.min(axis=1), x()),
    "search": lambda x, logs, rng: theory.search_failure_bound(x(), x(), loss=x(), mass_slack=x(), rho=x(), eta=x()),
    "search, fitted": lambda x, logs, rng: theory.search_failure_bound(x(), x(), mass_slack=x(), rho=x()),
    "softmax": lambda x, logs, rng: theory.linear_softmax_search_bound(x(), x(), x(), loss=x(), rho=x()),
    "held out": lambda x, logs, rng: theory.held_out_failure_bound(x(), x(), x()),
    "distance": lambda x, logs, rng: theory.hellinger_gap(x(), x()),
    "labels": lambda x, logs, rng: theory.sampled_target_failure_bound(x(), x(), target_slack=x(), mass_slack=x()),
    "adversary": lambda x, logs, rng: theory.worst_search_failure(x(), x(), max(1, rng.integers(9)), x()),
    "answers": lambda x, logs, rng: theory.answer_logprobs(logs, rng.integers(-1, 2, logs.shape)),
    "answer round": lambda x, logs, rng: theory.answer_round(logs, rng.integers(-1, 2, logs.shape), x()),
    "leave one out": lambda x, logs, rng: theory.answer_weights([3, 2], x()),
    "plug-in": lambda x, logs, rng: theory.plugin_target([0.5, 0.5, 0.0], x(), 5),
    "regression": lambda x, logs, rng: theory.regression_target([0.5, 0.5, 0.0], x(), 5),
    "draws": lambda x, logs, rng: theory.majority_bracket(rng.integers(3, size=9).tolist(), x()),
    "needed": lambda x, logs, rng: theory.draws_needed(x(), x(), x()),
    "forecast": lambda x, logs, rng: theory.forecast(
        [theory.KnownPrompt(one, [0.0], [-1.0, one.max()], [False] * 2, x() < 1, right=one < -1) for one in logs],
        x(), 4, rng=rng,
    ),
    "projected": lambda x, logs, rng: theory.forecast(
        [theory.KnownPrompt(one) for one in logs], x(), 4, projection=True, slope=x()
    ),
    "answers to come": lambda x, logs, rng: theory.answer_forecast([[0.5, 0.5]], x(), 4, ends=[(x(), 1.0)]),
    "errors": lambda x, logs, rng: theory.forecast_error_bound(
        x(), x(), 4, exact=[1.0, 2.0, (1.0, math.inf), 1e300, 1.5], kappa0=x(), margin=x()
    ),
    "drift": lambda x, logs, rng: theory.drift_chance(x(), x(), x(), x()),
}  # fmt: skip


def numbers(value: Any) -> Iterator[float]:
    if isinstance(value, list | tuple):
        for one in value:
            yield from numbers(one)
    elif value is not None:
        yield from np.ravel(np.asarray(value, dtype=np.float64)).tolist()


@pytest.mark.parametrize("name", CALLS)
def test_extreme_arguments_are_refused_or_answered(name: str) -> None:
    rng = np.random.default_rng(0)
    plain = [one for one in SIZES if 0 < one < math.inf]
    answered = 0
    for trial in range(250):
        source = plain if trial % 2 else SIZES
        logs = rng.choice(LOGPROBS, (2, 4))
        try:
            found = CALLS[name](lambda: float(rng.choice(source)), logs, rng)  # noqa: B023
        except InputError:
            continue
        answered += 1
        assert not any(math.isnan(one) for one in numbers(found)), (trial, found)
    assert answered > 2


def test_levels_and_slacks_are_the_documented_ones_unless_said() -> None:
    documented = {"mass_slack": 0.5, "rho": 0.05, "alpha": 0.05, "power": None, "slope": None, "eta": None}
    checked = 0
    for name, function in inspect.getmembers(theory, inspect.isfunction):
        for parameter in inspect.signature(function).parameters.values():
            if parameter.name in documented and parameter.default is not inspect.Parameter.empty:
                checked += 1
                wanted = 1.0 if name == "linear_softmax_search_bound" and parameter.name == "eta" else None
                assert parameter.default == (wanted or documented[parameter.name]), (name, parameter.name)
    assert checked > 20
