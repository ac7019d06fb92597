"""A request of our own to a pool, on behalf of one that waits for what the answer says (authorization, inspection).

It is picked, leased, counted and limited as any other request to that pool, goes over the same idle connections, and is tried once
more on a fresh one when an idle one turns out to be closed; then on other backends, as often as the pool and its budget of further
tries allow. Its answer is read whole, up to a limit, and goes nowhere.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

from lbproxy.balance.lease import Lease
from lbproxy.balance.ledger import PerSlot
from lbproxy.balance.pick_result import ASK, NoneAvailable
from lbproxy.balance.policy import PickOutcome
from lbproxy.balance.selection import Preference
from lbproxy.errors import ConnectionLost, RefusedAnswer, RequestError, TimedOut, UpstreamError
from lbproxy.http.message import RequestHead, ResponseHead
from lbproxy.proxy.connect import dial
from lbproxy.proxy.destination import Destination
from lbproxy.proxy.downstream import Downstream
from lbproxy.proxy.response_body import SourceFailed
from lbproxy.proxy.retry import BODY_IGNORED, IDEMPOTENT
from lbproxy.proxy.service import Service
from lbproxy.proxy.upstream import Upstream
from lbproxy.streams import BODY_READ

MOST_INTERIM = 8
"""Interim answers that are read past."""


Take = Callable[[bytes], bool | None]
"""Gets a piece of an answer's body; True: nobody wants the rest, and the connection is given up."""


class Asker(Protocol):
    """The request that waits, as far as pools have to know it."""

    @property
    def head(self) -> RequestHead: ...
    @property
    def downstream(self) -> Downstream: ...


class SubrequestAnswer(NamedTuple):
    """The whole answer to a request of our own."""

    head: ResponseHead
    body: bytes
    raw: bytes
    """The head as the backend said it."""


def lease_for(
    destination: Destination, service: Service, asker: Asker | None, tried: tuple[int, ...], failure: UpstreamError | None
) -> Lease:
    """A backend for a request of our own that was not `tried` yet. Raises UpstreamError(nothing_sent) when there is none, or the
    `failure` of the last one."""
    pool = destination.pool
    picked = pool.pick(tried)
    admission = service.admissions.get(pool.name)
    if not isinstance(picked, Lease) and admission is not None and asker is not None:
        admitted = admission.admit(asker.head, asker.downstream.forwarder, tried)
        picked = admitted if isinstance(admitted, NoneAvailable) else admitted.lease
    elif picked is ASK:
        picked = pool.pick(tried, Preference())
    if not isinstance(picked, Lease):
        raise failure or UpstreamError(503, picked.reason, "no backend of the pool can be asked", nothing_sent=True)
    return picked


class Subrequest(NamedTuple):
    """What is asked; `send` it as often as there are requests to ask for."""

    destination: Destination
    """The pool, and how long its backends may take."""
    most: int
    """Bytes of an answer's body; one that has more is refused."""
    once: bool = False
    """Nothing is tried again elsewhere."""
    anew: Callable[[], None] | None = None
    """Told before each body that `take` gets: what came of one before it broke off."""

    def ask(self, service: Service, method: bytes, head: bytes, body: bytes = b"", asker: Asker | None = None,
            take: Take | None = None) -> SubrequestAnswer:  # fmt: skip
        """From the greenlet of the request that waits. `head`: whole, as HTTP/1.1 has it, with the length of the `body`, if any;
        `asker`: on whose behalf, for pools that balance by who asks, or have a queue; `take`: gets the answer's body, piece by
        piece, whose length does not matter then.

        Raises UpstreamError: no backend, none that answers in time, an answer that cannot be read or is too long.
        """
        pool, retries = self.destination.pool, service.retries
        tried: tuple[int, ...] = ()
        budgeted = -1
        failure: UpstreamError | None = None
        try:
            while True:
                lease = lease_for(self.destination, service, asker, tried, failure)
                since = service.clock()
                try:
                    return self._attempt(service, lease, method, head, body, take)
                except UpstreamError as error:
                    service.counters.note_failure(error.kind, lease.slot)
                    failure = error
                except BaseException as error:
                    self._given_up(service, lease, since, error)
                    raise
                finally:
                    lease.release()
                    retries.end(budgeted)
                    budgeted = -1
                tried = (*tried, lease.slot)
                more = 0 if self.once else retries.most(pool, failure.kind) if failure.nothing_sent or method in IDEMPOTENT else 0
                if len(tried) > more or (budgeted := retries.begin(pool, len(tried), failure.nothing_sent)) < 0:
                    raise failure
        finally:
            retries.end(budgeted)

    def _given_up(self, service: Service, lease: Lease, since: float, error: BaseException) -> None:
        """Whoever asks waits no longer. Where the time is up, and most of it was this backend's, that is a failure of it: it is as
        long as its own, so that as a rule the asker's ends first, and one that has stopped would pass for one that answers. Else it
        is nobody's: a client left, others had the time."""
        late = isinstance(error, RequestError) and error.status == 504
        if late and service.clock() - since >= self.destination.response_head / 2:
            service.counters.note_failure("timeout", lease.slot)
        else:
            service.counters.note(PerSlot.GIVEN_UP, lease.slot)

    def _attempt(
        self, service: Service, lease: Lease, method: bytes, head: bytes, body: bytes, take: Take | None
    ) -> SubrequestAnswer:
        begun, shared = service.clock(), service.idle.shared
        outcome = PickOutcome.FAILED
        try:
            idle: Upstream | None = None if shared is None else shared.take(lease, None)
            if idle is None and method in IDEMPOTENT:  # one that is just being closed may have acted all the same
                idle = service.idle.take(lease.slot)
            answer = None
            if idle is not None:
                try:
                    answer = self._converse(service, idle, method, head, body, take)
                except UpstreamError as error:
                    if error.reason not in ("response_closed", "connection_reset", "h2_goaway"):
                        raise
            if answer is None:
                fresh = dial(service, self.destination, lease, self.destination.pool.name)
                answer = self._converse(service, fresh, method, head, body, take)
            outcome = PickOutcome.ANSWERED
            if answer.head.status >= 500:
                outcome = PickOutcome.ERROR
                service.counters.note_answer(answer.head.status, lease.slot)
            return answer
        finally:
            if lease.told is not None:
                lease.told(service.clock() - begun, outcome)

    def _converse(
        self, service: Service, upstream: Upstream, method: bytes, head: bytes, body: bytes, take: Take | None
    ) -> SubrequestAnswer:
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
                if known.head.status >= 200 or known.head.status == 101:
                    break
                known = upstream.answer(service.response_heads, method)
            if known.head.status < 200:
                raise RefusedAnswer("response_unexpected_101", "neither is a protocol switched nor are many interim answers read")
            got = self._body(upstream) if take is None else self._given(upstream, take)
        except SourceFailed as failed:
            upstream.stream.abort()
            raise UpstreamError(502, failed.reason, "the answer broke off") from failed
        except BaseException:
            upstream.stream.abort()
            raise
        if not upstream.over:
            upstream.stream.abort()
        elif upstream.settle(known.head, not body or method not in BODY_IGNORED):
            service.idle.put(upstream, service.clock())
        return SubrequestAnswer(known.head, got, known.raw)

    def _given(self, upstream: Upstream, take: Take) -> bytes:
        if self.anew is not None:
            self.anew()
        enough = take(upstream.first)
        upstream.first = b""
        while not enough and not upstream.over:
            enough = take(upstream.piece(BODY_READ, self.destination.body_idle))
        return b""

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
