"""Made-up lives of connections to a backend: two engines talk to each other, clients and backend do as they please, in any order.

Whatever happens, a client gets its answer whole, or a part and a cut, or an answer of ours; the backend gets a part of what its
client sent, or all of it; little is held; and when everybody is gone nothing is left.
"""

from __future__ import annotations

import re
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from lbproxy.config import model
from lbproxy.http.h2.engine import H2Engine
from lbproxy.http.h2.vocabulary import Fields
from lbproxy.http.h2.windows import CONNECTION, STREAM
from tests.support import h2_frames as wire
from tests.unit.http.h2.dialogue import Heard
from tests.unit.proxy.h2.test_h2_upstream import WEBSOCKET
from tests.unit.proxy.h2_server import h2_world
from tests.unit.proxy.world import EOF, LOST, FakeStream, World, get, post

BODY = bytes(range(256)) * 1600
"""400 KiB: more than any window."""


class Site:
    """Backends at the other ends of all connections: engines, and what became of each request there."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.engines: dict[FakeStream, tuple[H2Engine, Heard]] = {}
        self.uploads: dict[tuple[int, int], bytes] = {}
        self.open: list[tuple[FakeStream, int]] = []
        self.eager = True
        """It takes what comes at once."""
        self._taken: dict[tuple[int, int], int] = {}

    def turn(self) -> None:
        """Bytes both ways until nobody has any."""
        busy = True
        while busy:
            busy = False
            for line in list(self.world.upstreams):
                if line.end:
                    continue
                engine, heard = self.engines.setdefault(line, self._made())
                sent = line.take()
                engine.receive(sent)
                self._hear(line, engine, heard)
                out = engine.output(1 << 20)
                if out and not line.end:
                    line.feed(out)
                busy = busy or bool(sent) or bool(out)

    @staticmethod
    def _made() -> tuple[H2Engine, Heard]:
        heard = Heard()
        return H2Engine(heard, server=True), heard

    def _hear(self, line: FakeStream, engine: H2Engine, heard: Heard) -> None:
        told, heard.told = heard.told, []
        for each in told:
            key = (id(line), each[1]) if len(each) > 1 else (0, 0)
            if each[0] == "request":
                self.open.append((line, each[1]))
                self.uploads[key] = b""
            elif each[0] == "data":
                self.uploads[key] += each[2]
                self._taken[key] = self._taken.get(key, 0) + len(each[2])
                if self.eager:
                    self.take(line, engine, each[1])
            elif each[0] == "closed":
                self.open = [(other, number) for other, number in self.open if (other, number) != (line, each[1])]

    def take(self, line: FakeStream, engine: H2Engine, number: int) -> None:
        """Open the window by what came."""
        engine.taken(number, self._taken.pop((id(line), number), 0))

    def act(self, kind: str, index: int, amount: int) -> None:
        """What a backend may do with one of the requests that it has, or with a connection."""
        lines = [line for line in self.engines if not line.end]
        if kind == "eager":
            self.eager = not self.eager
        elif kind in ("goodbye", "end") and lines:
            line = lines[index % len(lines)]
            if kind == "end":
                line.feed(EOF)
            else:
                self.engines[line][0].announce_end()
                self.engines[line][0].refuse_more()
        elif self.open:
            line, number = self.open[index % len(self.open)]
            engine = self.engines[line][0]
            if line.end:
                self.open.remove((line, number))
            elif kind == "answer":
                head: Fields = ((b":status", b"200"), (b"content-length", b"%d" % amount))
                if engine.respond(number, head, not amount) and amount:
                    engine.send(number, BODY[:amount], True)
            elif kind == "part":
                if engine.respond(number, ((b":status", b"200"), (b"content-length", b"%d" % (amount + 1))), False):
                    engine.send(number, BODY[:amount], False)
            elif kind == "reset":
                engine.reset(number, (0, 2, 7, 8)[amount % 4])
            elif kind == "take":
                self.take(line, engine, number)


sizes = st.sampled_from([0, 1, 5, 16384, 65535, 65536, 200_000, len(BODY) - 1])
acts = st.one_of(
    st.tuples(st.sampled_from(["get", "post"]), st.integers(0, 9), sizes),
    st.tuples(st.sampled_from(["feed", "leave", "room", "shut"]), st.integers(0, 9), sizes),
    st.tuples(st.sampled_from(["answer", "answer", "part", "reset", "take", "eager"]), st.integers(0, 9), sizes),
    st.tuples(st.sampled_from(["goodbye", "end"]), st.integers(0, 9), sizes),
    st.tuples(st.just("time"), st.just(0), st.sampled_from([0, 1, 3])),
)


def client_acts(world: World, clients: list[FakeStream], left: dict[FakeStream, bytes], act: tuple[str, int, Any]) -> None:
    """What a client may do."""
    kind, index, amount = act
    if kind in ("get", "post"):
        client = world.connect()
        clients.append(client)
        left[client] = BODY[:amount] if kind == "post" else b""
        client.feed(get() if kind == "get" else post(b"", length=amount))
        return
    there = [client for client in clients if not client.end]
    if not there:
        return
    client = there[index % len(there)]
    if kind == "feed" and left[client] and client.waits.startswith("r"):
        piece, left[client] = left[client][:65536], left[client][65536:]
        client.feed(piece)
    elif kind == "leave":
        client.feed(EOF)
    elif kind == "room":
        client.make_room(None)
    elif kind == "shut":
        client.make_room(amount)


def got_what_was_sent(client: FakeStream) -> None:
    """Its answers, one behind another, are whole, or the last one is a part of it and was cut."""
    rest = client.sent
    while rest:
        head, end, rest = rest.partition(b"\r\n\r\n")
        if not end:
            assert client.end
            return
        found = re.search(rb"(?i)content-length: (\d+)", head)
        if head.startswith(b"HTTP/1.1 200 "):
            assert found is not None
            size = int(found[1])
            assert rest[:size] == BODY[: min(size, len(rest))]
            assert len(rest) >= size or client.end
        else:
            assert re.match(rb"HTTP/1\.1 (40\d|50\d) ", head), head
            size = int(found[1]) if found is not None else 0
        rest = rest[size:]


@given(st.lists(acts, max_size=25))
def test_anything(script: list[tuple[str, int, Any]]) -> None:
    """See above."""
    timeouts = model.TimeoutsConfig(response_head=4.0, body_idle=4.0, write_stall=4.0, connect=2.0)
    world = h2_world(2, pool=model.PoolConfig("app", (), protocol="h2"), timeouts=timeouts)
    site, clients, left = Site(world), list[FakeStream](), dict[FakeStream, bytes]()
    for kind, index, amount in script:
        if kind == "time":
            world.pass_time(amount)
        elif kind in ("get", "post", "feed", "leave", "room", "shut"):
            client_acts(world, clients, left, (kind, index, amount))
        else:
            site.act(kind, index, amount)
        site.turn()
        assert world.faults == []
        for backend in world.idle.shared._backends.values():  # type: ignore[union-attr]  # there is one
            assert all(connection.engine.held_by_all() <= CONNECTION + STREAM for connection in backend._connections)
        # What a backend may still send, and has sent without being told that it was taken, is a stream's window.
        assert all(site.engines[line][0].window(number) <= STREAM for line, number in site.open)
    for client in clients:
        if not client.end:
            client.make_room(None)
    for _ in range(12):
        world.pass_time(1.0)
        site.turn()
    for client in clients:
        if not client.end:
            client.feed(EOF)
    site.turn()
    world.pass_time(3.0)
    site.turn()
    for client in clients:
        got_what_was_sent(client)
    for sent in site.uploads.values():
        assert sent == BODY[: len(sent)]
    world.at_rest()


STREAMS = st.integers(0, 3).map(lambda number: 2 * number + 1)
OK = ((b":status", b"200"),)
HEADS = st.sampled_from([
    OK, (*OK, (b"content-length", b"5")), ((b":status", b"103"),), ((b":status", b"204"),), ((b":status", b"101"),),
    ((b"a", b"b"),), ((b":status", b"401"), (b"www-authenticate", b"NTLM")), (*OK, (b"connection", b"close")), (*OK, (b"te", b"x")),
])  # fmt: skip
FRAMES = st.one_of(
    st.builds(wire.headers, STREAMS, HEADS, st.booleans()),
    st.builds(wire.headers, STREAMS, st.just(((b"grpc-status", b"0"),)), st.just(True)),
    st.builds(wire.data, STREAMS, st.sampled_from([b"", b"hello", b"x" * 16000]), st.booleans()),
    st.builds(wire.reset, STREAMS, st.sampled_from([0, 2, 7, 8, 13])),
    st.builds(wire.window, st.integers(0, 7), st.sampled_from([1, 100_000, 0x7FFFFFFF])),
    st.builds(lambda key, value: wire.settings((key, value)), st.sampled_from([1, 3, 4, 5, 8]), st.sampled_from([0, 1, 10, 65535])),
    st.builds(wire.ping, ack=st.booleans()),
    st.just(wire.settings(ack=True)),
    st.builds(wire.goaway, st.sampled_from([0, 1, 3, 2**31 - 1]), st.sampled_from([0, 1, 11])),
    st.builds(wire.frame, st.integers(0, 20), st.integers(0, 5), st.binary(max_size=20), st.integers(0, 255)),
    st.sampled_from([EOF, b"nonsense", LOST]),
)
STEPS = st.one_of(
    st.tuples(st.just("say"), FRAMES),
    st.tuples(st.just("say"), FRAMES),
    st.tuples(st.just("ask"), st.sampled_from([
        get(), post(b"abc"), post(b"", length=100_000) + b"x" * 50_000, get("/", *WEBSOCKET), get(method="HEAD"),
    ])),
    st.tuples(st.just("wait"), st.sampled_from([0.5, 6.0])),
    st.tuples(st.sampled_from(["leave", "drain"]), st.just(b"")),
)  # fmt: skip


@given(st.lists(STEPS, max_size=25))
def test_any_backend(steps: list[tuple[str, Any]]) -> None:
    """Whatever a backend says, in whatever order: no fault of ours, and nothing is left over."""
    timeouts = model.TimeoutsConfig(response_head=4.0, body_idle=4.0, write_stall=4.0, connect=2.0, tunnel=5.0)
    world = h2_world(1, timeouts=timeouts)
    clients: list[FakeStream] = []
    for kind, what in [("ask", get()), ("say", wire.settings((8, 1)) + wire.settings(ack=True)), *steps]:
        if kind == "wait":
            world.pass_time(what)
        elif kind == "ask":
            clients.append(world.connect())
            clients[-1].feed(what)
        elif kind == "drain":
            world.idle.close()
        elif kind == "leave":
            for client in [client for client in clients if not client.end][:1]:
                client.feed(EOF)
        else:
            for stream in [stream for stream in world.upstreams if not stream.end][-1:]:
                stream.feed(what)
        assert world.faults == []
    world.pass_time(20.0)
    for client in clients:
        if not client.end:
            client.feed(EOF)
    for stream in world.upstreams:
        if not stream.end:
            stream.feed(EOF)
    world.pass_time(70.0)
    world.at_rest()
