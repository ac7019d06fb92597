"""One request's journey: route, lease, connection, send, answer, relay; elsewhere again when that is safe; one line in the log.

It knows no protocol. The client is a Downstream, which has the request's body and takes the answer; the connection to a backend is
an Upstream, which returns its answer. What is between the two is decided here. The lease is held from the pick to the last byte of
the response, whatever happens in between.
"""

from __future__ import annotations

from lbproxy.balance.lease import Lease
from lbproxy.balance.ledger import SLOTS, PerSlot
from lbproxy.balance.pick_result import ASK, Unavailable
from lbproxy.balance.policy import Outcome
from lbproxy.balance.pool import Pool
from lbproxy.errors import ClientGone, ClientStalled, ConnectionLost, RequestError, StreamError, TimedOut, UpstreamError
from lbproxy.http.endless import endless, unbuffered
from lbproxy.http.message import CHUNKED, NO_BODY, RequestHead, ResponseHead
from lbproxy.proxy import bound
from lbproxy.proxy.buffered import Buffered
from lbproxy.proxy.destination import Destination
from lbproxy.proxy.downstream import Downstream
from lbproxy.proxy.h1_upstream import H1Upstream
from lbproxy.proxy.interim import Interim
from lbproxy.proxy.relay import relay
from lbproxy.proxy.replies import OwnAnswer, https_location, redirect, refusal
from lbproxy.proxy.response_body import SourceFailed
from lbproxy.proxy.retry import IDEMPOTENT, Verdict, judge, preference
from lbproxy.proxy.rewriter import Rewriting, own_lines
from lbproxy.proxy.sink import Sink
from lbproxy.proxy.spool import Spool
from lbproxy.proxy.time_limit import TimeLimit
from lbproxy.proxy.tunnel import Tunnel
from lbproxy.proxy.unmeasured import measured, take_in
from lbproxy.proxy.upstream import Upstream
from lbproxy.streams import NEVER

_TO_CONNECTS = (PerSlot.CONNECTS - PerSlot.FAILURES) * SLOTS
"""From the cell that counts a backend's failures to the one that counts connections to it."""


class Exchange:
    """Made per request, by __new__; `begin` and `run` once."""

    __slots__ = (
        "_answered", "_backend", "_begun", "_binds", "_buffered", "_destination", "_downstream", "_head", "_heads", "_leased",
        "_limit", "_lines", "_over", "_parsed", "_reason", "_rewriting", "_service", "_size", "_status", "_tries", "ended",
    )  # fmt: skip

    _destination: Destination
    """Since it was routed."""

    def begin(self, downstream: Downstream, head: RequestHead, size: int, begun: float, parsed: float) -> None:
        """`size`: bytes of the head; `begun`, `parsed`: when the head began and was whole.

        Instead of a constructor, whose arguments would become objects and be taken apart again: 900 instructions a request.
        """
        self._downstream = downstream
        self._service = downstream.service
        self._head = head
        self._size = size
        self._begun = begun
        self._parsed = self._leased = self._answered = self.ended = parsed
        self._status = 0
        self._reason = self._backend = ""
        self._tries = 0
        self._lines = b""
        self._heads = downstream.service.response_heads
        self._rewriting: Rewriting | None = None
        self._limit: TimeLimit | None = None
        self._buffered: Buffered | None = None
        self._binds = head.binds
        """The connection to the backend belongs to this client from now on."""
        self._over = False

    def run(self) -> None:
        """Carry the request out to the end and log it. Raises nothing but ClientGone and the client stream's StreamError."""
        downstream = self._downstream
        try:
            if self._head.body != NO_BODY:
                downstream.open_body(self.interrupt)
            self._route()
        except RequestError as error:
            if downstream.begun:
                self._reason = error.reason
                downstream.break_off()
            else:
                self._refuse(error.status, error.reason, error.lines)
                self._reason = error.logged
        except SourceFailed as failed:
            self._reason = failed.reason
            downstream.break_off()
        except (ClientGone, StreamError) as gone:
            self._reason = "client_timeout" if isinstance(gone, (TimedOut, ClientStalled)) else "client_closed"
            self._status = 499
            self._service.counters.aborts += 1
            raise
        except Exception:
            self._status, self._reason = 500, "internal_error"
            raise
        finally:
            self._over = True
            self._unlimited()
            if self._buffered is not None:
                self._buffered.stop()
            if downstream.body is not None:
                downstream.body.stop()
            self._log()

    def interrupt(self, error: Exception) -> None:
        """From a greenlet that works for this one: the request cannot go on."""
        strands, strand = self._service.strands, self._downstream.strand

        def throw() -> None:
            if not self._over and strand is not None:
                strand.throw(error)

        strands.later(throw)

    # ---------------------------------------------------------------- where to

    def _route(self) -> None:
        downstream, head = self._downstream, self._head
        if downstream.redirect >= 0 and not downstream.forwarder.secure(head):
            location = https_location(head, downstream.forwarder, downstream.redirect, self._service.https_port)
            return self._own(redirect(location), "redirect_to_https")
        if head is not downstream.routed_head:
            head = self._head = downstream.find_destination(head)
        destination = downstream.destination
        rewriter = self._service.rewriter if destination is None else destination.rewriter
        if rewriter is not None:
            self._rewriting = rewriter.begin(downstream.forwarder, head)
            self._heads = self._rewriting.heads
        if destination is None:
            raise RequestError(404, "no_route", "no route matches")
        self._destination = destination
        downstream.stream.write_stall = destination.write_stall
        body = downstream.body
        if destination.request:
            self._limit = TimeLimit(downstream, body, self._begun + destination.request)
        if body is not None:
            body.allow(destination, self._service.retries.method(destination.pool, head) in IDEMPOTENT)
        if destination.filters is None:
            return self._serve(destination.pool)
        with destination.filters.admit(head, downstream.forwarder):
            return self._serve(destination.pool)

    def _serve(self, pool: Pool) -> None:
        downstream = self._downstream
        if downstream.body is not None and self._destination.buffer_requests:
            self._head = take_in(downstream, self._head, self._destination)
            self._parsed = self._leased = self._answered = self._service.clock()
        tried: tuple[int, ...] = ()
        budgeted = -1
        while True:
            picked = pool.pick(tried) if downstream.bound is None or tried else bound.pick(downstream, pool)
            if not isinstance(picked, Lease):
                picked = self._admit(pool, picked, tried)
                if not isinstance(picked, Lease):
                    self._service.retries.end(budgeted)
                    # Say what went wrong at the last one, or that there was none.
                    return self._refuse(*((self._status, self._reason) if tried else (503, picked.reason)))
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
                    self._service.retries.end(budgeted)
            if failure is None:
                if self._buffered is not None:
                    self._buffered.deliver()
                    downstream.finished()
                return None
            tried = (*tried, lease.slot)
            if (budgeted := self._service.retries.begin(pool, self._tries, failure.nothing_sent)) < 0:
                return self._refuse(self._status, self._reason)

    def _admit(self, pool: Pool, why: Unavailable, tried: tuple[int, ...]) -> Lease | Unavailable:
        """The everyday pick did not give a lease: perhaps the pool only wants to know more of the request."""
        admission = self._service.admissions.get(pool.name)
        if admission is None:
            return pool.pick(tried, preference(self._head)) if why is ASK else why
        admitted = admission.admit(self._head, self._downstream.forwarder, tried)
        if isinstance(admitted, Unavailable):
            return admitted
        self._leased = self._answered = self._service.clock()  # it may have waited
        self._lines = admitted.lines
        return admitted.lease

    def _attempt(self, lease: Lease, pool: Pool) -> UpstreamError | None:
        """Try the leased backend; None when the client has its answer, else the failure after which another may be tried."""
        downstream = self._downstream
        reuse = True
        while True:
            upstream = None
            try:
                if downstream.body is not None and self._head.body == CHUNKED:
                    self._measure(lease, pool)
                if reuse:
                    upstream = self._kept(lease, pool)
                if upstream is None:
                    upstream = self._dial(lease, pool)
                self._converse(upstream, lease)
                return None
            except UpstreamError as error:
                failure, verdict = error, self._judge(error, upstream, pool)
                if upstream is not None:
                    upstream.stream.abort()
            except BaseException:
                if not downstream.begun:
                    self._service.counters.note(PerSlot.GIVEN_UP, lease.slot)
                if upstream is not None:
                    upstream.stream.abort()
                raise
            if verdict is Verdict.SAME_BACKEND:
                reuse = False
                continue
            self._service.counters.note_failure(failure.kind, lease.slot)
            if lease.told is not None:
                lease.told(self._service.clock() - self._leased, Outcome.FAILED)
            self._status, self._reason = failure.status, failure.reason
            if verdict is Verdict.GIVE_UP:
                self._refuse(failure.status, failure.reason)
                return None
            self._service.counters.retries += 1
            return failure

    def _measure(self, lease: Lease, pool: Pool) -> None:
        head = measured(self._downstream, self._head, self._destination, lease.slot, lambda: self._dial(lease, pool))
        if head is not self._head:
            self._head = head
            self._leased = self._answered = self._service.clock()

    def _kept(self, lease: Lease, pool: Pool) -> Upstream | None:
        """An idle connection to the leased backend."""
        service = self._service
        if self._downstream.bound is not None and (own := bound.take(self._downstream, lease)) is not None:
            self._binds = True
            return own
        if self._head.method == b"GET" or service.retries.method(pool, self._head) in IDEMPOTENT:
            return service.idle.take(lease.slot)
        return service.idle.take_settled(lease.slot, self._leased, service.strands.sleep)

    def _dial(self, lease: Lease, pool: Pool) -> Upstream:
        backend, service = lease.backend, self._service
        stream = service.dialer.dial(backend.ip, backend.port, pool.name, backend.host, self._destination.connect)
        service.counters.cells[lease.failures + _TO_CONNECTS] += 1
        return H1Upstream(stream, backend, service.idle, service.clock)

    def _judge(self, error: UpstreamError, upstream: Upstream | None, pool: Pool) -> Verdict:
        body = self._downstream.body
        if body is not None:
            body.pause()
        died_unanswered = error.reason == "response_closed"
        return judge(
            method=self._service.retries.method(pool, self._head),
            nothing_sent=error.nothing_sent,
            reused=upstream is not None and upstream.served > 0,
            died_unanswered=died_unanswered,
            unseen=died_unanswered and upstream is not None and upstream.stream.unseen(upstream.mark),
            replayable=body is None or body.replayable,
            tries=self._tries,
            retries=self._service.retries.most(pool, error.kind),
        )

    # ---------------------------------------------------------------- the conversation

    def _converse(self, upstream: Upstream, lease: Lease) -> None:
        """Send the request, pass the answer on. Raises UpstreamError while nothing was passed on, later SourceFailed."""
        stream, destination, downstream = upstream.stream, self._destination, self._downstream
        stream.write_stall = destination.write_stall
        upstream.mark = stream.wired
        head_bytes = downstream.forwarder.request(self._head)
        if self._rewriting is not None:
            head_bytes = self._rewriting.request(head_bytes)
        body = downstream.body
        try:
            if body is None:
                stream.write(head_bytes)
            else:
                body.begin(upstream, head_bytes)
        except TimedOut as error:
            raise UpstreamError(504, "write_timeout", "the backend takes no data") from error
        except ConnectionLost:
            pass  # it may have answered before it closed (413 to a long upload); reading tells
        # While the body is on its way the client's and the backend's progress are limited, and then the pump sets this deadline.
        pumping = body is not None and body.pumping
        stream.deadline = NEVER if pumping else self._leased + destination.response_head
        known = upstream.answer(self._heads, self._head.method)
        answer, out = known.head, known.out
        clean = True
        if answer.noteworthy:
            if answer.status < 200:
                interim = Interim(downstream, self._head, destination.response_head)
                known = interim.carry(upstream, known, self._heads)
                answer, out = known.head, known.out
                if answer.status == 101:
                    if lease.told is not None:
                        lease.told(self._service.clock() - self._leased, Outcome.ANSWERED)
                    self._tunnel(upstream, answer)
                    return
                clean = not interim.closes
            self._binds = self._binds or answer.binds
            if answer.undated:
                out = known.dated(self._service.date)
            if answer.status >= 500:
                self._service.counters.note_answer(answer.status, upstream.backend.slot)
        self._answered = self._service.clock()
        if lease.told is not None and not pumping:  # how long the client took for its body is not the backend's
            lease.told(self._answered - self._leased, Outcome.ANSWERED if answer.status < 500 else Outcome.ERROR)
        self._status, self._reason = answer.status, ""  # an earlier try's failure is told by `tries`
        self._pass_on(upstream, answer, out, clean)

    def _pass_on(self, upstream: Upstream, answer: ResponseHead, out: bytes, clean: bool) -> None:
        """Pass on the answer, of which the head is here (`out`); `clean`: nothing was amiss so far."""
        downstream, body, now = self._downstream, self._downstream.body, self._answered
        if body is not None:
            body.outlives(answer, self._head.expect_continue)
        if self._rewriting is not None:
            self._lines += self._rewriting.lines(self._backend)
        if upstream.over and not self._destination.buffer_responses:
            downstream.whole(answer, out, upstream.first, self._lines)
        else:
            self._relay(upstream, answer, out)
        if body is not None:
            if body.goes_on and not upstream.surplus:
                body.finish()
                now = self._service.clock()
            clean = clean and body.sent and not self._head.upgrade
        if self._buffered is None:
            downstream.finished()
        if upstream.settle(answer, clean):
            if self._binds:
                bound.keep(downstream, upstream)
            else:
                self._service.idle.put(upstream, now)

    def _relay(self, upstream: Upstream, answer: ResponseHead, out: bytes) -> None:
        """An answer whose body did not come with its head, or that is buffered."""
        sink, silence = self._sink(answer)
        try:
            relay(upstream, sink, answer, out, self._lines, silence)
        except SourceFailed as failed:
            self._service.counters.note_failure(failed.kind, upstream.backend.slot)
            if self._buffered is not None:
                self._buffered.deliver()  # what there was, before the cut
            raise
        finally:
            self._downstream.streaming = False

    def _sink(self, answer: ResponseHead) -> tuple[Sink, float]:
        """Where the answer goes, and how many seconds its backend may be silent."""
        downstream, destination, service = self._downstream, self._destination, self._service
        if answer.body < 0 and endless(answer):
            self._unlimited()
            downstream.streaming = True
            return downstream, destination.tunnel
        # Not where the request goes on behind the answer: the backend is not free before that.
        goes_on = downstream.body is not None and downstream.body.goes_on
        if destination.buffer_responses and not goes_on and not unbuffered(answer):
            spool = Spool(service.scratch, destination.buffer_responses, destination.buffer_file, service.on_buffer_failed)
            self._buffered = Buffered(downstream, spool, self.interrupt)
            return self._buffered, destination.body_idle
        return downstream, destination.body_idle

    def _tunnel(self, upstream: Upstream, answer: ResponseHead) -> None:
        """Pass the 101 on, and then bytes until one side, or the worker, ends it. The lease is held for so long."""
        downstream = self._downstream
        self._status, self._reason = 101, ""
        self._answered = self._service.clock()
        if self._rewriting is not None:
            self._lines += self._rewriting.lines(self._backend)
        self._unlimited()
        tunnel = Tunnel(self._service, downstream.stream, upstream.stream, self._destination.tunnel)
        try:
            downstream.upgrade(answer, self._lines, self._heads.via, tunnel, upstream.first)
        finally:
            self._reason = tunnel.reason
            self._size += tunnel.bytes_up

    # ---------------------------------------------------------------- answers of our own, and the end

    def _refuse(self, status: int, reason: str, lines: bytes = b"") -> None:
        self._own(refusal(status, reason, lines), reason)

    def _own(self, answer: OwnAnswer, reason: str) -> None:
        self._unlimited()
        self._status, self._reason = answer.status, reason
        service, forwarder = self._service, self._downstream.forwarder
        self._downstream.own(answer, service.date + own_lines(self._rewriting, service.rewriter, forwarder, self._head))

    def _unlimited(self) -> None:
        """From here on it is as long as it is, or over but for some last words."""
        if self._limit is not None:
            self._limit.stop()

    def _log(self) -> None:
        service, downstream = self._service, self._downstream
        self.ended = ended = service.clock()
        bytes_in = self._size if downstream.body is None else self._size + downstream.body.received
        # A tunnel's latency is that of its 101: how long it lasted afterwards is no delay.
        waited = ended - self._begun if self._status != 101 else self._answered - self._begun
        service.counters.count(self._status, bytes_in, downstream.bytes_out, waited)
        if service.access is not None:
            about = downstream.about(self._head)
            if self._rewriting is not None:
                about += self._rewriting.logged()
            service.access.record(
                about, self._status, self._reason, bytes_in, downstream.bytes_out, self._backend, self._tries,
                downstream.tls_seconds, self._begun, self._parsed, self._leased, self._answered, ended,
            )  # fmt: skip
