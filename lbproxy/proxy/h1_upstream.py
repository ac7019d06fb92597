"""A connection to a backend that speaks HTTP/1."""

from __future__ import annotations

from collections.abc import Callable

from lbproxy.balance.backend import Backend
from lbproxy.http import trailers as behind
from lbproxy.http.h1.chunks import LAST_CHUNK, LENIENT, encode_chunk, last_chunk
from lbproxy.http.heads import KnownHead, ResponseHeads
from lbproxy.http.message import ResponseHead
from lbproxy.http.trailers import Trailers
from lbproxy.proxy.response_body import ResponseBody
from lbproxy.proxy.response_head import next_head, read_piece
from lbproxy.proxy.upstream import Upstream
from lbproxy.proxy.upstream_pool import UpstreamPool
from lbproxy.streams import Stream

MUCH = 8 * 1024
"""Bytes of a body that are not copied behind the head for a write."""


class H1Upstream(Upstream):
    """A connection to a backend that speaks HTTP/1 (Upstream)."""

    __slots__ = ("_behind", "_body", "_chunked", "_clock", "_last_head", "_pool")

    def __init__(self, stream: Stream, backend: Backend, pool: UpstreamPool, clock: Callable[[], float]) -> None:
        """`stream`: open, nothing was written yet; `pool`: told which HTTP the backend speaks; `clock`: monotonic seconds."""
        self.stream = stream
        self.backend = backend
        self._clock = clock
        self._pool = pool
        self._last_head: KnownHead | None = None
        """How its last answer began, if that is worth remembering: backends repeat themselves."""
        self._behind = b""
        """Behind an interim head: what is here of the next one."""
        self._body: ResponseBody | None = None
        """None: what is to come of the body is in `first`."""
        self._chunked = False
        super().__init__(stream, backend)

    # ---------------------------------------------------------------- the request

    def send(self, head: bytes, payload: bytes, chunked: bool, last: bool) -> None:
        """See Upstream."""
        self._chunked = chunked
        self.mark = self.stream.wired
        coded = self._coded(payload, last) if payload or chunked else b""
        if len(coded) < MUCH:
            self.stream.write(head + coded if coded else head)
        else:
            self.stream.write_both(head, coded)

    def more(self, payload: bytes, last: bool) -> None:
        """See Upstream."""
        coded = self._coded(payload, last)
        if coded:  # of a body that has a length the end is nothing
            self.stream.write(coded)

    def conclude(self, trailers: Trailers) -> None:
        """See Upstream."""
        if self._chunked:
            self.stream.write(last_chunk(behind.written(trailers)))

    def _coded(self, payload: bytes, last: bool) -> bytes:
        if not self._chunked:
            return payload
        coded = encode_chunk(payload) if payload else b""
        return coded + LAST_CHUNK if last else coded

    # ---------------------------------------------------------------- the answer

    def answer(self, heads: ResponseHeads, method: bytes) -> KnownHead:
        """See Upstream. A connection whose last answer began with the same bytes need not be looked up."""
        stream, last = self.stream, self._last_head
        data = self._behind
        if data:
            self._behind = b""
            known, data = next_head(stream, data, heads, method)
        else:
            data = read_piece(stream, b"")
            if last is not None and data.startswith(last.raw) and last.reader is heads and method != b"HEAD":
                known = last
                data = data[len(last.raw) :]
            else:
                known, data = next_head(stream, data, heads, method)
                self._last_head = None if known.reader is None else known
                self._pool.heard(self.backend.slot, known.head.minor)
        answer = known.head
        if answer.body == len(data) and answer.status >= 200:  # everyday: all of it is here
            self._body = None
            self.over = True
            self.surplus = False
            self.first = data
        else:
            self._begin(answer, data, heads)
        return known

    def _begin(self, answer: ResponseHead, data: bytes, heads: ResponseHeads) -> None:
        """There is more to come, or more here than there should be."""
        if answer.status < 200:
            if answer.status == 101:
                self.first = data
            else:
                self._behind = data
            return
        moves = LENIENT if heads.tolerance is None else heads.tolerance.chunks
        self._body = body = ResponseBody(self.stream, self._clock, answer.body, moves, heads.max_fields)
        self.first = body.begin(data)
        self.over = body.over and not body.trailers
        self.surplus = body.surplus

    def piece(self, limit: int, silence: float) -> bytes:
        """See Upstream."""
        body = self._body
        assert body is not None
        data = b"" if body.over else body.piece(limit, silence)  # over: it was with the head, trailers and all
        self.over = body.over
        self.trailers = body.trailers
        self.surplus = body.surplus
        return data

    def ready(self) -> bool:
        """See Upstream. Chunks keep nothing back of what was read."""
        return self.over or self.stream.ready()

    def settle(self, answer: ResponseHead, clean: bool) -> bool:
        """See Upstream."""
        self._body = None
        self.first = b""  # the client's by now: thousands of idle connections hold nothing
        # `unread`: while the client was slow to take the answer more came than the answer, or the backend's end.
        if self.surplus or not clean or not answer.keep_alive or self.stream.unread:
            self.stream.close()
            return False
        return True
