"""Memory per idle connection: how much a fresh proxy grows by 2,000 kept TLS connections that had one request each.

The clients live in a process of their own (`python -m bench.macro.idle PORT N`), so that their memory and CPU stay out of it.
"""

from __future__ import annotations

import asyncio
import ssl
import subprocess
import sys
import time
from collections.abc import Callable

from bench.macro import procfs
from bench.macro.errors import BenchError
from bench.macro.machine import raise_descriptor_limit

AT_ONCE = 32
READY_SECONDS = 60.0
SETTLE_SECONDS = 0.5
REQUEST = b"GET /tiny HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
ANSWER_END = b"\r\n\r\nok\n"


def measure(name: str, root: int, port: int, connections: int) -> float:
    """KiB of PSS per idle connection of the proxy whose first process is `root`."""
    hold(name, port, AT_ONCE, lambda: None)  # warms code and backend connections, which are no cost of idle ones
    time.sleep(SETTLE_SECONDS)
    before = procfs.pss(root)
    during = 0

    def look() -> None:
        nonlocal during
        time.sleep(SETTLE_SECONDS)
        during = procfs.pss(root)

    hold(name, port, connections, look)
    return (during - before) / connections / 1024


def hold(name: str, port: int, connections: int, then: Callable[[], None]) -> None:
    """Runs `then` while a client process holds the connections; BenchError unless all of them are still open afterwards."""
    command = [sys.executable, "-m", "bench.macro.idle", str(port), str(connections)]
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


async def _hold_open(port: int, connections: int) -> None:
    """Prints "ready" when all stand, and how many still do when a line arrives on stdin."""
    loose = ssl.create_default_context()
    loose.check_hostname = False
    loose.verify_mode = ssl.CERT_NONE  # duties.py has verified the certificate
    gate = asyncio.Semaphore(AT_ONCE)

    async def open_one() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        async with gate:
            reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=loose)
            writer.write(REQUEST)
            await reader.readuntil(ANSWER_END)
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
    asyncio.run(_hold_open(int(sys.argv[1]), int(sys.argv[2])))
