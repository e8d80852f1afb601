"""What `--engine` says: which library draws, and where its servers are.

Knows: the text's grammar and what an address must be. Refuses to know: torch, whether anybody answers there.
"""

from dataclasses import dataclass
from typing import Literal
from urllib.parse import SplitResult, urlsplit

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
        parts = _parts(one)
        problem = "is no http:// or https:// address" if parts is None else _problem(parts, kind)
        if problem:
            problems.append(f"engine {kind}: {_shown(one)!r} {problem}")
        else:
            addresses.append(one.rstrip("/"))
    if not problems and len(set(addresses)) < len(addresses):
        problems.append(f"engine {kind}: an address is given twice; give every server once")
    if problems:
        raise InputError(problems)
    return EngineName(kind, tuple(addresses))


def _parts(address: str) -> SplitResult | None:
    """The address in parts; None where it cannot be one."""
    try:
        parts = urlsplit(address)
        right = parts.scheme in ("http", "https") and parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:
        return None
    return parts if right and address.isascii() and address.isprintable() and " " not in address else None


def _problem(parts: SplitResult, kind: Kind) -> str | None:
    """What is wrong with an address beside its form."""
    if "@" in parts.netloc:
        return "holds a name or a key, which would be written down with it; give keys in the environment"
    if "," in parts.netloc + parts.path:
        return "holds a comma; give one address"
    if parts.query or parts.fragment:
        return "has a ? or #; give the address alone"
    path = parts.path.rstrip("/")
    if kind == "vllm" and path.endswith("/v1"):
        return "ends in /v1; give the server's root, without it"
    if kind == "openai" and not path:
        return "has no path; give the base of the interface, which ends in /v1"
    return None


def _shown(address: str) -> str:
    """An address for a message, without what may be a key."""
    scheme, mark, rest = address.partition("://")
    host, slash, path = rest.partition("/")
    return visible(f"{scheme}{mark}{host.rpartition('@')[2]}{slash}{path.partition('?')[0]}", 200)
