"""The TLS engine of one connection, between the socket and the stream, by nothing but Python's own `ssl`.

This is the form that works everywhere. Where wire.py is compiled and finds the OpenSSL that `ssl` uses, an engine of its own takes
this one's place (wire.pyx), which does the same without the memory buffers between. Neither decides anything: floods, ends and
failures are tls_stream.py's to judge.
"""

from __future__ import annotations

import os
import ssl
from typing import Any

from lbproxy.streams import HEAD_READ, Buffer

RECORD = 16 * 1024
"""RFC 8446 5.1: the largest plaintext of a record; the memory buffers give and take one record a call."""
OVERHEAD = 1024
"""Room for the framing of the records whose plaintext the reader asked for, so that a full record is not cut by the limit."""
AT_ONCE = 4 * RECORD
"""Bytes of plaintext that `push` encrypts and sends with one call; what a relay reads at once."""
_SLICE = RECORD + 29  # RFC 8446 5.2, RFC 5246 6.2.3: header 5, explicit nonce 8, tag 16
_MUCH = HEAD_READ + OVERHEAD
"""Bytes of a read for a head at most: those go to the engine in one piece."""


class TlsEngine:
    """One connection's keys and records. Raises ssl.SSLError for what the peer got wrong, and OSError as the socket does."""

    __slots__ = ("_incoming", "_outgoing", "again", "ended", "got", "pushed", "tls", "unsent")

    def __init__(self, context: ssl.SSLContext, server_name: str | None) -> None:
        """The server's side when `server_name` is None. Raises ValueError for a name that OpenSSL refuses."""
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self.tls = session(context, server_name, self._incoming, self._outgoing)
        self.got = 0
        """Bytes that the last `receive` took from the socket; 0: it is at its end."""
        self.again = False
        """There may be plaintext, or a failure that came behind some: `decrypt` comes before the next wait."""
        self.ended = False
        """close_notify has come."""
        self.pushed = 0
        """Bytes that the kernel took of the last `push`."""
        self.unsent = b""
        """What the last `push` had no room for."""

    # ---------------------------------------------------------------- the handshake

    def put(self, raw: bytes) -> None:
        """A flight of the peer's."""
        self._incoming.write(raw)

    def shake(self) -> bool:
        """Go on with the handshake; False: the peer's next flight is wanted (and ours is to be sent)."""
        try:
            self.tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        self.again = self._incoming.pending > 0
        return True

    # ---------------------------------------------------------------- reading

    def receive(self, fd: int, limit: int) -> bytes | None:
        """Read the socket once, `limit` bytes at most: the plaintext in it, which may be b""; None: nothing has come."""
        try:
            raw = os.read(fd, limit)
        except BlockingIOError:
            return None
        self.got = len(raw)
        if self.got > _MUCH:
            return self._decrypt_much(raw)
        if raw:
            self._incoming.write(raw)
            return self.decrypt()
        return b""

    def _decrypt_much(self, raw: bytes) -> bytes:
        """A slice at a time: the memory buffer never shrinks, and an idle connection keeps it."""
        view = memoryview(raw)
        pieces: list[bytes] = []
        for at in range(0, len(raw), _SLICE):
            self._incoming.write(view[at : at + _SLICE])
            try:
                pieces.append(self.decrypt())
            except ssl.SSLError:
                if not any(pieces):
                    raise
                self.again = True  # as in `decrypt`
            if self.ended or self.again:
                break
        return b"".join(pieces)

    def decrypt(self) -> bytes:
        """The plaintext of all whole records that are there."""
        self.again = False
        pieces: list[bytes] = []
        try:
            data: bytes | None = self.tls.read(RECORD)
            if data and not self._incoming.pending:
                return data
            while data:
                pieces.append(data)
                data = self.tls.read(RECORD) if self._incoming.pending else None
            self.ended = data == b""
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self.ended = True
        except ssl.SSLError:
            if not pieces:
                raise
            self.again = True  # what came before is sound; the next look meets the failure again
        return b"".join(pieces)

    # ---------------------------------------------------------------- writing

    def push(self, fd: int, data: Buffer, at: int, last: bool = False) -> int:
        """Encrypt what stands at `at` and behind it, AT_ONCE bytes at most, and send it with what is owed; where to go on. What the
        kernel had no room for is `unsent`. `last`: behind all of it comes the goodbye."""
        view = memoryview(data)
        end = min(at + AT_ONCE, len(view))
        records = []
        while at < end:  # each is taken out at once: the memory buffer never shrinks (82 KiB more were measured)
            at += self.tls.write(view[at : min(at + RECORD, end)])
            records.append(self._outgoing.read())
        if last and at == len(view):
            records.append(self.goodbye())
        try:
            sent = os.writev(fd, records)
        except BlockingIOError:
            sent = 0
        self.pushed = sent
        if sent != sum(map(len, records)):
            self.unsent = b"".join(records)[sent:]
        return at

    def owed(self) -> int:
        """Bytes that wait to be sent beside data: a flight of the handshake, answers to KeyUpdate, an alert."""
        return self._outgoing.pending

    def take(self) -> bytes:
        """Those bytes; they are the caller's to send."""
        return self._outgoing.read()

    def goodbye(self) -> bytes:
        """What is owed, and close_notify."""
        try:
            self.tls.shutdown()
        except (ssl.SSLError, ValueError):
            pass  # as a rule "want read": our close_notify is written, the peer's is not waited for
        return self._outgoing.read()


def session(context: ssl.SSLContext, server_name: str | None, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO) -> Any:
    """The object under SSLObject, which is Python that only passes calls on: another object for each idle connection."""
    if server_name is None:
        return context._wrap_bio(incoming, outgoing, server_side=True)  # type: ignore[attr-defined]
    return context.wrap_bio(incoming, outgoing, server_hostname=server_name)._sslobj  # type: ignore[attr-defined]
