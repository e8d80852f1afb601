"""Every update against its formula written pair by pair."""

import math
from collections.abc import Callable
from itertools import combinations, permutations

import pytest
import torch

from srlm.training.updates import (
    UPDATES,
    GroupedBatch,
    best_of_k_loss,
    dpo_loss,
    ipo_loss,
    regression_loss,
)


def members(batch: GroupedBatch, group: int) -> list[int]:
    return [at for at, number in enumerate(batch.groups.tolist()) if number == group]


def eq_3(batch: GroupedBatch, beta: float) -> torch.Tensor:
    """Eq. 3 divided by beta^2, one pair after the other, mean over pairs then prompts."""
    per_group = []
    for group in range(batch.count):
        losses = [
            (
                beta * ((batch.logps[i] - batch.reference_logps[i]) - (batch.logps[j] - batch.reference_logps[j]))
                - (batch.rewards[i] - batch.rewards[j])
            )
            ** 2
            / beta**2
            for i, j in combinations(members(batch, group), 2)
        ]
        per_group.append(torch.stack(losses).mean() if losses else torch.zeros((), dtype=batch.logps.dtype))
    return torch.stack(per_group).mean()


def preferences(batch: GroupedBatch, of_pair: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
    """`of_pair` of the chosen response's log-ratio minus the rejected one's, mean over preferences then prompts."""
    per_group = []
    for group in range(batch.count):
        losses = [
            of_pair(batch.logps[w] - batch.reference_logps[w] - (batch.logps[v] - batch.reference_logps[v]))
            for w, v in permutations(members(batch, group), 2)
            if batch.rewards[w] > batch.rewards[v]
        ]
        per_group.append(torch.stack(losses).mean() if losses else torch.zeros((), dtype=batch.logps.dtype))
    return torch.stack(per_group).mean()


def dpo(batch: GroupedBatch, beta: float) -> torch.Tensor:
    """DPO, eq. 7: -log(1/(1 + exp(-beta*d)))."""
    return preferences(batch, lambda d: torch.log1p(torch.exp(-beta * d)))


def ipo(batch: GroupedBatch, beta: float) -> torch.Tensor:
    """IPO, eq. 17."""
    return preferences(batch, lambda d: (d - 1 / (2 * beta)) ** 2)


def best_of_k(batch: GroupedBatch, beta: float) -> torch.Tensor:
    """Cross-entropy of the best response, ties sharing."""
    per_group = []
    for group in range(batch.count):
        mine = members(batch, group)
        top = max(float(batch.rewards[i]) for i in mine)
        per_group.append(torch.stack([-batch.logps[i] for i in mine if float(batch.rewards[i]) == top]).mean())
    return torch.stack(per_group).mean()


def divergence(batch: GroupedBatch, beta: float) -> torch.Tensor:
    """KL of each group's weights to the policy, term by term; 0*log 0 is 0."""
    per_group = []
    for group in range(batch.count):
        terms = [(float(batch.weights[i]), batch.logps[i]) for i in members(batch, group)]
        per_group.append(torch.stack([q * (math.log(q) - logp) if q else 0 * logp for q, logp in terms]).sum())
    return torch.stack(per_group).mean()


FORMULAS = {"regression": eq_3, "dpo": dpo, "ipo": ipo, "best_of_k": best_of_k}
FORMULAS |= dict.fromkeys(
    ("projection", "weighted", "leave_one_out", "majority", "likelihood", "mode_likelihood"), divergence
)


def random_batch(seed: int, sizes: tuple[int, ...], ties: bool = False) -> GroupedBatch:
    generator = torch.Generator().manual_seed(seed)
    count = sum(sizes)
    values = [torch.randn(count, generator=generator, dtype=torch.float64) * 5 for _ in range(3)]
    if ties:
        values[2] = (values[2] > 0).double()
    groups = torch.tensor([at for at, size in enumerate(sizes) for _ in range(size)])
    weights = torch.rand(count, generator=generator, dtype=torch.float64)
    weights[0] = 0.0  # of the first group, which has others
    weights = weights / torch.zeros(len(sizes), dtype=torch.float64).index_add(0, groups, weights)[groups].clamp(1e-9)
    return GroupedBatch(values[0].requires_grad_(), values[1], values[2], groups, len(sizes), weights)


def test_every_update_in_the_registry_is_tested_here() -> None:
    assert set(UPDATES) == set(FORMULAS)


@pytest.mark.parametrize("name", sorted(FORMULAS))
@pytest.mark.parametrize("sizes", [(2,), (4, 4), (2, 5, 3), (1, 4)])
@pytest.mark.parametrize("beta", [0.3, 1.0, 5.0])
@pytest.mark.parametrize("ties", [False, True])
def test_group_form_equals_the_formula_pair_by_pair_with_gradients(
    name: str, sizes: tuple[int, ...], beta: float, ties: bool
) -> None:
    batch = random_batch(0, sizes, ties)
    fast, slow = UPDATES[name].loss(batch, beta), FORMULAS[name](batch, beta)
    torch.testing.assert_close(fast, slow, rtol=1e-10, atol=1e-10)
    gradients = [torch.autograd.grad(loss, batch.logps, allow_unused=True)[0] for loss in (fast, slow) if loss.grad_fn]
    if len(gradients) == 2:
        torch.testing.assert_close(*gradients, rtol=1e-10, atol=1e-10)


def test_loss_vanishes_exactly_at_the_population_optimum() -> None:
    batch = random_batch(1, (4, 4))
    beta = 2.0
    # pi proportional to pi_t^(1 + 1/beta): log-probabilities up to a constant of the prompt.
    constants = torch.tensor([0.7, -3.0], dtype=torch.float64)[batch.groups]
    optimum = GroupedBatch(
        (1 + 1 / beta) * batch.reference_logps + constants,
        batch.reference_logps,
        batch.reference_logps,
        batch.groups,
        2,
    )
    assert float(regression_loss(optimum, beta)) == pytest.approx(0.0, abs=1e-20)


@pytest.mark.parametrize("name", ["dpo", "ipo"])
def test_preference_updates_see_only_the_order_of_the_rewards(name: str) -> None:
    batch = random_batch(2, (4, 3))
    stretched = GroupedBatch(batch.logps, batch.reference_logps, batch.rewards.exp(), batch.groups, batch.count)
    assert UPDATES[name].loss(batch, 1.0).item() == UPDATES[name].loss(stretched, 1.0).item()
    assert regression_loss(batch, 1.0).item() != regression_loss(stretched, 1.0).item()


def test_at_the_start_of_an_update_dpo_is_log_2_and_ipo_is_its_squared_margin() -> None:
    # Before the first step pi = pi_t, so every log-ratio is 0.
    start = random_batch(3, (4, 4))
    same = GroupedBatch(start.reference_logps, start.reference_logps, start.rewards, start.groups, start.count)
    assert float(dpo_loss(same, 0.7)) == pytest.approx(math.log(2))
    assert float(ipo_loss(same, 0.7)) == pytest.approx((1 / 1.4) ** 2)


@pytest.mark.parametrize("name", sorted(FORMULAS))
def test_one_gradient_step_moves_mass_to_the_higher_reward(name: str) -> None:
    # A categorical policy over 6 responses, all sampled once: -gradient must point to the best and away from the worst.
    scores = torch.zeros(6, dtype=torch.float64, requires_grad=True)
    logps = torch.log_softmax(scores, 0)
    rewards = torch.tensor([0.0, 1.0, 2.0, 3.0, 4.0, 9.0], dtype=torch.float64)
    # Weighted likelihoods know rewards by their weights only.
    batch = GroupedBatch(logps, logps.detach(), rewards, torch.zeros(6, dtype=torch.long), 1, rewards.softmax(0))
    (gradient,) = torch.autograd.grad(UPDATES[name].loss(batch, 1.0), scores)
    assert int(gradient.argmin()) == 5
    assert gradient[5] < 0 < gradient[0]


def test_ties_pull_equally_in_best_of_k() -> None:
    logps = torch.tensor([-1.0, -2.0, -3.0], requires_grad=True)
    batch = GroupedBatch(logps, logps.detach(), torch.tensor([1.0, 1.0, 0.0]), torch.zeros(3, dtype=torch.long), 1)
    (gradient,) = torch.autograd.grad(best_of_k_loss(batch, 1.0), logps)
    assert gradient.tolist() == [-0.5, -0.5, 0.0]
