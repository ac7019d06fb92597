"""Requests that wait for room, through whole exchanges of two workers' queues over one ledger."""

from __future__ import annotations

import pytest

from lbproxy.balance.backend import Backend
from lbproxy.balance.lease import Lease
from lbproxy.balance.ledger import HealthState, PerSlot, PickLock, SlotState, state_at
from lbproxy.balance.queued_pool import QueuedPool
from lbproxy.balance.selection import NO_PREFERENCE, Preference
from lbproxy.balance.shared_queue import SharedQueue
from lbproxy.balance.source_hash import HashRing
from lbproxy.config import model
from lbproxy.proxy.admission import Admission
from lbproxy.proxy.affinity import Affinity
from lbproxy.proxy.destination import Destination
from lbproxy.proxy.queue import Queue
from lbproxy.proxy.router import Router
from tests.unit.proxy.no_crowd import NoLock
from tests.unit.proxy.world import EOF, FakeStream, World, get, ok


class Crowd:
    """One worker as a World, another as a bare pool; one backend that takes one request at a time."""

    def __init__(self, limit: int = 10) -> None:
        self.world = world = World(1)
        world.ledger.open_row(1)
        backends = [Backend("app", "b0", "backend.test", "10.0.0.1", 9000, 1, 1, 0)]
        self.woken: list[int] = []
        self.pool, self.other = (
            QueuedPool(
                "app", backends, world.ledger, PickLock(NoLock(), world.ledger, child), child, None, 0,
                SharedQueue(world.ledger, child, 0, limit, world.clock), self.woken.append,
            )
            for child in (0, 1)
        )  # fmt: skip
        self.queue = Queue(self.pool, world, world.clock, 5.0, lambda queue: None)
        world.service.router = Router([(model.RouteConfig("app"), Destination(self.pool, model.TimeoutsConfig()))])
        world.service.admissions = {"app": Admission(self.pool, Affinity(), self.queue)}

    def ask(self) -> FakeStream:
        client = self.world.connect()
        client.feed(get())
        return client

    def wake(self) -> None:
        """What the worker does when it was woken."""
        assert self.woken.pop() == 0
        self.woken.clear()
        self.queue.serve()
        self.world.settle()

    def at_rest(self) -> None:
        assert len(self.queue) == 0
        assert self.world.ledger.slot_total(PerSlot.QUEUED, 0) == 0
        assert self.world.ledger.slot_total(PerSlot.LINE_HEAD, 0) == 0
        self.world.at_rest()


def test_they_are_served_in_order() -> None:
    """One place, three clients: each gets it when the one before is done, and the log tells how long it waited."""
    crowd = Crowd()
    clients = [crowd.ask() for _ in range(3)]
    assert len(crowd.queue) == 2
    for number, client in enumerate(clients):
        assert len(crowd.world.upstreams) == 1
        crowd.world.now += 0.5
        crowd.world.upstream.feed(ok(b"%d" % number))
        assert client.take().endswith(b"%d" % number)
        if number < 2:
            crowd.wake()
    assert [line["queue_ms"] for line in crowd.world.lines()] == [0.0, 500.0, 1000.0]
    crowd.at_rest()


def test_a_place_in_another_worker_rings_here() -> None:
    """And one that comes while somebody waits here does not overtake."""
    crowd = Crowd()
    held = crowd.other.pick((), NO_PREFERENCE)
    assert isinstance(held, Lease)
    client = crowd.ask()
    held.release()
    assert not isinstance(crowd.other.pick((), NO_PREFERENCE), Lease)
    crowd.wake()
    crowd.world.upstream.feed(ok())
    assert client.take().startswith(b"HTTP/1.1 200 ")
    crowd.at_rest()


def test_too_late() -> None:
    """503 with a reason and Retry-After when the time is over; who came later waits on."""
    crowd = Crowd()
    first = crowd.ask()
    second = crowd.ask()
    crowd.world.now += 3.0
    third = crowd.ask()
    crowd.world.now += 2.0
    assert crowd.queue.look_again()
    crowd.world.settle()
    answer = second.take()
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"\r\nRetry-After: 1\r\n" in answer
    assert third.take() == b""
    crowd.world.upstream.feed(ok())
    assert first.take().startswith(b"HTTP/1.1 200 ")
    crowd.wake()
    crowd.world.upstream.feed(ok())
    assert third.take().startswith(b"HTTP/1.1 200 ")
    assert sorted(crowd.world.outcomes()) == [(200, ""), (200, ""), (503, "queue_timeout")]
    crowd.at_rest()


def test_no_more_than_may_wait() -> None:
    """The next one is told at once."""
    crowd = Crowd(limit=1)
    first = crowd.ask()
    second = crowd.ask()
    assert crowd.ask().take().startswith(b"HTTP/1.1 503 ")
    assert crowd.world.outcomes() == [(503, "queue_full")]
    for client in (first, second):
        crowd.world.upstream.feed(ok())
        assert client.take().startswith(b"HTTP/1.1 200 ")
        if client is first:
            crowd.wake()
    crowd.at_rest()


@pytest.mark.parametrize("at_the_same_moment", [False, True])
def test_a_client_that_leaves(at_the_same_moment: bool) -> None:
    """Leaves the line; a place that was given to it meanwhile goes to the next."""
    crowd = Crowd()
    first, second, third = (crowd.ask() for _ in range(3))
    if at_the_same_moment:
        crowd.world.upstream.feed(ok())
        crowd.queue.serve()  # the second has the place, and has not run yet
    second.feed(EOF)
    if not at_the_same_moment:
        crowd.world.upstream.feed(ok())
        crowd.wake()
    else:
        crowd.queue.look_again()
        crowd.world.settle()
    assert first.take().startswith(b"HTTP/1.1 200 ")
    crowd.world.upstream.feed(ok())
    assert third.take().startswith(b"HTTP/1.1 200 ")
    assert (499, "client_closed") in crowd.world.outcomes()
    crowd.at_rest()


def test_what_nobody_rings_for_is_found_in_time() -> None:
    """The requests of a worker that died; and when the backend is down there is nothing to wait for."""
    crowd = Crowd()
    assert isinstance(crowd.other.pick((), NO_PREFERENCE), Lease)
    client = crowd.ask()
    crowd.world.ledger.retire_row(1)
    crowd.queue.look_again()
    crowd.world.settle()
    late = crowd.ask()
    crowd.world.ledger.cells[state_at(SlotState.HEALTH, 0)] = HealthState.DOWN
    assert not crowd.queue.look_again()
    crowd.world.settle()
    assert late.take().startswith(b"HTTP/1.1 503 ")
    crowd.world.upstream.feed(ok())
    assert client.take().startswith(b"HTTP/1.1 200 ")
    assert (503, "no_backend") in crowd.world.outcomes()
    crowd.at_rest()


def test_a_worker_that_has_to_end() -> None:
    """Those in line are told so."""
    crowd = Crowd()
    first, second = crowd.ask(), crowd.ask()
    for connection in list(crowd.world.service.connections):
        connection.cut()
    crowd.world.settle()
    for client in (first, second):
        assert client.take().startswith(b"HTTP/1.1 503 ")
    assert {reason for _, reason in crowd.world.outcomes()} == {"drain_timeout"}
    crowd.at_rest()


def test_who_waits_keeps_his_place_when_backends_change() -> None:
    """A backend more takes the first of them at once; the one that was full leaves, and its request ends there."""
    crowd = Crowd()
    first, second, third = crowd.ask(), crowd.ask(), crowd.ask()
    assert len(crowd.queue) == 2
    old = crowd.pool.backends[0]
    fresh = Backend("app", "b5", "backend.test", "10.0.0.2", 9005, 1, 1, 5)
    crowd.world.ledger.cells[state_at(SlotState.HEALTH, 5)] = HealthState.UP
    crowd.pool.set_backends([fresh], None)
    crowd.world.service.admissions["app"].backends_moved(Affinity())
    crowd.world.settle()
    assert len(crowd.queue) == 1
    assert crowd.world.dials == [9000, 9005]
    one, two = crowd.world.upstreams
    one.feed(ok(b"old"))
    assert first.take().endswith(b"old")
    assert crowd.world.ledger.slot_total(PerSlot.IN_FLIGHT, old.slot) == 0
    two.feed(ok(b"new"))
    assert second.take().endswith(b"new")
    crowd.wake()
    crowd.world.upstreams[-1].feed(ok(b"third"))
    assert third.take().endswith(b"third")
    crowd.at_rest()


OLD, NEW = HashRing(["a", "b", "c"], [1, 1, 1]), HashRing(["a", "c", "d"], [1, 1, 1])


@pytest.mark.parametrize(("moved", "wanted"), [
    ([0, 1, 2], Preference(2, 7, NEW)), ([1, 2, 0], Preference(0, 7, NEW)), ([0, 1, -1], Preference(-1, 7, NEW)),
])  # fmt: skip
def test_what_they_want_is_who_it_was(moved: list[int], wanted: Preference) -> None:
    """By its new index; a source is looked for among the new ones."""
    crowd = Crowd()
    crowd.ask()
    crowd.ask()
    [waiting] = crowd.queue._line
    waiting.preference = Preference(2, 7, OLD)
    crowd.queue.backends_moved(moved, NEW)
    assert waiting.preference == wanted
    waiting.preference = NO_PREFERENCE
    crowd.queue.backends_moved(moved, NEW)
    assert waiting.preference == NO_PREFERENCE
