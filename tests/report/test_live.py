"""The page of a run that works: always up, renewed when records change, told to nobody but this machine."""

import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from srlm.errors import InputError
from srlm.report.live import Live, serving
from srlm.report.page import report

Ask = Callable[..., tuple[int, dict[str, str], bytes]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a run will be."""
    return tmp_path / "run"


@pytest.fixture
def ask(folder: Path) -> Iterator[Ask]:
    with serving(Live([folder], lambda out: report([folder], out))) as address:
        host = address.removeprefix("http://").rstrip("/")

        def asked(path: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
            connection = http.client.HTTPConnection(host, timeout=20)
            connection.request(method, path, headers={"Host": host} | headers)
            answer = connection.getresponse()
            told = answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
            connection.close()
            return told

        yield asked


def test_the_page_appears_with_the_run_and_changes_with_its_records(
    ask: Ask, folder: Path, make_run: Callable[..., Path], tmp_path: Path
) -> None:
    waiting = ask("/version")[2]
    assert b"Waiting" in ask("/page")[2]
    whole = make_run(tmp_path / "whole", rounds=2)
    shutil.copytree(whole, folder, ignore=shutil.ignore_patterns("02"))
    one_round = ask("/version")[2]
    status, headers, page = ask("/page")
    assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert waiting != one_round == ask("/version")[2]
    assert json.loads(one_round)["version"] == headers["etag"].strip('"')
    assert ask("/page", **{"If-None-Match": headers["etag"]})[0] == 304
    shutil.copytree(whole / "rounds" / "02", folder / "rounds" / "02")
    assert ask("/version")[2] != one_round
    assert ask("/page")[2] != page
    assert sorted(one.name for one in folder.iterdir()) == ["rounds", "run.json"]  # nothing was written there


def test_what_is_half_written_leaves_the_last_page_up(ask: Ask, folder: Path, make_run: Callable[..., Path]) -> None:
    make_run(folder, rounds=1)
    before = ask("/page")[2]
    for spoil in (b"", b"{", b"[]", b'{"format": 99}'):
        (folder / "run.json").write_bytes(spoil)
        assert ask("/page")[2] == before
    shutil.rmtree(folder)
    assert ask("/page")[2] == before
    make_run(folder, rounds=2)
    assert ask("/page")[2] != before


def test_only_this_machine_by_its_own_name_gets_answers(ask: Ask, folder: Path) -> None:
    (folder).mkdir()
    (folder / "private.json").write_text("secret")
    for host in ("evil.example", "evil.example:80", "127.0.0.1", "localhost:1", ""):
        status, _, body = ask("/page", Host=host)
        assert status == 403
        assert b"Waiting" not in body
    for path in ("/private.json", "/run/private.json", "/../private.json", "/page/", "/%2e%2e/", "/favicon.ico"):
        status, _, body = ask(path)
        assert status == 404
        assert b"secret" not in body
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "BREW"):
        assert ask("/", method)[0] == 501
    status, headers, body = ask("/page", "HEAD")
    assert (status, body) == (200, b"")
    assert int(headers["content-length"]) > 0


def test_it_listens_on_loopback_alone(folder: Path) -> None:
    with serving(Live([folder], lambda out: None)) as address:
        port = int(address.rstrip("/").rpartition(":")[2])
        assert address.startswith("http://127.0.0.1:")
        with socket.socket() as other:  # 127.0.0.2 is another address of the same machine
            other.settimeout(5)
            assert other.connect_ex(("127.0.0.2", port)) != 0
        with pytest.raises(InputError, match=f"--port {port}"), serving(Live([folder], lambda out: None), port):
            pass


def test_the_frame_allows_its_own_script_and_nothing_else(ask: Ask) -> None:
    _, headers, body = ask("/")
    policy = headers["content-security-policy"]
    for tag in ("script", "style"):
        inside = re.search(rf"<{tag}>(.*?)</{tag}>", body.decode(), re.DOTALL)
        assert inside is not None
        assert f"{tag}-src 'sha256-{b64encode(sha256(inside[1].encode()).digest()).decode()}'" in policy
    assert policy.startswith("default-src 'none'")
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy


def test_many_readers_draw_a_page_once(folder: Path, make_run: Callable[..., Path]) -> None:
    make_run(folder, rounds=1)
    drawn: list[Path] = []

    def draw(out: Path) -> None:
        drawn.append(out)
        time.sleep(0.05)
        out.write_text("page")

    live = Live([folder], draw)
    readers = [threading.Thread(target=live.page) for _ in range(8)]
    for one in readers:
        one.start()
    for one in readers:
        one.join()
    assert len(drawn) == 1
    assert not drawn[0].parent.exists()


def test_ctrl_c_ends_it_and_the_same_address_comes_back(folder: Path, make_run: Callable[..., Path]) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    make_run(folder, rounds=1)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    pages = []
    for _ in range(2):
        command = [sys.executable, "-m", "srlm.cli", "report", folder, "--serve", "--port", str(port)]
        code = "import sys; from srlm.cli.main import main; main(sys.argv[1:])"
        command = [sys.executable, "-c", code, *command[3:]]
        served = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | {"COLUMNS": "150"}
        )
        assert served.stdout is not None
        assert f"http://127.0.0.1:{port}/" in served.stdout.readline()
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request("GET", "/page")
        pages.append(connection.getresponse().read())  # and the connection stays open
        served.send_signal(signal.SIGINT)
        out, err = served.communicate(timeout=60)
        connection.close()
        assert served.returncode in (0, 130)
        assert (out, "Traceback" in err) == ("", False)
        assert "held out" in err  # the table on the terminal
    assert pages[0] == pages[1]
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
