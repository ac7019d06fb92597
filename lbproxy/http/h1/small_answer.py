"""A small answer as a whole, for whoever asks for something himself: one request, one connection, a bound for what comes."""

from __future__ import annotations

from lbproxy.errors import RefusedAnswer
from lbproxy.http.h1.chunks import LENIENT, ChunkDecoder, ChunkError
from lbproxy.http.h1.health_check import BadHealthAnswer
from lbproxy.http.h1.response import parse_response
from lbproxy.http.message import CHUNKED, NO_BODY, UNTIL_CLOSE, ResponseHead

MOST_HEAD = 32 * 1024
MOST_FIELDS = 200


class SmallAnswer:
    """Feed it what comes; `feed` says when it is whole."""

    def __init__(self, most: int) -> None:
        """`most`: bytes of its body. It answers a GET."""
        self._most = most
        self._came = b""
        self._chunks: ChunkDecoder | None = None
        self.head: ResponseHead | None = None
        """Once it is here."""
        self.body = b""

    def feed(self, data: bytes) -> bool:
        """Whether that was all of it. Raises BadHealthAnswer."""
        if self.head is None:
            self._came += data
            if not self._enter():
                return False
            data, self._came = self._came, b""
        return self._take(data)

    def ended(self) -> None:
        """The connection has ended. Raises BadHealthAnswer when that is not the answer's own end."""
        if self.head is None or self.head.body != UNTIL_CLOSE:
            raise BadHealthAnswer("closed in the middle of the answer" if self.head or self._came else "closed without an answer")

    def _enter(self) -> bool:
        while (end := self._came.find(b"\r\n\r\n")) >= 0:
            head, self._came = self._came[: end + 4], self._came[end + 4 :]
            try:
                parsed = parse_response(head, b"GET", MOST_FIELDS)
            except RefusedAnswer as error:
                raise BadHealthAnswer(str(error)) from None
            if parsed.status >= 200:
                self.head = parsed
                self._chunks = ChunkDecoder(LENIENT) if parsed.body == CHUNKED else None
                return True
            if parsed.status == 101:
                raise BadHealthAnswer("switched protocols unasked")
        if len(self._came) > MOST_HEAD:
            raise BadHealthAnswer("no end of the answer's head in sight")
        return False

    def _take(self, data: bytes) -> bool:
        head = self.head
        assert head is not None
        if head.body == NO_BODY:
            return True
        if self._chunks is not None:
            try:
                data = self._chunks.feed(data)
            except ChunkError as error:
                raise BadHealthAnswer(f"a broken chunk: {error}") from None
        self.body += data
        if head.body > 0:
            self.body = self.body[: head.body]
        if max(len(self.body), head.body) > self._most:
            raise BadHealthAnswer(f"longer than {self._most} bytes")
        return self._chunks.done if self._chunks is not None else len(self.body) == head.body
