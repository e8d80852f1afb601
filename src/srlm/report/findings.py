"""What a run amounts to, in words: the headline, its figures, what looked wrong, and what to keep in mind.

Knows: the records' fields; the theory's promises are in `promises.py`. Refuses to know: anything that is not in them.
"""

from dataclasses import dataclass

from srlm.measure.promises import log_kappa
from srlm.records.rounds import SPLITS, Split
from srlm.report import numbers
from srlm.report._pieces import NAMES
from srlm.report.reading import Answer, RunView


@dataclass(frozen=True, slots=True)
class Fact:
    """One figure of the summary: what it is, at the base model, at the last round, and what it means."""

    name: str
    before: str
    after: str
    meaning: str


def headline(run: RunView) -> str:
    """The run in one sentence."""
    series = run.split(run.main_split())
    if not series:
        return "No round has been measured yet"
    last, now = series[-1]
    if last == 0:
        return f"The base model: condition number κ = {numbers.kappa(now)}"
    _, base = series[0]
    rounds = numbers.plural(last, "round")
    (least, most), (was_least, was_most) = log_kappa(now), log_kappa(base)
    if most < was_least:
        return f"κ fell from {numbers.kappa(base)} to {numbers.kappa(now)} in {rounds}"
    if least > was_most:
        return f"κ rose from {numbers.kappa(base)} to {numbers.kappa(now)} in {rounds}"
    return f"κ was {numbers.kappa(base)} and is {numbers.kappa(now)} after {rounds}: no certain change"


def standfirst(run: RunView) -> list[str]:
    """Two to four sentences under the headline: what it means, whether it carried over, whether answers got better."""
    series = run.split(run.main_split())
    if not series:
        return ["The page will fill as rounds complete."]
    last, now = series[-1]
    sentences = [
        "κ is the number of samples it takes, on average over prompts, to see the model's own favourite response "
        "once; at 1 the model always gives it."
    ]
    held = run.split("held_out")
    if last and run.main_split() == "train" and held:
        sentences.append(
            f"On prompts never trained on, κ went from {numbers.kappa(held[0][1])} to {numbers.kappa(held[-1][1])}."
        )
    if last:
        sentences += [text for name in SPLITS if (text := _accuracy_sentence(run, name))]
    elif now.accuracy.sample is not None:
        sentences.append(
            f"Of its samples {numbers.share(now.accuracy.sample)} are right, of its modes "
            f"{numbers.share(now.accuracy.mode)}."
        )
    return sentences


def _accuracy_sentence(run: RunView, split: Split) -> str | None:
    series = run.split(split)
    if len(series) < 2 or series[0][1].accuracy.sample is None or series[-1][1].accuracy.sample is None:
        return None
    before, after = series[0][1].accuracy.sample, series[-1][1].accuracy.sample
    greedy = [series[0][1].accuracy.greedy, series[-1][1].accuracy.greedy]
    text = f"On {NAMES[split]}, {numbers.share(before)} of samples were right before and {numbers.share(after)} are now"
    modes = [series[0][1].accuracy.mode, series[-1][1].accuracy.mode]
    if greedy[0] is not None and greedy[1] is not None:
        text += f"; greedy answers went from {numbers.share(greedy[0])} to {numbers.share(greedy[1])}"
    if modes[0] is not None and modes[1] is not None:
        sure = all(one.certified_share != 0 for _, one in (series[0], series[-1]))
        none = f"the likeliest responses seen (none of them {numbers.proved(run.widened)})"
        which = "the favourite responses" if sure else none
        text += f", {which} from {numbers.share(modes[0])} to {numbers.share(modes[1])}"
    return text + "."


def facts(run: RunView) -> list[Fact]:
    """The figures a reader should take away, trained prompts before held-out ones."""
    figures: list[Fact] = []
    for split in SPLITS:
        if not (series := run.split(split)):
            continue
        base, now, where = series[0][1], series[-1][1], NAMES[split]
        kappas = numbers.kappa(base), numbers.kappa(now)
        figures.append(Fact(f"Condition number κ, {where}", *kappas, "1 is certain of itself"))
        rates = numbers.share_bracket(base.failure_rate), numbers.share_bracket(now.failure_rate)
        meaning = "prompts whose favourite response has probability at most ½"
        figures.append(Fact(f"Failure rate, {where}", *rates, meaning))
        if now.accuracy.sample is not None:
            shares = numbers.share(base.accuracy.sample), numbers.share(now.accuracy.sample)
            figures.append(Fact(f"Right samples, {where}", *shares, "drawn at temperature 1, nothing cut"))
    return figures


@dataclass(frozen=True, slots=True)
class Trouble:
    """A signature that spoke, and every round at which it did.

    Attributes:
        name: of the signature.
        rounds: its rounds.
        evidence: of the last of them.
        advice: what to do.
    """

    name: str
    rounds: tuple[int, ...]
    evidence: str
    advice: str


def troubles(run: RunView) -> list[Trouble] | None:
    """What looked wrong in the run, first seen first; None where nobody looked (the base model alone, or records
    without signatures).
    """
    looked = [one for one in run.rounds if one.round > 0 and one.signatures is not None]
    if not looked:
        return None
    shown: dict[str, Trouble] = {}
    for metrics in looked:
        for one in metrics.signatures or ():
            rounds = (*(shown[one.name].rounds if one.name in shown else ()), metrics.round)
            shown[one.name] = Trouble(one.name.replace("_", " "), rounds, one.evidence, one.advice)
    return list(shown.values())


def caveats(run: RunView) -> list[str]:
    """What a careful reader should keep in mind."""
    notes: list[str] = []
    for split in SPLITS:
        if not (series := run.split(split)):
            continue
        if count := series[-1][1].prompts:
            notes.append(
                f"There are {numbers.plural(count, NAMES[split][:-1])}: one prompt more or less is {100 / count:.1f} "
                "percentage points of greedy or mode accuracy."
            )
        open_rounds = [number for number, one in series if one.certified_share is not None and one.certified_share < 1]
        if open_rounds:
            listed = ", ".join(str(number) for number in open_rounds)
            holds = "" if run.widened else " that contains the true value"
            notes.append(
                f"On {NAMES[split]} not all modes were {numbers.proved(run.widened)} in round {listed}: what rests on "
                f"them (κ, failure rate, minimum confidence) is a bracket{holds}."
            )
    numerics = [one.numerics for one in run.rounds if one.numerics and one.numerics.widened]
    if numerics:
        notes.append(numbers.widening(numerics[-1].dtype, run.widened))
    elif any(series and series[-1][1].certified_share == 1 for series in map(run.split, SPLITS)):
        notes.append(
            "Where every mode was proved by exhaustive search, κ and the failure rate are exact for these prompts, "
            "not estimates; other prompts would give other numbers."
        )
    if not run.split("held_out"):
        notes.append("No prompts were held out: nothing here says how the model does on prompts it was not trained on.")
    notes.append(
        "Sharpening makes latent ability the habit; it teaches nothing new. P3 and P5 speak of exact rounds; "
        "training by gradient steps on a few samples is not exact, and the page says where it shows."
    )
    return notes


def changes(answers: tuple[Answer, ...], split: Split) -> str | None:
    """How many greedy answers turned right and how many turned wrong."""
    marks = [(one.base.greedy.correct, one.last.greedy.correct) for one in answers if one.split == split]
    known = [(before, after) for before, after in marks if before is not None and after is not None]
    if not known:
        return None
    gained, lost = sum(not b and a for b, a in known), sum(b and not a for b, a in known)
    return f"Of {len(known)} greedy answers to {NAMES[split]}, {gained} turned right and {lost} turned wrong."
