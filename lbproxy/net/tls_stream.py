"""TLS over a TCP stream: one recv feeds many records, one send flushes many.

Theory of operation. The TLS engine works between two memory buffers (`SSLContext.wrap_bio`), so it never touches the socket: a
wake-up is one recv into the engine and as many decrypts as there are whole records; a write is encrypts into the engine and one
send. Measured per request this saves 1.4 reads and two getsockopt calls against wrapping the socket (design section 7).

- A server's first bytes are looked at before the engine sees them: plain HTTP on the TLS port deserves an answer in plain HTTP.
- The last flight of our handshake (TLS 1.3 session tickets) stays in the outgoing buffer when the client's first request is already
  there: it leaves together with the response.
- Whatever is not data is bounded: what comes of it, what we owe to the peer for it, and how long the loop is kept busy by it.
- The end of input without close_notify is ConnectionLost, not an end: somebody may have cut the connection to truncate a message.
"""

from __future__ import annotations

import socket
import ssl
from typing import Any

from lbproxy.errors import ConnectionLost, HandshakeFailed
from lbproxy.net.deadlines import Deadlines
from lbproxy.net.tcp_stream import TcpStream
from lbproxy.streams import HEAD_READ, Buffer

_RECORD = 16 * 1024
"""RFC 8446 5.1: the largest plaintext of a record; the engine gives and takes one record a call."""
_HANDSHAKE_RECORD = 0x16  # RFC 8446 5.1: every TLS connection begins with this byte
_BARREN = 2 * _RECORD
"""Bytes after which something must have come out of them. A record begun needs less; a flood of KeyUpdate (of which the engine
answers every one, and knows no limit, as OpenSSL 3.0 has none) or of refused renegotiations (TLS 1.2) is all that has more."""
_SLICE = _RECORD + 29  # RFC 8446 5.2, RFC 5246 6.2.3: header 5, explicit nonce 8, tag 16
_OVERHEAD = 1024
"""Room for the framing of the records whose plaintext the reader asked for, so that a full record is not cut by the limit."""
_MUCH = HEAD_READ + _OVERHEAD
"""Bytes of a read for a head at most: those go to the engine in one piece."""


class PlainHttp(HandshakeFailed):
    """The client speaks plain HTTP on a TLS port."""


class TlsStream(TcpStream):
    """See streams.Stream; `handshake` comes first."""

    __slots__ = ("_decrypt", "_encrypt", "_ended", "_incoming", "_outgoing", "_read_at_once", "_tls")

    def __init__(
        self,
        sock: socket.socket,
        deadlines: Deadlines,
        write_stall: float,
        context: ssl.SSLContext,
        server_name: str | None = None,
    ) -> None:
        """Server side unless `server_name` is given: then the client side, verifying that name as `context` says.

        Raises ValueError for a name that OpenSSL refuses; `sock` is the caller's still.
        """
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        # First, since it refuses impossible server names: nothing is to be watched then.
        # The engine itself: SSLObject is Python that only passes calls on, and another object for each idle connection.
        if server_name is None:
            self._tls: Any = context._wrap_bio(self._incoming, self._outgoing, server_side=True)  # type: ignore[attr-defined]
        else:
            wrapped = context.wrap_bio(self._incoming, self._outgoing, server_hostname=server_name)
            self._tls = wrapped._sslobj  # type: ignore[attr-defined]
        super().__init__(sock, deadlines, write_stall)
        self._decrypt = self._tls.read
        self._encrypt = self._tls.write
        self._read_at_once = False
        self._ended = False

    def handshake(self) -> None:
        """Agree on keys before `deadline`. Raises HandshakeFailed, TimedOut, ConnectionLost."""
        if self._tls.server_side:  # the client speaks first: asked before that, the engine would only raise "want read"
            hello = self._next_flight()
            if hello[0] != _HANDSHAKE_RECORD:
                raise (PlainHttp("plain_http") if _looks_like_http(hello) else HandshakeFailed("not_tls"))
            self._incoming.write(hello)
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self._flush()
            except ssl.SSLError as error:
                self._flush_alert()
                raise HandshakeFailed(_reason(error)) from error
            except ValueError as error:  # a server name that OpenSSL refuses, e.g. one with a leading dot
                raise HandshakeFailed(str(error)) from error
            else:
                break
            self._incoming.write(self._next_flight())
        if self._incoming.pending:
            self._read_at_once = True  # the first request came along; our last flight leaves with the answer
        else:
            self._flush()

    def _next_flight(self) -> bytes:
        data = self._read_raw(_RECORD + _OVERHEAD)
        if not data:
            raise ConnectionLost("closed during the handshake")
        return data

    def version(self) -> str:
        """ "TLSv1.3" and its like, for the log."""
        return self._tls.version() or ""

    def cipher(self) -> str:
        """The cipher suite by OpenSSL's name."""
        found = self._tls.cipher()
        return found[0] if found is not None else ""

    def peer_certificate(self) -> tuple[bytes, dict[str, Any]]:
        """The peer's verified certificate in DER, and decoded as by SSLObject.getpeercert; (b"", {}) when there is none."""
        if self._tls.context.verify_mode is ssl.CERT_NONE:
            return b"", {}
        return self._tls.getpeercert(True) or b"", dict(self._tls.getpeercert() or {})

    # ---------------------------------------------------------------- reading

    def read(self, limit: int) -> bytes:
        """See Stream."""
        if self._early:
            data, self._early = self._early, b""
            if self._paused:
                self._resume()
            return data
        barren = 0
        while not self._ended:
            if self._read_at_once:
                self._read_at_once = False
                raw, data = b"", self._decrypt_all()
            else:
                raw = self._read_raw(limit + _OVERHEAD)
                if not raw:
                    raise ConnectionLost("closed without close_notify")
                if len(raw) > _MUCH:
                    data = self._decrypt_much(raw)
                else:
                    self._incoming.write(raw)
                    data = self._decrypt_all()
            if self._writer is not None and self._outgoing.pending > _RECORD:
                raise ConnectionLost("a flood of records to be answered")  # by a peer that does not read the answers
            if data:
                return data
            barren += len(raw)
            if barren > _BARREN:
                raise ConnectionLost("a flood of records without data")
            self._flush()  # an answer to a KeyUpdate, as a rule nothing
        return b""

    def _decrypt_much(self, raw: bytes) -> bytes:
        """The plaintext in many records. A slice at a time: the engine's buffer never shrinks, and an idle connection keeps it."""
        view = memoryview(raw)
        pieces: list[bytes] = []
        for at in range(0, len(raw), _SLICE):
            self._incoming.write(view[at : at + _SLICE])
            try:
                pieces.append(self._decrypt_all())
            except ConnectionLost:
                if not any(pieces):
                    raise
                self._read_at_once = True  # as in _decrypt_all
            if self._ended or self._read_at_once:
                break
        return b"".join(pieces)

    def _decrypt_all(self) -> bytes:
        """The plaintext of all whole records that are there; sets `_ended` at close_notify. Never waits."""
        pieces: list[bytes] = []
        try:
            data: bytes | None = self._decrypt(_RECORD)
            if data and not self._incoming.pending:
                return data
            while data:
                pieces.append(data)
                data = self._decrypt(_RECORD) if self._incoming.pending else None
            self._ended = data == b""
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self._ended = True
        except ssl.SSLError as error:
            if not pieces:
                self._flush_alert()
                raise ConnectionLost(_reason(error)) from error
            self._read_at_once = True  # what came before is sound; the next read meets the error again
        return b"".join(pieces)

    def read_early(self) -> bool:
        """See Stream."""
        early, self._early = self._early, b""
        alive = TcpStream.read_early(self)
        raw, self._early = self._early, early
        if raw:
            self._incoming.write(raw)
            try:
                self._early = early + self._decrypt_all()
            except ConnectionLost:
                return False
        if self._outgoing.pending > _RECORD:
            return False  # floods of KeyUpdate that nobody needs
        self.unread = self.unread or len(self._early) >= _RECORD
        return alive and not self._ended

    # ---------------------------------------------------------------- writing

    def write(self, data: Buffer) -> None:
        """See Stream."""
        try:
            done = self._encrypt(data if len(data) <= _RECORD else memoryview(data)[:_RECORD])
            if done != len(data):
                self._write_much(memoryview(data), done)
                return
        except ssl.SSLError as error:
            raise ConnectionLost(_reason(error)) from error
        TcpStream.write(self, self._outgoing.read())

    def _write_much(self, view: memoryview, done: int) -> None:
        """Large data, or the client asked for small records (RFC 6066 4): one record a call, one send for all. `done`: bytes of
        `view` that are encrypted. Each record is taken out at once: the engine's buffer never shrinks, and an idle connection keeps
        it (82 KiB more were measured)."""
        records = [self._outgoing.read()]
        while done != len(view):
            done += self._encrypt(view[done : done + _RECORD])
            records.append(self._outgoing.read())
        self.write_pieces(records)

    def end_output(self) -> None:
        """See Stream. No FIN: the engine may still have to answer (KeyUpdate), and close_notify says all there is to say."""
        TcpStream.write(self, self._goodbye())

    def _flush(self) -> None:
        # While a writer waits in the middle of its records nothing may come between them: the next write takes it along.
        if self._outgoing.pending and self._writer is None:
            TcpStream.write(self, self._outgoing.read())

    def _flush_alert(self) -> None:
        """The engine has put an alert for the peer; one attempt, since nobody waits for it."""
        if self._outgoing.pending and not self.closed:
            try:
                self._send(self._outgoing.read())
            except OSError:
                pass  # the connection is lost in any case

    # ---------------------------------------------------------------- ends

    def _goodbye(self) -> bytes:
        try:
            self._tls.shutdown()
        except (ssl.SSLError, ValueError):
            pass  # as a rule "want read": our close_notify is written, the peer's is not waited for
        return self._outgoing.read()

    def close(self) -> None:
        """See Stream."""
        if not self.closed and self._writer is None:
            try:
                self._send(self._goodbye())
            except OSError:
                pass  # gone, or no room for it: nobody waits
        TcpStream.close(self)


def _reason(error: ssl.SSLError) -> str:
    """OpenSSL's own short word for it."""
    return (error.reason or str(error)).lower()


def _looks_like_http(data: bytes) -> bool:
    line = data[:256].partition(b"\r\n")[0]
    return line[:1].isalpha() and (b" HTTP/1." in line or b" /" in line)
