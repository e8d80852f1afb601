"""Chat templates, which are programs that come with a model: tried where they can be killed before they run here.

Knows: jinja2's sandbox (no files, no attributes of Python), limits on time and length. Refuses to know: tokens, and how
transformers renders.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from jinja2 import TemplateError
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from srlm.errors import InputError
from srlm.tasks.worker import WORKER, TooSlow

_SECONDS, _EACH = 5.0, 0.02  # of processor time, and more for each prompt; a usual one takes a tenth of a millisecond
_LONGEST = 10_000_000  # characters of a prompt


class _Generation(Extension):
    """transformers' mark of what an assistant says: nothing here."""

    tags = {"generation"}  # noqa: RUF012

    def parse(self, parser: Parser) -> Any:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def require_harmless(template: str, chats: Sequence[Sequence[Mapping[str, Any]]], special: Mapping[str, Any]) -> None:
    """Try a template in another process.

    Args:
        template: its text.
        chats: the messages of every prompt.
        special: special tokens by name.

    Raises:
        InputError: it does not end, or what it makes of a prompt has more than ten million characters.
    """
    seconds = _SECONDS + _EACH * len(chats)
    try:
        longest = WORKER.call("srlm.lm.templates:length", (template, chats, dict(special)), seconds)
    except TooSlow as error:
        raise InputError(
            f"the chat template has not ended after {seconds:.0f} s, or takes too much memory; repair it in the "
            "model's folder (chat_template.jinja), or leave it out with --raw-prompts"
        ) from error
    if longest > _LONGEST:
        raise InputError(
            f"the chat template makes more than {_LONGEST:,} characters of a prompt; repair it in the model's folder "
            "(chat_template.jinja), or leave it out with --raw-prompts"
        )


def length(of: tuple[str, Sequence[Any], Mapping[str, Any]]) -> int:
    """Characters of the longest rendering; 0 where the template fails, which rendering it here will tell."""
    template, chats, special = of
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols", _Generation]
    )

    def raise_exception(message: str) -> None:
        raise TemplateError(message)

    environment.globals |= {"raise_exception": raise_exception, "strftime_now": datetime.now().strftime}
    try:
        render = environment.from_string(template).render
        return max(len(render(messages=one, add_generation_prompt=True, **special)) for one in chats)
    except MemoryError:
        return _LONGEST + 1
    except Exception:
        return 0
