"""Text that a model wrote, made safe to look at; and durations as people read them.

Knows: which characters steer a terminal or reorder a page instead of being seen, and which a spreadsheet takes for the
beginning of a formula. Refuses to know: HTML; pages escape
markup themselves, after this.
"""

import unicodedata

# Control, format (bidirectional overrides, zero-width), surrogate, private use, unassigned; line and paragraph
# separators.
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def visible(text: str, limit: int | None = None) -> str:
    """`text` on one line, with every character that would not be seen as itself written as an escape.

    Args:
        text: anything, lone surrogates included.
        limit: longest result in characters, at least 1; a longer one ends in "…".

    Returns:
        A string that holds no control, format, surrogate, private or unassigned character and always encodes as UTF-8.
    """
    if limit is not None and len(text) > 16 * limit:
        text = text[: 16 * limit]  # an escape never shortens, so what is dropped here could not be shown
    shown = "".join(_escape(letter) if unicodedata.category(letter) in _UNSEEN else letter for letter in text)
    if limit is not None and len(shown) > limit:
        return shown[: limit - 1] + "…"
    return shown


def spreadsheet_safe(text: str) -> str:
    """A text for a cell of a table that others open: with ' before what a spreadsheet would compute."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def duration(seconds: float) -> str:
    """Seconds, minutes or hours, whichever reads best."""
    if seconds < 90:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def _escape(letter: str) -> str:
    code = ord(letter)
    if letter in _SHORT:
        return _SHORT[letter]
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
