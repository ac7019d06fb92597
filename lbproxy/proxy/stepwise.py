"""The part of an exchange that the steps of a route have: before a backend is asked, with its answer, and instead of it.

A class between Exchange and Tries, since steps ask for both (see Journey in steps/step.py) and a call more would cost each request.
"""

from __future__ import annotations

from lbproxy.errors import ClientGone, RequestError, StreamError
from lbproxy.http.findings import Findings
from lbproxy.http.heads import KnownHead
from lbproxy.http.message import NO_BODY, RequestHead
from lbproxy.proxy import bound
from lbproxy.proxy.caching.at_hand import AtHand
from lbproxy.proxy.relay import relay
from lbproxy.proxy.response_body import SourceFailed
from lbproxy.proxy.sink import Sink
from lbproxy.proxy.stand_in import StandIn
from lbproxy.proxy.steps.step import Answered, AskAgain, Course, Step
from lbproxy.proxy.tries import Tries
from lbproxy.proxy.upstream import Upstream


class Stepwise(Tries):
    """The part of an Exchange that is asked for on routes with steps."""

    __slots__ = ()

    def _step_by_step(self, steps: tuple[Step, ...]) -> None:
        """What the route does before and after; see proxy/steps/step.py."""
        courses: list[Course] = [] if self._courses is None else self._courses
        self.stand_in, self.at_hand, self.noted = None, None, ""
        try:
            for step in steps:
                course = step.begin(self)
                if course is not None:
                    courses.append(course)
            self._courses = courses or None
            if self.at_hand is not None:
                if not courses:
                    self._courses = courses  # there is something to tell in the log
                    return self._give_at_hand(self.at_hand)
                self.stand_in = self.at_hand.stand_in(self.at_hand.now, self._service.strands)
            if self.stand_in is None:
                self._ask_backends(courses)
            if self.stand_in is not None:
                self._give_stand_in(self.stand_in, courses)
        except Answered as answered:
            self._say(answered)
        except (ClientGone, StreamError):
            for course in courses:
                course.client_gone()
            raise
        finally:
            while courses:
                courses.pop().end()

    def _ask_backends(self, courses: list[Course]) -> None:
        """Until the client has an answer, or a step has one for it."""
        try:
            try:
                self._serve(self._destination.pool)
            except AskAgain:
                self._serve(self._destination.pool)
        except RequestError as error:
            if self.downstream.begun:
                raise
            for course in courses:
                self.stand_in = course.rescued(error.status)
                if self.stand_in is not None:
                    return
            raise

    def _replaced(self, upstream: Upstream, known: KnownHead, clean: bool) -> bool:
        """See Tries."""
        assert self._courses is not None
        answer, downstream = known.head, self.downstream
        self.said = known.raw
        for course in self._courses:
            self.stand_in = course.instead(answer)
            if self.stand_in is not None:
                break
        else:
            return False
        if not upstream.over or downstream.body is not None:
            upstream.stream.abort()
        elif upstream.settle(answer, clean):
            if self._binds or upstream.private:
                bound.keep(downstream, upstream)
            else:
                self._service.idle.put(upstream, self._answered)
        return True

    def _give_stand_in(self, stand_in: StandIn, courses: list[Course]) -> None:
        """A step's answer, which goes the way of a backend's."""
        self._unlimited()
        known = self._heads.again(stand_in.raw, self.head.method)
        self._status, self._reason, self._answered = known.head.status, "", self._service.clock()
        if known.head.body == NO_BODY:
            stand_in.all_is_here()
        sink: Sink = self.downstream
        for course in reversed(courses):
            self.source = stand_in
            sink = course.around(known.head, sink)
        try:
            relay(stand_in, sink, known.head, known.out, self._added() + stand_in.lines, self._destination.body_idle, ())
        except SourceFailed:
            if stand_in.resume is None or self._destination.buffer_responses:
                raise
            self._resume(stand_in.resume(sink), courses)
        else:
            self.downstream.finished()

    def _resume(self, course: Course, courses: list[Course]) -> None:
        """A part of the answer is with the client; a backend is asked for the rest. The other courses see what passes that was
        theirs before."""
        others, courses[:] = courses[:], [course]
        self._courses = courses
        try:
            self._serve(self._destination.pool)
        finally:
            courses[:] = others

    def _give_at_hand(self, found: AtHand) -> None:
        """The same of what nobody else wants to see, in one write."""
        self._unlimited()
        self._answered = now = found.now
        known, downstream = found.known(self._heads), self.downstream
        self._status, self._reason = known.head.status, ""
        downstream.whole(known.head, found.out(known, now), found.body, self._added())
        downstream.finished()

    def as_answered(self, raw: bytes) -> KnownHead:
        """See Journey."""
        return self._heads.again(raw, self.head.method)

    def rewrites(self) -> bool:
        """See Journey."""
        return self._rewriting is not None

    def findings(self) -> Findings:
        """See Journey. A route that has steps which find something has a rewriter."""
        rewriting = self._rewriting
        assert rewriting is not None
        if rewriting.findings is None:
            rewriting.findings = Findings()
        found: Findings = rewriting.findings
        return found

    def as_sent(self, head: RequestHead) -> bytes:
        """See Journey."""
        sent: bytes = self.downstream.forwarder.request(head)
        return sent if self._rewriting is None else self._rewriting.request(sent)

    def go_on_as(self, head: RequestHead) -> None:
        """See Journey."""
        self.head = head
        self._leased = self._answered = self._service.clock()

    def tell(self, status: int, reason: str) -> None:
        """See Journey."""
        self._status, self._reason = status, reason

    def _say(self, said: Answered) -> None:
        """What a step says instead of a backend."""
        raise NotImplementedError
