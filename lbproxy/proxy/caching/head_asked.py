"""A HEAD that a backend answers, on a route whose cache has an answer to GET there (RFC 9111 4.3.5).

What the backend says is what it would say to GET, so that it tells whether what is stored is still right: then it is brought up to
date, as by a 304; and if it tells of something else, what is stored is not given out any more.
"""

from __future__ import annotations

from lbproxy.errors import RefusedAnswer
from lbproxy.http.caching.conditional import same
from lbproxy.http.caching.heads import MOST_FIELDS
from lbproxy.http.caching.lifetime import Arrival
from lbproxy.http.caching.storing import validators
from lbproxy.http.fields import values
from lbproxy.http.h1.response import parse_response
from lbproxy.http.message import ResponseHead
from lbproxy.proxy.caching.fetch import Fetching
from lbproxy.proxy.caching.shelf import FoundAnswer, LookupTarget
from lbproxy.proxy.sink import Sink
from lbproxy.proxy.steps.step import Course, Journey
from lbproxy.proxy.telling import Telling


class HeadAsked(Course):
    """Such a request, while its answer is on its way."""

    __slots__ = ("_asked_at", "_asking", "_found", "_journey", "_lines", "_personal", "_ticket")

    def __init__(
        self, asking: Fetching, journey: Journey, target: LookupTarget, found: FoundAnswer, personal: bool, lines: bytes
    ) -> None:
        """`found`: what is stored; `personal`: it is some user's request; `lines`: for the answer."""
        self._asking = asking
        self._journey = journey
        self._found = found
        self._personal = personal
        self._lines = lines
        self._ticket = asking.shelf.storage.begin(target.key)
        self._asked_at = journey.downstream.service.clock()

    def around(self, answer: ResponseHead, sink: Sink) -> Sink:
        """See Course."""
        if answer.status == 200:
            try:
                self._look(parse_response(self._journey.said, b"HEAD", MOST_FIELDS))
            except RefusedAnswer:
                pass  # one that a tolerant pool passes on
        return Telling(sink, self._lines)

    def _look(self, said: ResponseHead) -> None:
        asking, found, service = self._asking, self._found, self._journey.downstream.service
        known = found.head()
        if not same(known, said) or not self._as_long(said):
            asking.shelf.storage.forget(found.digest)
        elif validators(said) and validators(known):
            head = self._journey.head
            asked = head.elsewhere(b"GET", head.target, head.path, head.raw)
            at = Arrival(self._asked_at, service.clock(), asking.wall())
            renewed = asking.renewed(asked, self._personal, found, said, at, service.date)
            if renewed is not None and renewed.digest:
                asking.shelf.storage.renew(renewed.digest, renewed.answer.written(), self._ticket)

    def _as_long(self, said: ResponseHead) -> bool:
        """What is compressed here has another length than the backend knows of."""
        lengths = [] if self._found.answer.kept.coded else list(values(said, b"content-length"))
        return all(each.strip() == b"%d" % self._found.entry.size for each in lengths)
