"""What pages have in common: flat settings, the names of splits.

Knows: how much of a setting a page shows. Refuses to know: what pages are about.
"""

from collections.abc import Mapping
from typing import Any

from srlm.records.rounds import Split
from srlm.records.text import visible

NAMES: Mapping[Split, str] = {"train": "trained prompts", "held_out": "held-out prompts"}


def flat(values: Mapping[str, Any]) -> dict[str, str]:
    """Settings as pairs of harmless texts, by name."""
    return {visible(str(name), 80): visible(str(value), 300) for name, value in sorted(values.items())}
