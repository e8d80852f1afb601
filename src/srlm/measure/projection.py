"""What known responses certify about an exact round from here (P8), at measured prompts.

Knows: which responses are known, and what holds the others. Refuses to know: who searched or drew, what is trained.
"""

from collections.abc import Sequence
from itertools import zip_longest
from typing import Any, Protocol

import numpy as np

from srlm import theory
from srlm.records.bracket import Bracket
from srlm.records.responses import ModeBracket, Rollout
from srlm.records.rounds import Population


class Trained(Protocol):
    """Some of the known responses of one prompt, by its number."""

    @property
    def number(self) -> int: ...
    @property
    def responses(self) -> Sequence[tuple[int, ...]]: ...


def known_responses(rollout: Rollout, mode: ModeBracket) -> dict[tuple[int, ...], float]:
    """Log-probability (nats) of every response known at a prompt, each once: what the search kept, and samples."""
    return {one.tokens: one.logprob for one in [*rollout.responses, *mode.best]}


def population(rollouts: Sequence[Rollout], modes: Sequence[ModeBracket], beta: float, mass_slack: float) -> Population:
    """kappa and failure of an exact round from here, between ends that hold whatever was not seen (P8 iii)."""
    known = [known_responses(*pair) for pair in zip(rollouts, modes, strict=True)]
    given = _given([list(one.values()) for one in known], [[] for _ in known], modes, 1 + 1 / beta)
    bracket = theory.log_exact_round_bracket(**given)
    means = theory.mean_bracket(bracket.lower, bracket.upper, mass_slack)
    return Population(
        exact_round=Bracket(lower=theory.from_log(means.log_kappa.lower), upper=theory.from_log(means.log_kappa.upper)),
        log_exact_round=Bracket.of(*means.log_kappa),
        exact_round_failure=Bracket.of(*means.failure_rate),
        tau=float(np.mean(theory.exact_round_bracket(**given).tau)),
    )


def left_out(
    groups: Sequence[Trained], rollouts: Sequence[Rollout], modes: Sequence[ModeBracket], power: float
) -> np.ndarray:
    """Upper end of tau at every group: the mass of p^(S), S > 1, outside what is trained on (P8 i, ii): some of the
    known responses of some prompts of the run.
    """
    inside, others = [], []
    for group in groups:
        known = known_responses(rollouts[group.number], modes[group.number])
        inside.append([known[tokens] for tokens in group.responses])
        others.append([value for tokens, value in known.items() if tokens not in set(group.responses)])
    given = _given(inside, others, [modes[group.number] for group in groups], power)
    return np.asarray(theory.exact_round_bracket(**given).tau)


def _given(
    known: Sequence[Sequence[float]],
    others: Sequence[Sequence[float]],
    modes: Sequence[ModeBracket],
    power: float,
) -> dict[str, Any]:
    """Arguments of P8's bracket at prompts whose other known responses stand beside the open prefixes."""
    outside = [one.outside for one in modes]
    return {
        "known": _packed(known),
        "open_prefixes": _packed([[*more, *one.prefixes] for more, one in zip(others, outside, strict=True)]),
        "beta": 1.0,
        "power": power,
        "certified": [one.certified for one in modes],
        "dropped": ([one.mass for one in outside], [one.largest for one in outside]),
    }


def _packed(rows: Sequence[Sequence[float]]) -> np.ndarray:
    return np.array(list(zip_longest(*rows, fillvalue=-np.inf)), dtype=np.float64).reshape(-1, len(rows)).T
