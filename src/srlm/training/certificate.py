"""P4 in practice: how far an update landed from the exact one, and whether contraction was guaranteed all the same.

Knows: recorded and new log-probabilities of sampled responses and modes. The supremum of P4 runs over all responses;
here it runs over those that were scored, so eps is a lower end, and the record says over how many it was taken.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from jaxtyping import Float64


@dataclass(frozen=True, slots=True)
class Scored:
    """One prompt after an update.

    Attributes:
        before: log pi_t of the mode, then of every scored response (nats).
        after: log pi_{t+1} of the same.
        margin: pi_t's margin at this prompt (nats, >= 0; a lower end).
        trained: whether the update saw the prompt.
    """

    before: tuple[float, ...]
    after: tuple[float, ...]
    margin: float
    trained: bool


def certificate(scored: Sequence[Scored], beta: float) -> dict[str, Any]:
    """P4's quantities after a round with the log-probability as reward, as `metrics.json` keeps them.

    With s = 1 + 1/beta, eps(x) = max over the scored y of |log(pi'(y)/pi'(y*)) - s*log(pi_t(y)/pi_t(y*))|, y* the mode
    of pi_t. Where eps < margin/beta, kappa' - 1 <= exp(eps - margin/beta)*(kappa - 1).

    Args:
        scored: prompts with their mode and responses under both policies.
        beta: the KL strength of the update, > 0.

    Returns:
        eps and margin over all prompts, `holds` (eps < margin/beta), `log_factor` = eps - margin/beta, the share of
        prompts at which it holds by itself (`prompts_holding`), the median eps; for `trained` and `held_out` prompts
        apart: eps, share holding, and `residual`, the root mean square of the pairs' residuals in nats, beside the
        same before the update (`residual_before`: the whole way the update had to go).
    """
    eps = np.array([_eps(one, beta) for one in scored])
    room = np.array([one.margin for one in scored]) / beta
    parts = {}
    for name, trained in (("trained", True), ("held_out", False)):
        chosen = [at for at, one in enumerate(scored) if one.trained == trained]
        if chosen:
            parts[name] = {
                "prompts": len(chosen),
                "eps": float(eps[chosen].max()),
                "prompts_holding": float(np.mean(eps[chosen] < room[chosen])),
                "residual": rms([pair_residuals(_before(scored[at]), _after(scored[at]), beta) for at in chosen]),
                "residual_before": rms(
                    [pair_residuals(_before(scored[at]), _before(scored[at]), beta) for at in chosen]
                ),
            }
    return {
        "beta": beta,
        "eps": float(eps.max()),
        "eps_median": float(np.median(eps)),
        "margin": float(room.min() * beta),
        "holds": bool(eps.max() < room.min()),
        "log_factor": float(eps.max() - room.min()),
        "prompts_holding": float(np.mean(eps < room)),
        "responses": int(sum(len(one.before) - 1 for one in scored)),
        **parts,
    }


def pair_residuals(
    before: Sequence[float], after: Sequence[float], beta: float, rewards: Sequence[float] | None = None
) -> Float64[np.ndarray, "P"]:
    """Eq. 3's residual over beta, in nats, of every pair of one prompt's responses.

    log(pi'(y)/pi'(y')) - log(pi_t(y)/pi_t(y')) - (r(y) - r(y'))/beta.

    Args:
        before, after: log pi_t and log pi_{t+1} of each response.
        beta: KL strength, > 0.
        rewards: r of each response, by default log pi_t.
    """
    values = np.asarray(after) - np.asarray(before) - np.asarray(before if rewards is None else rewards) / beta
    return np.array([values[i] - values[j] for i, j in combinations(range(len(values)), 2)], dtype=np.float64)


def rms(residuals: Sequence[Float64[np.ndarray, "P"]]) -> float | None:
    """Root mean square over the pairs of each prompt, then over prompts; None where there is no pair."""
    means = [float(np.mean(one**2)) for one in residuals if len(one)]
    return math.sqrt(sum(means) / len(means)) if means else None


def _before(one: Scored) -> tuple[float, ...]:
    return one.before[1:]


def _after(one: Scored) -> tuple[float, ...]:
    return one.after[1:]


def _eps(one: Scored, beta: float) -> float:
    before, after = np.asarray(one.before), np.asarray(one.after)
    return float(np.max(np.abs((after - after[0]) - (1 + 1 / beta) * (before - before[0]))))
