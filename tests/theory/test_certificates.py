"""P11: its numbers by quadrature, and its errors by simulation, looked at again and again as the draws come in."""

import math
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest
from scipy import integrate, optimize, special, stats

from srlm import theory
from srlm.errors import InputError

RUNS = 2000
LOOKS = (2, 3, 4, 5, 6, 7, 9, 12, 17, 25, 38, 60, 100)


def allowed(alpha: float, runs: int = RUNS) -> float:
    """Most errors that a chance of alpha each leaves possible with p > 0.001 (one-sided binomial)."""
    return float(stats.binom.ppf(0.999, runs, alpha))


def test_p11_check_values() -> None:
    draws = [0] * 7 + [1, 1, 0]
    assert math.exp(theory.majority_evidence(draws)) == pytest.approx(1.3444444444, abs=1e-9)
    assert theory.majority_bracket(draws, 0.05) == (
        pytest.approx(0.2504462697, abs=1e-9),
        pytest.approx(0.9926814025, abs=1e-9),
    )


def test_evidence_is_the_mixture_over_chances_above_a_half() -> None:
    rng = np.random.default_rng(0)
    for _ in range(2000):
        draws = rng.integers(4, size=int(rng.integers(1, 30))).tolist()
        found = theory.majority_evidence(draws)
        counts = {a: draws.count(a) for a in dict.fromkeys(draws)}
        leader = max(counts, key=lambda a: counts[a])
        after = draws[draws.index(leader) + 1 :]
        u, v = after.count(leader), max((after.count(b) for b in counts if b != leader), default=0)
        j = list(counts).index(leader) + 1
        mixture = integrate.fixed_quad(lambda q: 2 * (2 * q) ** u * (2 - 2 * q) ** v, 0.5, 1.0, n=40)[0]  # noqa: B023
        assert found == pytest.approx(math.log(mixture / (j * (j + 1))), abs=1e-9), draws


def test_a_named_answer_counts_from_the_first_draw() -> None:
    draws = ["b", "a", "a", "a"]
    # Named: all three draws of a against one of b; found: two after its first, against none, as the second answer.
    three_one = 2**5 * special.beta(4, 2) * special.betainc(2, 4, 0.5)
    two_none = 2**3 * special.beta(3, 1) * special.betainc(1, 3, 0.5)
    assert theory.majority_evidence(draws, named=["a"]) == pytest.approx(math.log(three_one / 2))
    assert theory.majority_evidence(draws) == pytest.approx(math.log(two_none / 6))
    assert theory.majority_evidence(draws, named=["c", "a"]) == pytest.approx(math.log(three_one / 6))
    named, found = theory.majority_bracket(draws, 0.1, named=["a"]), theory.majority_bracket(draws, 0.1)
    assert named.lower == pytest.approx(below(3, 4, math.log(2 * 2 / 0.1)))
    assert found.lower == pytest.approx(below(2, 2, math.log(2 * 6 / 0.1)))
    assert named.upper == found.upper


def excess(p: float, count: float, total: float, level: float) -> float:
    return (
        float(
            special.betaln(count + 1, total - count + 1) - special.xlogy(count, p) - special.xlog1py(total - count, -p)
        )
        - level
    )


def below(count: float, total: float, level: float) -> float:
    return float(np.exp(optimize.brentq(lambda x: excess(np.exp(x), count, total, level), -700, np.log(count / total))))


def test_both_ends_solve_their_equations() -> None:
    rng = np.random.default_rng(1)
    for _ in range(2000):
        total = int(rng.integers(2, 200))
        draws = (rng.random(total) < rng.random()).tolist()
        alpha = float(np.exp(rng.uniform(-12, -0.7)))
        low, high = theory.majority_bracket(draws, alpha)
        most = max(draws.count(True), draws.count(False))
        if most == total:
            assert high == 1.0
        else:
            assert excess(high, most, total, math.log(2 / alpha)) == pytest.approx(0, abs=1e-7)
            assert high > most / total
        ends = [0.0]
        for j, answer in enumerate(dict.fromkeys(draws), start=1):
            after = draws[draws.index(answer) + 1 :]
            u = after.count(answer)
            if u > 0:
                ends.append(below(u, len(after), math.log(2 * j * (j + 1) / alpha)))
        assert low == pytest.approx(max(ends), rel=1e-9)


def zipf(rng: np.random.Generator, size: Any) -> np.ndarray:
    """Unbounded support: answer k has probability proportional to 1/(k(k+1)), so half of the draws are answer 1."""
    return np.floor(1 / rng.random(size))


def table(*probabilities: float) -> Callable[..., np.ndarray]:
    return lambda rng, size: rng.choice(len(probabilities), size=size, p=probabilities)


# name: how to draw, the mode, its probability
SOURCES: dict[str, tuple[Callable[..., np.ndarray], int, float]] = {
    "two nearly tied": (table(0.501, 0.499), 0, 0.501),
    "three nearly tied": (table(0.335, 0.334, 0.331), 0, 0.335),
    "nearly tied over a tail": (table(0.26, 0.255, *[0.0485] * 10), 0, 0.26),
    "clear": (table(0.6, 0.2, 0.1, 0.1), 0, 0.6),
    "unbounded": (zipf, 1, 0.5),
    "no repeat in sight": (lambda rng, size: rng.integers(10**6, size=size), -1, 1e-6),
}


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize("named", [False, True])
def test_errors_at_any_look_stay_within_alpha(name: str, named: bool) -> None:
    draw, mode, probability = SOURCES[name]
    rng = np.random.default_rng(list(SOURCES).index(name))
    draws = draw(rng, (RUNS, LOOKS[-1])).tolist()
    alpha = 0.2
    beforehand = [[1]] * RUNS if named else None  # the runner-up, where there is one: the worst to name
    wrong, missed = np.zeros(RUNS, dtype=bool), np.zeros(RUNS, dtype=bool)
    for look in LOOKS:
        found = theory.majorities([one[:look] for one in draws], alpha, beforehand)
        certified = np.array([one.log_evidence for one in found]) >= math.log(1 / alpha)
        wrong |= certified & np.array([one.leader != mode for one in found])
        ends = np.array([(one.lower, one.upper) for one in found])
        missed |= (ends[:, 0] > probability) | (ends[:, 1] < probability)
    if name != "no repeat in sight":  # there every answer is a mode
        assert wrong.sum() <= allowed(alpha)
    assert missed.sum() <= allowed(alpha)
    if name == "clear":
        assert certified.mean() > 0.85
    if name == "two nearly tied":  # the statement has something to fear
        assert wrong.sum() > 0
        assert missed.sum() > 0


def test_several_prompts_hold_at_once_at_any_look() -> None:
    rng = np.random.default_rng(7)
    chosen = [SOURCES[name] for name in ("two nearly tied", "clear", "unbounded", "nearly tied over a tail")]
    truth = np.array([one[2] for one in chosen])
    draws = [[list(one) for one in source[0](rng, (RUNS, 60)).tolist()] for source in chosen]
    alpha, slack, looks = 0.2, 0.45, (4, 8, 13, 22, 38, 60)
    missed, wrong = np.zeros(RUNS, dtype=bool), np.zeros(RUNS, dtype=bool)
    modes = np.array([one[1] for one in chosen])
    for look in looks:
        groups = [[prompt[run][:look] for prompt in draws] for run in range(RUNS)]
        flat = theory.majorities([one for group in groups for one in group], alpha / 4)
        ends = np.array([(one.lower, one.upper) for one in flat]).reshape(RUNS, 4, 2)
        missed |= ((ends[..., 0] > truth) | (ends[..., 1] < truth)).any(axis=1)
        certified = np.array([one.log_evidence >= math.log(4 / alpha) for one in flat]).reshape(RUNS, 4)
        wrong |= (certified & (np.array([one.leader for one in flat]).reshape(RUNS, 4) != modes)).any(axis=1)
        if look == 22:
            for run in range(0, RUNS, 50):  # the means follow from these ends
                found = theory.simultaneous_bracket(groups[run], alpha, slack)
                with np.errstate(divide="ignore"):
                    assert found.kappa == pytest.approx((np.mean(1 / ends[run, :, 1]), np.mean(1 / ends[run, :, 0])))
                shares = [(ends[run, :, end] <= 1 - slack).mean() for end in (1, 0)]
                assert found.failure_rate == pytest.approx(shares)
    assert missed.sum() <= allowed(alpha)
    assert wrong.sum() <= allowed(alpha)
    assert certified[:, 1].mean() > 0.3  # of the clear prompt


def test_a_list_by_e_bh_is_mostly_right() -> None:
    rng = np.random.default_rng(8)
    alpha, prompts = 0.2, 12
    wrong_share, listed = np.zeros(RUNS), 0
    sources = [table(0.501, 0.499), table(0.8, 0.1, 0.1), table(0.26, 0.255, 0.25, 0.235)]
    kinds = rng.integers(3, size=prompts)
    draws = np.stack([sources[kind](rng, (RUNS, 40)) for kind in kinds], axis=1)
    found = theory.majorities(draws.reshape(-1, 40).tolist(), alpha)
    evidence = np.array([one.log_evidence for one in found]).reshape(RUNS, prompts)
    leaders = np.array([one.leader for one in found]).reshape(RUNS, prompts)
    for run in range(RUNS):
        on = theory.certified_prompts(evidence[run], alpha)
        listed += on.sum()
        wrong_share[run] = (leaders[run][on] != 0).sum() / max(1, on.sum())
    assert listed > RUNS
    assert wrong_share.mean() - 3.1 * wrong_share.std() / math.sqrt(RUNS) <= alpha


def test_e_bh_by_hand() -> None:
    # P = 4 at level 0.5: the largest needs 8, the second 4, the third 8/3, the fourth 2.
    logs = np.log([1.0, 4.5, 3.0, 5.0])
    assert theory.certified_prompts(logs, 0.5).tolist() == [False, True, True, True]  # 3 of them reach 8/3
    assert theory.certified_prompts(np.log([1.0, 2.5, 2.5, 5.0]), 0.5).tolist() == [False] * 4
    assert theory.certified_prompts(np.log([2.0, 2.5, 2.5, 5.0]), 0.5).all()
    assert theory.certified_prompts([-np.inf], 0.5).tolist() == [False]
    assert theory.certified_prompts([], 0.5).tolist() == []


def test_draws_needed_solve_their_equation_and_match_what_happens() -> None:
    rng = np.random.default_rng(9)
    for _ in range(2000):
        p1, p2, *_ = np.sort(rng.dirichlet(np.ones(4)))[::-1]
        alpha, j = float(np.exp(rng.uniform(-10, -1))), int(rng.integers(1, 5))
        n = theory.draws_needed(p1, p2, alpha, number=j)
        share = p1 / (p1 + p2)
        kl = share * math.log(2 * share) + (1 - share) * math.log(2 - 2 * share)
        assert kl >= (p1 - p2) ** 2 / (2 * (p1 + p2) ** 2)
        assert n == pytest.approx((math.log(j * (j + 1) / alpha) + 0.5 * math.log(n)) / ((p1 + p2) * kl), rel=1e-6)
    assert theory.draws_needed(0.5, 0.0) == pytest.approx(
        (math.log(40) + 0.5 * math.log(theory.draws_needed(0.5, 0.0))) / (0.5 * math.log(2))
    )
    draws = SOURCES["clear"][0](rng, (700, 100)).tolist()
    waiting, needed = list(range(700)), np.full(700, 101.0)
    for look in range(8, 101):
        found = theory.majorities([draws[run][:look] for run in waiting], 0.05)
        done = [one.log_evidence >= math.log(20) for one in found]
        needed[[run for run, yes in zip(waiting, done, strict=True) if yes]] = look
        waiting = [run for run, yes in zip(waiting, done, strict=True) if not yes]
    assert np.median(needed) == pytest.approx(47, abs=2)
    assert theory.draws_needed(0.6, 0.2) == pytest.approx(np.median(needed), rel=0.25)


def test_little_and_much_is_said_without_a_warning() -> None:
    assert theory.majority_evidence([]) == -math.inf
    assert theory.majority_bracket([], 0.05) == (0.0, 1.0)
    assert theory.majorities([], 0.05) == []
    assert theory.majority_bracket(["a", "b", "c"], 0.05).lower == 0.0  # nothing was repeated
    assert theory.simultaneous_bracket([["a", "b"], ["a"] * 50], 0.05).kappa.upper == math.inf
    sure = theory.majorities([["a"] * 100_000], 1e-9)[0]
    assert (sure.leader, sure.upper) == ("a", 1.0)
    assert 0.9995 < sure.lower < 1
    with mpmath.workdps(30):  # u = 99,999 against none
        u = mpmath.mpf(99_999)
        value = (2 ** (u + 1) - 1) / (u + 1)
        assert sure.log_evidence == pytest.approx(float(mpmath.log(value / 2)), rel=1e-12)
    assert theory.majorities([[None, None, "x"]], 0.1)[0].leader is None


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: theory.majority_bracket([0, 1], 0.0), "alpha is 0"),
        (lambda: theory.majority_evidence("abc"), "put it in a list"),
        (lambda: theory.majority_evidence(["a"], named="a"), "put it in a list"),
        (lambda: theory.majorities([[0]], 0.1, named=[]), "named has 0 entries for 1"),
        (lambda: theory.simultaneous_bracket([], 0.1), "P >= 1"),
        (lambda: theory.simultaneous_bracket([[0]], 1.0), "alpha is 1"),
        (lambda: theory.certified_prompts([math.nan], 0.1), "vector"),
        (lambda: theory.majority_bracket([0, 1], 1.5), "alpha is 1.5"),
        (lambda: theory.certified_prompts([0.0], 1.5), "alpha is 1.5"),
        (lambda: theory.certified_prompts([[0.0]], 0.5), "vector"),
        (lambda: theory.draws_needed(1.5, 0.1), "first is 1.5"),
        (lambda: theory.draws_needed(0.5, 0.1, 1.5), "alpha is 1.5"),
        (lambda: theory.draws_needed(0.5, 0.1, number=0), "number is 0"),
        (lambda: theory.draws_needed(0.3, 0.3), "second is 0.3"),
        (lambda: theory.draws_needed(0.8, 0.3), "at most 1"),
    ],
)
def test_misuse_is_refused_in_a_sentence(call: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        call()
