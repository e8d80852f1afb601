"""What was forecast before the first update against what was measured since: a table, a sentence.

Knows: the forecast of round 00, which is of exact rounds on these prompts. Refuses to know: how a forecast is made,
pictures.
"""

import math

from srlm.measure.promises import log_kappa
from srlm.records.bracket import Bracket
from srlm.records.forecast import ForecastRecord
from srlm.records.rounds import Split, SplitRecord
from srlm.report import numbers
from srlm.report._pieces import NAMES
from srlm.report.reading import RunView

_WORDS = {
    "within": "as forecast",
    "above": "above the forecast",
    "below": "below it, sharper than exact rounds",
    "open": "the brackets only overlap",
}


def standing(low: float, high: float, of: Bracket) -> str:
    """Where a measured bracket lies against a forecast one: "within", "above", "below", or "open" where they only
    overlap.
    """
    least, most = (-math.inf if of.lower is None else of.lower), (math.inf if of.upper is None else of.upper)
    slack = 1e-9 * max(1.0, abs(low))
    if low > most + slack or high < least - slack:
        return "above" if low > most else "below"
    return "within" if least - slack <= low and high <= most + slack else "open"


def sentence(run: RunView, split: Split) -> str | None:
    """The forecast of kappa for the round that a page shows, or for the last one where none is complete, and how it
    came out.
    """
    told, series = {one.round: one for one in run.forecast(split) if one.round}, run.shown(split)
    if not told or not series:
        return None
    number, now = series[-1]
    if (one := told.get(number or max(told))) is None:
        return None
    if run.of_answers:
        return _of_answers(run, split, one, now if number else None)
    about = "" if one.log_kappa_point is None else f" (about {numbers.from_log(one.log_kappa_point)})"
    text = f"{NAMES[split].capitalize()}: exact rounds were forecast to bring κ to {numbers.log_bracket(one.log_kappa)}"
    text += f"{about} by round {one.round}"
    if number == 0:
        return f"{text}."
    return f"{text}; measured {numbers.kappa(now)}, {_WORDS[standing(*log_kappa(now), one.log_kappa)]}."


def _of_answers(run: RunView, split: Split, one: ForecastRecord, now: SplitRecord | None) -> str:
    text, band = f"{NAMES[split].capitalize()}: {_rounds_like(run)} were forecast to bring ", one.sample_accuracy
    if band is not None:
        text += f"right samples to about {numbers.share(one.sample_accuracy_point)} ({_bootstrap(band)}) and "
    text += f"κ_A to about {numbers.known(one.kappa_point)} by round {one.round}"
    if now is None:
        return f"{text}."
    right, parts = now.accuracy.sample, [f"κ_A about {numbers.kappa_estimate(now)}"]
    if right is not None and band is not None:
        where = standing(right, right, band)
        said = "below the forecast" if where == "below" else _WORDS[where]
        parts.insert(0, f"{numbers.measured(now, 'sample_accuracy')} right, {said}")
    return f"{text}; measured {'; '.join(parts)}."


def _rounds_like(run: RunView) -> str:
    draws = run.record.configuration.get("num_generations")
    return f"rounds that weigh answers by shares of K = {draws} draws" if run.loss == "weighted" else "exact rounds"


def _bootstrap(band: Bracket) -> str:
    level = numbers.number(100 * (band.confidence or 0.95))
    return f"{level}% bootstrap: {numbers.from_to(numbers.share(band.lower), numbers.share(band.upper))}"


def rows(run: RunView, split: Split) -> list[tuple[str, ...]]:
    """Per round: its number; kappa, failure rate and right samples, each as forecast and as measured (`headers`)."""
    told = {one.round: one for one in run.forecast(split)}
    return [_row(number, told[number], one) for number, one in run.split(split) if number and number in told]


def headers(run: RunView) -> list[str]:
    """What the cells of `rows` are."""
    names = (run.kappa_name, "failure rate", "right samples")
    return ["round", *(f"{name}, {how}" for name in names for how in ("forecast", "measured"))]


def _row(number: int, told: ForecastRecord, one: SplitRecord) -> tuple[str, ...]:
    failing, right, of_answers = one.failure_rate, one.accuracy.sample, one.answers is not None
    kappa = f"about {numbers.known(told.kappa_point)}" if of_answers else numbers.log_bracket(told.log_kappa)
    fails = (failing.lower or 0.0, 1.0 if failing.upper is None else failing.upper, told.failure_rate)
    forecast, measured = "–", "–"
    if right is not None and (band := told.sample_accuracy) is not None:
        point = numbers.share(told.sample_accuracy_point)
        forecast = f"about {point} ({_bootstrap(band)})" if of_answers else numbers.share_bracket(band)
        measured = f"{numbers.measured(one, 'sample_accuracy')}: {standing(right, right, band)}"
    return (
        str(number),
        kappa,
        numbers.kappa(one) if of_answers else f"{numbers.kappa(one)}: {standing(*log_kappa(one), told.log_kappa)}",
        numbers.share_bracket(told.failure_rate),
        numbers.measured(one, "failure_rate") + ("" if of_answers else f": {standing(*fails)}"),
        forecast,
        measured,
    )
