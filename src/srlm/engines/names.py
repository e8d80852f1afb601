"""What `--engine` says: which library draws, and where its servers are.

Knows: the text's grammar and what an address must be. Refuses to know: torch, whether anybody answers there.
"""

from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from srlm.errors import InputError
from srlm.records.text import visible

Kind = Literal["transformers", "vllm", "openai"]
TRANSFORMERS = "transformers"
FORMS = "transformers, vllm:URL[,URL...] or openai:URL"


@dataclass(frozen=True, slots=True)
class EngineName:
    """An engine by name.

    Attributes:
        kind: what draws.
        addresses: without a slash at the end: of vllm the roots of its servers, at least one; of openai the one base,
            which ends in /v1; of transformers none.
    """

    kind: Kind
    addresses: tuple[str, ...] = ()


def parse_engine(text: str) -> EngineName:
    """The engine that `--engine` names.

    Raises:
        InputError: an unknown name, or an address that cannot be one; all that is wrong is named at once.
    """
    kind, colon, rest = text.strip().partition(":")
    if kind == "transformers" and not colon:
        return EngineName("transformers")
    if kind not in ("vllm", "openai") or not colon:
        raise InputError(f"engine is {visible(kind, 80)!r}; use {FORMS}")
    given = [one.strip() for one in rest.split(",")] if kind == "vllm" else [rest.strip()]
    problems, addresses = [], []
    for one in given:
        if problem := _problem(one, kind):
            problems.append(f"engine {kind}: {_shown(one)!r} {problem}")
        else:
            addresses.append(one.rstrip("/"))
    if not problems and len(set(addresses)) < len(addresses):
        problems.append(f"engine {kind}: an address is given twice; give every server once")
    if problems:
        raise InputError(problems)
    return EngineName(kind, tuple(addresses))


def _problem(address: str, kind: Kind) -> str | None:
    """What is wrong with an address."""
    try:
        parts = urlsplit(address)
        whole = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        whole, parts = False, urlsplit("")
    if not whole or not address.isascii() or not address.isprintable() or " " in address:
        return "is no http:// or https:// address"
    if "@" in parts.netloc:
        return "holds a name or a key, which would be written down with it; give keys in the environment"
    if "," in address or parts.query or parts.fragment:
        return "has more than an address, a comma, ? or #; give one address alone"
    if kind == "vllm" and parts.path.rstrip("/").endswith("/v1"):
        return "ends in /v1; give the server's root, without it"
    if kind == "openai" and not parts.path.rstrip("/"):
        return "has no path; give the base of the interface, which ends in /v1"
    return None


def _shown(address: str) -> str:
    """An address for a message, without what may be a key."""
    scheme, mark, rest = address.partition("://")
    host, slash, path = rest.partition("/")
    return visible(f"{scheme}{mark}{host.rpartition('@')[2]}{slash}{path.partition('?')[0]}", 200)
