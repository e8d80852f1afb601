"""What an update is, whatever it minimises: which responses it trains on, and the loss on a batch of them.

Knows: groups as plain values, what to say about a round's rewards. Refuses to know: torch, trainers. The updates
themselves are in `updates/`, one a file.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any, Literal

import numpy as np

from srlm.engines.engine import Encoded
from srlm.records.responses import ModeBracket, Rollout
from srlm.records.rounds import RewardRecord


@dataclass(frozen=True, slots=True)
class Group:
    """One prompt with its K responses, all that an update needs to know about them.

    Attributes:
        prompt: token ids.
        responses: token ids of each response.
        reference_logps: log pi_t(y|x) recorded while sampling (nats), or what the update is kept near instead.
        rewards: r(x, y) of each response.
        weights: target q of each response, with sum 1, for updates that have one.
        number: the prompt's number among the run's prompts.
    """

    prompt: tuple[int, ...]
    responses: tuple[tuple[int, ...], ...]
    reference_logps: tuple[float, ...]
    rewards: tuple[float, ...]
    weights: tuple[float, ...] = ()
    number: int = -1


@dataclass(frozen=True, slots=True)
class MeasuredPrompt:
    """One prompt as the round before an update left it.

    Attributes:
        prompt: its tokens.
        rollout: its samples, then, for an update that needs "k_best", what only the search saw.
        mode: the bracket of its mode; None at the level of answers, where nobody looks for it.
        rewards: r(x, y) of each of these responses; None where no reward applies.
        reference: their log-probabilities (nats) under what the update is kept near.
    """

    prompt: Encoded
    rollout: Rollout
    mode: ModeBracket | None
    rewards: Sequence[float | None]
    reference: Sequence[float]


@dataclass(frozen=True, slots=True)
class Update:
    """One way of updating a policy.

    Attributes:
        name: what users call it.
        groups: (measured prompts, beta) -> what is trained on; a prompt it can make nothing of is left out.
        loss: (batch, beta) -> scalar tensor, stateless.
        needs: what of a round it trains on.
        optimum: the statement that says what it would reach exactly; None where the theory has none.
    """

    name: str
    loss: Callable[[Any, float], Any]
    groups: Callable[[Sequence[MeasuredPrompt], float], list[Group]]
    needs: frozenset[Literal["samples", "answers", "k_best"]] = frozenset({"samples"})
    optimum: str | None = None

    def responses(self, rollout: Rollout, mode: ModeBracket | None) -> Rollout:
        """Samples, and what only the search saw where this update needs it."""
        if "k_best" not in self.needs or mode is None:
            return rollout
        seen = {one.tokens for one in rollout.responses}
        more = tuple(replace(one, searched=True) for one in mode.best if one.tokens not in seen)
        return replace(rollout, responses=rollout.responses + more)


def sampled_groups(measured: Sequence[MeasuredPrompt], beta: float) -> list[Group]:
    """The samples of each prompt; a response that no reward applies to is left out, and so is a prompt that keeps
    fewer than two.
    """
    groups = []
    for one in measured:
        kept = [
            (response.tokens, near, reward)
            for response, near, reward in zip(one.rollout.responses, one.reference, one.rewards, strict=True)
            if reward is not None
        ]
        if len(kept) > 1:
            responses, reference, rewards = zip(*kept, strict=True)
            groups.append(Group(one.prompt.tokens, responses, reference, rewards, number=one.prompt.number))
    return groups


def reward_record(groups: Sequence[Group], metrics: dict[str, float]) -> RewardRecord:
    """A round's rewards in a few numbers, with what reward functions logged (a judge that saturates has `at_top` and
    `tied_pairs` near 1).
    """
    values = np.array([reward for group in groups for reward in group.rewards])
    ties = [
        a_reward == b_reward
        for group in groups
        for (a, a_reward), (b, b_reward) in combinations(zip(group.responses, group.rewards, strict=True), 2)
        if a != b
    ]
    return RewardRecord(
        mean=float(values.mean()),
        std=float(values.std()),
        min=float(values.min()),
        max=float(values.max()),
        at_top=float(np.mean(values == values.max())),
        tied_pairs=float(np.mean(ties)) if ties else None,
        metrics=metrics,
    )
