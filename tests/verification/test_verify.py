"""`verify` holds as it is, covers every label, and fails when a formula is wrong: by one per cent, or in a corner."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np
import pytest

from srlm.errors import InputError
from srlm.theory import conditioning, contraction, guarantees, lower_bound, objective, planning, spectrum
from srlm.verification import linear_softmax, measured, one_step, plans, rounds, sharpening, verify
from srlm.verification._check import KINDS, Cases, Check

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


@pytest.mark.parametrize("seed", [1, 2, 20260130])
def test_other_random_policies_hold_too(seed: int) -> None:
    assert verify(seed=seed).ok


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
        )
    ),
    *(
        (guarantees, name)
        for name in (
            "failure_bound", "rounds_to_suppress", "stable_failure_bound", "linear_softmax_log_class_size",
            "beta_of_order", "failure_bound_at_beta",
        )
    ),
    *(
        (lower_bound, name)
        for name in (
            "failure_at_level", "failure_lower_bound", "failure_lower_bound_asymptotic", "near_uniform_kappa",
            "autoregressive_kappa", "hard_instance_kappa", "bayes_failure", "greedy_trap", "worst_hard_instance",
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


PARTS = {
    conditioning: (sharpening, measured), objective: (sharpening, measured),
    contraction: (sharpening, rounds, measured),
    guarantees: (rounds, linear_softmax, measured), lower_bound: (one_step,), spectrum: (linear_softmax,),
    planning: (plans,),
}  # fmt: skip


def failing(module: Any) -> Iterator[str]:
    """Labels of the checks of a module's formulas that fail."""
    for part in PARTS[module]:
        yield from (check.id for check in part.checks(np.random.default_rng(0)) if not check.ok)


@pytest.mark.parametrize(("module", "name"), FORMULAS, ids=[name for _, name in FORMULAS])
@pytest.mark.parametrize("factor", [1.01, 0.99])
def test_one_formula_wrong_by_one_per_cent_is_noticed(
    module: Any, name: str, factor: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    original: Callable[..., Any] = getattr(module, name)
    monkeypatch.setattr(module, name, lambda *args, **kwargs: scaled(original(*args, **kwargs), factor))
    with suppress(InputError):  # refused where another formula takes the wrong number: noticed as well
        assert any(failing(module))


def moving_modes(original: Callable[..., Any]) -> Callable[..., Any]:
    """Sharpening that exchanges two responses at one prompt of many."""

    def sharpen(logprobs: Any, beta: float) -> Any:
        logs = original(logprobs, beta)
        if len(logs) > 50:
            order = logs[7].argsort()
            logs[7, order[-2:]] = logs[7, order[[-1, -2]]]
        return logs

    return sharpen


# module, function, what it is replaced by (given the original), and a check that must fail
BREAKAGES: list[tuple[Any, str, Callable[[Callable[..., Any]], Callable[..., Any]], str]] = [
    (conditioning, "failure_rate", lambda f: lambda *a, **k: 0.0, "definition 5.2"),
    (conditioning, "mode_fails", lambda f: lambda logs, slack=0.5: np.exp(logs) < 1 - slack, "definition 5.2"),
    (lower_bound, "hard_instance_kappa", lambda f: lambda p, m, g=1.0: f(p, m, 1.0), "appendix D"),
    (lower_bound, "near_uniform_kappa", lambda f: lambda m: 7.0, "section 3, near-uniform"),
    (lower_bound, "autoregressive_kappa", lambda f: lambda alpha, length: f(0.5, length), "section 3, autoregressive"),
    (contraction, "population_margin", lambda f: lambda gamma, beta, rounds=1: f(gamma, 0.8, rounds), "P3, margin"),
    (contraction, "population_kappa_bounds", lambda f: lambda k, gamma, beta, t: f(k, gamma, 1.0, t), "P3, iterated"),
    (contraction, "expansions_bound", lambda f: lambda length, p: f(4, p), "P6, sharp"),
    (contraction, "expansions_bound", lambda f: lambda length, p: length / p, "P6, sharp"),  # before its correction
    (contraction, "population_kappa_bound", lambda f: lambda k, gamma, beta: f(k, min(gamma, 3.0), beta), "P3, sharp"),
    (contraction, "population_kappa_bound", lambda f: lambda k, gamma, beta: k if gamma >= 3 else f(k, gamma, beta),
     "P3, sharp"),
    (contraction, "certified_kappa_bound",
     lambda f: lambda k, gamma, beta, eps: f(k, gamma, beta, min(eps, 1.2)), "P4"),
    (lower_bound, "bayes_failure", lambda f: lambda p, m, d, n, g=1.0: f(p, m, d, n, g) * (1.02 if n >= 50 else 1),
     "P7, many draws"),
    (lower_bound, "worst_hard_instance", lambda f: lambda k, n, d=1, g=1.0: f(k, n, d, 1.0), "P7, the adversary"),
    (lower_bound, "worst_hard_instance_within", lambda f: lambda k, n, size, g=1.0: f(k, n, 2 * size, g),
     "P7, within a class"),
    (lower_bound, "failure_lower_bound",
     lambda f: lambda k, *a: replace(f(k, *a), applies=True, value=lower_bound.failure_at_level(k, 1e-3)),
     "theorem 4.1, level"),
    (objective, "sharpen", moving_modes, "P5"),
    (guarantees, "failure_bound",
     lambda f: lambda *a, **k: f(*a, **(k | {"reward_range": max(1.0, k.get("margin", 1.0))})), "eq. 7"),
    (guarantees, "failure_bound_at_beta", lambda f: lambda k, n, size, beta, **o: f(k, n, size, 0.1, **o),
     "eq. 43, at any beta"),
    (planning, "plan", lambda f: lambda *a, beta=None, **k: f(*a, **k), "theorem 5.3, in a plan"),
    (planning, "worst_hard_instance_within", lambda f: lambda k, n, size: f(k, n, 2 * size), "P7, in a plan"),
    (spectrum, "fisher_spectrum", lambda f: lambda phi, logs, weights=None, **k: f(phi, logs, **k),
     "section 5, Fisher information"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("module", "name", "breakage", "label"), BREAKAGES, ids=[f"{at}-{row[1]}" for at, row in enumerate(BREAKAGES)]
)
def test_a_formula_wrong_in_one_corner_fails_its_check(
    module: Any, name: str, breakage: Callable[..., Any], label: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, name, breakage(getattr(module, name)))
    assert label in set(failing(module))


def test_a_formula_that_raises_is_a_failed_check(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: Any) -> float:
        raise InputError("rate is nan")

    monkeypatch.setattr(spectrum, "effective_dimension", broken)
    found = verify()
    assert not found.ok
    assert [(check.id, check.statement) for check in found.checks if not check.ok] == [
        ("linear_softmax", "the checks broke off: InputError: rate is nan")
    ]


def test_a_check_fails_on_disagreement_violation_and_looseness() -> None:
    def same(formula: list[float], direct: list[float]) -> Check:
        cases = Cases()
        cases.add(formula, direct)
        return cases.agree("x", "", "identity")

    def above(bound: Any, measured: Any, attained: float | None = None) -> Check:
        cases = Cases()
        cases.add(bound, measured)
        return cases.dominate("x", "", attained)

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
