"""The two ends of a client's connection, asked of the kernel: what backends are told by a PROXY header."""

from __future__ import annotations

from lbproxy.net.tcp_stream import TcpStream
from lbproxy.prelude.announce import Ends
from lbproxy.prelude.proxy_header import ProxyHeader

NOBODY = Ends("", 0, "", 0)


def ends_of(stream: TcpStream, said: ProxyHeader) -> Ends:
    """`said`: by a proxy in front of us, who knows better. Nobody's, for a Unix socket and one that is gone."""
    if said.source:
        return Ends(said.source, said.source_port, said.destination, said.destination_port)
    try:
        there, here = stream._sock.getpeername(), stream._sock.getsockname()
    except OSError:
        return NOBODY
    if not isinstance(there, tuple) or not isinstance(here, tuple):
        return NOBODY
    return Ends(there[0], there[1], here[0], here[1])
