"""A page that has nothing to do with any question: what a model says of it before and after shows what training cost.

Knows: the bundled text. Refuses to know: tokens, models.
"""

from srlm.records.shipped import shipped


def unrelated_text() -> str:
    """The bundled page of plain prose, written for srlm, in paragraphs with an empty line between them."""
    return shipped("tasks/data/unrelated.txt").read_text(encoding="utf-8")
