"""What becomes of uploads, of calls and of those who come next when a backend of HTTP/2 changes its mind in the middle."""

from __future__ import annotations

from typing import Any

import pytest

from lbproxy.balance.ledger import PerSlot
from lbproxy.config import model
from lbproxy.http.grpc import GrpcCode
from lbproxy.http.h2.vocabulary import H2Code
from tests.support import h2_frames as wire
from tests.support.h2_peer import Heads
from tests.unit.proxy.h2_client import H2Client
from tests.unit.proxy.h2_server import NO_LENGTH, H2Server, h2_world, server
from tests.unit.proxy.world import EOF, World, get, ok

CALL = (*wire.POST, (b"content-type", b"application/grpc"), (b"te", b"trailers"))
ANSWER = (*NO_LENGTH, (b"content-type", b"application/grpc"))
MESSAGE = b"\0\0\0\0\2hi"
TLS = model.PoolTlsConfig()


class Talk:
    """A client, and all that it has heard."""

    def __init__(self, world: World) -> None:
        self._client = H2Client(world)
        self.connection = self._client.connection
        self._heads = Heads()
        self._told: list[tuple[Any, ...]] = []

    def say(self, raw: bytes) -> None:
        """Send it."""
        self._client.stream.feed(raw)

    def call(self, stream: int) -> None:
        """Begin a call with a message; more are to come."""
        self.say(wire.headers(stream, CALL, end=False) + wire.data(stream, MESSAGE))

    def fields(self, stream: int) -> dict[bytes, bytes]:
        """Of a stream, those of its head and of its trailers."""
        told = [event for event in self._listen() if event[0] in ("response", "trailers") and event[1] == stream]
        return {name: value for event in told for name, value in event[2]}

    def body(self, stream: int) -> bytes:
        """All that came of one."""
        return b"".join(event[2] for event in self._listen() if event[0] == "data" and event[1] == stream)

    def _listen(self) -> list[tuple[Any, ...]]:
        self._told += self._heads.read(self._client.heard())
        return self._told


def others_go_on(world: World, client: Talk, backend: H2Server, stream: int) -> None:
    """The next request over both connections is served, with a body larger than what one window holds."""
    whole = b"x" * 40_000
    client.say(wire.headers(stream, (*wire.POST, (b"content-length", b"40000")), end=False))
    for at in range(0, len(whole), 10_000):
        client.say(wire.data(stream, whole[at : at + 10_000], end=at == 30_000))
    request = backend.requests()[-1]
    assert backend.body(request.stream) == whole
    backend.answer(request.stream)
    assert client.body(stream) == b"ok"


@pytest.mark.parametrize("code", [H2Code.CANCEL, H2Code.INTERNAL_ERROR, H2Code.NO_ERROR])
@pytest.mark.parametrize("blocked", [False, True], ids=["waits for its client", "waits for its backend"])
def test_a_reset_in_the_middle_of_an_upload(code: int, blocked: bool) -> None:
    """The client hears of it at once, wherever the upload stands; what it sends still is dropped, and its windows open again."""
    world = h2_world()
    client = Talk(world)
    client.say(wire.headers(1, wire.POST, end=False))
    backend = server(world)
    for _ in range(10 if blocked else 1):
        client.say(wire.data(1, b"x" * 16_000))
    assert len(backend.body(1)) == (65_535 if blocked else 16_000)
    backend.say(wire.reset(1, code))
    assert world.outcomes() == [(502, "h2_reset_cancel" if code == H2Code.CANCEL else "h2_reset")]
    client.say(wire.data(1, b"x" * 16_000))
    client.say(wire.data(1, b"", end=True))
    backend.say(wire.window(0, 1_000_000))
    others_go_on(world, client, backend, 3)
    assert world.count(PerSlot.H2_STREAMS, 0) == 0
    world.at_rest()


RESETS = [
    (H2Code.NO_ERROR, GrpcCode.INTERNAL, "h2_reset"), (H2Code.PROTOCOL_ERROR, GrpcCode.INTERNAL, "h2_reset"),
    (H2Code.INTERNAL_ERROR, GrpcCode.INTERNAL, "h2_reset"), (H2Code.FLOW_CONTROL_ERROR, GrpcCode.INTERNAL, "h2_reset"),
    (H2Code.SETTINGS_TIMEOUT, GrpcCode.INTERNAL, "h2_reset"), (H2Code.FRAME_SIZE_ERROR, GrpcCode.INTERNAL, "h2_reset"),
    (H2Code.REFUSED_STREAM, GrpcCode.UNAVAILABLE, "h2_refused_stream"), (H2Code.CANCEL, GrpcCode.CANCELLED, "h2_reset_cancel"),
    (H2Code.COMPRESSION_ERROR, GrpcCode.INTERNAL, "h2_reset"), (H2Code.CONNECT_ERROR, GrpcCode.INTERNAL, "h2_reset"),
    (H2Code.ENHANCE_YOUR_CALM, GrpcCode.RESOURCE_EXHAUSTED, "h2_reset_calm"),
    (H2Code.INADEQUATE_SECURITY, GrpcCode.PERMISSION_DENIED, "h2_reset_security"),
    (H2Code.HTTP_1_1_REQUIRED, GrpcCode.INTERNAL, "h2_http_1_required"), (0x1234, GrpcCode.INTERNAL, "h2_reset"),
]  # fmt: skip


@pytest.mark.parametrize(("code", "status", "reason"), RESETS)
@pytest.mark.parametrize("answered", [False, True], ids=["before the answer", "behind a part of it"])
def test_a_call_ends_as_its_servers_reset_says(code: int, status: GrpcCode, reason: str, answered: bool) -> None:
    """By grpc's PROTOCOL-HTTP2.md, as if there were nobody between: a client whose server has begun a call is not told to make it
    again (UNAVAILABLE)."""
    world = h2_world()
    client = Talk(world)
    client.call(1)
    backend = server(world)
    if answered:
        backend.say(wire.headers(1, ANSWER, False) + wire.data(1, MESSAGE, False))
    backend.say(wire.reset(1, code))
    told = client.fields(1)
    assert (told[b":status"], told[b"grpc-status"]) == (b"200", b"%d" % status)
    assert told[b"grpc-message"] == b"lbproxy: " + reason.encode()
    assert [(line["reason"], line["grpc_status"]) for line in world.lines()] == [(reason, status)]


def test_a_reset_in_the_middle_of_a_call() -> None:
    """Before an answer it is one of ours that says how it ended; behind a part of one trailers of ours say so."""
    world = h2_world()
    client = Talk(world)
    client.call(1)
    backend = server(world)
    backend.say(wire.reset(1, H2Code.INTERNAL_ERROR))
    told = client.fields(1)
    assert (told[b":status"], told[b"grpc-status"], told[b"grpc-message"]) == (b"200", b"13", b"lbproxy: h2_reset")
    client.call(3)
    backend.say(wire.headers(3, ANSWER, False) + wire.data(3, MESSAGE, False))
    client.say(wire.data(3, MESSAGE))
    backend.say(wire.reset(3, H2Code.CANCEL))
    told = client.fields(3)
    assert (told[b":status"], told[b"grpc-status"]) == (b"200", b"1")
    client.say(wire.reset(1) + wire.reset(3))
    others_go_on(world, client, backend, 5)
    assert [(line["status"], line["reason"], line.get("grpc_status")) for line in world.lines()] == [
        (200, "h2_reset", 13), (200, "h2_reset_cancel", 1), (200, "", None),
    ]  # fmt: skip
    world.at_rest()


def test_a_goodbye_that_leaves_a_call_out() -> None:
    """What the backend will not look at begins again on another connection, with all that its client has sent, and goes on there.
    What it will look at ends in peace."""
    world = h2_world()
    client = Talk(world)
    client.call(1)
    old = server(world)
    client.call(3)
    old.requests()
    client.say(wire.data(3, MESSAGE))
    old.say(wire.goaway(1))
    assert len(world.upstreams) == 2
    new = server(world)
    client.say(wire.data(3, MESSAGE) + wire.data(3, b"", end=True))
    [request] = new.requests()
    assert new.body(request.stream) == 3 * MESSAGE
    assert new.frames[-1].flags & wire.END_STREAM
    new.say(wire.headers(request.stream, (*ANSWER, (b"grpc-status", b"0")), True))
    assert client.fields(3)[b"grpc-status"] == b"0"
    client.say(wire.data(1, b"", end=True))
    assert old.frames[-1].flags & wire.END_STREAM or old.body(1) == MESSAGE
    old.say(wire.headers(1, (*ANSWER, (b"grpc-status", b"5")), True))
    assert client.fields(1)[b"grpc-status"] == b"5"
    assert [(line["reason"], line["tries"], line["grpc_status"]) for line in world.lines()] == [("", 1, 0), ("", 1, 5)]
    assert world.upstreams[0].end
    world.at_rest()


def test_a_call_that_a_drain_cuts() -> None:
    """It hears that it may call again, whether its answer has begun or not."""
    world = h2_world()
    client = Talk(world)
    client.call(1)
    backend = server(world)
    backend.say(wire.headers(1, ANSWER, False) + wire.data(1, MESSAGE, False))
    client.call(3)
    world.service.draining = True
    client.connection.drain(world.now, 2.0)
    client.connection.cut()
    world.settle()
    assert [client.fields(stream)[b"grpc-status"] for stream in (1, 3)] == [b"14", b"14"]
    assert sorted(backend.resets()) == [(1, H2Code.CANCEL), (3, H2Code.CANCEL)]
    world.at_rest()


def test_a_backend_that_changes_its_mind() -> None:
    """Under "auto" each new connection asks anew: from HTTP/2 to HTTP/1.1, with several who wait for it, and back."""
    world = h2_world(pool=model.PoolConfig("app", (), tls=TLS, protocol="auto"))
    world.alpn = ["h2", "http/1.1"]
    clients = [world.connect() for _ in range(3)]
    clients[0].feed(get())
    backend = server(world)
    backend.answer(1)
    backend.say(wire.goaway(1))
    assert world.upstreams[0].end
    world.alpn = ["http/1.1"]
    for client in clients:
        client.feed(get())
    for stream in world.upstreams[1:]:
        assert stream.take().startswith(b"GET / HTTP/1.1\r\n")
        stream.feed(ok())
    assert world.outcomes() == [(200, "")] * 4
    for stream in world.upstreams[1:]:
        stream.feed(EOF)
    world.alpn = ["h2"]
    for client in clients:
        client.take()
        client.feed(get())
    assert len(world.upstreams) == 5, "a single connection that all three wait for"
    backend = server(world)
    for request in backend.requests():
        backend.answer(request.stream)
    assert world.outcomes() == [(200, "")] * 3
    world.at_rest()
