"""The shape of a diagnosis: frozen results, and the JSON document that other commands and pages read.

Knows: the contract of `diagnosis.json` (design.md). Non-finite numbers become null here, with the reason in a field
beside them; probabilities that can underflow are given as natural logarithms too.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from srlm.measure.degenerate import Mark
from srlm.measure.split import ModeStatistics
from srlm.measure.strategies import SelfJudgement
from srlm.records.bracket import Bracket, Interval


def plain(value: Any) -> dict[str, Any]:
    return {n: v.model_dump(mode="json") if hasattr(v, "model_dump") else v for n, v in asdict(value).items()}


Judgement = Literal["helps", "no headroom", "would amplify errors", "undecided"]


@dataclass(frozen=True, slots=True)
class Reply:
    """A response as a person reads it, its log-probability bracket (nats) and what is wrong with it."""

    text: str
    logprob_lower: float
    logprob_upper: float
    tokens: int
    ended: bool
    marks: tuple[Mark, ...]


@dataclass(frozen=True, slots=True)
class SampleFacts:
    """What the samples of one prompt look like.

    Attributes:
        count: K.
        distinct: different responses among them.
        mean_tokens: mean length, end tokens included.
        cut_share: share that never ended.
        entropy: mean entropy of next-token distributions (nats a token).
        self_reward_mean: mean log pi(y|x) (nats).
    """

    count: int
    distinct: int
    mean_tokens: float
    cut_share: float
    entropy: float
    self_reward_mean: float


@dataclass(frozen=True, slots=True)
class PromptDiagnosis:
    """One prompt.

    Attributes:
        prompt: its text.
        group: what it belongs to (its `kind`), or "all".
        answers: accepted answers, empty where none is known.
        mode: the likeliest response found; the mode where `certified`.
        certified: no response is likelier.
        greedy: what greedy decoding answers.
        greedy_is_mode: True or False where proved, None where the search left it open.
        margin_lower: lower bound on the margin (nats); 0 where nothing is certified, inf where no other response
            exists.
        runner_up: text of the second likeliest response found, None where there is none.
        expansions: prefixes the search expanded.
        mode_correct, greedy_correct, best_of_n_correct, majority_correct: right or not; None where not known.
        sample_accuracy: share of samples that are right, None where not known.
        samples: what they look like.
    """

    prompt: str
    group: str
    answers: tuple[str, ...]
    mode: Reply
    certified: bool
    greedy: Reply
    greedy_is_mode: bool | None
    margin_lower: float
    runner_up: str | None
    expansions: int
    mode_correct: bool | None
    greedy_correct: bool | None
    best_of_n_correct: bool | None
    majority_correct: bool | None
    sample_accuracy: float | None
    samples: SampleFacts

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        finite = math.isfinite(self.margin_lower)
        return {
            "prompt": self.prompt,
            "group": self.group,
            "mode": {
                "text": self.mode.text,
                "logprob_lower": self.mode.logprob_lower,
                "logprob_upper": self.mode.logprob_upper,
                "certified": self.certified,
                "tokens": self.mode.tokens,
                "marks": list(self.mode.marks),
            },
            "greedy": {
                "text": self.greedy.text,
                "logprob": self.greedy.logprob_lower,
                "tokens": self.greedy.tokens,
                "marks": list(self.greedy.marks),
            },
            "greedy_is_mode": self.greedy_is_mode,
            "margin_lower": self.margin_lower if finite else None,
            "margin_note": None if finite else "no other response is possible, so the margin is infinite",
            "runner_up": self.runner_up,
            "expansions": self.expansions,
            "answer": None if not self.answers else self.answers[0] if len(self.answers) == 1 else list(self.answers),
            "mode_correct": self.mode_correct,
            "greedy_correct": self.greedy_correct,
            "best_of_n_correct": self.best_of_n_correct,
            "majority_correct": self.majority_correct,
            "sample_accuracy": self.sample_accuracy,
            "samples": asdict(self.samples),
        }


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Shares of right answers over the prompts where one is known; all None where there is none.

    Attributes:
        sample, greedy, best_of_n, majority: of samples, of greedy decoding, of the sample with the largest
            self-reward, of the most frequent answer.
        mode: of the likeliest responses found: the predicted ceiling (P5).
        mode_bracket: the ceiling's certified ends: modes not proved count as wrong below and as right above.
        prompts: how many prompts have a known answer.
    """

    sample: float | None
    greedy: float | None
    best_of_n: float | None
    majority: float | None
    mode: float | None
    mode_bracket: Bracket | None
    prompts: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """What self-rewarding would do to a group of prompts, and why.

    Attributes:
        group: the group's name.
        prompts: how many prompts it has.
        judgement: the verdict.
        reason: one sentence with the numbers behind it.
        remedy: what would decide it or make it better; empty where nothing is to be done.
        accuracy: as over all prompts.
        gain: interval over prompts of (mode accuracy - sample accuracy), None where no answers are known.
        statistics: kappa and its companions on the group.
        degenerate: proved modes that are empty, cut or repeating.
    """

    group: str
    prompts: int
    judgement: Judgement
    reason: str
    remedy: str
    accuracy: Accuracy
    gain: Interval | None
    statistics: ModeStatistics
    degenerate: int

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "group": self.group,
            "prompts": self.prompts,
            "verdict": self.judgement,
            "reason": self.reason,
            "remedy": self.remedy,
            "accuracy": plain(self.accuracy),
            "gain": None if self.gain is None else self.gain.model_dump(mode="json"),
            "kappa": self.statistics.kappa.model_dump(mode="json"),
            "failure_rate": self.statistics.failure_rate.model_dump(mode="json"),
            "degenerate_modes": self.degenerate,
        }


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """Intervals over prompts at the best responses found; beside the certification brackets, never inside them."""

    log_kappa: Interval
    kappa: Interval
    failure_rate: Interval
    sample_accuracy: Interval | None
    mode_accuracy: Interval | None
    resamples: int


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What a model's own distribution says about self-rewarding it on these prompts.

    Attributes:
        model, checksum: which model.
        settings: how it was measured (lengths, budgets, seed, dtype, versions).
        prompts: one entry a prompt, in the order given.
        statistics: certification brackets over all prompts.
        bootstrap: intervals over prompts.
        accuracy: over all prompts.
        judgement: self-reward against correctness, None where no answer is known.
        marks: how many modes carry each mark, proved or not.
        effective_dimension: spectra, as `srlm.diagnosis.spectra` describes them; empty where they were not asked for.
        numeric_error: largest difference (nats a response) between this precision and float32; brackets include it.
        verdicts: "all" first, then one a group where there are several.
        seconds: wall time by stage.
    """

    model: str
    checksum: str
    settings: Mapping[str, Any]
    prompts: tuple[PromptDiagnosis, ...]
    statistics: ModeStatistics
    bootstrap: Bootstrap
    accuracy: Accuracy
    judgement: SelfJudgement | None
    marks: Mapping[str, int]
    effective_dimension: Mapping[str, Any]
    numeric_error: float
    verdicts: tuple[Verdict, ...]
    seconds: Mapping[str, float]

    def as_dict(self) -> dict[str, Any]:
        """The document of `diagnosis.json`."""
        wrong = [one for one in self.prompts if one.greedy_is_mode is False]
        samples = [one.samples for one in self.prompts]
        responses = sum(one.count for one in samples)
        return {
            "format": 1,
            "model": self.model,
            "checksum": self.checksum,
            "settings": dict(self.settings),
            "prompts": [one.as_dict() for one in self.prompts],
            "kappa": self.statistics.kappa.model_dump(mode="json"),
            "log_kappa": self.statistics.log_kappa.model_dump(mode="json"),
            "failure_rate": self.statistics.failure_rate.model_dump(mode="json"),
            "min_confidence": self.statistics.min_confidence.model_dump(mode="json"),
            "log_min_confidence": self.statistics.log_min_confidence.model_dump(mode="json"),
            "bootstrap": plain(self.bootstrap),
            "certified": sum(one.certified for one in self.prompts),
            "greedy_failures": len(wrong),
            "degenerate_modes": dict(self.marks),
            "samples": {
                "count": responses,
                "mean_tokens": math.fsum(one.mean_tokens * one.count for one in samples) / responses,
                "cut_share": math.fsum(one.cut_share * one.count for one in samples) / responses,
                "entropy": math.fsum(one.entropy * one.count for one in samples) / responses,
                "self_reward_mean": math.fsum(one.self_reward_mean * one.count for one in samples) / responses,
            },
            "accuracy": plain(self.accuracy),
            "self_reward_against_correctness": None if self.judgement is None else asdict(self.judgement),
            "effective_dimension": dict(self.effective_dimension),
            "numeric_error": self.numeric_error,
            "verdict": [one.as_dict() for one in self.verdicts],
            "seconds": dict(self.seconds),
        }
