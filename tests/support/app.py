"""An application as a backend: HTTP/1.1 on asyncio, in a process of its own so that it can be killed, with a face for every test.

    python -m tests.support.app PORT [NAME [HOST]]

Told by the path:

    /echo               JSON of the request as it arrived: method, target, fields, body length and sha256, name of the backend
    /mirror             the body comes back while it arrives, framed as the request was
    /bytes/N            N bytes of a fixed pattern; ?chunked=1 in chunks, ?close=1 ended by closing; Range honoured
    /status/N           that status; 204 and 304 without a body
    /slow?s=S           answers after S seconds
    /drip?n=N&s=S       N chunks of 1 KiB, S seconds between them
    /hold               answers once /release was asked for, or never if the peer goes away (counted as aborted)
    /hints              103 Early Hints, then 200
    /continue           waits with 100 Continue until the head is judged, then reads the body
    /refuse             417 without reading the body, and closes
    /truncate           promises 1000 bytes, sends 500 and closes;  ?chunked=1: in the middle of a chunk
    /reset              a TCP reset instead of a response; ?after=head: after the head
    /farewell           answers as if the connection were kept, and closes it
    /garbage            bytes that are not HTTP
    /state              JSON of the counters (asked by the test directly)
    /release            lets everybody in /hold go

Request heads are parsed strictly: what a proxy sends must be right.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import socket
import struct
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

PATTERN = bytes(range(256)) * 1024  # 256 KiB, repeated

_REQUEST_LINE = re.compile(r"([A-Z]+) (\S+) HTTP/1\.([01])\Z")
_FIELD = re.compile(r"([!#$%&'*+\-.^_`|~0-9A-Za-z]+): ?(.*)\Z")


class Request(NamedTuple):
    method: str
    target: str
    minor: int
    fields: list[tuple[str, str]]

    @property
    def path(self) -> str:
        """Without the query."""
        return urlsplit(self.target).path

    def query(self, name: str, default: str = "") -> str:
        """A parameter of the query."""
        return parse_qs(urlsplit(self.target).query).get(name, [default])[0]

    def get(self, name: str) -> str | None:
        """The first value of a field."""
        return next((value for key, value in self.fields if key.lower() == name), None)


class Connection:
    """One connection to the proxy: requests in, responses out."""

    def __init__(self, app: App, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.app, self.reader, self.writer = app, reader, writer
        self.close_after = False
        self.invited = False

    async def serve(self) -> None:
        """Requests, one after another."""
        while (request := await self.read_head()) is not None:
            self.app.counts["requests"] += 1
            connection = (request.get("connection") or "").lower()
            self.close_after = connection == "close" or (request.minor == 0 and connection != "keep-alive")
            self.invited = False
            await self.app.answer(self, request)
            await self.writer.drain()
            if self.close_after:
                return

    async def read_head(self) -> Request | None:
        """The next head, or None when the peer is done."""
        try:
            raw = await self.reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError as error:
            if error.partial:
                self.app.counts["partial_heads"] += 1
            return None
        line, *lines = raw[:-4].decode("latin-1").split("\r\n")
        match = _REQUEST_LINE.match(line)
        fields = [_FIELD.match(line) for line in lines]
        if not match or not all(fields):
            self.app.counts["malformed"] += 1
            self.app.complaints.append(raw.decode("latin-1"))
            return None
        return Request(match[1], match[2], int(match[3]), [(field[1], field[2]) for field in fields if field])

    def invite(self, request: Request) -> None:
        """Say 100 Continue, once, to who waits for it."""
        if (request.get("expect") or "").lower() == "100-continue" and not self.invited:
            self.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self.invited = True

    async def body(self, request: Request) -> AsyncIterator[bytes]:
        """The request's body as it arrives."""
        self.invite(request)
        if (request.get("transfer-encoding") or "").lower() == "chunked":
            while size := int((await self.reader.readuntil(b"\r\n")).split(b";")[0], 16):
                while size:
                    data = await self.reader.read(min(size, 1 << 18))
                    if not data:
                        raise asyncio.IncompleteReadError(b"", size)
                    size -= len(data)
                    yield data
                if await self.reader.readexactly(2) != b"\r\n":
                    raise ValueError("a chunk does not end in CRLF")
            while await self.reader.readuntil(b"\r\n") != b"\r\n":
                pass  # trailers
        elif length := int(request.get("content-length") or 0):
            while length:
                data = await self.reader.read(min(length, 1 << 18))
                if not data:
                    raise asyncio.IncompleteReadError(b"", length)
                length -= len(data)
                yield data

    async def swallow(self, request: Request) -> tuple[int, str]:
        """Read the body to its end; its length and sha256."""
        digest, length = hashlib.sha256(), 0
        async for data in self.body(request):
            digest.update(data)
            length += len(data)
        return length, digest.hexdigest()

    def head(self, status: int, *fields: str, body: bytes = b"") -> None:
        """Write a response head, and `body` with it: who is killed between the two would have cut its answer."""
        end = "close" if self.close_after else "keep-alive"
        lines = [f"HTTP/1.1 {status} Because", f"X-Backend: {self.app.name}", *fields, f"Connection: {end}"]
        self.writer.write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body)

    def whole(self, request: Request, status: int, body: bytes, kind: str = "text/plain") -> None:
        """Write a response with Content-Length; without its body for HEAD."""
        shown = body if request.method != "HEAD" else b""
        self.head(status, f"Content-Type: {kind}", f"Content-Length: {len(body)}", body=shown)

    def reset(self) -> None:
        """Cut the connection with a TCP reset."""
        raw: socket.socket = self.writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()
        self.close_after = True


Handler = Callable[[Connection, Request], Awaitable[None]]


class App:
    """The application: its counters, and one handler per path."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.counts: Counter[str] = Counter()
        self.complaints: list[str] = []
        self.released = asyncio.Event()

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A connection, to its end."""
        self.counts["connections"] += 1
        self.counts["open"] += 1
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                await Connection(self, reader, writer).serve()
        finally:
            self.counts["open"] -= 1
            writer.close()

    async def answer(self, connection: Connection, request: Request) -> None:
        """Pick the handler by the first part of the path."""
        handler: Handler = getattr(self, f"do_{request.path.strip('/').split('/')[0]}", self.do_echo)
        await handler(connection, request)

    async def do_echo(self, connection: Connection, request: Request) -> None:
        length, digest = await connection.swallow(request)
        seen = {
            "name": self.name,
            "method": request.method,
            "target": request.target,
            "fields": request.fields,
            "length": length,
            "sha256": digest,
        }
        connection.whole(request, 200, json.dumps(seen).encode(), "application/json")

    async def do_mirror(self, connection: Connection, request: Request) -> None:
        chunked = request.get("content-length") is None
        connection.invite(request)  # before the final head, which begins to go out before the body is here
        connection.head(200, "Transfer-Encoding: chunked" if chunked else f"Content-Length: {request.get('content-length')}")
        async for data in connection.body(request):
            connection.writer.write(b"%x\r\n%b\r\n" % (len(data), data) if chunked else data)
            await connection.writer.drain()
        if chunked:
            connection.writer.write(b"0\r\n\r\n")

    async def do_bytes(self, connection: Connection, request: Request) -> None:
        await connection.swallow(request)
        total = int(request.path.split("/")[2])
        first, last, status = 0, total - 1, 200
        fields = ["Accept-Ranges: bytes"]
        if match := re.fullmatch(r"bytes=(\d+)-(\d*)", request.get("range") or ""):
            first, last, status = int(match[1]), min(last, int(match[2] or last)), 206
            fields.append(f"Content-Range: bytes {first}-{last}/{total}")
        chunked, until_close = bool(request.query("chunked")), bool(request.query("close"))
        if chunked:
            fields.append("Transfer-Encoding: chunked")
        elif not until_close:
            fields.append(f"Content-Length: {last - first + 1}")
        connection.close_after |= until_close
        connection.head(status, *fields)
        if request.method == "HEAD":
            return
        at = first
        while at <= last:
            data = PATTERN[at % len(PATTERN) : at % len(PATTERN) + last - at + 1]
            connection.writer.write(b"%x\r\n%b\r\n" % (len(data), data) if chunked else data)
            await connection.writer.drain()
            at += len(data)
        if chunked:
            connection.writer.write(b"0\r\n\r\n")

    async def do_status(self, connection: Connection, request: Request) -> None:
        await connection.swallow(request)
        status = int(request.path.split("/")[2])
        if status in (204, 304):
            connection.head(status, 'ETag: "e"')
        else:
            connection.whole(request, status, f"status {status}\n".encode())

    async def do_slow(self, connection: Connection, request: Request) -> None:
        await connection.swallow(request)
        await asyncio.sleep(float(request.query("s", "0.5")))
        connection.whole(request, 200, b"slow\n")

    async def do_drip(self, connection: Connection, request: Request) -> None:
        await connection.swallow(request)
        connection.head(200, "Transfer-Encoding: chunked")
        for _ in range(int(request.query("n", "10"))):
            connection.writer.write(b"400\r\n" + b"d" * 1024 + b"\r\n")
            await connection.writer.drain()
            await asyncio.sleep(float(request.query("s", "0.1")))
        connection.writer.write(b"0\r\n\r\n")

    async def do_hold(self, connection: Connection, request: Request) -> None:
        await connection.swallow(request)
        self.counts["held"] += 1
        released = asyncio.create_task(self.released.wait())
        gone = asyncio.create_task(connection.reader.read(1))
        try:
            await asyncio.wait({released, gone}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.counts["held"] -= 1
        if not released.done():
            self.counts["aborted"] += 1
            released.cancel()
            connection.close_after = True
            return
        gone.cancel()
        with suppress(asyncio.CancelledError):
            await gone
        connection.whole(request, 200, b"released\n")

    async def do_hints(self, connection: Connection, request: Request) -> None:
        await connection.swallow(request)
        connection.writer.write(b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n")
        await connection.writer.drain()
        await asyncio.sleep(0.05)
        connection.whole(request, 200, b"hinted\n")

    async def do_refuse(self, connection: Connection, request: Request) -> None:
        connection.close_after = True
        connection.whole(request, 417, b"not wanted\n")

    async def do_truncate(self, connection: Connection, request: Request) -> None:
        await connection.swallow(request)
        if request.query("chunked"):
            connection.head(200, "Transfer-Encoding: chunked")
            connection.writer.write(b"3e8\r\n" + b"t" * 500)
        else:
            connection.head(200, "Content-Length: 1000")
            connection.writer.write(b"t" * 500)
        connection.close_after = True

    async def do_reset(self, connection: Connection, request: Request) -> None:
        await connection.swallow(request)
        if request.query("after") == "head":
            connection.head(200, "Content-Length: 1000")
            connection.writer.write(b"r" * 500)
            await connection.writer.drain()
            await asyncio.sleep(0.1)
        connection.reset()

    async def do_farewell(self, connection: Connection, request: Request) -> None:
        await connection.swallow(request)
        connection.whole(request, 200, b"farewell\n")
        connection.close_after = True

    async def do_garbage(self, connection: Connection, request: Request) -> None:
        await connection.swallow(request)
        connection.writer.write(b"\x16\x03\x01 this is not HTTP at all\r\n\r\n")
        connection.close_after = True

    async def do_state(self, connection: Connection, request: Request) -> None:
        state = {**self.counts, "complaints": self.complaints}
        connection.whole(request, 200, json.dumps(state).encode(), "application/json")

    async def do_release(self, connection: Connection, request: Request) -> None:
        self.released.set()
        self.released = asyncio.Event()
        connection.whole(request, 200, b"let go\n")


async def main(port: int, name: str, host: str) -> None:
    """Serve until killed."""
    app = App(name)
    server = await asyncio.start_server(app.connected, host, port, backlog=1024, limit=1 << 20)
    print("listening", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    words = [*sys.argv[1:], *(sys.argv[1], "127.0.0.1")[len(sys.argv) - 2 :]]
    asyncio.run(main(int(words[0]), words[1], words[2]))
