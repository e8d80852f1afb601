"""Empirical risk minimisation of eq. 3 over a finite class of policies: the learner that theorem 5.3 is about.

Knows: the loss of every member on one round's samples, and whether the class holds the round's optimum at all.
"""

from dataclasses import dataclass

import numpy as np

from srlm.errors import InputError
from srlm.theory.objective import sharpen


@dataclass(frozen=True)
class Chosen:
    """What a round of empirical risk minimisation picked.

    Attributes:
        member: number of the policy with the least loss (the first of tied ones).
        losses: (C,) mean squared residual of every member.
    """

    member: int
    losses: np.ndarray


def erm_round(
    members: np.ndarray,
    current: np.ndarray,
    prompts: np.ndarray,
    responses: np.ndarray,
    rewards: np.ndarray,
    beta: float,
    *,
    require_optimum: bool = False,
) -> Chosen:
    """argmin over a finite class of eq. 3 on n pairs.

    Args:
        members: log pi(y|x) of each member, (C, P, M).
        current: log pi_t(y|x), (P, M).
        prompts: (n,) prompt numbers.
        responses: (n, 2) response numbers of each pair.
        rewards: (n, 2).
        beta: KL strength > 0.
        require_optimum: refuse a class without the population optimum pi_t^(1 + 1/beta).

    Raises:
        InputError: shapes that do not fit, or a class that cannot realise the optimum where that is required.
    """
    table = np.asarray(members, dtype=np.float64)
    if table.ndim != 3 or table.shape[1:] != np.shape(current) or not beta > 0:
        raise InputError(
            f"members have shape {table.shape}; give (C, P, M) with (P, M) = {np.shape(current)}, beta > 0"
        )
    if np.shape(responses) != (len(prompts), 2) or np.shape(rewards) != (len(prompts), 2) or not len(prompts):
        raise InputError("give n >= 1 prompts with (n, 2) responses and rewards")
    if require_optimum:
        gap = optimum_gap(table, current, beta)
        if gap > 1e-6:
            raise InputError(
                f"the class cannot realise the round's optimum: its nearest member is {gap:.3g} nats away; "
                "enlarge the class, or allow an approximate round"
            )
    ratios = table[:, prompts[:, None], responses] - current[prompts[:, None], responses]
    residual = beta * (ratios[..., 0] - ratios[..., 1]) - (rewards[:, 0] - rewards[:, 1])
    losses = (residual**2).mean(axis=1)
    return Chosen(int(losses.argmin()), losses)


def optimum_gap(members: np.ndarray, current: np.ndarray, beta: float) -> float:
    """sup |log pi/pi*| of the member nearest to the population optimum, over responses that pi_t can give."""
    wanted = sharpen(current, beta)
    possible = np.isfinite(wanted)
    return float(min(np.abs(member[possible] - wanted[possible]).max() for member in members))
