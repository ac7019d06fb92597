"""The ends of a client's connection."""

from __future__ import annotations

import socket

from lbproxy.net.ends import NOBODY, ends_of
from lbproxy.net.tcp_stream import TcpStream
from lbproxy.prelude.announce import Ends
from lbproxy.prelude.proxy_header import NOBODY as SAID_NOTHING
from lbproxy.prelude.proxy_header import ProxyHeader
from tests.unit.net.loopback import deadlines_running, sockets


def test_the_kernel_knows_them() -> None:
    with deadlines_running() as deadlines:
        ours, peer = sockets()
        stream = TcpStream(ours, deadlines, 1.0)
        assert ends_of(stream, SAID_NOTHING) == Ends(*peer.getsockname(), *peer.getpeername())
        said = ProxyHeader("192.0.2.7", 7, "192.0.2.1", 1)
        assert ends_of(stream, said) == Ends("192.0.2.7", 7, "192.0.2.1", 1), "a proxy in front of us knows better"
        stream.close()
        assert ends_of(stream, SAID_NOTHING) == NOBODY
        peer.close()


def test_a_unix_sockets_are_nobodys() -> None:
    with deadlines_running() as deadlines:
        ours, peer = socket.socketpair()
        ours.setblocking(False)
        assert ends_of(TcpStream(ours, deadlines, 1.0), SAID_NOTHING) == NOBODY
        peer.close()
