"""The KL strength of a round: fixed, or of the order that the theory asks for.

Knows: `BETA_SCHEDULES`, each (beta, pairs a round) -> the beta of eq. 3. Refuses to know: rounds.
"""

import math
from collections.abc import Callable


def constant(beta: float, pairs: int) -> float:
    """beta itself."""
    return beta


def inverse_root(beta: float, pairs: int) -> float:
    """beta / sqrt(n), the order for which theorem 5.3 balances beta*log(kappa) with the statistical error.

    n counts all pairs of a round, also those of identical responses (P2). At n = 288 (48 prompts, K = 4) a given beta
    of 17 is the effective beta 1; a given beta of 1 asks for the 18th power of the policy in one round.
    """
    return beta / math.sqrt(max(1, pairs))


BETA_SCHEDULES: dict[str, Callable[[float, int], float]] = {"constant": constant, "n^-1/2": inverse_root}
