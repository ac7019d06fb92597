"""Nobody new gets in, and nobody who is in is harmed."""

from __future__ import annotations

import errno
import select
import socket
from collections.abc import Iterator

import pytest

from lbproxy.net.no_newcomers import drop_newcomers

SYN_SENT = 2  # enum of tcp_states.h


@pytest.fixture(params=[("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6)])
def listening(request: pytest.FixtureRequest) -> Iterator[socket.socket]:
    host, family = request.param
    with socket.create_server((host, 0), family=family) as listener:
        yield listener


def _state(sock: socket.socket) -> int:
    return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO)


def test_newcomers_are_not_told_that_they_are_connected(listening: socket.socket) -> None:
    """Their SYN is dropped, also for other processes that share the socket; when it is gone they are refused, and not reset."""
    address = listening.getsockname()
    shared = listening.dup()
    assert drop_newcomers(listening)
    listening.close()
    with shared, socket.socket(shared.family) as late:
        late.setblocking(False)
        late.connect_ex(address)
        assert _state(late) == SYN_SENT
        shared.close()
        assert select.select([], [late], [], 60)[1], "the second SYN, a second later, is answered"
        assert late.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNREFUSED


def test_others_go_on(listening: socket.socket) -> None:
    """Who waits in the queue can be accepted, and talks like anybody."""
    with socket.create_connection(listening.getsockname()[:2]) as early:
        assert drop_newcomers(listening)
        accepted, _ = listening.accept()
        with accepted:
            early.sendall(b"request")
            assert accepted.recv(100) == b"request"
            accepted.sendall(b"response")
            assert early.recv(100) == b"response"


def test_a_socket_that_takes_no_filter() -> None:
    """False, and no exception."""

    class Refusing(socket.socket):
        def setsockopt(self, *_: object) -> None:
            raise PermissionError

    with Refusing() as sock:
        assert not drop_newcomers(sock)
