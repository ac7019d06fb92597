"""One connection of HTTP/2 of a client that never tries anything twice, with several requests under way at once.

The frames are read here, and a library reads only what compression hides: libraries give up on a connection at its GOAWAY (h2), or
send what was refused once more. By RFC 9113, sections 6.8 and 8.7, a stream above the last one that a GOAWAY names, and one that is
reset with REFUSED_STREAM, has not been begun by the server, and its client may send it again elsewhere: it is no loss, and is told
apart.
"""

from __future__ import annotations

import hashlib
import ssl
import time
from typing import NamedTuple

from hpack import Decoder, HPACKError

from bench.h2 import wire
from bench.reload.channel import PATIENCE, RECEIVE, Channel
from bench.reload.connection import Answer
from bench.reload.job import Job
from bench.reload.outcome import Lost
from lbproxy.http.h2.vocabulary import PREFACE

PROTOCOL = "h2"
REFUSED_STREAM = 7
PADDED, PRIORITY = 0x8, 0x20
WINDOW = 65535
"""Of a stream, as it is by default: a slow reader opens it as slowly as it reads."""
WHOLE_WINDOW = 1 << 24
"""Of the connection; it is opened by whatever came."""


class Elsewhere(NamedTuple):
    """The server has not begun with it and says so: it may be sent again, over another connection."""

    why: str


Result = Answer | Lost | Elsewhere


class Stream:
    """A request under way, and what has come of its answer."""

    def __init__(self, rate: float) -> None:
        self.status = 0
        self.length = 0
        self.digest = hashlib.sha256()
        self.began = time.monotonic()
        self.rate = rate
        self.opened = 0
        """Bytes by which its window was opened again."""

    def due(self, now: float) -> int:
        """Bytes by which its window has to be opened by now."""
        most = int((now - self.began) * self.rate) if self.rate else self.length
        return min(self.length, most) - self.opened


class H2Connection(Channel):
    """Connected, shaken hands with and greeted when made, or Lost. Owner closes it. Not for use by two threads at once."""

    def __init__(self, job: Job, context: ssl.SSLContext) -> None:
        """`context` offers h2."""
        super().__init__(job, context)
        self.last: int | None = None
        """The last stream that the server works on, once it has said GOAWAY."""
        self.how = ""
        """How the connection ended: closed, cut or reset; "" while it stands."""
        self.lost = False
        """Something was under way on it when it ended."""
        self.open: dict[int, Stream] = {}
        self._job = job
        self._next = 1
        self._decoder = Decoder()
        self._frames = bytearray()
        self._block = b""
        """What has come of a list of fields in several frames."""
        self._ends = False
        self._settled: list[tuple[int, Result]] = []
        self._heard = time.monotonic()
        self._deaf = False
        """The server takes nothing any more."""
        if self._tls.selected_alpn_protocol() != PROTOCOL:
            self.close()
            raise Lost("tls", "ALPN chooses no HTTP/2", self.local_port)
        self._say(PREFACE + wire.frame(wire.SETTINGS) + _opened(0, WHOLE_WINDOW))

    @property
    def usable(self) -> bool:
        """For another request."""
        return self.last is None and not self.how and not self._deaf

    def fileno(self) -> int:
        return self._socket.fileno()

    def begin(self, target: str, *, rate: float = 0.0) -> int:
        """Send a GET; its stream. `rate`: bytes per second of the answer to take at most, 0.0 for no limit."""
        stream, self._next = self._next, self._next + 2
        self.open[stream] = Stream(rate)
        if len(self.open) == 1:
            self._heard = time.monotonic()
        block = wire.request(target.encode("ascii"), [(b"user-agent", b"reload-bench")], self._job.name.encode("ascii"))
        self._say(wire.frame(wire.HEADERS, wire.END_HEADERS | wire.END_STREAM, stream, block))
        return stream

    def take(self) -> list[tuple[int, Result]]:
        """Read what is there, without waiting; the streams about which all is known by now."""
        now = time.monotonic()
        while not self.how and self._read():
            self._heard = now
        if self.open and not self.how and now - self._heard > PATIENCE:
            self._all_lost("timeout", f"nothing for {PATIENCE:g} s")
        for number, stream in self.open.items():
            if (due := stream.due(now)) > (WINDOW // 4 if stream.rate else 0):
                stream.opened += due
                self._say(_opened(number, due))
        settled, self._settled = self._settled, []
        return settled

    def hurry(self) -> None:
        """Take everything at full speed from now on."""
        for stream in self.open.values():
            stream.rate = 0.0

    def _say(self, frames: bytes) -> None:
        if self.how or self._deaf:
            return
        try:
            self._tls.write(frames)
            self._flush()
        except OSError:
            self._deaf = True  # what it has said before it went away is still to be read, and tells why

    def _read(self) -> bool:
        """Whether anything came."""
        try:
            try:
                data = self._tls.read(RECEIVE)
            except ssl.SSLWantReadError:
                if not self._poll.poll(0):
                    return False
                self._fill()
                return True
        except OSError as error:
            self._over(error, "while waiting")
            return False
        if not data:
            self.how = "closed"
            self._all_lost("closed", "close_notify")
            return False
        self._frames += data
        came = 0
        for frame in wire.take(self._frames):
            came += len(frame.payload) if frame.kind == wire.DATA else 0
            self._frame(frame)
        if came:
            self._say(_opened(0, came))
        return True

    def _over(self, error: OSError, what: str) -> None:
        loss = self._lost(error, "closed", what)
        self.how = "cut" if isinstance(error, ssl.SSLEOFError) else loss.kind
        self._all_lost(loss.kind, str(loss))

    def _all_lost(self, kind: str, what: str) -> None:
        self.lost = bool(self.open)
        for number, stream in list(self.open.items()):
            truncated = kind == "closed" and stream.status
            told = f"stream {number}, {stream.length} bytes of its answer here: {what}"
            self._settle(number, Lost("truncated" if truncated else kind, told, self.local_port))

    def _settle(self, number: int, result: Result) -> None:
        if self.open.pop(number, None) is not None:
            self._settled.append((number, result))

    def _frame(self, frame: wire.Frame) -> None:
        if frame.kind == wire.DATA:
            if (stream := self.open.get(frame.stream)) is not None:
                data = _content(frame)
                stream.digest.update(data)
                stream.length += len(data)
                if frame.ends:
                    self._answered(frame.stream, stream)
        elif frame.kind in (wire.HEADERS, wire.CONTINUATION):
            self._fields(frame)
        elif frame.kind == wire.RST_STREAM:
            self._reset(frame.stream, int.from_bytes(frame.payload, "big"))
        elif frame.kind == wire.GOAWAY:
            self._goaway(int.from_bytes(frame.payload[:4], "big"), int.from_bytes(frame.payload[4:8], "big"))
        elif frame.kind in (wire.SETTINGS, wire.PING) and not frame.flags & wire.ACK:
            self._say(wire.frame(frame.kind, wire.ACK, 0, frame.payload if frame.kind == wire.PING else b""))

    def _fields(self, frame: wire.Frame) -> None:
        if frame.kind == wire.HEADERS:
            self._block, self._ends = _content(frame), frame.ends
        else:
            self._block += frame.payload
        if not frame.flags & wire.END_HEADERS:
            return
        try:
            fields = dict(self._decoder.decode(self._block, raw=True))
        except HPACKError as error:
            self._settle(frame.stream, Lost("content", f"fields that nobody can read: {error}", self.local_port))
            return
        if (stream := self.open.get(frame.stream)) is None:
            return
        status = int(fields.get(b":status", b"0"))
        if status >= 200:
            stream.status = status
        if self._ends:
            self._answered(frame.stream, stream)

    def _answered(self, number: int, stream: Stream) -> None:
        if stream.status:
            self._settle(number, Answer(stream.status, stream.length, stream.digest.hexdigest(), False))
        else:
            self._settle(number, Lost("content", f"stream {number} ended without a status", self.local_port))

    def _reset(self, number: int, code: int) -> None:
        if code == REFUSED_STREAM:
            self._settle(number, Elsewhere("REFUSED_STREAM"))
        else:
            self._settle(number, Lost("reset", f"RST_STREAM of stream {number} with {code}", self.local_port))

    def _goaway(self, last: int, code: int) -> None:
        self.last = last if self.last is None else min(last, self.last)
        for number in [number for number in self.open if number > self.last]:
            self._settle(number, Elsewhere(f"GOAWAY, last stream {self.last}, code {code}"))


def _opened(stream: int, increment: int) -> bytes:
    return wire.frame(wire.WINDOW_UPDATE, 0, stream, increment.to_bytes(4, "big"))


def _content(frame: wire.Frame) -> bytes:
    """Without padding, and what HEADERS may say of priority."""
    payload = frame.payload
    if frame.flags & PADDED:
        payload = payload[1 : len(payload) - payload[0]]
    if frame.kind == wire.HEADERS and frame.flags & PRIORITY:
        payload = payload[5:]
    return payload
