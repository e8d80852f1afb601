"""What the page's script reads: the types of the JSON that rides in a page, for runs, diagnoses and audits alike.

Knows: names, units and what each field means to a reader. Whoever fills it takes every number from the records; what
the script computes itself (the exact tilt for a beta that the reader moves, the growing certificate of one prompt) it
computes from these. Refuses to know: records, drawing. Texts are what a model or a user wrote, made visible
(`records.text`) and cut to a length: the script sets them as text, never as markup. In the JSON a field at its default
is left out, and numbers have six significant digits (they agree with the records to 1e-5 relative).
"""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict

from srlm.records.rounds import Split
from srlm.report.traced import plain

Colour = Literal["ink", "theory", "right", "wrong", "soft", "blue", "orange", "green", "purple", "red"]
Words = Annotated[str, AfterValidator(plain)]  # sentences are made of numbers that know where they are from
Fate = Literal["kept", "learned", "corrupted", "still_wrong"]


class Part(BaseModel):
    """What all parts of the payload share: fixed, and nothing that is not named."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Item(Part):
    """A response, or an answer, that was seen at some round of a prompt.

    Attributes:
        text: None where only its probability is known (a diagnosis keeps the texts of few).
        right: None where no answer is known or nobody graded it.
        cut: it never ended, or is empty.
    """

    text: str | None
    right: bool | None = None
    cut: bool = False


class At(Part):
    """One prompt at one round. Log-probabilities are in nats; None stands for minus infinity or not known.

    Attributes:
        lead: index of the favourite (mode, majority) among the prompt's items; None: nothing has an answer.
        lower, upper: bracket of the favourite's log-probability (at level answer given that there is an answer).
        certified: the favourite is certain: by search (proved), or by draws at the run's confidence.
        proved: at level answer, the responses seen prove it; at level response the same as `certified`.
        right: whether the favourite is right.
        share: share of right samples; None where no answer is known.
        logprobs: level response: of every item at this round, None where this round did not score it.
        open: level response: log-probabilities of prefixes left open, largest first (P8 ii).
        open_texts: of the first so many of them.
        dropped: level response: (mass, log-probability of the likeliest) of all that lies under no open prefix and is
            no item; None: nothing does.
        expansions: prefixes that the search expanded.
        counts: how often each item was drawn.
        draws: level answer: index of the item of every draw in order, -1 without an answer; empty where the order was
            not kept.
        drawn: samples drawn, those without an answer among them.
        greedy: index of what greedy decoding answers, -1: it has no answer; None: not known.
        said: level answer: the first response with the majority's answer.
    """

    lead: int | None
    lower: float | None
    upper: float | None
    certified: bool
    proved: bool = False
    right: bool | None = None
    share: float | None = None
    logprobs: list[float | None] = []
    open: list[float] = []
    open_texts: list[str] = []
    dropped: tuple[float, float] | None = None
    beneath: list[int] = []
    expansions: int | None = None
    counts: list[int] = []
    draws: list[int] = []
    drawn: int = 0
    greedy: int | None = None
    said: str | None = None


class Prompt(Part):
    """One prompt, with all that was seen at it; `rounds` goes along with the run's."""

    id: int
    split: Split
    prompt: str
    known: str
    items: list[Item]
    rounds: list[At]


class Step(Part):
    """How favourites went from the round before to `round`, over all prompts of a split with a known answer."""

    round: int
    split: Split
    counts: dict[Fate, int]


class Stop(Part):
    """The round after which a signature of trouble spoke first: the last good one.

    Attributes:
        round: the reader should have stopped here.
        signature: its name.
        evidence: its sentence.
        rate: false alarms, as a sentence ("0 in 24,960 steps of healthy runs").
    """

    round: int
    signature: str
    evidence: Words
    rate: Words


class Run(Part):
    """A run, a diagnosis (one round, nothing trained) or an audit (rounds are windows of steps).

    Attributes:
        name: short and unique on the page.
        kind, level: what it is.
        rounds: numbers of the rounds that `Prompt.rounds` and the slider have.
        horizon: last round of the tilt's axis: the rounds planned, or forecast.
        beta: of the rounds; None: not known, the slider starts at 1.
        confidence: of certificates from draws; None at level response.
        alpha: level answer: the level of one prompt's certificate in a round, (1 - confidence) over prompts.
        proved: the word for what a search settled: "proved", or "settled" where brackets were widened.
        failing: a favourite with at most this probability fails (1 - delta).
        max_tokens: the most a response may have; None: not known.
        prompts: those on the page; `left_out` more are in the records, those that moved most come first.
        thinned: where everything would be too large, which of the likeliest open prefixes of a round, and responses of
            a prompt, are kept, in words; the probability of the others is in `dropped`.
        steps: the ledger.
        stop: None where nothing spoke.
        folder: of the records, for `data-path` ("rounds/02/modes.parquet#17/mode_logprob").
    """

    name: str
    kind: Literal["run", "diagnosis", "audit"]
    level: Literal["response", "answer"]
    rounds: list[int]
    horizon: int
    beta: float | None
    confidence: float | None = None
    alpha: float | None = None
    proved: Literal["proved", "settled"] = "proved"
    failing: float = 0.5
    max_tokens: int | None = None
    prompts: list[Prompt]
    left_out: int = 0
    thinned: Words = ""
    steps: list[Step] = []
    stop: Stop | None = None
    folder: str = ""


class Line(Part):
    """One quantity of a chart.

    Attributes:
        name: for the legend.
        points: (x, y, lower, upper); y None leaves a gap, ends None draw no bar.
        colour: "ink" what was measured, "theory" what the theory says, the others tell splits or runs apart.
        style: how points are joined; "none": dots alone; "bars": one bar a point.
        mark: what stands at a point.
        band: draw lower and upper as an area, not as bars.
        estimated: ends or points are sampled, not proved: hatched and hollow.
        paths: where the y of every point is from ("rounds/03/metrics.json#/kappa/upper"); "": it was computed.
    """

    name: Words
    points: list[tuple[float, float | None, float | None, float | None]]
    colour: Colour = "ink"
    style: Literal["solid", "dash", "dot", "none", "bars"] = "solid"
    mark: Literal["dot", "diamond", "up", "down", "cross", "none"] = "dot"
    band: bool = False
    estimated: bool = False
    paths: list[str] = []


class Axis(Part):
    """One axis.

    Attributes:
        title: with its unit.
        log, percent: how it is scaled and labelled.
        lowest, highest: ends that data do not move; None: from the data.
        ticks: (where, label), where the script is not to choose; names of categories for bars.
    """

    title: Words = ""
    log: bool = False
    percent: bool = False
    lowest: float | None = None
    highest: float | None = None
    ticks: list[tuple[float, str]] = []


class Rule(Part):
    """A straight line across a chart, or a band where `until` is given, with its label ("ceiling 87%", "stop here")."""

    axis: Literal["x", "y"]
    at: float
    label: Words
    until: float | None = None


class Chart(Part):
    """A figure: `key` is its place in the page (`data-chart`), `words` what it shows in a sentence.

    Attributes:
        horizontal: bars lie, one a row: x, from the top, and y change places.
        stacked: bars of several lines stand on one another.
    """

    key: str
    title: Words
    caption: Words
    words: Words
    x: Axis
    y: Axis
    lines: list[Line]
    rules: list[Rule] = []
    horizontal: bool = False
    stacked: bool = False
    wide: bool = False


class Page(Part):
    """All that the script reads."""

    format: Literal[1] = 1
    runs: list[Run] = []
    charts: list[Chart] = []
