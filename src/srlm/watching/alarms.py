"""Alarms: what each means and advises, and the sequential test behind it.

Knows: levels of the prompts of a step beside what was expected of them. A test bets on harm: e_t = prod(1 + b*d) over
the step's differences d, fair or losing where the mean of d is not positive, and M_t = e_t*max(1, M_{t-1}) (CUSUM; an
e-detector, arXiv 2203.03532) has E M_t <= t there: the mean number of steps before a false alarm is at least the
threshold, however often one looks. That holds where a step's prompts are independent; the rates printed beside an
alarm are measured (`benchmarks/alarms.py`), not that bound. Refuses to know: prompts, texts, trainers.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

THRESHOLD = 1000.0
# At which harm makes an alarm of what is otherwise a note.
WITH_HARM = 100.0
# Steps of silence after an alarm.
REST = 50
# A step counts for at most so many independent prompts: one update moves them together. A power below 1 of a fair
# bet is still a fair one.
_INDEPENDENT = 16
_PAIRED = (0.1, 0.25, 0.5)
_RATE = (0.15, 0.3, 0.6)
HARM = ("corrupted_grow", "majority_wrong", "accuracy_falls", "majorities_flip")


@dataclass(frozen=True, slots=True)
class Definition:
    """How one alarm is defined, tested and answered.

    Attributes:
        definition, advice: a sentence each.
        what: of what the evidence gives two numbers.
        bets: stakes of the test, which are averaged; of a rate in units of 1 over the rate expected at most.
        labels: whether it needs known answers.
        with_harm: a note, and an alarm only together with one of `HARM`.
    """

    definition: str
    advice: str
    what: str
    bets: tuple[float, ...] = _PAIRED
    labels: bool = False
    with_harm: bool = False


@dataclass(frozen=True, slots=True)
class Rate:
    """A rate with the ends of its 95 % interval."""

    value: float
    lower: float
    upper: float


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something that goes wrong, at one step.

    Attributes:
        signature: its key in `ALARMS`.
        step: at which it was raised.
        evidence: what was seen, in a sentence; `values`: the same numbers.
        advice: what to do about it.
        false_alarms_per_1000_steps: measured on healthy runs; None where nobody measured.
    """

    signature: str
    step: int
    evidence: str
    values: Mapping[str, float]
    advice: str
    false_alarms_per_1000_steps: Rate | None = None

    def to_document(self) -> dict[str, Any]:
        """As JSON values."""
        rate = self.false_alarms_per_1000_steps
        return {
            "signature": self.signature,
            "definition": ALARMS[self.signature].definition,
            "step": self.step,
            "evidence": self.evidence,
            "values": dict(self.values),
            "advice": self.advice,
            "false_alarms_per_1000_steps": rate and {"value": rate.value, "lower": rate.lower, "upper": rate.upper},
        }


@dataclass(slots=True)
class Test:
    """The running test of one definition.

    Attributes:
        bets: stakes.
        sums: M_t of each.
        start: the step at which the present excursion began.
        count, expected, seen: of its differences: how many, and the sums of both sides.
    """

    bets: tuple[float, ...]
    sums: list[float] = field(default_factory=list)
    start: int = 0
    count: int = 0
    expected: float = 0.0
    seen: float = 0.0

    def rate(self, step: int, most: float, seen: Sequence[float]) -> None:
        """Bet on one step's values in [0, 1], whose mean is at most `most` unless there is harm."""
        self.take(step, [(most, one) for one in seen], 1 / most)

    def take(self, step: int, pairs: Sequence[tuple[float, float]], unit: float = 1.0) -> None:
        """Bet on one step's pairs (expected, seen), stakes in this unit."""
        if not pairs:
            return
        self.sums = self.sums or [1.0] * len(self.bets)
        power = min(1.0, _INDEPENDENT / len(pairs))
        fairs = (math.prod(1 + unit * bet * (now - then) for then, now in pairs) ** power for bet in self.bets)
        if self.statistic <= 1:
            self.start, self.count, self.expected, self.seen = step, 0, 0.0, 0.0
        self.sums = [fair * max(1.0, before) for fair, before in zip(fairs, self.sums, strict=True)]
        self.count += len(pairs)
        self.expected += math.fsum(then for then, _ in pairs)
        self.seen += math.fsum(now for _, now in pairs)

    @property
    def statistic(self) -> float:
        """M_t, the mean over stakes."""
        return sum(self.sums) / len(self.sums) if self.sums else 0.0

    def restart(self) -> None:
        """Forget everything."""
        self.sums = []


ALARMS: dict[str, Definition] = {
    "corrupted_grow": Definition(
        "Majorities that were right become wrong, more than wrong ones become right.",
        "The reward pays for wrong answers: stop, go back to the best step, and look at the prompts listed as "
        "corrupted; raise beta or lower the learning rate before going on.",
        "the share of wrong majorities",
        labels=True,
    ),
    "majority_wrong": Definition(
        "Wrong majorities grow faster than right ones: training makes the model surer of errors than of truths.",
        "Votes and self-rewards amplify errors here: stop, and use known answers or another reward.",
        "the lead of wrong majorities over right ones (0: all right, 1: all wrong)",
        labels=True,
    ),
    "accuracy_falls": Definition(
        "The share of right completions falls at the same prompts.",
        "Go back to the best step; lower the learning rate, or raise beta.",
        "the share of wrong completions",
        labels=True,
    ),
    "reward_rises_accuracy_falls": Definition(
        "The reward rises while the share of right completions falls: the reward is being gamed.",
        "Stop: the reward pays for something else than right answers. Read the completions with the highest reward.",
        "the share of wrong completions",
        labels=True,
    ),
    "majorities_flip": Definition(
        "Majorities keep moving, further than draws move them and not to right answers, instead of settling (flip "
        "rate, arXiv 2605.19444). Where no answers are known, only moves after a prompt's first one count.",
        "The update or the reward pushes at random: lower the learning rate, raise beta, or use a steadier reward.",
        "the share of visits at which the majority moved",
        _RATE,
    ),
    "one_answer": Definition(
        "One and the same answer is the majority of most prompts.",
        "The policy has collapsed: go back to the best step, lower the learning rate, raise beta.",
        "the share of prompts with the commonest majority",
        _RATE,
    ),
    "length_collapses": Definition(
        "Completions shrink below a third of their length at the start.",
        "Look at what the reward pays for: a length-normalised reward, or a larger beta, stops it.",
        "the share of prompts with completions below a third of their first length",
        _RATE,
    ),
    "length_explodes": Definition(
        "Completions grow beyond three times their length at the start.",
        "The reward pays for length: cap or normalise it.",
        "the share of prompts with completions beyond three times their first length",
        _RATE,
    ),
    "truncation": Definition(
        "Ever more completions are cut at the longest length.",
        "Cut completions have no answer and a reward of chance: allow more tokens, or leave them out of the loss.",
        "the share of cut completions",
        _RATE,
    ),
    "mismatch": Definition(
        "Sampler and trainer disagree about log-probabilities, beyond 0.3 nats a token, or 0.05 and three times the "
        "start's.",
        "The gradient is that of another policy: use the same precision in both, or importance weights.",
        "the share of steps with such a difference",
        _RATE,
    ),
    "answers_narrow": Definition(
        "Answers narrow while harm is done. Becoming surer alone is what success looks like, and a note.",
        "Raise beta or the entropy bonus, sample more completions, or go back to the best step.",
        "the share of repeated answers",
        with_harm=True,
    ),
    "zero_variance": Definition(
        "Most prompts give all completions one reward while harm is done. Alone a note: nothing is left to learn.",
        "Such groups have no gradient: what still moves the policy is a few prompts. Use harder prompts, or more "
        "completions.",
        "the share of prompts whose completions all have one reward",
        _RATE,
        with_harm=True,
    ),
    "entropy_collapses": Definition(
        "The entropy falls below a quarter of the start's while harm is done. Alone a note.",
        "Raise the temperature, the clip's upper end or beta, or go back to the best step.",
        "the share of steps with such an entropy",
        _RATE,
        with_harm=True,
    ),
}


@cache
def measured() -> dict[str, dict[str, Any]]:
    """What `benchmarks/alarms.py` measured, by signature."""
    path = files("srlm.watching") / "measured.json"
    return json.loads(path.read_text(encoding="utf-8"))["alarms"] if path.is_file() else {}


def alarm(name: str, step: int, test: Test, beside: Mapping[str, float]) -> Alarm:
    """The alarm that a test raises; `beside`: what else is worth telling."""
    one, rate = ALARMS[name], measured().get(name, {}).get("false_alarms_per_1000_steps")
    before, now = test.expected / test.count, test.seen / test.count
    text = f"from step {test.start} to {step}, {one.what} was {now:.2f}, not {before:.2f} ({test.count} visits)"
    if beside:
        text += "; " + ", ".join(f"{what.replace('_', ' ')} {value:.2f}" for what, value in beside.items())
    values = {"expected": before, "seen": now, "visits": float(test.count), **beside}
    return Alarm(name, step, text, values, one.advice, rate and Rate(*rate))
