"""A backend of HTTP/2 in the world without sockets: frames in, frames out."""

from __future__ import annotations

from typing import NamedTuple

from lbproxy.config import model
from lbproxy.http.h2.engine import H2Engine
from tests.support import h2_frames as wire
from tests.support.h2_frames import DATA, RST_STREAM, Frame
from tests.unit.http.h2.dialogue import Heard
from tests.unit.proxy.world import FakeStream, World

OK = ((b":status", b"200"), (b"content-length", b"2"))
NO_LENGTH = ((b":status", b"200"),)
PREFACE = wire.PREFACE


class Request(NamedTuple):
    """As a backend of HTTP/2 reads it."""

    stream: int
    fields: dict[bytes, bytes]
    ended: bool


def h2_world(backends: int = 1, **more: object) -> World:
    """One whose backends speak HTTP/2 without TLS."""
    pool = more.pop("pool", None) or model.PoolConfig("app", (), protocol="h2")
    return World(backends, pool=pool, **more)  # type: ignore[arg-type]  # what World takes


class H2Server:
    """The backend's side of one connection to it."""

    def __init__(self, stream: FakeStream, settings: bytes | None) -> None:
        """`settings`: what it greets with; None: nothing."""
        self.stream = stream
        self.heard = Heard()
        self.engine = H2Engine(self.heard, server=True)
        self.frames: list[Frame] = []
        self._whole = b""
        if settings is not None:
            self.say(settings + wire.settings(ack=True))

    def say(self, raw: bytes) -> None:
        """Send it."""
        self.stream.feed(raw)

    def listen(self) -> list[Frame]:
        """What came since the last time, preface aside."""
        raw = self.stream.take()
        self.engine.receive(raw)
        while self.engine.output(1 << 20):
            pass
        found = wire.frames(raw.removeprefix(wire.PREFACE))
        self.frames += found
        return found

    def requests(self) -> list[Request]:
        """Those that came since the last time."""
        self.listen()
        told, self.heard.told = self.heard.told, []
        return [Request(each[1], dict(each[2]), each[3]) for each in told if each[0] == "request"]

    def answer(self, stream: int, body: bytes = b"ok", fields: tuple[wire.Field, ...] = OK, *, end: bool = True) -> None:
        """All of an answer."""
        self.say(wire.headers(stream, fields, end and not body) + (wire.data(stream, body, end) if body else b""))

    def body(self, stream: int) -> bytes:
        """All that was sent to it of one."""
        self.listen()
        return b"".join(frame.payload for frame in self.frames if frame.kind == DATA and frame.stream == stream)

    def resets(self) -> list[tuple[int, int]]:
        """(stream, code) of all so far."""
        self.listen()
        return [(frame.stream, frame.code) for frame in self.frames if frame.kind == RST_STREAM]


def server(world: World, index: int = -1, settings: bytes | None = wire.settings()) -> H2Server:
    """At the other end of a connection that was opened."""
    return H2Server(world.upstreams[index], settings)
