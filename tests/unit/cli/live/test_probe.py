"""One connection to whoever answers: bounded, whatever he does."""

from __future__ import annotations

import socket
import time
from contextlib import closing
from ipaddress import ip_network
from pathlib import Path

import pytest

from lbproxy.audit.answers import AuditQuestion
from lbproxy.cli.live import probe
from lbproxy.config.atoms import Address
from tests.support.waiting import PATIENCE, eventually
from tests.unit.cli.live.peer import Peer, Script, deaf, endless, says
from tests.unit.tls.files import pair

HERE = AuditQuestion("a.test", "/x")


def until(seconds: float = PATIENCE) -> float:
    return time.monotonic() + seconds


def test_an_answer_and_a_certificate(tmp_path: Path) -> None:
    heard: list[bytes] = []

    def script(connection: socket.socket) -> None:
        heard.append(connection.recv(65_536))
        connection.sendall(b"HTTP/1.1 204 No Content\r\nServer: x\r\n\r\n")

    files = pair(tmp_path, "a.test", "127.0.0.1")
    with Peer(script, files) as peer:
        connection = probe.handshake(probe.connect(peer.address, until()), "a.test", until())
        with closing(connection):
            shown = probe.leaf(connection)
            head = probe.ask(connection, HERE, "there", until())
    assert shown is not None
    assert shown.names == ("a.test", "127.0.0.1")
    assert (head.status, head.fields) == (204, (("server", "x"),))
    assert heard == [b"HEAD /x HTTP/1.1\r\nHost: a.test\r\nUser-Agent: lbproxy-audit\r\nConnection: close\r\n\r\n"]


@pytest.mark.parametrize(("script", "words"), [
    (deaf, "timed out"), (endless, "no end of its head"), (says(b""), "closes before"), (says(b"SSH-2.0-x\r\n\r\n"), "no HTTP/1"),
])  # fmt: skip
def test_who_answers_otherwise(script: Script, words: str) -> None:
    """Within its time."""
    with Peer(script) as peer, closing(probe.connect(peer.address, until())) as connection, pytest.raises(OSError, match=words):
        probe.ask(connection, HERE, "there", until(0.2 if script is deaf else PATIENCE))


@pytest.mark.parametrize("script", [deaf, says(b"HTTP/1.1 400 Bad Request\r\n\r\n"), lambda connection: None])
def test_who_does_not_speak_tls(script: Script) -> None:
    with Peer(script) as peer, pytest.raises(OSError, match=r"."):
        probe.handshake(probe.connect(peer.address, until()), "a.test", until(0.2))


def test_a_time_that_is_up_is_no_time_without_end() -> None:
    """A time-out of 0 would make the socket one that does not wait, and of None one that waits for ever."""
    with pytest.raises(TimeoutError):
        probe.connect(Address("127.0.0.1", 9), time.monotonic())


def test_a_name_that_nobody_can_ask_for() -> None:
    with Peer(deaf) as peer, pytest.raises(probe.Strange, match="by SNI"):
        probe.handshake(probe.connect(peer.address, until()), f"{'a' * 70}.test", until())


def test_proxy_headers() -> None:
    """Where they are taken from this machine; who wants them from others is not asked at all."""
    heard: list[bytes] = []

    def script(connection: socket.socket) -> None:
        heard.append(connection.recv(65_536))

    with Peer(script) as peer:
        probe.connect(peer.address, until(), (ip_network("127.0.0.0/8"),)).close()
        assert eventually(lambda: heard, "it is heard") == [b"PROXY UNKNOWN\r\n"]
        with pytest.raises(probe.Stranger):
            probe.connect(peer.address, until(), (ip_network("10.0.0.0/8"),))


def test_a_unix_socket(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "s"))
        listening.listen()
        probe.connect(Address(f"unix:{tmp_path}/s", 0), until()).close()
