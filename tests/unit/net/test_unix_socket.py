"""Connecting to a Unix socket: at once, or after its listener has made room, or not at all."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from lbproxy.net.unix_socket import FULL_PAUSE, connect_unix
from tests.support.descriptors import held_open


def listening(path: Path, backlog: int = 8) -> socket.socket:
    """Somebody who accepts when told to."""
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(path))
    sock.listen(backlog)
    return sock


def never(seconds: float) -> None:
    """Nobody is to wait."""
    raise AssertionError(f"slept {seconds}")


def test_connected(tmp_path: Path) -> None:
    """Both ways, and without blocking."""
    with listening(tmp_path / "s") as server, connect_unix(f"unix:{tmp_path}/s", 0.0, never) as sock:
        peer, _ = server.accept()
        assert not sock.getblocking()
        sock.send(b"x")
        assert peer.recv(1) == b"x"
        peer.close()


@pytest.mark.parametrize("what", ["nothing", "left over", "a folder"])
def test_nobody_there(tmp_path: Path, what: str) -> None:
    """The kernel's own answer, and no descriptor is kept."""
    path = tmp_path / "s"
    if what == "left over":
        listening(path).close()
    elif what == "a folder":
        path.mkdir()
    before = held_open()
    with pytest.raises(FileNotFoundError if what == "nothing" else ConnectionRefusedError):
        connect_unix(f"unix:{path}", 0.0, never)
    assert held_open() <= before


def test_a_full_queue_is_waited_for(tmp_path: Path) -> None:
    """As TCP does: the connection stands as soon as the listener takes one."""
    path = f"unix:{tmp_path}/s"
    with listening(tmp_path / "s", backlog=0) as server:
        first = connect_unix(path, 0.0, never)
        slept: list[float] = []

        def accept_at_the_third(seconds: float) -> None:
            slept.append(seconds)
            if len(slept) == 3:
                server.accept()[0].close()

        second = connect_unix(path, 9.5 * FULL_PAUSE, accept_at_the_third)
        assert slept == [FULL_PAUSE] * 3
        with pytest.raises(TimeoutError):
            connect_unix(path, 3.5 * FULL_PAUSE, slept.append)
        assert len(slept) == 7
        first.close()
        second.close()
