"""From draws to majorities: counts of answers, their certificates (P11), and what the responses seen prove (P10).

Knows: which draws count, and which answers were named beforehand. Refuses to know: formulas of its own, how answers
are read, who drew.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from srlm import theory
from srlm.records.answers import Majority
from srlm.records.responses import Rollout

CONFIDENCE = 0.95
# A certain part below this makes of "no upper end" a number that nobody can use.
_NEGLIGIBLE = 1e-3


def answers_of(rollout: Rollout) -> list[str]:
    """The answers of a rollout's samples in the order of drawing, those without one left out."""
    return [one.answer for one in rollout.responses if one.answer is not None]


def leader(rollout: Rollout) -> str | None:
    """The answer drawn most often, of equals the one found first; None where no sample has one."""
    counts = Counter(answers_of(rollout))
    return max(counts, key=counts.__getitem__) if counts else None


def named_beforehand(rollout: Rollout, previous: Rollout | None = None) -> list[str]:
    """Answers that may take the first numbers of P11, because nothing drawn now chose them: the majority of the round
    before, then greedy decoding's answer.
    """
    first = None if previous is None else leader(previous)
    greedy = None if rollout.greedy is None else rollout.greedy.answer
    return list(dict.fromkeys(one for one in (first, greedy) if one is not None))


def majorities(
    rollouts: Sequence[Rollout], previous: Sequence[Rollout] | None = None, confidence: float = CONFIDENCE
) -> list[Majority]:
    """What the draws at every prompt say of its likeliest answer.

    Args:
        previous: what was drawn there at the round before.
        confidence: in (0, 1), of all ends at once, and of the list of certified prompts.
    """
    if not rollouts:
        return []
    alpha = 1 - confidence
    draws = [answers_of(one) for one in rollouts]
    before = [None] * len(rollouts) if previous is None else previous
    named = [named_beforehand(*pair) for pair in zip(rollouts, before, strict=True)]
    found = theory.majorities(draws, alpha / len(rollouts), named)
    listed = theory.certified_prompts([one.log_evidence for one in found], alpha)
    told = zip(rollouts, draws, found, listed.tolist(), strict=True)
    return [_with_known(_majority(rollout, answers, one, certain), rollout) for rollout, answers, one, certain in told]


def settled(
    rollouts: Sequence[Rollout], previous: Sequence[Rollout | None], confidence: float, prompts: int
) -> list[bool]:
    """Whether a majority is certified at alpha/P, or proved: further draws at that prompt would add nothing. P counts
    all prompts, rollouts are those drawn so far at some, `previous` those of the round before, confidence is 1 - alpha.
    """
    enough = -np.log((1 - confidence) / prompts)
    pairs = list(zip(rollouts, previous, strict=True))
    return [
        theory.majority_evidence(answers_of(one), named_beforehand(one, before)) >= enough
        or (all(each.complete is not None for each in one.responses) and _known(one).proved)
        for one, before in pairs
    ]


def _majority(rollout: Rollout, answers: Sequence[str], found: theory.Majority, certified: bool) -> Majority:
    counts = tuple(Counter(answers).most_common())
    first = next((one for one in rollout.responses if counts and one.answer == counts[0][0]), None)
    with np.errstate(divide="ignore"):
        lower, upper = np.log([found.lower, found.upper]).tolist()
    right, draws = None if first is None else first.correct, len(rollout.responses)
    return Majority(counts, draws, lower, upper, found.log_evidence, certified, correct=right)


def _with_known(one: Majority, rollout: Rollout) -> Majority:
    """With the certain part where it is the narrower one; where a certificate contradicts it, the certificate erred."""
    if not rollout.responses or any(each.complete is None for each in rollout.responses):
        return one  # texts alone prove nothing
    known = _known(rollout)
    if known.lower < _NEGLIGIBLE:
        return one
    with np.errstate(divide="ignore"):
        lower, upper = np.log([known.lower, known.upper]).tolist()
    low, high = max(one.log_lower, lower), min(one.log_upper, upper)
    if low > high:
        low, high = lower, upper
    return replace(one, log_lower=low, log_upper=high, proved=known.proved, certified=one.certified or known.proved)


def _known(rollout: Rollout) -> theory.KnownAnswers:
    """What the different responses drawn prove; of another answer than the one drawn most often, nothing."""
    distinct = {one.tokens: one for one in rollout.responses}
    names = {answer: at for at, answer in enumerate(dict.fromkeys(answers_of(rollout)))}
    logs = np.array([one.logprob for one in distinct.values()])
    logs -= max(0.0, float(theory.log_mass(logs)))  # rounding of a policy that is nearly certain
    numbers = [-1 if one.answer is None else names[one.answer] for one in distinct.values()]
    known = theory.known_answers(logs, np.array(numbers, dtype=np.intp))
    return known._replace(proved=known.proved and known.leader == names.get(leader(rollout) or "", -1))
