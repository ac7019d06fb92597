"""What the kernel tells of progress, on real connections; and of what is no TCP connection it tells nothing."""

from __future__ import annotations

import socket

from lbproxy.net.tcp_info import acknowledged, readable, unacknowledged
from tests.unit.net.loopback import sockets, until


def test_what_the_peer_took_is_acknowledged() -> None:
    ours, peer = sockets()
    ours.sendall(b"x" * 1000)
    until(lambda: acknowledged(ours) == 1001, "all of it, and the SYN")
    assert unacknowledged(ours) == 0
    ours.close()
    peer.close()


def test_what_a_peer_has_no_room_for_is_not() -> None:
    ours, peer = sockets(small=True)
    sent = 0
    try:
        while True:
            sent += ours.send(b"x" * 4096)
    except BlockingIOError:
        pass
    until(lambda: acknowledged(ours) - 1 + unacknowledged(ours) == sent, "the two are everything")
    assert unacknowledged(ours) > 0
    ours.close()
    peer.close()


def test_of_anything_else_nothing_is_told() -> None:
    one, other = socket.socketpair()
    assert acknowledged(one) == unacknowledged(one) == 0
    one.close()
    other.close()


def test_whether_a_read_would_wait() -> None:
    """It would not for what is here, nor for the end."""
    one, other = socket.socketpair()
    with one, other:
        assert not readable(one.fileno())
        other.send(b"x")
        assert readable(one.fileno())
        one.recv(1)
        assert not readable(one.fileno())
        other.shutdown(socket.SHUT_WR)
        assert readable(one.fileno())
