"""P4 in practice: how far an update landed from the exact one, and whether contraction is refuted all the same.

Knows: log-probabilities of modes and sampled responses before and after, by one numerics. The supremum of P4 runs over
all responses; here it runs over those that were scored, so eps is a lower end, and the record says over how many it was
taken. Refuses to know: who scored.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from srlm import theory
from srlm.measure.split import finite
from srlm.records.rounds import ExactnessPart, ExactnessRecord


@dataclass(frozen=True, slots=True)
class Scored:
    """One prompt around an update.

    Attributes:
        before: log pi_t of the mode, then of every scored response (nats).
        after: log pi_{t+1} of the same.
        margin: pi_t's margin at this prompt (nats, >= 0; an upper end, so that what it refutes is refuted; inf where no
            other response is known).
        trained: whether the update saw the prompt.
    """

    before: tuple[float, ...]
    after: tuple[float, ...]
    margin: float
    trained: bool


def exactness(scored: Sequence[Scored], beta: float) -> ExactnessRecord:
    """P4's quantities after a round with the log-probability as reward, at one prompt or more."""
    eps = np.array([theory.log_ratio_error(one.before, one.after, beta) for one in scored])
    factors = np.array([theory.certified_log_factor(one.margin, beta, e) for one, e in zip(scored, eps, strict=True)])
    margin = min(one.margin for one in scored)
    worst = theory.certified_log_factor(margin, beta, eps.max())

    def part(trained: bool) -> ExactnessPart | None:
        chosen = [at for at, one in enumerate(scored) if one.trained == trained]
        if not chosen:
            return None
        sampled = [(scored[at].before[1:], scored[at].after[1:]) for at in chosen]
        return ExactnessPart(
            prompts=len(chosen),
            eps=float(eps[chosen].max()),
            prompts_holding=float(np.mean(factors[chosen] < 0)),
            residual=residual_rms([(before, after, before) for before, after in sampled], beta),
            residual_before=residual_rms([(before, before, before) for before, _ in sampled], beta),
        )

    return ExactnessRecord(
        beta=beta,
        eps=float(eps.max()),
        eps_median=float(np.median(eps)),
        margin=finite(margin),
        holds=bool(worst < 0),
        refuted=bool((factors >= 0).any()),
        log_factor=finite(float(worst)),
        prompts_holding=float(np.mean(factors < 0)),
        responses=sum(len(one.before) - 1 for one in scored),
        trained=part(True),
        held_out=part(False),
    )


def residual_rms(
    prompts: Sequence[tuple[Sequence[float], Sequence[float], Sequence[float]]], beta: float
) -> float | None:
    """Root mean square of eq. 3's residual (over beta, in nats) over the pairs of each prompt, then over prompts, from
    (log pi_t, log pi_{t+1}, reward) of each of its responses. None where there is no pair.
    """
    return theory.residual_rms(
        [
            theory.residual(np.asarray(after), np.asarray(before), np.asarray(rewards), beta)
            for before, after, rewards in prompts
        ]
    )
