"""The door of the floor: steps go in, facts, notes, alarms and the records of windows of steps come out.

Knows: groups, what was remembered of their prompts, certificates (P11). Refuses to know: formats, trainers, models.
"""

import math
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from srlm import theory
from srlm.errors import InputError
from srlm.measure.majorities import CONFIDENCE
from srlm.records.options import option, problems
from srlm.records.rounds import RoundRecord
from srlm.watching.alarms import ALARMS, HARM, REST, THRESHOLD, WITH_HARM, Alarm, Test, alarm
from srlm.watching.groups import Group, joined
from srlm.watching.memory import LEVELS, Memory, Visit, beyond_noise, key, levels_of, number_of
from srlm.watching.windows import Windows

_LEADERS = 64  # majorities among which the commonest is looked for
_ONE_FOR_ALL = 0.6  # share of one answer at the start from which on no alarm is raised about it
_FLIPS = 0.1  # share of visits at which draws alone may seem to move a majority
_OF_RUN = 0.1  # weight of the newest step in the levels that stand for prompts never seen before


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
        memory, windows: of prompts, and of steps.
    """

    def __init__(self, settings: WatchSettings | None = None) -> None:
        self.settings = settings or WatchSettings()
        self.facts: dict[str, float] = {}
        self.alarms: list[Alarm] = []
        self.last_step = -1
        self._notes: dict[str, str] = {}
        self.memory = Memory(self.settings.prompts)
        self.windows = Windows(self.settings.windows, self.settings.shown, self.settings.confidence)
        self._tests = {name: Test(one.bets) for name, one in ALARMS.items()}
        self._rising = Test(ALARMS["accuracy_falls"].bets)
        self._quiet_until = dict.fromkeys(ALARMS, -1)
        self._run_levels: tuple[float | None, ...] = (None,) * len(LEVELS)
        self._rewards = math.inf, -math.inf
        self._leaders: deque[str] = deque(maxlen=_LEADERS)
        self._first_leaders: list[str] = []
        self._lengths: list[float] = []
        self._cuts: list[float] = []
        self._base: dict[str, list[float]] = {}

    def step(self, number: int, groups: Sequence[Group], metrics: Mapping[str, float] = {}) -> tuple[Alarm, ...]:
        """Take in one step.

        Args:
            number: of the step; may not go backwards.
            groups: the completions of each prompt; those of one prompt are joined.
            metrics: what the trainer measured: `entropy`, `mismatch` (nats a token) are used where there.

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
            self._note("empty", f"step {number} has no completions")
            return ()
        numbers = [number_of(one.prompt) for one in groups]
        visits = [self.memory.last(at) for at in numbers]
        moved = [then is not None and beyond_noise(one, then) for one, then in zip(groups, visits, strict=True)]
        self.facts = self._measured(groups, visits, metrics)
        self._test(number, groups, visits, moved)
        self._remember(groups, numbers, moved)
        self.windows.add(number, dict(zip(numbers, groups, strict=True)))
        fired = self._raised(number)
        self.alarms += fired
        return fired

    @property
    def notes(self) -> list[str]:
        """What is worth knowing beside alarms, a sentence each."""
        more = dict(self._notes)
        if self.memory.sampled:
            more["sampled"] = (
                f"there are more than {self.memory.limit} different prompts: history is kept for a sample of them, "
                "chosen by hash"
            )
        if self.facts and "label_accuracy" not in self.facts and self._run_levels[0] is None:
            silent = ", ".join(name for name, one in ALARMS.items() if one.labels)
            more["labels"] = f"no answers are known, so these alarms are silent: {silent}"
        return [*more.values(), *self.windows.notes]

    def rounds(self) -> list[RoundRecord]:
        """Windows of steps as the rounds of a run directory."""
        return self.windows.records()

    def _note(self, name: str, text: str) -> None:
        self._notes.setdefault(name, text)

    def _measured(
        self, groups: Sequence[Group], visits: Sequence[Visit | None], metrics: Mapping[str, float]
    ) -> dict[str, float]:
        """The step's numbers; what is unknown is left out."""
        answered = [(one, then) for one, then in zip(groups, visits, strict=True) if one.counts]
        shares = [one.counts[0][1] / sum(count for _, count in one.counts) for one, _ in answered]
        completions = sum(len(one.answers) for one in groups)
        evidence = [_evidence(*pair) for pair in answered]
        certified = theory.certified_prompts(evidence, 1 - self.settings.confidence) if evidence else np.zeros(0)
        seen = [(one, then) for one, then in answered if then is not None and then.last is not None]
        fates = [
            (then.first_correct, one.leader_correct)
            for one, then in seen
            if None not in (then.first_correct, one.leader_correct)
        ]
        lengths = [length for one in groups for length in one.lengths]
        cut = [each for one in groups for each in one.cut if each is not None]
        leaders = Counter(key(one.leader) for one, _ in answered)
        rewarded = [one.rewards for one in groups if one.rewards]
        known = {
            "prompts": len(groups),
            "completions": completions,
            "unreadable_share": 1 - sum(count for one in groups for _, count in one.counts) / completions,
            "majority_share": _mean(shares),
            "majority_margin": _mean([_margin(one) for one, _ in answered]),
            "kappa_estimate": _mean([1 / share for share in shares]),
            "certified": int(certified.sum()),
            "flips": _mean([key(one.leader) != then.last for one, then in seen]),
            "corrupted": _mean([bool(before) and not now for before, now in fates]),
            "learned": _mean([bool(now) and not before for before, now in fates]),
            "distinct_answers": _mean([len(one.counts) for one in groups]),
            "commonest_majority": max(leaders.values()) / len(answered) if answered else None,
            "length": _mean(lengths),
            "cut_share": _mean(cut),
            "zero_variance": _mean([min(some) == max(some) for some in rewarded]),
            "reward": _mean([each for some in rewarded for each in some]),
            "accuracy": _mean([one.accuracy for one in groups if one.accuracy is not None]),
            "label_accuracy": _mean([one.leader_correct for one in groups if one.leader_correct is not None]),
            "mismatch": metrics.get("mismatch", _mean([one.mismatch for one in groups if one.mismatch is not None])),
            "entropy": metrics.get("entropy", _mean([one.entropy for one in groups if one.entropy is not None])),
        }
        return {name: float(value) for name, value in known.items() if value is not None and math.isfinite(value)}

    def _test(self, step: int, groups: Sequence[Group], visits: Sequence[Visit | None], moved: Sequence[bool]) -> None:
        tests, levels = self._tests, [levels_of(one) for one in groups]
        for name, at in (("corrupted_grow", 0), ("majority_wrong", 1), ("accuracy_falls", 2), ("answers_narrow", 3)):
            tests[name].take(step, self._pairs(levels, visits, at))
        for one in groups:
            if one.rewards:
                self._rewards = min(self._rewards[0], *one.rewards), max(self._rewards[1], *one.rewards)
        low, high = self._rewards
        if high > low:
            scaled = [
                ((then - low) / (high - low), (now - low) / (high - low))
                for then, now in self._pairs(levels, visits, 4)
            ]
            self._rising.take(step, scaled)
        pairs = list(zip(groups, visits, strict=True))
        flips = [
            went and one.leader_correct is not True and (one.leader_correct is not None or then.moves > 0)
            for (one, then), went in zip(pairs, moved, strict=True)
            if then is not None
        ]
        tests["majorities_flip"].rate(step, _FLIPS, flips)
        names = [key(one.leader) for one in groups]
        if self._leaders and len(self.memory) >= 8:
            commonest = Counter(self._leaders).most_common(1)[0][0]
            base = self._first_leaders.count(commonest) / len(self._first_leaders)
            if base < _ONE_FOR_ALL:  # else it is what the prompts ask for
                tests["one_answer"].rate(step, max(0.3, 1.5 * base), [one == commonest for one in names if one])
        self._lengths_and_cuts(step, pairs)
        rewarded = [one.rewards for one in groups if one.rewards and len(one.rewards) > 1]
        tests["zero_variance"].rate(step, 0.8, [min(some) == max(some) for some in rewarded])
        entropy, mismatch = self.facts.get("entropy"), self.facts.get("mismatch")
        if entropy is not None and (base := self._at_start("entropy", entropy)) is not None:
            tests["entropy_collapses"].rate(step, 0.3, [entropy < 0.25 * base])
        if mismatch is not None:
            base = self._at_start("mismatch", mismatch)
            far = mismatch > 0.3 or (base is not None and mismatch > max(0.05, 3 * base))
            tests["mismatch"].rate(step, 0.1, [far])

    def _lengths_and_cuts(self, step: int, pairs: Sequence[tuple[Group, Visit | None]]) -> None:
        start = _mean(self._lengths) if len(self._lengths) >= 8 else None
        means = [_mean(one.lengths) for one, _ in pairs]
        firsts = [start if then is None else then.first_length for _, then in pairs]
        ratios = [now / first for now, first in zip(means, firsts, strict=True) if now is not None and first]
        self._tests["length_collapses"].rate(step, 0.3, [ratio < 1 / 3 for ratio in ratios])
        self._tests["length_explodes"].rate(step, 0.3, [ratio > 3 for ratio in ratios])
        cuts = [_mean([each for each in one.cut if each is not None]) for one, _ in pairs]
        base = _mean(self._cuts) if len(self._cuts) >= 8 else None
        if base is not None:
            self._tests["truncation"].rate(step, min(0.95, base + 0.3), [now for now in cuts if now is not None])
        if len(self._lengths) < _LEADERS:
            new = [then is None for _, then in pairs]
            self._lengths += [now for now, first in zip(means, new, strict=True) if first and now is not None]
            self._cuts += [now for now, first in zip(cuts, new, strict=True) if first and now is not None]

    def _pairs(
        self, levels: Sequence[tuple[float | None, ...]], visits: Sequence[Visit | None], at: int
    ) -> list[tuple[float, float]]:
        """(expected, seen) of one level: by the prompt's own visits, else by the run's."""
        pairs = []
        for now, then in zip(levels, visits, strict=True):
            expected, seen = (self._run_levels if then is None else then.levels)[at], now[at]
            if expected is not None and seen is not None:
                pairs.append((expected, seen))
        return pairs

    def _at_start(self, name: str, value: float) -> float | None:
        """The mean of the first five values, None before there are so many."""
        first = self._base.setdefault(name, [])
        if len(first) < 5:
            first.append(value)
            return None
        return sum(first) / len(first)

    def _remember(self, groups: Sequence[Group], numbers: Sequence[int], moved: Sequence[bool]) -> None:
        for at, one, went in zip(numbers, groups, moved, strict=True):
            self.memory.take(at, one, went)
        means = [_mean([now for now in of if now is not None]) for of in zip(*map(levels_of, groups), strict=True)]
        self._run_levels = tuple(
            now if then is None else then if now is None else then + _OF_RUN * (now - then)
            for then, now in zip(self._run_levels, means, strict=True)
        )
        leaders = [name for one in groups if (name := key(one.leader)) is not None]
        self._leaders += leaders
        if len(self._first_leaders) < _LEADERS:
            self._first_leaders += leaders

    def _raised(self, step: int) -> tuple[Alarm, ...]:
        harm = max(self._tests[name].statistic for name in HARM)
        beside = {name: self.facts[name] for name in ("accuracy", "reward", "corrupted", "flips") if name in self.facts}
        fired = []
        for name, one in ALARMS.items():
            test = self._tests[name]
            if name == "reward_rises_accuracy_falls":
                test = self._tests["accuracy_falls"]
                if min(test.statistic, self._rising.statistic) < WITH_HARM or step <= self._quiet_until[name]:
                    continue
                fired.append(alarm(name, step, test, beside))
                self._quiet_until[name] = step + REST
                continue
            if test.statistic < THRESHOLD or step <= self._quiet_until[name]:
                continue
            if one.with_harm and harm < WITH_HARM:
                self._note(name, f"at step {step}: " + alarm(name, step, test, {}).evidence)
                continue
            fired.append(alarm(name, step, test, beside))
            self._quiet_until[name] = step + REST
            test.restart()
        return tuple(fired)


def _evidence(one: Group, then: Visit | None) -> float:
    """log(E/D) of the majority, the last visit's named beforehand (P11)."""
    named = [] if then is None or then.last is None else [then.last]
    return theory.majority_evidence([key(each) for each in one.answers if each is not None], named)


def _margin(one: Group) -> float:
    """Lead of the majority's share over the second answer's."""
    parsed = sum(count for _, count in one.counts)
    return (one.counts[0][1] - (one.counts[1][1] if len(one.counts) > 1 else 0)) / parsed


def _mean(values: Sequence[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None
