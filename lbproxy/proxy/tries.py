"""One request's tries at its pool's backends: lease, connection, send, answer, relay; elsewhere again when that is safe.

The lease is held from the pick to the last byte of the response, whatever happens in between. Nothing here knows a protocol: see
upstream.py and downstream.py for the two seams.
"""

from __future__ import annotations

from functools import partial

from lbproxy.balance.lease import Lease
from lbproxy.balance.ledger import PerSlot
from lbproxy.balance.pick_result import ASK, NoneAvailable
from lbproxy.balance.policy import PickOutcome
from lbproxy.balance.pool import Pool
from lbproxy.errors import ConnectionLost, RequestError, TimedOut, UpstreamError
from lbproxy.http.endless import endless
from lbproxy.http.heads import KnownHead, ResponseHeads
from lbproxy.http.message import CHUNKED, RequestHead, ResponseHead
from lbproxy.proxy import bound
from lbproxy.proxy.buffered import Buffered, buffered
from lbproxy.proxy.caching.at_hand import AtHand
from lbproxy.proxy.connect import dial, idle
from lbproxy.proxy.destination import Destination
from lbproxy.proxy.downstream import Downstream
from lbproxy.proxy.grpc_call import GrpcCall
from lbproxy.proxy.interim import Interim
from lbproxy.proxy.relay import relay
from lbproxy.proxy.replies import NOT_OPENED
from lbproxy.proxy.response_body import SourceFailed
from lbproxy.proxy.retry import BODY_IGNORED, RetryVerdict, preference
from lbproxy.proxy.rewriter import Rewriting
from lbproxy.proxy.service import Service
from lbproxy.proxy.sink import Sink
from lbproxy.proxy.stand_in import StandIn
from lbproxy.proxy.steps.step import Course
from lbproxy.proxy.time_limit import TimeLimit
from lbproxy.proxy.tunnel import Tunnel
from lbproxy.proxy.unmeasured import invite_for, measured, take_in
from lbproxy.proxy.upstream import Upstream
from lbproxy.streams import NEVER


class Tries:
    """The half of an Exchange that deals with backends; the other half sets all of this: a call more would cost each request."""

    __slots__ = (
        "_answered", "_backend", "_binds", "_budgeted", "_buffered", "_courses", "_destination", "_grpc", "_heads",
        "_leased", "_limit", "_lines", "_parsed", "_reason", "_rewriting", "_service", "_size", "_status", "_tries",
        "at_hand", "downstream", "head", "noted", "said", "source", "stand_in",
    )  # fmt: skip

    downstream: Downstream
    head: RequestHead
    """As it is sent on; others are made of it on its way."""
    source: Upstream
    """What the answer comes over, where steps stand in its way."""
    said: bytes
    """Where there are courses: its head as the backend said it."""
    stand_in: StandIn | None
    """Where there are steps: what a step answers with, in place of a backend. None: nothing so far."""
    at_hand: AtHand | None
    """Likewise: the same, out of the cache and ready to leave."""
    noted: str
    """Likewise: for the access line, JSON members, each with a comma in front."""
    _service: Service
    _destination: Destination
    """Since it was routed."""
    _parsed: float
    """When the head was whole; the next two: when a backend was chosen, and when its answer's head was here."""
    _leased: float
    _answered: float
    _status: int
    _reason: str
    """Of the last answer or failure; "" for an answer of a backend."""
    _backend: str
    _tries: int
    _size: int
    """Bytes of the head, and of what a tunnel brought."""
    _binds: bool
    """The connection to the backend belongs to this client from now on."""
    _budgeted: int
    """Of a further try: see RetryBudgets.begin."""
    _heads: ResponseHeads
    _lines: bytes
    """Fields for the answer, each with its CRLF in front."""
    _rewriting: Rewriting | None
    _limit: TimeLimit | None
    _buffered: Buffered | None
    _courses: list[Course] | None
    """What the route's steps do about this request."""
    _grpc: GrpcCall | None
    """The call that it is."""

    def interrupt(self, error: Exception) -> None:
        """From a greenlet that works for this one: the request cannot go on."""
        raise NotImplementedError

    def _serve(self, pool: Pool) -> None:
        """Until the client has a backend's answer. Raises RequestError when none is to be had, SourceFailed when it breaks off."""
        downstream = self.downstream
        if downstream.body is not None and self._destination.buffer_requests and self._grpc is None:
            self.head = take_in(downstream, self.head, self._destination)
            self._parsed = self._leased = self._answered = self._service.clock()
        tried: tuple[int, ...] = ()
        while True:
            picked = pool.pick(tried) if downstream.bound is None or tried else bound.pick(downstream, pool)
            if not isinstance(picked, Lease):
                picked = self._admit(pool, picked, tried)
                if not isinstance(picked, Lease):
                    if not tried:
                        raise RequestError(503, picked.reason)
                    self._service.retries.end(self._budgeted)
                    raise RequestError(self._status, self._reason)  # what went wrong at the last one
            lease = picked
            if tried:  # the first pick follows the parse at once: there is no queue to wait in
                self._leased = self._answered = self._service.clock()
            self._tries += 1
            self._backend = lease.name
            try:
                failure = self._attempt(lease, pool)
            finally:
                lease.release()
                if tried:
                    self._service.retries.end(self._budgeted)
            if failure is None:
                if self._buffered is not None:
                    self._buffered.deliver()
                    downstream.finished()
                return
            tried = (*tried, lease.slot)
            self._budgeted = self._service.retries.begin(pool, self._tries, failure.nothing_sent)
            if self._budgeted < 0:
                raise RequestError(self._status, self._reason)

    def _admit(self, pool: Pool, why: NoneAvailable, tried: tuple[int, ...]) -> Lease | NoneAvailable:
        """The everyday pick did not give a lease: perhaps the pool only wants to know more of the request."""
        admission = self._service.admissions.get(pool.name)
        if admission is None:
            return pool.pick(tried, preference(self.head)) if why is ASK else why
        admitted = admission.admit(self.head, self.downstream.forwarder, tried)
        if isinstance(admitted, NoneAvailable):
            return admitted
        self._leased = self._answered = self._service.clock()  # it may have waited
        self._lines = self._destination.lines + admitted.lines
        return admitted.lease

    def _attempt(self, lease: Lease, pool: Pool) -> UpstreamError | None:
        """Try the leased backend; None when the client has its answer, else the failure after which another may be tried."""
        downstream = self.downstream
        reuse = True
        while True:
            upstream = None
            try:
                if downstream.body is not None and self.head.body == CHUNKED:
                    self._measure(lease, pool)
                if reuse:
                    repeatable = self.head.method == b"GET" or self._service.retries.repeatable(pool, self.head)
                    upstream = idle(downstream, lease, self.head, repeatable, self._leased)
                if upstream is None:
                    upstream = dial(
                        self._service, self._destination, lease, pool.name, self.head, downstream, self._rewriting
                    )  # fmt: skip
                self._converse(upstream, lease)
                return None
            except UpstreamError as error:
                failure, body = error, downstream.body
                if body is not None:
                    body.pause()
                replayable = body is None or body.replayable
                verdict = self._service.retries.judge(pool, self.head, error, upstream, replayable, self._tries)
                if upstream is not None:
                    upstream.stream.abort()
            except BaseException:
                if not downstream.begun:
                    self._service.counters.note(PerSlot.GIVEN_UP, lease.slot)
                if upstream is not None:
                    upstream.stream.abort()
                raise
            if verdict is RetryVerdict.SAME_BACKEND:
                reuse = False
                continue
            self._service.counters.note_failure(failure.kind, lease.slot)
            if lease.told is not None:
                lease.told(self._service.clock() - self._leased, PickOutcome.FAILED)
            self._status, self._reason = failure.status, failure.reason
            if verdict is RetryVerdict.GIVE_UP:
                raise RequestError(failure.status, failure.reason)
            self._service.counters.retries += 1
            return failure

    def _measure(self, lease: Lease, pool: Pool) -> None:
        service, destination = self._service, self._destination
        if service.idle.shared is not None and service.idle.shared.speak_nothing_else(pool.name):
            return
        ask = partial(dial, service, destination, lease, pool.name)
        head = measured(self.downstream, self.head, destination, lease.slot, ask)
        if head is not self.head:
            self.head = head
            self._leased = self._answered = self._service.clock()

    # ---------------------------------------------------------------- the conversation

    def _converse(self, upstream: Upstream, lease: Lease) -> None:
        """Send the request, pass the answer on. Raises UpstreamError while nothing was passed on, later SourceFailed."""
        stream, destination, downstream = upstream.stream, self._destination, self.downstream
        stream.write_stall = destination.write_stall
        head_bytes = downstream.forwarder.request(self.head)
        if self._rewriting is not None:
            head_bytes = self._rewriting.request(head_bytes)
        body = downstream.body
        if body is not None and self.head.expect_continue:
            invite_for(upstream, downstream)
        try:
            if body is None:
                upstream.send(head_bytes, b"", False, True)
            else:
                body.begin(upstream, head_bytes, self.head.body == CHUNKED)
        except TimedOut as error:
            raise UpstreamError(504, "write_timeout", "the backend takes no data") from error
        except ConnectionLost:
            pass  # it may have answered before it closed (413 to a long upload); reading tells
        # While the body is on its way the client's and the backend's progress are limited, and then the pump sets this deadline.
        pumping = body is not None and body.pumping
        stream.deadline = NEVER if pumping else self._leased + destination.response_head
        known = upstream.answer(self._heads, self.head.method)
        answer, out = known.head, known.out
        clean = True
        if answer.noteworthy:
            if answer.status < 200:
                interim = Interim(downstream, self.head, destination.response_head)
                known = interim.carry(upstream, known, self._heads)
                answer, out = known.head, known.out
                if answer.status == 101:
                    if lease.told is not None:
                        lease.told(self._service.clock() - self._leased, PickOutcome.ANSWERED)
                    self._tunnel(upstream, answer)
                    return
                clean = not interim.closes
            self._binds = self._binds or answer.binds
            out = known.dated(self._service.date) if answer.undated else out
            if answer.status >= 500:
                self._service.counters.note_answer(answer.status, upstream.backend.slot)
        self._answered = self._service.clock()
        if lease.told is not None and not pumping:  # how long the client took for its body is not the backend's
            lease.told(self._answered - self._leased, PickOutcome.ANSWERED if answer.status < 500 else PickOutcome.ERROR)
        self._status, self._reason = answer.status, ""  # an earlier try's failure is told by `tries`
        if self.head.upgrade and downstream.opens(answer.status):
            raise RequestError(502, NOT_OPENED, "the backend has answered, and not switched protocols")
        if self._courses is not None and self._replaced(upstream, known, clean):
            return
        self._pass_on(upstream, answer, out, clean)

    def _pass_on(self, upstream: Upstream, answer: ResponseHead, out: bytes, clean: bool) -> None:
        """Pass on the answer, of which the head is here (`out`); `clean`: nothing was amiss so far."""
        downstream, body, now = self.downstream, self.downstream.body, self._answered
        if body is not None:
            body.outlives(answer, self.head.expect_continue)
        lines = self._added()
        if upstream.over and self._courses is None and not self._destination.buffer_responses:
            downstream.whole(answer, out, upstream.first, lines)
        else:
            self._relay(upstream, answer, out, lines)
        if body is not None:
            if body.goes_on and not upstream.surplus:
                body.finish()
                now = self._service.clock()
            clean = clean and body.sent and not self.head.upgrade and self.head.method not in BODY_IGNORED
        if self._buffered is None:
            downstream.finished()
        if upstream.settle(answer, clean):
            if self._binds or upstream.private:
                bound.keep(downstream, upstream)
            else:
                self._service.idle.put(upstream, now)

    def _replaced(self, upstream: Upstream, known: KnownHead, clean: bool) -> bool:
        """Whether a step puts another answer in the place of this one, which nobody gets then."""
        raise NotImplementedError

    def _added(self) -> bytes:
        """What the answer is given on its way beyond what is the same for all answers of the destination."""
        return self._lines if self._rewriting is None else self._lines + self._rewriting.lines(self._backend)

    def _relay(self, upstream: Upstream, answer: ResponseHead, out: bytes, lines: bytes) -> None:
        """An answer whose body did not come with its head, or that a buffer or a step stands in front of."""
        downstream = self.downstream
        silence = self._destination.body_idle
        sink: Sink = downstream
        if answer.body < 0 and endless(answer):
            self._unlimited()
            self._make_room()
            downstream.streaming = True
            silence = self._destination.tunnel
        elif self._grpc is not None and self._grpc.answered(answer):
            silence = self._destination.tunnel
            self._make_room()
            if downstream.body is not None:
                downstream.body.be_patient(silence)
        else:
            self._buffered = buffered(downstream, answer, self._destination, self.interrupt)
            sink = downstream if self._buffered is None else self._buffered
        for course in () if self._courses is None else self._courses[::-1]:
            self.source = upstream
            sink = course.around(answer, sink)
        try:
            rewriter = self._destination.rewriter
            relay(upstream, sink, answer, out, lines, silence, () if rewriter is None else rewriter.ruled_responses)
        except SourceFailed as failed:
            self._service.counters.note_failure(failed.kind, upstream.backend.slot)
            if self._buffered is not None:
                self._buffered.deliver()  # what there was, before the cut
            raise
        finally:
            downstream.streaming = False

    def _tunnel(self, upstream: Upstream, answer: ResponseHead) -> None:
        """Pass the 101 on, and then bytes until one side, or the worker, ends it. The lease is held for so long."""
        downstream = self.downstream
        self._answered, self._status, self._reason = self._service.clock(), 101, ""
        self._unlimited()
        self._make_room()
        tunnel = Tunnel(self._service, downstream.stream, upstream.stream, self._destination.tunnel)
        try:
            downstream.upgrade(answer, self._added(), self._heads.via, tunnel, upstream.first)
        finally:
            self._reason = tunnel.reason
            self._size += tunnel.bytes_up

    def _make_room(self) -> None:
        """A try that has succeeded, and may go on for hours: others may have its place in the budget."""
        if self._tries > 1:
            self._service.retries.end(self._budgeted)
            self._budgeted = -1

    def _unlimited(self) -> None:
        """From here on it is as long as it is, or over but for some last words."""
        if self._limit is not None:
            self._limit.stop()
