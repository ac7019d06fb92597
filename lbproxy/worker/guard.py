"""Who may connect to a listener, and how often: asked of each newcomer before a byte of his is read.

Theory of operation. The handshake is what a flood of connections costs most, so whoever is refused is closed at once: no TLS, no
answer. Refusals are counted by why and logged a few a second at most. The address is the peer's: on this level nobody can speak
for others. That is also why the peers in trusted_proxies are not held to rates and counts, which are meant for one client each;
allow and deny hold for them as for everybody.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from lbproxy.balance.ledger import Ledger, Scalar, scalar_at
from lbproxy.config.model import ClientLimit, Listen, Network
from lbproxy.filter.addresses import AddressRule, NetworkSet, parse_client
from lbproxy.filter.limiter import SECOND, Limiter, Memory, Refused, Ticket
from lbproxy.ipc.handover import Handover
from lbproxy.proxy.client import Door

_REASONS = {
    Scalar.DENIED_ADDRESS: "address_denied",
    Scalar.DENIED_RATE: "connection_rate",
    Scalar.DENIED_CONCURRENCY: "connections_per_client",
}


class Denied(NamedTuple):
    reason: str


class Seat:
    """A place inside that is counted twice: at the door, and for the client."""

    __slots__ = ("_ticket", "door")

    def __init__(self, door: Door, ticket: Ticket) -> None:
        self.door = door
        self._ticket = ticket

    def leave(self) -> None:
        """Give it back."""
        self._ticket.release()
        self.door.leave()


def came_through(place: Door, door: Door) -> bool:
    """Whether a connection with this place came in by that door."""
    return place is door or (isinstance(place, Seat) and place.door is door)


class Guard:
    """Of one listener in one worker."""

    def __init__(
        self,
        listen: Listen,
        trusted: tuple[Network, ...],
        memory: Memory,
        ledger: Ledger,
        child: int,
        door: Door,
        clock: Callable[[], float],
    ) -> None:
        """`door`: where each newcomer has taken a place already; `clock`: monotonic seconds."""
        self._addresses = AddressRule.of(listen.addresses)
        limited = listen.per_client != ClientLimit()
        self._limiter = Limiter(f"listen {listen.address}", listen.per_client, memory) if limited else None
        self._trusted = NetworkSet(trusted)
        self._cells = ledger.cells
        self._child = child
        self._door = door
        self._clock = clock

    def ask(self, peer: str) -> Door | Denied:
        """Where the newcomer leaves by; or why it is to be closed, and its place at the door has been given back."""
        client = parse_client(peer)
        if not self._addresses.admits(client):
            return self._denied(Scalar.DENIED_ADDRESS)
        if self._limiter is None or client in self._trusted:
            return self._door
        got = self._limiter.take(client.site(), int(self._clock() * SECOND))
        if isinstance(got, Refused):
            return self._denied(Scalar.DENIED_RATE if got.wait else Scalar.DENIED_CONCURRENCY)
        return self._door if got is None else Seat(self._door, got)

    def _denied(self, why: Scalar) -> Denied:
        self._cells[scalar_at(self._child, why)] += 1
        self._door.leave()
        return Denied(_REASONS[why])


def make_guard(listen: Listen, handover: Handover, memory: Memory, door: Door, clock: Callable[[], float]) -> Guard | None:
    """None: the listener asks nothing of newcomers."""
    if not listen.addresses.restricts and listen.per_client == ClientLimit():
        return None
    return Guard(listen, handover.config.proxy.trusted_proxies, memory, handover.ledger, handover.child, door, clock)
