"""Connections that are passed through: where they go, what is counted and told of them, and every way in which they end."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from lbproxy.balance.backend import Backend
from lbproxy.balance.keyed_pool import KeyedPool
from lbproxy.balance.ledger import HealthState, PerSlot, Scalar, SlotState, state_at
from lbproxy.balance.queued_pool import QueuedPool
from lbproxy.balance.shared_queue import SharedQueue
from lbproxy.balance.source_hash import HashRing
from lbproxy.config import model
from lbproxy.errors import UpstreamError
from lbproxy.prelude.alert import INTERNAL_ERROR, fatal
from lbproxy.prelude.announce import Ends, header
from lbproxy.proxy.admission import Admission
from lbproxy.proxy.affinity import Affinity, Source
from lbproxy.proxy.passed import Passage, PassedConnection
from lbproxy.proxy.queue import Queue
from lbproxy.proxy.tunnel import REST
from lbproxy.worker.wiring.passages import make_passages
from tests.unit.proxy.world import EOF, LOST, FakeStream, World

HELLO = b"\x16hello"
ENDS = Ends("198.51.100.7", 51000, "203.0.113.1", 443)


def passage(world: World, **settings: Any) -> Passage:
    """To the world's pool."""
    pool = model.PoolConfig("app", (), **settings)
    listen = model.ListenConfig(model.Address("127.0.0.1", 443), passthrough=(("db.test", "app"),))
    config = model.Config("", (listen,), (), (pool,), timeouts=world.config.timeouts)
    passages = make_passages(listen, config, {"app": world.pool})
    assert passages is not None
    found = passages.find("db.test")
    assert found is not None
    return found


def connect(world: World, name: str = "db.test", **settings: Any) -> FakeStream:
    """A client whose hello has been read."""
    stream = FakeStream(world, "client")
    world.limit.acquire_anyway()
    to = passage(world, **settings)
    made = PassedConnection(world.service, stream, "192.0.2.1", name, to, world.limit, lambda: ENDS, world.now)
    world.start(lambda: made.serve(HELLO))
    world.settle()
    return stream


def tunnels(world: World) -> int:
    return sum(connection.tunnel for connection in world.service.connections)


def told(world: World) -> tuple[Any, ...]:
    """What the one line says."""
    [line] = world.lines()
    assert (line["status"], line["protocol"], line["host"], line["sni"]) == (None, "TLS", "db.test", "db.test")
    return line["reason"], line["bytes_in"], line["bytes_out"], line["backend"], line["tries"]


def counts(world: World) -> tuple[int, int]:
    """(passed, found no backend)"""
    return world.ledger.total(Scalar.PASSED), world.ledger.total(Scalar.PASSED_FAILED)


def test_bytes_both_ways() -> None:
    """The backend gets the client's very bytes, the lease lasts as long as the connection, no request is counted."""
    world = World(backends=1)
    client = connect(world)
    backend = world.upstream
    assert (world.introductions, backend.take()) == ([b""], HELLO)
    backend.feed(b"server hello")
    assert client.take() == b"server hello"
    client.feed(b"finished")
    assert backend.take() == b"finished"
    assert (world.count(PerSlot.IN_FLIGHT, 0), tunnels(world)) == (1, 1)
    world.pass_time(100.0)
    client.feed(EOF)
    assert backend.output_ended, "half of it has ended"
    backend.feed(b"rest", EOF)
    assert (client.take(), client.end) == (b"rest", "finish")
    assert told(world) == ("", len(HELLO) + 8, 16, "b0", 1)
    assert (counts(world), world.count(PerSlot.CONNECTS, 0)) == ((1, 0), 1)
    counters = world.service.counters
    assert (counters.bytes_in, counters.bytes_out, sum(counters.statuses), sum(counters.latency)) == (len(HELLO) + 8, 16, 0, 0)
    world.at_rest()


def test_another_backend_while_nothing_was_sent() -> None:
    """The budget is free again once a connection stands, however long that lasts."""
    world = World(backends=2)
    world.refuse(0)
    clients = [connect(world) for _ in range(8)]
    assert world.ledger.slot_total(PerSlot.RETRYING, 0) == 0
    assert {len(stream.take()) for stream in world.upstreams} == {len(HELLO)}
    assert all(port == 9001 for port in world.dials[1::2]) or world.dials.count(9001) == 8
    assert world.count(PerSlot.FAILURES, 0) == world.service.counters.retries > 0
    for client, backend in zip(clients, world.upstreams, strict=True):
        backend.feed(EOF)
        client.feed(EOF)
    assert {(line["reason"], line["backend"]) for line in world.lines()} == {("", "b1")}
    world.at_rest()


@pytest.mark.parametrize(("refused", "settings", "dials", "reason"), [
    (2, {}, 2, "connection_refused"),
    (1, {"retries": 0}, 1, "connection_refused"),
    (0, {}, 0, "no_backend"),
])  # fmt: skip
def test_who_gets_no_backend_is_told_so(refused: int, settings: dict[str, Any], dials: int, reason: str) -> None:
    """By an alert; nobody is tried more often than for a request."""
    world = World(backends=max(1, refused), pool=model.PoolConfig("app", (), **settings))
    world.refuse(0, 1)
    if not refused:
        world.ledger.cells[state_at(SlotState.HEALTH, 0)] = HealthState.DOWN
    client = connect(world, **settings)
    assert (client.take(), client.end) == (fatal(INTERNAL_ERROR), "finish")
    assert len(world.dials) == dials
    assert told(world)[0] == reason
    assert counts(world) == (0, 1)
    world.at_rest()


def test_a_client_that_leaves_before_a_backend_is_there() -> None:
    """Its end is as good as a loss: nobody shakes hands with one half. What else it says is kept."""
    for last in (EOF, LOST):
        world = World(backends=1)
        world.hanging.add(9000)
        client = connect(world)
        client.feed(b"early", last)
        assert client.end == "abort"
        assert told(world) == ("client_closed", 0, 0, "b0", 1)
        assert world.count(PerSlot.GIVEN_UP, 0) == 1
        world.at_rest()


def test_what_comes_while_a_backend_is_looked_for() -> None:
    """Arrives behind the hello."""
    world = World(backends=1)
    world.hanging.add(9000)
    client = connect(world)
    client.feed(b"early data")
    world.hanging.clear()
    world.strands[-1].switch()
    world.settle()
    assert world.upstream.take() == HELLO + b"early data"
    client.feed(LOST)
    assert world.upstream.end == "abort"
    assert told(world)[0] == "tunnel_client_lost"
    world.at_rest()


@pytest.mark.parametrize("said", [b"", b"server hello"])
def test_a_backend_that_is_lost(said: bytes) -> None:
    """The client must see it; one that takes connections and says nothing has failed."""
    world = World(backends=1)
    client = connect(world)
    if said:
        world.upstream.feed(said)
    world.upstream.feed(LOST)
    assert client.end == "abort"
    assert told(world)[0] == "tunnel_backend_lost"
    assert world.count(PerSlot.FAILURES, 0) == (not said)
    world.at_rest()


def test_silence_is_limited() -> None:
    """By the pool's time for tunnels."""
    world = World(backends=1)
    connect(world, timeouts=model.NearTimeoutsConfig(tunnel=60.0))
    world.pass_time(61.0)
    assert told(world)[0] == "tunnel_idle"
    world.at_rest()


@pytest.mark.parametrize("dialled", [True, False])
def test_a_drain_lets_it_go_on_and_cuts_it_in_the_end(dialled: bool) -> None:
    world = World(backends=1)
    if not dialled:
        world.hanging.add(9000)
    client = connect(world)
    [connection] = world.service.connections
    connection.drain(world.now, 0.0)
    assert client.is_open()
    world.later(connection.cut)
    world.settle()
    assert client.end == "finish"
    assert told(world)[0] == ("tunnel_drained" if dialled else "drain_timeout")
    world.at_rest()


def test_a_backend_is_told_who_the_client_is() -> None:
    """By a PROXY header in front of everything else, with the name."""
    world = World(backends=1)
    client = connect(world, proxy_protocol="v2")
    assert world.introductions == [header("v2", ENDS, b"db.test")]
    client.feed(LOST)


def test_a_fault_of_ours_is_told() -> None:
    """And nobody is left waiting."""
    world = World(backends=1)
    world.refusing[9000] = ValueError("nobody foresaw it")  # type: ignore[assignment]
    client = connect(world)
    assert client.end == "abort"
    assert (told(world)[0], [str(fault) for fault in world.faults]) == ("internal_error", ["nobody foresaw it"])
    world.faults.clear()
    world.at_rest()


# ---------------------------------------------------------------- pools with more to ask


def servers(most: int = 0) -> list[Backend]:
    return [Backend("app", f"b{slot}", "backend.test", "10.0.0.1", 9000 + slot, 1, most, slot) for slot in range(2)]


def placed(world: World, make: Callable[[], tuple[Any, Admission]]) -> None:
    """The world's pool is that one from now on."""
    world.pool, admission = make()
    world.service.admissions = {"app": admission}


def test_a_client_belongs_to_the_backend_that_its_address_leads_to() -> None:
    """With source_hash, as for requests."""
    world = World(backends=2)

    def make() -> tuple[KeyedPool, Admission]:
        pool = KeyedPool("app", servers(), world.ledger, world.pick_lock, 0)
        return pool, Admission(pool, Affinity(Source("address"), HashRing(["b0", "b1"], [1, 1])))

    placed(world, make)
    for _ in range(6):
        connect(world).feed(LOST)
    assert len(set(world.dials)) == 1
    world.at_rest()


def test_a_full_pool_is_waited_for() -> None:
    """In its queue; who waits in vain is told."""
    world = World(backends=2)

    def make() -> tuple[QueuedPool, Admission]:
        shared = SharedQueue(world.ledger, 0, 0, 8, world.clock)
        pool = QueuedPool("app", servers(1), world.ledger, world.pick_lock, 0, None, False, shared, lambda child: None)
        return pool, Admission(pool, Affinity(), Queue(pool, world, world.clock, 5.0, waiting.append))

    waiting: list[Queue] = []
    placed(world, make)
    first, _, third = (connect(world) for _ in range(3))
    assert len(world.upstreams) == 2
    first.feed(LOST)
    waiting[0].look_again()
    world.settle()
    assert [stream.take() for stream in world.upstreams][2:] == [HELLO]
    late = connect(world)
    world.pass_time(6.0)
    waiting[-1].look_again()
    world.settle()
    assert late.take() == fatal(INTERNAL_ERROR)
    assert [line["reason"] for line in world.lines()] == ["tunnel_client_lost", "queue_timeout"]
    third.feed(LOST)


def test_its_line_is_json() -> None:
    """For a client without a name, too."""
    world = World(backends=1)
    world.ledger.cells[state_at(SlotState.HEALTH, 0)] = HealthState.DOWN
    connect(world, name="")
    [line] = world.access_log.take().splitlines()
    assert json.loads(line)["sni"] == ""


def test_a_failure_that_is_not_to_be_tried_again() -> None:
    """As the pool's retry_on says."""
    settings: dict[str, Any] = {"retry_on": ("closed",)}
    world = World(backends=2, pool=model.PoolConfig("app", (), **settings))
    for port in (9000, 9001):
        world.refusing[port] = UpstreamError(504, "connect_timeout", nothing_sent=True)
    connect(world, **settings)
    assert (len(world.dials), told(world)[0]) == (1, "connect_timeout")


# ---------------------------------------------------------------- rest


def strands(world: World) -> int:
    return sum(not strand.dead for strand in world.strands)


def rested(**settings: Any) -> tuple[World, FakeStream, FakeStream]:
    """One that has been silent for so long that it has no strands."""
    world = World(backends=1)
    client = connect(world, **settings)
    backend = world.upstream
    assert backend.take() == HELLO
    assert strands(world) == 2
    world.pass_time(3 * REST)
    assert (strands(world), tunnels(world), world.count(PerSlot.IN_FLIGHT, 0)) == (0, 1, 1)
    return world, client, backend


def test_a_silent_one_has_no_strands_and_loses_nothing() -> None:
    """Whoever speaks first; it rests again, as often as it is silent."""
    world, client, backend = rested()
    for number in range(3):
        speaker, listener = (client, backend) if number != 1 else (backend, client)
        speaker.feed(b"a", b"b")
        listener.feed(b"c")
        assert (listener.take(), speaker.take(), strands(world)) == (b"ab", b"c", 2)
        world.pass_time(3 * REST)
        assert strands(world) == 0
    client.feed(EOF)
    assert backend.output_ended
    backend.feed(b"rest", EOF)
    assert (client.take(), client.end) == (b"rest", "finish")
    assert told(world) == ("", len(HELLO) + 5, 8, "b0", 1)
    world.at_rest()


def test_one_direction_may_rest_while_the_other_has_much_to_say() -> None:
    """What comes then is carried; and who ends, ends it as ever."""
    world = World(backends=1)
    client = connect(world)
    backend = world.upstream
    backend.take()
    for _ in range(8):
        backend.feed(b"down")
        world.pass_time(REST / 2)
    assert client.take() == 8 * b"down"
    client.feed(b"up")
    assert backend.take() == b"up"
    backend.feed(EOF)
    client.feed(b"late", EOF)
    assert backend.take() == b"late"
    assert told(world)[0] == ""
    world.at_rest()


@pytest.mark.parametrize(("who", "how", "reason"), [
    ("client", LOST, "tunnel_client_lost"), ("backend", LOST, "tunnel_backend_lost"), ("backend", EOF, "tunnel_half_closed"),
    ("client", EOF, "tunnel_half_closed"), ("", EOF, "tunnel_idle"),
])  # fmt: skip
def test_every_end_finds_one_that_rests(who: str, how: bytes, reason: str) -> None:
    world, client, backend = rested(timeouts=model.NearTimeoutsConfig(tunnel=90.0))
    if who:
        (client if who == "client" else backend).feed(how)
    world.pass_time(120.0)
    assert client.end
    assert told(world)[0] == reason
    world.at_rest()


def test_one_that_rests_is_cut_by_a_drain() -> None:
    world, client, backend = rested()
    [connection] = world.service.connections
    assert connection.tunnel
    connection.cut()
    connection.cut()
    world.settle()
    assert (client.end, backend.end) == ("finish", "finish")
    assert told(world)[0] == "tunnel_drained"
    world.at_rest()


def test_both_sides_speak_at_once_to_one_that_rests() -> None:
    """Before it has got up."""
    world, client, backend = rested()
    world.later(lambda: backend.feed(b"down"))
    client.feed(b"up")
    world.settle()
    assert (backend.take(), client.take()) == (b"up", b"down")
    client.feed(LOST)
    world.at_rest()
