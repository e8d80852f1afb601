"""The shape of `run.json` and `metrics.json`, for readers.

Knows: which fields a reader may count on. Unknown fields are kept, missing optional ones are None, so that pages can
be drawn from records of an older or newer srlm of the same format; a field that is there with the wrong type is an
error, never a guess.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from srlm.errors import InputError


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise ValueError("not a finite number")
    return value


Number = Annotated[float, AfterValidator(_finite)]
Share = Annotated[float, Field(ge=0, le=1)]


class _Record(BaseModel):
    model_config = ConfigDict(extra="allow", frozen=True)


class Bracket(_Record):
    """A quantity known between two ends; equal ends mean it is known exactly (up to floating point)."""

    lower: Number
    upper: Number

    @model_validator(mode="after")
    def _ordered(self) -> "Bracket":
        if self.lower > self.upper + 1e-9 * max(1.0, abs(self.upper)):
            raise ValueError(f"lower end {self.lower} lies above upper end {self.upper}")
        return self

    @property
    def exact(self) -> bool:
        """Whether the two ends agree to nine digits."""
        return math.isclose(self.lower, self.upper, rel_tol=1e-9, abs_tol=1e-12)


class Accuracy(_Record):
    """Shares of right answers, None where no answer is known: of all samples, of greedy decoding, of the modes."""

    sample: Share | None = None
    greedy: Share | None = None
    mode: Share | None = None


class Population(_Record):
    """What an exact round from here would make of kappa.

    Attributes:
        kappa_bound: upper bound by P3, prompt by prompt.
        kappa_estimate: Monte-Carlo estimate of the exact value from the round's samples.
    """

    kappa_bound: Number
    kappa_estimate: Number | None = None


class SplitMetrics(_Record):
    """What was measured on one split of the prompts at one round; units and definitions as in theory.md section 1."""

    prompts: int | None = None
    kappa: Bracket
    log_kappa: Bracket | None = None
    failure_rate: Bracket
    min_confidence: Bracket | None = None
    margin: Number | None = None
    median_margin: Number | None = None
    certified_share: Share | None = None
    informative_pairs: Share | None = None
    mode_drift: Share | None = None
    mean_response_tokens: Number | None = None
    cut_share: Share | None = None
    self_reward_mean: Number | None = None
    accuracy: Accuracy = Accuracy()
    population: Population | None = None


class Signature(_Record):
    """Something that looks wrong at a round, as `srlm.diagnosis.signatures` found it."""

    name: str
    definition: str = ""
    evidence: str
    advice: str = ""


class Certificate(_Record):
    """P4 for the update that led to a round, over the responses that were scored.

    Attributes:
        eps: largest error of a log-ratio against the exact round (nats; a lower end).
        margin: smallest margin of a scored prompt before the update (nats).
        holds: eps < margin/beta at the worst prompt.
        prompts_holding: share of scored prompts at which it holds by itself.
    """

    eps: Number
    margin: Number
    holds: bool
    prompts_holding: Share


class RoundMetrics(_Record):
    """`metrics.json`: the trained prompts' measurements lie at its top level, the held-out ones' under `held_out`.

    Attributes:
        round: t; 0 is the untouched base model.
        train: measurements on the trained prompts, None where all prompts are held out.
        held_out: the same for held-out prompts, None where there are none.
        seconds: wall time by stage.
        tokens: response tokens sampled and trained on.
        loss: mean training loss of the update that led here, None at round 0.
        beta: the KL strength of the round, where recorded.
        certificate: P4 for the update that led here.
        signatures: what looks wrong; None where the run did not look.
    """

    round: int = Field(ge=0)
    train: SplitMetrics | None = None
    held_out: SplitMetrics | None = None
    seconds: dict[str, Number] = {}
    tokens: dict[str, int] = {}
    loss: Number | None = None
    beta: Number | None = None
    certificate: Certificate | None = None
    signatures: tuple[Signature, ...] | None = None

    @model_validator(mode="before")
    @classmethod
    def _gather(cls, document: Any) -> Any:
        if isinstance(document, Mapping) and "train" not in document and "kappa" in document:
            own = {*cls.model_fields, "drift", "reward", "update"}
            train = {name: value for name, value in document.items() if name not in own}
            return {name: value for name, value in document.items() if name in own} | {"train": train}
        return document


class RunRecord(_Record):
    """`run.json`."""

    format: int
    status: Literal["running", "done", "stopped", "failed"]
    reason: str | None = None
    created: str
    updated: str
    configuration: dict[str, Any]
    seed: int | None = None
    prompts: dict[str, int] = {}
    versions: dict[str, str] = {}


_Kind = TypeVar("_Kind", bound=_Record)


def parse(kind: type[_Kind], document: Mapping[str, Any], where: Path) -> _Kind:
    """`document` as a record of this kind.

    Args:
        kind: `RunRecord`, `RoundMetrics`, ...
        document: what the file held.
        where: the file, for the message.

    Raises:
        InputError: names every field that is missing or has the wrong type, with the value found.
    """
    try:
        return kind.model_validate(document)
    except ValidationError as error:
        problems = [
            f"{where}: {'.'.join(str(part) for part in one['loc']) or 'the document'} is "
            f"{json.dumps(one['input'], default=str)[:60]} ({one['msg'].lower()}); was the file edited, or written by "
            "another srlm?"
            for one in error.errors(include_url=False)
        ]
        raise InputError(problems) from error
