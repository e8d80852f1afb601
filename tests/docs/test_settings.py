"""The tables of settings in the documentation say what the fields say."""

import re
from pathlib import Path

import pytest

from srlm.diagnosis.settings import DiagnosisSettings
from srlm.lm.subject import Subject
from srlm.records.options import facts_of
from srlm.training.settings import Request, RunSettings
from srlm.watching.audit import AuditSettings

_DOCS = Path(__file__).parents[2] / "docs"


def table(*groups: type) -> str:
    """The settings of dataclasses, one a row."""
    rows = ["| option | field | default | domain | meaning | resumed |", "|---|---|---|---|---|---|"]
    for group in groups:
        for one, facts in facts_of(group):
            flag = f"`--{facts.flag}`" if facts.flag else ""
            default = "off" if isinstance(one.default, bool) and flag else facts.shown or f"`{one.default}`"
            resumed = {"same": "", "free": "may change", "unrecorded": "may change"}[facts.on_resume]
            rows.append(f"| {flag} | `{one.name}` | {default} | {facts.domain} | {facts.help} | {resumed} |")
    return "\n".join(rows)


@pytest.mark.parametrize(
    ("page", "groups"),
    [
        ("training.md", (Request, RunSettings)),
        ("diagnosis.md", (Subject, DiagnosisSettings)),
        ("audit.md", (AuditSettings,)),
    ],
)
def test_the_table_of_settings_is_that_of_the_fields(page: str, groups: tuple[type, ...]) -> None:
    written = re.search(r"^\| option \|(.|\n)*?(?=\n\n|\n?\Z)", (_DOCS / page).read_text("utf-8"), flags=re.MULTILINE)
    assert written is not None
    expected = table(*groups)
    assert written.group().rstrip() == expected, f"the table of {page} is to be:\n{expected}"
