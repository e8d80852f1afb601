"""docs/watch.md says of settings and alarms what the code says, and quotes what was measured."""

from pathlib import Path

import pytest

from srlm.records.options import facts_of
from srlm.watching.alarms import ALARMS, THRESHOLD, WITH_HARM, measured

PAGE = Path(__file__).parents[2] / "docs" / "watch.md"


def told(ends: list[float], share: bool) -> str:
    """A measured number with its interval."""
    value, low, high = ends
    return f"{value:.0%} ({low:.0%} to {high:.0%})" if share else f"{value:.2g} ({low:.2g} to {high:.2g})"


def alarm_rows() -> list[str]:
    """The table of alarms."""
    rows = ["| alarm | what it means | what to do | detected | median delay (steps) | false alarms per 1,000 steps |"]
    rows.append("|---|---|---|---|---|---|")
    for name, one in ALARMS.items():
        known = measured()[name]
        detected = told(known["detected"], True) if "detected" in known else "not planted"
        false = told(known["false_alarms_per_1000_steps"], False)
        mark = "*" if one.with_harm else ""
        cells = (f"`{name}`{mark}", one.definition, one.advice, detected, str(known.get("delay", "–")), false)
        rows.append(f"| {' | '.join(cells)} |")
    return rows


def setting_rows() -> list[str]:
    """The table of settings."""
    from srlm.watching.trl import TrlSettings

    rows = ["| setting | default | what it is |", "|---|---|---|"]
    for one, facts in facts_of(TrlSettings):
        rows.append(f"| `{one.name}` | {facts.shown or one.default!r} | {facts.help} |")
    return rows


def test_every_alarm_is_documented_with_its_measured_rates():
    text = PAGE.read_text(encoding="utf-8")
    for row in alarm_rows():
        assert row in text
    assert f"reaches {THRESHOLD:,.0f}" in text
    assert f"above {WITH_HARM:.0f}" in text


def test_every_setting_is_documented():
    pytest.importorskip("accelerate", reason="accelerate is not installed (the extra lm)")
    text = PAGE.read_text(encoding="utf-8")
    for row in setting_rows():
        assert row in text


def test_every_alarm_has_a_measured_rate_with_its_interval():
    for name in ALARMS:
        value, low, high = measured()[name]["false_alarms_per_1000_steps"]
        assert 0 <= low <= value <= high < 5
