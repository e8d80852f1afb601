"""What an engine costs beside what it drives.

Usage: python benchmarks/engines.py [SECTION ...]      Prints Markdown; its output is benchmarks/results/engines.md.

endpoints: a server of another process answers after a fixed latency, whatever is asked. With 64 requests under way a
client can be no faster than 64 answers a latency; beside it a bare loop over httpx2 sends the same bodies, reads the
same JSON and keeps nothing.
"""

import argparse
import asyncio
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache, partial
from typing import Any

IN_FLIGHT, CHOICES = 64, 8
TEXT = "Half of 96 is 48, and 48 and 7 make 55. The answer is \\boxed{55}. " * 4


async def _serve(latency: float) -> None:
    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := (await _until(reader)).decode().lower():
            length = next((int(line[15:]) for line in head.split("\r\n") if line.startswith("content-length:")), 0)
            asked = json.loads(await reader.readexactly(length)) if length else {}
            await asyncio.sleep(latency if asked else 0.0)
            body = _reply(asked.get("n", 1)) if asked else b"{}"
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(connection, "127.0.0.1", 0, backlog=256)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@cache
def _reply(count: int) -> bytes:
    message = {"role": "assistant", "content": TEXT}
    choices = [{"index": at, "finish_reason": "stop", "message": message} for at in range(count)]
    return json.dumps({"id": "a", "model": "m", "choices": choices, "usage": {"completion_tokens": 100}}).encode()


async def _until(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return b""


@contextmanager
def _server(latency: float) -> Iterator[str]:
    process = subprocess.Popen([sys.executable, __file__, "--serve", str(latency)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}/v1"
    finally:
        process.kill()
        process.wait()


async def _bare(url: str, bodies: list[dict[str, Any]]) -> int:
    import httpx2

    waiting, read = iter(bodies), 0
    limits = httpx2.Limits(max_connections=IN_FLIGHT, max_keepalive_connections=IN_FLIGHT)
    async with httpx2.AsyncClient(limits=limits, timeout=600.0) as client:

        async def work() -> None:
            nonlocal read
            for body in waiting:
                reply = await client.post(url, json=body)
                read += len(reply.json()["choices"])

        await asyncio.gather(*(work() for _ in range(IN_FLIGHT)))
    return read


def _bare_run(url: str, bodies: list[dict[str, Any]]) -> int:
    return asyncio.run(_bare(url, bodies))


def _ours(address: str, bodies: list[dict[str, Any]]) -> int:
    from srlm.engines.cache import Cache
    from srlm.engines.engine import Draw, Encoded
    from srlm.engines.http import Client
    from srlm.engines.openai import Endpoint

    contents = [body["messages"][0]["content"] for body in bodies]
    with tempfile.TemporaryDirectory() as folder:
        cache = Cache(folder, print)
        engine = Endpoint(address, "m", contents, Client("key", IN_FLIGHT), cache, lambda text: None)
        ask, prompts = Draw(CHOICES, 256, 0, 0), [Encoded(number, ()) for number in range(len(bodies))]
        engine.prepare(prompts, ask)
        return sum(len(one.responses) for one in engine.draw(prompts, ask))


def _timed(work: Callable[[], int]) -> tuple[float, float, int]:
    """Seconds by the clock and of this process, and what was done."""
    clock, own = time.perf_counter(), time.process_time()
    done = work()
    return time.perf_counter() - clock, time.process_time() - own, done


def endpoints() -> Iterator[str]:
    """Requests a second through an endpoint against the most that the server's latency allows."""
    yield f"## Endpoints: {IN_FLIGHT} requests under way, {CHOICES} choices each, answers kept in a cache on disk\n"
    yield "| latency (s) | requests | who | seconds | least possible | of the ideal rate | own CPU (ms a request) |"
    yield "|---|---|---|---|---|---|---|"
    for latency, requests in ((1.0, 321), (4.0, 257)):
        texts = [f"question {at}: what is half of {2 * at}, and 7 more?" for at in range(requests)]
        bodies: list[dict[str, Any]] = [
            {"model": "m", "messages": [{"role": "user", "content": text}], "n": CHOICES, "temperature": 1, "top_p": 1,
             "max_tokens": 256, "seed": at}
            for at, text in enumerate(texts)
        ]  # fmt: skip
        # The first of our requests goes alone, to learn what the server takes; the bare loop sends it with the others.
        least = latency * (1 + (requests - 1) / IN_FLIGHT)
        with _server(latency) as address:
            url, rows = f"{address}/chat/completions", {}
            _bare_run(url, bodies[:1])  # imports and certificates are read
            _ours(address, bodies[:1])
            works = {"bare httpx2": partial(_bare_run, url, bodies[1:]), "srlm": partial(_ours, address, bodies)}
            # In turns, so that a busy machine hinders both.
            told = [{name: _timed(work) for name, work in works.items()} for _ in range(3)]
            for name, possible in (("bare httpx2", least - latency), ("srlm", least)):
                seconds, own, done = min(one[name] for one in told)
                assert done >= (requests - 1) * CHOICES
                rows[name] = seconds - possible
                yield (
                    f"| {latency} | {requests} | {name} | {seconds:.2f} | {possible:.2f} | {possible / seconds:.0%} | "
                    f"{1000 * own / requests:.2f} |"
                )
            more = rows["srlm"] - rows["bare httpx2"]
            share = more / (least + rows["bare httpx2"])
            yield f"| {latency} | | srlm beyond bare httpx2 | {more:+.2f} | | {share:+.1%} | |"


SECTIONS: Mapping[str, Callable[[], Iterator[str]]] = {"endpoints": endpoints}


def main() -> None:
    parser = argparse.ArgumentParser(description="What engines cost; see the head of this file.")
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=", ".join(SECTIONS))
    parser.add_argument("--serve", type=float, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.serve is not None:
        asyncio.run(_serve(chosen.serve))
        return
    if unknown := set(chosen.sections) - SECTIONS.keys():
        parser.error(f"no section {', '.join(sorted(unknown))}; there is {', '.join(SECTIONS)}")
    print(
        f"# Engines\n\n{os.cpu_count()} cores, load {math.ceil(os.getloadavg()[0])} when begun; the fastest of three.\n"
    )
    for name in chosen.sections or SECTIONS:
        for line in SECTIONS[name]():
            print(line, flush=True)


if __name__ == "__main__":
    main()
