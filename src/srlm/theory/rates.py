"""Statements with a hidden constant, as a type of their own: nobody takes a rate for a bound.

Knows: the shape of a rate. What `srlm.theory` returns as a plain number has no hidden constant. Refuses to know which
constant is right: none is known.
"""

from dataclasses import dataclass

from srlm.theory._domain import Array


@dataclass(frozen=True, slots=True)
class Rate:
    """Up to a constant that nobody knows: compare its values with each other, do not read one as a promise.

    Attributes:
        value: what the statement gives with the constant put in.
        constant: the constant put in.
    """

    value: Array
    constant: float


@dataclass(frozen=True, slots=True)
class LowerRate(Rate):
    """Theorem 4.1: no one-round method that only samples does better on some instance.

    Attributes:
        constant: C0.
        applies: kappa_0 >= 2; elsewhere the value is 0, which says nothing.
    """

    applies: Array


@dataclass(frozen=True, slots=True)
class UpperRate(Rate):
    """A failure rate that is not exceeded with high probability.

    Attributes:
        constant: C.
        reward_range: R in nats, which multiplies C.
        vacuous: value >= 1.
    """

    reward_range: Array
    vacuous: Array
