"""A quantity known between two ends, and with what certainty.

Knows: that ends are ordered and finite, or left out. Refuses to know: how ends were found. A `Bracket` says between
which ends a quantity of THESE prompts lies; an `Interval` how far it would move with other prompts of the same kind.
"""

import math
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise ValueError("not a finite number")
    return value


Number = Annotated[float, AfterValidator(_finite)]
Share = Annotated[float, Field(ge=0, le=1)]


class Record(BaseModel):
    """What is written to disk and read back: frozen; unknown fields are kept, for records of another srlm."""

    model_config = ConfigDict(extra="allow", frozen=True)


class Bracket(Record):
    """A quantity between two ends; equal ends mean it is known exactly (up to floating point).

    Attributes:
        lower, upper: the ends; None for an end that is infinite or beyond what a double holds.
        confidence: None where the ends are proved; else the level at which they hold for all prompts at once.
    """

    lower: Number | None
    upper: Number | None
    confidence: Share | None = None

    @classmethod
    def of(cls, lower: float, upper: float, confidence: float | None = None) -> "Bracket":
        """The bracket between two numbers, infinite ends left out."""
        ends = [end if math.isfinite(end) else None for end in (lower, upper)]
        return cls(lower=ends[0], upper=ends[1], confidence=confidence)

    @model_validator(mode="after")
    def _ordered(self) -> "Bracket":
        low, high = self.lower, self.upper
        if low is not None and high is not None and low > high + 1e-9 * max(1.0, abs(high)):
            raise ValueError(f"lower end {low} lies above upper end {high}")
        return self

    @model_serializer(mode="wrap")
    def _plain(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """A proved bracket is its two ends, as it always was."""
        document = dump(self)
        return document if self.confidence is not None else {k: v for k, v in document.items() if k != "confidence"}

    @property
    def exact(self) -> bool:
        """Whether the two ends agree to nine digits."""
        if self.lower is None or self.upper is None:
            return False
        return math.isclose(self.lower, self.upper, rel_tol=1e-9, abs_tol=1e-12)


class Interval(Record):
    """How far a quantity would move with other prompts of the same kind; `level` is its confidence. It says nothing
    about the search.
    """

    lower: Number
    upper: Number
    level: Share
