"""What HTTP/2 costs beside the exchange: frames to heads, heads to frames, of sixteen requests that come in one read."""

from __future__ import annotations

from lbproxy.http.h2.engine import H2Engine
from lbproxy.http.h2.request_fields import RequestFields
from lbproxy.http.h2.response_fields import ResponseFields
from lbproxy.http.h2.session import Receiver
from lbproxy.http.h2.vocabulary import PREFACE, Fields
from lbproxy.http.message import RequestHead

AT_ONCE = 16
HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\nDate: Sat, 28 Nov 2026 08:00:00 GMT\r\n"
    b"Via: 1.1 lbproxy\r\n\r\n"
)
_SETTINGS = b"\0\0\0\4\0\0\0\0\0"
# :authority and user-agent into the table; what follows names all by their numbers (RFC 7541 6.1).
_FIRST = b"\x82\x87\x84\x41\x0abench.test\x7a\x05bench"
_TAKEN = b"\0\0\4\x08\0\0\0\0\0" + (5 * AT_ONCE).to_bytes(4, "big")
"""The connection's window opens by what was answered."""
_AGAIN = b"\x82\x87\x84\xbf\xbe"


class Server(Receiver):
    """One connection's engine, and what stands right behind it."""

    def __init__(self) -> None:
        self.engine = H2Engine(self, server=True)
        self.heads: list[RequestHead] = []
        self.bodies: list[bytes] = []
        self._requests = RequestFields(8192, 100, 32768)
        self._responses = ResponseFields()
        self._next = 1
        self.engine.receive(PREFACE + _SETTINGS + self._request(_FIRST))
        self.step()

    def _request(self, block: bytes) -> bytes:
        frame = len(block).to_bytes(3, "big") + b"\x01\x05" + self._next.to_bytes(4, "big") + block
        self._next += 2
        return frame

    def step(self) -> bytes:
        """Sixteen requests, and their answers."""
        self.heads.clear()
        self.engine.receive(b"".join([self._request(_AGAIN) for _ in range(AT_ONCE)]) + _TAKEN)
        return self.engine.output(1 << 20)

    def on_request(self, stream: int, fields: Fields, ended: bool) -> None:
        """Answered at once."""
        self.heads.append(self._requests.read(fields, ended))
        self.engine.respond(stream, self._responses.of(HEAD), False)
        self.engine.send(stream, b"hello", True)

    def on_data(self, stream: int, data: bytes, ended: bool) -> None:
        """No request of `step` has a body."""
        self.bodies.append(data)
