"""A health check over HTTP/2: one request on a connection of its own, and what comes back.

As with HTTP/1 each check is a connection of its own on purpose: "does it still accept" is half of the question. What a backend may
send is bounded as it is for requests, and more than the first BODY_LIMIT bytes of a body are not looked at.
"""

from __future__ import annotations

from lbproxy.http.h1.health_check import BODY_LIMIT, BadHealthAnswer
from lbproxy.http.h2.bounds import Bounds
from lbproxy.http.h2.engine import H2Engine
from lbproxy.http.h2.session import Receiver
from lbproxy.http.h2.vocabulary import Fields

BYTES = 1024 * 1024
"""After so many that are no answer a check is given up."""


class H2Check(Receiver):
    """The client's side of one such connection: bytes in, bytes out; the engine's receiver."""

    def __init__(self, fields: Fields, body: bytes = b"") -> None:
        """A request with these fields, pseudo-fields first."""
        self._engine = H2Engine(self, server=False, bounds=Bounds(streams=1))
        self._stream = self._engine.request(fields, not body)
        if body:
            self._engine.send(self._stream, body, True)
        self._came = 0
        self.status = 0
        """Of the final answer; 0 as long as there is none."""
        self.fields: dict[bytes, bytes] = {}
        """Of its head, and of what stands behind its body."""
        self.body = b""
        """Its first bytes."""
        self.ended = False
        """There is no more of it that is looked at."""

    def output(self) -> bytes:
        """What is to be sent now. Raises BadHealthAnswer."""
        sent = b""
        while data := self._engine.output(BODY_LIMIT):
            sent += data
        self._judge()  # libnghttp2 gives up some connections only as it is about to say so
        return sent

    def goodbye(self) -> bytes:
        """The last bytes to be sent."""
        self.ended = True
        self._engine.refuse_more()
        return self.output()

    def receive(self, data: bytes) -> None:
        """What came. Raises BadHealthAnswer."""
        self._came += len(data)
        self._engine.receive(data)
        self._judge()
        if self._came > BYTES and not self.ended:
            raise BadHealthAnswer("no end of the answer in sight")

    def _judge(self) -> None:
        if self._engine.failure is not None and not self.ended:
            raise BadHealthAnswer("no HTTP/2" if not self.status else f"a broken answer: {self._engine.failure.reason}")

    # ---------------------------------------------------------------- what the engine tells

    def on_response(self, stream: int, fields: Fields, ended: bool) -> None:
        """See Receiver."""
        self.fields = dict(fields)
        self.status = int(self.fields[b":status"])
        self.ended = ended

    def on_data(self, stream: int, data: bytes, ended: bool) -> None:
        """See Receiver."""
        self.body += data
        self._engine.taken(stream, len(data))
        self.ended = self.ended or ended or len(self.body) >= BODY_LIMIT

    def on_trailers(self, stream: int, fields: Fields) -> None:
        """See Receiver."""
        self.fields |= dict(fields)
        self.ended = True

    def on_closed(self, stream: int, code: int) -> None:
        """See Receiver."""
        if not self.ended:
            raise BadHealthAnswer(f"the stream was reset with code {code}")

    def on_goaway(self, last: int, code: int) -> None:
        """See Receiver."""
        if last < self._stream:
            raise BadHealthAnswer(f"goodbye with code {code}")
