"""The fixtures of the command line's tests."""

from tests.records.conftest import record

__all__ = ["record"]
