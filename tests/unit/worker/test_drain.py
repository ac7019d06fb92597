"""Draining, with connections that are scripts and a clock that only the test moves."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproxy.ipc.messages import Drain
from lbproxy.proxy.service import Service
from lbproxy.worker.drain import IDLE_AHEAD, LINGER, Drainage, DrainLimits

GRACE = 2.0
NEVER = float("inf")


class Stream:
    """Open until it is aborted or its connection ends."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.aborted = False
        world.streams.append(self)

    def abort(self) -> None:
        self.aborted = True
        self.end()

    def end(self) -> None:
        self._world.streams.remove(self)


class Connection:
    """In a request, idle, or a tunnel; its stream goes with it, unless it lingers after a cut."""

    def __init__(self, world: World, kind: str, lingers: bool = False) -> None:
        self._world = world
        self.kind = kind
        self.lingers = lingers
        self.idle_until = NEVER
        self.cut_at = NEVER
        self.ended_at = NEVER
        self.stream = Stream(world)
        world.service.connections.add(self)
        world.everybody.append(self)

    @property
    def tunnel(self) -> bool:
        return self.kind == "tunnel"

    def drain(self, now: float, grace: float) -> None:
        if self.kind == "idle":
            self.idle_until = min(self.idle_until, now + grace)

    def cut(self) -> None:
        self.cut_at = self._world.now
        self._end()
        if not self.lingers:
            self.stream.end()

    def finish(self) -> None:
        """By itself."""
        self._end()
        self.stream.end()

    def _end(self) -> None:
        self.ended_at = self._world.now
        self._world.service.connections.remove(self)


@dataclass
class Idle:
    """Connections to backends that nobody uses."""

    closed: int = 0

    def close(self) -> None:
        self.closed += 1


@dataclass
class FakeService:
    """What draining asks of a Service."""

    connections: set[Connection] = field(default_factory=set)
    idle: Idle = field(default_factory=Idle)
    draining: bool = False
    idle_grace: float = 60.0


class World:
    """A worker's connections and its clock."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.service = FakeService()
        self.streams: list[Stream] = []
        self.everybody: list[Connection] = []
        self.drainage: Drainage | None = None

    def have(self, kind: str, lingers: bool = False) -> Connection:
        return Connection(self, kind, lingers)

    def drain(self, timeout: float = 30.0, idle: float = 0.0, tunnel: float = 0.0) -> Drainage:
        limits = DrainLimits(timeout, idle, tunnel, frozenset())
        if self.drainage is None:
            self.drainage = Drainage(cast(Service, self.service), self.streams, limits, GRACE, self.now)
        else:
            self.drainage.shorten(limits, self.now)
        return self.drainage

    def wait(self, seconds: float) -> bool:
        """Turns for so long; whether the worker may end."""
        assert self.drainage is not None
        end = self.now + seconds
        over = self.drainage.advance(self.now)
        while not over and self.now < end:
            self.now = min(self.now + 0.05, end)
            for connection in [one for one in self.service.connections if one.idle_until <= self.now]:
                connection.finish()
            over = self.drainage.advance(self.now)
        return over


@pytest.fixture
def world() -> World:
    return World()


# ---------------------------------------------------------------- what the master says


def test_limits_as_the_master_tells_them() -> None:
    assert DrainLimits.told(Drain(1500, 250, 3_600_000, "0,2,11")) == DrainLimits(1.5, 0.25, 3600.0, frozenset({0, 2, 11}))
    assert DrainLimits.told(Drain(0)) == DrainLimits(0.0, 0.0, 0.0, frozenset())


def test_without_a_master_everything_closes_and_nobody_idles() -> None:
    assert DrainLimits.orphaned(30.0, 3) == DrainLimits(30.0, 0.0, 30.0, frozenset({0, 1, 2}))


# ---------------------------------------------------------------- a drain that loses nobody


def test_nobody_there_nothing_to_wait_for(world: World) -> None:
    world.drain()
    assert world.service.draining
    assert world.wait(0)


def test_requests_end_by_themselves(world: World) -> None:
    request = world.have("request")
    drainage = world.drain()
    assert not world.wait(29)
    request.finish()
    assert world.wait(0)
    assert drainage.cut == 0


def test_idle_connections_have_their_grace_and_no_more_in_a_stop(world: World) -> None:
    idle = world.have("idle")
    world.drain(timeout=30.0, idle=0.0)
    assert idle.idle_until == world.now + GRACE
    world.wait(GRACE - 0.1)
    assert world.streams
    assert world.wait(0.2)


def test_in_a_reload_idle_connections_stay_until_shortly_before_the_end(world: World) -> None:
    """So that none of them is cut, or counted as such."""
    idle = world.have("idle")
    drainage = world.drain(timeout=30.0, idle=30.0)
    assert idle.idle_until == world.now + 30.0 - IDLE_AHEAD
    assert world.wait(30)
    assert idle.cut_at == NEVER
    assert drainage.cut == 0


def test_what_became_idle_meanwhile_gets_what_is_left_of_the_patience(world: World) -> None:
    """A response that said nothing of the end went out as the drain began: a request may be on the wire. When nothing is left, the
    grace, or what is left until the cut."""
    world.have("request")
    world.drain(timeout=30.0, idle=10.0)
    assert world.service.idle_grace == 10.0
    world.wait(4)
    assert world.service.idle_grace == pytest.approx(6.0)
    world.wait(20)
    assert world.service.idle_grace == GRACE
    world.wait(5)
    assert world.service.idle_grace == pytest.approx(1.0)
    world.wait(1)
    assert world.service.idle_grace == pytest.approx(0.0)


def test_a_timeout_shorter_than_the_grace_wins(world: World) -> None:
    idle = world.have("idle")
    world.drain(timeout=0.5, idle=60.0)
    assert idle.idle_until == world.now + 0.5


def test_connections_to_backends_that_nobody_uses_are_closed_on_every_turn(world: World) -> None:
    """Exchanges that end put theirs back."""
    world.have("request")
    world.drain()
    before = world.service.idle.closed
    assert before
    world.wait(0.1)
    assert world.service.idle.closed > before


# ---------------------------------------------------------------- the end of patience


def test_requests_are_cut_at_the_limit_and_tunnels_are_not(world: World) -> None:
    request, tunnel = world.have("request"), world.have("tunnel")
    drainage = world.drain(timeout=5.0, tunnel=60.0)
    began = world.now
    world.wait(10)
    assert request.cut_at == pytest.approx(began + 5.0, abs=0.06)
    assert tunnel.cut_at == NEVER
    assert drainage.cut == 1
    assert world.wait(60)
    assert tunnel.cut_at == pytest.approx(began + 60.0, abs=0.06)
    assert drainage.cut == 2


def test_tunnels_never_have_less_time_than_requests(world: World) -> None:
    tunnel = world.have("tunnel")
    began = world.now
    world.drain(timeout=5.0, tunnel=1.0)
    world.wait(10)
    assert tunnel.cut_at == pytest.approx(began + 5.0, abs=0.06)


def test_who_does_not_go_after_a_cut_is_torn_off(world: World) -> None:
    """After LINGER, for the goodbye to arrive."""
    stubborn = world.have("request", lingers=True)
    drainage = world.drain(timeout=5.0)
    assert not world.wait(5.0 + LINGER - 0.1)
    assert not stubborn.stream.aborted
    assert world.wait(0.2)
    assert stubborn.stream.aborted
    assert drainage.cut == 1


def test_a_tunnel_that_ends_long_after_the_requests_were_cut_says_goodbye_in_peace(world: World) -> None:
    """Its own linger, not the one of requests that are history."""
    world.have("request")
    tunnel = world.have("tunnel", lingers=True)
    world.drain(timeout=5.0, tunnel=60.0)
    world.wait(20)
    tunnel._end()  # by itself; its last bytes are on their way
    assert not world.wait(LINGER / 2)
    assert not tunnel.stream.aborted
    assert world.wait(LINGER)
    assert tunnel.stream.aborted


def test_streams_without_a_connection_are_waited_for(world: World) -> None:
    """A handshake, or a goodbye that is not over; it ends by itself, or at the limit."""
    handshake = Stream(world)
    world.drain(timeout=5.0)
    assert not world.wait(5.0 + LINGER - 0.1)
    assert not handshake.aborted
    assert world.wait(0.2)
    assert handshake.aborted


# ---------------------------------------------------------------- more than one Drain


def test_a_second_drain_shortens(world: World) -> None:
    """A stop, while a reload's drain goes on; the grace still counts from the first."""
    request, idle, tunnel = world.have("request"), world.have("idle"), world.have("tunnel")
    world.drain(timeout=30.0, idle=30.0, tunnel=3600.0)
    began = world.now
    world.wait(1)
    world.drain(timeout=5.0, idle=0.0, tunnel=5.0)
    assert world.wait(10)
    assert idle.ended_at == pytest.approx(began + GRACE, abs=0.06)
    assert idle.cut_at == NEVER
    assert request.cut_at == tunnel.cut_at == pytest.approx(began + 6.0, abs=0.06)


def test_a_second_drain_never_prolongs(world: World) -> None:
    request, idle, tunnel = world.have("request"), world.have("idle"), world.have("tunnel")
    world.drain(timeout=5.0, idle=3.0, tunnel=8.0)
    began = world.now
    world.wait(1)
    world.drain(timeout=30.0, idle=30.0, tunnel=3600.0)
    assert world.wait(10)
    assert idle.ended_at == pytest.approx(began + 3.0, abs=0.06)
    assert request.cut_at == pytest.approx(began + 5.0, abs=0.06)
    assert tunnel.cut_at == pytest.approx(began + 8.0, abs=0.06)


def test_a_drain_after_the_cut_does_not_cut_anybody_twice(world: World) -> None:
    world.have("request")
    tunnel = world.have("tunnel")
    drainage = world.drain(timeout=5.0, tunnel=60.0)
    world.wait(10)
    world.drain(timeout=5.0, tunnel=5.0)
    assert world.wait(10)
    assert tunnel.cut_at < NEVER
    assert drainage.cut == 2


LIMITS = st.tuples(*[st.integers(0, 120).map(lambda half: half / 2)] * 3)
KINDS = st.lists(st.tuples(st.sampled_from(["request", "idle", "tunnel"]), st.booleans()), max_size=6)


@given(KINDS, st.lists(st.tuples(st.integers(0, 10), LIMITS), min_size=1, max_size=4))
def test_it_always_ends_and_the_nearest_limit_holds(
    kinds: list[tuple[str, bool]], drains: list[tuple[int, tuple[float, float, float]]]
) -> None:
    """Whoever never goes by himself goes at the nearest limit that any Drain has named, or LINGER after it; not before it."""
    world = World()
    for kind, lingers in kinds:
        world.have(kind, lingers)
    until = tunnels = NEVER
    began = world.now
    for pause, (timeout, idle, tunnel) in drains:
        world.drain(timeout, idle, tunnel)
        if world.now < until:
            until = min(until, world.now + timeout)
        tunnels = min(tunnels, world.now + max(timeout, tunnel))
        world.wait(pause)
    assert world.wait(200)
    for connection in world.everybody:
        if connection.kind == "idle":
            assert connection.ended_at >= min(began + GRACE, until) - 0.01 or connection.cut_at >= until
            assert connection.ended_at <= until + 0.1
        else:
            limit = until if connection.kind == "request" else tunnels
            assert limit - 0.01 <= connection.cut_at <= limit + 0.1
    assert not world.streams
