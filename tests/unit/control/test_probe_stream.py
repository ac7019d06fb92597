from __future__ import annotations

import hashlib
import ssl

import gevent.socket
import pytest
import trustme

from lbproxy.control.probe_stream import TlsClient
from tests.unit.control.backends import Scripted


def test_large_data_passes_whole_and_in_order() -> None:
    """More than one record and more than the kernel takes at once, both ways; close_notify reads as the end."""
    ca = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("app.test").configure_cert(server)
    client = ssl.create_default_context()
    ca.configure_trust(client)
    data = bytes(range(256)) * 4096

    def echo_digest(sock: object) -> None:
        assert isinstance(sock, ssl.SSLSocket)
        received = b""
        while len(received) < len(data):
            received += sock.recv(65536)
        sock.sendall(hashlib.sha256(received).digest() + data)
        sock.unwrap()

    with Scripted(echo_digest, server) as backend, gevent.socket.create_connection(("127.0.0.1", backend.port)) as sock:
        stream = TlsClient(sock, client, "app.test")
        stream.handshake()
        stream.sendall(data)
        received = b""
        while chunk := stream.recv(65536):
            received += chunk
    assert received == hashlib.sha256(data).digest() + data


def test_a_bare_end_of_file_is_an_error() -> None:
    """Truncation does not look like the end."""
    ca = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("app.test").configure_cert(server)
    client = ssl.create_default_context()
    ca.configure_trust(client)

    def cut(sock: object) -> None:
        assert isinstance(sock, ssl.SSLSocket)
        sock.sendall(b"half")
        sock.close()  # no unwrap: no close_notify

    with Scripted(cut, server) as backend, gevent.socket.create_connection(("127.0.0.1", backend.port)) as sock:
        stream = TlsClient(sock, client, "app.test")
        stream.handshake()
        assert stream.recv(100) == b"half"
        with pytest.raises(ssl.SSLEOFError):
            stream.recv(100)
