"""What a policy says to a prompt: responses, all of them at one prompt, and what is known of the likeliest one.

Knows: tokens as numbers, log-probabilities in nats of the untempered policy. Refuses to know: models, tokenizers, who
sampled or searched. Plain values, because a search makes thousands of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum

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
        entropy: mean entropy of the next-token distributions along it (nats a token).
        self_certainty: mean KL(uniform || next-token distribution) along it (nats a token).
    """

    complete: Complete | None
    text: str | None = None
    correct: bool | None = None
    entropy: float | None = None
    self_certainty: float | None = None

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
    """

    prompt: int
    responses: tuple[Response, ...]
    greedy: Response | None = None
    first_token_bound: float | None = None

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
class ModeBracket:
    """What is known of the likeliest response to one prompt. Log-probabilities are those of the untempered policy.

    Attributes:
        best: the likeliest responses seen, likeliest first, at least one; the first is the mode where `certified`.
            Its own log-probability is a value, not an end of the bracket.
        logprob_lower, logprob_upper: bracket of log pi(y*|x) in nats.
        certified: no response is likelier than the first of `best`.
        runner_up_certified: the second of `best` is the second likeliest response: `margin_lower` is the exact margin.
        margin_lower: lower bound on log pi(y*|x) - max over others of log pi(y|x), >= 0; 0 where nothing is
            certified. inf where no other response exists.
        greedy: what greedy decoding answers.
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
    runner_up_certified: bool = False
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
            runner_up_certified=self.runner_up_certified and certified,
            margin_lower=max(0.0, lead) if certified else 0.0,
            widening=error,
        )


def widen(brackets: Sequence[ModeBracket]) -> list[ModeBracket]:
    """All brackets widened by the largest error measured at any of them; unchanged where none was."""
    largest = max((one.error for one in brackets), default=0.0)
    return [one.widened(largest) for one in brackets]
