"""A forecast of rounds in words, for whoever diagnoses or plans.

Knows: the record of a forecast. Refuses to know: how it was made.
"""

from collections.abc import Iterator

from srlm.records.forecast import Forecast
from srlm.report import numbers

NO_FORECAST = (
    "this diagnosis was written by an older srlm and does not hold what a forecast needs, each prompt's known "
    "responses; write it again with srlm diagnose --out"
)


def forecast_text(forecast: Forecast | None, widened: float) -> Iterator[str]:
    """Its lines, under a heading.

    Args:
        forecast: None where an older srlm did not record what it needs.
        widened: nats by which brackets were widened for the precision's error.
    """
    if forecast is None:
        yield "What would rounds make of it?"
        yield f"  Not known: {NO_FORECAST}."
        return
    yield f"What would rounds make of it? (exact rounds at beta {forecast.beta:g}, P8)"
    rows = [("round", "kappa", "prompts that fail", "samples right"), *numbers.forecast_rows(forecast.rounds)]
    widths = [max(len(row[at]) for row in rows) for at in range(4)]
    for row in rows:
        yield ("  " + "  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True))).rstrip()
    yield f"  {numbers.forecast_legend(widened)}"
    aims = [one.projection_kappa for one in forecast.rounds[1:] if one.projection_kappa is not None]
    yield f"  Updates by projection aim at kappa {', '.join(map(numbers.number, aims))}: what they know, and no more."
