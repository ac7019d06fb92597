"""The chunked coding, taken off strictly and put on again (RFC 9112 7.1).

Theory: a body is never passed on in the sender's own chunks. The decoder accepts the narrow grammar below and gives payload; the
encoder writes chunks of ours. So chunk extensions (where parsers differ about quotes, bare LF and length), leading zeros, and
trailers die here.

    size-line   1*8HEXDIG [BWS ";" ext] CRLF     ext: visible bytes, HTAB, SP, obs-text; the line at most 1 KiB
    data        that many bytes, then exactly CRLF
    last        0 CRLF, then trailer lines of the field grammar (at most 8 KiB), then CRLF
"""

from __future__ import annotations

import re
from enum import Enum

from lbproxy.errors import LbproxyError
from lbproxy.http.grammar import FIELD_BYTES, TCHAR

_SIZE_LINE = re.compile(rb"([0-9A-Fa-f]{1,8}+)(?:[ \t]*+;[" + FIELD_BYTES + rb"]*+)?\r\n")
_TRAILER = re.compile(rb"[" + TCHAR + rb"]++:[" + FIELD_BYTES + rb"]*+\r\n")

MAX_SIZE_LINE = 1024
MAX_TRAILERS = 8 * 1024
SHORT_LINE = 64
"""Bytes of an unfinished line that are looked at each time more of it comes. A longer one is looked at each time it has doubled: a
trailer of 8 KiB that came byte by byte cost more than half a second."""

LAST_CHUNK = b"0\r\n\r\n"


class ChunkError(LbproxyError):
    """The chunked body breaks the grammar; where it ends is anybody's guess, so the connection cannot be used any more."""


class _State(Enum):
    SIZE = 1
    DATA = 2
    DATA_END = 3
    TRAILERS = 4
    DONE = 5


class ChunkDecoder:
    """Feed it what arrives; it gives the payload back. After `done`, `rest` holds the bytes behind the body."""

    __slots__ = ("_buffer", "_left", "_look_again", "_state", "_trailers", "done", "rest")

    def __init__(self) -> None:
        self._state = _State.SIZE
        self._buffer = b""  # an unfinished line
        self._left = 0  # payload bytes of the chunk still to come
        self._trailers = 0
        self._look_again = 0  # at an unfinished line, when it has so many bytes
        self.done = False
        self.rest = b""

    def feed(self, data: bytes) -> bytes:
        """Take `data`, return the payload in it (perhaps none). Raises ChunkError."""
        if self._buffer:
            data = self._buffer + data
            self._buffer = b""
        at, payload = 0, []
        while True:
            if self._state is _State.DATA:
                piece = data[at : at + self._left]
                payload.append(piece)
                at += len(piece)
                self._left -= len(piece)
                if self._left:
                    break
                self._state = _State.DATA_END
            step = self._line(data, at)
            if step < 0:
                self._buffer = data[at:]
                break
            at += step
            if self._state is _State.DONE:
                self.done = True
                self.rest = data[at:]
                break
        return payload[0] if len(payload) == 1 else b"".join(payload)

    def _line(self, data: bytes, at: int) -> int:
        """Read what is between payloads: bytes consumed, or -1 when more input is needed."""
        if self._state is _State.DATA_END:
            return self._data_end(data, at)
        if self._state is _State.SIZE:
            return self._size_line(data, at)
        return self._trailer(data, at)

    def _data_end(self, data: bytes, at: int) -> int:
        end = data[at : at + 2]
        if end == b"\r\n":
            self._state = _State.SIZE
            return 2
        if end in (b"", b"\r"):
            return -1
        raise ChunkError("chunk data is not followed by CRLF")

    def _size_line(self, data: bytes, at: int) -> int:
        match = _SIZE_LINE.match(data, at)
        if match is None:
            return self._unfinished(data, at, MAX_SIZE_LINE, "chunk size line")
        if match.end() - at > MAX_SIZE_LINE:
            raise ChunkError("chunk size line too long")
        self._left = int(match[1], 16)
        self._state = _State.DATA if self._left else _State.TRAILERS
        return match.end() - at

    def _trailer(self, data: bytes, at: int) -> int:
        end = data[at : at + 2]
        if end == b"\r\n":
            self._state = _State.DONE
            return 2
        if end in (b"", b"\r"):
            return -1
        match = _TRAILER.match(data, at) if data.find(b"\n", at) >= 0 else None
        if match is None:
            return self._unfinished(data, at, MAX_TRAILERS - self._trailers, "trailer")
        self._trailers += match.end() - at
        if self._trailers > MAX_TRAILERS:
            raise ChunkError("trailers too long")
        return match.end() - at

    def _unfinished(self, data: bytes, at: int, limit: int, what: str) -> int:
        """No whole line matched: wait if the line may still become good, else refuse at once."""
        if data.find(b"\n", at) >= 0:
            raise ChunkError(f"{what} malformed")
        size = len(data) - at
        if size > limit:
            raise ChunkError(f"{what} too long")
        if size < SHORT_LINE or size >= self._look_again:
            self._look_again = size * 2
            if _COULD_BEGIN[what].fullmatch(data, at) is None:
                raise ChunkError(f"{what} malformed")
        return -1


# What an unfinished line may look like; refusing early keeps a sender from parking garbage with us.
_COULD_BEGIN = {
    "chunk size line": re.compile(rb"(?:[0-9A-Fa-f]{1,8}+(?:\r|[ \t]*+(?:;[" + FIELD_BYTES + rb"]*+\r?)?)?)?"),
    "trailer": re.compile(rb"(?:[" + TCHAR + rb"]++(?::[" + FIELD_BYTES + rb"]*+\r?)?)?"),
}


def encode_chunk(payload: bytes) -> bytes:
    """One chunk; `payload` must not be empty, since that would end the body."""
    return b"%x\r\n%b\r\n" % (len(payload), payload)
