"""A server with OpenAI's interface over a table of texts, with faults planted in it.

What it draws depends on the request's prompt and seed alone, choice k of a request having the seed of choice 0 plus k,
as vLLM does: so draw d at a prompt is one text, whatever happens on the way.
"""

import json
import random
import socket
import threading
import time
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

MODEL = "table-1"
Table = Mapping[str, float]


def table_draw(table: Table, seed: int) -> str:
    """The text that a seed draws from a table of probabilities."""
    return random.Random(seed).choices(list(table), list(table.values()))[0]


class Stub:
    """The server; a context manager.

    Args:
        tables: by the prompt's text, what is answered with which probability; "" is for every other prompt.
        faults: by the number of a request among those for draws, or "always", what goes wrong with it.
        latency: seconds before an answer.
        together: from the second request on, answer once so many are under way.
    """

    def __init__(
        self,
        tables: Mapping[str, Table],
        faults: Mapping[int | str, str] | None = None,
        latency: float = 0.0,
        together: int = 1,
    ) -> None:
        self.tables, self.faults, self.latency = tables, dict(faults or {}), latency
        self.bodies: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.models: Any = {"data": [{"id": MODEL, "owned_by": "srlm"}]}
        self.barrier = threading.Barrier(together)
        self.lock = threading.Lock()
        stub = self

        class Handler(_Handler):
            owner = stub

        class Server(ThreadingHTTPServer):
            request_queue_size, daemon_threads = 256, True

            def handle_error(self, request: Any, client_address: Any) -> None:
                """A client that went away is no news."""

        self.server = Server(("127.0.0.1", 0), Handler)

    def __enter__(self) -> Self:
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/v1"

    def reply(self, body: Mapping[str, Any], chat: bool) -> dict[str, Any]:
        """What a faultless server answers."""
        prompt = body["messages"][-1]["content"] if chat else body["prompt"]
        table = self.tables.get(prompt, self.tables.get("", {}))
        choices = []
        for at in range(body.get("n", 1)):
            text = (
                max(table, key=table.__getitem__) if not body["temperature"] else table_draw(table, body["seed"] + at)
            )
            words = text.split(" ")
            kept, end = " ".join(words[: body["max_tokens"]]), "stop" if len(words) <= body["max_tokens"] else "length"
            holder = {"message": {"role": "assistant", "content": kept}} if chat else {"text": kept}
            choices.append({"index": at, "finish_reason": end, "logprobs": None, **holder})
        tokens = sum(min(len(text_of(one).split(" ")), body["max_tokens"]) for one in choices)
        return {"id": "x", "model": body["model"], "choices": choices, "usage": {"completion_tokens": tokens}}


def text_of(choice: Mapping[str, Any]) -> str:
    return choice["message"]["content"] if "message" in choice else choice["text"]


def _with_text(text: str | None) -> Callable[[dict[str, Any]], None]:
    def change(reply: dict[str, Any]) -> None:
        for one in reply["choices"]:
            one.update({"message": {"content": text}} if "message" in one else {"text": text})

    return change


# What is wrong with a reply that has the right form.
CHANGES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "n ignored": lambda reply: reply.update(choices=reply["choices"][:1]),
    "n of 2": lambda reply: reply.update(choices=reply["choices"][:2]),
    "one choice more": lambda reply: reply["choices"].append({**reply["choices"][0], "index": len(reply["choices"])}),
    "null log-probabilities": lambda reply: [one.update(logprobs={"content": [None]}) for one in reply["choices"]],
    "no usage": lambda reply: reply.pop("usage"),
    "wrong usage": lambda reply: reply.update(usage={"completion_tokens": "many"}),
    "wrong order": lambda reply: reply["choices"].reverse(),
    "duplicated choices": lambda reply: reply.update(choices=[one for one in reply["choices"] for _ in range(2)]),
    "no index": lambda reply: [one.pop("index") for one in reply["choices"]],
    "no finish_reason": lambda reply: [one.pop("finish_reason") for one in reply["choices"]],
    "empty text": _with_text(""),
    "null text": _with_text(None),
    "strange text": _with_text("\ud800 is \x1b[2J\x00\u202e #7"),
    "another model": lambda reply: reply.update(model="small-0"),
    "dated model": lambda reply: reply.update(model=f"{MODEL}-2026-11-24"),
    "no choices": lambda reply: reply.update(choices=[]),
    "error in a reply": lambda reply: [reply.clear(), reply.update(error={"message": "upstream is away"})],
    "early cut": lambda reply: [
        reply["choices"][0].update(finish_reason="length"), reply.update(usage={"completion_tokens": 1}),
    ],
}  # fmt: skip
# What goes wrong before there is one: (status, headers, body).
REFUSALS: dict[str, tuple[int, dict[str, str], str]] = {
    "429": (429, {}, '{"error": {"message": "slow down"}}'),
    "429 with Retry-After": (429, {"Retry-After": "0.05"}, "{}"),
    "429 for an hour": (429, {"Retry-After": "3600"}, '{"error": {"message": "come back later"}}'),
    "500": (500, {}, "oh"),
    "503": (503, {}, ""),
    "HTML": (200, {"Content-Type": "text/html"}, "<html><b>Welcome</b></html>"),
    "401": (401, {}, '{"error": {"message": "Incorrect API key provided: sk-secret"}}'),
    "403": (403, {}, '{"detail": "not for you"}'),
    "redirect": (307, {"Location": "http://elsewhere.example/v1/?token=abc"}, ""),
    "huge message": (400, {}, json.dumps({"error": {"message": "no\x1b[2J\u202e " * 50_000}})),
    "too long": (400, {}, '{"error": {"message": "max_tokens is too large: this model has 2048"}}'),
}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    owner: Stub

    def do_GET(self) -> None:
        models = self.owner.models
        if isinstance(models, str):
            self._write(*REFUSALS[models])
        else:
            self._write(200 if self.path == "/v1/models" and models else 404, {}, json.dumps(models))

    def do_POST(self) -> None:
        stub = self.owner
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with stub.lock:
            fault = stub.faults.get(len(stub.bodies), stub.faults.get("always"))
            stub.bodies.append(body)
            stub.keys.append(self.headers.get("Authorization"))
            first = len(stub.bodies) == 1
        if not first:
            stub.barrier.wait(timeout=20)
        time.sleep(stub.latency + (3.0 if fault == "slow" else 0.0))
        self._answer(dict(body), fault)

    def _answer(self, body: dict[str, Any], fault: str | None) -> None:
        if fault in REFUSALS:
            return self._write(*REFUSALS[fault])
        refused = (fault or "").removeprefix("refuses ")
        if refused in body or (refused == "temperature 0" and not body["temperature"]):
            told = {"max_tokens": "use 'max_completion_tokens' instead of 'max_tokens'", "n": "one choice only"}
            return self._write(400, {}, json.dumps({"error": {"message": told.get(refused, f"no {refused} here")}}))
        body["max_tokens"] = body.get("max_tokens", body.get("max_completion_tokens"))
        body.setdefault("seed", 0)
        reply = self.owner.reply(body, self.path.endswith("/chat/completions"))
        if fault in CHANGES:
            CHANGES[fault](reply)
        text = json.dumps(reply)
        if fault == "cut before headers":
            return self._cut()
        if fault == "cut after headers":
            return self._write(200, {"Content-Length": str(len(text))}, "", cut=True)
        if fault == "half a body":
            return self._write(200, {"Content-Length": str(len(text))}, text[: len(text) // 2], cut=True)
        if fault == "half of JSON":
            text = text[: len(text) // 2]
        return self._write(200, {}, text)

    def _write(self, status: int, headers: Mapping[str, str], text: str, cut: bool = False) -> None:
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(text.encode()))} | dict(headers)).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text.encode())
        if cut:
            self._cut()

    def _cut(self) -> None:
        self.close_connection = True
        self.wfile.flush()
        self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""
