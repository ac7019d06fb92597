"""One connection of HTTP/1.1 of a client that never tries anything twice."""

from __future__ import annotations

import hashlib
import re
import ssl
import time
from typing import NamedTuple

from bench.reload.channel import Channel
from bench.reload.outcome import Lost

MOST_HEAD = 16 * 1024

_STATUS = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9][0-9]) ")
_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]{1,15})\r\n", re.I)
_CLOSE = re.compile(rb"\r\nconnection: *close\r\n", re.I)
_KEEP = re.compile(rb"\r\nconnection: *keep-alive\r\n", re.I)
_HEAD_END = b"\r\n\r\n"


class Answer(NamedTuple):
    status: int
    length: int
    sha256: str
    closes: bool
    """The server said that this was the last one on this connection."""


class Connection(Channel):
    """One request after the other. Owner closes it. Not for use by two threads at once."""

    def ended(self) -> str:
        """Between two requests: "" while the connection stands, otherwise how it ended: closed, cut, reset or spoke."""
        while True:
            try:
                return "spoke" if self._tls.read(1) else "closed"
            except ssl.SSLWantReadError:
                if not self._poll.poll(0):
                    return ""
            except ssl.SSLError:
                return "cut"
            try:
                self._fill()  # session tickets, or the end
            except ssl.SSLEOFError:
                return "cut"
            except OSError:
                return "reset"

    def ask(self, request: bytes, *, rate: float = 0.0) -> Answer:
        """Send and read the whole answer; Lost when there is none. `rate`: bytes per second to read at most, 0.0 for no limit."""
        try:
            self._tls.write(request)
            self._flush()
        except OSError as error:
            raise self._lost(error, "closed", "while sending") from error
        head, rest = self._head()
        match = _STATUS.match(head)
        if match is None:
            raise Lost("content", f"no HTTP: {head[:80]!r}", self.local_port)
        closes = bool(_CLOSE.search(head)) or (match[1] == b"0" and not _KEEP.search(head))
        length = _LENGTH.search(head)
        if length is None and match[1] == b"1" and match[2] != b"204":
            raise Lost("content", f"a response without Content-Length: {head[:200]!r}", self.local_port)
        if match[2] == b"204":
            wanted: int | None = 0
        else:
            wanted = int(length[1]) if length else None
        got, digest = self._body(rest, wanted, rate)
        return Answer(int(match[2]), got, digest, closes)

    def _head(self) -> tuple[bytes, bytes]:
        data = b""
        while (end := data.find(_HEAD_END)) < 0:
            if len(data) > MOST_HEAD:
                raise Lost("content", f"an endless head: {data[:80]!r}", self.local_port)
            more = self._receive("truncated" if data else "closed", f"after {len(data)} bytes of a head")
            if not more:
                raise Lost("truncated" if data else "closed", f"close_notify after {len(data)} bytes of a head", self.local_port)
            data += more
        return data[: end + 2], data[end + 4 :]

    def _body(self, first: bytes, wanted: int | None, rate: float) -> tuple[int, str]:
        """Its length and sha256; `wanted` None: it ends with the connection, and only an orderly end counts as one."""
        digest = hashlib.sha256(first)
        got, begun = len(first), time.monotonic()
        while wanted is None or got < wanted:
            data = self._receive("truncated", f"after {got} of {wanted} bytes")
            if not data:
                if wanted is None:
                    break
                raise Lost("truncated", f"close_notify after {got} of {wanted} bytes", self.local_port)
            digest.update(data)
            got += len(data)
            if rate:
                time.sleep(max(0.0, begun + got / rate - time.monotonic()))
        return got, digest.hexdigest()
