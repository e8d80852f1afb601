"""Signatures: shapes in a run's measurements that say it goes wrong, each with definition, evidence and advice.

Knows: rounds' records, in order from round 00. Refuses to know: models, files. Where a quantity is a bracket, a
signature speaks only if the whole bracket does. A signature that needs what was not measured stays silent. What a run
does about a signature is `srlm.measure.decision`'s business.

How often each one speaks on planted failures and on healthy runs is measured by `benchmarks/signatures.py`, printed in
`benchmarks/results/signatures.md`.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from srlm.records.rounds import RoundRecord, Signature, SplitRecord
from srlm.theory import from_log

History = Sequence[RoundRecord]


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Where a signature begins. The defaults come from `benchmarks/signatures.py` and the runs in docs/log.md: the
    embedded model's healthy run stays on the quiet side, its failed one (run with open-ended questions) does not.

    Attributes:
        kappa_rise: nats by which log kappa rises in one round.
        kappa_stall: share of log kappa that two rounds must take away, while kappa is above `kappa_settled`.
        kappa_settled: kappa below which there is little left to gain.
        failure_settled: failure rate below which staying the same is no failure.
        margin_share: share of the base model's median margin.
        informative: share of response pairs that differ.
        drift: share of modes that are not the base model's.
        length_share: factor of the base model's mean length, down; its inverse is the factor up.
        cut_rise: rise of the share of responses cut at the longest length.
        accuracy_drop: fall of a held-out accuracy, at least this and `accuracy_errors` standard errors.
        accuracy_errors: standard errors of the difference of two accuracies over prompts.
        one_answer: share of prompts whose mode is the same response, and at least twice the base model's.
        tied: share of differing pairs whose rewards tie.
    """

    kappa_rise: float = 0.25
    kappa_stall: float = 0.05
    kappa_settled: float = 1.5
    failure_settled: float = 0.1
    margin_share: float = 0.5
    informative: float = 0.1
    drift: float = 0.25
    length_share: float = 0.35
    cut_rise: float = 0.3
    accuracy_drop: float = 0.1
    accuracy_errors: float = 2.0
    one_answer: float = 0.5
    tied: float = 0.9


@dataclass(frozen=True, slots=True)
class Evidence:
    """Why a signature speaks: a sentence, and the numbers in it (finite)."""

    sentence: str
    values: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Definition:
    """How one signature is defined, found and answered."""

    definition: str
    advice: str
    find: Callable[[History, Thresholds], Evidence | None]


def signatures(history: History, thresholds: Thresholds | None = None) -> tuple[Signature, ...]:
    """The signatures that the last round of `history` shows.

    Args:
        history: records of rounds 0, 1, ..., t. Round 0 alone shows none.
        thresholds: where signatures begin.
    """
    if len(history) < 2:
        return ()
    limits = thresholds or Thresholds()
    shown = ((name, one, one.find(history, limits)) for name, one in SIGNATURES.items())
    return tuple(
        Signature(
            name=name,
            round=len(history) - 1,
            definition=one.definition,
            evidence=evidence.sentence,
            values=dict(evidence.values),
            advice=one.advice,
        )
        for name, one, evidence in shown
        if evidence is not None
    )


def _kappa_rises(history: History, limits: Thresholds) -> Evidence | None:
    before, now = (_log_kappa(one) for one in history[-2:])
    if before is None or now is None or now[0] - before[1] <= limits.kappa_rise:
        return None
    text = f"kappa rose from at most {_kappa_text(before[1])} to at least {_kappa_text(now[0])} in one round"
    return Evidence(text, {"log_kappa_before": before[1], "log_kappa_now": now[0]})


def _kappa_stalls(history: History, limits: Thresholds) -> Evidence | None:
    if len(history) < 3:
        return None
    before, now = _log_kappa(history[-3]), _log_kappa(history[-1])
    if before is None or now is None or now[0] <= math.log(limits.kappa_settled):
        return None
    # Down by less than the least share even between the ends that speak for progress; a rise is another signature.
    gained = (before[1] - now[0]) / before[1]
    if not gained < limits.kappa_stall or now[0] - before[1] > limits.kappa_rise:
        return None
    text = f"over two rounds log kappa fell by at most {max(gained, 0):.1%}, and kappa is still {_kappa_text(now[0])}"
    return Evidence(text, {"log_kappa_before": before[1], "log_kappa_now": now[0]})


def _failure_stays(history: History, limits: Thresholds) -> Evidence | None:
    if len(history) < 3 or history[-3].train is None or history[-1].train is None:
        return None
    before, now = history[-3].train.failure_rate.upper, history[-1].train.failure_rate.lower
    if before is None or now is None or now <= limits.failure_settled or now < before or before >= 1:
        return None
    tokens = sum(one.tokens.get("trained", 0) for one in history[-2:])
    text = f"two rounds and {tokens} trained tokens left the failure rate at {now:.2f} (it was {before:.2f})"
    return Evidence(text, {"failure_before": before, "failure_now": now})


def _margin_collapses(history: History, limits: Thresholds) -> Evidence | None:
    first, now = history[0].train, history[-1].train
    if first is None or now is None:
        return None
    before, after = first.median_margin, now.median_margin
    # Only a proved mode has a margin that is more than a lower end.
    proved = min(first.certified_share or 0.0, now.certified_share or 0.0)
    if not before or after is None or proved < 0.9 or after >= limits.margin_share * before:
        return None
    text = f"the median margin fell from {before:.3g} to {after:.3g} nats; exact rounds only widen it"
    return Evidence(text, {"margin_base": before, "margin_now": after})


def _informative_pairs_vanish(history: History, limits: Thresholds) -> Evidence | None:
    now = history[-1].train.informative_pairs if history[-1].train else None
    if now is None or now >= limits.informative:
        return None
    return Evidence(f"only {now:.1%} of the response pairs differ", {"informative_pairs": now})


def _modes_drift(history: History, limits: Thresholds) -> Evidence | None:
    first, last = history[0].train, history[-1].train
    now = last.mode_drift if last else None
    if now is None or now <= limits.drift:
        return None
    values = {"mode_drift": now}
    text = f"{now:.0%} of the proved modes are not the base model's"
    accuracies = [one.accuracy.mode if one else None for one in (first, last)]
    if accuracies[0] is not None and accuracies[1] is not None:
        values |= {"mode_accuracy_base": accuracies[0], "mode_accuracy_now": accuracies[1]}
        text += f"; the modes' accuracy went from {accuracies[0]:.2f} to {accuracies[1]:.2f}"
    return Evidence(text, values)


def _length_collapses(history: History, limits: Thresholds) -> Evidence | None:
    before, now = (one.train.mean_response_tokens if one.train else None for one in (history[0], history[-1]))
    if not before or now is None or now >= limits.length_share * before:
        return None
    return Evidence(f"mean length fell from {before:.1f} to {now:.1f} tokens", {"base": before, "now": now})


def _length_explodes(history: History, limits: Thresholds) -> Evidence | None:
    before, now = (one.train.mean_response_tokens if one.train else None for one in (history[0], history[-1]))
    cut_before, cut_now = ((one.train.cut_share if one.train else None) or 0.0 for one in (history[0], history[-1]))
    grown = before and now is not None and now > before / limits.length_share
    if not grown and cut_now - cut_before <= limits.cut_rise:
        return None
    text = (
        f"mean length went from {before or 0:.1f} to {now or 0:.1f} tokens and the share of cut responses from "
        f"{cut_before:.2f} to {cut_now:.2f}"
    )
    return Evidence(text, {"base": before or 0.0, "now": now or 0.0, "cut_base": cut_before, "cut_now": cut_now})


def _accuracy_falls(history: History, limits: Thresholds) -> Evidence | None:
    rewards = [one.train.self_reward_mean if one.train else None for one in (history[0], history[-1])]
    if rewards[0] is None or rewards[1] is None or rewards[1] <= rewards[0]:
        return None
    where, first, now = "held-out", history[0].held_out, history[-1].held_out
    if not (_answered(first) and _answered(now)):
        where, first, now = "trained", history[0].train, history[-1].train
    if first is None or now is None or not (_answered(first) and _answered(now)):
        return None
    for kind in ("sample", "greedy"):
        before, after = getattr(first.accuracy, kind), getattr(now.accuracy, kind)
        if before is None or after is None or not now.prompts:
            continue
        # Prompts, not responses, are the independent units.
        error = math.sqrt((before * (1 - before) + after * (1 - after)) / now.prompts)
        if before - after > max(limits.accuracy_drop, limits.accuracy_errors * error):
            text = (
                f"the mean self-reward rose from {rewards[0]:.2f} to {rewards[1]:.2f} nats while {kind} accuracy on "
                f"{where} prompts fell from {before:.2f} to {after:.2f} (standard error {error:.2f})"
            )
            return Evidence(text, {"before": before, "now": after, "standard_error": error})
    return None


def _one_answer_for_all(history: History, limits: Thresholds) -> Evidence | None:
    before, now = (one.train.commonest_mode_share if one.train else None for one in (history[0], history[-1]))
    if before is None or now is None or now < max(limits.one_answer, 2 * before):
        return None
    text = f"{now:.0%} of the prompts have one and the same mode (the base model: {before:.0%})"
    return Evidence(text, {"base": before, "now": now})


def _rewards_tie(history: History, limits: Thresholds) -> Evidence | None:
    now = history[-1].reward.tied_pairs if history[-1].reward else None
    if now is None or now <= limits.tied:
        return None
    return Evidence(f"{now:.0%} of the pairs of different responses have the same reward", {"tied_pairs": now})


def _answered(split: SplitRecord | None) -> bool:
    return split is not None and split.accuracy.sample is not None


def _log_kappa(record: RoundRecord) -> tuple[float, float] | None:
    """(lower, upper) of log kappa on the trained prompts, both >= 0, the upper > 0."""
    ends = record.train.log_kappa if record.train else None
    if ends is None or ends.lower is None or ends.upper is None:
        return None
    return max(0.0, ends.lower), max(1e-12, ends.upper)


def _kappa_text(log_kappa: float) -> str:
    kappa = from_log(log_kappa)
    return f"e^{log_kappa:.0f}" if kappa is None else f"{kappa:.3g}"


SIGNATURES: dict[str, Definition] = {
    "kappa_rises": Definition(
        "The condition number rises in a round, though exact rounds only lower it (P3).",
        "The update pushed mass away from the modes: lower the learning rate, raise beta, or look at the reward.",
        _kappa_rises,
    ),
    "kappa_stalls": Definition(
        "The condition number does not fall over two rounds, though it is well above 1.",
        "Take more passes or a larger rate (the update does not reach its optimum), lower beta, or stop here.",
        _kappa_stalls,
    ),
    "failure_stays": Definition(
        "The failure rate does not fall over two rounds, however much is trained on.",
        "More data of this kind will not help: look at the prompts that fail, their margins are nearly tied.",
        _failure_stays,
    ),
    "margin_collapses": Definition(
        "The median margin between the mode and its rival falls below half of the base model's.",
        "Two responses are tied on many prompts, and the theory is silent at margin 0: raise beta, or use a reward "
        "that tells them apart.",
        _margin_collapses,
    ),
    "informative_pairs_vanish": Definition(
        "Nearly all responses to a prompt coincide, so nearly no pair moves the policy.",
        "The run has converged: stop here, further rounds only add noise; or sample more responses a prompt.",
        _informative_pairs_vanish,
    ),
    "modes_drift": Definition(
        "Modes move away from the base model's, though exact rounds never move one (P5).",
        "The run sharpens towards new favourites: raise beta or lower the rate if the base model's modes are the "
        "better answers.",
        _modes_drift,
    ),
    "length_collapses": Definition(
        "Responses shrink to about a third of the base model's length.",
        "The sum of log-probabilities favours short responses: use the reward length_normalised, or raise beta.",
        _length_collapses,
    ),
    "length_explodes": Definition(
        "Responses grow without end, or ever more are cut at the longest length.",
        "The reward favours long responses: use log_probability, or allow more tokens if the answers need them.",
        _length_explodes,
    ),
    "accuracy_falls": Definition(
        "The self-reward rises while the accuracy on held-out prompts falls.",
        "The model grows surer of wrong answers: go back to the best round; sharpening cannot help where modes are "
        "wrong.",
        _accuracy_falls,
    ),
    "one_answer_for_all": Definition(
        "Most prompts have the same response as their mode.",
        "The policy has collapsed: go back to the best round, lower the learning rate, raise beta.",
        _one_answer_for_all,
    ),
    "rewards_tie": Definition(
        "The reward gives nearly all different responses the same value.",
        "It has saturated and trains on noise: use a reward with finer values, or a mixture with log_probability.",
        _rewards_tie,
    ),
}
