"""Windows of steps as the rounds of a run directory.

Knows: at most so many windows, of which neighbours are merged when there are more, and of each at most so many prompts,
those with the smallest hashes: the same ones in every window. The first window stands for the base model. Refuses to
know: tests, formats.
"""

import heapq
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from srlm.measure.round import measure_answer_round
from srlm.records.responses import Response, Rollout
from srlm.records.rounds import RewardRecord, RoundRecord, Split
from srlm.watching.groups import Group

_TEXT = 2000  # letters of a completion that is kept to be shown
_ON_PAGE = 300  # prompts of a page


@dataclass(slots=True)
class Window:
    """Steps `first` to `last`, the visits kept, and how many prompts and completions there were in all."""

    first: int
    last: int
    visits: dict[int, Group] = field(default_factory=dict)
    prompts: int = 0
    completions: int = 0


class Windows:
    """The windows of a run."""

    def __init__(self, most: int, shown: int, confidence: float) -> None:
        self.most, self.shown, self.confidence = most, shown, confidence
        self.windows: list[Window] = []
        self._steps = 1  # of a window
        self._full = 0  # steps in the last one

    @property
    def notes(self) -> list[str]:
        """What a reader of the rounds should know."""
        if not self.windows:
            return []
        told = [
            f"each round stands for {self._steps} step{'s' * (self._steps > 1)}; round 00 is the first window, not the "
            "untouched model"
        ]
        if any(len(one.visits) < one.prompts and len(one.visits) == self.shown for one in self.windows):
            told.append(f"rounds are measured over at most {self.shown} prompts a window, chosen by hash")
        return told

    def add(self, step: int, visits: Mapping[int, Group]) -> None:
        """Take in the visits of one step, by the prompts' hashes."""
        new = Window(step, step, dict(visits), len(visits), sum(len(one.answers) for one in visits.values()))
        if not self.windows or (self._full >= self._steps and step > self.windows[-1].last):
            self.windows.append(new)
            self._full = 1
        else:
            self._full += step > self.windows[-1].last
            self.windows[-1] = self._merged(self.windows[-1], new, len(self.windows) == 1)
        if len(self.windows) > self.most:
            pairs = [self.windows[at : at + 2] for at in range(0, len(self.windows), 2)]
            self.windows = [
                pair[0] if len(pair) == 1 else self._merged(*pair, first=at == 0) for at, pair in enumerate(pairs)
            ]
            self._full = self._full if len(pairs[-1]) == 1 else self._steps + self._full
            self._steps *= 2

    def _merged(self, one: Window, other: Window, first: bool) -> Window:
        visits = other.visits | one.visits if first else one.visits | other.visits
        kept = heapq.nsmallest(self.shown, visits) if len(visits) > self.shown else list(visits)
        return Window(
            one.first,
            other.last,
            {at: visits[at] for at in kept},
            one.prompts + other.prompts,
            one.completions + other.completions,
        )

    def records(self) -> list[RoundRecord]:
        """The measurements of every window, with signatures."""
        history: list[RoundRecord] = []
        for number, now in enumerate(self.windows):
            base = self.windows[0].visits
            before = self.windows[number - 1].visits if number else None
            rollouts = _rollouts(list(now.visits), now.visits)
            splits: list[Split] = ["train"] * len(rollouts)
            record = measure_answer_round(
                number,
                splits,
                rollouts,
                base=_rollouts(list(now.visits), base),
                previous=None if before is None else _rollouts(list(now.visits), before),
                confidence=self.confidence,
                history=history,
                samples=_samples(list(now.visits.values())),
                reward=_rewards(list(now.visits.values())),
                steps={"first": now.first, "last": now.last, "prompts": now.prompts, "completions": now.completions},
            )
            history.append(record)
        return history

    def latest(self) -> list[Group]:
        """The last visit of every prompt kept."""
        visits: dict[int, Group] = {}
        for one in self.windows:
            visits |= one.visits
        return list(visits.values())

    def tables(self) -> list[list[tuple[str, Rollout]]]:
        """What a page shows of every window: prompts of the first that were seen again, each with its latest visit."""
        if not self.windows:
            return []
        later = set().union(*(one.visits for one in self.windows[1:])) if self.windows[1:] else self.windows[0].visits
        chosen = heapq.nsmallest(_ON_PAGE, set(later) & set(self.windows[0].visits))
        latest: dict[int, Group] = {}
        told = []
        for one in self.windows:
            latest |= one.visits
            rollouts = _rollouts(chosen, latest)
            told.append([(_plain(latest[at].prompt), rollout) for at, rollout in zip(chosen, rollouts, strict=True)])
        return told


def _rollouts(chosen: Sequence[int], visits: Mapping[int, Group]) -> list[Rollout]:
    """The visits as rollouts without tokens; one without responses where there was no visit."""
    return [
        Rollout(at, tuple(_responses(visits[number])) if number in visits else ()) for at, number in enumerate(chosen)
    ]


def _responses(one: Group) -> Iterator[Response]:
    texts = (*one.sample, *[None] * len(one.answers))
    for text, answer, right in zip(texts, one.answers, one.correct, strict=False):
        yield Response(None, text and _plain(text), right, answer=answer and _plain(answer))


def _plain(text: str) -> str:
    """The beginning of a text, without half characters, which no file can hold."""
    return text[:_TEXT].encode("utf-8", "replace").decode()


def _samples(groups: Sequence[Group]) -> dict[str, Any]:
    """The fields of a `SplitRecord` that need tokens elsewhere."""
    cut = [each for one in groups for each in one.cut if each is not None]
    logprobs = [each for one in groups for each in one.logprobs or ()]
    entropies = [one.entropy for one in groups if one.entropy is not None]
    return {
        "prompts": len(groups),
        "mean_response_tokens": float(np.mean([length for one in groups for length in one.lengths])),
        "cut_share": float(np.mean(cut)) if cut else None,
        "self_reward_mean": float(np.mean(logprobs)) if logprobs else None,
        "entropy": float(np.mean(entropies)) if entropies else None,
    }


def _rewards(groups: Sequence[Group]) -> RewardRecord | None:
    known = np.array([each for one in groups for each in one.rewards or () if math.isfinite(each)])
    if not known.size:
        return None
    top = float(known.max())
    return RewardRecord(
        mean=float(known.mean()),
        std=float(known.std()),
        min=float(known.min()),
        max=top,
        at_top=float((known == top).mean()),
    )
