"""A stream of a connection that a backend of HTTP/2 shares among requests, as an exchange sees it."""

from __future__ import annotations

from lbproxy.balance.backend import Backend
from lbproxy.errors import ConnectionLost, StreamError, TimedOut, Unprocessed, UpstreamError
from lbproxy.http.h2.backend_answer import ENDED, PLAIN, TO_HEAD, BackendAnswers, status_of, switched
from lbproxy.http.h2.backend_request import BackendRequests
from lbproxy.http.heads import KnownHead, ResponseHeads
from lbproxy.http.message import NO_BODY, ResponseHead
from lbproxy.http.trailers import Trailers
from lbproxy.proxy.h2.backend_stream import BackendStream, Lender
from lbproxy.proxy.response_body import SourceFailed
from lbproxy.proxy.response_head import limit_size
from lbproxy.proxy.upstream import Upstream

REQUESTS = BackendRequests()
ANSWERS = BackendAnswers()
"""Of the process: clients and backends repeat themselves."""


class H2Upstream(Upstream):
    """One request's stream to a backend that speaks HTTP/2 (Upstream). It carries no other, and is never idle."""

    __slots__ = ("_accept", "_h2", "_lender", "_scheme")

    def borrow(self, lender: Lender, backend: Backend, scheme: bytes, served: int) -> None:
        """See `lent`. Instead of a constructor, as H2Downstream.receive is."""
        self._h2 = h2 = BackendStream.__new__(BackendStream)
        h2.borrow(lender)
        self._lender = lender
        self._scheme = scheme
        self._accept = b""
        self.carry_on(h2, backend)
        self.served = served

    def __repr__(self) -> str:
        return f"<H2Upstream {self.backend.name} {self._h2!r}>"

    @property
    def carries_websockets(self) -> bool:
        """Its backend does so over HTTP/2."""
        return self._lender.carries_websockets

    # ---------------------------------------------------------------- the request

    def send(self, head: bytes, payload: bytes, chunked: bool, last: bool) -> None:
        """See Upstream."""
        h2, lender = self._h2, self._lender
        laid = REQUESTS.of(head, self._scheme)
        self._accept = laid.accept
        ended = last and not payload and not self._accept
        number = 0 if h2.loss is not None else lender.engine.request(laid.fields, ended)
        if not number:
            h2.fail(Unprocessed("h2_goaway", "the connection ended before the request began", leaving=True))
            raise ConnectionLost("no more streams on this connection")
        lender.begin(h2, number, ended)
        if payload:
            h2.send(payload, last)
            if last:
                h2.await_end()
        lender.flush()

    def more(self, payload: bytes, last: bool) -> None:
        """See Upstream."""
        h2 = self._h2
        if payload or last:
            h2.send(payload, last)
        if last:
            h2.await_end()
        else:
            h2.await_room()

    def conclude(self, trailers: Trailers) -> None:
        """See Upstream."""
        self._h2.conclude(b"", trailers)
        self._h2.await_end()

    # ---------------------------------------------------------------- the answer

    def answer(self, heads: ResponseHeads, method: bytes) -> KnownHead:
        """See Upstream."""
        h2 = self._h2
        try:
            came = h2.next_head()
        except TimedOut as error:
            raise UpstreamError(504, "response_timeout", "no response head in time") from error
        if came is None:
            raise h2.failure or UpstreamError(502, "response_closed", "the stream ended before its response head")
        fields, ended = came
        if self._accept and 200 <= status_of(fields) < 300:
            raw = switched(fields, self._accept)
        else:
            raw = self._lender.answers.of(fields, TO_HEAD if method == b"HEAD" else ENDED if ended else PLAIN)
        limit_size(len(raw))
        known = heads.over_http_2().read(raw, method)
        answer = known.head
        if answer.status >= 200:
            self.first = h2.early()
            # What has no body need not say once more that it has ended.
            bodiless = answer.body == NO_BODY and (method == b"HEAD" or answer.status in (204, 304))
            self.over = bodiless or (h2.exhausted() and not h2.trailers)
            if answer.body > 0:
                h2.left = answer.body - len(self.first)
        elif answer.status == 101:
            self.first = h2.early()
        return known

    def piece(self, limit: int, silence: float) -> bytes:
        """See Upstream."""
        h2 = self._h2
        if h2.exhausted():  # it was with the head, trailers and all
            self.over, self.trailers = True, h2.trailers
            return b""
        h2.deadline = self._lender.service.clock() + silence
        try:
            data = h2.read(limit)
        except TimedOut as error:
            raise SourceFailed("response_body_timeout") from error
        except StreamError as error:
            raise SourceFailed(_broken(h2.failure)) from error
        self.over, self.trailers = h2.exhausted(), h2.trailers
        return data

    def ready(self) -> bool:
        """See Upstream."""
        return self._h2.ready()

    def settle(self, answer: ResponseHead, clean: bool) -> bool:
        """See Upstream. The connection is its owner's to keep."""
        self.first = b""
        self._h2.abort()
        return False


def lent(lender: Lender, backend: Backend, scheme: bytes, served: int) -> H2Upstream:
    """A stream of `lender`, the connection; `served`: requests that it has carried."""
    upstream = H2Upstream.__new__(H2Upstream)
    upstream.borrow(lender, backend, scheme, served)
    return upstream


def _broken(failure: UpstreamError | None) -> str:
    """The word for an answer that breaks off."""
    if failure is None or failure.reason in ("response_closed", "h2_goaway"):
        return "response_truncated"
    return failure.reason
