"""Many requests to servers at once, each accounted for.

Knows: JSON over HTTP, what may be tried again and after which wait, keys in the environment. A key goes into one header
and nowhere else: no record, no message, no `repr`, no other host (redirects are refused). Refuses to know: what the
requests are about, torch.
"""

import asyncio
import json
import os
import random
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from http import HTTPStatus
from typing import Any, Literal

from srlm.errors import InputError
from srlm.records.text import visible

KEY = "OPENAI_API_KEY"
# Told of a server that is overloaded, restarting or behind a proxy that is: the same request may succeed later.
_AGAIN = frozenset({408, 429, 500, 502, 503, 504})
_SHOWN = 300  # characters of a server's message
_PATIENCE = 600.0  # longest wait that a server may ask for (s)


class Failure(InputError):
    """Why a request has no reply.

    Attributes:
        kind: the server "refused" it and would again; it was "unreachable", or not fit to answer, however often it was
            tried; or it was left "unsent" because of another one.
        status: the server's last, where it answered.
    """

    def __init__(self, sentence: str, kind: Literal["refused", "unreachable", "unsent"], status: int | None = None):
        super().__init__(sentence)
        self.kind, self.status = kind, status


@dataclass(frozen=True, slots=True)
class Ask:
    """One request.

    Attributes:
        url: whole.
        body: sent as JSON by POST; None: GET.
        plain: the reply is text, whatever it is; otherwise what is no JSON counts as damaged, and is asked for again.
    """

    url: str
    body: Mapping[str, Any] | None = None
    plain: bool = False


# Called with the number of a request and its reply (JSON, or text), or why there is none, as soon as that is known.
# True: send nothing more; what is under way is waited for, because it may have to be paid for.
Hear = Callable[[int, Any], bool | None]
# Called before every attempt: None, or why it may not be sent, after which nothing more is.
Allow = Callable[[Ask], str | None]


@dataclass(frozen=True, slots=True)
class Client:
    """Sends requests.

    Attributes:
        key: sent along as a bearer token; None: nothing is.
        in_flight: requests under way at once, at least 1.
        timeout: seconds within which a whole reply must be there.
        attempts: how often a request is tried, at least 1.
        backoff: seconds before the second attempt, about; twice that before the third, and so on, up to a minute. A
            server that names a wait (Retry-After) gets it.
    """

    key: str | None = field(default=None, repr=False)
    in_flight: int = 64
    timeout: float = 600.0
    attempts: int = 8
    backoff: float = 0.5

    def send(self, asks: Sequence[Ask], hear: Hear | None = None, allow: Allow | None = None) -> list[Any]:
        """A reply, or a `Failure`, for every request, in order. An exception of `hear` ends everything at once."""
        return _outside(_Sending(self, list(asks), hear, allow).all()) if asks else []

    def one(self, ask: Ask) -> Any:
        """The reply to one request.

        Raises:
            Failure: there is none.
        """
        (reply,) = self.send([ask])
        if isinstance(reply, Failure):
            raise reply
        return reply

    def without(self, text: str) -> str:
        """`text`, written by a server, on one short line and without the key."""
        return visible(text.replace(self.key, "(the key)") if self.key else text, _SHOWN)


def key_from(name: str | None = None) -> str | None:
    """The key in an environment variable: in the one named, which must be there; else in OPENAI_API_KEY, if it is.

    Raises:
        InputError: the named variable is not set, or what it holds cannot be a key. The message does not hold it.
    """
    key = os.environ.get(name or KEY, "").strip()
    if not key and name is not None:
        raise InputError(f"the environment variable {visible(name, 80)} holds no key; set it, or name another one")
    if key and not (key.isascii() and key.isprintable() and " " not in key):
        raise InputError(f"the environment variable {visible(name or KEY, 80)} holds something that cannot be a key")
    return key or None


class _Sending:
    """One call of `Client.send`."""

    def __init__(self, client: Client, asks: list[Ask], hear: Hear | None, allow: Allow | None) -> None:
        self.client, self.asks, self.hear, self.allow = client, asks, hear, allow
        self.replies: list[Any] = [None] * len(asks)
        self.why: str | None = None  # nothing more is sent
        self.chance = random.Random()

    async def all(self) -> list[Any]:
        import httpx2

        # What is on this machine is not asked for through a proxy.
        direct: dict[str, Any] = dict.fromkeys(("all://localhost", "all://127.0.0.1", "all://[::1]"), None)
        most = min(self.client.in_flight, len(self.asks))
        http = httpx2.AsyncClient(
            headers={"Authorization": f"Bearer {self.client.key}"} if self.client.key else {},
            timeout=httpx2.Timeout(self.client.timeout, connect=min(30.0, self.client.timeout), pool=None),
            limits=httpx2.Limits(max_connections=most, max_keepalive_connections=most),
            follow_redirects=False,
            mounts=direct,
            verify=_authorities(),
        )
        waiting = iter(enumerate(self.asks))
        async with http:
            try:
                async with asyncio.TaskGroup() as group:
                    for _ in range(most):
                        group.create_task(self._work(http, waiting))
            except BaseExceptionGroup as several:
                raise several.exceptions[0] from None
        return self.replies

    async def _work(self, http: Any, waiting: Iterator[tuple[int, Ask]]) -> None:
        """Take request after request until none is left."""
        for at, ask in waiting:
            self.replies[at] = reply = await self._reply(http, ask)
            if self.hear is not None and self.hear(at, reply):
                self.why = self.why or "nothing more was sent after an earlier request"

    async def _reply(self, http: Any, ask: Ask) -> Any:
        last: Failure | None = None
        for attempt in range(self.client.attempts):
            if self.why is None and self.allow is not None:
                self.why = self.allow(ask)
            if self.why is not None:
                return Failure(self.why, "unsent", last and last.status)
            reply = await self._try(http, ask)
            if not isinstance(reply, _Again):
                return reply
            last = reply.failure
            if reply.wait > _PATIENCE:
                break
            if attempt + 1 < self.client.attempts:
                grown = min(60.0, self.client.backoff * 2**attempt) * (0.5 + self.chance.random())
                await asyncio.sleep(max(reply.wait, grown))
        return last

    async def _try(self, http: Any, ask: Ask) -> Any:
        """The reply, a `Failure` for good, or an `_Again`."""
        import httpx2

        where = visible(ask.url, 200)
        method, body = ("GET", None) if ask.body is None else ("POST", json.dumps(ask.body).encode())
        headers = {"Content-Type": "application/json"} if body is not None else {}
        try:
            async with asyncio.timeout(self.client.timeout):
                response = await http.request(method, ask.url, content=body, headers=headers)
        except (TimeoutError, httpx2.TimeoutException):
            return _Again(Failure(f"{where} did not answer within {self.client.timeout:g} s", "unreachable"))
        except httpx2.ConnectError as error:
            told = self.client.without(str(error))
            return _Again(Failure(f"no server answers at {where} ({told}); start it, or correct the address",
                                  "unreachable"))  # fmt: skip
        except (httpx2.TransportError, httpx2.DecodingError) as error:
            told = self.client.without(str(error)) or type(error).__name__
            return _Again(Failure(f"{where} cut the connection, or damaged its reply ({told})", "unreachable"))
        status = response.status_code
        if response.is_success:
            if ask.plain:
                return response.text
            with suppress(ValueError, RecursionError):
                return json.loads(response.content)
            told = self.client.without(response.text) or "nothing"
            return _Again(Failure(f"{where} answered something that is not JSON: {told}", "unreachable", status))
        if response.is_redirect:
            told = self.client.without(response.headers.get("location", "").partition("?")[0])
            sentence = f"{where} redirects to {told}, which is not followed, lest the key reach others; give the final"
            return Failure(f"{sentence} address", "refused", status)
        phrase = HTTPStatus(status).phrase if status in HTTPStatus._value2member_map_ else "no known status"
        told = f"{where} answered {status} ({phrase}): {self.client.without(_message(response)) or 'nothing more'}"
        if status in _AGAIN:
            return _Again(Failure(told, "unreachable", status), _wait(response.headers.get("retry-after")))
        return Failure(told, "refused", status)


@dataclass(frozen=True, slots=True)
class _Again:
    """An attempt that failed in a way that may pass; `wait` is what the server asks for (s)."""

    failure: Failure
    wait: float = 0.0


def _message(response: Any) -> str:
    """What a server says is wrong: OpenAI's form, FastAPI's, or whatever it wrote."""
    with suppress(ValueError, RecursionError):
        told = json.loads(response.content)
        for name in ("error", "message", "detail"):
            if isinstance(told, dict) and told.get(name):
                told = told[name]
        return told if isinstance(told, str) else json.dumps(told)
    return response.text


def _wait(told: str | None) -> float:
    """Seconds of a Retry-After, which gives them or a date; 0 where it is neither."""
    with suppress(ValueError, TypeError, OverflowError):
        return max(0.0, float(told or ""))
    with suppress(ValueError, TypeError, OverflowError):
        date = parsedate_to_datetime(told or "")
        return max(0.0, (date.replace(tzinfo=date.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
    return 0.0


@cache
def _authorities() -> Any:
    """Whom to trust; read once, because that takes longer than many a request."""
    import httpx2

    return httpx2.create_ssl_context()


def _outside(work: Coroutine[Any, Any, list[Any]]) -> list[Any]:
    """Run to the end; in a thread of its own where this one runs a loop already, as a notebook does."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()
