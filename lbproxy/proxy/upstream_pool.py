"""Idle connections to backends, kept per backend and handed out last in, first out.

The most recently used one is the least likely to be closed by the backend meanwhile, and the others age and go. Whatever arrives
on an idle connection, data or its end, condemns it: a response nobody asked for must never meet the next request (RFC 9112 9.2:
the "second response" of a smuggling attack).

For a request that must not be sent twice that is not enough. Some backends close every connection right after an answer, without
having said so. Where our next request gets in between, they read it and close, and nobody can prove that they did nothing. So such
a request gets a connection that its backend has kept for a moment (SETTLED), unless the backend is known to keep them.

A shelf belongs to a backend of a pool, not to an address: two pools that reach one address in different ways (TLS, another server
name) never see each other's connections.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from lbproxy.balance.backend import Backend
from lbproxy.balance.lease import Lease
from lbproxy.balance.ledger import SLOTS, Spoken
from lbproxy.config.model import ConnectionsConfig
from lbproxy.http.message import RequestHead
from lbproxy.proxy.upstream import SETTLED, Upstream
from lbproxy.streams import NEVER

_NO_LIMIT = 2**62
UNHEARD, OLD, CURRENT = map(int, Spoken)
_NONE = ConnectionsConfig(idle=0)
"""For backends that have left."""


class IdleShelf:
    """One backend's idle connections, and what its pool says about them."""

    __slots__ = ("clock", "hasty", "idle", "keeps", "limit", "longest", "patience", "requests")

    def __init__(self, settings: ConnectionsConfig, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.idle: list[Upstream] = []
        self.hasty = False
        """This backend was seen to close a connection right after an answer."""
        self.keeps = False
        """It was seen to keep one, which says nothing if it was seen to close others."""
        self.limit = settings.idle
        self.patience = settings.idle_timeout
        self.longest = settings.max_age or NEVER
        """Seconds that a connection is used; counted from the end of its first response."""
        self.requests = settings.max_requests or _NO_LIMIT

    def take_settled(self, now: float) -> Upstream | None:
        """The last that its backend will probably not close the next moment."""
        for index in range(len(self.idle) - 1, -1, -1):
            upstream = self.idle[index]
            if upstream.since + SETTLED <= now or (not self.hasty and (self.keeps or upstream.served > 1)):
                self.keeps = True
                del self.idle[index]
                upstream._idle = False
                upstream.stream.deadline = NEVER
                return upstream
        return None

    def clear(self) -> None:
        """Close all that are idle."""
        while self.idle:
            upstream = self.idle.pop()
            upstream._idle = False
            upstream.stream.close()


class Shared:
    """Connections that requests share, of backends that speak HTTP/2 (backends.py)."""

    __slots__ = ()

    def knows(self, pool: str) -> bool:
        """That pool's backends are asked here."""
        raise NotImplementedError

    def speak_nothing_else(self, pool: str) -> bool:
        """And never in HTTP/1."""
        raise NotImplementedError

    def take(self, lease: Lease, head: RequestHead | None) -> Upstream | None:
        """A stream of one that has room. Raises RequestError for a request that cannot go there."""
        raise NotImplementedError

    def dial(self, lease: Lease, head: RequestHead | None, patience: float, otherwise: Callable[[bool], Upstream]) -> Upstream:
        """The same where there is none. Raises UpstreamError(nothing_sent), RequestError."""
        raise NotImplementedError

    def close(self) -> None:
        """Close those that are idle."""
        raise NotImplementedError

    def gone(self, slots: Iterable[int]) -> None:
        """The backends of these slots have left."""
        raise NotImplementedError

    def renewed(self, pool: str) -> None:
        """Nothing new begins on what is open to the backends of that pool."""
        raise NotImplementedError

    def __len__(self) -> int:
        raise NotImplementedError


class UpstreamPool:
    """All idle connections of a worker, and which HTTP each backend speaks."""

    __slots__ = ("_checked", "_clock", "_gone", "_settings", "_shelves", "_spoken", "outdated", "shared")

    def __init__(
        self,
        clock: Callable[[], float],
        settings: Mapping[str, ConnectionsConfig] | None = None,
        checked: Callable[[int], int] = lambda slot: UNHEARD,
    ) -> None:
        """`clock`: monotonic seconds; `settings`: by the names of pools; the defaults for others; `checked`: what the checks of the
        backend of a slot have heard."""
        self._checked = checked
        self._clock = clock
        self._settings = settings or {}
        self._shelves: dict[int, IdleShelf] = {}
        self._spoken = bytearray(SLOTS)
        self.shared: Shared | None = None
        """Those that requests share; None where no pool wants any."""
        self.outdated: Callable[[Upstream], bool] | None = None
        """Whether a connection was begun before what its pool says of TLS was renewed; None where that never happened."""
        self._gone: set[int] | None = None
        """Slots whose backends have left. Their slots may get new owners later, who must not meet these connections."""

    def take(self, slot: int) -> Upstream | None:
        """A connection to the backend of that slot, if one is idle."""
        shelf = self._shelves.get(slot)
        if shelf is None or not shelf.idle:
            return None
        upstream = shelf.idle.pop()
        upstream._idle = False
        upstream.stream.deadline = NEVER
        return upstream

    def take_settled(self, slot: int, now: float, sleep: Callable[[float], None]) -> Upstream | None:
        """As `take`, for a request that must not be sent twice; it may `sleep` until one is settled."""
        shelf = self._shelves.get(slot)
        if shelf is None or not shelf.idle:
            return None
        upstream = shelf.take_settled(now)
        if upstream is None and not shelf.hasty:  # then nothing is known of this backend yet
            settled = shelf.idle[0].since + SETTLED
            sleep(settled - now)
            upstream = shelf.take_settled(settled)
        return upstream

    def heard(self, slot: int, minor: int) -> None:
        """A head of HTTP/1.minor came from the backend of that slot."""
        self._spoken[slot] = CURRENT if minor else OLD

    def speaks(self, slot: int) -> int:
        """UNHEARD, OLD or CURRENT, by the last head that came; before there is one, by its checks."""
        return self._spoken[slot] or self._checked(slot)

    def put(self, upstream: Upstream, now: float) -> None:
        """Its response ended cleanly: keep it."""
        shelf = upstream._shelf
        if shelf is None:
            if upstream.announced is not None:
                upstream.announced.keep(upstream, self._settings.get(upstream.backend.pool) or ConnectionsConfig(), now)
                return
            if self.outdated is not None and self.outdated(upstream):
                upstream.stream.close()
                return
            shelf = upstream._shelf = self._shelf(upstream.backend)
            upstream._retires = now + shelf.longest
        upstream.served += 1
        idle = shelf.idle
        if len(idle) >= shelf.limit or upstream.served >= shelf.requests or now >= upstream._retires:
            upstream.stream.close()
            return
        upstream._idle = True
        upstream.since = now
        tired = now + shelf.patience
        upstream.stream.deadline = tired if tired < upstream._retires else upstream._retires
        idle.append(upstream)

    def _shelf(self, backend: Backend) -> IdleShelf:
        if self._gone is not None and backend.slot in self._gone:
            return IdleShelf(_NONE, self._clock)
        shelf = self._shelves.get(backend.slot)
        if shelf is None:
            shelf = self._shelves[backend.slot] = IdleShelf(self._settings.get(backend.pool) or ConnectionsConfig(), self._clock)
        return shelf

    def backends_moved(self, gone: Iterable[int], there: Iterable[int]) -> None:
        """The backends of these slots have left: close what is idle there, and keep nothing that comes back. Others are `there`."""
        closed = set(gone)
        for slot in closed:
            self._spoken[slot] = UNHEARD
            shelf = self._shelves.pop(slot, None)
            if shelf is not None:
                shelf.clear()
                shelf.limit = 0
        if self.shared is not None:
            self.shared.gone(closed)
        self._gone = ((self._gone or set()) | closed).difference(there) or None

    def renewed(self, pool: str, slots: Iterable[int], outdated: Callable[[Upstream], bool]) -> None:
        """Another authority, list of revoked certificates, or certificate of ours counts for the pool, whose backends have these
        slots: close what is idle there, and keep nothing that was begun before."""
        self.outdated = outdated
        for slot in slots:
            shelf = self._shelves.pop(slot, None)
            if shelf is not None:
                shelf.clear()
                shelf.limit = 0
        if self.shared is not None:
            self.shared.renewed(pool)

    def close(self) -> None:
        """Close all of them."""
        for shelf in self._shelves.values():
            shelf.clear()
        if self.shared is not None:
            self.shared.close()

    def __len__(self) -> int:
        shared = 0 if self.shared is None else len(self.shared)
        return shared + sum(len(shelf.idle) for shelf in self._shelves.values())
