"""How much a client's connection of HTTP/2 holds for streams that are not taken, which of them have room, and who goes first."""

from __future__ import annotations

from collections import Counter

import pytest

from lbproxy.config import model
from lbproxy.http.h2.windows import CONNECTION, LEAST, STREAM
from lbproxy.streams import HEAD_READ
from tests.support import h2_frames as wire
from tests.support.h2_frames import GET, headers, ping, reset, settings, window
from tests.unit.proxy.fake_stream import FakeStream
from tests.unit.proxy.h2_client import H2Client, body, resets
from tests.unit.proxy.world import CHUNKED, EOF, World, ok

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n"
STREAMS = 128


def begin(world: World, client: H2Client, fields: list[tuple[wire.Field, ...]], answer: bytes, first: int = 1) -> list[FakeStream]:
    """Requests, and the heads of their answers; the backends."""
    client.stream.feed(b"".join(headers(first + 2 * number, each) for number, each in enumerate(fields)))
    for backend in world.upstreams[-len(fields) :]:
        backend.feed(answer)
    return world.upstreams[-len(fields) :]


@pytest.mark.parametrize("opens", [settings((4, 0)), settings((4, 1 << 30)) + window(0, 1 << 30)], ids=["windows", "socket"])
@pytest.mark.parametrize("answer", [HEAD, CHUNKED], ids=["a length", "chunks"])
def test_a_hundred_answers_that_nobody_takes_hold_what_a_connection_may(opens: bytes, answer: bytes) -> None:
    """Though all of them were asked to read in the same moment, when nothing was held: they held 16 MiB. What came with the heads
    cannot be known before."""
    world = World(backends=1)
    client = H2Client(world, settings=opens)
    client.heard()
    client.stream.room = 0
    backends = begin(world, client, [GET] * STREAMS, answer)
    assert len(backends) == STREAMS
    for _ in range(2):
        for backend in backends:
            if backend.waits == "r":
                backend.feed(b"x" * 200_000 if answer is HEAD else b"30000\r\n" + b"x" * 0x30000 + b"\r\n")
    held = client.connection.engine.held_by_all()
    assert held <= CONNECTION + STREAMS * LEAST
    assert max(client.connection.engine.held(number) for number in range(1, 2 * STREAMS, 2)) <= STREAM
    client.stream.feed(EOF)
    client.stream.make_room(0)
    assert client.connection.promised == 0
    world.at_rest()


def test_heads_that_bring_a_part_of_their_bodies() -> None:
    """Their parts are held, and nobody reads on as long as they are."""
    world = World(backends=1)
    client = H2Client(world, settings=settings((4, 0)))
    for backend in begin(world, client, [GET] * STREAMS, HEAD + b"x" * HEAD_READ):
        if backend.waits == "r":
            backend.feed(b"x" * 200_000)
    assert client.connection.engine.held_by_all() <= STREAMS * (HEAD_READ + LEAST) + CONNECTION
    client.say(b"".join(reset(number) for number in range(1, 2 * STREAMS, 2)))
    world.at_rest()


def test_a_download_beside_a_hundred_silent_streams_of_events() -> None:
    """Who says nothing takes nobody's room; a download is still read in large pieces."""
    world = World(backends=1)
    client = H2Client(world, settings=settings((4, 1 << 24)))
    client.say(window(0, 1 << 24))
    begin(world, client, [GET] * 100, CHUNKED)
    client.ask(201)
    download = world.upstream
    download.feed(HEAD)
    download.asked.clear()
    for _ in range(20):
        download.feed(b"x" * 65536)
    assert len(body(client.heard(), 201)) == 20 * 65536
    assert min(download.asked[1:]) >= 65536
    world.upstreams[0].feed(b"5\r\nevent\r\n")
    assert body(client.heard(), 1) == b"event"
    client.say(b"".join(reset(number) for number in range(1, 202, 2)))
    assert client.connection.promised == 0
    world.at_rest()


class Slow:
    """A client that takes 64 KiB at a time, and whose backends have always more, up to a size."""

    def __init__(self, priorities: list[str]) -> None:
        self.world = World(backends=1)
        self.client = H2Client(self.world, settings=settings((4, 1 << 30)))
        self.client.say(window(0, 1 << 30))
        self.client.stream.room = 0
        self.left: dict[FakeStream, int] = {}
        self.raw = b""
        for number, priority in enumerate(priorities):
            self.ask(2 * number + 1, priority, 3_000_000)

    def ask(self, number: int, priority: str, size: int) -> None:
        self.client.stream.feed(headers(number, (*GET, (b"priority", priority.encode()))))
        backend = self.world.upstream
        backend.feed(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        self.left = {backend: size, **self.left}

    def take(self, turns: int) -> list[tuple[int, int]]:
        """(stream, bytes) of each whole frame of DATA."""
        for _ in range(turns):
            for backend, size in self.left.items():
                if size and backend.waits == "r":
                    backend.feed(b"x" * min(131072, size))
                    self.left[backend] -= min(131072, size)
            self.client.stream.make_room(65536)
            self.raw += self.client.stream.take()
        found = []
        while len(self.raw) >= 9 and len(self.raw) >= (size := 9 + int.from_bytes(self.raw[:3], "big")):
            [frame] = wire.frames(self.raw[:size])
            self.raw = self.raw[size:]
            if frame.kind == wire.DATA:
                found.append((frame.stream, len(frame.payload)))
        return found

    def leave(self) -> None:
        self.client.stream.feed(EOF)
        self.world.at_rest()


@pytest.mark.parametrize("others", [3, 20, 60])
def test_an_urgent_answer_does_not_wait_behind_those_that_may(others: int) -> None:
    """RFC 9218: beside downloads that fill the connection, however many, it gets all but what had left already. It got one part in
    twenty."""
    slow = Slow(["u=5"] * others)
    assert slow.take(10)
    last, size = 2 * others + 1, 1_000_000
    slow.ask(last, "u=0", size)
    came = Counter[int]()
    for stream, count in slow.take(25):
        if came[last] < size:
            came[stream] += count
    assert came.pop(last) == size
    assert came.total() <= 2 * 65536
    slow.leave()


def test_answers_that_are_wanted_one_after_the_other() -> None:
    """Of one urgency the first that was asked for is ahead, though there is not room for all of them; incremental ones share."""
    slow = Slow(["u=3"] * 20)
    came = Counter(dict.fromkeys(range(1, 40, 2), 0))
    for stream, count in slow.take(60):
        came[stream] += count
    assert came[1] >= came.total() * 0.3
    assert max(came[stream] for stream in range(3, 40, 2)) < came[1]
    slow.leave()
    slow = Slow(["u=3, i"] * 20)
    came.clear()
    for stream, count in slow.take(60):
        came[stream] += count
    assert len(came) == 20
    assert max(came.values()) < came.total() / 4
    slow.leave()


def test_a_priority_that_is_changed_later_counts() -> None:
    """PRIORITY_UPDATE (RFC 9218 7.1) moves what is under way."""
    slow = Slow(["u=5"] * 20)
    slow.take(10)
    slow.client.stream.feed(wire.frame(wire.PRIORITY_UPDATE, 0, b"\0\0\0\x27u=1"))
    came = Counter[int]()
    for stream, count in slow.take(20):
        came[stream] += count
    assert came[39] > came.total() * 0.7
    slow.leave()


@pytest.mark.parametrize("chatter", [ping(), settings(), window(1, 1)], ids=["PING", "SETTINGS", "a byte"])
def test_a_stream_that_takes_nothing_is_cut_whatever_else_its_client_says(chatter: bytes) -> None:
    """Anything that left on the connection used to give it all of its time again."""
    world = World(backends=1, timeouts=model.TimeoutsConfig(write_stall=5.0))
    client = H2Client(world, settings=settings((4, 100)))
    [slow] = begin(world, client, [GET], HEAD)
    while slow.waits == "r":
        slow.feed(b"x" * 65536)
    for _ in range(6):
        client.say(chatter)
        world.pass_time(1.0)
    assert [each.reason for each in client.floods] == ["h2_stalled"]
    assert world.outcomes() == [(499, "client_timeout")]
    client.heard()
    client.ask(3)
    world.upstream.feed(ok())
    assert body(client.heard(), 3) == b"ok"
    world.at_rest()


def test_a_stream_that_takes_nothing_beside_one_that_does() -> None:
    """It ends by itself; the other does not."""
    world = World(backends=1, timeouts=model.TimeoutsConfig(write_stall=5.0))
    client = H2Client(world, settings=settings((4, 100)))
    slow, quick = begin(world, client, [GET, GET], HEAD)
    while slow.waits == "r":
        slow.feed(b"x" * 65536)
    client.say(window(0, 1 << 30) + window(3, 1 << 30))
    gone: list[tuple[int, int]] = []
    for _ in range(24):
        quick.feed(b"x" * 10_000)
        world.pass_time(0.25)
        gone += resets(client.heard())
    assert [number for number, _ in gone] == [1]
    assert quick.waits == "r"
    client.say(reset(3))
    world.at_rest()


def test_who_only_waits_for_a_turn_is_not_cut() -> None:
    """A client that takes what is urgent, as slowly as it may, is not to blame for what waits behind that."""
    world = World(backends=1, timeouts=model.TimeoutsConfig(write_stall=5.0))
    client = H2Client(world, settings=settings((4, 1 << 24)))
    client.say(window(0, 100_000))
    client.stream.feed(headers(1, (*GET, (b"priority", b"u=0"))) + headers(3, (*GET, (b"priority", b"u=7"))))
    for backend in world.upstreams:
        backend.feed(HEAD)
    for _ in range(80):
        for backend in world.upstreams:
            if backend.waits == "r":
                backend.feed(b"x" * 65536)
        client.say(window(0, 2000))
        world.pass_time(0.25)
    assert client.floods == []
    assert world.outcomes() == []
    world.pass_time(11.0)
    assert [each.reason for each in client.floods] == ["h2_stalled"] * 2
    world.at_rest()


def test_who_takes_a_little_is_not_cut() -> None:
    """As slowly as a client of HTTP/1 may (LEAST_RATE), and no slower."""
    world = World(backends=1, timeouts=model.TimeoutsConfig(write_stall=5.0))
    client = H2Client(world, settings=settings((4, 100)))
    [slow] = begin(world, client, [GET], HEAD)
    for rate, cut in ((1200, False), (800, True)):
        for _ in range(12):
            while slow.waits == "r":
                slow.feed(b"x" * 65536)
            client.say(window(1, rate))
            client.say(window(0, rate))
            world.pass_time(1.0)
        assert bool(client.floods) is cut
    world.at_rest()
