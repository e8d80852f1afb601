"""The door of the floor: steps go in, facts, notes, alarms and the records of windows of steps come out.

Knows: groups, what was remembered of their prompts, certificates (P11). Refuses to know: formats, trainers, models.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from srlm import theory
from srlm.errors import InputError
from srlm.measure.majorities import CONFIDENCE
from srlm.records.options import option, problems
from srlm.records.rounds import RoundRecord
from srlm.watching.alarms import ALARMS, Alarm
from srlm.watching.groups import Group, joined, mean
from srlm.watching.harm import Harm, Pairs
from srlm.watching.memory import Memory, beyond_noise, key, levels_of, number_of
from srlm.watching.windows import Windows


@dataclass(frozen=True, slots=True)
class WatchSettings:
    """Settings of a watcher."""

    confidence: float = option(CONFIDENCE, "of the list of certified majorities", above=0, below=1)
    prompts: int = option(1_000_000, "prompts remembered; beyond that a sample of them, chosen by hash", low=1)
    windows: int = option(16, "windows of steps that become the rounds of a page, at most", low=2)
    shown: int = option(2048, "prompts of a window that are measured as a round, at most", low=1)
    length_unit: str = option("tokens", "what lengths are counted in")

    def __post_init__(self) -> None:
        if wrong := problems(self):
            raise InputError(wrong)


class Watcher:
    """Watches one run.

    Attributes:
        facts: measurements of the last step, by name.
        alarms: all that were raised.
        memory, windows, harm: of prompts, of steps, and the tests.
    """

    def __init__(self, settings: WatchSettings | None = None) -> None:
        self.settings = settings or WatchSettings()
        self.facts: dict[str, float] = {}
        self.alarms: list[Alarm] = []
        self.last_step = -1
        self.memory = Memory(self.settings.prompts)
        self.windows = Windows(self.settings.windows, self.settings.shown, self.settings.confidence)
        self.harm = Harm()

    def step(self, number: int, groups: Sequence[Group], metrics: Mapping[str, float] = {}) -> tuple[Alarm, ...]:
        """Take in one step.

        Args:
            number: of the step; may not go backwards.
            groups: the completions of each prompt; those of one prompt are joined.
            metrics: what the trainer measured: `reward`, `zero_variance` (where the groups have no rewards), `entropy`
                and `mismatch` (nats a token) are used.

        Returns:
            The alarms raised at it.

        Raises:
            InputError: the step goes backwards.
        """
        if number < self.last_step:
            raise InputError(f"step {number} comes after step {self.last_step}; give the steps in order")
        self.last_step = number
        groups = [one for one in joined(groups) if one.answers]
        if not groups:
            return ()
        numbers = [number_of(one.prompt) for one in groups]
        pairs = [(one, self.memory.last(at)) for one, at in zip(groups, numbers, strict=True)]
        moved = [then is not None and beyond_noise(one, then) for one, then in pairs]
        levels = [levels_of(one) for one in groups]
        self.facts = self._measured(pairs, metrics)
        self.harm.take(number, pairs, levels, moved, self.facts)
        for at, one, of, went in zip(numbers, groups, levels, moved, strict=True):
            self.memory.take(at, one, of, went)
        self.windows.add(number, dict(zip(numbers, groups, strict=True)))
        fired = self.harm.raised(number, self.facts)
        self.alarms += fired
        return fired

    @property
    def notes(self) -> list[str]:
        """What is worth knowing beside alarms, a sentence each."""
        notes = [*self.harm.notes.values(), *self.windows.notes]
        if self.memory.sampled:
            notes.append(
                f"there are more than {self.memory.limit} different prompts: history is kept for a sample of them, "
                "chosen by hash"
            )
        if self.facts and self.harm.levels[0] is None:
            silent = ", ".join(name for name, one in ALARMS.items() if one.labels)
            notes.append(f"no answers are known, so these alarms are silent: {silent}")
        return notes

    @property
    def score(self) -> float | None:
        """How good the policy is by its answers: the running accuracy; without known answers the last step is the best.
        None where a test shows signs of harm.
        """
        if not self.harm.calm:
            return None
        error = self.harm.levels[2]
        return float(self.last_step) if error is None else 1 - error

    def rounds(self) -> list[RoundRecord]:
        """Windows of steps as the rounds of a run directory."""
        return self.windows.records()

    def _measured(self, pairs: Pairs, metrics: Mapping[str, float]) -> dict[str, float]:
        """The step's numbers; what is unknown is left out."""
        groups, answered = [one for one, _ in pairs], [(one, then) for one, then in pairs if one.counts]
        shares = [one.counts[0][1] / one.parsed for one, _ in answered]
        completions = sum(len(one.answers) for one in groups)
        draws = [[key(each) for each in one.answers if each is not None] for one, _ in answered]
        # The majority of the last visit is the candidate named beforehand.
        named = [[] if then is None or then.last is None else [then.last] for _, then in answered]
        evidence = theory.majority_evidences(draws, named) if draws else []
        seen = [(one, then) for one, then in answered if then is not None and then.last is not None]
        fates = [(then.first_correct, one.leader_correct) for one, then in seen]
        known = [(before, now) for before, now in fates if before is not None and now is not None]
        leaders = Counter(key(one.leader) for one, _ in answered)
        rewarded = [one.rewards for one in groups if one.rewards]
        facts = {
            "prompts": len(groups),
            "completions": completions,
            "unreadable_share": 1 - sum(one.parsed for one in groups) / completions,
            "majority_share": mean(shares),
            "majority_margin": mean([_margin(one) for one, _ in answered]),
            "kappa_estimate": mean([1 / share for share in shares]),
            "certified": int(theory.certified_prompts(evidence, 1 - self.settings.confidence).sum()),
            "flips": mean([key(one.leader) != then.last for one, then in seen]),
            "corrupted": mean([before and not now for before, now in known]),
            "learned": mean([now and not before for before, now in known]),
            "distinct_answers": mean([len(one.counts) for one in groups]),
            "commonest_majority": max(leaders.values()) / len(answered) if answered else None,
            "length": mean([length for one in groups for length in one.lengths]),
            "cut_share": mean([each for one in groups for each in one.cut if each is not None]),
            "zero_variance": mean([min(some) == max(some) for some in rewarded]),
            "reward": mean([each for some in rewarded for each in some]),
            "accuracy": mean([one.accuracy for one in groups if one.accuracy is not None]),
            "label_accuracy": mean([one.leader_correct for one in groups if one.leader_correct is not None]),
            "mismatch": mean([one.mismatch for one in groups if one.mismatch is not None]),
            "entropy": mean([one.entropy for one in groups if one.entropy is not None]),
        }
        told = {name: metrics.get(name) if value is None else value for name, value in facts.items()}
        return {name: float(value) for name, value in told.items() if value is not None and math.isfinite(value)}


def _margin(one: Group) -> float:
    """Lead of the majority's share over the second answer's."""
    return (one.counts[0][1] - (one.counts[1][1] if len(one.counts) > 1 else 0)) / one.parsed
