"""The checks of P8 to P12 hold for any seed and fail when any one formula is wrong by one per cent."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from srlm.theory import answers, certificates, forecasting, search_bounds, voting
from srlm.theory import projection as bounds
from srlm.verification import answers as of_answers
from srlm.verification import certificates as of_draws
from srlm.verification import projection as of_policies
from srlm.verification._check import Check

FORMULAS = [
    *((bounds, name) for name in (
        "projection_weights", "projection_divergence", "exact_round_bracket", "log_exact_round_bracket",
        "outside_estimate", "mean_bracket", "target_divergence",
    )),
    *((answers, name) for name in (
        "answer_logprobs", "answer_round", "answer_weights", "plugin_target", "regression_target",
        "known_answers",
    )),
    *((voting, name) for name in ("majority_accuracy", "matching_beta", "pass_at")),
    *((forecasting, name) for name in ("forecast", "answer_forecast", "forecast_error_bound", "drift_chance")),
    *((search_bounds, name) for name in (
        "search_failure_bound", "linear_softmax_search_bound", "held_out_failure_bound", "hellinger_gap",
        "sampled_target_failure_bound", "worst_search_failure",
    )),
    *((certificates, name) for name in (
        "majority_evidence", "majority_bracket", "simultaneous_bracket", "certified_prompts", "draws_needed",
    )),
]  # fmt: skip


def checks(seed: int) -> Iterator[Check]:
    for part in (of_policies, of_draws, of_answers):
        yield from part.checks(np.random.default_rng(seed))


@pytest.mark.parametrize("seed", range(5))
def test_every_statement_holds(seed: int) -> None:
    assert [check for check in checks(seed) if not check.ok] == []


def scaled(value: Any, factor: float) -> Any:
    """The value, or each of a result's numbers, times the factor; a list of prompts without its first entry."""
    if isinstance(value, tuple):
        parts = [scaled(one, factor) for one in value]
        return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
    if isinstance(value, list):
        return [scaled(one, factor) for one in value]
    if isinstance(value, np.ndarray) and value.dtype == bool:
        return value & (np.cumsum(value) > 1)
    return value if value is None or isinstance(value, int) else value * factor


@pytest.mark.parametrize(("module", "name"), FORMULAS, ids=[name for _, name in FORMULAS])
@pytest.mark.parametrize("factor", [1.01, 0.99])
def test_one_formula_wrong_by_one_per_cent_is_noticed(
    module: Any, name: str, factor: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    original: Callable[..., Any] = getattr(module, name)
    monkeypatch.setattr(module, name, lambda *args, **kwargs: scaled(original(*args, **kwargs), factor))
    parts = {bounds: of_policies, forecasting: of_policies, answers: of_answers, voting: of_answers}
    part = parts.get(module, of_draws)
    assert any(not check.ok for check in part.checks(np.random.default_rng(0)))


FIELDS = ["kappa", "failure_rate", "kappa_point", "sample_accuracy", "sample_accuracy_point"]


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("factor", [1.01, 0.99])
def test_one_number_of_a_forecast_wrong_by_one_per_cent_is_noticed(
    field: str, factor: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = forecasting.forecast

    def wrong(*args: Any, **kwargs: Any) -> Any:
        return [one._replace(**{field: scaled(getattr(one, field), factor)}) for one in original(*args, **kwargs)]

    monkeypatch.setattr(forecasting, "forecast", wrong)
    assert any(not check.ok for check in of_policies.checks(np.random.default_rng(0)))


@pytest.mark.parametrize("field", ["kappa", "kappa_bound", "unmoved_margin"])
def test_one_number_of_the_errors_wrong_by_one_per_cent_is_noticed(field: str, monkeypatch: pytest.MonkeyPatch) -> None:
    original = forecasting.forecast_error_bound

    def wrong(*args: Any, **kwargs: Any) -> Any:
        return [one._replace(**{field: scaled(getattr(one, field), 0.99)}) for one in original(*args, **kwargs)]

    monkeypatch.setattr(forecasting, "forecast_error_bound", wrong)
    assert any(not check.ok for check in of_policies.checks(np.random.default_rng(0)))


def test_an_answer_certified_too_early_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    original = certificates.majorities

    def eager(*args: Any, **kwargs: Any) -> Any:
        return [one._replace(log_evidence=one.log_evidence + 2.5) for one in original(*args, **kwargs)]

    monkeypatch.setattr(certificates, "majorities", eager)
    checked = {check.id: check.ok for check in of_draws.checks(np.random.default_rng(0))}
    assert not checked["P11 (i), errors"]
