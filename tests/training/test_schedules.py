"""The KL strength of a round."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from srlm.errors import InputError
from srlm.training.schedules import BETA_SCHEDULES


def test_the_theorys_schedule_falls_with_the_root_of_the_pairs() -> None:
    of = BETA_SCHEDULES["n^-1/2"]
    assert of(3.0, 9) == pytest.approx(1.0)
    assert of(1.0, 400) == pytest.approx(of(1.0, 100) / 2)
    assert BETA_SCHEDULES["constant"](3.0, 9) == 3.0


def test_a_run_uses_and_records_the_scheduled_beta(start: Callable[..., Any], tmp_path: Path) -> None:
    # 6 trained prompts with 4 responses: 36 pairs, so beta 6 is an effective 1, and every number is that of beta 1.
    scheduled = start(tmp_path / "a", rounds=1, beta=6.0, beta_schedule="n^-1/2").round(1).metrics()
    plain = start(tmp_path / "b", rounds=1, beta=1.0).round(1).metrics()
    for metrics in (scheduled, plain):
        metrics.pop("seconds")
    assert scheduled["beta"] == 1.0
    assert scheduled == plain


def test_an_unknown_schedule_is_refused(start: Callable[..., Any], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="beta_schedule is 'cosine'; use one of constant, n"):
        start(tmp_path / "never", beta_schedule="cosine")
