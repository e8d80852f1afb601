"""The group form P2 against eq. 3 written pair by pair."""

from itertools import combinations

import pytest
import torch

from srlm.training.losses import GroupedBatch, regression_loss


def pairwise(batch: GroupedBatch, beta: float) -> torch.Tensor:
    """Eq. 3 divided by beta^2, one pair after the other, mean over pairs then prompts."""
    per_group = []
    for group in range(batch.count):
        members = (batch.groups == group).nonzero()[:, 0].tolist()
        losses = [
            (
                beta * ((batch.logps[i] - batch.reference_logps[i]) - (batch.logps[j] - batch.reference_logps[j]))
                - (batch.rewards[i] - batch.rewards[j])
            )
            ** 2
            / beta**2
            for i, j in combinations(members, 2)
        ]
        per_group.append(torch.stack(losses).mean() if losses else torch.zeros((), dtype=batch.logps.dtype))
    return torch.stack(per_group).mean()


def random_batch(seed: int, sizes: tuple[int, ...]) -> GroupedBatch:
    generator = torch.Generator().manual_seed(seed)
    count = sum(sizes)
    values = [torch.randn(count, generator=generator, dtype=torch.float64) * 5 for _ in range(3)]
    groups = torch.tensor([at for at, size in enumerate(sizes) for _ in range(size)])
    return GroupedBatch(values[0].requires_grad_(), values[1], values[2], groups, len(sizes))


@pytest.mark.parametrize("sizes", [(2,), (4, 4), (2, 5, 3), (1, 4)])
@pytest.mark.parametrize("beta", [0.3, 1.0, 5.0])
def test_group_form_equals_pairwise_eq_3_with_gradients(sizes: tuple[int, ...], beta: float) -> None:
    batch = random_batch(0, sizes)
    fast, slow = regression_loss(batch, beta), pairwise(batch, beta)
    torch.testing.assert_close(fast, slow, rtol=1e-10, atol=1e-10)
    gradients = [torch.autograd.grad(loss, batch.logps)[0] for loss in (fast, slow)]
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
