"""Weighted likelihood: the projection onto what is known of a prompt (P8), rounds that reward answers (P10), and
controls of the same form.

Knows: which responses, with what weights. Refuses to know: how they came to be known, other losses.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from srlm.measure.majorities import leader
from srlm.theory import answer_weights, projection_weights
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
        batch: log-probabilities and weights; the weights of each group sum to 1, but for `leave_one_out`.
        beta: ignored; every update has the same signature.

    Returns:
        The loss in nats, >= 0 where weights sum to 1.
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


def weighted_groups(measured: Sequence[MeasuredPrompt], beta: float) -> list[Group]:
    """The samples of each prompt with weights proportional to exp(r/beta), each as often as it was drawn (P8 iv). With
    r = log(c_a/K) of a response's answer these are (c_a/K)^(1/beta): the plug-in round of P10. A response that no
    reward applies to is left out.
    """
    groups = []
    for one in measured:
        told = [at for at, reward in enumerate(one.rewards) if reward is not None]
        if told:
            near = np.array(one.reference)[told]
            rewards = np.array([one.rewards[at] for at in told], dtype=np.float64)
            weights = projection_weights(np.minimum(near, 0.0), beta, rewards, distinct=False)
            groups.append(_summed(one, told, near, rewards, weights))
    return groups


def leave_one_out_groups(measured: Sequence[MeasuredPrompt], beta: float) -> list[Group]:
    """The samples of each prompt with the weights of `answer_weights` over K, not normalised: their expected target is
    pi_A^s exactly, 1/beta whole (P10). A prompt with fewer than 1 + 1/beta answers, or none often enough, has no weight
    and is left out.

    Raises:
        InputError: 1/beta is not whole.
    """
    groups = []
    for one in measured:
        answers = [response.answer for response in one.rollout.responses]
        told = [at for at, answer in enumerate(answers) if answer is not None]
        if len(told) < 1 + 1 / beta - 1e-9:
            continue
        times = Counter(answers[at] for at in told)
        each = dict(zip(times, answer_weights(list(times.values()), beta).tolist(), strict=True))
        weights = np.array([each[answers[at]] for at in told]) / len(told)
        if weights.any():
            near = np.array(one.reference)[told]
            groups.append(_summed(one, told, near, near, weights, normalised=False))
    return groups


def majority_groups(measured: Sequence[MeasuredPrompt], beta: float) -> list[Group]:
    """The samples whose answer is the prompt's commonest, all with the same weight: a hard vote, as TTRL's (arXiv
    2504.16084), without a policy gradient. Of equally common answers the one drawn first.
    """
    groups = []
    for one in measured:
        if (vote := leader(one.rollout)) is not None:
            told = [at for at, response in enumerate(one.rollout.responses) if response.answer == vote]
            near = np.array(one.reference)[told]
            groups.append(_summed(one, told, near, near, np.full(len(told), 1 / len(told))))
    return groups


def mode_groups(measured: Sequence[MeasuredPrompt], beta: float) -> list[Group]:
    """A control: the likeliest known response alone."""
    groups = []
    for one in measured:
        if one.mode is None:
            raise ValueError("no mode was looked for")
        value = np.array([one.mode.mode.logprob])
        groups.append(_group(one, [one.mode.mode.tokens], value, value, np.ones(1), np.arange(1)))
    return groups


def _summed(
    one: MeasuredPrompt,
    told: Sequence[int],
    near: np.ndarray,
    rewards: np.ndarray,
    weights: np.ndarray,
    normalised: bool = True,
) -> Group:
    """The responses `told`, each once, with the sum of its draws' weights: the same loss for less work."""
    tokens = [one.rollout.responses[at].tokens for at in told]
    total: dict[tuple[int, ...], float] = dict.fromkeys(tokens, 0.0)
    for ids, weight in zip(tokens, weights.tolist(), strict=True):
        total[ids] += weight
    first = np.array([tokens.index(ids) for ids, weight in total.items() if weight > 0])
    summed = np.zeros(len(tokens))
    summed[first] = [weight for weight in total.values() if weight > 0]
    return _group(one, tokens, near, rewards, summed, first, normalised)


def _group(
    one: MeasuredPrompt,
    tokens: Sequence[tuple[int, ...]],
    near: np.ndarray,
    rewards: np.ndarray,
    weights: np.ndarray,
    kept: np.ndarray,
    normalised: bool = True,
) -> Group:
    return Group(
        one.prompt.tokens,
        tuple(tokens[at] for at in kept),
        tuple(near[kept].tolist()),
        tuple(rewards[kept].tolist()),
        tuple((weights[kept] / (weights[kept].sum() if normalised else 1.0)).tolist()),
        one.prompt.number,
    )
