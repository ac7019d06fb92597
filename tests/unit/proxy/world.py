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
from lbproxy.balance.ledger import (
    WHOLE_SIZE,
    HealthState,
    Ledger,
    PerSlot,
    PickLock,
    Scalar,
    SlotState,
    cell_at,
    scalar_at,
    state_at,
)
from lbproxy.balance.pool import Pool
from lbproxy.config import model
from lbproxy.config.vocabulary import SPOKEN
from lbproxy.errors import UpstreamError
from lbproxy.filter.counts import CountTable
from lbproxy.filter.limiter import CLIENTS_KEPT, LimiterMemory
from lbproxy.filter.rates import SPAN, RateTable
from lbproxy.http.forwarding import Forwarder
from lbproxy.http.tls_facts import TlsFacts
from lbproxy.observe.access import AccessLog
from lbproxy.proxy.client import ClientConnection
from lbproxy.proxy.downstream import NO_REDIRECT
from lbproxy.proxy.h2.backends import H2Backends, wants_http_2
from lbproxy.proxy.retry_budget import RetryBudgets
from lbproxy.proxy.router import Router
from lbproxy.proxy.service import Counters, Service
from lbproxy.proxy.steps.waf_asking import Copies, Inspectors
from lbproxy.proxy.upstream_pool import UpstreamPool
from lbproxy.remembered import Budget
from lbproxy.streams import NEVER, Strand, Strands
from lbproxy.waf.messages import WafVerdict
from lbproxy.worker.accept.connection_limit import ConnectionLimit
from lbproxy.worker.wiring.destinations import make_destinations
from lbproxy.worker.wiring.filtering import make_filters
from lbproxy.worker.wiring.inspecting import Documents, Means
from tests.unit.proxy.fake_stream import EOF as EOF
from tests.unit.proxy.fake_stream import LOST as LOST
from tests.unit.proxy.fake_stream import UNHEARD as UNHEARD
from tests.unit.proxy.fake_stream import FakeStream as FakeStream
from tests.unit.proxy.fakes import FakeScratch
from tests.unit.proxy.no_crowd import NoLock, NoWakeups

LISTENER = 20
"""The slot of the listener that clients come through."""
ICAP = 6
"""The slot of the first ICAP server, where a route has any."""



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


class World(Strands):
    """See streams.Strands and streams.Dialer, both of which it is; and the service of one worker around them."""

    def __init__(
        self,
        backends: int = 2,
        *,
        timeouts: model.TimeoutsConfig | None = None,
        limits: model.LimitsConfig | None = None,
        route: model.RouteConfig | None = None,
        client_limits: tuple[model.ClientLimitConfig, ...] = (),
        pool: model.PoolConfig | None = None,
        scratch: FakeScratch | None = None,
        heard: bool = True,
        contents: tuple[bytes, ...] = (),
        verify: Callable[[bytes, str], bool] = lambda password, hashed: False,
        icap_servers: int = 1,
        tap: model.TapConfig | None = None,
        inspectors: Inspectors | None = None,
    ) -> None:
        """`heard`: the backends are known to speak HTTP/1.1; `contents`: of the route's documents; `verify`: checks a password."""
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
        self.ledger = Ledger(mmap.mmap(-1, WHOLE_SIZE))
        self.ledger.open_row(0)
        servers = [Backend("app", f"b{slot}", "backend.test", "10.0.0.1", 9000 + slot, 1, 0, slot) for slot in range(backends)]
        for slot in range(backends):
            self.ledger.cells[state_at(SlotState.HEALTH, slot)] = HealthState.UP
        pick_lock = PickLock(NoLock(), self.ledger, 0)
        balanced = Pool("app", servers, self.ledger, pick_lock, 0)
        self.limit = ConnectionLimit(self.ledger, pick_lock, 0, LISTENER, 0, NoWakeups())
        route = route or model.RouteConfig("app")
        self.pick_lock = pick_lock
        self.pool = balanced
        self.config = model.Config(
            source="",
            listen=(),
            routes=(route,),
            pools=(pool,) if pool is not None else tuple(
                model.PoolConfig(name, ()) for name in dict.fromkeys((*route.pools, *route.asks, "app"))
            ),
            timeouts=timeouts or model.TimeoutsConfig(),
            limits=limits or model.LimitsConfig(),
            client_limits=client_limits,
        )
        counts = CountTable(_cells(), 64 * SPAN, 0)
        memory = LimiterMemory(RateTable(_cells()), counts, nullcontext(), lambda: [0], bytes(32), Budget(CLIENTS_KEPT))
        [filters] = make_filters(self.config, self.ledger, 0, memory, self.clock)
        self.access_log = AccessLog(0.0, lambda second: "2026-01-01T00:00:00")
        self.inspected: list[str] = []  # what steps made of requests
        named = dict.fromkeys((*route.pools, *route.asks), balanced)
        if route.icap is not None:
            slots = range(ICAP, ICAP + icap_servers)
            asked = [Backend("icap", f"i{slot}", "icap.test", "10.0.0.9", 9000 + slot, 1, 0, slot) for slot in slots]
            for slot in slots:
                self.ledger.cells[state_at(SlotState.HEALTH, slot)] = HealthState.UP
            named[route.icap.pool] = Pool("icap", asked, self.ledger, pick_lock, 0)
        self.suspended: list[str] = []
        self.no_verdicts: list[str] = []
        self.tapped: list[tuple[str, str, int, bytes, bytes]] = []
        self.tap_full = False
        self.documents = Documents(self.config, contents)
        self.differences: list[tuple[object, ...]] = []
        self.copies = Copies()
        self.attacks: list[tuple[str, WafVerdict]] = []  # what rules found
        self.wanted: list[str] = []  # sets of keys that lack one, by name
        means = Means(
            lambda step, outcome: self.inspected.append(f"{step} {outcome}"), self.documents, memory, verify,
            lambda *facts: self.differences.append(facts), self.wanted.append, self.suspended.append,
            {} if tap is None else {tap.name: (tap, self._tap)},
            self.config.wafs, inspectors, lambda path, client, verdict: self.attacks.append((path, verdict)),
            self.copies, self.no_verdicts.append, mirror_left=self.suspended.append,
        )  # fmt: skip
        self.routed = make_destinations(self.config, named, [filters], bytes(32), means=means).routes
        self.scratch, self.idle = scratch, UpstreamPool(self.clock, checked=self.ledger.spoken)
        for slot in range(backends if heard else 0):
            self.idle.heard(slot, 1)
        self.introductions: list[bytes] = []  # what backends were told in front of everything else, by dial
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
        self.ended: list[str] = []  # why connections to backends of HTTP/2 were
        self.alpn = ["h2"]  # what backends choose of, best first
        if any(map(wants_http_2, self.config.pools)):
            self.idle.shared = H2Backends(self.service, self.config.pools, lambda backend, reason: self.ended.append(reason))

    def _tap(self, *conversation: Any) -> bool:
        if not self.tap_full:
            self.tapped.append(conversation)
        return not self.tap_full

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

    def dial(
        self, ip: str, port: int, pool: str, host: str, patience: float, http_1: bool = False, introduction: bytes = b""
    ) -> FakeStream:
        self.dials.append(port)
        self.introductions.append(introduction)
        self.patience = patience
        if port in self.hanging:
            self.me()
            self.wait()
        if port in self.refusing:
            raise self.refusing[port]
        stream = FakeStream(self, f"backend {port} #{len(self.upstreams)}", self.backend_room)
        protocols = {known.name: known.protocol for known in self.config.pools}  # without those of a split
        offered = ["http/1.1"] if http_1 else SPOKEN[protocols.get(pool, "http/1.1")]
        stream.agreed = next((protocol for protocol in self.alpn if protocol in offered), "")
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
        self,
        room: int | None = None,
        *,
        redirect: bool = False,
        peer: str = "192.0.2.1",
        trusted: tuple[model.Network, ...] = (),
        certificate: bytes = b"",
    ) -> FakeStream:
        """A client's connection, parked until its first input. `certificate`: what it has shown."""
        stream = FakeStream(self, "client", room)
        self.limit.acquire_anyway()
        forwarder = Forwarder(peer, "http" if redirect else "https", 443, trusted, tls=lambda: TlsFacts(certificate=certificate))
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
