"""Weighted likelihood: the projection onto what is known of a prompt (P8), and two controls of the same form.

Knows: which responses, with what weights. Refuses to know: how they came to be known, other losses.
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from srlm.theory import projection_weights
from srlm.training.update import Group, MeasuredPrompt
from srlm.training.updates.groups import GroupedBatch

# The heaviest responses are trained on, up to this share of the target and so many: time grows with the group.
_SHARE = 0.99
_MOST = 6


def likelihood_loss(batch: GroupedBatch, beta: float) -> Float[Tensor, ""]:
    """KL(q || pi) restricted to each group's responses: sum_i q_i*(log q_i - log pi(y_i|x)), averaged over groups.

    Its minimum over all policies is at pi = q only (P8 i), where it is 0. There is no reference term: the target itself
    is proportional to pi_t(y)*exp(r(y)/beta), so that beta acts through the weights.

    Args:
        batch: log-probabilities and weights; the weights of each group sum to 1.
        beta: ignored; every update has the same signature.

    Returns:
        The loss in nats, >= 0.
    """
    weights = batch.weights
    return (torch.special.xlogy(weights, weights) - weights * batch.logps).sum() / batch.count


def projection_groups(measured: Sequence[MeasuredPrompt], beta: float) -> list[Group]:
    """The known responses of each prompt, each once, with weights q_i proportional to pi_t(y_i)*exp(r(y_i)/beta): the
    heaviest ones up to 99 % of q, at most six. A response that no reward applies to is left out.
    """
    groups = []
    for one in measured:
        known: dict[tuple[int, ...], tuple[float, float]] = {}
        for response, near, reward in zip(one.rollout.responses, one.reference, one.rewards, strict=True):
            if reward is not None:
                known.setdefault(response.tokens, (near, reward))
        if known:
            near, rewards = np.array(list(known.values())).T
            weights = projection_weights(near, beta, rewards)
            order = np.argsort(-weights, kind="stable")
            kept = order[: min(int(np.searchsorted(np.cumsum(weights[order]), _SHARE)) + 1, _MOST)]
            groups.append(_group(one, list(known), near, rewards, weights, kept))
    return groups


def uniform_groups(measured: Sequence[MeasuredPrompt], beta: float) -> list[Group]:
    """A control: the prompt's own samples, all with the same weight, whatever their rewards say."""
    groups = []
    for one in measured:
        tokens, values = [response.tokens for response in one.rollout.responses], np.array(one.reference)
        weights = np.full(len(tokens), 1 / len(tokens))
        groups.append(_group(one, tokens, values, values, weights, np.arange(len(tokens))))
    return groups


def mode_groups(measured: Sequence[MeasuredPrompt], beta: float) -> list[Group]:
    """A control: the likeliest known response alone."""
    groups = []
    for one in measured:
        value = np.array([one.mode.mode.logprob])
        groups.append(_group(one, [one.mode.mode.tokens], value, value, np.ones(1), np.arange(1)))
    return groups


def _group(
    one: MeasuredPrompt,
    tokens: Sequence[tuple[int, ...]],
    near: np.ndarray,
    rewards: np.ndarray,
    weights: np.ndarray,
    kept: np.ndarray,
) -> Group:
    return Group(
        one.prompt.tokens,
        tuple(tokens[at] for at in kept),
        tuple(near[kept].tolist()),
        tuple(rewards[kept].tolist()),
        tuple((weights[kept] / weights[kept].sum()).tolist()),
        one.prompt.number,
    )
