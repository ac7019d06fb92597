"""A TLS server whose every connection is played by a function of the test."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from tests.support.certificates import Authority
from tests.support.waiting import PATIENCE

Act = Callable[[ssl.SSLSocket], None]


class TlsScript:
    """As a context: listening inside. `acts` are played one per connection, the last one for all that follow."""

    def __init__(self, authority: Authority, *acts: Act, protocol: str = "") -> None:
        """`protocol`: by ALPN."""
        files = authority.issue("localhost", "127.0.0.1")
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(files["cert"], files["key"])
        if protocol:
            self._context.set_alpn_protocols([protocol])
        self._acts = acts
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._playing: list[threading.Thread] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()
        for thread in self._playing:
            thread.join(PATIENCE)

    def _serve(self) -> None:
        count = 0
        while True:
            try:
                raw, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._play, args=(raw, self._acts[min(count, len(self._acts) - 1)]), daemon=True)
            self._playing.append(thread)
            thread.start()
            count += 1

    def _play(self, raw: socket.socket, act: Act) -> None:
        try:
            raw.settimeout(PATIENCE)
            tls = self._context.wrap_socket(raw, server_side=True)
        except OSError:
            raw.close()
            return
        try:
            act(tls)
        except OSError:
            pass  # the client went away, which is its right here
        finally:
            tls.close()


def head(tls: ssl.SSLSocket) -> bytes:
    """The next request's head; ConnectionError at the end."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = tls.recv(65536)
        if not more:
            raise ConnectionError("the client closed")
        data += more
    return data


def answer(*pieces: bytes) -> Act:
    """One request, then these pieces, then an orderly end."""

    def act(tls: ssl.SSLSocket) -> None:
        head(tls)
        for piece in pieces:
            tls.sendall(piece)
        farewell(tls)

    return act


def serve(body: bytes = b"ok\n", fields: bytes = b"") -> Act:
    """The same answer to every request, until the client goes."""

    def act(tls: ssl.SSLSocket) -> None:
        while True:
            head(tls)
            tls.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n%b\r\n%b" % (len(body), fields, body))

    return act


def farewell(tls: ssl.SSLSocket) -> None:
    """close_notify, without waiting for the peer's."""
    tls.setblocking(False)
    try:
        tls.unwrap()
    except (ssl.SSLWantReadError, OSError):
        pass  # ours has been sent


def cut(tls: ssl.SSLSocket) -> None:
    """The end of TCP without close_notify."""
    socket.socket(fileno=tls.detach()).close()


def reset(tls: ssl.SSLSocket) -> None:
    """A TCP reset."""
    tls.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    cut(tls)
