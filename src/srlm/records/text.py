"""Make text that a model wrote safe and visible for people.

Knows: Unicode categories. HTML escaping is jinja's; this is about characters that a terminal obeys or a reader cannot see.
"""

import unicodedata

_SHOWN = {"\n": "\u23ce", "\t": "\u21e5", "\r": "\u240d"}


def visible(text: str, limit: int | None = None) -> str:
    """`text` with line breaks and control characters (escape sequences, direction overrides) replaced by visible signs.

    Args:
        text: anything.
        limit: most characters to keep; what is cut is marked by an ellipsis.
    """
    shown = "".join(_SHOWN.get(letter, letter) if not _is_control(letter) else _sign(letter) for letter in text)
    return shown if limit is None or len(shown) <= limit else shown[: limit - 1] + "\u2026"


def _is_control(letter: str) -> bool:
    return letter not in _SHOWN and unicodedata.category(letter) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")


def _sign(letter: str) -> str:
    code = ord(letter)
    return chr(0x2400 + code) if code < 0x20 else f"\\u{code:04x}"
