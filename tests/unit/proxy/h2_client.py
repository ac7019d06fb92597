"""A client of HTTP/2 in the world without sockets: frames in, frames out."""

from __future__ import annotations

from lbproxy.config import model
from lbproxy.http.forwarding import Forwarder
from lbproxy.http.h2.bounds import USUAL, Bounds
from lbproxy.http.h2.response_fields import ResponseFields
from lbproxy.http.h2.vocabulary import Failure
from lbproxy.proxy.downstream import NO_REDIRECT
from lbproxy.proxy.h2.connection import H2Connection
from tests.support import h2_frames as wire
from tests.support.h2_frames import DATA, GET, GOAWAY, HEADERS, RST_STREAM, Frame
from tests.unit.proxy.world import FakeStream, World

KEY = b"AAAAAAAAAAAAAAAAAAAAAA=="


class H2Client:
    """Connected, and greeted."""

    def __init__(
        self,
        world: World,
        *,
        room: int | None = None,
        bounds: Bounds = USUAL,
        settings: bytes = wire.settings(),
        networks: tuple[model.Network, ...] = (),
        greet: bool = True,
    ) -> None:
        self.world = world
        self.stream = FakeStream(world, "client", room)
        world.limit.acquire()
        self.floods: list[Failure] = []
        forwarder = Forwarder("192.0.2.1", "https", 443, networks)
        self.connection = H2Connection(
            world.service, self.stream, "192.0.2.1", forwarder, NO_REDIRECT, 0.0, world.limit, bounds, ResponseFields(),
            lambda: KEY, lambda peer, failure: self.floods.append(failure),
        )  # fmt: skip
        self.connection.await_first()
        if greet:
            self.say(wire.PREFACE + settings + wire.settings(ack=True))

    def say(self, raw: bytes) -> list[Frame]:
        """What it is answered at once."""
        self.stream.feed(raw)
        return self.heard()

    def heard(self) -> list[Frame]:
        """Frames since the last time."""
        return wire.frames(self.stream.take())

    def ask(self, stream: int = 1, fields: tuple[wire.Field, ...] = GET, *, end: bool = True) -> list[Frame]:
        """A request."""
        return self.say(wire.headers(stream, fields, end))


def kinds(frames: list[Frame]) -> list[tuple[int, int]]:
    """(kind, stream) of those that belong to streams."""
    return [(frame.kind, frame.stream) for frame in frames if frame.kind in (DATA, HEADERS, RST_STREAM)]


def body(frames: list[Frame], stream: int = 1) -> bytes:
    """All DATA of a stream."""
    return b"".join(frame.payload for frame in frames if frame.kind == DATA and frame.stream == stream)


def resets(frames: list[Frame]) -> list[tuple[int, int]]:
    """(stream, code)"""
    return [(frame.stream, frame.code) for frame in frames if frame.kind == RST_STREAM]


def ends(frames: list[Frame]) -> list[tuple[int, int]]:
    """(last stream, code) of GOAWAY."""
    return [(frame.last, frame.code) for frame in frames if frame.kind == GOAWAY]
