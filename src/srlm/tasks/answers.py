"""How an answer is read out of a text: the one rule that grading, voting and certificates share.

    rule = answer_rule("auto")            # or boxed, number, choice, ..., "regex:PATTERN", "python:module:function"
    rule.read("So it is \\\\boxed{0.50}")   # "1/2", the form that all texts with this answer share; None: no answer

Knows: texts, rules by name. Refuses to know: what is right, who answered.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec

from srlm.errors import InputError
from srlm.tasks.equivalence import merged
from srlm.tasks.notation import (
    LONGEST,
    YES_NO,
    announced,
    as_phrase,
    boxed,
    canonical,
    expression,
    last_number,
    phrase,
    words,
)
from srlm.tasks.worker import WORKER, TooSlow

# A longer text is read at its end only: answers stand there.
LONGEST_TEXT = 1 << 16
_REGEX, _PYTHON = "regex:", "python:"
_LETTER = r"(?:\(\s?([A-Ja-j])\s?\)|([B-HJ]|[AI](?!\s(?!because\b|since\b|as\b|is\b)[a-z]))(?![\w'’]))"
_CHOICES = tuple(
    re.compile(rf"\b(?i:{word})\b[\s*_]{{0,4}}(?:(?i:is|was)\b|[:=])?[\s*_:]{{0,4}}(?:(?i:option|choice)\s)?{_LETTER}")
    for word in ("answer", "option|choice")
)
_NUMERIC = re.compile(r"[\d½¼¾]")
_CHOICE_LINE = re.compile(r"\W{0,4}(?:([A-J])(?:[.):]\W{0,3}(?:\s.*)?|\W{0,4})|([a-j])\W{0,4})")


@dataclass(frozen=True, slots=True)
class AnswerRule:
    """A rule from a text to its answer. Two rules of one name are equal.

    Attributes:
        name: as it is asked for.
        reads: texts -> the answer of each in canonical form, None where it has none.
        alone: an answer given by itself, such as an accepted one -> canonical form.
        mathematical: whether answers that differ in form are compared as mathematics.
    """

    name: str
    reads: Callable[[Sequence[str]], list[str | None]] = field(compare=False, repr=False)
    alone: Callable[[str], str | None] = field(compare=False, repr=False)
    mathematical: bool = field(default=False, compare=False, repr=False)

    def __reduce__(self) -> tuple[Callable[[str], "AnswerRule"], tuple[str]]:
        return answer_rule, (self.name,)

    def read(self, text: str) -> str | None:
        """The answer that a text gives, in canonical form; None where it gives none."""
        return self.keys([text])[0]

    def keys(self, texts: Sequence[str], known: Sequence[str] = ()) -> list[str | None]:
        """The answers of the responses to one prompt, the same string where they are the same.

        Args:
            texts: of responses to ONE prompt.
            known: canonical answers (accepted ones, those of an earlier wave) that stand for what equals them.

        Raises:
            InputError: the pattern ran longer than its time limit, or the function raised.
        """
        distinct = list(dict.fromkeys(texts))
        keys = map(_short, self.reads([_clean(text) for text in distinct]))
        by_text = dict(zip(distinct, keys, strict=True))
        keys = [by_text[text] for text in texts]
        if not self.mathematical:
            return keys
        leaders = merged([key for key in keys if key is not None], known)
        return [None if key is None else leaders[key] for key in keys]

    def accepted(self, answer: str) -> str | None:
        """The canonical form of an accepted answer, which may stand alone or at the end of a worked solution."""
        return _short(self.alone(_clean(answer)))


def answer_rule(spec: str) -> AnswerRule:
    """The rule of a name: one of `ANSWER_RULES`, "regex:PATTERN" or "python:module:function".

    Raises:
        InputError: no such rule, a pattern that does not compile, a function that cannot be imported, math-verify
            missing, or answers that no rule can compare.
    """
    if spec.startswith(_REGEX):
        return _pattern_rule(spec)
    if spec.startswith(_PYTHON):
        return _function_rule(spec)
    if spec in _REFUSED:
        raise InputError(f"answer rule {spec!r}: {_REFUSED[spec]}")
    if spec not in ANSWER_RULES:
        raise InputError(
            f"answer rule {spec!r} is unknown; use one of {', '.join(ANSWER_RULES)}, {_REGEX}PATTERN or "
            f"{_PYTHON}module:function"
        )
    if spec == "math" and find_spec("math_verify") is None:
        raise InputError(
            "answer rule 'math' needs math-verify, which is not installed; run: pip install \"srlm[math]\""
        )
    return ANSWER_RULES[spec]


_REFUSED = {
    "code": "programs are not compared by their text; run them and let a `python:module:function` return the outputs",
    "free_text": "whether free texts say the same takes a judge, not a rule; ask for a short answer, or use "
    "`python:module:function`",
}


def _auto(text: str) -> str | None:
    if (box := boxed(text)) is not None:
        return canonical(box)
    if key := _announced(text) or canonical(expression(text) or ""):
        return key
    if _NUMERIC.search(text):
        return _number(text)
    said = set(given := words(text)) & YES_NO
    if len(said) == 1:
        return said.pop()
    short = as_phrase(given)
    return short if short is None or short.count(" ") < 4 else given[-1]


def _marked(text: str) -> str | None:
    """What a text marks as its answer: its last box, else the last announcement that says something."""
    return _boxed(text) or _announced(text)


def _announced(text: str) -> str | None:
    return next(filter(None, map(canonical, announced(text))), None)


def _boxed(text: str) -> str | None:
    return canonical(boxed(text) or "")


def _number(text: str) -> str | None:
    return None if (number := last_number(text)) is None else str(number)


def _choice(text: str) -> str | None:
    if box := _boxed(text):
        one = re.match(r"\(?([a-j])(?!\w)", box)
        return one[1].upper() if one else None
    for pattern in _CHOICES:
        for last in list(pattern.finditer(text))[-1:]:
            return (last[1] or last[2]).upper()
    one = _CHOICE_LINE.fullmatch(_line(text))
    return None if one is None else (one[1] or one[2]).upper()


def _yes_no(text: str) -> str | None:
    return next((word for word in words(_marked(text) or "") + words(text) if word in YES_NO), None)


def _words(text: str) -> str | None:
    return next(filter(None, map(phrase, (boxed(text) or "", *announced(text), text))), None)


def _last_line(text: str) -> str | None:
    line = _line(text)
    return _marked(line) or canonical(line)


def _line(text: str) -> str:
    """The last line that is not empty."""
    return text.rstrip()[text.rstrip().rfind("\n") + 1 :].strip()


def _given(text: str) -> str | None:
    """An answer that stands alone, or is marked as the answer of a longer text."""
    return _marked(text) or canonical(text)


def _clean(text: str) -> str:
    """What files can hold of the end of a text: no half characters, no zero bytes."""
    text = text[-LONGEST_TEXT:]
    return (text if text.isascii() else text.encode("utf-8", "ignore").decode()).replace("\0", "")


def _short(key: str | None) -> str | None:
    return key if key is not None and 0 < len(key) <= LONGEST else None


def _simple(
    name: str, read: Callable[[str], str | None], alone: Callable[[str], str | None] | None = None, **options: bool
) -> AnswerRule:
    return AnswerRule(name, lambda texts: list(map(read, texts)), alone or read, **options)


ANSWER_RULES: dict[str, AnswerRule] = {
    rule.name: rule
    for rule in (
        _simple("auto", _auto, _given),
        _simple("boxed", _boxed, _given),
        _simple("number", _number),
        _simple("choice", _choice),
        _simple("yes_no", _yes_no),
        _simple("words", _words),
        _simple("last_line", _last_line),
        _simple("math", _auto, _given, mathematical=True),
    )
}


def _pattern_rule(spec: str) -> AnswerRule:
    pattern = spec.removeprefix(_REGEX)
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise InputError(f"answer rule {spec!r}: the regular expression does not compile ({error})") from error

    def read(texts: Sequence[str]) -> list[str | None]:
        seconds = 2.0 + 0.01 * len(texts)
        try:
            matches = WORKER.call("srlm.tasks.answers:last_matches", (pattern, list(texts)), seconds)
        except TooSlow as error:
            raise InputError(
                f"answer rule {spec!r}: the regular expression ran longer than {seconds:g} s on {len(texts)} texts; "
                "write it without repetitions inside repetitions"
            ) from error
        return [None if one is None else canonical(one) for one in matches]

    # What is accepted is seldom written the way that a pattern finds it in a response.
    return AnswerRule(spec, read, lambda answer: read([answer])[0] or canonical(answer))


def last_matches(asked: tuple[str, Sequence[str]]) -> list[str | None]:
    """In the worker's process: of every text the last match of the pattern, its first group where it has one."""
    pattern, texts = re.compile(asked[0]), asked[1]
    matches: list[str | None] = []
    for text in texts:
        last = list(pattern.finditer(text))[-1:]
        matches += [one[1] if pattern.groups else one[0] for one in last] or [None]
    return matches


def _function_rule(spec: str) -> AnswerRule:
    module, _, name = spec.removeprefix(_PYTHON).partition(":")
    try:
        function = getattr(import_module(module), name)
    except Exception as error:  # whatever a user's module raises when it is imported
        raise InputError(f"answer rule {spec!r}: cannot be imported ({type(error).__name__}: {error})") from error
    if not callable(function):
        raise InputError(f"answer rule {spec!r}: {name} is not a function")

    def read(text: str) -> str | None:
        try:
            key = function(text)
        except Exception as error:
            raise InputError(f"answer rule {spec!r} raised {type(error).__name__}: {error}") from error
        if key is not None and not isinstance(key, str):
            raise InputError(
                f"answer rule {spec!r} returned {type(key).__name__}; return a string, or None for no answer"
            )
        return None if key is None else _clean(key)

    return _simple(spec, read)
