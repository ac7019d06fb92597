"""One request's journey: route, steps, lease, connection, send, answer, relay; one line in the log.

It knows no protocol. The client is a Downstream, which has the request's body and takes the answer; the connection to a backend is
an Upstream, which returns its answer. What is between the two is decided here, in stepwise.py (what the steps of a route do about
it) and in tries.py, the backends' half of it.
"""

from __future__ import annotations

from lbproxy.errors import ClientGone, RequestError, StreamError
from lbproxy.http.message import NO_BODY, RequestHead
from lbproxy.http.trailers import NONE
from lbproxy.proxy.downstream import Downstream, outcome_of
from lbproxy.proxy.grpc_call import call_of
from lbproxy.proxy.replies import (
    CHALLENGE_PATH,
    CLOSED,
    NOT_OPENED,
    OwnAnswer,
    challenge_answer,
    https_location,
    redirect,
    refusal,
    ruled,
)
from lbproxy.proxy.response_body import SourceFailed
from lbproxy.proxy.rewriter import own_lines
from lbproxy.proxy.steps.step import Answered
from lbproxy.proxy.stepwise import Stepwise
from lbproxy.proxy.time_limit import TimeLimit


class Exchange(Stepwise):
    """Made per request, by __new__; `begin` and `run` once."""

    __slots__ = ("_begun", "_over", "ended")

    def begin(self, downstream: Downstream, head: RequestHead, size: int, begun: float, parsed: float) -> None:
        """`size`: bytes of the head; `begun`, `parsed`: when the head began and was whole.

        Instead of a constructor, whose arguments would become objects and be taken apart again: 900 instructions a request.
        """
        self.downstream = downstream
        self._service = downstream.service
        self.head = head
        self._size = size
        self._begun = begun
        self._parsed = self._leased = self._answered = self.ended = parsed
        self._status = 0
        self._reason = self._backend = ""
        self._tries = 0
        self._lines = b""
        self._heads = downstream.service.response_heads
        self._rewriting = None
        self._limit = None
        self._buffered = None
        self._courses = None
        self._grpc = None
        self._binds = head.binds
        self._over = False

    def run(self) -> None:
        """Carry the request out to the end and log it. Raises nothing but ClientGone, the client stream's StreamError, and
        RequestError when it is cut while its client takes an answer of ours."""
        downstream = self.downstream
        try:
            if self.head.body != NO_BODY:
                downstream.open_body(self.interrupt)
                self.look_for_call()
            self._route()
        except RequestError as error:
            if downstream.begun:
                self._break_off(error.status, error.reason)
            else:
                self._refuse(error.status, error.reason, error.lines)
                self._reason = error.logged
        except SourceFailed as failed:
            if not downstream.begun:  # a step kept it back
                self._refuse(502, failed.reason)
            elif downstream.lacks_nothing():
                downstream.finished()
            else:
                self._break_off(502, failed.reason)
        except (ClientGone, StreamError) as gone:
            self._status, self._reason = outcome_of(gone)
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
        strands, strand = self._service.strands, self.downstream.strand

        def throw() -> None:
            if not self._over and strand is not None:
                strand.throw(error)

        strands.later(throw)

    def look_for_call(self) -> None:
        """The request may be a gRPC call, which has its own deadline and its own errors."""
        call = call_of(self.head)
        if call is not None:
            self._grpc, self._courses, self.noted = call, [call], ""
            if call.timeout is not None:
                self._limit = TimeLimit(self.downstream, None, self._begun + call.timeout, "grpc_timeout")

    # ---------------------------------------------------------------- where to

    def _route(self) -> None:
        downstream, head = self.downstream, self.head
        if downstream.redirect != -1 and self._aside():  # NO_REDIRECT, which would be looked up
            return None
        if head is not downstream.routed_head:
            head = self.head = downstream.find_destination(head)
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
            self._limit_to(destination.request)
        if destination.lines:
            self._lines = destination.lines
        if body is not None and destination.pool is not None:
            body.allow(destination, self._service.retries.repeatable(destination.pool, head))
        if destination.steps is None:
            return self._serve(destination.pool)
        return self._step_by_step(destination.steps)

    def _aside(self) -> bool:
        """What some listeners without TLS answer before any route: an authority's challenge, a redirect to https. Whether it was
        that."""
        service, downstream, head = self._service, self.downstream, self.head
        if service.challenges and head.path.startswith(CHALLENGE_PATH) and head.method in (b"GET", b"HEAD"):
            authorization = service.challenges.get(head.path[len(CHALLENGE_PATH) :])
            if authorization is not None:
                self._own(challenge_answer(authorization), "acme_challenge")
                return True
        if downstream.redirect >= 0 and not downstream.forwarder.secure(head):
            location = https_location(head, downstream.forwarder, downstream.redirect, service.https_port)
            self._own(redirect(location), "redirect_to_https")
            return True
        return False

    def _limit_to(self, seconds: float) -> None:
        """The route's own limit, unless the client has set a nearer one."""
        until = self._begun + seconds
        if self._limit is None or self._limit.until > until:
            self._unlimited()
            self._limit = TimeLimit(self.downstream, self.downstream.body, until)

    # ---------------------------------------------------------------- answers of our own, and the end

    def _refuse(self, status: int, reason: str, lines: bytes = b"") -> None:
        self._own(refusal(status, reason, lines), reason)

    def _say(self, said: Answered) -> None:
        """What a step says instead of a backend, or that it says nothing."""
        if said.answer is None:
            self._status, self._reason = CLOSED, said.reason
            self.downstream.say_nothing()
        elif said.whole:
            self._give(said.answer, said.reason, b"")
        elif not said.ruled:
            self._own(said.answer, said.reason)
        else:
            answer, undated = ruled(said.answer, self._heads)
            date = self._service.date if undated else b""
            self._give(answer, said.reason, date if self._rewriting is None else date + self._rewriting.lines(""))

    def _own(self, answer: OwnAnswer, reason: str) -> None:
        service, forwarder = self._service, self.downstream.forwarder
        extra = service.date + own_lines(self._rewriting, service.rewriter, forwarder, self.head)
        self._give(answer, reason, extra)

    def _give(self, answer: OwnAnswer, reason: str, extra: bytes) -> None:
        self._unlimited()
        if self._grpc is not None:
            answer = self._grpc.own(answer, reason)
        if self.head.upgrade and self.downstream.opens(answer.status):
            reason = NOT_OPENED
            answer = refusal(502, reason)
        self._status, self._reason = answer.status, reason
        self.downstream.own(answer, extra)

    def _break_off(self, status: int, reason: str) -> None:
        """A part of an answer is with the client, and it ends there."""
        self._reason = reason
        told = NONE if self._grpc is None or self._buffered is not None else self._grpc.broken(status, reason)
        if not told or not self.downstream.break_off_with(told):
            self.downstream.break_off()

    def _log(self) -> None:
        service, downstream = self._service, self.downstream
        self.ended = ended = service.clock()
        bytes_in = self._size if downstream.body is None else self._size + downstream.body.received
        # A tunnel's latency is that of its 101: how long it lasted afterwards is no delay.
        waited = ended - self._begun if self._status != 101 else self._answered - self._begun
        service.counters.count(self._status, bytes_in, downstream.bytes_out, waited)
        if self._grpc is not None:
            self._grpc.ended(self._status, service.counters)
        if service.access is not None:
            about = downstream.about(self.head)
            if self._rewriting is not None:
                about += self._rewriting.logged()
            if self._grpc is not None:
                about += self._grpc.logged()
            if self._courses is not None:
                about += self.noted
            service.access.record(
                about, self._status, self._reason, bytes_in, downstream.bytes_out, self._backend, self._tries,
                downstream.tls_seconds, self._begun, self._parsed, self._leased, self._answered, ended,
            )  # fmt: skip
