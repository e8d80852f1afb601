"""The shape of `diagnosis.json` at the level of answers: written by whoever diagnoses, read back by pages.

Knows: which fields there are, their units and domains. Ends that rest on draws carry their confidence; an infinite end
is None. Refuses to know: measuring.
"""

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from srlm.records.bracket import Bracket, Interval, Number, Record, Share
from srlm.records.diagnosis import DIAGNOSIS_FILE, Judgement
from srlm.records.forecast import Forecast
from srlm.records.rounds import SplitRecord, parse


class AnswerCount(Record):
    """A canonical answer, and how many of the draws gave it."""

    answer: str
    count: int


class MajorityAnswer(Record):
    """The answer drawn most often.

    Attributes:
        answer: None where no draw had one.
        certified: it is certified at the diagnosis' confidence, together with the others that are.
        proved: the responses seen prove it: nothing else can be as likely.
        probability: bracket of the likeliest answer's probability, at all prompts at once.
        correct: None where no answer is known.
    """

    answer: str | None
    certified: bool
    proved: bool
    probability: Bracket
    correct: bool | None


class AnswerPrompt(Record):
    """One prompt: what it was asked, what was answered how often, and what is right.

    Attributes:
        prompt, group, accepted: its text, what it belongs to (its `kind`), and the accepted answers.
        answers: most often first.
        majority, greedy: the commonest answer; that of greedy decoding (None: it has none), and whether it is right.
        draws, unparseable: responses drawn, and how many had no answer.
        sample_accuracy: share of right draws; None where no answer is known.
    """

    prompt: str
    group: str
    accepted: tuple[str, ...]
    answers: tuple[AnswerCount, ...]
    majority: MajorityAnswer
    greedy: str | None
    greedy_correct: bool | None
    draws: int
    unparseable: int
    sample_accuracy: Share | None


class AnswerAccuracy(Record):
    """Shares of right answers over prompts where one is known.

    Attributes:
        sample, greedy, majority: of draws, greedy decoding, and majorities of all draws: the predicted ceiling (P10).
        maj_at, pass_at: by k, unbiased over every subset of the draws; draws without an answer count as wrong ones.
        certified: of the certified majorities; `certified_interval` over prompts of the same kind.
        majority_interval: likewise.
        greedy_agrees: share of prompts where greedy decoding and the majority say the same.
    """

    sample: Share | None = None
    greedy: Share | None = None
    majority: Share | None = None
    maj_at: dict[str, Share] = Field(default_factory=dict)
    pass_at: dict[str, Share] = Field(default_factory=dict)
    certified: Share | None = None
    certified_interval: Interval | None = None
    majority_interval: Interval | None = None
    greedy_agrees: Share | None = None


class BreakEven(Record):
    """After how many questions training pays, against voting over draws of the base model at every one.

    Attributes:
        votes: smallest k whose maj@k reaches what a single draw is forecast to reach; None where no k in sight does,
            or where training is forecast to gain nothing.
        questions: cost of the run over what each question then saves; None likewise.
        run_draws: the run's cost, in draws.
        assumes: what the figures rest on.
    """

    votes: int | None
    questions: int | None
    run_draws: int
    assumes: str


class AnswerVerdict(Record):
    """What rounds that reward answers would do, why, and what to do about it; `gain` is the interval over prompts of
    (majority accuracy - sample accuracy).
    """

    verdict: Judgement
    reason: str
    remedy: str = ""
    gain: Interval | None = None


class AnswerDiagnosis(Record):
    """What draws say about rounds on these prompts at the level of answers.

    Attributes:
        model, checksum, settings: which model, how it was measured.
        prompts: one entry a prompt, in the order given.
        measured: kappa_A and all that a round records of a split.
        kappa, log_kappa, failure_rate, unparseable_share: from there, in front.
        accuracy: by every way of answering.
        surer_of_wrong: numbers of the prompts whose majority is wrong, the most certain first: what rounds make worse.
        forecast: P10 iterated; None where nothing was answered.
        break_even: None where no answers are known.
        verdict: in a sentence.
        seconds: wall time by stage.
    """

    format: Literal[1] = 1
    level: Literal["answer"] = "answer"
    model: str
    checksum: str
    settings: dict[str, Any]
    prompts: tuple[AnswerPrompt, ...] = Field(min_length=1)
    measured: SplitRecord
    kappa: Bracket
    log_kappa: Bracket | None
    failure_rate: Bracket
    unparseable_share: Share
    kappa_estimate: Number | None = None
    accuracy: AnswerAccuracy
    surer_of_wrong: tuple[int, ...]
    forecast: Forecast | None
    break_even: BreakEven | None
    verdict: AnswerVerdict
    seconds: dict[str, Number]

    def as_dict(self) -> dict[str, Any]:
        """The document of `diagnosis.json`."""
        return self.model_dump(mode="json")


def read_answer_diagnosis(path: Path) -> AnswerDiagnosis | None:
    """The diagnosis of answers in a folder, or in the file itself; None where it is something else.

    Raises:
        InputError: fields of the wrong type (all named).
    """
    file = path / DIAGNOSIS_FILE if path.is_dir() else path
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    told = isinstance(document, dict) and document.get("level") == "answer"
    return parse(AnswerDiagnosis, document, file) if told else None
