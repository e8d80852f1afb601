"""What a round's samples and mode brackets say about the policy: the numbers of `metrics.json`.

Knows: samples, brackets, and the theory's definitions. Every quantity that rests on modes is a bracket, because a
search that ran out of budget knows its mode only between two ends.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from srlm.lm.sampling import Response

MASS_SLACK = 0.5


@dataclass(frozen=True, slots=True)
class Modes:
    """What a round's table of modes says about one prompt; see `ModeBracket`."""

    mode_tokens: tuple[int, ...]
    logprob_lower: float
    logprob_upper: float
    certified: bool
    margin_lower: float
    expansions: int
    mode_correct: bool | None
    greedy_correct: bool | None


@dataclass(frozen=True, slots=True)
class Measured:
    """One prompt at one round.

    Attributes:
        responses: its samples.
        samples_correct: which of them are right (None: no known answer).
        modes: its mode bracket and what is right of it.
        base_mode: the certified mode of round 00, None where it was not certified.
    """

    responses: Sequence[Response]
    samples_correct: Sequence[bool | None]
    modes: Modes
    base_mode: tuple[int, ...] | None


def summarise(measured: Sequence[Measured], beta: float) -> dict[str, Any] | None:
    """The metrics of one split at one round, None for an empty split.

    `population` predicts kappa after an exact round from this one: `kappa_bound` is P3 taken prompt by prompt, and
    `kappa_estimate` the Monte-Carlo value of E_x[ sum_y (pi(y)/pi(y*))^s ], s = 1 + 1/beta, from the same samples
    (the sum equals E_{y~pi}[(pi(y)/pi(y*))^(1/beta)] / pi(y*), whose summands lie in [0, 1]).
    """
    if not measured:
        return None
    lower = np.array([one.modes.logprob_lower for one in measured])
    upper = np.array([one.modes.logprob_upper for one in measured])
    margins = np.array([max(0.0, one.modes.margin_lower) for one in measured])
    logprobs = np.array([[r.logprob for r in one.responses] for one in measured])
    lengths = np.array([len(r.tokens) for one in measured for r in one.responses])
    log_kappa = {"lower": _log_mean_exp(-upper), "upper": _log_mean_exp(-lower)}
    # P3 at one prompt: 1/p - 1 shrinks by exp(-margin/beta).
    excess = np.exp(np.clip(-lower, 0, 700)) - 1
    ratios = np.exp(np.minimum(logprobs - lower[:, None], 0.0) / beta).mean(axis=1)
    return {
        "prompts": len(measured),
        "kappa": _bracket(np.exp(min(log_kappa["lower"], 700.0)), np.exp(min(log_kappa["upper"], 700.0))),
        "log_kappa": log_kappa,
        "failure_rate": _bracket(np.mean(np.exp(upper) <= 1 - MASS_SLACK), np.mean(np.exp(lower) <= 1 - MASS_SLACK)),
        "min_confidence": _bracket(np.exp(lower.min()), np.exp(upper.min())),
        "margin": float(margins.min()),
        "median_margin": float(np.median(margins)),
        "certified_share": float(np.mean([one.modes.certified for one in measured])),
        "expansions": int(sum(one.modes.expansions for one in measured)),
        "informative_pairs": _informative_pairs(measured),
        "mode_drift": _mode_drift(measured),
        "commonest_mode_share": max(Counter(one.modes.mode_tokens for one in measured).values()) / len(measured),
        "mean_response_tokens": float(lengths.mean()),
        "cut_share": float(np.mean([not r.ended for one in measured for r in one.responses])),
        "self_reward_mean": float(logprobs.mean()),
        "entropy": float(np.mean([r.entropy for one in measured for r in one.responses])),
        "self_certainty": float(np.mean([r.self_certainty for one in measured for r in one.responses])),
        "accuracy": {
            "sample": _share([right for one in measured for right in one.samples_correct]),
            "greedy": _share([one.modes.greedy_correct for one in measured]),
            "mode": _share([one.modes.mode_correct for one in measured]),
        },
        "population": {
            "kappa_bound": float(1 + np.mean(np.exp(-margins / beta) * excess)),
            "kappa_estimate": float(np.mean((excess + 1) * ratios)),
        },
    }


def _bracket(lower: Any, upper: Any) -> dict[str, float]:
    return {"lower": float(lower), "upper": float(upper)}


def _log_mean_exp(values: np.ndarray) -> float:
    return float(np.logaddexp.reduce(values) - np.log(len(values)))


def _share(outcomes: Sequence[bool | None]) -> float | None:
    known = [outcome for outcome in outcomes if outcome is not None]
    return float(np.mean(known)) if known else None


def _informative_pairs(measured: Sequence[Measured]) -> float:
    """Share of response pairs that differ: only these move the policy (theory.md section 6.4)."""
    differ = [a.tokens != b.tokens for one in measured for a, b in combinations(one.responses, 2)]
    return float(np.mean(differ))


def _mode_drift(measured: Sequence[Measured]) -> float | None:
    """Share of prompts whose certified mode is not the certified mode of round 00 (P5 says 0 for exact updates)."""
    moved = [
        one.modes.mode_tokens != one.base_mode for one in measured if one.base_mode is not None and one.modes.certified
    ]
    return float(np.mean(moved)) if moved else None
