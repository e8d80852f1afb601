"""Who runs a model: what a round may ask of an engine, whatever library is behind it.

Knows: the protocols. A sampler is bound to one policy for life, so stale samples cannot be expressed. Refuses to know:
any library, prompts' files, losses.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from srlm.records.progress import Progress
from srlm.records.responses import ModeBracket, Rollout


@dataclass(frozen=True, slots=True)
class Encoded:
    """A prompt as the model sees it: its number among the run's prompts, and its tokens."""

    number: int
    tokens: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class PolicyVersion:
    """Policy `number` of a run.

    Attributes:
        number: 0 is the untouched base model.
        checkpoint: the folder with what training changed; None for a model that was never trained.
        keep: a folder in which an engine may keep what it drew until all is drawn; None: it may not.
    """

    number: int
    checkpoint: Path | None = None
    keep: Path | None = None


@dataclass(frozen=True, slots=True)
class Draw:
    """What is asked of a sampler: K responses of at most L tokens to each prompt, plain sampling.

    Attributes:
        count, max_tokens: K, L >= 1.
        seed, stream: behind the random numbers; a round's stream is its number.
        greedy: decode greedily, too.
        skip: so many of the stream's responses were drawn before; the next K follow.
    """

    count: int
    max_tokens: int
    seed: int
    stream: int
    greedy: bool = False
    skip: int = 0


class Sampler(Protocol):
    """Draws from one policy."""

    def draw(self, prompts: Sequence[Encoded], ask: Draw, progress: Progress | None = None) -> list[Rollout]:
        """The decoded rollout of every prompt, in order. What is drawn at a prompt depends on its number and on `ask`
        alone.
        """
        ...


class Engine(Protocol):
    """Runs a model.

    Attributes:
        name: of the engine.
        dtype: of the weights as it holds them.
        scores: whether it says next-token distributions at any prefix: log-probabilities of responses that it did not
            draw, and proofs of modes.
    """

    @property
    def name(self) -> str: ...
    @property
    def dtype(self) -> str: ...
    @property
    def scores(self) -> bool: ...

    def at(self, version: PolicyVersion) -> Sampler:
        """A sampler of that policy."""
        ...


class Certifier(Protocol):
    """Says what is known of the likeliest responses of a policy."""

    def certify(
        self,
        version: PolicyVersion,
        prompts: Sequence[Encoded],
        known: Sequence[Rollout],
        progress: Progress | None = None,
    ) -> list[ModeBracket]:
        """The decoded bracket of every prompt's mode, with the precision's error measured but not yet taken in
        (`records.responses.widen`). `known` is what was drawn there; `progress` is told how many prompts are done.
        """
        ...
