"""How numbers are written on a page: three figures, brackets as "a–b", and never more certainty than was measured.

Knows: formats, that a number which knows where it is from says so (`traced`), and the one word for what was proved or
only measured. Refuses to know: which numbers a page shows.
"""

import math
from collections.abc import Sequence

from srlm import theory
from srlm.records.bracket import Bracket, Interval
from srlm.records.diagnosis import DiagnosisRecord, Verdict
from srlm.records.forecast import ForecastRecord
from srlm.records.rounds import RoundRecord, SplitRecord
from srlm.records.text import visible
from srlm.report.traced import marked, plain

_ROUNDING = 1e-3  # nats a response: what float32 does to a long one
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def number(value: float | None) -> str:
    """Three significant figures; very large and very small ones as a power of ten; "not known" for None."""
    if value is None:
        return "not known"
    if math.isinf(value):
        return "∞"
    if value != 0 and not 1e-3 <= abs(value) < 1e6:
        power = math.floor(math.log10(abs(value)))
        text = f"{value / 10.0**power:.1f}×10{str(power).translate(_SUPERSCRIPT)}"
    else:
        text = f"{value:,.0f}" if abs(value) >= 1000 else f"{float(f'{value:.3g}'):g}"
    return marked(value, text)


def known(value: float | None) -> str:
    """`number`, a dash where there is none: in a table."""
    return "–" if value is None else number(value)


def from_log(log_value: float) -> str:
    """`number(exp(log_value))` for values that may overflow or underflow."""
    if math.isinf(log_value) or -600 < log_value < math.log(1e6):
        return marked(log_value, number(math.inf if log_value == math.inf else theory.from_log(log_value)))
    power = math.floor(log_value / math.log(10))
    mantissa = theory.from_log(log_value - power * math.log(10))
    return marked(log_value, f"{mantissa:.1f}×10{str(power).translate(_SUPERSCRIPT)}")


def whole(value: int) -> str:
    """A whole number."""
    return marked(value, f"{value:,}")


def power_of_ten(exponent: int) -> str:
    """10 to a whole power, as the label of an axis: 1, 0.1, 0.01, 0.001, then 10⁻⁴ and on."""
    return f"{10.0**exponent:g}" if -3 <= exponent <= 3 else f"10{str(exponent).translate(_SUPERSCRIPT)}"


def share(value: float | None, unknown: str = "not known") -> str:
    """A share of one as a whole percentage."""
    return unknown if value is None else marked(value, f"{100 * value:.0f}%")


def bracket(value: Bracket | Interval) -> str:
    """One number where both ends read the same, "a–b" otherwise."""
    return between(number(value.lower), number(value.upper))


def share_bracket(value: Bracket | Interval | None, unknown: str = "not known") -> str:
    """`bracket` in percent."""
    return unknown if value is None else between(share(value.lower), share(value.upper))


def mass(value: float) -> str:
    """A part of all probability in percent, with three figures however small it is."""
    return marked(value, f"{number(100 * value)}%")


def over_prompts(value: str, interval: Interval | None) -> str:
    """A share in percent with its interval over prompts: "87% (80 to 93%)"."""
    if interval is None:
        return value
    return f"{value} ({marked(interval.lower, f'{100 * interval.lower:.0f}')} to {share(interval.upper)})"


def from_to(low: str, high: str) -> str:
    """The ends of what is certified at a confidence: "1.07 to 3.1", "at least 1.07" without an upper end."""
    return f"at least {low}" if high == "∞" else low if plain(low) == plain(high) else f"{low} to {high}"


def chance(log_value: float) -> str:
    """A probability in percent from its logarithm (nats)."""
    return marked(log_value, share(theory.from_log(min(0.0, log_value))))


def certified(estimate: str, ends: str, level: float) -> str:
    """An estimate from draws with the ends that they certify: "1.24 (certified at 95%: 1.05 to 3.1)"."""
    return f"{estimate} (certified at {number(100 * level)}%: {ends})"


def measured(one: SplitRecord, name: str) -> str:
    """A share by its name in `SplitRecord.intervals`, with the interval where it has one."""
    if name == "failure_rate" and one.answers is not None:
        ends = from_to(*(share(end) for end in (one.failure_rate.lower, one.failure_rate.upper)))
        return certified(share(one.answers.failure_estimate), ends, one.answers.confidence)
    if name == "failure_rate":
        value = share_bracket(one.failure_rate)
    else:
        way = name.removesuffix("_accuracy")
        value = share(getattr(one, name) if way == name else getattr(one.accuracy, way), "–")
    return over_prompts(value, one.intervals.get(name))


def log_bracket(logs: Bracket | Interval) -> str:
    """`bracket` of what the logarithms (nats) stand for, which may be beyond what a double holds."""
    return between(*log_ends(logs))


def log_ends(logs: Bracket | Interval) -> tuple[str, str]:
    """Both ends of what the logarithms (nats) stand for; ∞ where the upper one is left out."""
    low, high = (-math.inf if logs.lower is None else logs.lower), (math.inf if logs.upper is None else logs.upper)
    return from_log(low), from_log(high)


def kappa_estimate(one: SplitRecord) -> str:
    """kappa_A's estimate from shares, alone; kappa elsewhere."""
    return kappa(one) if one.answers is None else number(one.answers.kappa_estimate)


def kappa(one: SplitRecord | DiagnosisRecord | Verdict) -> str:
    """kappa as a bracket, from its logarithm where it is beyond a double; at the level of answers kappa_A as an
    estimate with what is certified.
    """
    if isinstance(one, SplitRecord) and one.answers is not None:
        ends = from_to(*log_ends(one.log_kappa)) if one.log_kappa else "not known"
        return certified(kappa_estimate(one), ends, one.answers.confidence)
    return bracket(one.kappa) if one.log_kappa is None or one.kappa.upper is not None else log_bracket(one.log_kappa)


def confidence(one: SplitRecord | DiagnosisRecord) -> str:
    """The minimum confidence as a bracket, likewise."""
    if one.log_min_confidence is not None:
        return log_bracket(one.log_min_confidence)
    return "–" if one.min_confidence is None else bracket(one.min_confidence)


def margins(diagnosis: DiagnosisRecord) -> str:
    """Smallest and median margin of a diagnosis."""
    return "infinite" if diagnosis.margins is None else "{}, {} nats".format(*map(number, diagnosis.margins))


def proved(widened: float) -> str:
    """The word for a mode that the search left no rival: brackets that were widened by a measured error (nats) are
    estimates, and nothing that rests on them is proved.
    """
    return "settled" if widened else "proved"


def widening(dtype: str, widened: float) -> str:
    """What is to be said wherever `proved` says "settled"."""
    return (
        f"Computed in {visible(dtype, 20)}: brackets are widened by {number(widened)} nats, the largest difference "
        "from float32, or of sampling from training, that was measured. They are estimates: what is called settled is "
        "so within it, and not proved."
    )


def apart(record: RoundRecord) -> str:
    """How far the samples' log-probabilities are from the training forward's; "" where that is rounding."""
    parity = record.numerics and record.numerics.parity
    if not parity or parity.response <= _ROUNDING:
        return ""
    return f"{number(parity.response)} nats a response ({number(parity.token)} a token)"


def forecast_rows(rounds: Sequence[ForecastRecord]) -> list[tuple[str, ...]]:
    """A row a round: which, kappa, failure rate, right samples, each as point [bracket] (interval)."""
    rows = []
    for one in rounds:
        point = "" if one.log_kappa_point is None else from_log(one.log_kappa_point)
        kappa, fails, right = (one.intervals.get(name) for name in ("kappa", "failure_rate", "sample_accuracy"))
        cells = (
            (point, log_bracket(one.log_kappa), bracket(kappa) if kappa else ""),
            ("", share_bracket(one.failure_rate), share_bracket(fails, "")),
            (share(one.sample_accuracy_point, ""), share_bracket(one.sample_accuracy, ""), share_bracket(right, "")),
        )
        rows.append((str(one.round or "now"), *map(_cell, cells)))
    return rows


def _cell(parts: tuple[str, str, str]) -> str:
    point, certain, band = parts
    return " ".join(filter(None, (point, certain and f"[{certain}]", band and f"({band})"))) or "–"


def plural(count: int, noun: str) -> str:
    """ "1 round", "3 rounds", "1,000 rounds" """
    return f"{whole(count)} {noun}{'' if count == 1 else 's'}"


def between(low: str, high: str) -> str:
    """One text where both ends read the same, "a–b" otherwise."""
    return low if plain(low) == plain(high) else f"{low}–{high}"


def went(before: str, after: str) -> str:
    """ "a → b"; "a" where both read the same."""
    return before if plain(before) == plain(after) else f"{before} → {after}"
