"""Headless Chromium for tests of pages, driven over two pipes: no port, no dependency.

Knows: the DevTools protocol as far as pages need it. Refuses to know: what a page shows.
"""

import base64
import contextlib
import fcntl
import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here (apt-get install chromium)")
_FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --hide-scrollbars --force-color-profile=srgb --remote-debugging-pipe"
)
_KEYS = {"Escape": 27, "Enter": 13, "Tab": 9, "ArrowRight": 39, "ArrowLeft": 37, "End": 35, "Home": 36, "Backspace": 8}


class Browser:
    """One tab. What pages say on the console, and what they ask the network for, is kept in `said` and `asked`."""

    def __init__(self, profile: Path) -> None:
        ours, theirs = os.pipe(), os.pipe()
        # The browser reads commands from file 3 and answers on file 4.
        reads, writes = (fcntl.fcntl(end, fcntl.F_DUPFD, 20) for end in (ours[0], theirs[1]))

        def ends() -> None:
            os.dup2(reads, 3)
            os.dup2(writes, 4)

        command = [str(CHROMIUM), *_FLAGS.split(), f"--user-data-dir={profile}", "about:blank"]
        self.process = subprocess.Popen(
            command, preexec_fn=ends, close_fds=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        for end in (reads, writes, ours[0], theirs[1]):
            os.close(end)
        self._out, self._in, self._rest = ours[1], theirs[0], b""
        self._number, self._answers = 0, {}
        self.said: list[str] = []
        self.asked: list[str] = []
        self._urls: dict[str, str] = {}
        targets = self.call("Target.getTargets", session=None)["targetInfos"]
        target = next(one["targetId"] for one in targets if one["type"] == "page")
        self._session = self.call("Target.attachToTarget", session=None, targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def __enter__(self) -> "Browser":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError, RuntimeError, TimeoutError):
            self.call("Browser.close", session=None)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)
        os.close(self._out)
        os.close(self._in)

    def call(self, method: str, session: str | None = "", timeout: float = 60, **parameters: Any) -> dict[str, Any]:
        """A command of the protocol, and its result."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if session is not None:
            message["sessionId"] = session or self._session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._out, data) :]
        number, end = self._number, time.monotonic() + timeout
        while number not in self._answers:
            self._read(end - time.monotonic(), f"no answer to {method}")
        answer = self._answers.pop(number)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        return answer["result"]

    def _read(self, seconds: float, complaint: str) -> None:
        if seconds <= 0 or not select.select([self._in], [], [], seconds)[0]:
            raise TimeoutError(complaint)
        data = os.read(self._in, 1 << 20)
        if not data:
            raise RuntimeError("Chromium went away")
        *messages, self._rest = (self._rest + data).split(b"\0")
        for one in map(json.loads, messages):
            if "id" in one:
                self._answers[one["id"]] = one
            else:
                self._heard(one["method"], one["params"])

    def _heard(self, method: str, of: dict[str, Any]) -> None:
        if method == "Runtime.consoleAPICalled":
            self.said.append(" ".join(str(one.get("value", one.get("description"))) for one in of["args"]))
        elif method == "Runtime.exceptionThrown":
            details = of["exceptionDetails"]
            self.said.append(details.get("exception", {}).get("description", details["text"]))
        elif method == "Log.entryAdded":
            self.said.append(of["entry"]["text"])
        elif method == "Network.requestWillBeSent" and not of["request"]["url"].startswith(("data:", "blob:")):
            self.asked.append(of["request"]["url"])
            self._urls[of["requestId"]] = of["request"]["url"]
        elif method == "Network.loadingFailed" and of.get("blockedReason") == "csp":
            self.asked.remove(self._urls[of["requestId"]])  # the policy kept it from going out

    def open(self, page: Path, hash_: str = "", width: int = 1280, height: int = 900, theme: str = "light") -> float:
        """Load a page afresh; the seconds until its script has run and it was painted."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.media(theme)
        self.call("Page.navigate", url="about:blank")
        self.wait("location.href === 'about:blank'")
        self.said.clear()
        self.asked.clear()
        start = time.monotonic()
        self.call("Page.navigate", url=page.as_uri() + hash_)
        self.wait("location.href !== 'about:blank' && document.readyState === 'complete'")
        self.run("new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")
        return time.monotonic() - start

    def media(self, theme: str = "light", **features: str) -> None:
        """The reader's preferences, by the names of media features with _ for -."""
        wanted = [{"name": "prefers-color-scheme", "value": theme}]
        wanted += [{"name": name.replace("_", "-"), "value": value} for name, value in features.items()]
        self.call("Emulation.setEmulatedMedia", features=wanted)

    def run(self, script: str) -> Any:
        """The value of an expression, waited for where it is a promise."""
        found = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in found:
            details = found["exceptionDetails"]
            raise RuntimeError(details.get("exception", {}).get("description", details["text"]))
        return found["result"].get("value")

    def wait(self, condition: str, seconds: float = 30) -> None:
        """Until an expression is true."""
        end = time.monotonic() + seconds
        while True:
            with contextlib.suppress(RuntimeError):  # the page may be changing under the question
                if self.run(condition):
                    return
            if time.monotonic() > end:
                raise TimeoutError(f"never true: {condition}")
            time.sleep(0.02)

    def all(self, selector: str, of: str = "one.textContent") -> list[Any]:
        """What an expression of `one` is for every element that matches."""
        return self.run(f"[...document.querySelectorAll({json.dumps(selector)})].map((one) => {of})")

    def style(self, selector: str, name: str) -> str:
        """How the first element that matches is styled."""
        return self.run(f"getComputedStyle(document.querySelector({json.dumps(selector)})).{name}")

    def text(self, selector: str) -> str:
        """The text of the first element that matches."""
        return self.run(f"document.querySelector({json.dumps(selector)}).textContent")

    def click(self, selector: str) -> None:
        """Click the first element that matches."""
        self.run(
            f"((one) => {{ one.scrollIntoView({{block: 'center'}}); one.dispatchEvent(new MouseEvent('click', "
            f"{{bubbles: true, cancelable: true, view: window}})); }})(document.querySelector({json.dumps(selector)}))"
        )

    def key(self, key: str) -> None:
        """Press a key."""
        text = key if len(key) == 1 else ""
        code = _KEYS.get(key, ord(key[0].upper()) if key[0].isalpha() else 0)
        at: dict[str, Any] = {"key": key, "windowsVirtualKeyCode": code} | ({"text": text} if text else {})
        self.call("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", **at)
        self.call("Input.dispatchKeyEvent", type="keyUp", **at)

    def type(self, text: str) -> None:
        """Type into what has the focus."""
        self.call("Input.insertText", text=text)

    def screenshot(self, whole: bool = False) -> bytes:
        """A PNG of what is seen, or of the whole page."""
        shot = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        return base64.b64decode(shot["data"])
