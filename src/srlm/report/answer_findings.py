"""What a run of answers amounts to, in words: as `findings`, where majorities of samples stand for modes (P10, P11).

Knows: the records' fields. An estimate from draws is "about", its ends "certified" at their confidence; "proved" is
only what the responses seen prove. Refuses to know: anything that is not in the records.
"""

from collections.abc import Callable, Sequence

from srlm.measure.fates import FATES
from srlm.records.answers import AnswersRecord
from srlm.records.rounds import SPLITS, Split, SplitRecord
from srlm.records.text import visible
from srlm.report import forecasts, numbers, promises
from srlm.report._pieces import NAMES
from srlm.report.findings import by_split, choice, ends, retained, sentence
from srlm.report.reading import RunView


def points(run: RunView) -> list[tuple[str, str]]:
    """What a stranger asks first; questions that the records do not answer are left out."""
    ceiling = "" if run.watched else "Exact rounds would end at the majorities’ first figure, the ceiling (P10)."
    asked = [
        ("Right answers", by_split(run, _accuracy_sentence, ceiling)),
        (
            "Learned, corrupted",
            by_split(run, _fates_sentence, "Learned: the majority was wrong at round 0, right now."),
        ),
        ("Certain?", by_split(run, _certain_sentence)),
        ("Surer?", by_split(run, _surer_sentence)),
        ("Narrower?", _narrower(run)),
        ("Without an answer?", by_split(run, _unread_sentence, "They are left out of everything else.")),
        ("How many draws?", _draws(run)),
        ("How strong?", _strength(run)),
        ("As forecast?", by_split(run, forecasts.sentence)),
        ("As the theory says?", promises.theory_sentence(run) if len(run.rounds) > 1 else ""),
        ("Which round?", choice(run)),
    ]
    return [(question, answer) for question, answer in asked if answer]


def _went(run: RunView, split: Split, form: Callable[[SplitRecord], str]) -> str:
    """ "a → b" from round 0 to the round shown; "a" where they read the same."""
    series = run.shown(split)
    return numbers.went(*(form(one) for one in (series[0][1], series[-1][1])))


def _accuracy_sentence(run: RunView, split: Split) -> str | None:
    series = run.shown(split)
    if not series or series[-1][1].accuracy.sample is None:
        return None
    ways = (("samples", "sample"), ("greedy answers", "greedy"), ("majorities", "mode"))
    told = (
        f"{name} {_went(run, split, lambda one, way=way: numbers.measured(one, f'{way}_accuracy'))}"
        for name, way in ways
        if getattr(series[-1][1].accuracy, way) is not None
    )
    return f"{NAMES[split].capitalize()}: {', '.join(told)}."


def _fates_sentence(run: RunView, split: Split) -> str | None:
    if (pair := ends(run, split)) is None or not (counts := pair[1].fates.get("majority")):
        return None
    told = ", ".join(f"{numbers.whole(counts.get(fate, 0))} {fate.replace('_', ' ')}" for fate in FATES)
    text = f"{NAMES[split].capitalize()}: of {sum(counts.values())} majorities {told}"
    flips = pair[1].flips
    return text + ("." if flips is None else f"; {numbers.share(flips)} changed in the last step.")


def _certain_sentence(run: RunView, split: Split) -> str | None:
    told, series = [], run.shown(split)
    for number, one in dict([*series[:1], *series[-1:]]).items():
        if (of := one.answers) is None:
            continue
        text = f"in round {number} draws certified {_by_draws(of)} of {numbers.whole(one.prompts or 0)} majorities "
        text += f"at {_level(of)}"
        text += f", and the responses seen proved {numbers.whole(of.proved)} more" if of.proved else ""
        if of.certified_accuracy is not None:
            right = numbers.over_prompts(numbers.share(of.certified_accuracy), of.certified_interval)
            text += f"; of these {right} were right"
        told.append(text)
    return f"{NAMES[split].capitalize()}: {'; '.join(told)}." if told else None


def _surer_sentence(run: RunView, split: Split) -> str | None:
    if (pair := ends(run, split)) is None or pair[0].kept_confidence is None or pair[1].kept_confidence is None:
        return None
    shares = _went(run, split, lambda one: numbers.measured(one, "kept_confidence"))
    return f"{NAMES[split].capitalize()}: {run.base_name}’s majorities have of the answers drawn, on average, {shares}."


def _narrower(run: RunView) -> str:
    """Which diversity went: that of answers should, that of the reasoning within an answer need not (P10)."""
    split: Split = "held_out" if run.split("held_out") else "train"
    if (pair := ends(run, split)) is None:
        return ""
    parts = []
    for what, name, unit in (
        ("different answers to a prompt", "distinct", ""),
        ("entropy of the answers", "entropy", " nats"),
        ("entropy of the reasoning within an answer", "entropy_within", " nats"),
    ):
        was, is_ = (one.answers and getattr(one.answers, name) for one in pair)
        if was is not None and is_ is not None:
            parts.append(f"{what} {numbers.number(was)} → {numbers.number(is_)}{unit}")
    if parts:
        parts[0] += f" ({NAMES[split]})"
    text = sentence([*parts, *retained(run)])
    return f"{text} Exact rounds take diversity from the answers alone (P10)." if text else ""


def _unread_sentence(run: RunView, split: Split) -> str | None:
    shares = [(of.answers.unparseable_share, number) for number, of in run.shown(split) if of.answers]
    if not any(share for share, _ in shares):
        return None
    (first, _), (last, _), (most, at) = shares[0], shares[-1], max(shares, key=lambda one: one[0])
    went = numbers.went(*map(numbers.mass, (first, last)))
    text = f"{NAMES[split].capitalize()}: {went} of the responses"
    return text + (f"; most in round {at}, {numbers.mass(most)}." if most > max(first, last) else ".")


def _draws(run: RunView) -> str:
    """What sampling until certain spent against a fixed number; nothing where the number was fixed."""
    told = []
    for one in run.rounds:
        known = [of.answers for split in SPLITS if (of := one.split(split)) and of.answers]
        budget = sum(of.budget or 0 for of in known)
        if budget:
            draws = sum(of.draws for of in known)
            told.append(f"round {one.round}: {draws:,} of {budget:,} ({numbers.share(draws / budget)})")
    return f"Sampling at a prompt stopped once its majority was certain: {'; '.join(told)}." if told else ""


def _strength(run: RunView) -> str:
    if run.beta is None:
        return ""
    text = f"β = {numbers.number(run.beta)}: an exact round would raise shares to the power {1 + 1 / run.beta:.3g}"
    if run.record.configuration.get("beta") is not None:
        return f"{text}; given."
    draws = run.record.configuration.get("num_generations")
    return f"{text}; chosen, as none was given, from the K = {numbers.number(draws)} draws and the shares of round 0."


_COLUMNS: dict[str, Callable[[SplitRecord, AnswersRecord], str]] = {
    "samples right": lambda one, of: numbers.measured(one, "sample_accuracy"),
    "greedy right": lambda one, of: numbers.measured(one, "greedy_accuracy"),
    "majorities right": lambda one, of: numbers.measured(one, "mode_accuracy"),
    "κ_A": lambda one, of: numbers.kappa(one),
    "failure rate": lambda one, of: numbers.measured(one, "failure_rate"),
    "certified by draws": lambda one, of: f"{_by_draws(of)} of {numbers.whole(one.prompts or 0)}",
    "proved by responses": lambda one, of: numbers.whole(of.proved),
    "of both right": lambda one, of: numbers.over_prompts(
        numbers.share(of.certified_accuracy, "–"), of.certified_interval
    ),
    "majorities moved": lambda one, of: numbers.measured(one, "mode_drift"),
    "flips": lambda one, of: numbers.share(one.flips, "–"),
    "share of first majorities": lambda one, of: numbers.measured(one, "kept_confidence"),
    "without an answer": lambda one, of: numbers.mass(of.unparseable_share),
    "different answers": lambda one, of: numbers.known(of.distinct),
    "entropy of answers (nats)": lambda one, of: numbers.known(of.entropy),
    "entropy within an answer (nats)": lambda one, of: numbers.known(of.entropy_within),
    "median lead (nats)": lambda one, of: numbers.known(of.median_lead),
    "calibration error": lambda one, of: numbers.known(of.calibration_error),
    "draws": lambda one, of: numbers.whole(of.draws) + (f" of {numbers.whole(of.budget)}" if of.budget else ""),
    "tokens": lambda one, of: numbers.known(one.mean_response_tokens),
    "cut": lambda one, of: numbers.share(one.cut_share, "–"),
}


def table(run: RunView, split: Split) -> tuple[Sequence[str], list[tuple[str, ...]]]:
    """Names of columns, and a row a round, of the numbers behind the figures."""
    rows = [
        (str(number), *(cell(one, one.answers) for cell in _COLUMNS.values()))
        for number, one in run.split(split)
        if one.answers is not None
    ]
    return ["round", *_COLUMNS], rows


def caveats(run: RunView) -> list[str]:
    """What a careful reader should keep in mind."""
    level = f"{numbers.mass(run.confidence)}"
    notes = [
        f"Certified at {level} means: over all draws of a round, the ends given for every prompt hold at once with at "
        f"least that probability, whenever sampling stopped (P11). Of the majorities listed as certified, at most "
        f"{numbers.number(100 * (1 - run.confidence))}% are wrong about which answer is likeliest, in expectation. It "
        "says nothing about whether that answer is right.",
        "Majorities, their accuracy and κ_A outside the parentheses are estimates from the draws: near a tie draws "
        "alone move a majority, and shares of majorities flatter a little. The ceiling is the accuracy of the "
        "majorities of this many draws, not of infinitely many.",
    ]
    if any(one.answers and one.answers.proved for split in SPLITS for _, one in run.split(split)):
        notes.append(
            "Proved is only a majority of which the different responses drawn hold so much probability that no other "
            "answer can be as likely: that needs no confidence."
        )
    if any(one.intervals for split in SPLITS for _, one in run.split(split)):
        notes.append(
            "Other parentheses say how far a figure would move with other prompts of the same kind (95%); the bar of a "
            "forecast is a bootstrap over prompts and their draws."
        )
    notes += [visible(str(one), 600) for one in run.noted("notes")]
    if not run.split("held_out") and not run.watched:
        notes.append("No prompts were held out: nothing here says how the model does on prompts it was not trained on.")
    notes.append(
        "Sharpening answers makes the vote’s winner the habit, right or wrong; it teaches nothing new, and a prompt "
        "whose majority is wrong gets surer of it."
    )
    return notes


def _by_draws(of: AnswersRecord) -> int:
    """Majorities that draws certify and nothing proves."""
    return of.certified - of.proved


def _level(of: AnswersRecord) -> str:
    return f"{numbers.mass(of.confidence)}"
