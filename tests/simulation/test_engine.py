"""The engine against a plain loop, and against the theory where the theory is exact."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from srlm.errors import InputError
from srlm.policies.instances import random_softmax
from srlm.policies.networks import TwoLayer
from srlm.simulation import engine
from srlm.simulation.engine import simulate
from srlm.simulation.rewards import Drawn, LogProbability, Noisy
from srlm.theory import failure_from_suboptimality, sharpen, tail_integral_bound

START = random_softmax(np.random.default_rng(0), 20, 8, 4, 5.0)


def plain_rounds(beta: float, pairs: int, rounds: int, stream: np.random.SeedSequence) -> list[np.ndarray]:
    """One seed, written out prompt by prompt and pair by pair."""
    rng = np.random.default_rng(stream)
    theta = START.theta.copy()
    path = [theta]
    for _ in range(rounds):
        prompts, uniforms = rng.integers(0, 20, pairs), rng.random((pairs, 2))
        rows, targets = [], []
        for prompt, (u, v) in zip(prompts, uniforms, strict=True):
            scores = START.features[prompt] @ theta
            logps = scores - np.logaddexp.reduce(scores)
            total = np.cumsum(np.exp(logps))
            y, z = np.searchsorted(total / total[-1], [u, v], side="right")
            rows.append(START.features[prompt, y] - START.features[prompt, z])
            targets.append((logps[y] - logps[z]) / beta)
        rng.random((pairs, 1))
        theta = theta + np.linalg.lstsq(np.array(rows), np.array(targets), rcond=None)[0]
        path.append(theta)
    return path


def test_the_engine_equals_a_plain_loop() -> None:
    found = simulate(START.features, START.theta, beta=1.5, pairs=60, rounds=3, seeds=4, seed=7)
    for s, stream in enumerate(np.random.SeedSequence(7).spawn(4)):
        path = plain_rounds(1.5, 60, 3, stream)
        assert found.theta[s] == pytest.approx(np.array(path), rel=1e-8)
        for t, theta in enumerate(path):
            table = START.features @ theta
            table -= np.logaddexp.reduce(table, axis=1, keepdims=True)
            ordered = np.sort(table, axis=1)
            assert found.kappa[s, t] == pytest.approx(np.exp(-ordered[:, -1]).mean())
            assert found.failure_rate[s, t] == np.mean(np.exp(ordered[:, -1]) <= 0.5)
            assert found.min_confidence[s, t] == pytest.approx(np.exp(ordered[:, -1].min()))
            assert found.margin[s, t] == pytest.approx((ordered[:, -1] - ordered[:, -2]).min(), rel=1e-6, abs=1e-12)
            base = (START.features @ START.theta).argmax(axis=1)
            assert found.mode_drift[s, t] == np.mean(table.argmax(axis=1) != base)
            assert found.unfaithful[s, t] == np.mean(np.exp(table[np.arange(20), base]) <= 0.5)


@pytest.mark.parametrize("bytes_", [1e3, 4e4, 1e9])
def test_blocks_and_the_number_of_seeds_change_nothing(bytes_: float, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = simulate(START.features, START.theta, beta=1.0, pairs=50, rounds=3, seeds=6, reward=Noisy(0.5))
    monkeypatch.setattr(engine, "_BLOCK_BYTES", bytes_)
    cut = simulate(START.features, START.theta, beta=1.0, pairs=50, rounds=3, seeds=6, reward=Noisy(0.5))
    fewer = simulate(START.features, START.theta, beta=1.0, pairs=50, rounds=3, seeds=2, reward=Noisy(0.5))
    for name in ("kappa", "theta", "mode_drift", "informative_pairs", "population_bound"):
        assert getattr(cut, name) == pytest.approx(getattr(whole, name), rel=1e-9)
        assert getattr(fewer, name) == pytest.approx(getattr(whole, name)[:2], rel=1e-9)


def test_responses_are_drawn_from_the_policy() -> None:
    seen: list[Drawn] = []

    class Spy:
        def __call__(self, drawn: Drawn) -> np.ndarray:
            seen.append(drawn)
            return drawn.logps

    simulate(START.features[:2], START.theta, beta=1.0, pairs=20_000, rounds=1, seeds=1, reward=Spy())
    table = START.tabular().logprobs[:2]
    (drawn,) = seen
    for prompt in range(2):
        at = drawn.prompts[0] == prompt
        counts = np.bincount(drawn.responses[0][at].ravel(), minlength=8)
        assert chisquare(counts, counts.sum() * np.exp(table[prompt])).pvalue > 1e-4
        assert drawn.logps[0][at] == pytest.approx(table[prompt][drawn.responses[0][at]])
    assert np.mean(drawn.prompts == 0) == pytest.approx(0.5, abs=0.02)


@settings(deadline=None, max_examples=25, derandomize=True, database=None)
@given(st.integers(0, 10**6), st.floats(0.3, 4), st.floats(0.5, 20))
def test_exact_rounds_are_sharpening_and_obey_p3_and_p5(seed: int, beta: float, norm: float) -> None:
    start = random_softmax(np.random.default_rng(seed), 15, 6, 3, norm)
    found = simulate(start.features, start.theta, beta=beta, pairs=400, rounds=2, seeds=2, seed=seed)
    full = found.informative_pairs > 0.2  # the pairs span the features
    for s in range(2):
        for t in range(2):
            if not full[s, t]:
                continue
            before, after = (start.features @ found.theta[s, t + k] for k in (0, 1))
            before -= np.logaddexp.reduce(before, axis=1, keepdims=True)
            after -= np.logaddexp.reduce(after, axis=1, keepdims=True)
            assert after == pytest.approx(sharpen(before, beta), abs=1e-6)
            assert found.kappa[s, t + 1] <= found.population_bound[s, t] * (1 + 1e-7)
            assert found.mode_drift[s, t + 1] == 0


@settings(deadline=None, max_examples=25, derandomize=True, database=None)
@given(st.integers(0, 10**6), st.floats(0, 2))
def test_lemma_c1_and_the_tail_integral_are_never_violated(seed: int, noise: float) -> None:
    start = random_softmax(np.random.default_rng(seed), 15, 6, 3, 5.0)
    found = simulate(start.features, start.theta, beta=1.0, pairs=30, rounds=1, seeds=3, seed=seed, reward=Noisy(noise))
    for s in range(3):
        before, after = (start.features @ found.theta[s, k] for k in (0, 1))
        before -= np.logaddexp.reduce(before, axis=1, keepdims=True)
        after -= np.logaddexp.reduce(after, axis=1, keepdims=True)
        loss = before.max(axis=1).mean() - (np.exp(after) * before).sum(axis=1).mean()
        for delta in (0.1, 0.5, 0.9):
            failing = np.mean(np.exp(after[np.arange(15), before.argmax(axis=1)]) <= 1 - delta)
            assert failing <= failure_from_suboptimality(loss, found.margin[s, 0], delta) + 1e-12
        share = np.sort(np.exp(after.max(axis=1)))
        coefficient = float((np.arange(1, 16) / 15 * (1 - share)).max())
        assert (1 / share).mean() <= tail_integral_bound(coefficient, share[0]) * (1 + 1e-9)


def test_accuracies_are_of_samples_and_of_modes() -> None:
    table = START.tabular()
    correct = np.where(np.arange(20) % 2 == 0, table.modes, (table.modes + 1) % 8)
    found = simulate(START.features, START.theta, beta=1.0, pairs=50, rounds=1, seeds=1, correct=correct)
    assert found.accuracy is not None
    assert found.mode_accuracy is not None
    assert found.accuracy[0, 0] == pytest.approx(table.accuracy(correct))
    assert found.mode_accuracy[0, 0] == pytest.approx(0.5)
    assert simulate(START.features, START.theta, beta=1.0, pairs=5, rounds=1).accuracy is None


def test_single_precision_features_give_nearly_the_same() -> None:
    double = simulate(START.features, START.theta, beta=1.0, pairs=50, rounds=1, seeds=3)
    single = simulate(START.features.astype(np.float32), START.theta, beta=1.0, pairs=50, rounds=1, seeds=3)
    assert single.theta.dtype == np.float64
    assert single.kappa == pytest.approx(double.kappa, rel=1e-3)


def test_rewards_are_their_formulas() -> None:
    rng = np.random.default_rng(0)
    responses = np.array([[[0, 0, 1], [2, 1, 0]]])
    prompts = np.array([[1, 0]])
    logps = -rng.random((1, 2, 3))
    drawn = Drawn(logps, prompts, responses, (np.random.default_rng(5),))
    assert LogProbability()(drawn) is logps
    noise = np.random.default_rng(5).standard_normal((2, 3))
    assert Noisy(0.3)(drawn) == pytest.approx(logps + 0.3 * noise)
    wild = Noisy(1.0, "heavy")(Drawn(np.zeros((1, 5000, 2)), prompts, responses, (np.random.default_rng(1),)))
    assert np.abs(wild).max() > 20 > 3 * np.median(np.abs(wild))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"beta": 0.0}, "beta is 0"),
        ({"beta": math.nan}, "beta is nan"),
        ({"pairs": 0}, "pairs is 0"),
        ({"rounds": 0}, "rounds is 0"),
        ({"seeds": 0}, "seeds is 0"),
        ({"seeds": 1.5}, "seeds is 1.5"),
        ({"responses_per_prompt": 1}, "responses_per_prompt is 1"),
        ({"radius": -1.0}, "radius is -1"),
        ({"radius": 1.0}, "theta0 has norm 5, outside the class"),
        ({"update": "prayer"}, "update 'prayer' is unknown; use one of regression, dpo"),
        ({"correct": np.full(20, 8)}, "correct has shape"),
        ({"features": np.full((2, 2, 4), np.nan)}, "not finite"),
        ({"theta0": np.zeros(3)}, "theta0 has shape"),
        ({"network": TwoLayer(2)}, r"theta0 has shape \(4,\); give \(10,\)"),
        ({"network": TwoLayer(2), "theta0": np.zeros(10), "update": "dpo"}, "dpo and ipo are for linear softmax"),
        ({"reward": lambda: Noisy(-1.0)}, "noise scale is -1"),
    ],
)
def test_misuse_is_one_clear_sentence(changes: dict[str, Any], message: str) -> None:
    given_ = {"features": START.features, "theta0": START.theta, "beta": 1.0, "pairs": 5, "rounds": 1} | changes
    with pytest.raises(InputError, match=message):
        simulate(**{name: value() if name == "reward" else value for name, value in given_.items()})


def test_blocks_of_single_precision_features_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    single = START.features.astype(np.float32)
    whole = simulate(single, START.theta, beta=1.0, pairs=50, rounds=2, seeds=3)
    monkeypatch.setattr(engine, "_COPY_BYTES", 8 * single.shape[1] * single.shape[2] * 7)
    parts = simulate(single, START.theta, beta=1.0, pairs=50, rounds=2, seeds=3)
    assert parts.kappa == pytest.approx(whole.kappa, rel=1e-12)
    assert parts.theta == pytest.approx(whole.theta, rel=1e-9)
