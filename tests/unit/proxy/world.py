"""A world without sockets: streams, greenlets and time that do only what a test says, in an order that is always the same.

The test is the event loop. It feeds bytes to streams, lets time pass, and looks at what was written; greenlets run when something
they wait for happens, and `settle` runs what they have put off. Nothing here sleeps.
"""

from __future__ import annotations

import json
import mmap
from collections import deque
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

from greenlet import getcurrent, greenlet

from lbproxy.balance.backend import Backend
from lbproxy.balance.ledger import SIZE, Health, Ledger, PerSlot, PickLock, Scalar, SlotState, cell_at, scalar_at, state_at
from lbproxy.balance.pool import Pool
from lbproxy.config import model
from lbproxy.errors import ConnectionLost, TimedOut, UpstreamError
from lbproxy.filter.counts import CountTable
from lbproxy.filter.limiter import CLIENTS_KEPT, Memory
from lbproxy.filter.rates import SPAN, RateTable
from lbproxy.http.forwarding import Forwarder
from lbproxy.observe.access import AccessLog
from lbproxy.proxy.client import ClientConnection
from lbproxy.proxy.downstream import NO_REDIRECT
from lbproxy.proxy.retry_budget import RetryBudgets
from lbproxy.proxy.router import Router
from lbproxy.proxy.service import Counters, Service
from lbproxy.proxy.upstream_pool import UpstreamPool
from lbproxy.remembered import Budget
from lbproxy.streams import NEVER, Buffer, PutOff, Strand, Stream
from lbproxy.worker.accept.connection_limit import ConnectionLimit
from lbproxy.worker.wiring.destinations import make_destinations
from lbproxy.worker.wiring.filtering import make_filters
from tests.unit.proxy.fakes import FakeScratch
from tests.unit.proxy.no_crowd import NoLock, NoWakeups

EOF = b""
UNHEARD = type("Unheard", (bytes,), {})()
"""An end that had begun before the peer got what was written last."""
LOST = ConnectionLost("reset by the test")


class FakeStream(Stream):
    """See streams.Stream. `room`: bytes that may be written before the writer has to wait; None for any number."""

    def __init__(self, world: World, name: str, room: int | None = None) -> None:
        self.world = world
        self.name = name
        self.room = room
        self.deadline = NEVER
        self.write_deadline = NEVER
        self.owner = None
        self.half_closed = self.patient = self.unread = False
        self.stalls = 0
        self.write_stall = 30.0
        self.sent = self._early = b""
        self.wired = 0
        self.heard = 0
        """How much of it the peer had got when it ended its side."""
        self.asked: list[int] = []
        """How much each read wanted at most."""
        self.end = ""  # "close" | "finish" | "abort"
        self.output_ended = False
        self.busy = False
        """Finished in the middle of something that nobody wants any more."""
        self.lingering = False
        """Finished, and not yet closed in the background."""
        self.broken: Exception | None = None
        """Raised at writes."""
        self.turns: int | None = None
        """How much may still be done in this turn; None: the budget is not spent."""
        self.waiting: list[PutOff] = []
        """Who was put off."""
        self._inbox: deque[bytes | Exception] = deque()
        self._reader: greenlet | None = None
        self._writer: greenlet | None = None
        world.streams.append(self)

    def __repr__(self) -> str:
        return f"<{self.name} {self.end or 'open'}>"

    def is_open(self) -> bool:
        return not self.end

    # ---- what the test does

    def feed(self, *items: bytes | Exception) -> None:
        """Input, EOF or an exception arrives; then everything runs until it waits."""
        for item in items:
            if self.end == "finish":
                continue  # discarded by the linger
            assert not self.end, f"{self!r} got input after its end"
            self._inbox.append(item)
            if item == EOF and item is not UNHEARD:
                self.heard = self.wired
            if self._reader is not None:
                reader, self._reader = self._reader, None
                reader.switch()
            else:
                self.unread = True
                if self.owner is not None:
                    self.owner.on_readable()
            self.world.settle()

    def take(self) -> bytes:
        """What was written since the last time."""
        sent, self.sent = self.sent, b""
        return sent

    def make_room(self, room: int | None) -> None:
        """The peer reads: more may be written."""
        self.room = room
        if self._writer is not None:
            self._writer.switch()
        self.world.settle()

    @property
    def waits(self) -> str:
        """Who waits on it: any of "r" and "w"."""
        return ("r" if self._reader is not None else "") + ("w" if self._writer is not None else "")

    def expire(self, now: float) -> None:
        if self.write_deadline <= now and self._writer is not None:
            self._writer.throw(TimedOut("write stalled"))
        elif self.deadline <= now:
            self.deadline = NEVER
            self.lingering = False
            if self._reader is not None:
                self._reader.throw(TimedOut("read timed out"))
            elif self.owner is not None:
                self.owner.on_expired()

    # ---- what proxy/ does

    def read(self, limit: int) -> bytes:
        self.asked.append(limit)
        if self._early:
            data, self._early = self._early, b""
            return data
        while not self._inbox:
            if self.end:
                raise ConnectionLost("stream closed")
            assert self._reader is None, f"two readers of {self.name}"
            self._reader = self.world.me()
            try:
                self.world.wait()
            finally:
                self._reader = None
        item = self._inbox[0]
        if isinstance(item, Exception):
            raise item
        if not item:
            return b""
        self._inbox.popleft()
        if len(item) > limit:
            self._inbox.appendleft(item[limit:])
        self.unread = bool(self._inbox)
        return item[:limit]

    def give_way(self) -> None:
        self.world.sleep(0.0)

    def has_turn(self, waiting: PutOff) -> bool:
        if self.turns is None:
            return True
        if self.turns:
            self.turns -= 1
            return True
        self.waiting.append(waiting)
        return False

    def read_early(self) -> bool:
        while self._inbox and len(self._early) < 16384:
            item = self._inbox[0]
            if isinstance(item, Exception) or not item:
                self.half_closed = not isinstance(item, Exception)
                return False
            self._inbox.popleft()
            self._early += item
        self.unread = bool(self._inbox)
        return True

    def write(self, data: Buffer) -> None:
        rest = bytes(data)
        while True:
            if self.broken is not None:
                raise self.broken
            if self.end:
                raise ConnectionLost("stream closed")
            assert not self.output_ended, f"{self!r} is written to after its output ended"
            size = len(rest) if self.room is None else min(self.room, len(rest))
            self.sent += rest[:size]
            self.wired += size
            if self.room is not None:
                self.room -= size
            rest = rest[size:]
            if not rest:
                return
            self._wait_for_room()

    def await_room(self) -> None:
        """As `write` does, when nothing more would go."""
        if self.room == 0:
            self._wait_for_room()

    def _wait_for_room(self) -> None:
        assert self._writer is None, f"two writers to {self.name}"
        self._writer = self.world.me()
        self.stalls += 1
        self.write_deadline = self.world.now + self.write_stall
        try:
            self.world.wait()
        finally:
            self._writer = None
            self.write_deadline = NEVER

    def has_early(self) -> bool:
        return bool(self._early)

    def taken(self, since: int) -> bool:
        """The test's peer has always got what was written."""
        return self.wired > since

    def unseen(self, since: int) -> bool:
        ended = EOF in self._inbox and not any(isinstance(item, Exception) for item in self._inbox)
        return self.wired == since or (ended and self.heard <= since)

    def end_output(self) -> None:
        self.write(b"")
        self.output_ended = True

    def close(self) -> None:
        self._close("close")

    def finish(self, busy: bool = False) -> None:
        if not self.end:
            self.busy = busy
            self.owner = None
            self.end = "finish"
            self.lingering = True
            self.deadline = self.world.now + 2.0

    def abort(self) -> None:
        self._close("abort")

    def _close(self, how: str) -> None:
        if self.end:
            return
        self.owner = None
        self.end = how
        for waiting in (self._reader, self._writer):
            if waiting is not None and waiting is not getcurrent():
                self.world.throw_later(waiting, ConnectionLost("stream closed"))


LISTENER = 20
"""The slot of the listener that clients come through."""


class FakeAlarm:
    """See streams.Alarm."""

    def __init__(self, world: World, at: float, run: Callable[[], None]) -> None:
        self.world = world
        self.at = at
        self.run = run

    def stop(self) -> None:
        if self in self.world.alarms:
            self.world.alarms.remove(self)


def _cells() -> memoryview[int]:
    """For clients' rates or counts; fewer than in the ledger."""
    return memoryview(bytearray(64 * SPAN * 8)).cast("q")


class World:
    """See streams.Strands and streams.Dialer, both of which it is; and the service of one worker around them."""

    def __init__(
        self,
        backends: int = 2,
        *,
        timeouts: model.Timeouts | None = None,
        limits: model.Limits | None = None,
        route: model.Route | None = None,
        client_limits: tuple[model.ClientLimit, ...] = (),
        pool: model.Pool | None = None,
        scratch: FakeScratch | None = None,
        heard: bool = True,
    ) -> None:
        """`heard`: the backends are known to speak HTTP/1.1."""
        self.now = 1000.0
        self._loop = getcurrent()
        self._put_off: deque[Callable[[], object]] = deque()
        self.strands: list[greenlet] = []
        self.streams: list[FakeStream] = []
        self.faults: list[BaseException] = []
        self.slept: list[float] = []
        self.alarms: list[FakeAlarm] = []
        self.dials: list[int] = []
        """Ports, in order."""
        self.refusing: dict[int, UpstreamError] = {}
        self.patience = 0.0  # that of the last dial
        self.hanging: set[int] = set()
        """Ports where dialling waits for ever."""
        self.backend_room: int | None = None
        self.upstreams: list[FakeStream] = []
        self.ledger = Ledger(mmap.mmap(-1, SIZE))
        self.ledger.open_row(0)
        servers = [Backend("app", f"b{slot}", "backend.test", "10.0.0.1", 9000 + slot, 1, 0, slot) for slot in range(backends)]
        for slot in range(backends):
            self.ledger.cells[state_at(SlotState.HEALTH, slot)] = Health.UP
        pick_lock = PickLock(NoLock(), self.ledger, 0)
        balanced = Pool("app", servers, self.ledger, pick_lock, 0)
        self.limit = ConnectionLimit(self.ledger, pick_lock, 0, LISTENER, 0, NoWakeups())
        route = route or model.Route("app")
        self.pick_lock = pick_lock
        self.pool = balanced
        self.config = model.Config(
            source="",
            listen=(),
            routes=(route,),
            pools=(pool,) if pool is not None else tuple(model.Pool(name, ()) for name in route.pools or ("app",)),
            timeouts=timeouts or model.Timeouts(),
            limits=limits or model.Limits(),
            client_limits=client_limits,
        )
        counts = CountTable(_cells(), 64 * SPAN, 0)
        memory = Memory(RateTable(_cells()), counts, nullcontext(), lambda: [0], bytes(32), Budget(CLIENTS_KEPT))
        [filters] = make_filters(self.config, self.ledger, 0, memory, self.clock)
        self.access_log = AccessLog(0.0, lambda second: "2026-01-01T00:00:00")
        self.routed = make_destinations(self.config, dict.fromkeys(route.pools, balanced), [filters], bytes(32)).routes
        self.scratch, self.idle = scratch, UpstreamPool(self.clock, checked=self.ledger.spoken)
        for slot in range(backends if heard else 0):
            self.idle.heard(slot, 1)
        self.troubles: list[str] = []  # why something could not be buffered
        self.service = Service(
            config=self.config,
            router=Router(self.routed),
            idle=self.idle,
            dialer=self,
            strands=self,
            counters=Counters(self.ledger, 0),
            access=self.access_log,
            clock=self.clock,
            on_fault=self.faults.append,
            retries=RetryBudgets(self.ledger.cells, 0, pick_lock, self.sleep, () if pool is None else (pool,)),
            scratch=scratch,
            on_buffer_failed=self.troubles.append,
        )

    # ---- time and greenlets

    def clock(self) -> float:
        return self.now

    def me(self) -> greenlet:
        here = getcurrent()
        assert here is not self._loop, "the event loop must not wait"
        return here

    def wait(self) -> None:
        self._loop.switch()

    def current(self) -> Strand:
        return self.me()

    def start(self, run: Callable[[], None]) -> None:
        assert getcurrent() is self._loop, "strands are started from the event loop"
        strand = greenlet(run, self._loop)
        self.strands.append(strand)
        strand.switch()

    def later(self, run: Callable[[], None]) -> None:
        self._put_off.append(run)

    def park(self) -> None:
        self.me()
        self.wait()

    def sleep(self, seconds: float) -> None:
        """Until the loop's next turn: time stands still here."""
        me = self.me()
        asleep = {me}
        self._put_off.append(lambda: me.switch() if me in asleep else None)
        self.slept.append(seconds)
        try:
            self.wait()
        finally:
            asleep.clear()

    def throw_later(self, strand: Strand, error: BaseException) -> None:
        self._put_off.append(lambda: None if getattr(strand, "dead", False) else strand.throw(error))

    def alarm(self, seconds: float, run: Callable[[], None]) -> FakeAlarm:
        self.alarms.append(FakeAlarm(self, self.now + seconds, run))
        return self.alarms[-1]

    def settle(self) -> None:
        """Run what was put off, and what that puts off."""
        while self._put_off:
            self._put_off.popleft()()

    def pass_time(self, seconds: float) -> None:
        """Let time pass in steps of a sweep."""
        until = self.now + seconds
        while self.now < until:
            self.now = min(until, self.now + 0.25)
            for stream in list(self.streams):
                if stream.end in ("", "finish"):
                    stream.expire(self.now)
            for alarm in list(self.alarms):
                if alarm.at <= self.now:
                    alarm.stop()
                    alarm.run()
            self.settle()

    # ---- backends

    def dial(self, ip: str, port: int, pool: str, host: str, patience: float) -> FakeStream:
        self.dials.append(port)
        self.patience = patience
        if port in self.hanging:
            self.me()
            self.wait()
        if port in self.refusing:
            raise self.refusing[port]
        stream = FakeStream(self, f"backend {port} #{len(self.upstreams)}", self.backend_room)
        self.upstreams.append(stream)
        return stream

    def refuse(self, *slots: int) -> None:
        for slot in slots:
            self.refusing[9000 + slot] = UpstreamError(502, "connection_refused", nothing_sent=True)

    @property
    def upstream(self) -> FakeStream:
        """The latest connection to a backend."""
        return self.upstreams[-1]

    # ---- clients

    def connect(
        self, room: int | None = None, *, redirect: bool = False, peer: str = "192.0.2.1", trusted: tuple[model.Network, ...] = ()
    ) -> FakeStream:
        """A client's connection, parked until its first input."""
        stream = FakeStream(self, "client", room)
        self.limit.acquire_anyway()
        forwarder = Forwarder(peer, "http" if redirect else "https", 443, trusted)
        ClientConnection(self.service, stream, peer, forwarder, 0 if redirect else NO_REDIRECT, 0.0, self.limit).await_first()
        return stream

    # ---- afterwards

    def lines(self) -> list[dict[str, Any]]:
        """The access lines since the last time."""
        return [json.loads(line) for line in self.access_log.take().splitlines()]

    def outcomes(self) -> list[tuple[int, str]]:
        """Status and reason of each of these lines."""
        return [(line["status"], line["reason"]) for line in self.lines()]

    def count(self, what: PerSlot, slot: int) -> int:
        return self.ledger.cells[cell_at(0, what, slot)]

    def at_rest(self) -> None:
        """Once nothing is going on: every lease is back, every greenlet has ended, every connection is idle or over."""
        self.pass_time(2.5)
        assert self.faults == []
        assert self.ledger.verify() == []
        in_flight = [self.ledger.slot_total(PerSlot.IN_FLIGHT, slot) for slot in range(8)]
        assert not any(in_flight), f"in flight: {in_flight}"
        assert self.ledger.total(Scalar.LIVE_REQUESTS) == 0
        assert self.scratch is None or not self.scratch.blocks, "blocks that nobody freed"
        assert not self.alarms, "an alarm that nobody stopped"
        alive = [strand for strand in self.strands if not strand.dead]
        assert not alive, f"{len(alive)} greenlets left"
        connections = self.ledger.cells[scalar_at(0, Scalar.CONNECTIONS)]
        assert connections == len(self.service.connections)
        open_clients = [stream for stream in self.streams if stream.name == "client" and not stream.end]
        assert len(open_clients) == connections
        assert all(stream.deadline < NEVER for stream in open_clients), "an idle client has a deadline"
        lingering = [stream for stream in self.streams if stream.lingering]
        assert all(stream.deadline <= self.now + 2.0 for stream in lingering), "a finished stream lost its deadline"
        idle = [upstream for upstream in self.upstreams if not upstream.end]
        assert len(idle) == len(self.service.idle), f"open but not idle: {idle}"


def get(path: str = "/", *fields: str, method: str = "GET", minor: int = 1) -> bytes:
    """A request without a body."""
    lines = [f"{method} {path} HTTP/1.{minor}", "Host: example.org", *fields]
    return "\r\n".join([*lines, "", ""]).encode()


def post(body: bytes, *fields: str, method: str = "POST", length: int | None = None) -> bytes:
    """A request with a Content-Length (of `length`, when only a part of the body is here)."""
    return get("/", f"Content-Length: {len(body) if length is None else length}", *fields, method=method) + body


def ok(body: bytes = b"ok", *fields: str, status: str = "200 OK", minor: int = 1) -> bytes:
    """A response with a Content-Length."""
    lines = [f"HTTP/1.{minor} {status}", f"Content-Length: {len(body)}", *fields]
    return "\r\n".join([*lines, "", ""]).encode() + body


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
