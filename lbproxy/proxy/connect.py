"""A connection to the backend that was leased: one that is idle, or a new one."""

from __future__ import annotations

from functools import partial

from lbproxy.balance.lease import Lease
from lbproxy.balance.ledger import SLOTS, PerSlot
from lbproxy.http.message import RequestHead
from lbproxy.proxy import bound
from lbproxy.proxy.announced import Announcement, announce
from lbproxy.proxy.destination import Destination
from lbproxy.proxy.downstream import Downstream
from lbproxy.proxy.h1_upstream import H1Upstream
from lbproxy.proxy.rewriter import Rewriting
from lbproxy.proxy.service import Service
from lbproxy.proxy.upstream import Upstream

_TO_CONNECTS = (PerSlot.CONNECTS - PerSlot.FAILURES) * SLOTS
"""From the cell that counts a backend's failures to the one that counts connections to it."""


def idle(downstream: Downstream, lease: Lease, head: RequestHead, repeatable: bool, now: float) -> Upstream | None:
    """An idle connection to the leased backend, the client's own first. `repeatable`: the request may be sent twice; for others a
    connection that may just be closing is none, and some time may be waited for one that is not. Raises RequestError for one that
    cannot go there."""
    service = downstream.service
    if downstream.bound is not None and (own := bound.take(downstream, lease)) is not None:
        if own.announced is None or own.announced.named == downstream.forwarder.client(head):
            return own
        own.stream.close()
    shared = service.idle.shared
    if shared is not None and (stream := shared.take(lease, head)) is not None:
        return stream
    if repeatable:
        found = service.idle.take(lease.slot)
    else:
        found = service.idle.take_settled(lease.slot, now, service.strands.sleep)
    if found is None and (announced := downstream.forwarder.announced) is not None:
        found = announced.take(lease, downstream.forwarder.client(head), repeatable, now)
    return found


def dial(
    service: Service,
    destination: Destination,
    lease: Lease,
    pool: str,
    head: RequestHead | None = None,
    downstream: Downstream | None = None,
    rewriting: Rewriting | None = None,
) -> Upstream:
    """A new connection to it; `pool`: its name, which says how its backends are spoken to; `head`: of the request that is to go
    over it, `downstream`: whose it is, `rewriting`: what it is known by. Raises UpstreamError(nothing_sent), RequestError as
    `idle`."""
    shared = service.idle.shared
    if shared is not None and shared.knows(pool):
        return shared.dial(lease, head, destination.connect, partial(_open, service, destination, lease, pool))
    if destination.announces:
        return _open_announced(service, destination, lease, pool, announce(destination.announces, downstream, head, rewriting))
    return _open(service, destination, lease, pool, False)


def _open(service: Service, destination: Destination, lease: Lease, pool: str, http_1: bool) -> Upstream:
    backend = lease.backend
    stream = service.dialer.dial(backend.ip, backend.port, pool, backend.host, destination.connect, http_1)
    service.counters.cells[lease.failures + _TO_CONNECTS] += 1
    return H1Upstream(stream, backend, service.idle, service.clock)


def _open_announced(
    service: Service, destination: Destination, lease: Lease, pool: str, announcement: Announcement
) -> Upstream:
    backend = lease.backend
    stream = service.dialer.dial(
        backend.ip, backend.port, pool, backend.host, destination.connect, introduction=announcement.header
    )  # fmt: skip
    service.counters.cells[lease.failures + _TO_CONNECTS] += 1
    upstream = H1Upstream(stream, backend, service.idle, service.clock)
    upstream.announced = announcement
    return upstream
