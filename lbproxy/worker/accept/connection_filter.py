"""The filter of a listener's connections: who may connect, and how often, asked of each newcomer before a byte of his is read.

Theory of operation. The handshake is what a flood of connections costs most, so whoever is refused is closed at once: no TLS, no
answer. Refusals are counted by why and logged a few a second at most. The address is the peer's: on this level nobody can speak
for others. That is also why the peers in trusted_proxies are not held to rates and counts, which are meant for one client each;
allow and deny hold for them as for everybody.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from lbproxy.balance.ledger import Ledger, Scalar, scalar_at
from lbproxy.config.model import ClientLimitConfig, ListenConfig, Network
from lbproxy.filter.addresses import AddressRule, NetworkSet, parse_client
from lbproxy.filter.limiter import SECOND, Limiter, LimiterMemory, LimitTicket, OverLimit
from lbproxy.ipc.handover import Handover
from lbproxy.proxy.announced import AnnouncedUpstreams
from lbproxy.proxy.client import ConnectionCount

_REASONS = {
    Scalar.DENIED_ADDRESS: "address_denied",
    Scalar.DENIED_RATE: "connection_rate",
    Scalar.DENIED_CONCURRENCY: "connections_per_client",
}


class Denied(NamedTuple):
    reason: str


class CountedConnection:
    """A connection that is counted twice: by its listener's limit, and for its client."""

    __slots__ = ("_ticket", "limit")

    def __init__(self, limit: ConnectionCount, ticket: LimitTicket) -> None:
        self.limit = limit
        self._ticket = ticket

    def release(self) -> None:
        """Give both back."""
        self._ticket.release()
        self.limit.release()


class AnnouncedConnection:
    """A client's connection with connections of its own to backends, which end with it (proxy/announced.py)."""

    __slots__ = ("_announced", "count")

    def __init__(self, count: ConnectionCount, announced: AnnouncedUpstreams) -> None:
        self.count = count
        self._announced = announced

    def release(self) -> None:
        """Close those, and give the place back."""
        self._announced.close()
        self.count.release()


def counted_by(count: ConnectionCount, limit: ConnectionCount) -> bool:
    """Whether a connection that is counted like this is one of that limit's."""
    if isinstance(count, AnnouncedConnection):
        count = count.count
    return count is limit or (isinstance(count, CountedConnection) and count.limit is limit)


class ConnectionFilter:
    """What one listener, in one worker, asks of newcomers."""

    def __init__(
        self,
        listen: ListenConfig,
        trusted: tuple[Network, ...],
        memory: LimiterMemory,
        ledger: Ledger,
        child: int,
        limit: ConnectionCount,
        clock: Callable[[], float],
    ) -> None:
        """`limit`: what each newcomer has acquired already; `clock`: monotonic seconds."""
        self._addresses = AddressRule.of(listen.addresses)
        limited = listen.per_client != ClientLimitConfig()
        self._limiter = Limiter(f"listen {listen.address}", listen.per_client, memory) if limited else None
        self._trusted = NetworkSet(trusted)
        self._cells = ledger.cells
        self._child = child
        self._limit = limit
        self._clock = clock

    def ask(self, peer: str) -> ConnectionCount | Denied:
        """What the newcomer has to release in the end; or why it is to be closed, and that is released."""
        client = parse_client(peer)
        if not self._addresses.admits(client):
            return self._denied(Scalar.DENIED_ADDRESS)
        if self._limiter is None or client in self._trusted:
            return self._limit
        got = self._limiter.take(client.site(), int(self._clock() * SECOND))
        if isinstance(got, OverLimit):
            return self._denied(Scalar.DENIED_RATE if got.wait else Scalar.DENIED_CONCURRENCY)
        return self._limit if got is None else CountedConnection(self._limit, got)

    def _denied(self, why: Scalar) -> Denied:
        self._cells[scalar_at(self._child, why)] += 1
        self._limit.release()
        return Denied(_REASONS[why])


def make_connection_filter(
    listen: ListenConfig, handover: Handover, memory: LimiterMemory, limit: ConnectionCount, clock: Callable[[], float]
) -> ConnectionFilter | None:
    """None: the listener asks nothing of newcomers."""
    if not listen.addresses.restricts and listen.per_client == ClientLimitConfig():
        return None
    return ConnectionFilter(listen, handover.config.proxy.trusted_proxies, memory, handover.ledger, handover.child, limit, clock)
