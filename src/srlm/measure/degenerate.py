"""Marks of a response that nobody wants: empty, cut, repeating.

Knows: tokens and text. Modes of language models are often empty (Stahlberg and Byrne, arXiv 1908.10090); exact
sharpening ends in the modes (P5), so where they are degenerate self-rewarding makes the model so. Refuses to know:
whether a response is a mode.
"""

from collections.abc import Sequence

from srlm.records.diagnosis import Mark

# A run of the same piece that no short answer needs: three in a row, at least four tokens in all (so that "1, 1, 1"
# and "ha ha ha" are spared while longer loops are not).
_REPEATS = 3
_REPEATED_TOKENS = 4


def marks_of(tokens: Sequence[int], text: str, ended: bool) -> tuple[Mark, ...]:
    """What is wrong with a response, in the order of `MARKS`; nothing for most.

    Args:
        tokens: token ids of the response, an end token (if `ended`) included.
        text: the response decoded without special tokens.
        ended: False for a response cut at the longest length.
    """
    body = tokens[:-1] if ended else tokens
    shown: dict[Mark, bool] = {"empty": not text.strip(), "cut": not ended, "repeating": is_repeating(body)}
    return tuple(mark for mark, there in shown.items() if there)


def is_repeating(tokens: Sequence[int]) -> bool:
    """Whether some piece of one or more tokens stands three times in a row somewhere, covering at least half of the
    response and at least four tokens.

    >>> is_repeating([5, 6, 5, 6, 5, 6])
    True
    >>> is_repeating([5, 5, 5])
    False
    """
    length = len(tokens)
    for piece in range(1, length // _REPEATS + 1):
        run = 0  # tokens in a row that equal the one a piece earlier
        for at in range(piece, length):
            run = run + 1 if tokens[at] == tokens[at - piece] else 0
            covered = run + piece
            if covered >= max(_REPEATS * piece, _REPEATED_TOKENS) and 2 * covered >= length:
                return True
    return False
