"""Chat templates are programs of somebody else: what does not end, or builds too much, is refused beforehand."""

import pytest

from srlm.errors import InputError
from srlm.lm import templates

CHATS = [[{"role": "user", "content": "w1"}], [{"role": "user", "content": "w1 w2 w3"}]]
USUAL = "{% for m in messages %}{% generation %}{{ m.role }}: {{ m.content }}{% endgeneration %}{% endfor %}{{ bos }}"


def test_the_usual_template_is_harmless_and_its_longest_rendering_is_measured() -> None:
    templates.require_harmless(USUAL, CHATS, {"bos": "<s>"})
    assert templates.length((USUAL, CHATS, {"bos": "<s>"})) == len("user: w1 w2 w3<s>")


@pytest.mark.parametrize(
    "text",
    [
        "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
        "{{ 10 ** (10 ** 9) }}",
        "{% macro f(n) %}{{ f(n + 1) if n < 40 }}{{ f(n + 1) if n < 40 }}{% endmacro %}{{ f(0) }}",
    ],
)
def test_what_does_not_end_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(templates, "_SECONDS", 1.0)
    with pytest.raises(InputError, match="has not ended"):
        templates.require_harmless(text, CHATS, {})


@pytest.mark.parametrize("text", ["{{ 'a' * 10**8 }}", "{{ 'a' * 10**12 }}"])
def test_what_builds_too_much_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="more than 10,000,000 characters"):
        templates.require_harmless(text, CHATS, {})


@pytest.mark.parametrize(
    "text", ["{% include '/etc/passwd' %}", "{{ messages.append(1) }}", "{{ x.__class__.y() }}", "{%"]
)
def test_what_fails_is_left_to_the_rendering_to_tell(text: str) -> None:
    assert templates.length((text, CHATS, {})) == 0
