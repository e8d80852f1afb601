"""A page that follows a run while it works, on this machine alone.

Knows: an HTTP server on 127.0.0.1 that answers GET and HEAD for a frame, the page in it and the page's version. The
page is drawn anew where records changed, never into the run's folder; what cannot be read just now leaves the last one
up. Refuses to know: what a page says.
"""

import hashlib
import html
import json
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

from srlm.errors import InputError
from srlm.records.text import visible

_HOST = "127.0.0.1"
# What changes last when a folder's records change: of runs, diagnoses and audits.
_RECORDS = ("*.json", "rounds/*/*.manifest.json")


class Live:
    """The page of folders that may not exist yet.

    Args:
        folders: what commands write with --out.
        draw: writes the page to the file given.
    """

    def __init__(self, folders: Sequence[Path], draw: Callable[[Path], Any]) -> None:
        self._folders, self._draw = folders, draw
        self._lock, self._stamp = threading.Lock(), None
        self._page, self._whole = b"", False

    def stamp(self) -> tuple[Any, ...]:
        """Another value whenever the records are others."""
        found = []
        for folder in self._folders:
            for path in sorted(path for pattern in _RECORDS for path in folder.glob(pattern)):
                try:
                    facts = path.stat()
                except OSError:
                    continue  # just replaced
                found.append((str(path), facts.st_mtime_ns, facts.st_size, facts.st_ino))
        return tuple(found)

    def page(self) -> tuple[bytes, str]:
        """The newest page that could be drawn, and its version."""
        with self._lock:
            if (stamp := self.stamp()) != self._stamp:
                self._stamp = stamp  # from before the drawing, so that what comes meanwhile is drawn next
                try:
                    with TemporaryDirectory(prefix="srlm-live-") as room:
                        self._draw(Path(room) / "page.html")
                        self._page, self._whole = (Path(room) / "page.html").read_bytes(), True
                except Exception as error:  # a folder that is being written may hold anything
                    if not self._whole:
                        self._page = _waiting(error)
            return self._page, hashlib.sha256(self._page).hexdigest()[:16]


def _waiting(error: Exception) -> bytes:
    told = html.escape(visible(str(error), 400))
    return f'<!doctype html><html lang="en"><meta charset="utf-8"><title>srlm waits</title><p>Waiting: {told}'.encode()


@contextmanager
def serving(live: Live, port: int = 0) -> Iterator[str]:
    """The address of a server that works until the block ends.

    Args:
        live: what it shows.
        port: where it listens; 0: any that is free.

    Raises:
        InputError: nothing can listen there.
    """
    try:
        server = ThreadingHTTPServer((_HOST, port), _Handler)
    except (OSError, OverflowError) as error:
        raise InputError(f"--port {port}: {error}; give another one, or 0 for any that is free") from error
    server.daemon_threads, server.block_on_close = True, False
    server.live, server.hosts = live, {f"{name}:{server.server_port}" for name in (_HOST, "localhost")}  # type: ignore
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
    thread.start()
    try:
        yield f"http://{_HOST}:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    server: Any
    protocol_version, server_version, sys_version, timeout = "HTTP/1.1", "srlm", "", 30

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def log_message(self, format: str, *arguments: Any) -> None:
        pass

    def _answer(self) -> None:
        # Another host's name means that a page elsewhere had its name point here: it is told nothing.
        if self.headers.get("Host") not in self.server.hosts:
            return self._send(403, "text/plain", b"This is not the host that you asked for.\n")
        path = urlsplit(self.path).path
        if path == "/":
            return self._send(200, "text/html", *_frame())
        if path not in ("/page", "/version"):
            return self._send(404, "text/plain", b"There is only /.\n")
        page, version = self.server.live.page()
        if path == "/version":
            return self._send(200, "application/json", json.dumps({"version": version}).encode())
        if self.headers.get("If-None-Match") == f'"{version}"':
            return self._send(304, "text/html", b"", "frame-ancestors 'self'", version)
        return self._send(200, "text/html", page, "frame-ancestors 'self'", version)

    def _send(self, code: int, kind: str, body: bytes, policy: str = "default-src 'none'", tag: str = "") -> None:
        self.send_response(code)
        headers = {
            "Content-Type": f"{kind}; charset=utf-8",
            "Content-Length": str(len(body)),
            "Content-Security-Policy": policy,
            "Cache-Control": "no-cache",
            "Cross-Origin-Resource-Policy": "same-origin",
            "X-Content-Type-Options": "nosniff",
        } | ({"ETag": f'"{tag}"'} if tag else {})
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)


@cache
def _frame() -> tuple[bytes, str]:
    """The page around the page, and its policy: its own script and style, and nothing from elsewhere."""
    text = (files("srlm.report") / "templates" / "live.html").read_text(encoding="utf-8")

    def only(tag: str) -> str:
        inside = text.partition(f"<{tag}>")[2].partition(f"</{tag}>")[0]
        return f"'sha256-{b64encode(hashlib.sha256(inside.encode()).digest()).decode()}'"

    allowed = f"script-src {only('script')}; style-src {only('style')}; img-src data:; frame-src 'self'"
    closed = "default-src 'none'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    return text.encode(), f"{closed}; {allowed}"
