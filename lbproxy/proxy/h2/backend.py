"""The connections of one worker to one backend that speaks HTTP/2: who gets a stream, when there is one more, when one less.

Theory of operation. A request gets a stream of the first connection that has room, so that those behind it fall idle and go when
they have been idle for long enough. Where none has room it waits for one that is being opened, by a greenlet that is nobody's: a
client that leaves meanwhile takes nothing from the others. There are as many of these as those who wait need, by what the backend
has allowed on the last one. One that fails takes everybody with it who would have to wait for yet another one.

A request with a large head has a connection to itself, which only others of its kind use behind it: servers such as nginx (8 KiB)
and HAProxy (15 KiB) end the whole connection for a head that they do not take, and one client's cookies are not to end the requests
of others.

Where the backend may speak either protocol it chooses at the handshake. As long as it chooses HTTP/1.1 requests open connections by
themselves, as they do to any other backend, and each of these asks anew.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from lbproxy.balance.backend import Backend
from lbproxy.balance.ledger import PerSlot, cell_at
from lbproxy.config.model import ConnectionsConfig
from lbproxy.errors import UpstreamError
from lbproxy.http.h2.bounds import Bounds
from lbproxy.proxy.h1_upstream import H1Upstream
from lbproxy.proxy.h2.h2_upstream import H2Upstream
from lbproxy.proxy.h2.shared_connection import SharedConnection
from lbproxy.proxy.service import Service
from lbproxy.proxy.upstream import Upstream
from lbproxy.streams import NEVER, Strand, Stream

LEAST_GREETING = 0.5
"""Seconds for a backend's SETTINGS, however long connecting took."""
H2 = "h2"
REMEMBERED = 300.0
"""Seconds that a backend which may speak either is spoken to in HTTP/1.1 since it has asked for that (HTTP_1_1_REQUIRED)."""


class Waiter:
    """A request that waits for a stream."""

    __slots__ = ("apart", "failure", "given", "strand", "waits")

    def __init__(self, strand: Strand, apart: bool) -> None:
        """`apart`: it wants the connection to itself."""
        self.strand = strand
        self.apart = apart
        self.waits = True
        """It is parked: whoever has been told by somebody else meanwhile is not told again."""
        self.given: Upstream | None = None
        self.failure: UpstreamError | None = None


class H2Backend:
    """All of a worker's connections to one backend, as each of them sees the others (Lot)."""

    __slots__ = (
        "_bounds", "_cells", "_closed", "_connections", "_expected", "_http_1_until", "_on_ended", "_open", "_opening", "_service",
        "_settings", "_tls", "_waiting", "backend", "chose_http_1", "either",
    )  # fmt: skip

    def __init__(
        self,
        service: Service,
        backend: Backend,
        settings: ConnectionsConfig,
        bounds: Bounds,
        on_ended: Callable[[Backend, str], None],
        *,
        tls: bool,
        either: bool,
    ) -> None:
        """`either`: it may speak HTTP/1.1 as well; `on_ended`: told why a connection was ended for what the backend did."""
        self._service = service
        self.backend = backend
        self._settings = settings
        self._bounds = bounds
        self._on_ended = on_ended
        self._tls = tls
        self.either = either
        self.chose_http_1 = False
        """The last time it was asked."""
        self._http_1_until = 0.0
        self._connections: list[SharedConnection] = []
        self._waiting: deque[Waiter] = deque()
        self._opening = 0
        self._expected = bounds.streams
        """Streams of the next connection, as far as can be known."""
        self._closed = False
        self._cells = service.counters.cells
        self._open = cell_at(service.counters.child, PerSlot.H2_OPEN, backend.slot)

    def __repr__(self) -> str:
        return f"<H2Backend {self.backend.name} {self._connections}, {len(self._waiting)} wait, {self._opening} opening>"

    def __len__(self) -> int:
        """Connections that are idle."""
        return sum(connection.ready and not connection.load for connection in self._connections)

    # ---------------------------------------------------------------- for requests

    def take(self, websocket: bool, apart: bool) -> H2Upstream | None:
        """A stream of a connection that has room; `websocket`: and can carry one; `apart`: and has no other request."""
        now = self._service.clock()
        for connection in self._connections:
            if connection.apart != apart or (apart and connection.load):
                continue
            if connection.takes_more(now) and (connection.carries_websockets or not websocket):
                return connection.lend()
        return None

    def carries_websockets(self) -> bool | None:
        """Whether its connections do; None as long as there is none."""
        known = [connection.carries_websockets for connection in self._connections if connection.ready]
        return known[-1] if known else None

    def wanted_http_1(self) -> bool:
        """It has asked for HTTP/1.1 not long ago."""
        return self._http_1_until > 0 and self._service.clock() < self._http_1_until

    def wait(self, patience: float, apart: bool) -> Upstream:
        """From a request's greenlet, where none has room: a stream of the next one that has, within `patience` seconds; to a
        backend that may speak either, perhaps a connection of HTTP/1.1. Raises UpstreamError(nothing_sent)."""
        strands = self._service.strands
        waiter = Waiter(strands.current(), apart)
        self._waiting.append(waiter)
        self._open_more(patience)
        alarm = strands.alarm(patience + LEAST_GREETING, lambda: self._too_late(waiter))
        try:
            while waiter.given is None and waiter.failure is None:
                strands.park()
        except BaseException:
            if waiter.given is not None:
                waiter.given.stream.abort()
            raise
        finally:
            waiter.waits = False
            alarm.stop()
            if waiter in self._waiting:
                self._waiting.remove(waiter)
        if waiter.failure is not None:
            raise waiter.failure
        assert waiter.given is not None
        return waiter.given

    def adopt(self, stream: Stream, patience: float) -> None:
        """A backend that chose HTTP/1.1 the last time has chosen HTTP/2 on this one."""
        self.chose_http_1 = False
        self._expected = self._bounds.streams  # else each of those who wait meanwhile would open one more
        self._opening += 1
        self._begin(stream, patience)

    def _too_late(self, waiter: Waiter) -> None:
        waiter.failure = waiter.failure or UpstreamError(504, "connect_timeout", "no stream in time", nothing_sent=True)
        self._wake(waiter)

    @staticmethod
    def _wake(waiter: Waiter) -> None:
        if waiter.waits:
            waiter.strand.switch()

    # ---------------------------------------------------------------- opening

    def _open_more(self, patience: float) -> None:
        while self._opening * max(1, self._expected) < len(self._waiting):
            self._opening += 1
            self._service.strands.later(lambda: self._service.strands.start(lambda: self._dial(patience)))

    def _dial(self, patience: float) -> None:
        """In a greenlet of its own; lets nothing out."""
        service, backend = self._service, self.backend
        begun = service.clock()
        try:
            stream = service.dialer.dial(backend.ip, backend.port, backend.pool, backend.host, patience)
        except UpstreamError as error:
            self._failed(error)
            return
        except Exception as error:
            service.on_fault(error)
            self._failed(UpstreamError(502, "connect_failed", str(error), nothing_sent=True))
            return
        service.counters.note(PerSlot.CONNECTS, backend.slot)
        if self._tls and stream.protocol() != H2:
            self._chose_otherwise(stream)
        else:
            self._begin(stream, max(LEAST_GREETING, patience - (service.clock() - begun)))

    def _begin(self, stream: Stream, patience: float) -> None:
        service, settings = self._service, self._settings
        stream.write_stall = service.config.timeouts.write_stall
        connection = SharedConnection(service, stream, self.backend, self, self._bounds, tls=self._tls)
        connection.rest = settings.idle_timeout
        connection.requests = settings.max_requests or connection.requests
        if not settings.idle:
            connection.requests = 1
        if self._closed:
            connection.leaving = True
        self._connections.append(connection)
        self._cells[self._open] += 1
        service.counters.note(PerSlot.H2_CONNECTS, self.backend.slot)
        now = service.clock()
        connection.greet(now + patience, now + settings.max_age if settings.max_age else NEVER)

    def _chose_otherwise(self, stream: Stream) -> None:
        """By ALPN it has chosen HTTP/1.1, or nothing."""
        self._opening -= 1
        if not self.either:
            stream.close()
            self._fail_all(UpstreamError(502, "h2_not_chosen", "the backend does not choose h2 by ALPN", nothing_sent=True))
            return
        self.chose_http_1 = True
        self._expected = 1
        upstream = H1Upstream(stream, self.backend, self._service.idle, self._service.clock)
        if self._waiting:
            waiter = self._waiting.popleft()
            waiter.given = upstream
            self._service.strands.later(lambda: self._wake(waiter))
        else:
            self._service.idle.put(upstream, self._service.clock())
        self._open_more(self._service.config.timeouts.connect)

    def _failed(self, error: UpstreamError) -> None:
        self._opening -= 1
        if self._opening * self._expected < len(self._waiting):
            self._fail_all(error)

    def _fail_all(self, error: UpstreamError) -> None:
        """Everybody who waits: whoever would wait for another one might wait for as long as the queue is."""
        waiting, self._waiting = self._waiting, deque()
        for waiter in waiting:
            waiter.failure = UpstreamError(error.status, error.reason, str(error), nothing_sent=True)
        self._service.strands.later(lambda: self._wake_all(waiting))

    def _wake_all(self, waiting: deque[Waiter]) -> None:
        for waiter in waiting:
            self._wake(waiter)

    # ---------------------------------------------------------------- from connections

    def has_room(self, connection: SharedConnection) -> None:
        """See Lot."""
        if connection.newly_ready:
            connection.newly_ready = False
            self._opening -= 1
            self._expected = connection.allowed
            self._service.idle.heard(self.backend.slot, 1)
            if not connection.allowed:
                connection.leave()
                self._fail_all(UpstreamError(502, "h2_no_streams", "the backend allows no streams", nothing_sent=True))
        now = self._service.clock()
        while connection.takes_more(now) and (waiter := self._next_for(connection)) is not None:
            waiter.given = connection.lend()
            self._wake(waiter)
        if self._waiting:
            self._open_more(self._service.config.timeouts.connect)

    def _next_for(self, connection: SharedConnection) -> Waiter | None:
        """Who waits for a stream, and may have one of this connection; the first of a new one says what it is for."""
        for waiter in self._waiting:
            fits = not connection.served or connection.apart == waiter.apart
            if fits and not (waiter.apart and connection.load):
                connection.apart = waiter.apart
                self._waiting.remove(waiter)
                return waiter
        return None

    def may_rest(self, connection: SharedConnection) -> bool:
        """See Lot."""
        return not self._closed and len(self) <= self._settings.idle

    def is_gone(self, connection: SharedConnection, failure: UpstreamError | None) -> None:
        """See Lot."""
        self._connections.remove(connection)
        self._cells[self._open] -= 1
        if failure is not None:
            self._failed(failure)
        elif connection.newly_ready:  # it was so for no time at all
            self._opening -= 1
            self._open_more(self._service.config.timeouts.connect)

    def wants_http_1(self) -> None:
        """See Lot."""
        if self.either:
            self._http_1_until = self._service.clock() + REMEMBERED

    def counted(self, reason: str) -> None:
        """See Lot."""
        self._on_ended(self.backend, reason)

    # ---------------------------------------------------------------- ends

    def close_idle(self) -> None:
        """Close those that have no requests."""
        for connection in list(self._connections):
            if connection.ready and not connection.load:
                connection.leave()

    def renew(self) -> None:
        """Others are opened for new requests; what is under way ends in peace."""
        for connection in list(self._connections):
            if connection.ready:
                connection.leave()

    def close(self) -> None:
        """The backend has left: nothing new begins, what is under way ends in peace."""
        self._closed = True
        self._fail_all(UpstreamError(502, "backend_left", "the backend is one no more", nothing_sent=True))
        for connection in list(self._connections):
            connection.leave()
