"""A small application as a backend, well or in one of several bad moods; in a process of its own.

    python -m bench.faults.app PORT DOOR [NAME [HOST]]

On PORT of HOST (127.0.0.1) it answers /upload with 204, /health with 200 and everything else with a body of three bytes,
X-Backend telling its NAME. A connection to DOOR brings one word, the mood that all further answers are in, and gets "ok" when it
has come over it:

    well        as above
    slow        the same, 200 ms later
    500         500 at once, to everything
    500-hidden  500 at once, to everything but /health: a check does not find it out
    reset       a TCP reset instead of an answer
    cut         a head, a part of its body, and a TCP reset
    mute        takes requests and says nothing, until the mood passes
"""

from __future__ import annotations

import asyncio
import re
import socket
import struct
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress

SLOW_SECONDS = 0.2
CUT_PAUSE = 0.02
"""Seconds before the reset, so that what came before it is not overtaken by it."""

_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]{1,9})\r\n", re.I)


class Connection:
    """One connection of a proxy."""

    def __init__(self, app: App, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._app, self._reader, self._writer = app, reader, writer

    async def serve(self) -> None:
        """Requests, one after the other, until either side has enough."""
        while not self._writer.is_closing():
            head = await self._reader.readuntil(b"\r\n\r\n")
            length = _LENGTH.search(head)
            if length:
                await self._reader.readexactly(int(length[1]))
            await self._app.answer(self, head.split(b" ", 2)[1])
            await self._writer.drain()

    def say(self, status: str, body: bytes = b"") -> None:
        """A whole answer."""
        length = b"" if status.startswith("204") else b"Content-Length: %d\r\n" % len(body)
        self._writer.write(b"HTTP/1.1 %b\r\nX-Backend: %b\r\n%b\r\n%b" % (status.encode(), self._app.name, length, body))

    async def cut(self) -> None:
        """A head and the first byte of three, then a reset."""
        self._writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\no")
        await self._writer.drain()
        await asyncio.sleep(CUT_PAUSE)
        self.reset()

    def reset(self) -> None:
        """A TCP reset."""
        raw: socket.socket = self._writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()


class App:
    """The application and its mood."""

    def __init__(self, name: bytes) -> None:
        self.name = name
        self._moods: dict[bytes, Callable[[Connection, bytes], Awaitable[None]]] = {
            b"well": self._well,
            b"slow": self._slow,
            b"500": self._error,
            b"500-hidden": self._hidden_error,
            b"reset": self._reset,
            b"cut": self._cut,
            b"mute": self._mute,
        }
        self._mood = b"well"
        self._changed = asyncio.Event()

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A proxy's connection, to its end."""
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await Connection(self, reader, writer).serve()
        writer.close()

    async def told(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """At the door: a mood, or a word that is none."""
        word = (await reader.read()).strip()
        if word in self._moods:
            self._mood = word
            self._changed.set()
            self._changed = asyncio.Event()
        writer.write(b"ok" if word in self._moods else b"moods are " + b", ".join(self._moods))
        writer.close()

    async def answer(self, connection: Connection, path: bytes) -> None:
        """As the mood is."""
        await self._moods[self._mood](connection, path)

    async def _well(self, connection: Connection, path: bytes) -> None:
        if path.startswith(b"/upload"):
            connection.say("204 No Content")
        else:
            connection.say("200 OK", b"ok\n")

    async def _slow(self, connection: Connection, path: bytes) -> None:
        await asyncio.sleep(SLOW_SECONDS)
        await self._well(connection, path)

    async def _error(self, connection: Connection, path: bytes) -> None:
        connection.say("500 Internal Server Error", b"no\n")

    async def _hidden_error(self, connection: Connection, path: bytes) -> None:
        await (self._well if path == b"/health" else self._error)(connection, path)

    async def _reset(self, connection: Connection, path: bytes) -> None:
        connection.reset()

    async def _cut(self, connection: Connection, path: bytes) -> None:
        await connection.cut()

    async def _mute(self, connection: Connection, path: bytes) -> None:
        await self._changed.wait()
        await self.answer(connection, path)


async def main(port: int, door: int, name: str = "app", host: str = "127.0.0.1") -> None:
    """Serve until killed."""
    app = App(name.encode())
    await asyncio.start_server(app.told, "127.0.0.1", door)
    server = await asyncio.start_server(app.connected, host, port, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:]))
