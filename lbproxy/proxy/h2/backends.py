"""The backends of a worker that speak HTTP/2, or may: which connection a request goes over.

Two kinds of requests want a connection that others do not share: those that log in on it (NTLM, Negotiate: proxy/bound.py), and
those that ask for another protocol, unless it is a WebSocket and the backend carries these over HTTP/2 (RFC 8441). Where a backend
may speak either protocol they go over HTTP/1.1; where it speaks HTTP/2 alone logins and WebSockets are refused, and other protocols
are not asked for, as RFC 9110 7.8 allows.

A backend that may speak either and asks for HTTP/1.1 (HTTP_1_1_REQUIRED) gets that very request over it, and for a while all
others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from lbproxy.balance.backend import Backend
from lbproxy.balance.lease import Lease
from lbproxy.config import model
from lbproxy.errors import RequestError
from lbproxy.http.h2.bounds import LARGEST_FRAME, Bounds
from lbproxy.http.h2.offered import MISSING
from lbproxy.http.message import RequestHead
from lbproxy.http.upgrade import asked, is_websocket
from lbproxy.proxy.h2.backend import H2, H2Backend
from lbproxy.proxy.h2.h2_upstream import H2Upstream
from lbproxy.proxy.response_head import MAX_RESPONSE_HEAD
from lbproxy.proxy.service import Service, most_response_fields
from lbproxy.proxy.upstream import Upstream
from lbproxy.proxy.upstream_pool import Shared

STREAMS = 100
"""On one connection at once, where the backend allows as many or more: what nginx, Apache and grpc allow, or more than that."""
LARGE = 7 * 1024
"""Bytes of a request's head, before it is edited, above which it has a connection to itself."""


def wants_http_2(pool: model.PoolConfig) -> bool:
    """Its backends are, or may be, spoken to in HTTP/2."""
    return not MISSING and (pool.protocol == H2 or (pool.protocol == "auto" and pool.tls is not None))


class H2Backends(Shared):
    """All of one worker's, by the slots of the backends."""

    __slots__ = ("_backends", "_bounds", "_on_ended", "_pools", "_service", "_single_minded")

    def __init__(self, service: Service, pools: Iterable[model.PoolConfig], on_ended: Callable[[Backend, str], None]) -> None:
        """`on_ended`: told why a connection was ended for what its backend did."""
        self._service = service
        self._pools = {pool.name: pool for pool in pools if wants_http_2(pool)}
        self._single_minded = {name for name, pool in self._pools.items() if pool.protocol == H2}
        self._on_ended = on_ended
        self._backends: dict[int, H2Backend] = {}
        # Beyond these the connection ends, and with it the requests of others: they stand well above what one answer may have.
        fields = 2 * most_response_fields(service.config) + 8
        size = 4 * MAX_RESPONSE_HEAD + 32 * fields
        self._bounds = Bounds(streams=STREAMS, list_size=size, list_count=fields, continuations=size // LARGEST_FRAME)

    def __len__(self) -> int:
        """Connections that are idle."""
        return sum(len(backend) for backend in self._backends.values())

    def knows(self, pool: str) -> bool:
        """That pool's backends are asked here."""
        return pool in self._pools

    def speak_nothing_else(self, pool: str) -> bool:
        """That pool's backends take a body that has no length."""
        return pool in self._single_minded

    def take(self, lease: Lease, head: RequestHead | None) -> Upstream | None:
        """A stream for the request to the leased backend, if there is a connection with room. Raises RequestError for one that
        cannot go there."""
        backend = self._of(lease)
        if backend is None or backend.wanted_http_1() or (head is not None and _goes_alone(backend, head)):
            return None
        if head is None:
            return backend.take(False, False)
        return backend.take(len(head.upgrade) > 0 and is_websocket(head), _is_large(head))

    def dial(self, lease: Lease, head: RequestHead | None, patience: float, otherwise: Callable[[bool], Upstream]) -> Upstream:
        """The same where there is none: one will be opened. `otherwise`: opens a connection that speaks HTTP/1.1, and (True) is
        asked for nothing else. Raises UpstreamError(nothing_sent), RequestError."""
        backend = self._of(lease)
        if backend is None:
            backend = self._backends[lease.slot] = self._make(lease.backend)
        if backend.wanted_http_1() or (head is not None and _goes_alone(backend, head)):
            return otherwise(True)
        websocket = head is not None and is_websocket(head)
        apart = head is not None and _is_large(head)
        if (found := backend.take(websocket, apart)) is not None:
            found.served = 0  # if that one fails as well, it is the backend's fault and not the connection's
            return found
        if backend.chose_http_1:
            single = otherwise(False)
            if single.stream.protocol() != H2:
                return single
            backend.adopt(single.stream, patience)
        waited = backend.wait(patience, apart)
        if websocket and isinstance(waited, H2Upstream) and not waited.carries_websockets:
            waited.stream.abort()
            raise _no_websockets()
        return waited

    def _of(self, lease: Lease) -> H2Backend | None:
        """The leased backend's; what belongs to one that had its slot before is left to end."""
        found = self._backends.get(lease.slot)
        if found is not None and found.backend is not lease.backend and found.backend != lease.backend:
            found.close()
            return None
        return found

    def _make(self, backend: Backend) -> H2Backend:
        pool = self._pools[backend.pool]
        either = pool.protocol != H2
        return H2Backend(
            self._service, backend, pool.connections, self._bounds, self._on_ended, tls=pool.tls is not None, either=either
        )

    # ---------------------------------------------------------------- ends

    def close(self) -> None:
        """Close those that are idle."""
        for backend in self._backends.values():
            backend.close_idle()

    def gone(self, slots: Iterable[int]) -> None:
        """The backends of these slots have left."""
        for slot in slots:
            if (backend := self._backends.pop(slot, None)) is not None:
                backend.close()

    def renewed(self, pool: str) -> None:
        """Nothing new begins on what is open to the backends of that pool."""
        for backend in self._backends.values():
            if backend.backend.pool == pool:
                backend.renew()


def _is_large(head: RequestHead) -> bool:
    return len(head.block) + len(head.target) > LARGE


def _goes_alone(backend: H2Backend, head: RequestHead) -> bool:
    """It wants a connection of HTTP/1.1. Raises RequestError where there can be none."""
    if head.binds:
        if not backend.either:
            raise RequestError(502, "h2_login", "a login of the connection, which requests share in HTTP/2")
        return True
    if not head.upgrade or not asked(head):
        return False
    if not is_websocket(head):
        return backend.either
    if backend.either:
        return backend.carries_websockets() is not True
    if backend.carries_websockets() is False:
        raise _no_websockets()
    return False


def _no_websockets() -> RequestError:
    return RequestError(502, "h2_websocket", "the backend does not carry WebSockets over HTTP/2")
