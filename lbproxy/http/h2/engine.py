"""Frames, header compression, windows and stream states of one HTTP/2 connection: bytes in, events; commands, bytes out.

Theory of operation. libnghttp2 does the work, in the wheel of the package ngh2. That is young and has one maintainer, so it has
an exact version, and tests/unit/http/h2/test_conformance.py decides whether another one may take its place. Two forms of a
Session stand between: session.py goes by ngh2's objects, nghttp2.pyx, where lbproxy was compiled, calls the library itself.
Nobody else imports either, and what is told, refused and answered is the same. A receiver is told when the library has
returned, never from within it.

What libnghttp2 judges by itself: frames against states, sizes and windows; header compression; the form of names and
values, which pseudo-fields there are, fields of a connection, Content-Length against DATA (each of these resets the stream,
and nobody hears of the request). It also sends by urgency (RFC 9218) since our SETTINGS switch the older scheme off. What
it leaves is for request_fields.py to judge.

Where it gives a connection up without a word (too many CONTINUATION frames, acknowledgements that nobody fetches, a list of
fields beyond bounds, something else than HTTP/2), the GOAWAY that tells the peer why is written here. In front of it, if it was in
the middle of a request's fields, stands that one's answer: whoever has too many cookies sees 431, and no broken connection.

Windows open as what came is `taken`, never by themselves: that is what makes a client wait for a slow backend. Of a stream
that is gone what came has to be taken, too: it fills the connection's window.
"""

from __future__ import annotations

from collections.abc import Sequence

from lbproxy.http.h2.bounds import USUAL, Bounds
from lbproxy.http.h2.nghttp2 import make_session
from lbproxy.http.h2.offered import MISSING
from lbproxy.http.h2.session import Receiver
from lbproxy.http.h2.vocabulary import Failure, Field, H2Code

if not MISSING:
    import ngh2


class H2Engine:
    """One connection, of either side. After `failure` or `over` it does nothing more."""

    __slots__ = ("_farewell", "_receiver", "_session", "failure", "over")

    def __init__(self, receiver: Receiver, *, server: bool, bounds: Bounds = USUAL, tunnels: bool = True) -> None:
        """`tunnels`: a server lets CONNECT carry other protocols (RFC 8441)."""
        self._receiver = receiver
        self._farewell = b""
        self.failure: Failure | None = None
        """The connection was given up, by us or by the library."""
        self.over = False
        """Everything has ended: when `output` has nothing more, the connection is to be closed."""
        self._session = make_session(server, bounds, tunnels)

    def __repr__(self) -> str:
        state = self.failure or ("over" if self.over else "open")
        return f"<Engine {state}, {self.held_by_all()} bytes held, last stream {self._session.last}>"

    # ---------------------------------------------------------------- in

    def receive(self, data: bytes) -> None:
        """Tell the receiver what these bytes mean; look at `failure` and `over` afterwards."""
        if self.failure is not None or self.over:
            return
        self._session.receive(data)
        self._tell()

    def _tell(self) -> None:
        session = self._session
        session.tell(self._receiver)
        if session.broken is not None:
            self.end(session.broken)
        if session.overlong:
            stream, session.overlong = session.overlong, 0
            self._receiver.on_overlong(stream)
        if session.closed:
            if self.failure is None and session.code:
                self.failure = Failure(session.code, _REASONS.get(session.code, "h2_protocol"))
            self.over = True

    def unsure(self) -> bool:
        """Whether requests that came may have been refused since, which is told when `output` was asked for what there is to say;
        or the connection has ended."""
        return self._session.unsaid or self.failure is not None

    def forget(self) -> None:
        """Hold nothing of what came for a peer that is idle."""
        self._session.forget()

    # ---------------------------------------------------------------- out

    def output(self, most: int) -> bytes:
        """About `most` bytes to send, b"" when there are none now."""
        if self._farewell:
            farewell, self._farewell = self._farewell, b""
            return farewell
        if self.over or self.failure is not None:
            return b""
        data = self._session.output(most)
        self._tell()
        if self._farewell and not data:
            data, self._farewell = self._farewell, b""
        return data

    def respond(self, stream: int, fields: Sequence[Field], ended: bool) -> bool:
        """Begin the response. False, as everywhere below: the stream, or the connection, is gone."""
        return self._session.respond(stream, fields, ended)

    def interim(self, stream: int, fields: Sequence[Field]) -> bool:
        """A response before the response."""
        return self._session.interim(stream, fields)

    def send(self, stream: int, data: bytes, ended: bool) -> bool:
        """More of the body; it is held until windows let it go."""
        return self._session.send(stream, data, ended)

    def trailers(self, stream: int, fields: Sequence[Field]) -> bool:
        """Fields behind the body, and the end."""
        return self._session.trailers(stream, fields)

    def request(self, fields: Sequence[Field], ended: bool) -> int:
        """Begin a request; its stream, 0 when there can be no more on this connection."""
        return self._session.request(fields, ended)

    def reset(self, stream: int, code: int) -> bool:
        """Give a stream up, with all that is held for it."""
        return self._session.reset(stream, code)

    def taken(self, stream: int, size: int, rest: int = -1) -> bool:
        """So many bytes of `on_data` are held no more. `rest`: what is still to come of the stream, -1 when nobody knows: one whose
        window is wide enough for that has it opened no more."""
        return self._session.taken(stream, size, rest)

    def widen(self, stream: int, window: int) -> bool:
        """Let the peer send so many bytes before they are taken; stream 0: on the whole connection."""
        return self._session.widen(stream, window)

    def ping(self) -> bool:
        """Ask for an answer."""
        return self._session.ping()

    def announce_end(self) -> bool:
        """A server's first GOAWAY of two: what is on its way will be served, begin nothing more (RFC 9113 6.8)."""
        return self._session.announce_end()

    def refuse_more(self) -> bool:
        """The second: what came is served, what comes is not. A client's only one."""
        return self._session.refuse_more()

    def end(self, failure: Failure) -> None:
        """Give everything up, and tell the peer why."""
        if self.failure is not None or self.over:
            return
        self.failure = failure
        session = self._session
        if session.whole:  # else it would be taken for a part of a frame
            self._farewell = goaway_frame(max(session.last, session.overlong), failure.code)
            if session.overlong:
                self._farewell = too_large_frame(session.overlong) + self._farewell

    # ---------------------------------------------------------------- state

    def has_last_words(self) -> bool:
        """The peer is still to be told why the connection ends."""
        return bool(self._farewell)

    def held(self, stream: int) -> int:
        """Bytes of a stream's body that have not been put into frames yet."""
        return self._session.held(stream)

    def held_by_all(self) -> int:
        """The same of all streams together."""
        return self._session.held(0)

    def will_leave(self, stream: int) -> bool:
        """Whether the peer's windows let go what is held of a stream, and of all others: the next `output` has it."""
        return self._session.will_leave(stream)

    def window(self, stream: int) -> int:
        """Bytes that the peer's window of a stream takes, however shut the connection's is; 0 when the stream is gone."""
        return self._session.window(stream)

    def precedence(self, stream: int) -> int:
        """To a client: twice its urgency, and one more if it is incremental (RFC 9218 4). Who has less goes first."""
        return self._session.precedence(stream)

    @property
    def streams_allowed(self) -> int:
        """Streams that the peer, a server, lets us have at once."""
        return 0 if self.failure is not None or self.over else self._session.allows(3)

    @property
    def carries_others(self) -> bool:
        """The peer, a server, lets CONNECT carry other protocols (RFC 8441 3)."""
        return self._session.allows(8) == 1

    def has_output(self) -> bool:
        """Whether `output` has anything to give."""
        return bool(self._farewell) or (self.failure is None and not self.over and self._session.wants_write())

    def rests(self) -> bool:
        """There is nothing to say, and nothing has ended."""
        return not self.has_output() and self.failure is None and not self.over


_ended: list[H2Engine] = []


def ended_engine() -> H2Engine:
    """One in which nothing is, in place of one that has ended."""
    if not _ended:
        _ended.append(H2Engine(Receiver(), server=True))
        _ended[0].end(Failure(H2Code.NO_ERROR, ""))
    return _ended[0]


def never_indexed(name: bytes, value: bytes) -> Field:
    """A field that is never put into the table of compression, here or behind us (RFC 7541 6.2.3)."""
    return (name, value) if MISSING else ngh2.NeverIndexedHeader(name, value)


def goaway_frame(last: int, code: int) -> bytes:
    """RFC 9113 6.8."""
    return b"\0\0\x08\x07\0" + bytes(4) + last.to_bytes(4, "big") + code.to_bytes(4, "big")


def too_large_frame(stream: int) -> bytes:
    """The answer 431, whose fields need no table of compression (RFC 7541 6.2.2)."""
    fields = b"\x08\x03431\x0f\x0d\x010"  # :status, content-length
    return bytes((0, 0, len(fields), 1, 5)) + stream.to_bytes(4, "big") + fields


_REASONS: dict[int, str] = {
    H2Code.FLOW_CONTROL_ERROR: "h2_flow_control",
    H2Code.FRAME_SIZE_ERROR: "h2_frame_size",
    H2Code.COMPRESSION_ERROR: "h2_compression",
    H2Code.ENHANCE_YOUR_CALM: "h2_glitches",
    H2Code.STREAM_CLOSED: "h2_stream_closed",
}
"""Words for what libnghttp2 ends a connection for; "h2_protocol" for all else."""
