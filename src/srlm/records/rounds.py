"""The shape of `run.json` and `metrics.json`: built by whoever measures a round, written, and read back into the same
types by pages, trackers and resumed runs.

Knows: which fields there are, their units (definitions: docs/theory, setting) and their domains. Unknown fields are
kept, missing optional ones are None, so that records of a newer srlm of the same format can be read; a field that is
there with the wrong type is an error, never a guess. Refuses to know: where numbers come from.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import Field, ValidationError, model_validator

from srlm.errors import InputError
from srlm.records.answers import AnswersRecord
from srlm.records.bracket import Bracket, Interval, Number, Record, Share
from srlm.records.forecast import ForecastRecord
from srlm.records.numerics import Drift, NumericsRecord

# "gate": prompts apart from those that are measured and shown, by whose answers the exported round may be chosen.
Split = Literal["train", "held_out", "gate"]
SPLITS: tuple[Split, ...] = ("train", "held_out")
_NAMED = 6  # wrong fields of one file


class Accuracy(Record):
    """Shares of right answers, None where no answer is known: of all samples, of greedy decoding, of the modes."""

    sample: Share | None = None
    greedy: Share | None = None
    mode: Share | None = None


class Population(Record):
    """What an exact round from here would make of kappa.

    Attributes:
        exact_round, log_exact_round: kappa after it, and its natural logarithm (P8 iii). The projection onto all known
            responses has the lower end.
        exact_round_failure: the failure rate after it.
        tau: mean upper end of the mass that an exact round gives to unknown responses.
    """

    exact_round: Bracket | None = None
    log_exact_round: Bracket | None = None
    exact_round_failure: Bracket | None = None
    tau: Share | None = None


class SplitRecord(Record):
    """What was measured on one split of the prompts at one round.

    Attributes:
        prompts: how many.
        kappa, log_kappa: the condition number (eq. 5) and its natural logarithm.
        failure_rate, min_confidence, log_min_confidence: as in docs/theory, setting.
        margin, median_margin: smallest and median lower bound (nats) over prompts; None: no other response is possible.
        margin_note: why `margin` or `median_margin` is None.
        certified_share: share of prompts whose mode is proved.
        expansions: prefixes expanded in all.
        informative_pairs: share of pairs of responses that differ; only these move the policy.
        mode_drift: share of certified modes that are not the certified mode of round 00 (P5: 0 for exact rounds).
        kept_confidence: mean probability of a certified mode that is still round 00's, 0 for one that is not, over the
            prompts whose mode was certified at round 00: a lower bound on what their first modes are given now.
        kept_confidence_se: its standard error over prompts; None for a single prompt.
        fates: "mode" and "majority" (of samples) to counts of prompts with a known answer: kept, learned, corrupted,
            still_wrong, against round 00.
        flips: share of certified modes that are not the certified mode of the round before; None at round 00.
        commonest_mode_share: share of prompts whose mode is the same response.
        distinct: distinct responses as a share of a prompt's samples, mean over prompts.
        mean_response_tokens, cut_share: of samples.
        self_reward_mean: mean log pi(y|x) of samples (nats).
        entropy, self_certainty: means along samples (nats a token).
        accuracy: shares of right answers.
        intervals: over prompts, by name: sample_accuracy, greedy_accuracy, mode_accuracy, failure_rate, mode_drift,
            kept_confidence.
        population: what an exact round would make of kappa.
        answers: what only draws of answers have; where it is there, all of this is about answers: kappa_A, majorities
            (estimates) instead of modes, brackets at its confidence.
    """

    prompts: int | None = None
    kappa: Bracket
    log_kappa: Bracket | None = None
    failure_rate: Bracket
    min_confidence: Bracket | None = None
    log_min_confidence: Bracket | None = None
    margin: Number | None = None
    median_margin: Number | None = None
    margin_note: str | None = None
    certified_share: Share | None = None
    expansions: int | None = None
    informative_pairs: Share | None = None
    mode_drift: Share | None = None
    kept_confidence: Share | None = None
    kept_confidence_se: Number | None = None
    fates: dict[str, dict[str, int]] = Field(default_factory=dict)
    flips: Share | None = None
    commonest_mode_share: Share | None = None
    distinct: Share | None = None
    mean_response_tokens: Number | None = None
    cut_share: Share | None = None
    self_reward_mean: Number | None = None
    entropy: Number | None = None
    self_certainty: Number | None = None
    accuracy: Accuracy = Accuracy()
    intervals: dict[str, Interval] = Field(default_factory=dict)
    population: Population | None = None
    answers: AnswersRecord | None = None


class UpdateRecord(Record):
    """What one round's update did.

    Attributes:
        loss: mean loss of its steps; None where it diverged.
        passes, steps: passes over the responses and optimiser steps that were taken.
        held_out_residuals: with early stopping, after each pass (nats): the root-mean-square residual of the held-out
            pairs, or the mean KL to the held-out targets of a projection.
        stopped_early: whether early stopping ended it; the best pass's weights are then in place.
    """

    loss: Number | None = Field(default=None, exclude=True)
    passes: Number
    steps: int
    held_out_residuals: tuple[Number | None, ...] = ()
    stopped_early: bool = False


class RewardRecord(Record):
    """A round's rewards.

    Attributes:
        mean, std, min, max: over responses.
        at_top: share of responses with the highest reward of all.
        tied_pairs: share of pairs of different responses whose rewards are equal; None without such pairs.
        metrics: means of what reward functions logged.
    """

    mean: Number
    std: Number
    min: Number
    max: Number
    at_top: Share
    tied_pairs: Share | None = None
    metrics: dict[str, Number] = Field(default_factory=dict)


class ProjectionRecord(Record):
    """How near an update by weighted likelihood came to its targets q (P8), over the prompts that it trained on.

    Attributes:
        responses: mean number trained on at a prompt.
        tau, tau_max: mean and largest upper end of what the targets leave out of an exact round; None where the reward
            is not the log-probability.
        target_kappa: mean of 1/q(mode): kappa had every target been reached.
        distance, distance_max: median and largest KL(q || pi reached) in nats.
        distance_worst_prompt: number of the prompt where it is largest.
    """

    responses: Number
    tau: Share | None = None
    tau_max: Share | None = None
    target_kappa: Number
    distance: Number
    distance_max: Number
    distance_worst_prompt: int


class ExactnessPart(Record):
    """P4's quantities over the trained, or the held-out, prompts that were scored; see `ExactnessRecord`.

    Attributes:
        residual: root mean square of the pairs' residuals of eq. 3 (nats); None where there is no pair.
        residual_before: the same before the update: the whole way it had to go.
    """

    prompts: int
    eps: Number
    prompts_holding: Share
    residual: Number | None = None
    residual_before: Number | None = None


class ExactnessRecord(Record):
    """P4 for the update that led to a round, over the responses that were scored (so eps is a lower end).

    Attributes:
        beta: the KL strength of the update.
        eps, eps_median: largest and median error of a log-ratio against the exact round (nats).
        margin: smallest margin of a scored prompt before the update (nats, an upper end); None: no other response is
            known.
        holds: eps < margin/beta at the worst prompt. A lower end cannot prove it; see `refuted`.
        refuted: eps >= margin/beta at some prompt: contraction by P4 is refuted; otherwise it is not refuted.
        log_factor: eps - margin/beta; None where the margin is infinite.
        prompts_holding: share of scored prompts at which it is not refuted.
        responses: responses that were scored.
        trained, held_out: the same for their prompts apart.
    """

    beta: Number | None = None
    eps: Number
    eps_median: Number | None = None
    margin: Number | None = None
    holds: bool
    refuted: bool | None = None
    log_factor: Number | None = None
    prompts_holding: Share
    responses: int | None = None
    trained: ExactnessPart | None = None
    held_out: ExactnessPart | None = None


class RetentionRecord(Record):
    """What the policy still gives to what the base model said and to text that the run is not about.

    Attributes:
        kl_base: mean over the base model's samples of log pi_0(y|x) - log pi_t(y|x) (nats a response): a Monte-Carlo
            estimate of KL(pi_0||pi_t), which may come out below 0; None where it is beyond a double, or nothing was
            scored.
        kl_base_se: its standard error over prompts, the independent units; None for a single prompt.
        responses: samples of the base model that were scored.
        text, text_base: mean log-probability (nats a token) of a page of unrelated text, now and at round 00.
        tokens: of that page.
    """

    kl_base: Number | None = None
    kl_base_se: Number | None = None
    responses: int = 0
    text: Number | None = None
    text_base: Number | None = None
    tokens: int = 0


class Signature(Record):
    """Something that looks wrong at a round.

    Attributes:
        name: its key in `srlm.measure.signatures.SIGNATURES`.
        round: the round at which it was seen.
        definition: what it is, in a sentence.
        evidence: the numbers that show it, in a sentence.
        values: the same numbers.
        advice: what to do about it.
    """

    name: str
    round: int | None = None
    definition: str = ""
    evidence: str
    values: dict[str, Number] = Field(default_factory=dict)
    advice: str = ""


class RoundRecord(Record):
    """A measured round. In `metrics.json` the trained prompts' measurements lie at the top level, the held-out ones'
    under `held_out`.

    Attributes:
        round: t; 0 is the untouched base model.
        train: measurements on the trained prompts, None where all prompts are held out.
        held_out: the same for held-out prompts, None where there are none.
        gate: what samples alone say on the third split, by whose answers a round may be chosen; None where unused.
        seconds: wall time by stage; "measure" is what is scored around an update and beside the prompts.
        tokens: response tokens sampled and trained on.
        loss: mean training loss of the update that led here, None at round 0.
        beta: the KL strength of the round, where recorded.
        update, reward, certificate, projection: the update that led here, its rewards, P4 for it, and how near it came
            to its targets.
        forecast, forecast_held_out: at round 0, what exact rounds would make of the prompts trained on and held out;
            None where the reward is not the log-probability.
        drift: sampling against training numerics.
        retention: what is left of the base model.
        numerics: in which arithmetic the round was measured.
        signatures: what looks wrong; None where nobody looked.
    """

    round: int = Field(ge=0)
    train: SplitRecord | None = None
    held_out: SplitRecord | None = None
    gate: SplitRecord | None = None
    seconds: dict[str, Number] = Field(default_factory=dict)
    tokens: dict[str, int] = Field(default_factory=dict)
    loss: Number | None = None
    beta: Number | None = None
    update: UpdateRecord | None = None
    reward: RewardRecord | None = None
    certificate: ExactnessRecord | None = None
    projection: ProjectionRecord | None = None
    drift: Drift | None = None
    retention: RetentionRecord | None = None
    forecast: tuple[ForecastRecord, ...] | None = None
    forecast_held_out: tuple[ForecastRecord, ...] | None = None
    numerics: NumericsRecord | None = None
    signatures: tuple[Signature, ...] | None = None

    def split(self, name: Split) -> SplitRecord | None:
        """The measurements of one split, None where it was not measured."""
        return {"train": self.train, "held_out": self.held_out}.get(name)

    def to_document(self) -> dict[str, Any]:
        """The contents of `metrics.json`."""
        document = self.model_dump(mode="json")
        trained = document.pop("train") or {}
        return {"round": document.pop("round"), **trained, **document}

    @model_validator(mode="before")
    @classmethod
    def _gather(cls, document: Any) -> Any:
        if isinstance(document, Mapping) and "train" not in document and "kappa" in document:
            train = {name: value for name, value in document.items() if name not in cls.model_fields}
            return {name: value for name, value in document.items() if name in cls.model_fields} | {"train": train}
        return document


class ChoiceRecord(Record):
    """Which round's policy became the run's model, by what, and why in a sentence."""

    round: int
    by: str = ""
    reason: str = ""


class RunRecord(Record):
    """`run.json`; `choice` where a finished run compared its rounds."""

    format: int
    status: Literal["running", "done", "stopped", "failed"]
    reason: str | None = None
    created: str
    updated: str
    configuration: dict[str, Any]
    seed: int | None = None
    prompts: dict[str, int] = Field(default_factory=dict)
    versions: dict[str, str] = Field(default_factory=dict)
    choice: ChoiceRecord | None = None


_Kind = TypeVar("_Kind", bound=Record)


def parse(kind: type[_Kind], document: Any, where: Path) -> _Kind:
    """`document` as a record of this kind.

    Args:
        kind: `RunRecord`, `RoundRecord`, `DiagnosisRecord`, ...
        document: what the file held.
        where: the file, for the message.

    Raises:
        InputError: names every field that is missing or has the wrong type, with the value given.
    """
    try:
        return kind.model_validate(document)
    except ValidationError as error:
        problems, found = [], error.errors(include_url=False)
        for one in found[:_NAMED]:
            field = ".".join(str(part) for part in one["loc"]) or "the document"
            value = f"{json.dumps(one['input'], default=str)[:60]} ({one['msg'].lower()})"
            what = "missing" if one["type"] == "missing" else value
            problems.append(f"{where}: {field} is {what}; was the file edited, or written by another srlm?")
        if len(found) > _NAMED:
            problems.append(f"and {len(found) - _NAMED} more fields")
        raise InputError(problems) from error
