"""Which differences each alarm bets on, step after step.

Knows: groups, what was remembered of their prompts, the step's facts. What is expected of a prompt is the running mean
of its visits; of one never seen before, the run's. Refuses to know: how a bet is paid (`alarms`), formats, trainers.
"""

import math
from collections import Counter, deque
from collections.abc import Mapping, Sequence

from srlm.watching.alarms import ALARMS, HARM, REST, THRESHOLD, WITH_HARM, Alarm, Test, alarm
from srlm.watching.groups import Group, mean
from srlm.watching.memory import LEVELS, Levels, Visit, key, newer

_RECENT = 64  # majorities among which the commonest is looked for, and first visits that say what is usual
_ONE_FOR_ALL = 0.6  # share of one answer at the start from which on no alarm is raised about it
_FLIPS = 0.1  # share of visits at which draws alone may seem to move a majority
_NEWEST = 0.1  # weight of the newest step in the run's levels
_GAMED = "reward_rises_accuracy_falls"
Pairs = Sequence[tuple[Group, Visit | None]]


class Harm:
    """The running tests of one run.

    Attributes:
        tests: by the name of their alarm, and "reward" of a rising reward.
        levels: running means of `LEVELS` over steps.
        notes: what would be an alarm if there were harm, a sentence each, by name.
    """

    def __init__(self) -> None:
        self.tests = {name: Test(one.bets) for name, one in ALARMS.items()} | {"reward": Test(ALARMS[_GAMED].bets)}
        self.levels: Levels = (None,) * len(LEVELS)
        self.notes: dict[str, str] = {}
        self._quiet_until = dict.fromkeys(ALARMS, -1)
        self._rewards = math.inf, -math.inf
        self._leaders: deque[str] = deque(maxlen=_RECENT)
        self._usual: dict[str, list[float]] = {}
        self._first_leaders: list[str] = []

    @property
    def calm(self) -> bool:
        """Whether no test of harm stands where it would make alarms of notes."""
        return max(self.tests[name].statistic for name in (*HARM, "one_answer")) < WITH_HARM

    def take(
        self, step: int, pairs: Pairs, levels: Sequence[Levels], moved: Sequence[bool], facts: Mapping[str, float]
    ) -> None:
        """Bet on one step: groups with the last visits of their prompts, their levels, whether majorities moved."""
        expected = [self.levels if then is None else then.levels for _, then in pairs]
        differences = [
            [(then, now) for then, now in zip(of, seen, strict=True) if then is not None and now is not None]
            for of, seen in zip(zip(*expected, strict=True), zip(*levels, strict=True), strict=True)
        ]
        for name, of in zip(LEVELS, differences, strict=True):
            if name != "reward":
                self.tests[name].take(step, of)
        self._reward(step, differences[-1], facts)
        self._majorities(step, pairs, moved)
        self._lengths(step, pairs)
        same = [min(one.rewards) == max(one.rewards) for one, _ in pairs if one.rewards and len(one.rewards) > 1]
        self.tests["zero_variance"].rate(
            step, 0.8, same or [facts[name] for name in ("zero_variance",) if name in facts]
        )
        if (entropy := facts.get("entropy")) is not None and (
            usual := self._first("entropy", [entropy], 5)
        ) is not None:
            self.tests["entropy_collapses"].rate(step, 0.3, [entropy < 0.25 * usual])
        if (gap := facts.get("mismatch")) is not None:
            usual = self._first("mismatch", [gap], 5)
            self.tests["mismatch"].rate(step, 0.1, [gap > 0.3 or (usual is not None and gap > max(0.05, 3 * usual))])
        means = [mean([now for now in of if now is not None]) for of in zip(*levels, strict=True)]
        means[-1] = facts.get("reward")
        self.levels = tuple(newer(then, now, _NEWEST) for then, now in zip(self.levels, means, strict=True))

    def _reward(self, step: int, pairs: list[tuple[float, float]], facts: Mapping[str, float]) -> None:
        then = self.levels[-1]
        if not pairs and then is not None and "reward" in facts:
            pairs = [(then, facts["reward"])]
        ends = [end for pair in pairs for end in pair]
        low, high = self._rewards = min([self._rewards[0], *ends]), max([self._rewards[1], *ends])
        if high > low:
            self.tests["reward"].take(step, pairs, 1 / (high - low))

    def _majorities(self, step: int, pairs: Pairs, moved: Sequence[bool]) -> None:
        flips = [
            went and one.leader_correct is not True and (one.leader_correct is not None or then.moves > 0)
            for (one, then), went in zip(pairs, moved, strict=True)
            if then is not None
        ]
        self.tests["majorities_flip"].rate(step, _FLIPS, flips)
        names = [name for one, _ in pairs if (name := key(one.leader)) is not None]
        if len(self._first_leaders) >= _RECENT // 4:
            commonest = Counter(self._leaders).most_common(1)[0][0]  # named before this step's draws
            usual = self._first_leaders.count(commonest) / len(self._first_leaders)
            if usual < _ONE_FOR_ALL:  # else it is what the prompts ask for
                self.tests["one_answer"].rate(step, max(0.3, 1.5 * usual), [one == commonest for one in names])
        self._leaders += names
        self._first_leaders += names[: _RECENT - len(self._first_leaders)]

    def _lengths(self, step: int, pairs: Pairs) -> None:
        means = [mean(one.lengths) for one, _ in pairs]
        cuts = [mean([each for each in one.cut if each is not None]) for one, _ in pairs]
        new = [then is None for _, then in pairs]
        usual = self._first("length", [now for now, first in zip(means, new, strict=True) if first and now is not None])
        cut = self._first("cut", [now for now, first in zip(cuts, new, strict=True) if first and now is not None])
        firsts = [usual if then is None else then.first_length for _, then in pairs]
        ratios = [now / first for now, first in zip(means, firsts, strict=True) if now is not None and first]
        self.tests["length_collapses"].rate(step, 0.3, [ratio < 1 / 3 for ratio in ratios])
        self.tests["length_explodes"].rate(step, 0.3, [ratio > 3 for ratio in ratios])
        if cut is not None:
            self.tests["truncation"].rate(step, min(0.95, cut + 0.3), [now for now in cuts if now is not None])

    def _first(self, name: str, values: Sequence[float], enough: int = _RECENT) -> float | None:
        """The mean of the first values; None before there are enough of them (an eighth of 64)."""
        first = self._usual.setdefault(name, [])
        usual = mean(first) if len(first) >= min(enough, 8) else None
        first += values[: enough - len(first)]
        return usual

    def raised(self, step: int, facts: Mapping[str, float]) -> tuple[Alarm, ...]:
        """The alarms of this step; a test that raised one starts anew."""
        harm = max(self.tests[name].statistic for name in HARM)
        beside = {name: facts[name] for name in ("accuracy", "reward", "corrupted", "flips") if name in facts}
        fired = []
        for name, one in ALARMS.items():
            if step <= self._quiet_until[name]:
                continue
            test = self.tests["accuracy_falls" if name == _GAMED else name]
            gamed = name == _GAMED and min(test.statistic, self.tests["reward"].statistic) >= WITH_HARM
            if not gamed and (name == _GAMED or test.statistic < THRESHOLD):
                continue
            told = alarm(name, step, test, beside)
            if one.with_harm and harm < WITH_HARM:
                self.notes.setdefault(
                    name, f"{name.replace('_', ' ')}, without harm: {told.evidence.partition(';')[0]}"
                )
                continue
            fired.append(told)
            self._quiet_until[name] = step + REST
            if not gamed:
                test.restart()
        return tuple(fired)
