"""How numbers are written on a page: three figures, brackets as "a–b", and never more certainty than was measured.

Knows: formats.
"""

import math

from srlm.records.rounds import Bracket, SplitRecord

_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def number(value: float | None) -> str:
    """Three significant figures; very large and very small ones as a power of ten; "not known" for None."""
    if value is None:
        return "not known"
    if value != 0 and not 1e-3 <= abs(value) < 1e6:
        power = math.floor(math.log10(abs(value)))
        return f"{value / 10.0**power:.1f}×10{str(power).translate(_SUPERSCRIPT)}"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{float(f'{value:.3g}'):g}"


def from_log(log_value: float) -> str:
    """`number(exp(log_value))` for values that may overflow or underflow."""
    if log_value == -math.inf or -600 < log_value < math.log(1e6):
        return number(math.exp(log_value))
    power = math.floor(log_value / math.log(10))
    return f"{math.exp(log_value - power * math.log(10)):.1f}×10{str(power).translate(_SUPERSCRIPT)}"


def power_of_ten(exponent: int) -> str:
    """10 to a whole power, as the label of an axis: 1, 0.1, 0.01, 0.001, then 10⁻⁴ and on."""
    return f"{10.0**exponent:g}" if -3 <= exponent <= 3 else f"10{str(exponent).translate(_SUPERSCRIPT)}"


def share(value: float | None) -> str:
    """A share of one as a whole percentage."""
    return "not known" if value is None else f"{100 * value:.0f}%"


def bracket(value: Bracket) -> str:
    """One number where both ends read the same, "a–b" otherwise."""
    return _between(number(value.lower), number(value.upper))


def share_bracket(value: Bracket) -> str:
    """`bracket` in percent."""
    return _between(share(value.lower), share(value.upper))


def kappa(metrics: SplitRecord) -> str:
    """kappa as a bracket, from its logarithm where that is recorded (kappa itself may have been cut at exp(700))."""
    if metrics.log_kappa is None:
        return bracket(metrics.kappa)
    return _between(from_log(metrics.log_kappa.lower), from_log(metrics.log_kappa.upper))


def duration(seconds: float) -> str:
    """Seconds, minutes or hours, whichever reads best."""
    if seconds < 90:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def plural(count: int, noun: str) -> str:
    """ "1 round", "3 rounds" """
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _between(low: str, high: str) -> str:
    return low if low == high else f"{low}–{high}"
