"""Placing requests of pools that the everyday pick is not enough for (balance/keyed_pool.py)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from lbproxy.balance.keyed_pool import KeyedPool
from lbproxy.balance.lease import Lease
from lbproxy.balance.pick_result import NoneAvailable
from lbproxy.balance.selection import Preference
from lbproxy.http.forwarding import Forwarder
from lbproxy.http.message import RequestHead
from lbproxy.proxy.affinity import Affinity
from lbproxy.proxy.queue import Queue


class Admitted(NamedTuple):
    """A place, and what its response has to say about it."""

    lease: Lease
    lines: bytes
    """Fields for the response, each with its CRLF in front."""


class Admission:
    """Places the requests of one keyed or queued pool."""

    def __init__(self, pool: KeyedPool, affinity: Affinity, queue: Queue | None = None) -> None:
        self._pool = pool
        self._affinity = affinity
        self._queue = queue
        self._indexes = _indexes(pool)

    def backends_moved(self, affinity: Affinity) -> None:
        """The pool has other backends now, which `affinity` knows; so do the requests that wait."""
        before, self._indexes = self._indexes, _indexes(self._pool)
        self._affinity = affinity
        if self._queue is not None:
            self._queue.backends_moved([self._indexes.get(slot, -1) for slot in before], affinity.ring)

    def admit(self, head: RequestHead, forwarder: Forwarder, tried: Sequence[int]) -> Admitted | NoneAvailable:
        """A place for the request, which may have to wait for it; `tried`: slots that it failed on."""
        wanted = self._affinity.preference(head, forwarder)
        lease = self._place(wanted, tried)
        if isinstance(lease, NoneAvailable):
            return lease
        wanted = self._affinity.preference(head, forwarder)  # it may have waited, and the pool's backends be others by now
        index = self._indexes.get(lease.slot, -1)
        if index < 0:  # its backend is gone since it was picked, and nobody is to come back to it
            return Admitted(lease, b"")
        return Admitted(lease, self._affinity.lines(wanted, index, secure=forwarder.secure(head)))


    def admit_unread(self, client: str, tried: Sequence[int]) -> Lease | NoneAvailable:
        """The same for a client of whose words nothing is known but where they come from."""
        return self._place(self._affinity.of_client(client), tried)

    def _place(self, wanted: Preference, tried: Sequence[int]) -> Lease | NoneAvailable:
        lease = self._pool.pick(tried, wanted)
        if not isinstance(lease, NoneAvailable) or lease.reason != "pool_full" or self._queue is None or tried:
            return lease
        return self._queue.wait(wanted)


def _indexes(pool: KeyedPool) -> dict[int, int]:
    """Of the backends, by slot."""
    return {backend.slot: index for index, backend in enumerate(pool.backends)}
