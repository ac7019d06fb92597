"""Something small is fetched within one time-out, from somebody who proved who he is."""

from __future__ import annotations

import socket
import ssl

import pytest
import trustme

from lbproxy.control.fetch import FetchTarget, NotFetched, fetch
from tests.support.ports import free_port
from tests.unit.control.backends import OK, Scripted, answering, hang_up, silent


def wanted(port: int, context: ssl.SSLContext | None = None, host: str = "idp.test") -> FetchTarget:
    return FetchTarget(host, f"{host}:{port}", port, "/jwks?a=b", context, 1000)


@pytest.fixture(scope="module")
def contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Of a server for idp.test, and of a client that trusts whoever signed that."""
    root = trustme.CA()
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    root.issue_cert("idp.test").configure_cert(server)
    root.configure_trust(client)
    return server, client


def test_it_is_fetched_in_the_clear_and_over_tls(contexts: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    """From the first address where anybody is."""
    with answering(OK) as plain, answering(OK, contexts[0]) as secure:
        assert fetch(wanted(plain.port), ["127.0.0.9", "127.0.0.1"], 60.0) == b"ok"
        assert fetch(wanted(secure.port, contexts[1]), ["127.0.0.1"], 60.0) == b"ok"
        [asked] = plain.seen
    assert asked.startswith(b"GET /jwks?a=b HTTP/1.1\r\nHost: idp.test:%d\r\n" % plain.port)


def test_a_server_that_is_somebody_else_is_not_believed(contexts: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    """Neither by its name nor by who signed that."""
    with answering(OK, contexts[0]) as server:
        with pytest.raises(NotFetched, match="TLS"):
            fetch(wanted(server.port, contexts[1], "other.test"), ["127.0.0.1"], 60.0)
        with pytest.raises(NotFetched, match="TLS"):
            fetch(wanted(server.port, ssl.create_default_context()), ["127.0.0.1"], 60.0)
        assert server.seen == []


def drip(sock: socket.socket) -> None:
    """A byte now and then, for as long as anybody listens."""
    sock.recv(1000)
    try:
        while True:
            sock.sendall(b"x")
            sock.settimeout(0.01)
            try:
                sock.recv(1)
            except TimeoutError:
                continue
            return
    except OSError:
        return


@pytest.mark.parametrize(
    ("server", "timeout", "why"),
    [
        (Scripted(silent), 0.1, "in time"), (Scripted(drip), 0.1, "in time"), (Scripted(hang_up), 60.0, "without an answer"),
        (answering(b"HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n"), 60.0, "302"),
        (answering(b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n"), 60.0, "404"),
        (answering(b"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n"), 60.0, "longer"),
    ],
)  # fmt: skip
def test_what_cannot_be_had_is_told(server: Scripted, timeout: float, why: str) -> None:
    """Within the time, whatever the server does."""
    with server, pytest.raises(NotFetched, match=why):
        fetch(wanted(server.port), ["127.0.0.1"], timeout)


def test_nobody_is_there() -> None:
    """The system's word for it."""
    with pytest.raises(NotFetched, match="refused"):
        fetch(wanted(free_port()), ["127.0.0.1"], 60.0)
