"""How an answer is read out of a text: the one rule that grading and voting share.

Knows: numbers as people write them, words without case, accents and punctuation. Refuses to know: what is right.
"""

import re
import unicodedata
from fractions import Fraction

# A sign only where it cannot be a minus between two numbers; thousands separators; decimals.
_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:,\d{3})*(?:\.\d+)?|(?<=[\w.])\d+(?:\.\d+)?")


def numbers(text: str) -> list[Fraction]:
    """The numbers of a text, in order, exactly ("3.0" is 3, "1,000" a thousand; in "3-5" the second is 5)."""
    return [Fraction(one.replace(",", "")) for one in _NUMBER.findall(text)]


def whole_number(text: str) -> Fraction | None:
    """The number that a text consists of, a full stop after it allowed; None where it is anything else."""
    stripped = text.strip().rstrip(".")
    return numbers(stripped)[0] if _NUMBER.fullmatch(stripped) else None


def words(text: str) -> list[str]:
    """The words of a text without case, accents and punctuation."""
    plain = unicodedata.normalize("NFKD", text).casefold()
    return re.findall(r"\w+", "".join(letter for letter in plain if not unicodedata.combining(letter)))


def answer_of(text: str) -> str | None:
    """The answer that a text gives: its last number (working such as "2 + 3 = 5" is common), else its words; None for
    a text with neither.
    """
    if values := numbers(text):
        return str(values[-1])
    return " ".join(words(text)) or None
