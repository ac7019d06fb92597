"""The service that all client connections of a worker share: routes, pools, connections to backends, counters, the access log."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping
from typing import Protocol

from lbproxy.balance.ledger import GRPC_CODES, LATENCY_BUCKETS, Ledger, PerSlot, Scalar, cell_at, scalar_at
from lbproxy.config.model import Config
from lbproxy.observe.access import AccessLog
from lbproxy.proxy.admission import Admission
from lbproxy.proxy.destination import Destination
from lbproxy.proxy.retry_budget import RetryBudgets
from lbproxy.proxy.rewriter import Rewriter, everyday_heads
from lbproxy.proxy.router import Router
from lbproxy.proxy.upstream_pool import UpstreamPool
from lbproxy.streams import Dialer, Scratch, Strands

_BIT_LENGTHS = bytes(ticks.bit_length() for ticks in range(1024))


def latency_bucket(seconds: float) -> int:
    """Bucket i counts requests that took less than 2**i * 100 us; the last is unbounded."""
    ticks = int(seconds * 10_000)
    if 0 <= ticks < 1024:
        return _BIT_LENGTHS[ticks]
    bucket = ticks.bit_length()
    return bucket if bucket < LATENCY_BUCKETS else LATENCY_BUCKETS - 1


def most_response_fields(config: Config) -> int:
    """Twice what a client may send."""
    return config.limits.fields * 2


class Counters:
    """What every request counts, kept in plain attributes and written to the ledger several times a second by `publish`.

    An attribute costs a third of a cell of the ledger, and nobody looks at counters more often than that; what must be exact at any
    moment (in flight, connections) is counted in the ledger at once.
    """

    __slots__ = (
        "aborts", "bytes_in", "bytes_out", "cells", "child", "grpc", "h2_live", "h2_open", "h2_requests", "latency", "retries",
        "statuses", "unread",
    )  # fmt: skip

    def __init__(self, ledger: Ledger, child: int) -> None:
        self.cells = ledger.cells
        self.child = child
        self.statuses = array("q", [0] * 10)
        """By the first digit of the status."""
        self.grpc = array("q", [0] * GRPC_CODES)
        """Calls by how they ended (http/grpc.Code); the last are those of which nobody knows."""
        self.latency = array("q", [0] * LATENCY_BUCKETS)
        self.bytes_in = 0
        self.bytes_out = 0
        self.retries = 0
        self.aborts = 0
        self.unread = 0
        self.h2_requests = 0
        self.h2_open = self.h2_live = 0
        """Connections of clients that speak HTTP/2, and requests on them that are being served."""

    def count(self, status: int, bytes_in: int, bytes_out: int, seconds: float) -> None:
        """One request that ended."""
        self.statuses[status // 100] += 1
        self.bytes_in += bytes_in
        self.bytes_out += bytes_out
        self.latency[latency_bucket(seconds)] += 1

    def count_alike(self, status: int, number: int, seconds: float) -> None:
        """So many that ended alike, and had no bytes."""
        self.statuses[status // 100] += number
        self.latency[latency_bucket(seconds)] += number

    def note(self, what: PerSlot, slot: int) -> None:
        """Something that seldom happens happened at a backend: at once to the ledger, where `control` judges by it."""
        self.cells[cell_at(self.child, what, slot)] += 1

    def note_failure(self, kind: str, slot: int) -> None:
        """A try at a backend failed; `kind`: as in UpstreamError."""
        self.note(PerSlot.REFUSED_ANSWERS if kind == "refused" else PerSlot.FAILURES, slot)

    def note_answer(self, status: int, slot: int) -> None:
        """A backend's answer of 500 or above. One that only a tolerant pool passes on (600 and above) is no fault there."""
        if status < 600:
            self.note(PerSlot.GATEWAY_ERRORS if status in (502, 503, 504) else PerSlot.SERVER_ERRORS, slot)

    def publish(self) -> None:
        """Write all of it to this worker's row."""
        cells, child = self.cells, self.child
        for scalar, value in (
            (Scalar.REQUESTS, sum(self.statuses)),
            (Scalar.BYTES_IN, self.bytes_in),
            (Scalar.BYTES_OUT, self.bytes_out),
            (Scalar.RETRIES, self.retries),
            (Scalar.CLIENT_ABORTS, self.aborts),
            (Scalar.UNREAD_CLIENTS, self.unread),
            (Scalar.H2_REQUESTS, self.h2_requests),
            (Scalar.H2_OPEN, self.h2_open),
            (Scalar.H2_LIVE, self.h2_live),
        ):
            cells[scalar_at(child, scalar)] = value
        at = scalar_at(child, Scalar.STATUS_1XX)
        for index in range(1, 6):
            cells[at + index - 1] = self.statuses[index]
        cells[scalar_at(child, Scalar.STATUS_OTHER)] = sum(self.statuses[6:])
        at = scalar_at(child, Scalar.LATENCY)
        for index, count in enumerate(self.latency):
            cells[at + index] = count
        at = scalar_at(child, Scalar.GRPC)
        for index, count in enumerate(self.grpc):
            cells[at + index] = count


class DrainingConnection(Protocol):
    """A client's connection as a draining worker sees it."""

    @property
    def tunnel(self) -> bool:
        """It carries an open tunnel, or a stream of events: ending it takes a cut, and nobody can tell when it would end by
        itself."""

    def drain(self, now: float, grace: float) -> None:
        """Take no new request; an idle connection ends `grace` seconds from `now`."""

    def cut(self) -> None:
        """Time is up. A tunnel says goodbye to both sides; what it cannot say at once goes out in the background."""


class Service:
    """One worker's wiring; lives as long as the worker."""

    __slots__ = (
        "access",
        "admissions",
        "challenges",
        "clock",
        "config",
        "connections",
        "counters",
        "date",
        "dialer",
        "draining",
        "https_port",
        "idle",
        "idle_grace",
        "keepalive",
        "on_buffer_failed",
        "on_fault",
        "on_unread",
        "response_heads",
        "retries",
        "rewriter",
        "router",
        "scratch",
        "strands",
    )

    def __init__(
        self,
        *,
        config: Config,
        router: Router[Destination],
        idle: UpstreamPool,
        dialer: Dialer,
        strands: Strands,
        counters: Counters,
        access: AccessLog | None,
        clock: Callable[[], float],
        on_fault: Callable[[BaseException], None],
        retries: RetryBudgets,
        https_port: int = 443,
        admissions: Mapping[str, Admission] | None = None,
        rewriter: Rewriter | None = None,
        on_unread: Callable[[str, bytes], None] = lambda peer, text: None,
        scratch: Scratch | None = None,
        on_buffer_failed: Callable[[str], None] = lambda why: None,
    ) -> None:
        """`clock`: monotonic seconds; `on_fault` is told of an exception that nobody foresaw, and the connection it happened on is
        aborted; `https_port` is where we speak TLS; `admissions` are by name, for pools whose everyday pick answers with
        a question; `rewriter` is for answers to requests that no route leads anywhere; `on_unread` is told of a trusted proxy
        and what it wrote where a client's address should stand; `scratch` is where bodies that are buffered go beyond memory, and
        `on_buffer_failed` is told why one could not."""
        self.config = config
        self.router = router
        self.idle = idle
        self.dialer = dialer
        self.strands = strands
        self.counters = counters
        self.access = access
        self.clock = clock
        self.on_fault = on_fault
        self.on_unread = on_unread
        self.https_port = https_port
        self.admissions: Mapping[str, Admission] = admissions or {}
        self.retries = retries
        self.rewriter = rewriter
        self.date = b""
        """The Date of this second as a field line (http/date.py); the process keeps it, b"" where there is no clock."""
        self.scratch = scratch
        self.on_buffer_failed = on_buffer_failed
        self.challenges: Mapping[bytes, bytes] | None = None
        """What is answered to ACME's http-01, by token; None: no certificates are obtained here."""
        self.draining = False
        self.idle_grace = 2.0
        """Seconds that a draining worker keeps an idle connection."""
        self.connections: set[DrainingConnection] = set()
        self.response_heads = everyday_heads(most_response_fields(config))
        self.keepalive = config.timeouts.keepalive  # here because every request asks for it

    def note_unread(self, peer: str, text: bytes) -> None:
        """A request came whose client nobody knows, since a trusted proxy wrote `text` for its address."""
        self.counters.unread += 1
        self.on_unread(peer, text)
