"""What is done to the worker besides small requests while its instructions are counted; the clients themselves are not.

A play is one round: it does its thing once for each of `times` and returns when the proxy has answered all.
"""

from __future__ import annotations

import itertools
import select
import socket
import ssl
from collections.abc import Callable

from bench.macro.cases import GRPC, STORED, UPLOAD_BYTES
from bench.macro.errors import BenchError
from bench.macro.websocket import Client, loose
from bench.micro.streams import CALL, HIT, TINY, Asked, Streams
from lbproxy.http.h2.engine import H2Engine
from lbproxy.http.h2.session import Receiver
from lbproxy.http.h2.vocabulary import Fields

Play = Callable[[], None]

CLOSING = b"GET /tiny HTTP/1.1\r\nHost: bench.test\r\nConnection: close\r\n\r\n"
UPLOAD = b"POST /upload HTTP/1.1\r\nHost: bench.test\r\nContent-Length: %d\r\n\r\n" % UPLOAD_BYTES + b"u" * UPLOAD_BYTES
AT_ONCE = 4
"""Uploads over HTTP/2 on one connection."""
TIMEOUT = 60
"""Seconds; valgrind is slow."""


def download(port: int, times: int, path: bytes, size: int, *, anew: bool = False) -> Play:
    """An answer of `size` bytes of body, on each of `times` kept connections; `anew`: each of another URL."""
    context = loose()
    connections = [_connect(port, context) for _ in range(times)]
    asked = itertools.count()

    def play() -> None:
        for connection in connections:
            query = b"?%d" % next(asked) if anew else b""
            connection.sendall(b"GET %b%b HTTP/1.1\r\nHost: bench.test\r\n\r\n" % (path, query))
        for connection in connections:
            head, _, body = _head(connection).partition(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200 "):
                raise BenchError(f"wanted 200, got {head[:100]!r}")
            left = size - len(body)
            while left:
                left -= len(_some(connection))

    return play


def upload(port: int, times: int) -> Play:
    """A POST with a body, as the macro benchmark sends it."""
    context = loose()
    connections = [_connect(port, context) for _ in range(times)]

    def play() -> None:
        for connection in connections:
            connection.sendall(UPLOAD)
        for connection in connections:
            if not (answer := _head(connection)).startswith(b"HTTP/1.1 204 "):
                raise BenchError(f"wanted 204, got {answer[:100]!r}")

    return play


def handshakes(port: int, times: int, *, resumed: bool) -> Play:
    """A connection, one request, the end: with a full handshake or by the ticket of the connection before."""
    context = loose()
    sessions: list[ssl.SSLSession | None] = [None] * times

    def play() -> None:
        for nth in range(times):
            with _connect(port, context, sessions[nth]) as tls:
                if tls.session_reused != (sessions[nth] is not None):
                    raise BenchError(f"wanted a handshake that is {'resumed' if sessions[nth] else 'full'}, got the opposite")
                tls.sendall(CLOSING)
                answer = b""
                while more := tls.recv(65536):
                    answer += more
                if not answer.startswith(b"HTTP/1.1 200 "):
                    raise BenchError(f"wanted 200, got {answer[:100]!r}")
                if resumed:
                    sessions[nth] = tls.session

    return play


def websocket(port: int, times: int) -> Play:
    """A message and its echo, on each of `times` upgraded connections."""
    context = loose()
    clients = [Client(port, context) for _ in range(times)]

    def play() -> None:
        for client in clients:
            client.send()
        for client in clients:
            while not client.receive():
                select.select([client.tls], [], [], TIMEOUT)

    return play


def h2(port: int, times: int, asked: Asked = TINY) -> Play:
    """`times` small requests over HTTP/2 that come in one read, on one connection."""
    context = loose()
    context.set_alpn_protocols(["h2"])
    connection = _connect(port, context)
    streams = Streams(asked)
    connection.sendall(streams.greeting())
    connection.settimeout(TIMEOUT)

    def play() -> None:
        connection.sendall(streams.requests(times))
        left = times
        while left:
            left -= streams.ended(_some(connection))

    return play


class Uploads(Receiver):
    """A client of HTTP/2 with `at_once` uploads under way on one connection, by the engine that lbproxy has for backends."""

    def __init__(self, port: int, at_once: int) -> None:
        context = loose()
        context.set_alpn_protocols(["h2"])
        self._connection = _connect(port, context)
        self._engine = H2Engine(self, server=False)
        self._at_once = at_once
        self._left = 0

    def begin(self) -> None:
        """All of them, as far as windows are open."""
        fields = (
            (b":method", b"POST"), (b":scheme", b"https"), (b":path", b"/upload"), (b":authority", b"bench.test"),
            (b"content-length", b"%d" % UPLOAD_BYTES),
        )  # fmt: skip
        body = b"u" * UPLOAD_BYTES
        for _ in range(self._at_once):
            stream = self._engine.request(fields, False)
            self._engine.send(stream, body, True)
            self._left += 1
        self._flush()

    def await_answers(self) -> None:
        """What was held back leaves as windows open."""
        while self._left:
            self._engine.receive(_some(self._connection))
            self._flush()

    def on_response(self, stream: int, fields: Fields, ended: bool) -> None:
        """See Receiver."""
        if (b":status", b"204") not in fields:
            raise BenchError(f"wanted 204, got {fields!r}")
        self._left -= 1

    def on_reset(self, stream: int, code: int) -> None:
        """See Receiver."""
        raise BenchError(f"stream {stream} was reset with code {code}")

    def _flush(self) -> None:
        while data := self._engine.output(1 << 20):
            self._connection.sendall(data)


def h2_upload(port: int, times: int) -> Play:
    """`times` uploads over HTTP/2, AT_ONCE on each connection, as the macro benchmark sends them."""
    clients = [Uploads(port, AT_ONCE) for _ in range(times // AT_ONCE)]

    def play() -> None:
        for client in clients:
            client.begin()
        for client in clients:
            client.await_answers()

    return play


PLAYS: dict[str, Callable[[int, int], Play]] = {
    "100k": lambda port, times: download(port, times, b"/100k", 100 * 1024),
    "16m": lambda port, times: download(port, 1, b"/16m", 16 * 1024 * 1024),
    "upload100k": upload,
    "handshake": lambda port, times: handshakes(port, times, resumed=False),
    "resume": lambda port, times: handshakes(port, times, resumed=True),
    "websocket": websocket,
    "h2": h2,
    "h2-backends": h2,
    "h2-upload100k": h2_upload,
    "hit": lambda port, times: download(port, times, f"{STORED}/1k".encode(), 1024),
    "hit100k": lambda port, times: download(port, times, f"{STORED}/100k".encode(), 100 * 1024),
    "miss": lambda port, times: download(port, times, f"{STORED}/1k".encode(), 1024, anew=True),
    "miss100k": lambda port, times: download(port, times, f"{STORED}/100k".encode(), 100 * 1024, anew=True),
    "h2-hit": lambda port, times: h2(port, times, HIT),
    GRPC: lambda port, times: h2(port, times, CALL),
}
"""By name: given the proxy's TLS port and how many at a time."""
OVER_HTTP2 = ("h2-backends", GRPC)
"""Those whose backends speak HTTP/2."""
STORING = ("hit", "hit100k", "h2-hit", "miss", "miss100k")
"""Those that come out of the cache, or into it."""


def _connect(port: int, context: ssl.SSLContext, session: ssl.SSLSession | None = None) -> ssl.SSLSocket:
    return context.wrap_socket(
        socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT), server_hostname="bench.test", session=session
    )


def _some(connection: ssl.SSLSocket) -> bytes:
    if data := connection.recv(65536):
        return data
    raise BenchError("the proxy closed in the middle of its answer")


def _head(connection: ssl.SSLSocket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        data += _some(connection)
    return data
