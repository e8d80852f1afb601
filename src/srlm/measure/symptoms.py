"""The finding of signatures: one function each, from a run's history to the evidence, or None.

Knows: rounds' records, in order from round 00, and where a signature begins. Where a quantity is a bracket, evidence
needs the whole of it; what was not measured is no evidence. Refuses to know: models, files, how it is told.

At the level of answers (P10, P11) majorities of draws stand for modes. Certified ends are too wide for evidence that
needs the whole of a bracket, so kappa and failure are judged by their estimates, and only over enough prompts that the
noise of draws stays well below the thresholds; near ties draws alone move a majority, so drift, flips and the peak need
more than they do for proved modes. Silent there: margins (no draws bound them) and tied rewards (responses with one
answer have one reward by design).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from srlm.records.rounds import RoundRecord, SplitRecord
from srlm.theory import from_log

History = Sequence[RoundRecord]
_KINDS = {"sample": "sample", "greedy": "greedy", "mode": "majority"}


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
        flip: share of modes that change in a round from 02 on, while more than `flip_settling` of the round before's.
            The default run's modes settle after round 01 (12 % moved there, 0 to 5 % later).
        flip_settling: factor below which fewer and fewer modes change: the run is settling.
        flip_most: share of modes that change in a round, round 01 included, beyond which nothing has to be waited for.
        peak_fall: fall of the kept confidence from its best round, at least this (as if a tenth of the prompts lost a
            mode that they were sure of), or `peak_share` of the best where that is less, and `peak_errors` standard
            errors.
        peak_share: share of the best round's kept confidence.
        peak_errors: standard errors of the difference of two rounds.
        length_share: factor of the base model's mean length, down; its inverse is the factor up.
        cut_rise: rise of the share of responses cut at the longest length.
        accuracy_drop: fall of a held-out accuracy, at least this and `accuracy_errors` standard errors.
        accuracy_errors: standard errors of the difference of two accuracies over prompts.
        one_answer: share of prompts whose mode is the same response, and at least twice the base model's.
        tied: share of differing pairs whose rewards tie.
        answer_prompts: least number of prompts over which estimates of kappa_A and of its failure rate are evidence:
            with 16 draws of a majority of one half, the noise of the log of kappa_A's ratio is then about 0.07 nats.
    """

    kappa_rise: float = 0.25
    kappa_stall: float = 0.05
    kappa_settled: float = 1.5
    failure_settled: float = 0.1
    margin_share: float = 0.5
    informative: float = 0.1
    drift: float = 0.25
    flip: float = 0.2
    flip_settling: float = 0.7
    flip_most: float = 0.5
    peak_fall: float = 0.1
    peak_share: float = 0.25
    peak_errors: float = 2.0
    length_share: float = 0.35
    cut_rise: float = 0.3
    accuracy_drop: float = 0.1
    accuracy_errors: float = 2.0
    one_answer: float = 0.5
    tied: float = 0.9
    answer_prompts: int = 30


@dataclass(frozen=True, slots=True)
class Evidence:
    """Why a signature speaks: a sentence, and the numbers in it (finite)."""

    sentence: str
    values: Mapping[str, float]


def kappa_rises(history: History, limits: Thresholds) -> Evidence | None:
    """Of answers: by the estimates of kappa_A. Their certified ends overlap in all but a ruined run."""
    before, now = (_log_kappa(one, limits) for one in history[-2:])
    if before is None or now is None or now[0] - before[1] <= limits.kappa_rise:
        return None
    text = f"kappa rose from at most {_kappa_text(before[1])} to at least {_kappa_text(now[0])} in one round"
    return Evidence(text, {"log_kappa_before": before[1], "log_kappa_now": now[0]})


def kappa_stalls(history: History, limits: Thresholds) -> Evidence | None:
    """Of answers: by the estimates of kappa_A, as above; it is noted by default, so a slow run may be told so."""
    if len(history) < 3:
        return None
    before, now = _log_kappa(history[-3], limits), _log_kappa(history[-1], limits)
    if before is None or now is None or now[0] <= math.log(limits.kappa_settled):
        return None
    # Down by less than the least share even between the ends that speak for progress; a rise is another signature.
    gained = (before[1] - now[0]) / before[1]
    if not gained < limits.kappa_stall or now[0] - before[1] > limits.kappa_rise:
        return None
    text = f"over two rounds log kappa fell by at most {max(gained, 0):.1%}, and kappa is still {_kappa_text(now[0])}"
    return Evidence(text, {"log_kappa_before": before[1], "log_kappa_now": now[0]})


def failure_stays(history: History, limits: Thresholds) -> Evidence | None:
    if len(history) < 3 or history[-3].train is None or history[-1].train is None:
        return None
    before, now = history[-3].train.failure_rate.upper, history[-1].train.failure_rate.lower
    if of_answers(history):
        before, now = (_estimate(one, "failure_estimate", limits) for one in (history[-3], history[-1]))
    if before is None or now is None or now <= limits.failure_settled or now < before or before >= 1:
        return None
    tokens = sum(one.tokens.get("trained", 0) for one in history[-2:])
    text = f"two rounds and {tokens} trained tokens left the failure rate at {now:.2f} (it was {before:.2f})"
    return Evidence(text, {"failure_before": before, "failure_now": now})


def margin_collapses(history: History, limits: Thresholds) -> Evidence | None:
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


def informative_pairs_vanish(history: History, limits: Thresholds) -> Evidence | None:
    """Of answers: only prompts with two of them move the policy, and their share is at most the mean number of
    different answers to a prompt less one.
    """
    now = history[-1].train.informative_pairs if history[-1].train else None
    answers = history[-1].train.answers if history[-1].train else None
    if answers is not None and answers.distinct is not None and 1 <= answers.distinct < 1 + limits.informative:
        text = f"a prompt's responses have {answers.distinct:.2f} different answers on average"
        return Evidence(text, {"distinct_answers": answers.distinct})
    if now is None or now >= limits.informative:
        return None
    return Evidence(f"only {now:.1%} of the response pairs differ", {"informative_pairs": now})


def modes_drift(history: History, limits: Thresholds) -> Evidence | None:
    """Of answers: only where significantly more majorities were corrupted than learned, as draws near ties move as many
    one way as the other; where no answer is known, from `flip_most` on.
    """
    first, last = history[0].train, history[-1].train
    now = last.mode_drift if last else None
    if last is None or now is None or now <= limits.drift:
        return None
    if last.answers is not None:
        fates = last.fates.get("majority", {})
        lost, won = fates.get("corrupted", 0), fates.get("learned", 0)
        if (lost - won <= limits.accuracy_errors * math.sqrt(lost + won)) if fates else now <= limits.flip_most:
            return None
    values = {"mode_drift": now}
    text = f"{now:.0%} of {_certified_modes(history[0], history[-1])} are not the base model's"
    accuracies = [one.accuracy.mode if one else None for one in (first, last)]
    if accuracies[0] is not None and accuracies[1] is not None:
        values |= {"mode_accuracy_base": accuracies[0], "mode_accuracy_now": accuracies[1]}
        whose = "majorities'" if last.answers else "modes'"
        text += f"; the {whose} accuracy went from {accuracies[0]:.2f} to {accuracies[1]:.2f}"
    return Evidence(text, values)


def modes_flip(history: History, limits: Thresholds) -> Evidence | None:
    """On trained prompts. A few modes that move in the first update and stay are the business of `modes_drift`. Of
    answers: from `flip_most` on, as near ties never settle.
    """
    before, now = (one.train.flips if one.train else None for one in history[-2:])
    settled = (
        limits.flip_most
        if before is None or of_answers(history)
        else min(limits.flip_most, limits.flip_settling * before)
    )
    if now is None or now <= max(limits.flip, settled):
        return None
    text = f"{now:.0%} of {_certified_modes(*history[-2:])} changed in one round"
    if before is None:
        return Evidence(text, {"flips_now": now})
    return Evidence(f"{text}, after {before:.0%} in the one before", {"flips_before": before, "flips_now": now})


def peaked(history: History, limits: Thresholds) -> Evidence | None:
    """Of the gate's score, on the prompts that the gate looks at. Round 00 is the peak where nothing ever rose; of
    answers it is never, as its majorities were chosen by the very draws that give their shares.
    """
    if (kept := kept_scores(history)) is None:
        return None
    split, scores, errors = kept
    compared = scores[1:] if of_answers(history) else scores
    top, now = len(scores) - len(compared) + compared.index(max(compared)), scores[-1]
    # The same prompts at both rounds vary together, so the error of independent ones is on the safe side.
    error = math.hypot(errors[top], errors[-1])
    least = min(limits.peak_fall, limits.peak_share * scores[top])
    if scores[top] - now <= max(least, limits.peak_errors * error):
        return None
    text = (
        f"the mean {score_name(history)} ({split.replace('_', '-')} prompts) was {scores[0]:.2f} at round 00, "
        f"{scores[top]:.2f} at its best (round {top:02d}) and is now {now:.2f} (standard error of the fall {error:.2f})"
    )
    return Evidence(text, {"base": scores[0], "best": scores[top], "now": now, "standard_error": error})


def length_collapses(history: History, limits: Thresholds) -> Evidence | None:
    before, now = (one.train.mean_response_tokens if one.train else None for one in (history[0], history[-1]))
    if not before or now is None or now >= limits.length_share * before:
        return None
    return Evidence(f"mean length fell from {before:.1f} to {now:.1f} tokens", {"base": before, "now": now})


def length_explodes(history: History, limits: Thresholds) -> Evidence | None:
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


def accuracy_falls(history: History, limits: Thresholds) -> Evidence | None:
    """Of answers also of the majorities, whose accuracy exact rounds leave as it is."""
    rewards = [one.train.self_reward_mean if one.train else None for one in (history[0], history[-1])]
    if rewards[0] is None or rewards[1] is None or rewards[1] <= rewards[0]:
        return None
    where, first, now = "held-out", history[0].held_out, history[-1].held_out
    if not (_answered(first) and _answered(now)):
        where, first, now = "trained", history[0].train, history[-1].train
    if first is None or now is None or not (_answered(first) and _answered(now)):
        return None
    for kind in ("sample", "greedy", *(("mode",) if of_answers(history) else ())):
        before, after = getattr(first.accuracy, kind), getattr(now.accuracy, kind)
        if before is None or after is None or not now.prompts:
            continue
        # Prompts, not responses, are the independent units.
        error = math.sqrt((before * (1 - before) + after * (1 - after)) / now.prompts)
        if before - after > max(limits.accuracy_drop, limits.accuracy_errors * error):
            text = (
                f"the mean self-reward rose from {rewards[0]:.2f} to {rewards[1]:.2f} nats while {_KINDS[kind]} "
                f"accuracy on {where} prompts fell from {before:.2f} to {after:.2f} (standard error {error:.2f})"
            )
            return Evidence(text, {"before": before, "now": after, "standard_error": error})
    return None


def one_answer_for_all(history: History, limits: Thresholds) -> Evidence | None:
    before, now = (one.train.commonest_mode_share if one.train else None for one in (history[0], history[-1]))
    if before is None or now is None or now < max(limits.one_answer, 2 * before):
        return None
    what = "majority" if of_answers(history) else "mode"
    text = f"{now:.0%} of the prompts have one and the same {what} (the base model: {before:.0%})"
    return Evidence(text, {"base": before, "now": now})


def rewards_tie(history: History, limits: Thresholds) -> Evidence | None:
    """Silent of answers: responses with one answer have one reward by design."""
    now = history[-1].reward.tied_pairs if history[-1].reward else None
    if now is None or now <= limits.tied or of_answers(history):
        return None
    return Evidence(f"{now:.0%} of the pairs of different responses have the same reward", {"tied_pairs": now})


def kept_scores(history: History) -> tuple[Literal["held_out", "train"], list[float], list[float]] | None:
    """(split, `kept_confidence` of every round, its standard errors, inf where unknown): what the gate compares and
    `peaked` watches. Of trained prompts where held-out ones lack it in some round; None where these do too.
    """
    for name in ("held_out", "train"):
        splits = [one.split(name) for one in history]
        if scores := in_every_round([one and one.kept_confidence for one in splits]):
            errors = [one and one.kept_confidence_se for one in splits]
            return name, scores, [math.inf if error is None else error for error in errors]
    return None


def in_every_round(values: Sequence[float | None]) -> list[float]:
    """The values where every round has one, else none: rounds are compared by one measure or not at all."""
    known = [value for value in values if value is not None]
    return known if len(known) == len(values) else []


def _certified_modes(*rounds: RoundRecord) -> str:
    """What certified modes are called: proved, unless precision widened the brackets, whose ends are then estimates."""
    if of_answers(rounds):
        return "the majorities of samples"
    widened = max(one.numerics.widened if one.numerics else 0.0 for one in rounds)
    return f"the modes certified up to an error of {widened:.2g} nats (an estimate)" if widened else "the proved modes"


def _answered(split: SplitRecord | None) -> bool:
    return split is not None and split.accuracy.sample is not None


def of_answers(history: History) -> bool:
    """Whether the rounds were measured at the level of answers."""
    return any(
        split is not None and split.answers is not None for one in history for split in (one.train, one.held_out)
    )


def score_name(history: History) -> str:
    """What `kept_scores` are means of."""
    return "share of round 00's majorities" if of_answers(history) else "confidence in round 00's modes"


def _estimate(record: RoundRecord, name: str, limits: Thresholds) -> float | None:
    """An estimate from the draws of the trained prompts, where there are enough of them."""
    split = record.train
    if split is None or split.answers is None or (split.prompts or 0) < limits.answer_prompts:
        return None
    return getattr(split.answers, name)


def _log_kappa(record: RoundRecord, limits: Thresholds) -> tuple[float, float] | None:
    """(lower, upper) of log kappa on the trained prompts, both >= 0, the upper > 0; of answers both the estimate."""
    if record.train is not None and record.train.answers is not None:
        known = _estimate(record, "kappa_estimate", limits)
        return None if known is None else (math.log(known), max(1e-12, math.log(known)))
    ends = record.train.log_kappa if record.train else None
    if ends is None or ends.lower is None or ends.upper is None:
        return None
    return max(0.0, ends.lower), max(1e-12, ends.upper)


def _kappa_text(log_kappa: float) -> str:
    kappa = from_log(log_kappa)
    return f"e^{log_kappa:.0f}" if kappa is None else f"{kappa:.3g}"
