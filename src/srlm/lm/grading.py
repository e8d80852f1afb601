"""Is a short answer right? The one rule by which accuracy is measured where prompts carry an `answer`.

Knows: text only. A numeric answer is compared with the last number of the response (working such as "2 + 3 = 5" is
common); yes and no by the first of the two that appears; any other answer must appear in the response as whole words.
"""

import re
import unicodedata
from collections.abc import Sequence

# A sign only where it cannot be a minus between two numbers; thousands separators; decimals.
_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:,\d{3})*(?:\.\d+)?|(?<=[\w.])\d+(?:\.\d+)?")
_YES_NO = {"yes", "no"}


def is_correct(response: str, answers: Sequence[str]) -> bool:
    """Whether `response` gives any of the accepted `answers` (case, accents and punctuation do not matter).

    Args:
        response: the text a model wrote, special tokens removed.
        answers: accepted answers, at least one.
    """
    return any(_matches(response, answer) for answer in answers)


def _matches(response: str, answer: str) -> bool:
    wanted = _words(answer)
    given = _words(response)
    number = _number(answer)
    if number is not None:
        numbers = [float(found.replace(",", "")) for found in _NUMBER.findall(response)]
        return bool(numbers) and numbers[-1] == number
    if len(wanted) == 1 and wanted[0] in _YES_NO:
        return next((word for word in given if word in _YES_NO), None) == wanted[0]
    width = len(wanted)
    return width > 0 and any(given[at : at + width] == wanted for at in range(len(given) - width + 1))


def _number(text: str) -> float | None:
    try:
        return float(text.strip().rstrip(".").replace(",", ""))
    except ValueError:
        return None


def _words(text: str) -> list[str]:
    plain = unicodedata.normalize("NFKD", text).casefold()
    return re.findall(r"\w+", "".join(letter for letter in plain if not unicodedata.combining(letter)))
