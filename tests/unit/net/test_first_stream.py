"""A stream that gives its socket back."""

from __future__ import annotations

from lbproxy.net.first_stream import FirstStream
from lbproxy.net.tcp_stream import TcpStream
from tests.unit.net.loopback import deadlines_running, loop_rests, sockets, start


def test_another_stream_goes_on_where_it_was() -> None:
    """What was read is the first one's, what comes after it the second one's, and the first is swept no more."""
    with deadlines_running() as deadlines:
        ours, peer = sockets()
        first = FirstStream(ours, deadlines, 5.0)
        peer.sendall(b"one")

        def take_over() -> tuple[bytes, TcpStream]:
            data = first.read(100)
            return data, TcpStream(first.hand_over(), deadlines, 5.0)

        data, second = start(take_over).result()
        assert (data, first.closed, deadlines.streams) == (b"one", True, {second})
        first.close()
        first.abort()
        peer.sendall(b"two")
        assert start(lambda: second.read(100)).result() == b"two"
        second.close()
        assert peer.recv(10) == b""
        peer.close()
        assert loop_rests()
