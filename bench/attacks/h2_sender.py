"""One connection of the attacker that speaks HTTP/2 over TLS: it sends batch after batch, and leaves at a GOAWAY."""

from __future__ import annotations

import socket
import ssl
from functools import cache

from bench.attacks.h2_shapes import Batch, H2Shape
from bench.h2 import wire

AT_ONCE = 256 * 1024
PLAIN = 64 * 1024
MANY = 32
"""Answers of one kind that are passed over together: looked at one by one they would cost the attacker more than the proxy."""
_ACKNOWLEDGED = wire.frame(wire.SETTINGS, wire.ACK)


@cache
def context() -> ssl.SSLContext:
    """Once: it is the attacker's CPU that is short."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    made.set_alpn_protocols(["h2"])
    return made


class H2Sender:
    """Connecting when made; to be written to and read from whenever the kernel lets it."""

    def __init__(self, shape: H2Shape, port: int) -> None:
        self.sent = self.received = 0
        self._shape = shape
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context().wrap_bio(self._in, self._out)
        self._ready = False
        self._next = 1
        self._awaited: set[int] = set()
        self._left = memoryview(b"")
        self._frames = bytearray()
        self._shake_hands()
        self.sock = socket.socket()
        self.sock.setblocking(False)
        self.sock.connect_ex(("127.0.0.1", port))

    @property
    def over(self) -> bool:
        """Nothing is to be said until something has come."""
        return not self._left and not self._out.pending and (not self._ready or bool(self._shape.waits and self._awaited))

    def write(self) -> None:
        """Raises OSError."""
        if not self._left:
            if self._ready and not self._out.pending and not self.over:
                self._tls.write(self._batch())
            self._left = memoryview(self._out.read())
        try:
            went = self.sock.send(self._left) if self._left else 0
        except BlockingIOError:
            return
        self.sent += went
        self._left = self._left[went:]

    def _batch(self) -> bytes:
        batch = self._shape.batch(self._next)
        self._take(batch)
        return batch.frames

    def _take(self, batch: Batch) -> None:
        self._next += 2 * len(batch.streams)
        if self._shape.waits:
            self._awaited.update(batch.streams)

    def read(self) -> bool:
        """Whether it goes on. Raises OSError, also for what is no TLS."""
        try:
            data = self.sock.recv(AT_ONCE)
        except BlockingIOError:
            return True
        self.received += len(data)
        if not data:
            return False
        self._in.write(data)
        if not self._ready:
            self._shake_hands()
            if not self._ready:
                return True
            self._greet()
        try:
            while data := self._tls.read(PLAIN):
                self._frames += data
                self._pass_over()
        except ssl.SSLWantReadError:
            return not any(self._ends(frame) for frame in wire.take(self._frames))
        return False

    def _greet(self) -> None:
        """The preface, and what fills the table."""
        if self._tls.selected_alpn_protocol() != "h2":
            raise ConnectionError("no HTTP/2")
        first = wire.greeting()
        if self._shape.table:
            block = wire.request() + self._shape.table
            first += wire.frame(wire.HEADERS, wire.END_HEADERS | wire.END_STREAM, self._next, block)
            self._take(Batch(b"", (self._next,)))
        self._tls.write(first)

    def _pass_over(self) -> None:
        many = self._shape.answer * MANY
        while many and self._frames.startswith(many):
            del self._frames[: len(many)]

    def _ends(self, frame: wire.Frame) -> bool:
        if frame.kind == wire.SETTINGS and not frame.flags & wire.ACK:
            self._tls.write(_ACKNOWLEDGED)
        elif frame.ends:
            self._awaited.discard(frame.stream)
        return frame.kind == wire.GOAWAY

    def _shake_hands(self) -> None:
        try:
            self._tls.do_handshake()
            self._ready = True
        except ssl.SSLWantReadError:
            pass  # more is to come
