"""What an update reached: its errors against an exact round (P4), and its distance to the target of a projection (P8).

Knows: which responses are scored around an update, and what their scores say. Refuses to know: who scores, files.
"""

import math
from collections.abc import Sequence

import numpy as np

from srlm import theory
from srlm.engines.engine import Encoded
from srlm.measure.exactness import Scored, exactness
from srlm.measure.numerics import spread
from srlm.measure.projection import left_out
from srlm.records.responses import ModeBracket, Rollout, TokenGroup
from srlm.records.rounds import SPLITS, ExactnessRecord, ProjectionRecord
from srlm.tasks.prompts import Prompt
from srlm.training.update import Group

# Prompts of each split scored for P4: a few per cent of an update's work.
_SCORED = 8


def compared(
    prompts: Sequence[Prompt], encoded: Sequence[Encoded], rollouts: Sequence[Rollout], modes: Sequence[ModeBracket]
) -> list[tuple[int, TokenGroup]]:
    """(prompt, its mode and samples as tokens) of what is scored around an update for P4: a few prompts of each split,
    spread evenly, so that it stays a small part of the round.
    """
    chosen = [
        of_split[place]
        for name in SPLITS
        if (of_split := [at for at, prompt in enumerate(prompts) if prompt.split == name])
        for place in spread(len(of_split), _SCORED)
    ]
    return [(at, (encoded[at].tokens, [modes[at].mode.tokens, *rollouts[at].tokens])) for at in chosen]


def errors(
    prompts: Sequence[Prompt],
    chosen: Sequence[int],
    modes: Sequence[ModeBracket],
    before: Sequence[Sequence[float]],
    after: Sequence[Sequence[float]],
    beta: float | None,
) -> ExactnessRecord | None:
    """P4 for an update, from the same responses scored by the same numerics before and after it.

    Args:
        prompts: of the run.
        chosen: which were scored.
        modes: of every prompt, before the update.
        before, after: log-probabilities (nats) of each one's mode and samples.
        beta: of the exact round that the update is compared with; None where there is none.
    """
    if beta is None or not chosen or not _finite(after):
        return None
    scored = [
        Scored(tuple(old), tuple(new), max(0.0, modes[at].margin_upper), prompts[at].split == "train")
        for at, old, new in zip(chosen, before, after, strict=True)
    ]
    return exactness(scored, beta)


def distance(groups: Sequence[Group], after: Sequence[Sequence[float]]) -> np.ndarray:
    """KL(q || pi) in nats at every group: how far a policy is from the targets.

    Args:
        groups: with weights.
        after: log-probabilities of their responses under the policy.
    """
    pairs = zip(groups, after, strict=True)
    return np.array([theory.target_divergence(group.weights, np.minimum(values, 0.0)) for group, values in pairs])


def projected(
    groups: Sequence[Group],
    after: Sequence[Sequence[float]],
    rollouts: Sequence[Rollout],
    modes: Sequence[ModeBracket],
    power: float | None,
) -> ProjectionRecord | None:
    """How near an update came to its targets, and what these leave out of an exact round.

    Args:
        groups: what was trained on, with weights.
        after: log-probabilities of their responses after the update.
        rollouts, modes: of every prompt of the run, before the update.
        power: S of the exact round; None where there is none, and nothing can be said of what was left out.
    """
    if not _finite(after):
        return None
    apart = distance(groups, after)
    tau = None if power is None else left_out(groups, rollouts, modes, power)
    sharpness = [1 / max(group.weights) for group in groups]
    return ProjectionRecord(
        responses=float(np.mean([len(group.responses) for group in groups])),
        tau=None if tau is None else float(tau.mean()),
        tau_max=None if tau is None else float(tau.max()),
        target_kappa=math.fsum(sharpness) / len(sharpness),
        distance=float(np.median(apart)),
        distance_max=float(apart.max()),
        distance_worst_prompt=groups[int(apart.argmax())].number,
    )


def _finite(values: Sequence[Sequence[float]]) -> bool:
    return all(math.isfinite(value) for some in values for value in some)
