"""What all client connections of a worker share: routes, pools, connections to backends, counters, the access log."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lbproxy.balance.ledger import LATENCY_BUCKETS, Ledger, Scalar, scalar_at
from lbproxy.balance.pool import Pool
from lbproxy.config.model import Config
from lbproxy.observe.access import AccessLog
from lbproxy.proxy.reuse import IdleUpstreams
from lbproxy.proxy.router import Router
from lbproxy.streams import Dialer, Strands

if TYPE_CHECKING:
    from lbproxy.proxy.client import ClientConnection


class Counters:
    """This worker's cells of the ledger that every request touches, as offsets computed once."""

    def __init__(self, ledger: Ledger, child: int) -> None:
        self.cells = ledger.cells
        self.status = scalar_at(child, Scalar.STATUS_1XX) - 1  # plus the first digit of a status
        self.bytes_in = scalar_at(child, Scalar.BYTES_IN)
        self.bytes_out = scalar_at(child, Scalar.BYTES_OUT)
        self.latency = scalar_at(child, Scalar.LATENCY)
        self.retries = scalar_at(child, Scalar.RETRIES)
        self.connections = scalar_at(child, Scalar.CONNECTIONS)
        self.aborts = scalar_at(child, Scalar.CLIENT_ABORTS)

    def count(self, status: int, bytes_in: int, bytes_out: int, seconds: float) -> None:
        """One finished request. Bucket i counts those that took less than 2**i * 100 us."""
        cells = self.cells
        cells[self.status + status // 100] += 1
        cells[self.bytes_in] += bytes_in
        cells[self.bytes_out] += bytes_out
        cells[self.latency + min(LATENCY_BUCKETS - 1, int(seconds * 10_000).bit_length())] += 1


@dataclass(slots=True)
class Service:
    """One worker's wiring; lives as long as the worker."""

    config: Config
    router: Router[Pool]
    idle: IdleUpstreams
    dialer: Dialer
    strands: Strands
    counters: Counters
    access: AccessLog | None
    clock: Callable[[], float]
    """Monotonic seconds."""
    on_fault: Callable[[BaseException], None]
    """Told of an exception that nobody foresaw; the connection it happened on is aborted."""
    draining: bool = False
    connections: set[ClientConnection] = field(default_factory=set)
    https_port: int = 443
    """The port that redirect_to_https names."""
