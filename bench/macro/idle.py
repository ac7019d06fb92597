"""Memory per idle connection: how much a fresh proxy grows by 2,000 kept TLS connections, of HTTP/1.1 or HTTP/2, that had one
request each.

The clients live in a process of their own (`python -m bench.macro.idle PORT N [h2]`), so that their memory and CPU stay out of it.
"""

from __future__ import annotations

import asyncio
import ssl
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable

from bench.h2 import wire
from bench.macro import procfs
from bench.macro.errors import BenchError
from bench.macro.machine import raise_descriptor_limit

AT_ONCE = 32
READY_SECONDS = 60.0
SETTLE_SECONDS = 0.5
IDLE_SECONDS = 3.0
"""After which a connection is idle, for whoever puts away what such ones do not need: they are kept for a minute and longer."""
REQUEST = b"GET /tiny HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
BODY = b"ok\n"
ANSWER_END = b"\r\n\r\n" + BODY

Ask = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def measure(name: str, root: int, port: int, connections: int, *, http2: bool = False) -> float:
    """KiB of PSS per idle connection of the proxy whose first process is `root`."""
    hold(name, port, AT_ONCE, lambda: None, http2=http2)  # warms code and backend connections, which are no cost of idle ones
    time.sleep(IDLE_SECONDS)
    before = procfs.pss(root)
    during = 0

    def look() -> None:
        nonlocal during
        time.sleep(IDLE_SECONDS)
        during = procfs.pss(root)

    hold(name, port, connections, look, http2=http2)
    return (during - before) / connections / 1024


def hold(name: str, port: int, connections: int, then: Callable[[], None], *, http2: bool = False) -> None:
    """Runs `then` while a client process holds the connections; BenchError unless all of them are still open afterwards."""
    command = [sys.executable, "-m", "bench.macro.idle", str(port), str(connections), *(["h2"] if http2 else [])]
    client = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with client:
        assert client.stdin is not None
        assert client.stdout is not None
        if client.stdout.readline() != "ready\n":
            raise BenchError(f"{name}: {connections} idle connections could not be opened within {READY_SECONDS:.0f} s")
        then()
        left, _ = client.communicate("\n", timeout=READY_SECONDS)
    if left.strip() != str(connections):
        raise BenchError(f"{name}: of {connections} idle connections {left.strip() or 'none'} were still open")


async def _ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(REQUEST)
    await reader.readuntil(ANSWER_END)


async def _ask_http2(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """As a browser does: the server's settings are acknowledged, and what it is told of the answer is that it was taken."""
    writer.write(wire.greeting() + wire.frame(wire.HEADERS, wire.END_HEADERS | wire.END_STREAM, 1, wire.request()))
    buffer, body, over = bytearray(), b"", False
    while not over:
        data = await reader.read(65536)
        if not data:
            raise ConnectionError("the connection ended")
        buffer += data
        for frame in wire.take(buffer):
            if frame.kind == wire.SETTINGS and not frame.flags & wire.ACK:
                writer.write(wire.frame(wire.SETTINGS, wire.ACK))
            if frame.kind == wire.DATA:
                body += frame.payload
            over = over or (frame.stream == 1 and frame.ends)
    if body != BODY:
        raise ConnectionError(f"wanted {BODY!r}, got {body!r}")


async def _hold_open(port: int, connections: int, ask: Ask) -> None:
    """Prints "ready" when all stand, and how many still do when a line arrives on stdin."""
    loose = ssl.create_default_context()
    loose.check_hostname = False
    loose.verify_mode = ssl.CERT_NONE  # duties.py has verified the certificate
    if ask is _ask_http2:
        loose.set_alpn_protocols(["h2"])
    gate = asyncio.Semaphore(AT_ONCE)

    async def open_one() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        async with gate:
            reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=loose)
            await ask(reader, writer)
            return reader, writer

    async with asyncio.timeout(READY_SECONDS):
        held = await asyncio.gather(*(open_one() for _ in range(connections)))
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    print(sum(not reader.at_eof() for reader, _ in held), flush=True)
    for _, writer in held:
        writer.transport.abort()


if __name__ == "__main__":
    raise_descriptor_limit()
    asyncio.run(_hold_open(int(sys.argv[1]), int(sys.argv[2]), _ask_http2 if "h2" in sys.argv[3:] else _ask))
