"""Rewards: what a response is worth, all with trl's signature, named in `REWARDS`.

    reward(prompts, completions, *, completion_ids, logps, base_logps, entropies, self_certainties, searched,
           given_answers, **columns)
        -> list[float | None]

Every argument is a list with one entry a response; responses to one prompt stand together. `None` means that the reward
does not apply to that response. A function that names the parameter `policy` receives a `PolicyView`.
Refuses to know: torch, trainers.
"""

from collections.abc import Callable
from typing import Any

from srlm.rewards.answer import answer
from srlm.rewards.judge import judge
from srlm.rewards.majority_vote import majority_vote
from srlm.rewards.policy_view import PolicyView
from srlm.rewards.random import random
from srlm.rewards.recorded import base_log_probability, entropy, length_normalised, log_probability, self_certainty

RewardFunction = Callable[..., Any]

REWARDS: dict[str, RewardFunction] = {
    "log_probability": log_probability,
    "length_normalised": length_normalised,
    "self_certainty": self_certainty,
    "entropy": entropy,
    "majority_vote": majority_vote,
    "answer": answer,
    "judge": judge,
    "base_log_probability": base_log_probability,
    "random": random,
}

__all__ = ["REWARDS", "PolicyView", "RewardFunction"]
