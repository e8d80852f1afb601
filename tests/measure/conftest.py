"""The fixture of a diagnosis made by hand."""

from tests.records.conftest import record

__all__ = ["record"]
