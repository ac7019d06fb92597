"""Response bodies from backend to client: read a piece, write it whole, read the next. What is held is one piece at most.

Pieces are larger as long as the client takes each at once: 100 KiB are relayed with two reads instead of three, for four fifths of
the CPU time. With the first that has to wait they become smaller. And none is read before there is room for it: thousands of
clients that take nothing hold what the kernel has for them, and nothing here (they held 220 KiB each).

That a slow client slows its backend down is the point: the next read happens after the write, so the kernel's buffers fill up
towards the backend and memory stays flat whatever the sizes.
"""

from __future__ import annotations

from collections.abc import Callable

from lbproxy.errors import LbproxyError, RefusedAnswer, StreamError, TimedOut
from lbproxy.http.h1.chunks import LAST_CHUNK, LENIENT, LENIENT_LF, ChunkDecoder, ChunkError, encode_chunk
from lbproxy.http.message import CHUNKED
from lbproxy.streams import BODY_READ, NEVER, SWIFT_READ, Stream


class SourceFailed(LbproxyError):
    """The backend's body broke off. `reason` is for the log; the client has to see a cut."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    @property
    def kind(self) -> str:
        """As of an UpstreamError."""
        return "refused" if self.reason == "response_bad_chunk" else "closed"


class Transfer:
    """One body. `written` counts what the client got, head included."""

    __slots__ = ("_clock", "_first", "_idle", "_moves", "_sink", "_source", "_stalls", "written")

    def __init__(
        self, source: Stream, sink: Stream, clock: Callable[[], float], idle: float, first: bytes = b"", moves: bytes = LENIENT
    ) -> None:
        """`idle`: seconds the source may be silent; `first`: what is here of the body, which nobody else should hold on to;
        `moves`: how chunks are read, LENIENT or LENIENT_LF."""
        self._moves = moves
        self._first = first
        self._source = source
        self._sink = sink
        self._clock = clock
        self._idle = idle
        self._stalls = sink.stalls
        self.written = 0

    def carry(self, out: bytes, body: int, rechunk: bool) -> bool:
        """`out` (the head), then a body of `body` bytes, CHUNKED or UNTIL_CLOSE; see below."""
        if body >= 0:
            return self.by_length(out, body)
        return self.by_chunks(out, rechunk) if body == CHUNKED else self.until_close(out, rechunk)

    def by_length(self, out: bytes, length: int) -> bool:
        """`out`, then `length` bytes, of which fewer are here already. True: more came than that."""
        surplus = False
        left = length - len(self._first)
        self._write(out + self._take_first())
        while left:
            piece = b""  # given away: nothing is held while the next one is waited for
            piece = self._read()
            if not piece:
                raise SourceFailed("response_truncated")
            if len(piece) > left:
                piece = piece[:left]
                surplus = True
            left -= len(piece)
            self._write(piece)
        return surplus

    def by_chunks(self, out: bytes, rechunk: bool) -> bool:
        """`out`, then a chunked body, in chunks again or (for a 1.0 client) bare. True: bytes came behind its end,
        or where that is was told by a lenient reader.

        Raises RefusedAnswer, with nothing written, when what came with the head is no chunk already.
        """
        decoder = ChunkDecoder(self._moves)
        try:
            payload = decoder.feed(self._take_first())
        except ChunkError as error:
            raise RefusedAnswer("response_bad_chunk", str(error)) from error
        try:
            while not decoder.done:
                if payload or out:
                    self._write(out + self._coded(payload, rechunk))
                    out = b""
                piece = payload = b""
                piece = self._read()
                if not piece:
                    raise SourceFailed("response_truncated")
                payload = decoder.feed(piece)
        except ChunkError as error:
            raise SourceFailed("response_bad_chunk") from error
        self._write(out + self._coded(payload, rechunk) + (LAST_CHUNK if rechunk else b""))
        return bool(decoder.rest) or self._moves is LENIENT_LF

    def until_close(self, out: bytes, rechunk: bool) -> bool:
        """`out`, then everything up to the end of the connection, as chunks where the client knows them. False: so no more came."""
        self._write(out + self._coded(self._take_first(), rechunk))
        while True:
            piece = b""
            piece = self._read()
            if not piece:
                break
            self._write(self._coded(piece, rechunk))
        if rechunk:
            self._write(LAST_CHUNK)
        return False

    @staticmethod
    def _coded(payload: bytes, rechunk: bool) -> bytes:
        return encode_chunk(payload) if rechunk and payload else payload

    def _take_first(self) -> bytes:
        first, self._first = self._first, b""
        return first

    def _read(self) -> bytes:
        source = self._source
        self._sink.await_room()
        source.deadline = self._clock() + self._idle
        limit = SWIFT_READ if self._sink.stalls == self._stalls else BODY_READ
        try:
            return source.read(limit)
        except TimedOut as error:
            raise SourceFailed("response_body_timeout") from error
        except StreamError as error:
            raise SourceFailed("response_truncated") from error
        finally:
            source.deadline = NEVER

    def _write(self, data: bytes) -> None:
        if data:
            self._sink.write(data)
            self.written += len(data)
