"""The fixture of the diagnosis that is written down."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def diagnosed(tiny_model_folder: Path, prompts_file: Callable[..., Any]) -> Any:
    """A diagnosis of eight prompts with at most two new tokens."""
    from srlm.diagnosis.preflight import DiagnosisSettings, diagnose

    settings = DiagnosisSettings(max_new_tokens=2, samples=8)
    return diagnose(str(tiny_model_folder), str(prompts_file), settings=settings, device="cpu")
