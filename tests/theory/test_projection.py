"""P8 against enumeration: every end, every distance and the unbiased estimate on random policies that can be summed."""

import math
from typing import Any, NamedTuple

import mpmath
import numpy as np
import pytest

from srlm import theory
from srlm.errors import InputError

P = np.array([0.4, 0.2, 0.1, 0.1, 0.05, 0.05, 0.05, 0.05])


def test_p8_check_values() -> None:
    known, rest = np.log(P[:2]), np.log(P[2:])
    exact = (P**1.5).sum() / 0.4**1.5
    bracket = theory.exact_round_bracket(known, rest, beta=2.0)
    assert bracket.lower == pytest.approx(1.3535533906, abs=1e-9)
    assert bracket.upper == pytest.approx(exact, abs=1e-12)  # a frontier of single responses leaves nothing open
    assert exact == pytest.approx(1.7803300859, abs=1e-9)
    assert bracket.tau == pytest.approx(0.2397177347, abs=1e-9)
    assert theory.projection_divergence(bracket.tau) == pytest.approx(0.2740655130, abs=1e-9)
    largest = theory.exact_round_bracket(known, [], beta=2.0, dropped=(0.4, np.log(0.1)))
    assert largest.upper == pytest.approx(1.8535533906, abs=1e-9)
    frontier = theory.exact_round_bracket(known, np.log([0.2, 0.1, 0.1]), beta=2.0)
    assert frontier.upper == pytest.approx(1.9571067812, abs=1e-9)
    alone = theory.exact_round_bracket(known[:1], [], beta=2.0, dropped=(0.6, np.log(0.2)))
    assert alone.upper == pytest.approx(2.0606601718, abs=1e-9)
    assert alone.upper == pytest.approx(theory.population_kappa_bound(1 / 0.4, np.log(2), 2.0), abs=1e-12)  # P3


class Instances(NamedTuple):
    """Policies with a random known set, what is left split into prefixes, one of them perhaps given up."""

    table: np.ndarray  # (N, M) probabilities
    inside: np.ndarray  # (N, M) known?
    known: np.ndarray  # (N, M) logs, -inf where unknown
    prefixes: np.ndarray  # (N, 4) logs
    dropped: tuple[np.ndarray, np.ndarray]
    power: np.ndarray


def instances(seed: int, count: int = 2500, responses: int = 9) -> Instances:
    rng = np.random.default_rng(seed)
    logits = rng.uniform(0.3, 4, (count, 1)) * rng.standard_normal((count, responses))
    table = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    inside = rng.random((count, responses)) < rng.random((count, 1))
    inside[np.arange(count), rng.integers(responses, size=count)] = True
    # Prefixes cover everything that is not known, and some of what is: a sample's own prefixes may still be open.
    covered = ~inside | (rng.random((count, responses)) < 0.2)
    owner = rng.integers(5, size=(count, responses))
    masses = np.stack([(table * covered * (owner == j)).sum(axis=1) for j in range(5)], axis=1)
    gone = (table * ~inside * (owner == 4)).sum(axis=1)
    single = (table * ~inside * (owner == 4)).max(axis=1)
    with np.errstate(divide="ignore"):
        logs = np.log(masses[:, :4])
        dropped = (gone, np.log(single))
        known = np.where(inside, np.log(table), -np.inf)
    return Instances(table, inside, known, logs, dropped, 1 + rng.exponential(2.0, count))


def each(case: Instances, certified: Any) -> theory.RoundBracket:
    """The bracket of each instance with its own power, grouped to keep the call batched."""
    order = np.argsort(case.power)
    found = np.zeros((3, len(order)))
    for group in np.array_split(order, 25):
        mean = float(case.power[group].mean())
        case.power[group] = mean
        found[:, group] = theory.exact_round_bracket(
            case.known[group],
            case.prefixes[group],
            1.0,
            power=mean,
            certified=certified[group],
            dropped=(case.dropped[0][group], case.dropped[1][group]),
        )
    return theory.RoundBracket(*found)


@pytest.mark.parametrize("seed", [0, 1])
def test_the_bracket_holds_the_exact_round(seed: int) -> None:
    case = instances(seed)
    rows = np.arange(len(case.table))
    proved = case.inside[rows, case.table.argmax(axis=1)]
    assert 200 < proved.sum() < len(rows) - 200
    for certified in (proved, np.zeros(len(rows), dtype=bool)):
        bracket = each(case, certified)
        raised = case.table ** case.power[:, None]
        exact = raised.sum(axis=1) / raised.max(axis=1)
        assert (bracket.lower <= exact * (1 + 1e-12)).all()
        assert (exact <= bracket.upper * (1 + 1e-12)).all()
        tau = (raised * ~case.inside).sum(axis=1) / raised.sum(axis=1)
        assert (tau <= bracket.tau * (1 + 1e-12) + 1e-15).all()
        # Neither end is idle: often the lower one is what the projection gives, and not one response more.
        assert np.median(bracket.upper / bracket.lower) < 2.5


def test_with_more_known_the_upper_end_is_below_p3_for_the_same_runner_up() -> None:
    case = instances(2)
    rows = np.arange(len(case.table))
    case.inside[rows, case.table.argmax(axis=1)] = True
    case.known[:] = np.where(case.inside, np.log(case.table), -np.inf)
    best = case.known.max(axis=1)
    runner_up = np.sort(np.log(case.table), axis=1)[:, -2]
    with np.errstate(divide="ignore"):
        singles = np.where(case.inside, -np.inf, np.log(case.table))
    for beta in (0.3, 1.0, 4.0):
        upper = theory.exact_round_bracket(case.known, singles, beta).upper
        p3 = theory.population_kappa_bound(np.exp(-best), best - runner_up, beta)
        assert (upper <= p3 * (1 + 1e-12)).all()


def test_distances_from_the_exact_round_are_tau_and_its_divergence() -> None:
    case = instances(3)
    target = np.zeros_like(case.table)
    for beta in (0.5, 2.0):
        q = theory.projection_weights(case.known, beta)
        raised = case.table ** (1 + 1 / beta)
        exact = raised / raised.sum(axis=1, keepdims=True)
        tau = (exact * ~case.inside).sum(axis=1)
        assert np.abs(q - exact).sum(axis=1) / 2 == pytest.approx(tau, abs=1e-12)
        divergence = np.sum(np.where(q > 0, q * np.log(np.where(q > 0, q, 1) / exact), 0.0), axis=1)
        clear = tau < 0.999  # above, 1 - tau is lost in rounding
        assert divergence[clear] == pytest.approx(theory.projection_divergence(tau[clear]), abs=1e-10)
        target += q
        # The objective is largest at q: any other policy falls short by its divergence from q.
        other = np.random.default_rng(4).dirichlet(np.ones(9), len(q))
        with np.errstate(divide="ignore"):
            best = np.sum(np.where(q > 0, q * np.log(np.where(q > 0, q, 1)), 0.0), axis=1)
        assert (np.sum(q * np.log(other), axis=1) < best).all()
    assert (target.argmax(axis=1) == np.where(case.inside, case.table, 0).argmax(axis=1)).all()


def test_weights_of_any_reward_of_samples_and_of_long_responses() -> None:
    logs, rewards = np.log([0.5, 0.3, 0.1]), np.array([0.0, 1.0, -2.0])
    by_hand = np.array([0.5, 0.3, 0.1]) * np.exp(rewards / 0.7)
    assert theory.projection_weights(logs, 0.7, rewards) == pytest.approx(by_hand / by_hand.sum(), abs=1e-15)
    drawn = np.array([0.5, 0.3, 0.1]) ** (1 / 0.7)
    assert theory.projection_weights(logs, 0.7, distinct=False) == pytest.approx(drawn / drawn.sum(), abs=1e-15)
    # Drawn once or twice, samples with weights p^(s-1) meet distinct responses with weights p^s on average over draws.
    long = theory.projection_weights([-2000.0, -2001.0, -math.inf], 1.0)
    assert long == pytest.approx([1 / (1 + math.exp(-2)), 1 / (1 + math.exp(2)), 0.0], abs=1e-15)
    assert theory.projection_weights(logs, 1e-310).tolist() == [1.0, 0.0, 0.0]
    assert theory.projection_weights(logs, 1e-310, np.ones(3)) == pytest.approx(np.exp(logs) / 0.9)
    assert theory.projection_weights(np.log([[0.5, 0.5], [0.9, 0.1]]), 1e308) == pytest.approx(
        np.array([[0.5, 0.5], [0.9, 0.1]])
    )


def test_the_estimate_without_a_frontier_is_unbiased() -> None:
    case = instances(5)
    with np.errstate(divide="ignore"):
        logs = np.log(case.table)
    best = case.known.max(axis=1)
    for power in (1.0, 1.7, 4.0):
        outside = np.sum(case.table**power * ~case.inside, axis=1) / np.exp(power * best)
        one_draw = theory.outside_estimate(logs[..., None], case.inside[..., None], best[:, None], 1.0, power=power)
        assert (case.table * one_draw).sum(axis=1) == pytest.approx(outside, rel=1e-9)
        two = theory.outside_estimate(logs[:, :2], case.inside[:, :2], best, 1.0, power=power)
        assert two == pytest.approx(one_draw[:, :2].mean(axis=1), rel=1e-9)


def test_responses_of_two_thousand_nats_against_arbitrary_precision() -> None:
    known, prefixes = [-2000.0, -2000.5, -2010.0], [-1.0, -0.6, -2.0]
    with mpmath.workdps(900):
        best, s = mpmath.exp(-2000), mpmath.mpf(3)
        z = sum(mpmath.exp(3 * mpmath.mpf(k)) for k in known)
        open_ = sum(mpmath.exp(3 * mpmath.mpf(w)) for w in prefixes)
        capped = mpmath.exp(mpmath.mpf("-0.6")) ** 2 * (1 - sum(mpmath.exp(mpmath.mpf(k)) for k in known))
        t = min(open_, capped)
        upper = float(mpmath.log((z + t) / best**s))
        lower = float(mpmath.log(z / best**s))
        unproved = float(mpmath.log(1 + z / mpmath.exp(mpmath.mpf("-0.6")) ** s))
    logs = theory.log_exact_round_bracket(known, prefixes, 0.5)
    assert logs.lower == pytest.approx(lower, abs=1e-12)
    assert logs.upper == pytest.approx(upper, rel=1e-12)
    assert theory.exact_round_bracket(known, prefixes, 0.5).upper == math.inf
    assert theory.exact_round_bracket(known, prefixes, 0.5).tau == 1.0
    free = theory.log_exact_round_bracket(known, prefixes, 0.5, certified=False)
    assert free.lower == pytest.approx(min(lower, unproved), abs=1e-15)
    sure = theory.log_exact_round_bracket([math.log1p(-math.exp(-900)), -900.0], [-901.0], 1.0)
    assert sure.tau == pytest.approx(-1802.0, abs=1e-9)
    far = theory.log_exact_round_bracket(known, prefixes, 1e-310, power=None)
    assert (far.lower, far.upper > 1e100) == (0.0, True)


def test_what_little_is_known_gives_what_little_is_certain() -> None:
    nothing = theory.exact_round_bracket([], [0.0], 1.0)
    assert nothing == (1.0, math.inf, 1.0)
    everything = theory.exact_round_bracket(np.log([0.75, 0.25]), [], 1.0)
    assert everything.lower == everything.upper == pytest.approx(10 / 9)
    assert everything.tau == 0.0
    # At S = 1 nothing has happened: 1/p(y*) whatever the frontier.
    now = theory.exact_round_bracket(np.log([0.25]), np.log([0.5, 0.25]), 1.0, power=1.0)
    assert now.upper == pytest.approx(4.0)
    many = theory.exact_round_bracket(
        [[math.log(0.5), -math.inf], [math.log(0.5), math.log(0.3)]], [[math.log(0.5)], [math.log(0.2)]], 1.0
    )
    assert np.asarray(many.upper).tolist() == pytest.approx([2.0, 1 + 0.36 + 0.16])


def test_means_over_prompts_by_hand() -> None:
    found = theory.mean_bracket(np.log([1.0, 2.0, 3.0]), np.log([1.5, 2.0, math.inf]), mass_slack=0.5)
    assert found.kappa == (pytest.approx(2.0), math.inf)
    assert found.log_kappa.lower == pytest.approx(math.log(2.0))
    assert found.failure_rate == (pytest.approx(1 / 3), pytest.approx(2 / 3))  # 2.0 is on the edge: it may fail
    strict = theory.mean_bracket(np.log([1.0, 2.0, 3.0]), np.log([1.5, 2.0, 9.0]), mass_slack=0.6)
    assert strict.failure_rate == (pytest.approx(1 / 3), pytest.approx(1 / 3))
    huge = theory.mean_bracket([1500.0, 0.0], [1500.0, 0.0])
    assert huge.kappa == (math.inf, math.inf)
    assert huge.log_kappa.upper == pytest.approx(1500 - math.log(2))


def test_a_little_may_be_unaccounted_for() -> None:
    assert theory.exact_round_bracket(np.log([0.5]), np.log([0.495]), 1.0).lower == 1.0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: theory.exact_round_bracket(np.log([0.4]), np.log([0.3]), 1.0), "add up to 0.7"),
        (lambda: theory.exact_round_bracket(np.log([0.5]), np.log([0.489]), 1.0), "add up to 0.989"),
        (lambda: theory.exact_round_bracket([0.5], [-1.0], 1.0), "known must be"),
        (lambda: theory.exact_round_bracket([-0.5], [math.nan], 1.0), "open_prefixes must be"),
        (lambda: theory.exact_round_bracket([[-0.5], [-0.5, -1]], [0.0], 1.0), "pad shorter rows"),
        (lambda: theory.exact_round_bracket([-0.5], [-0.5], 0.0), "beta is 0"),
        (lambda: theory.exact_round_bracket([-0.5], [-0.5], 1.0, power=0.5), "power is 0.5"),
        (lambda: theory.exact_round_bracket([-0.5], [], 1.0, dropped=(0.5, -math.inf)), "likeliest prefix"),
        (lambda: theory.exact_round_bracket([-0.5], [], 1.0, dropped=(1.5, -1.0)), "dropped mass is 1.5"),
        (lambda: theory.projection_weights([-1.0, -2.0], 1.0, [1.0]), "rewards have shape"),
        (lambda: theory.projection_weights([-1.0], 1.0, [math.nan]), "rewards is nan"),
        (lambda: theory.projection_weights([-math.inf], 1.0), "no possible response"),
        (lambda: theory.projection_weights(0.0, 1.0), "logprobs must be"),
        (lambda: theory.projection_divergence(1.0), "tau is 1"),
        (lambda: theory.outside_estimate([], [], -1.0, 1.0), "N >= 1"),
        (lambda: theory.outside_estimate([-1.0], [True, False], -1.0, 1.0), "in_known"),
        (lambda: theory.mean_bracket([], []), "P >= 1"),
        (lambda: theory.mean_bracket([1.0], [0.5]), "ordered ends"),
        (lambda: theory.mean_bracket([0.0], [0.5], mass_slack=1.0), "mass_slack is 1"),
    ],
)
def test_misuse_is_refused_in_a_sentence(call: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        call()


def test_the_divergence_from_a_target_is_its_sum_and_zero_only_at_the_target() -> None:
    rng = np.random.default_rng(3)
    for _ in range(2000):
        target, other = rng.dirichlet(np.ones(4)), rng.dirichlet(np.ones(5))
        expected = sum(q * np.log(q / p) for q, p in zip(target, other[:4], strict=True))
        assert theory.target_divergence(target, np.log(other[:4])) == pytest.approx(expected, abs=1e-12)
        assert expected > 0
        assert theory.target_divergence(target, np.log(target)) == pytest.approx(0.0, abs=1e-12)
    assert theory.target_divergence([1.0, 0.0], [-2.0, -np.inf]) == 2.0
    assert theory.target_divergence([0.5, 0.5], [-2.0, -np.inf]) == np.inf
    for weights in ([0.5, 0.4], [1.0]):
        with pytest.raises(InputError, match="weights have shape"):
            theory.target_divergence(weights, [-1.0, -2.0])
