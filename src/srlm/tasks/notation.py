"""How people write answers: numbers, words, boxes, announcements, and one form for all that mean the same.

Knows: text. Every pattern takes time linear in the text, whatever a model wrote. Refuses to know: which of a text's
answers counts (`answers`), what is right (`grading`).
"""

import re
import unicodedata
from collections.abc import Iterator
from fractions import Fraction

# More digits than this are no number, and longer answers none: Python refuses to print larger integers than 4,300
# digits, and a model that repeats itself answers nothing.
DIGITS = 256
LONGEST = 4096
YES_NO = frozenset({"yes", "no"})
_LARGEST = 10 ** (DIGITS // 2 - 1)

_SIGNS = str.maketrans({"−": "-", "⁄": "/", "½": " 1/2", "¼": " 1/4", "¾": " 3/4"})
_LATEX_FRACTION = re.compile(r"(?<=\d)(?=\\[dtc]?frac)|\\[dtc]?frac\s?(?:\{(-?\d++)\}\{(\d++)\}|(\d)(\d))")
# A sign only where it cannot be a minus between two numbers; not the exponent of a letter (cm^2); thousands separators;
# decimals; then what makes it larger or smaller: a denominator, an exponent, "x 10^3", a power.
_NUMBER = re.compile(
    r"(?:(?P<mixed>(?<![\w.,/^])-?\d{1,9}) (?P<above>\d{1,9})/(?P<below>\d{1,9})(?![\d/^]|\.\d))"
    r"|(?P<plain>(?<![\w.])(?<![^\W\d_]\^)(?<![^\W\d_]\^\{)-?(?:\d++(?:,\d{3}(?!\d))*+(?:\.\d++)?|\.\d++)|(?:(?<=[^\W\d])|(?<=\.))\d++(?:\.\d++)?)"
    r"(?:\s?/\s?(?P<over>\d++)(?!\^|\.\d|/)|[eE](?P<exponent>[+-]?\d++)(?!\w)"
    r"|\s?(?:[x×*·⋅]|\\times|\\cdot)\s?10\s?(?:\^|\*\*)(?:\{(?P<ten>-?\d++)\}|(?P<ten_bare>-?\d++))"
    r"|(?:\^|\*\*)(?:\{(?P<power>-?\d++)\}|(?P<power_bare>-?\d++)(?!/|\.\d))(?P<tower>(?:(?:\^|\*\*)\{?-?\d++\}?)++)?+)?"
)
_UNIT = (
    r"(?:\s?[%°$€£¥][CFK]?|\s?(?:[cmk]m|[mk]g|ml|min|mph|km/h|m/s)(?:\^?\{?[23]\}?|[²³])?"
    r"|\s[mglsh](?:\^?\{?[23]\}?|[²³])?|[\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7a3]{1,4}"
    r"|(?:\s(?!(?:or|and|to|if)\b)[^\W\d_]{2,}+){1,4})?"
)
# Up to the last digit, and up to the last letter before it that no number contains: the last number begins after it.
_LAST_DIGIT = re.compile(r"(?s:.*)\d")
_APART = re.compile(r"(?s:.*)[abfghjklnpqruvwyzA-DF-Z]")
# Digits alone with what `canonical` takes off: its commonest case, at a tenth of the time.
_DIGITS = re.compile(r"[*_`$\s]{0,8}(-?[0-9]{1,18})[*_`.\s]{0,8}")
_MEASURE = re.compile(rf"(?:(?:[$€£¥≈~]|about|approximately|exactly)\s?)*(?P<number>{_NUMBER.pattern})\s?{_UNIT}")

_BRACE = re.compile(r"(\\(?:boxed|fbox)\s?\{)|\\[{}]|([{}])")
_ANNOUNCED = re.compile(
    r"(?:\banswer\b(?:\s{1,4}to\s[^\n.:?]{1,80}?)?[\s*_]{0,4}(?:\b(?:is|was|would\sbe)\b|[:=：])|####(?=\s{0,4}[-$\d.\\]))"
    r"[\s*_:：]{0,8}",
    re.IGNORECASE,
)
_END = re.compile(r"\n|[.!?](?=\s|$)|;|,?\s(?:because|since|which|as)\b")

_UNWRAPPED = re.compile(r"\\(?:text|textbf|textit|mathrm|mathbf|mbox|operatorname)\s?\{([^{}]*)\}")
_SPACING = re.compile(
    r"\\(?:left|right|displaystyle|quad|qquad)(?![a-zA-Z])|\\[!,;: ]|\\?\$|(?:\^\s?\{?\s?\\circ\s?\}?)|~"
)
_NAMED = re.compile(r"[^\W\d_]\w{0,15}\s?=\s?(?=[^=]*$)")
_PROSE = re.compile(r"[^\W\d_][^\W\d_]|[^\x00-\x7f\W\d_]")
_SYMBOLS = re.compile(r"[\\^=+*/<>|{}\[\]]")
_EDGE = "*_`\"'“”,;:!? "
_LONE_SPACE = re.compile(r"(?<![a-zA-Z\d])\s+|\s+(?![a-zA-Z\d])")


def numbers(text: str) -> list[Fraction]:
    """The numbers of a text, in order, exactly ("3.0" is 3, "1,000" a thousand; in "3-5" the second is 5), without
    those too long to be one.
    """
    return [value for one in _NUMBER.finditer(_plain(text)) if (value := _value(one)) is not None]


def last_number(text: str) -> Fraction | None:
    """The last number of a text; None where there is none, or where it is too large to be one (5^5^5^5)."""
    plain = _plain(text)
    if (digit := _LAST_DIGIT.match(plain)) is None:
        return None
    apart = _APART.match(plain, 0, digit.end())
    given = list(_NUMBER.finditer(plain, apart.end() if apart else 0)) or list(_NUMBER.finditer(plain))
    return _value(given[-1]) if given else None


def whole_number(text: str) -> Fraction | None:
    """The number that a text consists of, a full stop after it allowed; None where it is anything else."""
    match = _NUMBER.fullmatch(_plain(text).strip().rstrip("."))
    return None if match is None else _value(match)


def words(text: str) -> list[str]:
    """The words of a text without case, accents and punctuation, in any alphabet."""
    if text.isascii():
        return text.lower().translate(_LETTERS).split()
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    return unicodedata.normalize("NFC", plain.translate(_LETTERS)).split()


def phrase(text: str) -> str | None:
    """The words of a text without articles, as one string; None where there are none."""
    return as_phrase(words(text))


def as_phrase(given: list[str]) -> str | None:
    """`words` as a `phrase`."""
    return " ".join([word for word in given if word not in ("a", "an", "the")] or given) or None


def boxed(text: str) -> str | None:
    """What stands in the \\boxed{...} that begins last, of those whose braces close; None where there is none."""
    first = [at for at in (text.find("\\boxed"), text.find("\\fbox")) if at >= 0]
    if not first:
        return None
    last, start = None, -1
    stack: list[tuple[bool, int]] = []
    for one in _BRACE.finditer(text, min(first)):
        if one[1] or one[2] == "{":
            stack.append((bool(one[1]), one.end()))
        elif one[2] and stack:
            in_box, begin = stack.pop()
            if in_box and begin > start:
                last, start = text[begin : one.start()], begin
    return last


def announced(text: str) -> Iterator[str]:
    """What is announced as the answer ("the answer is X", "Answer: X", "#### X"), the last first, at most eight."""
    for one in _announcements(text)[:-9:-1]:
        rest = text[one.end() : one.end() + LONGEST]
        end = _END.search(rest)
        yield rest if end is None else rest[: end.start()]


def _announcements(text: str) -> list[re.Match[str]]:
    """All matches of `_ANNOUNCED`, tried only where they can begin: searching for them is most of reading a text."""
    lower = text.replace("ſ", "s").replace("İ", "i").lower()  # as long as the text, and as blind to case as the pattern
    places: list[int] = []
    for word in ("answer", "####"):
        at = lower.find(word)
        while at >= 0:
            places.append(at)
            at = lower.find(word, at + 1)
    matches, end = [], 0
    for at in sorted(places):
        if at >= end and (match := _ANNOUNCED.match(text, at)) is not None:
            matches.append(match)
            end = match.end()
    return matches


def expression(text: str) -> str | None:
    """The text where it is one line of mathematics without words and equations, such as "(1, 2)"; None otherwise."""
    text = text.translate(_SIGNS).strip()
    if not text or "\n" in text or "=" in text:
        return None
    bare = text if "\\" not in text else re.sub(r"\\[a-zA-Z]+", "", _UNWRAPPED.sub(r" \1 ", text))
    return None if _PROSE.search(bare) else text


def canonical(text: str) -> str | None:
    """One form for all ways to write an answer that stands alone: a number with or without its unit is a fraction in
    lowest terms, words are `phrase`, mathematics loses spaces and decoration; None for nothing.
    """
    if not text or len(text) > LONGEST:
        return None
    if (digits := _DIGITS.fullmatch(text)) is not None:
        return str(int(digits[1]))
    inner = boxed(text)
    tidy = _UNWRAPPED.sub(r" \1 ", text if inner is None else inner).replace("{,}", ",").replace("\\%", "%")
    tidy = " ".join(_SPACING.sub(" ", tidy).split()).lstrip(_EDGE).rstrip(_EDGE + ".")
    tidy = tidy if (value := _NAMED.match(tidy)) is None else tidy[value.end() :]
    if (measure := _MEASURE.fullmatch(" ".join(_plain(tidy).split()))) is not None:
        number = _NUMBER.fullmatch(measure["number"])
        value = None if number is None else _value(number)
        return None if value is None else str(value)
    letter = re.fullmatch(r"\(?([A-Za-z])\)?", tidy)
    if letter is not None:
        return letter[1].lower()
    if _PROSE.search(tidy) and not _SYMBOLS.search(tidy):
        first = re.match(r"(yes|no)\b\s?(?:[,;.!:–—-]|$)", tidy, re.IGNORECASE)
        return first[1].lower() if first else phrase(tidy)
    tidy = re.sub(r"\\[dtc]frac(?![a-zA-Z])", r"\\frac", tidy.translate(_SIGNS))
    return _LONE_SPACE.sub("", tidy) or None


def _plain(text: str) -> str:
    """The text with one sign for minus and for fractions."""
    text = text if text.isascii() else text.translate(_SIGNS)
    if "frac" not in text:
        return text
    return _LATEX_FRACTION.sub(lambda one: f"{one[1] or one[3]}/{one[2] or one[4]}" if one[0] else " ", text)


def _value(one: re.Match[str]) -> Fraction | None:
    """What a match of `_NUMBER` is worth; None where it is too large or divides by 0."""
    if len(one[0]) > DIGITS:
        return None
    if len(one[0]) < 19 and one[0].isdecimal():
        return Fraction(int(one[0]))
    if one["mixed"]:
        if not 0 < int(one["above"]) < int(one["below"]):
            return Fraction(int(one["above"]), int(one["below"])) if int(one["below"]) else None
        part = Fraction(int(one["above"]), int(one["below"]))
        return int(one["mixed"]) + (-part if one["mixed"].startswith("-") else part)
    value = Fraction(one["plain"].replace(",", ""))
    if one["over"]:
        value = value / int(one["over"]) if int(one["over"]) else None
    elif shift := one["exponent"] or one["ten"] or one["ten_bare"]:
        value = value * Fraction(10) ** int(shift) if abs(int(shift)) <= DIGITS else None
    elif power := one["power"] or one["power_bare"]:
        size = len(one["plain"]) * abs(int(power))
        if one["tower"] or size > 4 * DIGITS or (value == 0 and int(power) < 0):
            return None
        value = abs(value) ** int(power) * (-1 if one["plain"].startswith("-") else 1)
    if value is None or max(abs(value.numerator), value.denominator) >= _LARGEST:
        return None
    return value


def _letter(letter: str) -> str:
    """A letter of a word as it is; accents, but for voiced kana, and invisible signs vanish; the rest separates."""
    if letter.isalnum() or letter == "_":
        return letter
    kind = unicodedata.category(letter)
    if kind == "Cf" or (unicodedata.combining(letter) and letter not in "\u3099\u309a"):
        return ""
    return letter if kind[0] == "M" else " "


class _Letters(dict[int, str]):
    """`_letter` by code, each asked for once."""

    def __missing__(self, code: int) -> str:
        self[code] = one = _letter(chr(code))
        return one


_LETTERS = _Letters()
