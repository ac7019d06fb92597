"""The other side of a TLS stream, with its records in our hands: they are sent when, and in the pieces, that a test wants."""

from __future__ import annotations

import ssl
from collections.abc import Callable

import pytest
import trustme
from gevent import socket as gsocket

from lbproxy.net.tls_engine import TlsEngine
from lbproxy.net.wire import NATIVE, make_engine

MakeEngine = Callable[[ssl.SSLContext, str | None], TlsEngine]
ENGINES = [*([pytest.param(make_engine, id="native")] if NATIVE else []), pytest.param(TlsEngine, id="plain")]
"""Of our side: that of plain Python is also what runs where the other one does not find its way."""


class Authority:
    """Contexts of both sides over one root."""

    def __init__(self) -> None:
        self.root = trustme.CA()
        self._leaf = self.root.issue_cert("localhost", "backend.test")

    def server(self, *, version: ssl.TLSVersion | None = None, client_certificate: bool = False) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._leaf.configure_cert(context)
        if client_certificate:
            self.root.configure_trust(context)
            context.verify_mode = ssl.CERT_REQUIRED
        return _only(context, version)

    def client(self, *, version: ssl.TLSVersion | None = None) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.root.configure_trust(context)
        return _only(context, version)


def _only(context: ssl.SSLContext, version: ssl.TLSVersion | None) -> ssl.SSLContext:
    if version is not None:
        context.minimum_version = context.maximum_version = version
    return context


class TlsPeer:
    """An engine between memory buffers, and a socket."""

    def __init__(self, sock: gsocket.socket, context: ssl.SSLContext, server_name: str | None = "localhost") -> None:
        """A client, or with `server_name` None a server."""
        self.sock = sock
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._incoming, self._outgoing, server_side=server_name is None, server_hostname=server_name)

    def pending(self) -> bytes:
        """The records that wait to be sent."""
        return self._outgoing.read()

    def flush(self) -> None:
        self.sock.sendall(self.pending())

    def shake(self, *, flush_last: bool = True) -> None:
        """The handshake; with `flush_last` False the last flight is kept, so that something can go along with it."""
        while True:
            try:
                self.tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                self.flush()
                self._take()
        if flush_last:
            self.flush()

    def _take(self) -> None:
        raw = self.sock.recv(65536)
        if not raw:  # said here: before Python 3.11.4 ssl takes it for an orderly end
            raise ssl.SSLEOFError(ssl.SSL_ERROR_EOF, "closed without close_notify")
        self._incoming.write(raw)

    def encrypt(self, data: bytes) -> bytes:
        """The records of `data`, not sent."""
        for at in range(0, len(data), 16384):
            self.tls.write(data[at : at + 16384])
        return self.pending()

    def send(self, data: bytes) -> None:
        self.sock.sendall(self.encrypt(data))

    def goodbye(self) -> bytes:
        """The close_notify, not sent."""
        try:
            self.tls.unwrap()
        except ssl.SSLWantReadError:
            pass
        return self.pending()

    def recv(self) -> bytes:
        """Some data; b"" at close_notify; SSLEOFError when the connection ends without it."""
        while True:
            try:
                return self.tls.read(65536)
            except ssl.SSLWantReadError:
                self._take()
            except ssl.SSLZeroReturnError:
                return b""

    def shake_and_recv(self) -> bytes:
        """As two steps of one work."""
        self.shake()
        return self.recv()

    def recv_all(self) -> bytes:
        """Everything up to close_notify."""
        pieces = []
        while piece := self.recv():
            pieces.append(piece)
        return b"".join(pieces)

    def recv_exactly(self, size: int) -> bytes:
        got = b""
        while len(got) < size:
            got += self.recv()
        return got
