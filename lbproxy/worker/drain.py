"""The drain of a worker, which ends without losing anybody: what is asked of each connection, and when patience is over.

Theory of operation. Three kinds of connections, each with its own limit, all counted from the first Drain:

- requests being served: go on, their response says `Connection: close` (where more came with them, that of the last one); cut (503,
  or the response breaks off) at `timeout`.
- idle keep-alive connections: closing one crosses with a request that may be on the wire, which a client that never retries then
  has lost. So they stay, at least for the configured grace, and as long as `idle` allows: a request that comes is served like any
  other, and its response ends the connection in a way that both sides know. A reload gives them the whole `timeout`; a stop, or a
  reload that waits for a place, does not. Who becomes idle late, after a response whose head had promised to go on before the drain
  began, has the grace from then on.
- tunnels: nobody can tell whether they are in the middle of something; cut at `tunnel`.

A second Drain can only shorten the limits. After a cut the connections get LINGER seconds to tell their clients (close_notify, FIN)
before everything is torn down.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import NamedTuple, Protocol, Self

from lbproxy.ipc.messages import Drain
from lbproxy.proxy.service import Service

LINGER = 1.0
IDLE_AHEAD = 0.5
"""Seconds by which idle connections end before requests are cut: they are no casualties."""


class DrainLimits(NamedTuple):
    """Seconds from now on; and which listeners (by index) nobody accepts from any more."""

    timeout: float
    idle: float
    tunnel: float
    closing: frozenset[int]

    @classmethod
    def told(cls, message: Drain) -> Self:
        """As the master says."""
        closing = frozenset(int(index) for index in message.closing.split(",") if index.isdecimal())
        return cls(message.timeout_ms / 1000, message.idle_ms / 1000, message.tunnel_ms / 1000, closing)

    @classmethod
    def orphaned(cls, timeout: float, listeners: int) -> Self:
        """Nobody is left to say anything, and nobody accepts after us."""
        return cls(timeout, 0.0, timeout, frozenset(range(listeners)))


class Abortable(Protocol):
    """A stream, as far as draining is concerned."""

    def abort(self) -> None: ...


class Cuttable(Protocol):
    """A connection, as far as cutting is concerned."""

    def cut(self) -> None: ...


class Drainage:
    """The draining of one worker; `turn` it several times a second."""

    def __init__(self, service: Service, streams: Collection[Abortable], limits: DrainLimits, grace: float, now: float) -> None:
        """`streams`: all open ones, a living collection. `grace`: seconds that idle connections get in any case."""
        self._service = service
        self._streams = streams
        self._grace = grace
        self._grace_ends = now + grace
        self._idle_until = self._until = self._tunnels_until = self._over_at = float("inf")
        self._requests_cut = self._tunnels_cut = False
        self.cut = 0
        """Connections that were cut so far."""
        service.draining = True
        self.shorten(limits, now)

    def shorten(self, limits: DrainLimits, now: float) -> None:
        """Take the limits, where they are nearer than those that hold."""
        self._until = min(self._until, now + limits.timeout)
        self._tunnels_until = min(self._tunnels_until, now + max(limits.timeout, limits.tunnel))
        idle_until = max(min(now + limits.idle, self._until - IDLE_AHEAD), min(self._grace_ends, self._until))
        if idle_until < self._idle_until:
            self._idle_until = idle_until
            self._end_idle(now)

    def advance(self, now: float) -> bool:
        """Cut who is late; True when the worker may end."""
        service = self._service
        service.idle.close()  # exchanges that ended meanwhile have put their connections back
        self._set_patience(now)
        if now >= self._until and not self._requests_cut:
            self._requests_cut = True
            self._cut([connection for connection in service.connections if not connection.tunnel], now)
        if now >= self._tunnels_until and not self._tunnels_cut:
            self._tunnels_cut = True
            self._cut(list(service.connections), now)
        if self._requests_cut and not self._tunnels_cut and any(connection.tunnel for connection in service.connections):
            self._over_at = now + LINGER  # one that ends by itself says goodbye in peace, long after the requests were cut
        if now >= self._over_at:
            for stream in list(self._streams):
                stream.abort()
        return not self._streams

    def _end_idle(self, now: float) -> None:
        service = self._service
        service.idle.close()
        self._set_patience(now)
        for connection in list(service.connections):
            connection.drain(now, max(0.0, self._idle_until - now))

    def _set_patience(self, now: float) -> None:
        """For connections that become idle from now on."""
        idle_until = max(self._idle_until, min(now + self._grace, self._until))
        self._service.idle_grace = max(0.0, idle_until - now)

    def _cut(self, late: Iterable[Cuttable], now: float) -> None:
        for connection in late:
            self.cut += 1
            connection.cut()
        self._over_at = now + LINGER
