"""A listener with a script: whatever a test wants it to do with a connection."""

from __future__ import annotations

import socket
import ssl
import threading
import warnings
from collections.abc import Callable
from types import TracebackType
from typing import Self

from lbproxy.config.atoms import Address
from lbproxy.config.model import CertificateConfig

Script = Callable[[socket.socket], None]


class Peer:
    """Does with each connection what the script says; closes all at the end. With `files` it speaks TLS."""

    def __init__(
        self, script: Script, files: CertificateConfig | None = None, least: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2
    ) -> None:
        self._script: Script = script
        self._context: ssl.SSLContext | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self.accepted = 0
        if files is not None:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.load_cert_chain(files.cert, files.key)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                self._context.minimum_version = least
            if least < ssl.TLSVersion.TLSv1_2:
                self._context.set_ciphers("ALL:@SECLEVEL=0")
        self._listening = socket.create_server(("127.0.0.1", 0))

    @property
    def address(self) -> Address:
        return Address("127.0.0.1", self._listening.getsockname()[1])

    def _serve(self) -> None:
        while not self._over.is_set():
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self.accepted += 1
            with connection:
                try:
                    connection.settimeout(60)
                    if self._context is None:
                        self._script(connection)
                    else:
                        with self._context.wrap_socket(connection, server_side=True) as secure:
                            self._script(secure)
                except OSError:
                    pass  # who asks goes whenever it likes

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._over.set()
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join(60)


def deaf(connection: socket.socket) -> None:
    """Reads, and says nothing until the other side goes."""
    while connection.recv(65_536):
        pass


def says(answer: bytes) -> Script:
    """Hears the head of a request and says that."""

    def script(connection: socket.socket) -> None:
        data = b""
        while b"\r\n\r\n" not in data and (more := connection.recv(65_536)):
            data += more
        connection.sendall(answer)

    return script


def endless(connection: socket.socket) -> None:
    """A head without end."""
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        connection.sendall(b"X: " + b"x" * 60_000 + b"\r\n")
