"""The arithmetic in which a round was drawn and measured, as its record tells it.

Knows: fields and units. Refuses to know: how anything is compared (`srlm.measure.numerics`).
"""

from srlm.records.bracket import Number, Record


class Drift(Record):
    """How far sampling and training numerics are apart, in nats a response.

    Attributes:
        responses: how many were compared.
        max, mean: of the absolute differences.
        bias: mean of trained minus sampled; near 0 where the difference is rounding.
        rescored: whether the training forward's values replaced the recorded ones.
        token: the largest difference of a response over its tokens (nats a token).
        unsaid: responses whose log-probability the engine did not say: it is the training forward's.
    """

    responses: int
    max: Number
    mean: Number
    bias: Number
    rescored: bool = False
    token: Number | None = None
    unsaid: int = 0


class Parity(Record):
    """The largest difference between sampling and training numerics, in nats a token and nats a response."""

    token: Number
    response: Number


class NumericsRecord(Record):
    """In which arithmetic a round was measured.

    Attributes:
        engine: what drew the samples.
        dtype: of the weights.
        parity: how far its log-probabilities are from the training forward's; None where it was not measured.
        widened: nats by which brackets were widened for the precision's measured error; they are estimates where this
            is positive.
    """

    engine: str
    dtype: str
    parity: Parity | None = None
    widened: Number = 0.0
