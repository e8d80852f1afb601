"""A round's metrics under the names that trackers (`report_to`) show.

Knows: trl's log keys. What trl has a name for goes by that name; everything goes by its own under `srlm/`. Refuses to
know: any tracker.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from srlm.records.rounds import RoundRecord

# trl's name: where the number stands in `metrics.json`.
_TRL = {
    "reward": "reward/mean",
    "reward_std": "reward/std",
    "entropy": "entropy",
    "completions/mean_length": "mean_response_tokens",
    "completions/clipped_ratio": "cut_share",
}


def tracked(record: RoundRecord) -> dict[str, float]:
    """Every finite number of a round, such as `srlm/held_out/kappa/upper`, and trl's names for some."""
    numbers = dict(_numbers(record.to_document()))
    theirs = {name: numbers[ours] for name, ours in _TRL.items() if ours in numbers}
    return theirs | {f"srlm/{name}": value for name, value in numbers.items()}


def _numbers(metrics: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, float]]:
    for name, value in metrics.items():
        if isinstance(value, Mapping):
            yield from _numbers(value, f"{above}{name}/")
        elif isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            yield f"{above}{name}", float(value)
