"""The forecast and P12 on policies small enough to be raised to any power: random token trees and random errors."""

import heapq
import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

from srlm import theory
from srlm.errors import InputError

LENGTH, TOKENS = 4, 3
ROUNDS, BETA = 3, 2.0
S = 1.5


class Tree:
    """A random token tree: response r is its tokens read as a number in base V."""

    def __init__(self, rng: np.random.Generator, spread: float) -> None:
        self.steps = []
        self.responses = np.ones(1)
        for depth in range(LENGTH):
            logits = spread * rng.standard_normal((TOKENS**depth, TOKENS))
            step = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
            self.steps.append(step)
            self.responses = (self.responses[:, None] * step).ravel()

    def search(self, budget: int) -> tuple[list[int], list[float], bool]:
        """Best-first: complete responses found, probabilities of prefixes left open, whether the mode is proved."""
        frontier, complete = [(-1.0, 0, 0)], []
        for _ in range(budget):
            chance, depth, at = frontier[0]
            if depth == LENGTH:
                break
            heapq.heappop(frontier)
            for token, p in enumerate(self.steps[depth][at]):
                heapq.heappush(frontier, (chance * p, depth + 1, at * TOKENS + token))
        complete = [at for _, depth, at in frontier if depth == LENGTH]
        prefixes = [-chance for chance, depth, _ in frontier if depth < LENGTH]
        best = max((self.responses[at] for at in complete), default=0.0)
        return complete, prefixes, best >= max(prefixes, default=0.0)

    def known(self, rng: np.random.Generator, budget: int, group: int = 4, draws: int = 64) -> theory.KnownPrompt:
        """What a diagnosis has: what search found, a group of samples, and other draws."""
        complete, prefixes, certified = self.search(budget)
        sampled = rng.choice(len(self.responses), size=group, p=self.responses)
        inside = np.unique([*complete, *sampled])
        others = rng.choice(len(self.responses), size=draws, p=self.responses)
        best = self.responses[inside].max()
        return theory.KnownPrompt(
            np.log(self.responses[inside]),
            np.log(prefixes),
            np.log(self.responses[others]),
            np.isin(others, inside),
            certified or best >= max(prefixes, default=0.0),
            right=inside % 2 == 0,
            sample_right=others % 2 == 0,
        )


def exact(trees: list[Tree], power: float) -> np.ndarray:
    return np.array([((one.responses / one.responses.max()) ** power).sum() for one in trees])


def accuracy(trees: list[Tree], power: float) -> float:
    return float(np.mean([(one.responses**power)[::2].sum() / (one.responses**power).sum() for one in trees]))


@pytest.mark.parametrize("budget", [3, 12, 60])
def test_brackets_hold_throughout_and_points_are_close(budget: int) -> None:
    rng = np.random.default_rng(budget)
    trees = [Tree(rng, spread) for spread in rng.uniform(0.3, 2.0, 2000)]
    prompts = [tree.known(rng, budget) for tree in trees]
    truths = np.array([exact(trees, S**t) for t in range(ROUNDS + 1)])
    for first in range(0, 2000, 20):  # a hundred sets of prompts
        part = slice(first, first + 20)
        for one, truth in zip(theory.forecast(prompts[part], BETA, ROUNDS), truths[:, part], strict=True):
            assert one.kappa.lower <= truth.mean() * (1 + 1e-12) <= one.kappa.upper * (1 + 2e-12)
            assert one.log_kappa == pytest.approx(np.log(one.kappa))
            fails = (truth >= 2).mean()
            assert one.failure_rate.lower <= fails <= one.failure_rate.upper
            assert one.sample_accuracy.lower <= accuracy(trees[part], one.power) + 1e-12
            assert accuracy(trees[part], one.power) <= one.sample_accuracy.upper + 1e-12
            assert one.kappa.lower <= one.kappa_point <= one.kappa.upper * (1 + 1e-12)
    whole = theory.forecast(prompts, BETA, ROUNDS)
    assert [one.round for one in whole] == [0, 1, 2, 3]
    assert [one.power for one in whole] == pytest.approx([1.0, 1.5, 2.25, 3.375])
    if budget == 60:  # modes are proved
        assert np.mean([one.certified for one in prompts]) > 0.9
        for one, truth in zip(whole, truths, strict=True):
            assert one.kappa_point == pytest.approx(truth.mean(), rel=0.03)
            assert one.sample_accuracy_point == pytest.approx(accuracy(trees, one.power), abs=0.01)
    uncertified = [one._replace(certified=False) for one in prompts[:200]]
    proved, unproved = (theory.forecast(group, BETA, ROUNDS) for group in (prompts[:200], uncertified))
    for one, before in zip(unproved, proved, strict=True):
        assert one.kappa.lower <= before.kappa.lower
        assert one.kappa.upper == before.kappa.upper


def test_one_prompt_is_the_bracket_of_p8_at_every_power() -> None:
    rng = np.random.default_rng(3)
    for _ in range(100):
        prompt = Tree(rng, 1.0).known(rng, 6)
        for one in theory.forecast([prompt], BETA, ROUNDS):
            ends = theory.exact_round_bracket(
                prompt.known, prompt.open_prefixes, BETA, power=one.power, certified=prompt.certified
            )
            assert one.kappa == pytest.approx(ends[:2])


def test_a_projection_is_forecast_by_its_own_group() -> None:
    rng = np.random.default_rng(4)
    trees = [Tree(rng, 1.0) for _ in range(50)]
    prompts = [tree.known(rng, 3) for tree in trees]
    logs = [np.asarray(one.known) for one in prompts]
    for one in theory.forecast(prompts, BETA, ROUNDS, projection=True):
        # Iterate the projection's weights on the same group.
        current = logs
        for _ in range(one.round):
            current = [np.log(theory.projection_weights(group, BETA)) for group in current]
        weights = [np.exp(group) / np.exp(group).sum() for group in current]
        kappa = np.mean([1 / group.max() for group in weights])
        right = np.mean([group[prompt.right].sum() for group, prompt in zip(weights, prompts, strict=True)])
        assert (one.kappa.lower, one.kappa.upper, one.kappa_point) == pytest.approx((kappa, kappa, kappa))
        assert one.sample_accuracy == pytest.approx((right, right))
        assert one.sample_accuracy_point == pytest.approx(right)


def test_the_bootstrap_covers_new_prompts_and_needs_a_generator() -> None:
    rng = np.random.default_rng(5)
    trees = [Tree(rng, 1.2) for _ in range(2000)]
    truth = exact(trees, S).mean()
    covered = 0
    for first in range(0, 2000, 40):
        prompts = [tree.known(rng, 60) for tree in trees[first : first + 40]]
        one = theory.forecast(prompts, BETA, 1, rng=rng)[1]
        covered += one.kappa_interval.lower <= truth <= one.kappa_interval.upper
        assert one.kappa_interval.lower <= one.kappa.lower <= one.kappa.upper <= one.kappa_interval.upper
        assert one.failure_interval.lower <= one.failure_rate.lower
        assert one.accuracy_interval.upper >= one.sample_accuracy.upper
    assert covered >= stats.binom.ppf(0.001, 50, 0.9)
    assert theory.forecast(prompts, BETA, 1)[1].kappa_interval is None


def test_long_responses_unknown_prompts_and_absent_fields() -> None:
    long = theory.KnownPrompt([-2000.0, -2001.0], [-0.7, -0.69], [-1999.0, -2300.0], [False, False])
    found = theory.forecast([long], 0.01, 10)
    assert all(np.isfinite(one.log_kappa).all() for one in found[:2])
    assert (found[1].kappa.upper, found[1].failure_rate) == (math.inf, (0.0, 1.0))
    assert found[10].power == pytest.approx(101.0**10)
    assert (found[0].sample_accuracy, found[0].sample_accuracy_point) == (None, None)
    blank = theory.KnownPrompt([], [0.0], np.log([0.25, 0.5, 0.5, 0.5]), [False] * 4)
    one = theory.forecast([blank], 1.0, 1)[0]
    assert one.kappa == (1.0, math.inf)
    assert one.kappa_point == pytest.approx(2.0)  # the likeliest draw stands in for the mode
    bare = theory.forecast([theory.KnownPrompt(np.log([0.6]), np.log([0.4]))], 1.0, 1, rng=np.random.default_rng(0))[1]
    assert (bare.kappa_point, bare.sample_accuracy) == (None, None)
    assert bare.kappa == pytest.approx((1.0, 1 + (0.4 / 0.6) ** 2))
    infinite = theory.forecast([blank] * 3, 1.0, 1, rng=np.random.default_rng(0))[1]
    assert infinite.kappa_interval.upper == math.inf
    slow = theory.forecast([theory.KnownPrompt(np.log([0.6, 0.4]))], 1.0, 2, slope=1.3)[2]
    assert slow.kappa.upper == pytest.approx(1 + (0.4 / 0.6) ** 1.69)


def test_p12_check_values() -> None:
    pi, exact_k = np.array([0.5, 0.3, 0.2]), 0.0
    exacts = [((pi / 0.5) ** (1.5**t)).sum() for t in range(4)]
    exact_k = exacts[3] - 1
    last = theory.forecast_error_bound(0.1, 2.0, 3, exact=exacts, kappa0=2.0, margin=math.log(5 / 3))[3]
    assert last.power == pytest.approx(3.375)
    assert exact_k == pytest.approx(0.2237340018, abs=1e-9)
    assert last.factor == pytest.approx(1.6080141975, abs=1e-9)
    assert last.kappa.upper - 1 == pytest.approx(0.3597674513, abs=1e-9)
    assert last.kappa.lower - 1 == pytest.approx(exact_k / 1.6080141975, abs=1e-9)
    assert last.kappa_bound - 1 == pytest.approx(0.4779683049, abs=1e-9)
    assert last.unmoved_margin == pytest.approx(0.2 * (1 - 1 / 3.375))
    assert last.unmoved_share == 1.0
    assert theory.drift_chance(0.2, 0.4, 1.0) == pytest.approx(0.1932381154, abs=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_no_sequence_of_errors_leaves_the_bracket(seed: int) -> None:
    rng = np.random.default_rng(seed)
    count, responses, rounds = 600, 6, 4
    for beta, eps in ((0.7, 0.2), (2.0, 0.05), (5.0, 0.4)):
        s = 1 + 1 / beta
        logits = 1.5 * rng.standard_normal((count, responses))
        ratios = logits - logits.max(axis=1, keepdims=True)
        mode, current = ratios.argmax(axis=1), ratios.copy()
        margins = -np.sort(ratios, axis=1)[:, -2]
        kappas = np.exp(ratios).sum(axis=1)
        exacts = [np.exp(s**t * ratios).sum(axis=1) for t in range(rounds + 1)]
        # Errors against the mode all the time are the worst; every third policy has them, the others any.
        worst = np.where(np.arange(count)[:, None] % 3 == 0, 1.0, rng.uniform(-1, 1, (count, 1)))
        for t in range(1, rounds + 1):
            wobble = eps * np.where(np.abs(worst) == 1, worst, rng.uniform(-1, 1, (count, responses)))
            wobble[np.arange(count), mode] = 0
            current = s * current + wobble
            now = np.exp(current).sum(axis=1)
            moved = current.argmax(axis=1) != mode
            for at in range(0, count, 60):
                part = slice(at, at + 60)
                found = theory.forecast_error_bound(
                    eps, beta, rounds,
                    exact=[one[part].mean() for one in exacts], kappa0=kappas[part].mean(), margin=margins[part],
                )[t]  # fmt: skip
                assert found.kappa.lower <= now[part].mean() * (1 + 1e-9) <= found.kappa.upper * (1 + 2e-9)
                assert now[part].mean() <= found.kappa_bound * (1 + 1e-9)
                assert not (moved[part] & (margins[part] > found.unmoved_margin)).any()
                assert found.unmoved_share == (margins[part] > found.unmoved_margin).mean()
        sharp = np.exp(eps * (s**rounds - 1) / (s - 1))
        assert found.factor == pytest.approx(sharp)
        assert (now[::3] - 1) == pytest.approx((exacts[-1][::3] - 1) * sharp)  # attained


def test_drift_happens_as_often_as_forecast() -> None:
    rng = np.random.default_rng(11)
    distance, sigma, beta, runs = 0.3, 0.25, 1.5, 20_000
    s, apart = 1 + 1 / beta, np.full(runs, distance)
    for t in range(1, 7):
        apart = s * apart + sigma * rng.standard_normal(runs)
        expected = theory.drift_chance(distance, sigma, beta, t)
        assert abs((apart < 0).mean() - expected) < 4 * math.sqrt(expected / runs)
    assert theory.drift_chance(distance, sigma, beta, 500) == pytest.approx(theory.drift_chance(distance, sigma, beta))
    walk = theory.drift_chance(1.0, 1.0, 1.0, 4, slope=1.0)
    assert walk == pytest.approx(stats.norm.cdf(-0.5))
    assert theory.drift_chance([0.0, 1.0], 1e-300, 1.0).tolist() == [0.5, 0.0]


def test_forecasts_of_answers_iterate_their_rounds() -> None:
    rng = np.random.default_rng(12)
    laws = [rng.dirichlet(np.ones(int(rng.integers(2, 5)))) for _ in range(12)]
    right = [int(rng.integers(-1, 2)) if at % 4 else None for at in range(12)]
    exact_rounds = theory.answer_forecast(laws, BETA, ROUNDS, right=right)
    plug_in = theory.answer_forecast(laws, BETA, ROUNDS, right=right, draws=6)
    current = [(one, one) for one in laws]
    for found, noisy in zip(exact_rounds, plug_in, strict=True):
        judged = [(a, pair) for a, pair in zip(right, current, strict=True) if a is not None]
        for one, side in ((found, 0), (noisy, 1)):
            assert one.kappa_point == pytest.approx(np.mean([1 / pair[side].max() for pair in current]))
            assert one.kappa == pytest.approx((one.kappa_point, one.kappa_point))
            accuracy = np.mean([pair[side][a] if a >= 0 else 0.0 for a, pair in judged])
            assert one.sample_accuracy_point == pytest.approx(accuracy, abs=1e-12)
            assert one.failure_rate.lower == np.mean([pair[side].max() <= 0.5 for pair in current])
        current = [(a**S / (a**S).sum(), theory.plugin_target(b, BETA, 6)) for a, b in current]
    assert plug_in[3].kappa_point > exact_rounds[3].kappa_point


def test_ends_of_the_largest_answer_bound_what_any_law_within_does() -> None:
    rng = np.random.default_rng(13)
    for _ in range(2000):
        law = rng.dirichlet(np.full(int(rng.integers(2, 9)), rng.uniform(0.2, 3)))
        ends = (law.max() * rng.random(), min(1.0, law.max() * (1 + rng.random())))
        for one in theory.answer_forecast([law], BETA, 1, ends=[ends]):
            truth = ((law / law.max()) ** one.power).sum()
            assert one.kappa.lower <= truth * (1 + 1e-12) <= one.kappa.upper * (1 + 2e-12)
    tied = theory.answer_forecast([[0.4, 0.4, 0.2]], 1.0, 1, ends=[(0.4, 0.5)])
    assert tied[0].kappa == pytest.approx((2.0, 2.5))
    assert tied[1].kappa == pytest.approx((1.0, 2.25))  # attained: 1/0.16 of (0.16 + 0.16 + 0.04)
    assert theory.answer_forecast([[1.0]], 1.0, 1, ends=[(0.0, 1.0)])[1].kappa == (1.0, math.inf)
    assert theory.answer_forecast([[0.5, 0.5]], 1.0, 1, ends=[(0.3, 1.0)], draws=4)[1].kappa.upper == pytest.approx(
        1 / 0.3
    )


KNOWN = theory.KnownPrompt([-0.5], [-0.5], [-1.0], [False])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: theory.forecast([], 1.0, 1), "prompts is empty"),
        (lambda: theory.forecast([KNOWN], 0.0, 1), "beta is 0"),
        (lambda: theory.forecast([KNOWN], 1.0, -1), "rounds is -1"),
        (lambda: theory.forecast([KNOWN], 1.0, 1, mass_slack=0.0), "mass_slack is 0"),
        (lambda: theory.forecast([KNOWN], 1.0, 1, slope=0.5), "power is 0.5"),
        (lambda: theory.forecast([KNOWN, KNOWN._replace(samples=())], 1.0, 1), "at every prompt or at none"),
        (lambda: theory.forecast([KNOWN._replace(sample_known=())], 1.0, 1), "one entry of sample_known"),
        (lambda: theory.forecast([KNOWN._replace(samples=[-math.inf])], 1.0, 1), "samples must be possible"),
        (lambda: theory.forecast([KNOWN._replace(right=[True, False])], 1.0, 1), "one entry for each known"),
        (lambda: theory.forecast([KNOWN._replace(known=[])], 1.0, 1, projection=True), "nothing to project onto"),
        (lambda: theory.forecast([KNOWN._replace(known=[-3.0])], 1.0, 1), "must cover everything"),
        (lambda: theory.answer_forecast([], 1.0, 1), "give at least one"),
        (lambda: theory.answer_forecast([[[0.5, 0.5]]], 1.0, 1), "one vector of probabilities"),
        (lambda: theory.answer_forecast([[0.5, 0.4]], 1.0, 1), "each with sum 1"),
        (lambda: theory.answer_forecast([[1.0]], 1.0, 1, right=[0, 0]), "an entry for each of 1 prompts"),
        (lambda: theory.answer_forecast([[1.0]], 1.0, 1, ends=[(0.5, 1.0)] * 2), "an entry for each of 1 prompts"),
        (lambda: theory.answer_forecast([[1.0]], 1.0, 1, ends=[(0.5, 1.5)]), "ends is 1.5"),
        (lambda: theory.forecast_error_bound(-0.1, 1.0, 1), "eps is -0.1"),
        (lambda: theory.forecast_error_bound(0.1, 1.0, 1, exact=[1.0]), "exact has 1 entries"),
        (lambda: theory.forecast_error_bound(0.1, 1.0, 0, exact=[(2.0, 1.0)]), "two ordered ends"),
        (lambda: theory.drift_chance(-1.0, 1.0, 1.0), "distance is -1"),
        (lambda: theory.drift_chance(1.0, 0.0, 1.0), "sigma is 0"),
    ],
)
def test_misuse_is_refused_in_a_sentence(call: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        call()
