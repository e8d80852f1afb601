"""Is a short answer right? The one rule by which accuracy is measured where prompts carry an `answer`.

Knows: text only. A numeric answer is compared with the last number of the response; yes and no by the first of the two
that appears; any other answer must appear in the response as whole words. Refuses to know: models, how a response came
about.
"""

from collections.abc import Sequence

from srlm.tasks.notation import YES_NO, last_number, whole_number, words


def is_correct(response: str, answers: Sequence[str]) -> bool:
    """Whether `response` gives any of the accepted `answers` (case, accents and punctuation do not matter).

    Args:
        response: the text a model wrote, special tokens removed.
        answers: accepted answers, at least one.
    """
    return any(_matches(response, answer) for answer in answers)


def _matches(response: str, answer: str) -> bool:
    number = whole_number(answer)
    if number is not None:
        return last_number(response) == number
    wanted, given = words(answer), words(response)
    if len(wanted) == 1 and wanted[0] in YES_NO:
        return next((word for word in given if word in YES_NO), None) == wanted[0]
    width = len(wanted)
    return width > 0 and any(given[at : at + width] == wanted for at in range(len(given) - width + 1))
