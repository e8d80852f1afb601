"""The shape of `diagnosis.json`: written by whoever diagnoses, read back by plans, comparisons and pages.

Knows: which fields a diagnosis has, their units and domains. Numbers that are not finite are None, with the reason in a
field beside them; probabilities that can underflow are given as natural logarithms too. Refuses to know: measuring.
"""

import json
import os
from pathlib import Path
from statistics import median
from typing import Any, Literal, NamedTuple

from pydantic import Field, field_serializer, field_validator

from srlm.errors import InputError
from srlm.records.bracket import Bracket, Interval, Number, Record, Share
from srlm.records.forecast import Forecast, KnownResponses
from srlm.records.rounds import Accuracy, parse
from srlm.records.spectra import EffectiveDimension

DIAGNOSIS_FILE = "diagnosis.json"

Mark = Literal["empty", "cut", "repeating"]
MARKS: tuple[Mark, ...] = ("empty", "cut", "repeating")
Judgement = Literal["helps", "no headroom", "would amplify errors", "undecided"]


class Reply(Record):
    """A response as a person reads it: its text, its length in tokens with the end token, and what is wrong with it."""

    text: str
    tokens: int
    marks: tuple[Mark, ...]


class GreedyReply(Reply):
    """What greedy decoding answers, with its log-probability (nats)."""

    logprob: Number


class ModeReply(Reply):
    """The likeliest response that was seen, the bracket of the mode's log-probability (nats), and whether it is it."""

    logprob_lower: Number
    logprob_upper: Number
    certified: bool


class SampleFacts(Record):
    """What samples look like.

    Attributes:
        count: how many.
        distinct: different responses among those of each prompt, summed over prompts.
        mean_tokens: mean length, end tokens included.
        cut_share: share that never ended.
        entropy: mean entropy of next-token distributions (nats a token).
        self_reward_mean: mean log pi(y|x) (nats).
    """

    count: int
    distinct: int | None = None
    mean_tokens: Number
    cut_share: Share
    entropy: Number
    self_reward_mean: Number


class PromptDiagnosis(Record):
    """One prompt.

    Attributes:
        prompt: its text.
        group: what it belongs to (its `kind`), or "all".
        mode: the likeliest response.
        greedy: what greedy decoding answers.
        greedy_is_mode: True or False where that is settled, None where the search left it open.
        margin_lower: lower bound on the margin (nats); 0 where nothing is certified, None where `margin_note` says why.
        runner_up: text of the second likeliest response, None where there is none.
        expansions: prefixes the search expanded.
        answer: the accepted answer or answers, None where none is known.
        mode_correct, greedy_correct, best_of_n_correct, majority_correct: right or not; None where not known.
        sample_accuracy: share of samples that are right, None where not known.
        samples: what they look like.
        known: what a forecast of any beta needs.
    """

    prompt: str
    group: str
    mode: ModeReply
    greedy: GreedyReply
    greedy_is_mode: bool | None
    margin_lower: Number | None
    margin_note: str | None = None
    runner_up: str | None
    expansions: int
    answer: str | tuple[str, ...] | None
    mode_correct: bool | None
    greedy_correct: bool | None
    best_of_n_correct: bool | None
    majority_correct: bool | None
    sample_accuracy: Share | None
    samples: SampleFacts
    known: KnownResponses


class AccuracyByWay(Accuracy):
    """Shares of right answers over the prompts where one is known; all None where there is none.

    Attributes:
        best_of_n, majority: of the sample with the largest self-reward, of the most frequent answer.
        mode: of the likeliest responses: the predicted ceiling (P5).
        mode_bracket: the ceiling's ends: modes not certified count as wrong below and as right above.
        prompts: how many prompts have a known answer.
    """

    best_of_n: Share | None = None
    majority: Share | None = None
    mode_bracket: Bracket | None = None
    prompts: int = 0


class Verdict(Record):
    """What self-rewarding would do to a group of prompts, and why.

    Attributes:
        group: the group's name.
        prompts: how many prompts it has.
        verdict: in a word or three.
        reason: one sentence with the numbers behind it.
        remedy: what would decide it or make it better; empty where nothing is to be done.
        accuracy: as over all prompts.
        gain: interval over prompts of (mode accuracy - sample accuracy), None where no answers are known.
        kappa, log_kappa, failure_rate: as over all prompts.
        degenerate_modes: certified modes that are empty, cut or repeating.
    """

    group: str
    prompts: int
    verdict: Judgement
    reason: str
    remedy: str
    accuracy: AccuracyByWay
    gain: Interval | None
    kappa: Bracket
    log_kappa: Bracket | None = None
    failure_rate: Bracket
    degenerate_modes: int


class Bootstrap(Record):
    """Intervals over prompts at the best responses seen; beside the certification brackets, never inside them. `kappa`
    is None where an end is beyond what a double holds.
    """

    log_kappa: Interval
    kappa: Interval | None
    failure_rate: Interval
    sample_accuracy: Interval | None
    mode_accuracy: Interval | None
    resamples: int


class CalibrationBin(Record):
    """Samples of like probability: how many, their mean self-reward (nats), their mean probability, the share right."""

    count: int
    self_reward: Number
    confidence: Number
    accuracy: Share


class SelfJudgement(Record):
    """How well the self-reward separates right samples from wrong ones.

    Attributes:
        auroc: probability that a right sample has a larger self-reward than a wrong one, over all pairs of samples;
            None where all samples are right or all wrong.
        auroc_within: the same among samples of one prompt, averaged over the prompts that have both: this is what
            an update acts on. None where no prompt has both.
        prompts_within: how many prompts have both.
        calibration_error: expected calibration error of exp(self-reward) as a probability of being right.
        calibration: its bins, by falling probability.
        samples: samples with a known outcome.
    """

    auroc: Share | None
    auroc_within: Share | None
    prompts_within: int
    calibration_error: Number
    calibration: tuple[CalibrationBin, ...]
    samples: int


class DiagnosisSetup(Record):
    """How a diagnosis was measured: prompts and how many marked `gate` were left out, lengths, budgets, seed, the
    rounds forecast, the model's dtype and size, versions.
    """

    prompts: str
    gate_prompts: int = 0
    max_new_tokens: int
    expansions: int
    samples: int
    mass_slack: Share
    seed: int
    raw_prompts: bool
    beta: Number | None = None
    rounds: int | None = None
    dtype: str
    parameters: int
    architecture: str
    versions: dict[str, str]


class DiagnosisRecord(Record):
    """What a model's own distribution says about self-rewarding it on these prompts.

    Attributes:
        model, checksum: which model.
        settings: how it was measured.
        prompts: one entry a prompt, in the order given.
        kappa, log_kappa, failure_rate, min_confidence, log_min_confidence: certification brackets over all prompts.
        bootstrap: intervals over prompts.
        certified: modes that are certified.
        greedy_failures: prompts where greedy decoding is not the mode for certain.
        degenerate_modes: how many modes carry each mark, certified or not.
        samples: what those of all prompts look like.
        accuracy: over all prompts.
        self_reward_against_correctness: None where no answer is known.
        effective_dimension: spectra; None ({} on disk) where they were not asked for.
        numeric_error: largest difference (nats a response) between this precision and float32; brackets include it,
            and are estimates where it is positive.
        verdict: of "all" first, then one a group where there are several.
        forecast: what exact rounds would make of it.
        seconds: wall time by stage.
    """

    format: Literal[1] = 1
    model: str
    checksum: str
    settings: DiagnosisSetup
    prompts: tuple[PromptDiagnosis, ...] = Field(min_length=1)
    kappa: Bracket
    log_kappa: Bracket
    failure_rate: Bracket
    min_confidence: Bracket
    log_min_confidence: Bracket
    bootstrap: Bootstrap
    certified: int
    greedy_failures: int
    degenerate_modes: dict[Mark, int]
    samples: SampleFacts
    accuracy: AccuracyByWay
    self_reward_against_correctness: SelfJudgement | None
    effective_dimension: EffectiveDimension | None
    numeric_error: Number
    verdict: tuple[Verdict, ...] = Field(min_length=1)
    forecast: Forecast
    seconds: dict[str, Number]

    @field_validator("effective_dimension", mode="before")
    @classmethod
    def _none_asked_for(cls, spectra: Any) -> Any:
        return spectra or None

    @field_serializer("effective_dimension", mode="wrap")
    def _spectra(self, spectra: Any, plain: Any) -> dict[str, Any]:
        return plain(spectra) or {}

    @property
    def margins(self) -> tuple[float, float] | None:
        """Smallest and median margin (nats) of the prompts that have one; None: no other response is possible."""
        known = [one.margin_lower for one in self.prompts if one.margin_lower is not None]
        return (min(known), median(known)) if known else None

    @property
    def surer_of_wrong(self) -> list[PromptDiagnosis]:
        """Prompts whose likeliest response is wrong, the most certain first: what rounds make worse."""
        wrong = [one for one in self.prompts if one.mode_correct is False]
        return sorted(wrong, key=lambda one: (not one.mode.certified, -one.mode.logprob_lower))

    def as_dict(self) -> dict[str, Any]:
        """The document of `diagnosis.json`."""
        return self.model_dump(mode="json")


def holds_diagnosis(path: Path) -> bool:
    """Whether `path` is a diagnosis, or a folder with one, be it a damaged one."""
    return os.path.lexists(path / DIAGNOSIS_FILE) or (path.is_file() and path.suffix == ".json")


def read_diagnosis(path: Path) -> DiagnosisRecord:
    """The diagnosis in a folder, or in the file itself.

    Raises:
        InputError: nothing there, no diagnosis, one of another format, or fields of the wrong type (all named).
    """
    file = path / DIAGNOSIS_FILE if path.is_dir() else path
    if file.is_char_device():
        raise InputError(f"{str(file)!r} is no diagnosis but a device; write one with srlm diagnose --out")
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{str(file)!r} is no diagnosis ({error}); write one with srlm diagnose --out") from error
    held = document if isinstance(document, dict) else {}
    if held.get("level") == "answer":
        raise InputError(
            f"{str(file)!r} is a diagnosis of answers; its forecast stands in it under forecast, srlm report draws its "
            "page, and no other command reads it"
        )
    if missing := [
        name for name, one in DiagnosisRecord.model_fields.items() if one.is_required() and name not in held
    ]:
        raise InputError(
            f"{str(file)!r} is no diagnosis: it has no {', '.join(missing)}; write one with srlm diagnose --out"
        )
    return parse(DiagnosisRecord, document, file)


class PlanInput(NamedTuple):
    """One argument of `srlm.theory.plan` as a diagnosis measured it, and which of its numbers it is."""

    name: str
    value: float
    note: str


def planning_inputs(diagnosis: DiagnosisRecord, path: Path, sized: bool) -> list[PlanInput]:
    """kappa0, min_confidence, margin (nats) and dim for a plan, as far as the diagnosis has them.

    Args:
        diagnosis: the record.
        path: where it was read, for messages.
        sized: the size of the class is known from elsewhere, so that no dimension is needed.

    Raises:
        InputError: kappa beyond what a double holds; no effective dimension where one is needed.
    """
    kappa, confidence = diagnosis.kappa.upper, diagnosis.min_confidence.lower
    if kappa is None:
        raise InputError(
            f"{str(path)!r} has kappa above 1e308, for which no plan helps; give --kappa0, or shorter answers"
        )
    inputs = [PlanInput("kappa0", kappa, "the upper end of its bracket")]
    if confidence:
        note = "the lower end, over the prompts of the diagnosis (round 0)"
        inputs.append(PlanInput("min_confidence", confidence, note))
    if margins := [one.margin_lower for one in diagnosis.prompts if one.margin_lower]:
        inputs.append(PlanInput("margin", min(margins), "the smallest positive lower bound"))
    if diagnosis.effective_dimension is not None and not sized:
        inputs.append(PlanInput("dim", diagnosis.effective_dimension.value, "the effective dimension"))
    elif not sized:
        raise InputError(
            f"{str(path)!r} has no effective dimension (it was made without spectra); give --dim and --radius, or "
            "--log-class-size"
        )
    return inputs
