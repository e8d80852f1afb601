"""What a policy says to a prompt: responses, all of them at one prompt, and what is known of the likeliest one.

Knows: tokens as numbers, log-probabilities in nats of the untempered policy. Refuses to know: models, tokenizers, who
sampled or searched. Plain values, because a search makes thousands of them.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from itertools import pairwise

# A prompt's tokens with the tokens of some responses to it.
TokenGroup = tuple[Sequence[int], Sequence[Sequence[int]]]


@dataclass(frozen=True, slots=True)
class Complete:
    """A complete response: ended by an end token (its last one), or cut at the limit; `logprob` in nats."""

    tokens: tuple[int, ...]
    logprob: float
    ended: bool


@dataclass(frozen=True, slots=True)
class Response:
    """A response as far as it is known.

    Attributes:
        complete: its tokens and log-probability; None where only text was told.
        text: as a person reads it, without special tokens; None before it is decoded.
        correct: right, wrong, or None: not graded, or no answer is known.
        answer: what its text answers, in the one form that all texts with the same answer share; None: it has none, or
            nobody read it.
        entropy: mean entropy of the next-token distributions along it (nats a token).
        self_certainty: mean KL(uniform || next-token distribution) along it (nats a token).
        stopped: of a text alone, whether it ended by itself, False where it was cut; None: nobody said.
        searched: a search came upon it; nothing drew it.
    """

    complete: Complete | None
    text: str | None = None
    correct: bool | None = None
    entropy: float | None = None
    self_certainty: float | None = None
    answer: str | None = None
    stopped: bool | None = None
    searched: bool = False

    @property
    def known(self) -> Complete:
        """`complete`.

        Raises:
            ValueError: only text was told.
        """
        if self.complete is None:
            raise ValueError("this response has no tokens and no log-probability; only its text was told")
        return self.complete

    @property
    def tokens(self) -> tuple[int, ...]:
        """Token ids, the end token included."""
        return self.known.tokens

    @property
    def logprob(self) -> float:
        """Self-reward, the summed log-probability of the tokens (nats; eq. 1)."""
        return self.known.logprob

    @property
    def ended(self) -> bool:
        """False for a response cut at the limit."""
        return self.known.ended

    def rescored(self, logprob: float) -> "Response":
        """The same response with another log-probability (nats)."""
        return replace(self, complete=replace(self.known, logprob=logprob))


@dataclass(frozen=True, slots=True)
class Rollout:
    """What was drawn at one prompt from one policy.

    Attributes:
        prompt: its number among the run's prompts.
        responses: K independent samples, in order.
        greedy: what greedy decoding answers, where it went along with the samples.
        first_token_bound: log-probability of the likeliest first token (nats): no response is likelier. Beside greedy.
        server: which of several drew it; None where there is none.
        unsaid: responses whose log-probability the engine did not say: it is the training forward's.
    """

    prompt: int
    responses: tuple[Response, ...]
    greedy: Response | None = None
    first_token_bound: float | None = None
    server: str | None = None
    unsaid: int = 0

    @property
    def logprobs(self) -> list[float]:
        """log pi(y|x) of every response (nats)."""
        return [response.logprob for response in self.responses]

    @property
    def tokens(self) -> list[tuple[int, ...]]:
        """Token ids of every response."""
        return [response.tokens for response in self.responses]


class SearchStatus(Enum):
    """How a search ended; the value says it in a word."""

    CERTIFIED = "certified"
    BUDGET = "budget"

    @property
    def remedy(self) -> str:
        """What to do about it."""
        return "" if self is SearchStatus.CERTIFIED else "raise the expansions, or allow fewer new tokens"


@dataclass(frozen=True, slots=True)
class Outside:
    """Every response that is not in a list of known ones, in parts (P8 ii): log-probabilities in nats.

    Attributes:
        prefixes: of prefixes left open, largest first.
        mass: of what lies under none of them.
        largest: of the likeliest prefix of that part; -inf where nothing is left.
        tokens, texts: of the likeliest of those prefixes, as far as they were kept.
    """

    prefixes: tuple[float, ...] = (0.0,)  # the empty prefix: nothing is known
    mass: float = 0.0
    largest: float = -math.inf
    tokens: tuple[tuple[int, ...], ...] = field(default=(), compare=False)
    texts: tuple[str, ...] = field(default=(), compare=False)

    def widened(self, error: float) -> "Outside":
        """The same where every log-probability may be off by `error` nats, at most 1: e^error <= 1 + 2*error."""
        prefixes = tuple(min(0.0, one + error) for one in self.prefixes)
        mass = min(1.0, self.mass + 2 * error * (1 + self.mass)) if self.largest > -math.inf else 0.0
        return replace(self, prefixes=prefixes, mass=mass, largest=min(0.0, self.largest + error))


@dataclass(frozen=True, slots=True)
class ModeBracket:
    """What is known of the likeliest responses to one prompt. Log-probabilities are those of the untempered policy.

    Attributes:
        best: the likeliest responses seen, likeliest first, at least one; the first is the mode where `certified`.
            Its own log-probability is a value, not an end of the bracket.
        logprob_lower, logprob_upper: bracket of log pi(y*|x) in nats.
        certified: no response is likelier than the first of `best`.
        proved: the first so many of `best` are the likeliest responses there are, in this order; the others were found.
            From 2 on `margin_lower` is the exact margin.
        margin_lower: lower bound on log pi(y*|x) - max over others of log pi(y|x), >= 0; 0 where nothing is
            certified. inf where no other response exists.
        greedy: what greedy decoding answers.
        outside: every response that is not in `best`.
        expansions: prefixes expanded until the mode was proved or the search stopped (P6 bounds them).
        evaluations: prefixes run through the model in all.
        error: difference between this precision and float32, measured at the mode (nats).
        widening: nats by which the ends were moved outwards for such errors. Where it is positive the bracket is an
            estimate: an error measured at some responses bounds nothing at others.
    """

    best: tuple[Response, ...]
    logprob_lower: float
    logprob_upper: float
    certified: bool
    greedy: Response
    margin_lower: float = 0.0
    proved: int = 0
    outside: Outside = Outside()
    expansions: int = 0
    evaluations: int = 0
    error: float = 0.0
    widening: float = 0.0

    @property
    def mode(self) -> Response:
        """The likeliest response seen."""
        return self.best[0]

    @property
    def runner_up(self) -> Response | None:
        """The second likeliest response seen, None where there is none."""
        return self.best[1] if len(self.best) > 1 else None

    @property
    def margin_upper(self) -> float:
        """Upper end of the margin (nats): the lead over the likeliest other response seen; inf where none was, or where
        nothing says which response is the mode.
        """
        second = self.runner_up
        return math.inf if second is None or not self.certified else self.mode.logprob - second.logprob

    @property
    def status(self) -> SearchStatus:
        """How the search ended."""
        return SearchStatus.CERTIFIED if self.certified else SearchStatus.BUDGET

    def widened(self, error: float) -> "ModeBracket":
        """The bracket when every log-probability may be off by `error` nats, measured on some.

        A mode stays certified only where it leads its runner-up by more than both could be off.
        """
        if error == 0.0:
            return self
        lead = self.margin_lower - 2 * error
        certified = self.certified and lead >= 0
        return replace(
            self,
            logprob_lower=self.logprob_lower - error,
            logprob_upper=min(0.0, self.logprob_upper + error),
            certified=certified,
            proved=self._proved(error) if certified else 0,
            margin_lower=max(0.0, lead) if certified else 0.0,
            outside=self.outside.widened(error),
            widening=error,
        )

    def _proved(self, error: float) -> int:
        """Ranks that stay proved: each leads the next one by more than both could be off."""
        logprobs = [one.logprob for one in self.best[: self.proved]]
        return next((at for at, (a, b) in enumerate(pairwise(logprobs), 1) if a - b < 2 * error), max(1, self.proved))

    def joined(self, others: Iterable[Response]) -> "ModeBracket":
        """The bracket with responses that were known beside it; they matter only where the mode is not proved."""
        if self.certified:
            return self
        seen = {one.tokens: one for one in [*others, *self.best]}
        best = tuple(sorted(seen.values(), key=lambda one: (-one.logprob, one.tokens)))
        top = best[0].logprob
        return replace(self, best=best, logprob_lower=top, logprob_upper=max(top, self.logprob_upper))


def widen(brackets: Sequence[ModeBracket], sampled: float = 0.0) -> list[ModeBracket]:
    """All brackets widened by the largest error measured at any of them; unchanged where none was.

    Args:
        brackets: of the modes at a round's prompts.
        sampled: nats by which log-probabilities of samples may be off: a bracket that is not proved rests on them.
    """
    largest = max((one.error for one in brackets), default=0.0)
    return [one.widened(largest if one.certified else largest + sampled) for one in brackets]
