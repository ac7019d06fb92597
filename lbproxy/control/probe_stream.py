"""A probe's connection: a gevent socket, with TLS on top where the pool re-encrypts.

Through memory BIOs like the workers' streams, because the contexts are the standard library's own (the master made them, without
gevent). Nothing here is fast, everything is short: a probe moves a few hundred bytes. Time-outs are the caller's `gevent.Timeout`.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

import gevent.socket

Result = TypeVar("Result")

READ_SIZE = 16 * 1024


class ProbeStream(Protocol):
    """What a gevent socket and TlsClient have in common."""

    def sendall(self, data: bytes, /) -> object: ...

    def recv(self, size: int, /) -> bytes: ...


class TlsClient:
    """The client's side of TLS over a connected socket. The socket stays the caller's to close."""

    def __init__(self, sock: gevent.socket.socket, context: ssl.SSLContext, server_name: str, offered: Sequence[str] = ()) -> None:
        """`offered`: by ALPN, best first; none: what the context says. Raises ValueError for a name that cannot stand in a
        certificate."""
        if offered:
            context.set_alpn_protocols(list(offered))  # a connection takes what it offers from its context as it is made
        self._socket = sock
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=server_name)

    def session_object(self) -> Any:
        """The object under the SSLObject."""
        return self._tls._sslobj  # type: ignore[attr-defined]

    def protocol(self) -> str:
        """What was chosen by ALPN; "" for nothing."""
        return self._tls.selected_alpn_protocol() or ""

    def handshake(self) -> None:
        """Raises ssl.SSLError (also when the chain or the name does not verify), OSError."""
        self._run(self._tls.do_handshake)

    def goodbye(self) -> None:
        """Send close_notify, and hear the next thing that the peer says. Raises ssl.SSLError for an alert, OSError."""
        try:
            self._tls.unwrap()
        except ssl.SSLWantReadError:
            pass  # as a rule: ours is written, theirs has not come
        self._flush()
        self.recv(READ_SIZE)

    def sendall(self, data: bytes, /) -> None:
        self._run(lambda: self._tls.write(data))

    def recv(self, size: int, /) -> bytes:
        """b"" after close_notify. A bare end of file is ssl.SSLEOFError, as everywhere: something may be missing."""
        try:
            return self._run(lambda: self._tls.read(size))
        except ssl.SSLZeroReturnError:
            return b""

    def _run(self, step: Callable[[], Result]) -> Result:
        while True:
            try:
                result = step()
            except ssl.SSLWantReadError:
                self._flush()
                data = self._socket.recv(READ_SIZE)
                if not data:  # said here: before 3.11.4 ssl itself calls it SSLError, or with its own contexts an orderly end
                    raise ssl.SSLEOFError(ssl.SSL_ERROR_EOF, "closed without close_notify") from None
                self._incoming.write(data)
            except ssl.SSLError:
                self._flush()  # the alert that tells the backend's log why
                raise
            else:
                self._flush()
                return result

    def _flush(self) -> None:
        data = self._outgoing.read()
        if data:
            self._socket.sendall(data)
