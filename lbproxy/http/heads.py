"""Response heads as they come and as they leave, remembered by their bytes.

Backends repeat themselves: while a second lasts (Date), a hot resource is answered with the same head again and again. The
verdict on a head and the head that is passed on are pure functions of its bytes, so the second time a look-up takes the place of
both. What is remembered is bounded in bytes, for all places of a worker together; a backend that varies its heads costs a miss
each, which is a hundredth of the parse.
"""

from __future__ import annotations

from lbproxy.errors import RefusedAnswer
from lbproxy.http.edits import ResponseEdits
from lbproxy.http.forwarding import VIA, VIA_2, response
from lbproxy.http.grammar import END
from lbproxy.http.h1.response import parse_response
from lbproxy.http.h1.tolerance import Tolerance
from lbproxy.http.message import FIELDS_KEPT, ResponseHead
from lbproxy.http.prefix import Prefix, PrefixRequest
from lbproxy.remembered import Budget

HEADS_KEPT = 2 * 1024 * 1024
"""Bytes; some 500 heads of the usual size. Then all are forgotten: with Date in them they are stale after a second anyway."""
COPIES, OBJECTS = 7, 2048
"""Times that a head's bytes are held by what is remembered of it (as they came, as they leave, with a Date, fields, in lower case,
what decides and its values), and what all these objects take by themselves."""


class KnownHead:
    """A response head as it came and as it leaves."""

    __slots__ = ("_date", "_dated", "head", "out", "raw", "reader")

    def __init__(self, raw: bytes, head: ResponseHead, out: bytes, reader: ResponseHeads | None) -> None:
        self.raw = raw
        """From the status line to the empty line, both included."""
        self.head = head
        """What it says, edited."""
        self.out = out
        """What is passed on when nothing more is to be added."""
        self._date: bytes | None = None
        self._dated = b""
        self.reader = reader
        """For whom the same bytes mean the same next time, whatever the method but HEAD; None: nobody knows."""

    def dated(self, date: bytes) -> bytes:
        """`out` with a Date (a field line that is the same object for a second), for an answer that has none."""
        if date is not self._date:
            self._date, self._dated = date, self.out[:-4] + date + END
        return self._dated


class ResponseHeads:
    """The response heads that are remembered, of a worker or of one of its destinations that has rules of its own."""

    __slots__ = ("_budget", "_edits", "_known", "_over_http_2", "max_fields", "tolerance", "via")

    def __init__(
        self,
        max_fields: int,
        edits: ResponseEdits | None = None,
        budget: Budget | None = None,
        tolerance: Tolerance | None = None,
    ) -> None:
        """`max_fields`: more in one head are refused; `edits`: what is done to each; `budget`: for what is remembered;
        None: its own; `tolerance`: of heads that are refused otherwise."""
        self.max_fields = max_fields
        self._edits = edits
        self.tolerance = tolerance
        self.via = VIA if edits is None or edits.via else b""
        """What is put on to tell who we are."""
        self._over_http_2: ResponseHeads | None = None
        self._budget = budget or Budget(HEADS_KEPT)
        self._known: dict[bytes, KnownHead] = self._budget.draws({})

    def read(self, raw: bytes, method: bytes) -> KnownHead:
        """The checked head. Raises UpstreamError.

        `method` is the request's: a response to HEAD has another body than the same bytes in answer to GET.
        """
        if method == b"HEAD":
            head = self._parse(raw, method)
            return KnownHead(raw, head, response(head, b"", self.via), None)
        known = self._known.get(raw)
        if known is None:
            head = self._parse(raw, method)
            lasts = len(raw) <= FIELDS_KEPT
            known = KnownHead(raw, head, response(head, b"", self.via), self if lasts else None)
            if lasts:
                self._budget.keep(self._known, raw, known, COPIES * len(raw) + OBJECTS)
        return known

    def over_http_2(self) -> ResponseHeads:
        """The same for answers that come over HTTP/2, and say so in Via."""
        twin = self._over_http_2
        if twin is None:
            twin = self._over_http_2 = ResponseHeads(self.max_fields, self._edits, self._budget)
            twin.via = VIA_2 if self.via else b""
        return twin

    def again(self, raw: bytes, method: bytes) -> KnownHead:
        """As `read`, of a head that it has given out (KnownHead.raw), for another request to the same place."""
        return self.read(raw, method)

    def _parse(self, raw: bytes, method: bytes) -> ResponseHead:
        head = parse_response(raw, method, self.max_fields) if self.tolerance is None else self._lenient(raw, method)
        return head if self._edits is None else self._edits.apply(head)

    def _lenient(self, raw: bytes, method: bytes) -> ResponseHead:
        assert self.tolerance is not None
        known, higher = self.tolerance.known_status(raw)
        head = self._mended(self.tolerance, known, method)
        return head.with_status(head.status + higher) if higher else head

    def _mended(self, tolerance: Tolerance, raw: bytes, method: bytes) -> ResponseHead:
        if raw.endswith(END):
            try:
                return parse_response(raw, method, self.max_fields)
            except RefusedAnswer:
                pass
        return parse_response(tolerance.mended(raw), method, self.max_fields + 1)


class HeadsLedBack(ResponseHeads):
    """Answers to one request whose path has lost or got a prefix: the same heads, read as if the backend had said where it is.

    It stands in front of what is remembered: that is of heads as they are led back, rules and all.
    """

    __slots__ = ("_heads", "_prefix", "request")

    def __init__(self, heads: ResponseHeads, prefix: Prefix, request: PrefixRequest) -> None:
        self._heads = heads
        self._prefix = prefix
        self.request = request
        self.tolerance = heads.tolerance
        self.max_fields = heads.max_fields
        self.via = heads.via

    def over_http_2(self) -> ResponseHeads:
        """See ResponseHeads."""
        return HeadsLedBack(self._heads.over_http_2(), self._prefix, self.request)

    def read(self, raw: bytes, method: bytes) -> KnownHead:
        """See ResponseHeads."""
        return self._heads.read(self._prefix.lead_back(raw, self.request), method)

    def again(self, raw: bytes, method: bytes) -> KnownHead:
        """See ResponseHeads. It was led back already."""
        return self._heads.read(raw, method)
