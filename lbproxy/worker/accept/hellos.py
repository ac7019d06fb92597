"""Hellos of TLS clients, read before anybody answers them: where the name decides who does, or backends are told of it.

What is no hello that could be read in one way is none here, and is given to OpenSSL, which says so to the client, or declined where
there is no certificate to show.
"""

from __future__ import annotations

from lbproxy.errors import ConnectionLost, HandshakeFailed, StreamError
from lbproxy.net.first_stream import FirstStream
from lbproxy.net.tls_stream import PlainHttp, SaidNothing, looks_like_http
from lbproxy.prelude.alert import DECODE_ERROR, UNRECOGNIZED_NAME, fatal
from lbproxy.prelude.client_hello import Hello, NotHello, read
from lbproxy.streams import HEAD_READ

_HANDSHAKE_RECORD = b"\x16"


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


def decline(stream: FirstStream, hello: Hello | None, data: bytes) -> HandshakeFailed:
    """Nobody here is for that client, and no certificate is shown: why not, which a client of TLS is told by an alert."""
    if hello is None and not data.startswith(_HANDSHAKE_RECORD):
        return PlainHttp("plain_http") if looks_like_http(data) else HandshakeFailed("not_tls")
    try:
        stream.write(fatal(DECODE_ERROR if hello is None else UNRECOGNIZED_NAME))
    except StreamError:
        pass  # it is gone; nobody to tell
    return HandshakeFailed("decode_error" if hello is None else "unrecognized_name")


def _more(stream: FirstStream, data: bytes) -> bytes:
    more = stream.read(HEAD_READ)
    if more:
        return more
    raise ConnectionLost("closed during the handshake") if data else SaidNothing("closed before a byte came")
