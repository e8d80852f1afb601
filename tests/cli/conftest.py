"""The fixtures of the command line's tests."""

from tests.records.conftest import record
from tests.report.conftest import make_run

__all__ = ["make_run", "record"]
