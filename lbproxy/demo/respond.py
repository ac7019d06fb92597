"""Throw-away HTTP backends: something readable to put behind a proxy, and to throw load at.

Standard library only, one process for any number of ports. Small answers leave in one write; /bytes/N is streamed in blocks with
back-pressure. It answers whoever asks, but strictly: limits on heads, bodies and connections, time-outs, and no message that could
be read in two ways.
"""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import socket
from collections.abc import Sequence
from typing import NamedTuple

from lbproxy.config.model import Address
from lbproxy.demo.answers import ROUTES, hello
from lbproxy.demo.requests import BadRequest, DemoExchange, read_request
from lbproxy.errors import StartError

MOST_CONNECTIONS = 4096
HEAD_LIMIT = 64 * 1024
IDLE = 300.0
"""Seconds for the next head to be complete: longer than any proxy keeps an idle connection, so that the proxy closes first."""


class DemoPort(NamedTuple):
    """A port of ours, open."""

    name: str
    socket: socket.socket


def listen_on(address: Address) -> DemoPort:
    """Bind and listen. Raises StartError in words to act on."""
    opened = socket.socket(socket.AF_INET6 if ":" in address.host else socket.AF_INET)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        opened.bind((address.host, address.port))
        opened.listen(1024)
    except OSError as error:
        opened.close()
        raise StartError(f"cannot listen on {address}: {_why(error)}") from error
    opened.setblocking(False)
    return DemoPort(str(address), opened)


def _why(error: OSError) -> str:
    words = {
        errno.EADDRINUSE: "another process listens there (ss -ltnp shows which)",
        errno.EACCES: "ports below 1024 need root",
        errno.EADDRNOTAVAIL: "this machine does not have that address",
    }
    return words.get(error.errno or 0, error.strerror or str(error))


class DemoServer:
    """One port's server and its count of answers."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.answers = 0
        self._connections = 0

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, request after request."""
        self._connections += 1
        try:
            if self._connections <= MOST_CONNECTIONS:
                while await self._exchange(reader, writer):
                    pass
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            pass  # gone, or too slow; nobody is left to tell
        except asyncio.CancelledError:
            pass  # the server ends, and this task with it; Python 3.11's streams print a traceback for a cancelled task
        finally:
            self._connections -= 1
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request and its answer; whether another may follow."""
        try:
            async with asyncio.timeout(IDLE):
                request = await read_request(reader)
        except BadRequest as bad:
            writer.write(bad.answer())
            return False
        if request is None:
            return False
        self.answers += 1
        exchange = DemoExchange(request, reader, writer, f"{self.name} (pid {os.getpid()})", self.answers)
        try:
            await ROUTES.get(request.path.split("/", 2)[1], hello)(exchange)
            await exchange.discard_body()
        except BadRequest as bad:
            if not exchange.answered:
                writer.write(bad.answer())
            return False
        return exchange.keep_alive


async def _serve(listening: Sequence[DemoPort], orphaned: int | None) -> None:
    loop = asyncio.get_running_loop()
    over = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, over.set)
    if orphaned is None:
        loop.add_signal_handler(signal.SIGINT, over.set)
    else:
        loop.add_reader(orphaned, over.set)
    for name, opened in listening:
        await asyncio.start_server(DemoServer(name).converse, sock=opened, limit=HEAD_LIMIT)
    await over.wait()


def serve(listening: Sequence[DemoPort], orphaned: int | None = None) -> None:
    """Answer until SIGTERM; and until SIGINT or, when given, until `orphaned` (the read end of a pipe) comes to its end."""
    asyncio.run(_serve(listening, orphaned))
