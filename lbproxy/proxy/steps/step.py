"""The interface of a step: one thing that a route does between choosing the route and the backend, and between answer and client.

A Step belongs to a route in one worker. Each request that the route serves is shown to its steps in their order, and what a step
has to do about that request is a Course. A step may

1. pass: return no Course, or one that only wants to hear of the end;
2. refuse: raise RequestError, or answer itself: raise Answered;
3. look at the request's body as it comes: `watch` of the downstream's body; what looks may raise RequestError in the middle of it;
4. look at or change the answer, head and pieces: Course.around stands in front of the client as a Sink;
5. answer in the place of a backend, as a backend would: Journey.stand_in, before one is asked; Course.instead, when one has
   answered; Course.rescued, when none does;
6. ask somebody else first: subrequest.ask, from the request's own greenlet, as long as it takes.

Whoever holds something for a request gives it back in Course.end, which is called whatever became of it, last step first. A route
without steps costs its requests one test.
"""

from __future__ import annotations

from typing import Protocol

from lbproxy.errors import LbproxyError
from lbproxy.http.findings import Findings
from lbproxy.http.heads import KnownHead
from lbproxy.http.message import RequestHead, ResponseHead
from lbproxy.proxy.caching.at_hand import AtHand
from lbproxy.proxy.downstream import Downstream
from lbproxy.proxy.replies import OwnAnswer
from lbproxy.proxy.sink import Sink
from lbproxy.proxy.stand_in import StandIn
from lbproxy.proxy.upstream import Upstream


class Answered(LbproxyError):
    """A step answers the request itself."""

    def __init__(self, answer: OwnAnswer | None, reason: str, ruled: bool = False, whole: bool = False) -> None:
        """`answer`: None: nothing is said, and the connection ends; `reason`: in the access log; `ruled`: what the route does to
        the fields of its backends' answers is done to these, too; `whole`: it is somebody else's, and nothing is added to it."""
        super().__init__(reason)
        self.answer = answer
        self.reason = reason
        self.ruled = ruled
        self.whole = whole


class AskAgain(LbproxyError):
    """From Course.instead, once: the answer is of no use to anybody, and a backend is asked for what the request has become."""


class Journey(Protocol):
    """One request, as a step sees it."""

    @property
    def head(self) -> RequestHead:
        """As it was routed."""

    @property
    def downstream(self) -> Downstream:
        """Whoever asked."""

    def as_sent(self, head: RequestHead) -> bytes:
        """The head of the request as its backend gets it, or of another one in its place."""

    def rewrites(self) -> bool:
        """Whether the route does more to the request's fields than is done to all."""

    def findings(self) -> Findings:
        """What steps have found out about the request, to add to: see there. For routes whose configuration says that they do
        (RouteConfig.inspects)."""

    def go_on_as(self, head: RequestHead) -> None:
        """The request goes on with another head: its body was received, or a step has made something else of it."""

    def interrupt(self, error: Exception) -> None:
        """From a greenlet that works for this one: the request cannot go on."""

    def tell(self, status: int, reason: str) -> None:
        """For the log: the client gets an answer of this status instead of the backend's."""

    @property
    def source(self) -> Upstream:
        """What the answer comes over; for Course.around and the sinks that it makes."""

    @property
    def said(self) -> bytes:
        """The answer's head as the backend said it; for Course.around and Course.instead."""

    stand_in: StandIn | None
    """For Step.begin: what is answered in the place of a backend."""
    at_hand: AtHand | None
    """Likewise: all of an answer out of the cache, which nobody else wants to see."""
    noted: str
    """For the access line: JSON members, each with a comma in front."""

    def as_answered(self, raw: bytes) -> KnownHead:
        """An answer's head, of which a backend has said all or a part, as the client gets it."""


class Course:
    """What a step does about one request. The defaults do nothing."""

    __slots__ = ()

    def around(self, answer: ResponseHead, sink: Sink) -> Sink:
        """A final answer is about to go to `sink`: where it goes instead, which passes on to that what it lets through."""
        return sink

    def instead(self, answer: ResponseHead) -> StandIn | None:
        """A final answer is here, and nobody has got anything of it: what is passed on in its place; None: it is. Raises
        AskAgain."""
        return None

    def rescued(self, status: int) -> StandIn | None:
        """No backend answers, and the client would get an error of ours: what it gets instead. None: the error."""
        return None

    def client_gone(self) -> None:
        """It ends since the client has gone, or takes nothing; `end` follows."""

    def end(self) -> None:
        """The exchange is over."""


class Step:
    """One thing that a route does to its requests, in one worker; shown each of them."""

    __slots__ = ()

    def begin(self, journey: Journey) -> Course | None:
        """A request came for the route. None: it passes, and nobody need come back to it. Raises RequestError, Answered."""
        raise NotImplementedError
