"""Tunnels: transparent while they last, and ended in every way with nothing left."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbproxy.balance.ledger import PerSlot, Scalar
from lbproxy.config import model
from lbproxy.proxy.tunnel import HALF_CLOSED
from tests.unit.proxy.tunnels import ASK, GRANT, ended, opened, tunnels
from tests.unit.proxy.world import EOF, LOST, World

# ---------------------------------------------------------------- open


def test_the_lease_lasts_as_long_as_the_tunnel() -> None:
    """Least connections counts it; the log tells bytes and duration, the latency only how long the 101 took."""
    world = World(backends=1)
    client, backend = opened(world)
    sent = len(ASK)
    for _ in range(3):
        client.feed(b"ping")
        assert backend.take() == b"ping"
        backend.feed(b"pong!")
        assert client.take() == b"pong!"
        world.pass_time(100.0)
    assert world.count(PerSlot.IN_FLIGHT, 0) == 1
    assert world.ledger.total(Scalar.LIVE_REQUESTS) == 1
    assert len(world.strands) == 2, "one strand a direction, none a message"
    client.feed(EOF)
    backend.feed(EOF)
    assert world.count(PerSlot.IN_FLIGHT, 0) == 0
    [line] = world.lines()
    assert (line["status"], line["reason"], line["backend"]) == (101, "", "b0")
    assert line["bytes_in"] == sent + 3 * 4
    assert line["bytes_out"] > 3 * 5 + 100
    assert line["total_ms"] == 300_000.0
    assert world.service.counters.statuses[1] == 1
    assert sum(world.service.counters.latency[10:]) == 0
    world.at_rest()


PIECES = st.lists(st.tuples(st.booleans(), st.binary(min_size=1, max_size=50)), max_size=20)


@settings(max_examples=80, deadline=None)
@given(
    pieces=PIECES,
    rooms=st.lists(st.tuples(st.booleans(), st.integers(0, 60)), max_size=20),
    cuts=st.lists(st.integers(1, 500), max_size=3),
)
def test_every_byte_arrives_in_order(pieces: list[tuple[bool, bytes]], rooms: list[tuple[bool, int]], cuts: list[int]) -> None:
    """However the bytes come, the 101's included, and at whatever pace either side takes them."""
    world = World()
    client = world.connect()
    client.feed(ASK)
    backend = world.upstream
    backend.take()
    places = sorted({0, len(GRANT), *(cut % len(GRANT) for cut in cuts)})
    for begin, end in pairwise(places):
        backend.feed(GRANT[begin:end])
    got_down = client.take().partition(b"\r\n\r\n")[2]
    got_up = b""
    client.room = backend.room = 0
    for number, (up, piece) in enumerate(pieces):
        (client if up else backend).feed(piece)
        if number < len(rooms):
            to_backend, room = rooms[number]
            (backend if to_backend else client).make_room(room)
    client.make_room(None)
    backend.make_room(None)
    got_down += client.take()
    got_up += backend.take()
    assert got_up == b"".join(piece for up, piece in pieces if up)
    assert got_down == b"".join(piece for up, piece in pieces if not up)
    client.feed(EOF)
    assert backend.output_ended
    backend.feed(EOF)
    ended(world, "")


def test_a_slow_side_stops_the_other_one_and_only_it() -> None:
    """What is held is one piece: nobody reads the backend while its last piece is not written; the other direction goes on."""
    world = World()
    client, backend = opened(world, room=3)
    backend.feed(b"first")
    for _ in range(5):
        backend.feed(b"more")
    assert client.take() == b"fir"
    assert backend.unread, "left where it is"
    client.feed(b"up")
    assert backend.take() == b"up"
    client.make_room(None)
    assert client.take() == b"st" + b"more" * 5
    client.feed(EOF)
    backend.feed(EOF)
    ended(world, "")


# ---------------------------------------------------------------- ends


@pytest.mark.parametrize("first", ["client", "backend"])
def test_an_end_is_passed_on_and_the_other_direction_goes_on(first: str) -> None:
    """Half-closed: a question whose answer takes its time."""
    world = World()
    client, backend = opened(world)
    asker, other = (client, backend) if first == "client" else (backend, client)
    asker.feed(b"question", EOF)
    assert other.take() == b"question"
    assert other.output_ended
    assert not asker.output_ended
    world.pass_time(HALF_CLOSED - 1)
    other.feed(b"answer")
    world.pass_time(HALF_CLOSED - 1)
    other.feed(b", more")
    assert asker.take() == b"answer, more"
    other.feed(EOF)
    assert asker.output_ended
    assert (client.end, backend.end) == ("finish", "finish")
    ended(world, "")


def test_a_half_closed_tunnel_is_not_kept_for_an_hour() -> None:
    world = World()
    client, backend = opened(world)
    client.feed(EOF)
    world.pass_time(HALF_CLOSED - 1)
    assert tunnels(world) == 1
    world.pass_time(2.0)
    assert (client.end, backend.end) == ("finish", "finish")
    ended(world, "tunnel_half_closed")


@pytest.mark.parametrize("who", ["client", "backend"])
def test_a_reset_ends_both(who: str) -> None:
    world = World()
    client, backend = opened(world)
    (client if who == "client" else backend).feed(b"part", LOST)
    assert (client.end, backend.end) == ("abort", "abort"), "neither may take the part for the whole"
    ended(world, f"tunnel_{who}_lost")


@pytest.mark.parametrize("who", ["client", "backend"])
def test_a_side_that_goes_without_a_goodbye_once_the_other_has_ended(who: str) -> None:
    """The usual end of a WebSocket over TLS: no complaint. It keeps what it has; the other might be listening still, and is cut."""
    world = World()
    client, backend = opened(world)
    sloppy, other = (client, backend) if who == "client" else (backend, client)
    other.feed(b"bye", EOF)
    assert sloppy.take() == b"bye"
    sloppy.feed(LOST)
    assert (sloppy.end, other.end) == ("finish", "abort")
    ended(world, "")


@pytest.mark.parametrize("who", ["client", "backend"])
def test_a_reset_while_the_other_side_takes_nothing(who: str) -> None:
    """It is noticed when there is room again, or when the write has stalled for too long."""
    world = World()
    client, backend = opened(world, room=0)
    backend.room = 0
    loser, other = (client, backend) if who == "client" else (backend, client)
    loser.feed(b"part", LOST)
    other.make_room(None)
    assert other.take() == b"part"
    ended(world, f"tunnel_{who}_lost")


def test_last_words_of_a_side_that_takes_no_more() -> None:
    """A backend that says why it closes, and closes: the client still hears it, although its own bytes have nowhere to go."""
    world = World()
    client, backend = opened(world, room=0)
    backend.feed(b"you are ")
    backend.feed(b"too loud", EOF)
    backend.broken = LOST
    client.feed(b"la la la")
    client.make_room(None)
    assert client.take() == b"you are too loud"
    assert (client.end, backend.end) == ("finish", "finish")
    ended(world, "")


@pytest.mark.parametrize("who", ["client", "backend"])
def test_a_side_that_takes_nothing(who: str) -> None:
    world = World()
    client, backend = opened(world)
    slow, other = (client, backend) if who == "client" else (backend, client)
    slow.room = 2
    other.feed(b"hello")
    world.pass_time(59.0)
    assert tunnels(world) == 1
    world.pass_time(2.0)
    assert (client.end, backend.end) == ("abort", "abort")
    ended(world, f"tunnel_{who}_stalled")


def test_silence_both_ways() -> None:
    """The limit is on silence of both: whoever speaks keeps the tunnel open for the other."""
    world = World(timeouts=model.TimeoutsConfig(tunnel=10.0))
    client, backend = opened(world)
    for _ in range(5):
        world.pass_time(8.0)
        backend.feed(b"tick")
    assert client.take() == b"tick" * 5
    for _ in range(5):
        world.pass_time(8.0)
        client.feed(b"tock")
    world.pass_time(9.0)
    assert tunnels(world) == 1
    world.pass_time(2.0)
    assert (client.end, backend.end) == ("finish", "finish")
    ended(world, "tunnel_idle")


@pytest.mark.parametrize("who", ["client", "backend"])
def test_a_piece_on_its_way_is_no_silence(who: str) -> None:
    """One side takes a large piece slowly, and nobody says anything else for longer than the limit."""
    world = World(timeouts=model.TimeoutsConfig(tunnel=10.0))
    client, backend = opened(world)
    slow, other = (client, backend) if who == "client" else (backend, client)
    slow.room = 0
    other.feed(b"abcde")
    for taken in (b"a", b"b", b"c", b"d"):
        world.pass_time(8.0)
        slow.make_room(1)
        assert slow.take() == taken
    slow.make_room(None)
    assert slow.take() == b"e"
    world.pass_time(9.0)
    assert tunnels(world) == 1
    world.pass_time(10.5)
    ended(world, "tunnel_idle")


def test_the_client_is_gone_before_it_got_the_101() -> None:
    world = World()
    client = world.connect()
    client.feed(ASK)
    client.broken = LOST
    world.upstream.feed(GRANT)
    client.feed(LOST)
    assert (client.end, world.upstream.end) == ("abort", "abort")
    ended(world, "tunnel_client_lost")


# ---------------------------------------------------------------- draining


def test_draining_lets_it_go_on_until_it_is_cut() -> None:
    """With notice: both sides get an orderly end, and the log says why."""
    world = World()
    client, backend = opened(world)
    world.service.draining = True
    [connection] = world.service.connections
    connection.drain(world.now, 2.0)
    world.pass_time(100.0)
    client.feed(b"still here")
    assert backend.take() == b"still here"
    connection.cut()
    assert (client.end, backend.end) == ("finish", "finish")
    connection.cut()
    ended(world, "tunnel_drained")


@pytest.mark.parametrize("state", ["half closed", "other half closed", "just opened"])
def test_cut_in_any_state(state: str) -> None:
    world = World()
    client = world.connect()
    client.feed(ASK)
    backend = world.upstream
    if state == "just opened":
        backend._inbox.append(GRANT)
        assert backend._reader is not None
        backend._reader.switch()  # and the loop has not turned since
    else:
        backend.feed(GRANT)
        (client if state == "half closed" else backend).feed(EOF)
    [connection] = world.service.connections
    connection.cut()
    world.settle()
    assert (client.end, backend.end) == ("finish", "finish")
    ended(world, "tunnel_drained")


@pytest.mark.parametrize("who", ["client", "backend"])
def test_a_side_with_a_torn_piece_gets_no_goodbye(who: str) -> None:
    """A goodbye in the middle of a record, or of a message, would be garbage, or a lie."""
    world = World()
    client, backend = opened(world)
    slow, other = (client, backend) if who == "client" else (backend, client)
    slow.room = 2
    other.feed(b"hello")
    [connection] = world.service.connections
    connection.cut()
    world.settle()
    assert (slow.end, other.end) == ("abort", "finish")
    ended(world, "tunnel_drained")


STEPS = st.lists(
    st.sampled_from(
        ["client says", "backend says", "client ends", "backend ends", "client lost", "backend lost", "client slow", "backend slow",
         "client takes", "backend takes", "client deaf", "backend deaf", "time", "cut"]
    ), max_size=12,
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(STEPS)
def test_whatever_happens_nothing_is_left(steps: list[str]) -> None:
    """Any order of events: one line in the log, no greenlet, lease or stream left; and what one side got, the other had said."""
    world = World()
    client, backend = opened(world)
    sides = {"client": client, "backend": backend}
    said = {"client": b"", "backend": b""}
    over: set[str] = set()
    for number, step in enumerate(steps):
        name, _, what = step.partition(" ")
        if step == "time":
            world.pass_time(20.0)
        elif step == "cut":
            for connection in list(world.service.connections):
                connection.cut()
            world.settle()
        elif what in ("says", "ends", "lost"):
            if name in over or not sides[name].is_open():
                continue
            if what == "says":
                said[name] += b"%d," % number
                sides[name].feed(b"%d," % number)
            else:
                over.add(name)
                sides[name].feed(EOF if what == "ends" else LOST)
        elif what == "slow":
            sides[name].room = 1
        elif what == "takes":
            sides[name].make_room(None)
        else:
            sides[name].broken = LOST
    for name, stream in sides.items():
        stream.make_room(None)
        if name not in over and stream.is_open():
            stream.feed(EOF)
    world.pass_time(HALF_CLOSED + 40.0)
    assert said["backend"].startswith(client.take())
    assert said["client"].startswith(backend.take())
    assert all(stream.end in ("finish", "abort") for stream in sides.values())
    [(status, _)] = world.outcomes()
    assert status == 101
    world.at_rest()
    assert not any(stream.waits for stream in world.streams)
