"""Which answers are the same mathematics: 1/2 and \\frac{2}{4}, x+1 and 1+x, {1,2} and {2,1}.

Knows: answers in canonical form, math-verify (the extra `srlm[math]`), which runs in a process that can be killed; what
it cannot read, or not in time, is equal to itself only. Refuses to know: texts, what is right.
"""

import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from srlm.tasks.notation import DIGITS, LONGEST, whole_number
from srlm.tasks.worker import WORKER, TooSlow

_SECONDS = 2.0
_REMEMBERED = 1 << 18
# Before parsing: what no answer needs and what takes for ever to evaluate.
_DEEPEST = 64
_COMMANDS = 256
_HOSTILE = re.compile(
    rf"\d{{{DIGITS + 1}}}|(?:\^|\*\*)\s?\{{?\s?\d{{4,}}|(?:\^|\*\*)\s?[{{(]?\s?\d+\s?[)}}]?\s?(?:\^|\*\*)|\d{{5,}}\s?!"
    r"|!!|\\(?:det|gcd|lcm|begin|int|sum|prod|lim)(?![a-z])"
)
_verdicts: dict[tuple[str, str], bool] = {}
_unreadable: set[str] = set()


def merged(keys: Sequence[str], known: Sequence[str] = ()) -> dict[str, str]:
    """For every key the one that stands for it: the first in `known`, then the most frequent (of equals the earliest),
    that is the same mathematics.

    Compared with those only: a handful of comparisons for a handful of answers, however many samples there are.
    """
    leaders = list(dict.fromkeys(known))
    chosen = {key: key for key in leaders}
    for key, _ in Counter(keys).most_common():
        if key not in chosen:
            chosen[key] = next((one for one in leaders if same(one, key)), key)
            if chosen[key] == key:
                leaders.append(key)
    return chosen


def same(one: str, other: str) -> bool:
    """Whether two canonical answers are the same mathematics, asked in both directions: verify is not symmetric."""
    if one == other:
        return True
    if whole_number(one) is not None and whole_number(other) is not None:
        return False  # canonical numbers are exact
    if _brackets(one) and _brackets(other) and _brackets(one) != _brackets(other):
        return False  # math-verify takes the open interval (1,2) for the set {1,2}
    pair = (one, other) if one < other else (other, one)
    if pair not in _verdicts:
        if len(_verdicts) >= _REMEMBERED:
            _verdicts.clear()
        _verdicts[pair] = _readable(one) and _readable(other) and bool(_asked("compare", pair))
    return _verdicts[pair]


def _brackets(key: str) -> str:
    """How a set, an interval or a tuple opens and closes; empty for anything else."""
    return key.lstrip("\\")[0] + key[-1] if "," in key and key.lstrip("\\")[:1] in tuple("([{") else ""


def _readable(key: str) -> bool:
    if key in _unreadable:
        return False
    depth = deepest = 0
    for letter in key:
        depth += (letter in "{([") - (letter in "})]")
        deepest = max(deepest, depth)
    return len(key) <= LONGEST and deepest <= _DEEPEST and key.count("\\") <= _COMMANDS and not _HOSTILE.search(key)


def _asked(function: str, pair: tuple[str, str]) -> Any:
    try:
        return WORKER.call(f"srlm.tasks.equivalence:{function}", pair, _SECONDS, needs="math_verify")
    except TooSlow:  # which of the two it was is not known; neither is asked about again
        _unreadable.update(key for key in pair if whole_number(key) is None)
    except ValueError:
        pass
    return None


def compare(pair: tuple[str, str]) -> bool:
    """In the process: whether math-verify holds two answers for the same, in both directions."""
    from math_verify import verify

    one, other = _parsed(pair[0]), _parsed(pair[1])
    if not one or not other:
        return False
    return bool(verify(one, other, timeout_seconds=None)) and bool(verify(other, one, timeout_seconds=None))


@lru_cache(maxsize=4096)
def _parsed(key: str) -> list[Any]:
    import logging

    from math_verify import ExprExtractionConfig, LatexExtractionConfig, parse

    logging.disable()  # math-verify warns at every call that it runs without its own time limit
    targets = [
        LatexExtractionConfig(boxed_match_priority=0, try_extract_without_anchor=False),
        ExprExtractionConfig(),
    ]
    return parse(f"\\boxed{{{key}}}", extraction_config=targets, extraction_mode="first_match", parsing_timeout=None)  # pyright: ignore[reportArgumentType]
