"""P4 against policies small enough to know everything about: the certificate must dominate what really happened."""

import json
import math

import numpy as np
import pytest
import torch

from srlm.measure.exactness import Scored, exactness, residual_rms
from srlm.training.updates import GroupedBatch, regression_loss


def log_softmax(scores: np.ndarray) -> np.ndarray:
    return scores - np.logaddexp.reduce(scores)


def all_scored(before: np.ndarray, after: np.ndarray, trained: bool = True) -> Scored:
    """A prompt of which every response was scored: mode first, then all."""
    mode = int(before.argmax())
    rival = np.delete(before, mode).max()
    return Scored(
        (before[mode], *before.tolist()), (after[mode], *after.tolist()), float(before[mode] - rival), trained
    )


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("noise", [0.0, 0.05, 1.0])
def test_p4_dominates_the_condition_number_that_results(seed: int, noise: float) -> None:
    rng = np.random.default_rng(seed)
    beta = float(rng.uniform(0.3, 3))
    scored, excess = [], []
    for _ in range(5):
        before = log_softmax(rng.normal(size=8) * 2)
        after = log_softmax((1 + 1 / beta) * before + rng.normal(size=8) * noise)
        scored.append(all_scored(before, after))
        mode = before.argmax()
        excess.append((np.exp(-before[mode]) - 1, np.exp(-after[mode]) - 1))
    found = exactness(scored, beta)
    kappa_before, kappa_after = np.mean(excess, axis=0)
    # All responses were scored, so eps is the supremum of P4 and its inequality must hold for the averages too.
    assert found.log_factor is not None
    assert found.margin is not None
    assert found.trained is not None
    assert kappa_after <= math.exp(found.log_factor) * kappa_before * (1 + 1e-9)
    assert found.holds == (found.eps < found.margin / beta)
    if found.holds:
        assert kappa_after < kappa_before
        assert not found.refuted
    if noise == 0:
        assert found.eps == pytest.approx(0, abs=1e-9)
        assert found.trained.residual == pytest.approx(0, abs=1e-9)


def test_an_update_that_did_nothing_has_the_whole_way_left() -> None:
    before = log_softmax(np.array([2.0, 1.0, 0.0, -1.0]))
    found = exactness([all_scored(before, before, trained=False)], beta=0.5)
    assert found.held_out is not None
    assert found.held_out.residual == found.held_out.residual_before
    # Untouched, the largest error is 1/beta times the largest log-ratio: 2 * 3.
    assert found.eps == pytest.approx(6.0)
    assert found.refuted
    assert not found.holds
    assert found.trained is None


def test_a_prompt_with_one_possible_response_has_an_infinite_margin_and_refutes_nothing() -> None:
    sure = Scored((0.0, 0.0), (0.0, 0.0), math.inf, True)
    found = exactness([sure], beta=1.0)
    assert (found.eps, found.margin, found.log_factor, found.holds, found.refuted) == (0.0, None, None, True, False)
    json.dumps(found.model_dump(mode="json"), allow_nan=False)


def test_pair_residuals_are_those_of_eq_3() -> None:
    rng = np.random.default_rng(0)
    before, after, rewards = rng.normal(size=(3, 4)) * 3
    beta = 0.7
    batch = GroupedBatch(
        *(torch.tensor(values) for values in (after, before, rewards)), torch.zeros(4, dtype=torch.long), 1
    )
    found = residual_rms([(before, after, rewards)], beta)
    assert found is not None
    assert found**2 == pytest.approx(regression_loss(batch, beta).item())
    assert residual_rms([([1.0], [2.0], [1.0])], beta) is None
