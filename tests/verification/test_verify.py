"""`verify` holds as it is, covers every label, and fails when any one formula is wrong by one per cent."""

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import fields, is_dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import pytest

from srlm.errors import InputError
from srlm.theory import conditioning, contraction, guarantees, lower_bound, objective, spectrum
from srlm.verification import linear_softmax, measured, one_step, rounds, verify
from srlm.verification._check import KINDS, agrees, dominates

LABELS = (
    "eq. 5", "eq. 6", "eq. 7", "eq. 8", "eq. 43", "eq. 52-56", "eq. 59-66", "eq. 99", "eq. 100", "eq. 149",
    "theorem 4.1", "theorem 5.3", "theorem 6.2", "corollary 5.7", "corollary 6.4", "corollary G.5", "corollary G.6",
    "proposition 4.3", "lemma C.1", "lemma C.3", "lemma C.4", "lemma F.4", "lemma G.4 (A)", "lemma G.4 (B)",
    "lemma G.4 (C)", "P1", "P2", "P3", "P4", "P5", "P6", "P7",
)  # fmt: skip


def test_every_statement_holds_and_every_label_has_a_row() -> None:
    found = verify()
    assert found.ok, [check for check in found.checks if not check.ok]
    labels = [check.id for check in found.checks]
    assert len(set(labels)) == len(labels)
    assert set(LABELS) <= set(labels)
    assert found.as_dict()["ok"] is True


def test_other_random_policies_hold_too() -> None:
    assert verify(seed=20260130).ok


FORMULAS = [
    *(
        (conditioning, name)
        for name in (
            "policy_condition_number", "log_policy_condition_number", "failure_rate", "log_min_confidence",
            "mean_probability", "log_mass",
        )
    ),
    *(
        (objective, name)
        for name in (
            "self_reward_residual", "group_loss", "residual", "group_rows", "pair_differences", "residual_rms",
        )
    ),
    *(
        (contraction, name)
        for name in (
            "population_kappa_bound", "population_kappa_bounds", "population_margin", "certified_kappa_bound",
            "failure_from_suboptimality", "change_of_measure_bound", "statistical_error", "failure_coefficient",
            "one_round_failure_bound", "tail_integral_bound", "recurrence", "expansions_bound", "certified_log_factor",
            "population_kappa_bound_by_prompt", "log_population_kappa_bound_by_prompt", "log_ratio_error",
            "exact_round_kappa_estimate", "log_exact_round_kappa_estimate",
        )
    ),
    *(
        (guarantees, name)
        for name in (
            "failure_bound", "rounds_to_suppress", "stable_failure_bound", "linear_softmax_log_class_size",
            "beta_of_order",
        )
    ),
    *(
        (lower_bound, name)
        for name in (
            "failure_at_level", "failure_lower_bound", "failure_lower_bound_asymptotic", "near_uniform_kappa",
            "autoregressive_kappa", "hard_instance_kappa", "bayes_failure", "greedy_trap",
        )
    ),
    *(
        (spectrum, name)
        for name in (
            "log_covering_number", "loss_lipschitz_bound", "effective_dimension", "effective_dimension_bound",
            "exponential_decay_bound", "polynomial_decay_bound", "spike_bound", "fisher_spectrum",
        )
    ),
]  # fmt: skip


def scaled(value: Any, factor: float) -> Any:
    """The value, or each of a result's numbers, times the factor."""
    if is_dataclass(value) and not isinstance(value, type):
        return replace(
            value, **{f.name: scaled(getattr(value, f.name), factor) for f in fields(value) if f.name != "rank"}
        )
    return value if value is None or isinstance(value, bool | np.bool_) else value * factor


@pytest.mark.parametrize(("module", "name"), FORMULAS, ids=[name for _, name in FORMULAS])
@pytest.mark.parametrize("factor", [1.01, 0.99])
def test_one_formula_wrong_by_one_per_cent_is_noticed(
    module: Any, name: str, factor: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    original: Callable[..., Any] = getattr(module, name)
    monkeypatch.setattr(module, name, lambda *args, **kwargs: scaled(original(*args, **kwargs), factor))
    if name == "policy_condition_number":
        monkeypatch.setattr(one_step, "condition", lambda *a, **k: scaled(conditioning.condition(*a, **k), factor))
    noticed = (
        not check.ok
        for part in (measured, one_step, rounds, linear_softmax)
        for check in part.checks(np.random.default_rng(0))
    )
    with suppress(InputError):  # refused where another formula takes the wrong number: noticed as well
        assert any(noticed)


def test_a_check_fails_on_disagreement_violation_and_looseness() -> None:
    same, above = partial(agrees, "x", "", kind="identity"), partial(dominates, "x", "", kind="inequality")
    assert same([1.0, 2.0], [1.0, 2.0]).ok
    bad = same([1.0, 2.0, 3.0], [1.0, 2.002, 3.0])
    assert (bad.ok, bad.predicted, bad.cases) == (False, 2.0, 3)
    assert not same([np.nan], [1.0]).ok
    assert above([1.0, 2.0], [0.5, 1.9]).ok
    assert not above([1.0, 1.8], [0.5, 1.9]).ok
    assert not above([1.0, 2.0], [0.5, 1.9], attained=1.01).ok
    assert above(1.0, 0.0).tightness is None


def test_every_row_says_its_kind_and_they_are_counted_apart() -> None:
    found = verify()
    rows = found.as_dict()["checks"]
    assert {row["kind"] for row in rows} == set(KINDS) == set(found.kinds)
    assert found.kinds == Counter(row["kind"] for row in rows)
    assert sum(found.kinds.values()) == len(found.checks)
