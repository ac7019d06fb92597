"""Idle connections to backends, kept per backend and handed out last in, first out.

The most recently used one is the least likely to be closed by the backend meanwhile, and the others age and go. Whatever arrives
on an idle connection, data or its end, condemns it: a response nobody asked for must never meet the next request (RFC 9112 9.2:
the "second response" of a smuggling attack).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from lbproxy.balance.backend import Backend
from lbproxy.streams import NEVER, Stream

IDLE_LIMIT = 128
"""Per worker and backend."""
IDLE_SECONDS = 30.0
"""Below the 60-75 s after which nginx, Apache and most application servers close; those that close sooner are seen to close."""


class Upstream:
    """A connection to a backend. Owner of its stream while idle."""

    __slots__ = ("_home", "_shelf", "backend", "stream", "used")

    def __init__(self, stream: Stream, backend: Backend) -> None:
        self.stream = stream
        self.backend = backend
        self.used = False
        """Served a request before; if it dies before the first byte, it was probably closed as idle."""
        self._home: list[Upstream] | None = None
        """The list it stands in while it is idle."""
        self._shelf: list[Upstream] | None = None
        """The list it stood in last, to spare the look-up."""
        stream.owner = self

    def on_readable(self) -> None:
        """Idle: condemned. Busy: the input waits for its reader."""
        if self._home is not None:
            self._home.remove(self)
            self._home = None
            self.stream.close()

    def on_expired(self) -> None:
        """Idle for too long."""
        self.on_readable()


class IdleUpstreams:
    """All idle connections of a worker."""

    __slots__ = ("_clock", "_gone", "_idle")

    def __init__(self, clock: Callable[[], float]) -> None:
        """`clock`: monotonic seconds."""
        self._clock = clock
        self._idle: dict[int, list[Upstream]] = {}
        self._gone: set[int] | None = None
        """Slots whose backends have left. Their columns may get new owners later, who must not meet these connections."""

    def take(self, slot: int) -> Upstream | None:
        """A connection to the backend of that slot, if one is idle."""
        home = self._idle.get(slot)
        if not home:
            return None
        upstream = home.pop()
        upstream._home = None
        upstream.stream.deadline = NEVER
        return upstream

    def put(self, upstream: Upstream, now: float) -> None:
        """Its response ended cleanly: keep it."""
        if self._gone is not None and upstream.backend.slot in self._gone:
            upstream.stream.close()
            return
        home = upstream._shelf
        if home is None:
            home = upstream._shelf = self._idle.setdefault(upstream.backend.slot, [])
        if len(home) >= IDLE_LIMIT:
            upstream.stream.close()
            return
        upstream.used = True
        upstream._home = home
        upstream.stream.deadline = now + IDLE_SECONDS
        home.append(upstream)

    def follow(self, gone: Iterable[int], there: Iterable[int]) -> None:
        """The backends of these slots have left: close what is idle there, and keep nothing that comes back. Others are `there`."""
        closed = set(gone)
        for slot in closed:
            _close(self._idle.pop(slot, []))
        self._gone = ((self._gone or set()) | closed).difference(there) or None

    def close(self) -> None:
        """Close all of them."""
        for home in self._idle.values():
            _close(home)

    def __len__(self) -> int:
        return sum(map(len, self._idle.values()))


def _close(home: list[Upstream]) -> None:
    while home:
        upstream = home.pop()
        upstream._home = None
        upstream.stream.close()
