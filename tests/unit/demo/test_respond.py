"""Serving: several ports, hostile bytes, a quiet end."""

from __future__ import annotations

import http.client
import socket
import sys

import pytest

from lbproxy.config.model import Address
from lbproxy.demo.respond import listen_on
from lbproxy.errors import StartError
from tests.support.command import Command
from tests.support.ports import free_port
from tests.unit.demo.serving import ask, ask_once, responding


def test_a_port_in_use() -> None:
    """Is told in words to act on."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = Address("127.0.0.1", taken.getsockname()[1])
        with pytest.raises(StartError, match="another process listens there"):
            listen_on(address)


def test_an_address_of_another_machine() -> None:
    """Too (TEST-NET-1, RFC 5737)."""
    with pytest.raises(StartError, match="does not have that address"):
        listen_on(Address("192.0.2.1", 9000))


def test_several_ports_and_a_quiet_end() -> None:
    """One process for all; SIGTERM while clients are connected ends it with 0, without a word."""
    ports = [free_port(), free_port()]
    with Command([sys.executable, "-m", "lbproxy", "respond", *(f"127.0.0.1:{port}" for port in ports)]) as command:
        command.wait_line(f"answering on http://127.0.0.1:{ports[1]}/")
        connections = [http.client.HTTPConnection("127.0.0.1", port, timeout=60) for port in ports]
        for port, connection in zip(ports, connections, strict=True):
            assert f"127.0.0.1:{port} (pid {command.pid})" in ask(connection, "GET", "/").body.decode()
        assert command.stop() == 0
        assert len(command.lines.all()) == len(ports), command.lines.all()
        for connection in connections:
            connection.close()


@pytest.mark.parametrize(("came", "status"), [
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", b"400"),
    (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", b"400"),
    (b"GET / HTTP/1.1\r\nA: " + b"x" * 70_000 + b"\r\n\r\n", b"431"),
    (b"POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", b"400"),
])  # fmt: skip
def test_hostile_bytes(came: bytes, status: bytes) -> None:
    """Refused, closed, and the next client is served."""
    with responding() as port:
        with socket.create_connection(("127.0.0.1", port), 10) as client:
            client.sendall(came)
            with client.makefile("rb") as stream:
                answer = stream.read()
        assert answer.startswith(b"HTTP/1.1 " + status), answer[:100]
        assert ask_once(port).status == 200
