"""What draws say of the answers to a prompt: one value a prompt while measuring, one record a split on disk.

Knows: counts of canonical answers, ends with their confidence. Refuses to know: how an answer is read out of a text,
where ends come from. Majorities are certified at a confidence, never proved, but where `proved` says so.
"""

import math
from dataclasses import dataclass

from pydantic import Field

from srlm.records.bracket import Interval, Number, Record, Share


@dataclass(frozen=True, slots=True)
class Majority:
    """What draws say of the likeliest answer to one prompt. All is conditional on having an answer (P10).

    Attributes:
        counts: answers with how often each was drawn, most often first, of equals the one found first.
        draws: responses drawn, those without an answer among them.
        log_lower, log_upper: ends of log max_a pi_A(a|x) (nats, at most 0), which hold at all prompts of the round at
            once at its confidence; -inf where no answer was drawn twice.
        log_evidence: log(E/D) for the leader (P11 i); a certificate at level alpha is >= log(1/alpha).
        certified: the leader is certified together with the others at the round's confidence (e-BH), or proved.
        proved: the responses seen prove the leader: nothing else can be as likely.
        correct: whether the leader is right; None where no answer is known, or none was drawn.
    """

    counts: tuple[tuple[str, int], ...]
    draws: int
    log_lower: float = -math.inf
    log_upper: float = 0.0
    log_evidence: float = -math.inf
    certified: bool = False
    proved: bool = False
    correct: bool | None = None

    @property
    def leader(self) -> str | None:
        """The answer drawn most often; None where no response had one."""
        return self.counts[0][0] if self.counts else None

    @property
    def parsed(self) -> int:
        """Responses with an answer."""
        return sum(count for _, count in self.counts)

    @property
    def law(self) -> list[float]:
        """Every answer's share of the responses with an answer, in the order of `counts`."""
        return [count / self.parsed for _, count in self.counts]

    @property
    def share(self) -> float | None:
        """The leader's share of the responses with an answer: an estimate of its probability, biased upwards."""
        return self.counts[0][1] / self.parsed if self.counts else None

    @property
    def lead(self) -> float | None:
        """log of the leader's count over the second answer's (nats), an estimate of the margin gamma_A; inf without a
        second one, None without any.
        """
        if not self.counts:
            return None
        return math.inf if len(self.counts) == 1 else math.log(self.counts[0][1] / self.counts[1][1])


class AnswersRecord(Record):
    """What one split's draws say of its answers at one round. Estimates are plug-in values of the counts.

    Attributes:
        confidence: at which all brackets of the round hold at once, prompt by prompt, and the list of certified
            prompts is right in expectation (e-BH).
        draws: responses drawn in all.
        budget: what a fixed number at every prompt would have drawn; None where just that was done.
        unparseable_share: of responses, without an answer; they are left out of everything else.
        kappa_estimate: mean of 1/share of the majority, kappa_A's estimate; it is biased towards 1.
        failure_estimate: share of prompts whose majority has at most 1 - delta of the answers.
        median_lead: median log-ratio of the two commonest answers' counts (nats); None: infinite at half the prompts.
        certified, proved: prompts whose majority is certified, and of these proved by the responses seen.
        certified_accuracy: share of right majorities among the certified; None where no answer is known.
        certified_interval: of it, over prompts of the same kind.
        distinct: mean number of different answers to a prompt.
        entropy: mean entropy of a prompt's answers (nats), plug-in.
        entropy_within: mean entropy of the response given its answer (nats): the diversity of the reasoning.
        calibration_error: expected calibration error of the answers' shares as probabilities of being right.
    """

    confidence: Share
    draws: int
    budget: int | None = None
    unparseable_share: Share
    kappa_estimate: Number | None = None
    failure_estimate: Share | None = None
    median_lead: Number | None = None
    certified: int = Field(default=0, ge=0)
    proved: int = Field(default=0, ge=0)
    certified_accuracy: Share | None = None
    certified_interval: Interval | None = None
    distinct: Number | None = None
    entropy: Number | None = None
    entropy_within: Number | None = None
    calibration_error: Share | None = None
