"""A request of our own to a pool, on behalf of one that waits for what the answer says (authorization, inspection).

It is picked, leased, counted and limited as any other request to that pool, goes over the same idle connections, and is tried once
more on a fresh one when an idle one turns out to be closed. Its answer is read whole, up to a limit, and goes nowhere.
"""

from __future__ import annotations

from typing import NamedTuple

from lbproxy.balance.lease import Lease
from lbproxy.balance.pick_result import ASK
from lbproxy.balance.pool import Pool
from lbproxy.balance.selection import Preference
from lbproxy.errors import ConnectionLost, RefusedAnswer, TimedOut, UpstreamError
from lbproxy.http.message import ResponseHead
from lbproxy.proxy.connect import dial
from lbproxy.proxy.destination import Destination
from lbproxy.proxy.response_body import SourceFailed
from lbproxy.proxy.service import Service
from lbproxy.proxy.upstream import Upstream
from lbproxy.streams import BODY_READ

MOST_INTERIM = 8
"""Interim answers that are read past."""


class Answer(NamedTuple):
    """The whole answer to a request of our own."""

    head: ResponseHead
    body: bytes


class Subrequest(NamedTuple):
    """What is asked; `send` it as often as there are requests to ask for."""

    destination: Destination
    """The pool, and how long its backends may take."""
    most: int
    """Bytes of an answer's body; one that has more is refused."""

    def ask(self, service: Service, method: bytes, head: bytes, body: bytes = b"") -> Answer:
        """From the greenlet of the request that waits. `head`: whole, as HTTP/1.1 has it, with the length of the `body`, if any.

        Raises UpstreamError: no backend, none that answers in time, an answer that cannot be read or is too long.
        """
        pool = self.destination.pool
        lease = self._lease(pool)
        try:
            shared = service.idle.shared
            idle = service.idle.take(lease.slot) if shared is None else shared.take(lease, None) or service.idle.take(lease.slot)
            if idle is not None:
                try:
                    return self._converse(service, idle, method, head, body)
                except UpstreamError as error:
                    if error.reason not in ("response_closed", "connection_reset", "h2_goaway"):
                        raise
            return self._converse(service, dial(service, self.destination, lease, pool.name), method, head, body)
        except UpstreamError as error:
            service.counters.note_failure(error.kind, lease.slot)
            raise
        finally:
            lease.release()

    @staticmethod
    def _lease(pool: Pool) -> Lease:
        picked = pool.pick()
        if picked is ASK:
            picked = pool.pick((), Preference())
        if not isinstance(picked, Lease):
            raise UpstreamError(503, picked.reason, "no backend of the pool can be asked", nothing_sent=True)
        return picked

    def _converse(self, service: Service, upstream: Upstream, method: bytes, head: bytes, body: bytes) -> Answer:
        stream, destination = upstream.stream, self.destination
        stream.write_stall = destination.write_stall
        try:
            try:
                upstream.send(head, body, False, True)
            except TimedOut as error:
                raise UpstreamError(504, "write_timeout", "the backend takes no data") from error
            except ConnectionLost:
                pass  # it may have answered before
            stream.deadline = service.clock() + destination.response_head
            known = upstream.answer(service.response_heads, method)
            for _ in range(MOST_INTERIM):
                if known.head.status >= 200:
                    break
                known = upstream.answer(service.response_heads, method)
            if known.head.status < 200:
                raise RefusedAnswer("response_unexpected_101", "neither is a protocol switched nor are many interim answers read")
            got = self._body(upstream)
        except SourceFailed as failed:
            upstream.stream.abort()
            raise UpstreamError(502, failed.reason, "the answer broke off") from failed
        except BaseException:
            upstream.stream.abort()
            raise
        if upstream.settle(known.head, True):
            service.idle.put(upstream, service.clock())
        return Answer(known.head, got)

    def _body(self, upstream: Upstream) -> bytes:
        pieces, size = [upstream.first], len(upstream.first)
        upstream.first = b""
        while not upstream.over and size <= self.most:
            piece = upstream.piece(BODY_READ, self.destination.body_idle)
            pieces.append(piece)
            size += len(piece)
        if size > self.most:
            raise RefusedAnswer("subrequest_too_large", f"an answer of more than {self.most} bytes")
        return b"".join(pieces)
