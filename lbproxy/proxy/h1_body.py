"""The body of a client's request as HTTP/1 frames it: taken off what its connection brings."""

from __future__ import annotations

from lbproxy.errors import RequestError
from lbproxy.http.h1.chunks import ChunkDecoder, ChunkError
from lbproxy.http.message import CHUNKED
from lbproxy.http.trailers import NONE, read
from lbproxy.proxy.request_body import BodySource
from lbproxy.streams import Stream


class H1Body(BodySource):
    """The source of a body that comes over HTTP/1 (BodySource)."""

    __slots__ = ("_decoder",)

    def __init__(self, stream: Stream, length: int) -> None:
        """`length`: in bytes, or CHUNKED."""
        self.stream = stream
        self._decoder = ChunkDecoder() if length == CHUNKED else None
        self.left = max(0, length)
        self.rest = b""
        self.trailers = NONE
        self.done = False

    def take(self, raw: bytes) -> bytes:
        """See BodySource."""
        decoder = self._decoder
        if decoder is None:
            payload = raw[: self.left] if len(raw) > self.left else raw
            self.rest = raw[len(payload) :]
            self.left -= len(payload)
            self.done = not self.left
            return payload
        try:
            payload = decoder.feed(raw)
        except ChunkError as error:
            raise RequestError(400, "bad_chunk", str(error)) from error
        self.rest = decoder.rest
        self.done = decoder.done
        if len(decoder.section) > 2 and decoder.done:
            self.trailers = read(decoder.section)
        return payload

    def ended(self) -> None:
        """See BodySource. Here the end of the body is never the end of the connection."""
        raise RequestError(400, "body_truncated", "the client closed in the middle of its body")
