"""Hellos of TLS clients, read before anybody answers them: where the name decides who does, or backends are told of it.

What is no hello that could be read in one way is none here, and is given to OpenSSL, which says so to the client.
"""

from __future__ import annotations

from lbproxy.errors import ConnectionLost
from lbproxy.net.first_stream import FirstStream
from lbproxy.net.tls_stream import SaidNothing
from lbproxy.prelude.client_hello import Hello, NotHello, read
from lbproxy.streams import HEAD_READ


def read_hello(stream: FirstStream, data: bytes) -> tuple[Hello | None, bytes]:
    """In the connection's greenlet, within the stream's deadline: the hello, and all that was read, `data` (what is here already)
    in front. Raises TimedOut, ConnectionLost, SaidNothing."""
    wanted = 1
    while True:
        try:
            while len(data) < wanted:
                data += _more(stream, data)
            found = read(data)
        except NotHello:
            return None, data
        if isinstance(found, Hello):
            return found, data
        wanted = len(data) + found


def _more(stream: FirstStream, data: bytes) -> bytes:
    more = stream.read(HEAD_READ)
    if more:
        return more
    raise ConnectionLost("closed during the handshake") if data else SaidNothing("closed before a byte came")
