"""Whether a peer that is gone can have got anything: what TCP tells about it, on real sockets."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from gevent import socket as gsocket

from lbproxy.errors import ConnectionLost
from lbproxy.net import tcp_stream
from lbproxy.net.tcp_stream import TcpStream
from tests.unit.net.loopback import result, start, until
from tests.unit.net.test_tcp_stream import Pair, reset


def exchanged(stream: TcpStream, peer: gsocket.socket, rounds: int) -> int:
    """So many requests and answers; where the next request begins."""
    for _ in range(rounds):
        stream.write(b"request")
        assert peer.recv(100) == b"request"
        peer.sendall(b"answer")
        assert result(start(lambda: stream.read(16384))) == b"answer"
    return stream.wired


def ended(stream: TcpStream) -> str:
    """How reading ends."""
    try:
        return "more" if result(start(lambda: stream.read(16384))) else "end"
    except ConnectionLost:
        return "reset"


def in_order(peer: gsocket.socket) -> None:
    """Close with nothing unread: a FIN."""
    peer.close()


@pytest.mark.parametrize("rounds", [0, 1, 20])
@pytest.mark.parametrize("end", [in_order, reset])
def test_a_peer_that_was_gone_has_got_nothing(pair: Pair, rounds: int, end: Callable[[gsocket.socket], None]) -> None:
    """Its end was here before our first byte went out."""
    stream, peer = pair
    mark = exchanged(stream, peer, rounds)
    end(peer)
    try:
        stream.write(b"precious")
    except ConnectionLost:
        assert end is reset
    assert ended(stream) == "end", "also behind a reset that the write was told of"
    assert stream.unseen(mark)


@pytest.mark.parametrize("rounds", [0, 1, 20])
@pytest.mark.parametrize("how", ["in order", "reset", "half read"])
def test_a_peer_that_read_has_got_something(pair: Pair, rounds: int, how: str) -> None:
    """However it ended: it may have carried out what it read. A reset is not even an acknowledgement of it."""
    stream, peer = pair
    mark = exchanged(stream, peer, rounds)
    stream.write(b"precious")
    assert peer.recv(4 if how == "half read" else 100)
    (reset if how == "reset" else in_order)(peer)
    assert ended(stream) == ("end" if how == "in order" else "reset")
    assert not stream.unseen(mark)


@pytest.mark.parametrize("rounds", [0, 1])
def test_a_reset_between_two_writes_is_no_proof(pair: Pair, rounds: int) -> None:
    """The second write is told of the reset, and then reading finds an end that looks like one in order."""
    stream, peer = pair
    mark = exchanged(stream, peer, rounds)
    stream.write(b"precious")
    assert peer.recv(4)
    reset(peer)
    until(lambda: stream.unread, "the reset is here")
    with pytest.raises(ConnectionLost):
        stream.write(b" body")
    assert ended(stream) == "end"
    assert not stream.unseen(mark)


def test_writes_after_its_end_prove_nothing_else(pair: Pair) -> None:
    """Whoever ended before our first byte got none of the later ones either."""
    stream, peer = pair
    mark = exchanged(stream, peer, 1)
    in_order(peer)
    stream.write(b"precious")
    until(lambda: stream.unread, "its end is here")
    with pytest.raises(ConnectionLost):
        stream.write(b" body")
    assert ended(stream) == "end"
    assert stream.unseen(mark)


def test_a_peer_that_is_still_there_proves_nothing(pair: Pair) -> None:
    stream, peer = pair
    stream.write(b"precious")
    assert not stream.unseen(0)
    assert peer.recv(100) == b"precious"


def test_a_kernel_that_does_not_tell_proves_nothing(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """Zero is what one that fills in only a part of the structure says (gVisor does)."""
    stream, peer = pair
    monkeypatch.setattr(tcp_stream, "acknowledged", lambda sock: 0)
    in_order(peer)
    stream.write(b"precious")
    assert ended(stream) == "end"
    assert not stream.unseen(0)
