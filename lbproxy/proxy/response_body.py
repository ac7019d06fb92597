"""The body of a backend's answer as HTTP/1 frames it: by its length, in chunks, or up to the end of the connection.

It is read in pieces, each asked for when there is room for it: that a slow client slows its backend down is the point. The kernel's
buffers fill up towards the backend, and memory stays flat whatever the sizes. (Thousands of clients that take nothing held 220 KiB
each when a piece was read before there was room.)
"""

from __future__ import annotations

from collections.abc import Callable

from lbproxy.errors import LbproxyError, RefusedAnswer, StreamError, TimedOut
from lbproxy.http.h1.chunks import LENIENT_LF, ChunkDecoder, ChunkError
from lbproxy.http.message import CHUNKED
from lbproxy.http.trailers import NONE, Trailers, read
from lbproxy.streams import NEVER, Stream


class SourceFailed(LbproxyError):
    """The backend's body broke off. `reason` is for the log; the client has to see a cut."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    @property
    def kind(self) -> str:
        """As of an UpstreamError."""
        return "refused" if self.reason == "response_bad_chunk" else "closed"


class ResponseBody:
    """One body, on its way."""

    __slots__ = ("_clock", "_decoder", "_left", "_max_fields", "_moves", "_source", "over", "surplus", "trailers")

    def __init__(self, source: Stream, clock: Callable[[], float], body: int, moves: bytes, max_fields: int) -> None:
        """`body`: its length in bytes, CHUNKED or UNTIL_CLOSE; `moves`: how chunks are read, LENIENT or LENIENT_LF;
        `max_fields`: more trailers are refused."""
        self._source = source
        self._clock = clock
        self._left = body
        self._moves = moves
        self._max_fields = max_fields
        self._decoder = ChunkDecoder(moves) if body == CHUNKED else None
        self.over = False
        """All of it was read."""
        self.trailers: Trailers = NONE
        """Then: what came behind it."""
        self.surplus = False
        """More came than that, or where it ends was told by a lenient reader: the connection cannot be trusted any more."""

    def begin(self, data: bytes) -> bytes:
        """What came with the head; the payload in it. Raises RefusedAnswer for what is no chunk from the beginning."""
        try:
            return self._taken(data)
        except ChunkError as error:
            raise RefusedAnswer("response_bad_chunk", str(error)) from error

    def piece(self, limit: int, silence: float) -> bytes:
        """See Upstream."""
        source = self._source
        source.deadline = self._clock() + silence
        try:
            data = source.read(limit)
        except TimedOut as error:
            raise SourceFailed("response_body_timeout") from error
        except StreamError as error:
            raise SourceFailed("response_truncated") from error
        finally:
            source.deadline = NEVER
        if not data:
            if self._left >= 0 or self._decoder is not None:
                raise SourceFailed("response_truncated")
            self.over = True
            return b""
        try:
            return self._taken(data)
        except ChunkError as error:
            raise SourceFailed("response_bad_chunk") from error

    def _taken(self, data: bytes) -> bytes:
        decoder = self._decoder
        if decoder is not None:
            payload: bytes = decoder.feed(data)
            if decoder.done:
                self.over = True
                self.surplus = bool(decoder.rest) or self._moves is LENIENT_LF
                if len(decoder.section) > 2:
                    self._read_trailers(decoder.section)
            return payload
        if self._left >= 0:
            if len(data) > self._left:
                data = data[: self._left]
                self.surplus = True
            self._left -= len(data)
            self.over = not self._left
        return data

    def _read_trailers(self, section: bytes) -> None:
        self.trailers = read(section)
        if len(self.trailers) > self._max_fields:
            raise ChunkError(f"{len(self.trailers)} trailers")
