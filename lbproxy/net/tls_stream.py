"""TLS over a TCP stream: one recv feeds many records, one send flushes many.

Theory of operation. The TLS engine (engine.py) works between memory buffers, so OpenSSL never touches the socket: a wake-up is one
recv and as many decrypts as there are whole records; a write is encrypts and one send. Measured per request this saves 1.4 reads
and two getsockopt calls against wrapping the socket.

- A server's first bytes are looked at before the engine sees them: plain HTTP on the TLS port deserves an answer in plain HTTP.
- The last flight of our handshake (TLS 1.3 session tickets) leaves together with the response when the client's first request is
  already there, and at once otherwise: clients with Nagle's algorithm send their request when the last of the handshake is
  acknowledged, and alone that takes the kernel 40 ms.
- Whatever is not data is bounded: what comes of it, what we owe to the peer for it, and how long the loop is kept busy by it.
- The end of input without close_notify is ConnectionLost, not an end: somebody may have cut the connection to truncate a message.
"""

from __future__ import annotations

import socket
import ssl
from typing import Any

from lbproxy.errors import ConnectionLost, HandshakeFailed
from lbproxy.net.deadlines import Deadlines
from lbproxy.net.tcp_stream import EARLY_LIMIT, TcpStream
from lbproxy.net.tls_engine import OVERHEAD, RECORD
from lbproxy.net.wire import LEAST, make_engine, send
from lbproxy.streams import Buffer

_HANDSHAKE_RECORD = 0x16  # RFC 8446 5.1: every TLS connection begins with this byte
_BARREN = 2 * RECORD
"""Bytes after which something must have come out of them. A record begun needs less; a flood of KeyUpdate (of which the engine
answers every one, and knows no limit, as OpenSSL 3.0 has none) or of refused renegotiations (TLS 1.2) is all that has more."""


class PlainHttp(HandshakeFailed):
    """The client speaks plain HTTP on a TLS port."""


class SaidNothing(ConnectionLost):
    """The client went away before it said a word: somebody looked whether the port is open."""


class TlsStream(TcpStream):
    """A TLS connection as a stream (streams.Stream); `handshake` comes first."""

    __slots__ = ("_engine",)

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
        self._engine = make_engine(context, server_name)  # first, since it refuses names: nothing is to be watched then
        super().__init__(sock, deadlines, write_stall)

    def show(self, context: ssl.SSLContext) -> None:
        """The server's side, before the handshake: show this one's certificate, unless the client asks for another by name."""
        self._engine.tls.context = context

    def handshake(self, first: bytes = b"") -> None:
        """Agree on keys before `deadline`. `first`: what was read of the peer's already. Raises HandshakeFailed, TimedOut,
        ConnectionLost."""
        engine = self._engine
        if engine.tls.server_side:  # the client speaks first: asked before that, the engine would only want to read
            try:
                hello = first or self._next_flight()
            except ConnectionLost as error:
                raise SaidNothing(str(error)) from error
            if hello[0] != _HANDSHAKE_RECORD:
                raise (PlainHttp("plain_http") if looks_like_http(hello) else HandshakeFailed("not_tls"))
            engine.put(hello)
        while True:
            try:
                over = engine.shake()
            except ssl.SSLError as error:
                self._flush_alert()
                raise HandshakeFailed(_reason(error)) from error
            except ValueError as error:  # a server name that OpenSSL refuses, e.g. one with a leading dot
                raise HandshakeFailed(str(error)) from error
            if over:
                break
            self._flush()
            engine.put(self._next_flight())
        if not engine.again:  # else the first request came along, and our last flight leaves with the answer
            self._flush()

    def _next_flight(self) -> bytes:
        data = self._read_raw(RECORD + OVERHEAD)
        if not data:
            raise ConnectionLost("closed during the handshake")
        return data

    def session_object(self) -> Any:
        """The object under an SSLObject."""
        return self._engine.tls

    def version(self) -> str:
        """ "TLSv1.3" and its like, for the log."""
        return self._engine.tls.version() or ""

    def protocol(self) -> str:
        """What was agreed on by ALPN; "" when the client asked for nothing."""
        return self._engine.tls.selected_alpn_protocol() or ""

    def resumed(self) -> bool:
        """Whether the handshake went on with a session of before."""
        return bool(self._engine.tls.session_reused)

    def cipher(self) -> str:
        """The cipher suite by OpenSSL's name."""
        found = self._engine.tls.cipher()
        return found[0] if found is not None else ""

    def peer_certificate(self) -> tuple[bytes, dict[str, Any]]:
        """The peer's verified certificate in DER, and decoded as by SSLObject.getpeercert; (b"", {}) when there is none."""
        if self._engine.tls.context.verify_mode is ssl.CERT_NONE:
            return b"", {}
        der = self._engine.tls.getpeercert(True) or b""
        try:
            return der, dict(self._engine.tls.getpeercert() or {})
        except ValueError:  # names that are no text: it is verified, and names nobody
            return der, {}

    # ---------------------------------------------------------------- reading

    def read(self, limit: int) -> bytes:
        """See Stream."""
        if self._early:
            data, self._early = self._early, b""
            if self._paused:
                self._resume()
            return data
        engine = self._engine
        barren, least, overhead = 0, LEAST, OVERHEAD
        while not engine.ended:
            try:
                data = engine.decrypt() if engine.again else self._receive((limit if limit > least else least) + overhead)
            except ssl.SSLError as error:
                self._flush_alert()
                raise ConnectionLost(_reason(error)) from error
            if self._writer is not None and engine.owed() > RECORD:
                raise ConnectionLost("a flood of records to be answered")  # by a peer that does not read the answers
            if data:
                return data
            barren += engine.got
            if barren > _BARREN:
                raise ConnectionLost("a flood of records without data")
            self._flush()  # an answer to a KeyUpdate, as a rule nothing
        return b""

    def ready(self) -> bool:
        """See Stream."""
        return self._engine.again or self._engine.ended or TcpStream.ready(self)

    def _receive(self, limit: int) -> bytes:
        """Wait for the next bytes from the socket; the plaintext in them. Raises ConnectionLost at their end."""
        engine = self._engine
        while True:
            self._await_input()
            try:
                data = engine.receive(self._fd, limit)
            except ssl.SSLError:  # which is an OSError
                raise
            except OSError as error:
                raise self._lost(error) from error
            if data is not None:
                self._note_read(engine.got, limit)
                if not engine.got:
                    raise ConnectionLost("closed without close_notify")
                return data
            self.unread = False

    def read_early(self) -> bool:
        """See Stream."""
        engine = self._engine
        try:
            data = engine.receive(self._fd, EARLY_LIMIT)
        except OSError:  # among them what OpenSSL finds wrong
            return False
        if data is None:
            self.unread = False
            return True
        self._early += data
        self._told = False
        # Not everybody who ends his side says so in TLS: what he has sent is a whole request, of which nothing can be missing.
        self.half_closed = not engine.got or engine.ended
        if not engine.got or engine.ended or engine.owed() > RECORD:  # floods of KeyUpdate that nobody needs
            return False
        self.unread = len(self._early) >= EARLY_LIMIT  # enough: the caller pauses the watcher
        return True

    # ---------------------------------------------------------------- writing

    def write(self, data: Buffer) -> None:
        """See Stream."""
        self._push(data, False)

    def write_both(self, head: bytes, data: bytes) -> None:
        """See Stream. Records are of both."""
        self._push(head + data, False)

    def write_last(self, data: Buffer) -> None:
        """See Stream."""
        self._push(data, True)

    def _push(self, data: Buffer, last: bool) -> None:
        engine = self._engine
        size, at = len(data), 0
        while at < size:
            try:
                at = engine.push(self._fd, data, at, last)
            except ssl.SSLError as error:
                raise ConnectionLost(_reason(error)) from error
            except OSError as error:
                raise self._lost(error) from error
            self.wired += engine.pushed
            if engine.unsent:
                rest, engine.unsent = engine.unsent, b""
                self._write_rest(memoryview(rest))

    def end_output(self) -> None:
        """See Stream. No FIN: the engine may still have to answer (KeyUpdate), and close_notify says all there is to say."""
        TcpStream.write(self, self._goodbye())

    def _flush(self) -> None:
        # While a writer waits in the middle of its records nothing may come between them: the next write takes it along.
        if self._writer is None and self._engine.owed():
            TcpStream.write(self, self._engine.take())

    def _flush_alert(self) -> None:
        """The engine has put an alert for the peer; one attempt, since nobody waits for it."""
        if not self.closed and self._engine.owed():
            try:
                send(self._fd, self._engine.take())
            except OSError:
                pass  # the connection is lost in any case

    # ---------------------------------------------------------------- ends

    def unseen(self, since: int) -> bool:
        """See Stream. close_notify is an orderly end as a FIN is, and acknowledges as much."""
        self._ended = self._ended or self._engine.ended
        return TcpStream.unseen(self, since)

    def _goodbye(self) -> bytes:
        return self._engine.goodbye()

    def close(self) -> None:
        """See Stream."""
        if not self.closed and self._writer is None:
            try:
                send(self._fd, self._goodbye())
            except OSError:
                pass  # gone, or no room for it: nobody waits
        TcpStream.close(self)


def _reason(error: ssl.SSLError) -> str:
    """OpenSSL's own short word for it."""
    return (error.reason or str(error)).lower()


def looks_like_http(data: bytes) -> bool:
    """Whether a client of TLS would never begin like this, and one of HTTP would."""
    line = data[:256].partition(b"\r\n")[0]
    return line[:1].isalpha() and (b" HTTP/1." in line or b" /" in line)
