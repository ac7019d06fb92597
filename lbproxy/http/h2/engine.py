"""Frames, header compression, windows and stream states of one HTTP/2 connection: bytes in, events; commands, bytes out.

Theory of operation. libnghttp2 does the work, through the package ngh2, and nobody else imports that: it is young and has
one maintainer, so it stands behind this file with an exact version, and tests/unit/http/h2/test_conformance.py decides
whether another version may take its place. The way out is a binding of our own to the same library, as net/wire has one to
OpenSSL.

What libnghttp2 judges by itself: frames against states, sizes and windows; header compression; the form of names and
values, which pseudo-fields there are, fields of a connection, Content-Length against DATA (each of these resets the stream,
and nobody hears of the request). It also sends by urgency (RFC 9218) since our SETTINGS switch the older scheme off. What
it leaves is for request_fields.py to judge.

Where it gives a connection up without a word (too many CONTINUATION frames, acknowledgements that nobody fetches, a list of
fields beyond bounds, something else than HTTP/2), the GOAWAY that tells the peer why is written here.

Windows open as what came is `taken`, never by themselves: that is what makes a client wait for a slow backend. Of a stream
that is gone what came has to be taken, too: it fills the connection's window.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

from lbproxy.http.h2.offered import MISSING
from lbproxy.http.h2.vocabulary import Code, Failure, Field, Fields

if not MISSING:
    import ngh2

ANSWERS = 256
"""Acknowledgements of SETTINGS and PING that may wait to be fetched by a peer that reads nothing."""
LONGEST_SENT = 1024 * 1024
"""Bytes of a list of fields that leaves, beyond what any limit of ours lets through."""
_UNLIMITED = 1 << 40


class Bounds(NamedTuple):
    """What one connection may make us hold or do. See also floods.py, which counts over time."""

    streams: int = 128
    """At once (SETTINGS_MAX_CONCURRENT_STREAMS); more are refused."""
    list_size: int = 64 * 1024
    """Bytes of one list of fields, each counted with 32 more (RFC 9113 6.5.2). Beyond it the connection ends: what a client may
    have answered with 431 has to stand well below."""
    list_count: int = 256
    """Fields of one list. Beyond it the same."""
    continuations: int = 8
    """Frames that one list may be continued in."""
    window: int = 64 * 1024 - 1
    """Bytes that a new stream may send before somebody takes them."""
    glitches: tuple[int, int] = (1000, 50)
    """At once, and per second: frames that a sound peer sends rarely or never (of unknown types, PRIORITY, empty DATA, what is
    malformed)."""


USUAL = Bounds()


class Receiver(Protocol):
    """Who is told what came, in order. Must not wait, and must not call the engine's `receive` or `output`."""

    def on_request(self, stream: int, fields: Fields, ended: bool) -> None:
        """A request began (to a server)."""

    def on_interim(self, stream: int, fields: Fields) -> None:
        """A response came that is not the last (to a client)."""

    def on_response(self, stream: int, fields: Fields, ended: bool) -> None:
        """The response began (to a client)."""

    def on_data(self, stream: int, data: bytes, ended: bool) -> None:
        """More of a body; to be `taken`."""

    def on_trailers(self, stream: int, fields: Fields) -> None:
        """The end of a message, with fields."""

    def on_reset(self, stream: int, code: int) -> None:
        """The peer has given the stream up; `on_closed` follows."""

    def on_closed(self, stream: int, code: int) -> None:
        """The stream is no more: both sides have ended, or one has given it up (`code`). Of one that was never told of, the peer's
        request was malformed, and is answered."""

    def on_settings(self) -> None:
        """SETTINGS came, and will be acknowledged."""

    def on_ping(self) -> None:
        """PING came, and will be answered."""

    def on_pong(self) -> None:
        """An answer to `ping`, or to what only looked like one."""

    def on_window(self, stream: int, increment: int) -> None:
        """The peer takes more; stream 0: on the whole connection."""

    def on_priority(self, stream: int) -> None:
        """PRIORITY_UPDATE came, and was followed."""

    def on_goaway(self, last: int, code: int) -> None:
        """The peer will begin (or, to a client, carry out) nothing after stream `last`."""


class Engine:
    """One connection, of either side. After `failure` or `over` it does nothing more."""

    __slots__ = ("_conn", "_farewell", "_last", "_receiver", "_whole", "failure", "over")

    def __init__(self, receiver: Receiver, *, server: bool, bounds: Bounds = USUAL, tunnels: bool = True) -> None:
        """`tunnels`: a server lets CONNECT carry other protocols (RFC 8441)."""
        self._receiver = receiver
        self._last = 0
        self._farewell = b""
        self._whole = True
        """The last output ended with a frame."""
        self.failure: Failure | None = None
        """The connection was given up, by us or by the library."""
        self.over = False
        """Everything has ended: when `output` has nothing more, the connection is to be closed."""
        config = ngh2.Configuration(
            auto_window_update=False,
            peer_max_concurrent_streams=bounds.streams,
            max_outbound_ack=ANSWERS,
            max_continuations=bounds.continuations,
            stream_reset_rate_limit=(_UNLIMITED, _UNLIMITED),  # floods.py counts them
            glitch_rate_limit=bounds.glitches,
            max_inbound_header_list_size=bounds.list_size,
            max_inbound_header_count=bounds.list_count,
            max_send_header_block_length=LONGEST_SENT,
        )
        settings = {4: bounds.window, 6: bounds.list_size}
        settings |= {3: bounds.streams, 9: 1} if server else {2: 0}
        if server and tunnels:
            settings[8] = 1
        self._conn = ngh2.Connection(ngh2.Role.SERVER if server else ngh2.Role.CLIENT, config)
        self._conn.initiate_connection(settings)

    def __repr__(self) -> str:
        state = self.failure or ("over" if self.over else "open")
        return f"<Engine {state}, {self.held_by_all} bytes held, last stream {self._last}>"

    # ---------------------------------------------------------------- in

    def receive(self, data: bytes) -> None:
        """Tell the receiver what these bytes mean; look at `failure` and `over` afterwards."""
        if self.failure is not None or self.over:
            return
        try:
            self._conn.receive_data(data)
        except ngh2.NGH2Error as error:
            self._tell()
            self.end(_failure(error))
            return
        self._tell()

    def _tell(self) -> None:
        for event in self._conn.events():
            _TELL[type(event)](self, self._receiver, event)

    def came(self, stream: int) -> None:
        """A request began on it."""
        self._last = max(self._last, stream)

    def ended(self, code: int) -> None:
        """Nothing more will come or go. `code`: of the last GOAWAY, whoever sent it."""
        if self.failure is None and code:
            self.failure = Failure(code, _REASONS.get(code, "h2_protocol"))
        self.over = True

    # ---------------------------------------------------------------- out

    def output(self, most: int) -> bytes:
        """About `most` bytes to send, b"" when there are none now."""
        if self._farewell:
            farewell, self._farewell = self._farewell, b""
            return farewell
        if self.over or self.failure is not None:
            return b""
        data: bytes
        try:
            data = self._conn.data_to_send(most)
        except ngh2.NGH2Error as error:
            self._tell()
            self.end(_failure(error))
            farewell, self._farewell = self._farewell, b""
            return farewell
        if data:
            self._whole = len(data) < most
        self._tell()
        return data

    def respond(self, stream: int, fields: Sequence[Field], ended: bool) -> bool:
        """Begin the response. False, as everywhere below: the stream, or the connection, is gone."""
        try:
            self._conn.send_response(stream, fields, end_stream=ended)
        except ngh2.NGH2Error:
            return False
        return True

    def interim(self, stream: int, fields: Sequence[Field]) -> bool:
        """A response before the response."""
        try:
            self._conn.send_informational_response(stream, fields)
        except ngh2.NGH2Error:
            return False
        return True

    def send(self, stream: int, data: bytes, ended: bool) -> bool:
        """More of the body; it is held until windows let it go."""
        try:
            self._conn.send_data(stream, data, end_stream=ended)
        except ngh2.NGH2Error:
            return False
        return True

    def trailers(self, stream: int, fields: Sequence[Field]) -> bool:
        """Fields behind the body, and the end."""
        try:
            self._conn.send_trailers(stream, fields)
        except ngh2.NGH2Error:
            return False
        return True

    def request(self, fields: Sequence[Field], ended: bool) -> int:
        """Begin a request; its stream, 0 when there can be no more on this connection."""
        stream: int
        try:
            stream = self._conn.send_request(fields, end_stream=ended)
        except ngh2.NGH2Error:
            return 0
        return stream

    def reset(self, stream: int, code: int) -> bool:
        """Give a stream up, with all that is held for it."""
        try:
            self._conn.reset_stream(stream, code)
        except ngh2.NGH2Error:
            return False
        return True

    def taken(self, stream: int, size: int) -> bool:
        """So many bytes of `on_data` are held no more."""
        try:
            self._conn.acknowledge_received_data(size, stream)
        except ngh2.NGH2Error:
            return False
        return True

    def widen(self, stream: int, window: int) -> bool:
        """Let the peer send so many bytes before they are taken; stream 0: on the whole connection."""
        try:
            self._conn.set_local_window_size(window, stream_id=stream)
        except ngh2.NGH2Error:
            return False
        return True

    def ping(self) -> bool:
        """Ask for an answer."""
        try:
            self._conn.ping()
        except ngh2.NGH2Error:
            return False
        return True

    def announce_end(self) -> bool:
        """A server's first GOAWAY of two: what is on its way will be served, begin nothing more (RFC 9113 6.8)."""
        try:
            self._conn.send_shutdown_notice()
        except ngh2.NGH2Error:
            return False
        return True

    def refuse_more(self) -> bool:
        """The second: what came is served, what comes is not. A client's only one."""
        try:
            self._conn.send_goaway()
        except ngh2.NGH2Error:
            return False
        return True

    def end(self, failure: Failure) -> None:
        """Give everything up, and tell the peer why."""
        if self.failure is not None or self.over:
            return
        self.failure = failure
        if self._whole:  # else it would be taken for a part of a frame
            self._farewell = goaway_frame(self._last, failure.code)

    # ---------------------------------------------------------------- state

    @property
    def has_last_words(self) -> bool:
        """The peer is still to be told why the connection ends."""
        return bool(self._farewell)

    def held(self, stream: int) -> int:
        """Bytes of a stream's body that have not been put into frames yet."""
        size: int = self._conn.queued_body_size(stream)
        return size

    @property
    def held_by_all(self) -> int:
        """The same of all streams together."""
        size: int = self._conn.queued_body_size()
        return size

    def will_leave(self, stream: int) -> bool:
        """Whether the peer's windows let go what is held of a stream, and of all others: the next `output` has it."""
        try:
            return bool(
                self._conn.queued_body_size(stream) <= self._conn.stream_remote_window_size(stream)
                and self._conn.queued_body_size() <= self._conn.remote_window_size
            )
        except ngh2.NGH2Error:
            return True  # the stream is gone, and all of it

    def room(self, stream: int) -> int:
        """Bytes that the peer would take of a stream now, as its window and the connection's are; 0 when it is gone."""
        room: int
        try:
            room = min(self._conn.stream_remote_window_size(stream), self._conn.remote_window_size)
        except ngh2.NGH2Error:
            return 0
        return max(0, room)

    @property
    def streams_allowed(self) -> int:
        """Streams that the peer, a server, lets us have at once."""
        if self.failure is not None or self.over:
            return 0
        allowed: int = self._conn.remote_settings[3]
        return allowed

    @property
    def carries_others(self) -> bool:
        """The peer, a server, lets CONNECT carry other protocols (RFC 8441 3)."""
        return bool(self._conn.remote_settings[8] == 1)

    @property
    def has_output(self) -> bool:
        """Whether `output` has anything to give."""
        return bool(self._farewell) or (self.failure is None and not self.over and self._conn.want_write)


def never_indexed(name: bytes, value: bytes) -> Field:
    """A field that is never put into the table of compression, here or behind us (RFC 7541 6.2.3)."""
    return (name, value) if MISSING else ngh2.NeverIndexedHeader(name, value)


def goaway_frame(last: int, code: int) -> bytes:
    """RFC 9113 6.8."""
    return b"\0\0\x08\x07\0" + bytes(4) + last.to_bytes(4, "big") + code.to_bytes(4, "big")


_REASONS: dict[int, str] = {
    Code.FLOW_CONTROL_ERROR: "h2_flow_control",
    Code.FRAME_SIZE_ERROR: "h2_frame_size",
    Code.COMPRESSION_ERROR: "h2_compression",
    Code.ENHANCE_YOUR_CALM: "h2_glitches",
    Code.STREAM_CLOSED: "h2_stream_closed",
}
"""Words for what libnghttp2 ends a connection for; "h2_protocol" for all else."""

_TEXTS = {
    "CONTINUATION": Failure(Code.ENHANCE_YOUR_CALM, "h2_continuations"),
    "Flooding": Failure(Code.ENHANCE_YOUR_CALM, "h2_answers"),
    "configured size": Failure(Code.ENHANCE_YOUR_CALM, "h2_header_size"),
    "configured count": Failure(Code.ENHANCE_YOUR_CALM, "h2_header_count"),
    "client magic": Failure(Code.PROTOCOL_ERROR, "h2_preface"),
}
"""What the library's exceptions say where it gives a connection up itself; held by the conformance tests."""


def _failure(error: Exception) -> Failure:
    text = str(error)
    for words, failure in _TEXTS.items():
        if words in text:
            return failure
    if isinstance(error, ngh2.ConnectionProtocolError):
        return Failure(Code.PROTOCOL_ERROR, "h2_protocol")
    return Failure(Code.INTERNAL_ERROR, "h2_engine")


def _request(engine: Engine, receiver: Receiver, event: Any) -> None:
    stream = event.stream_id
    engine.came(stream)
    receiver.on_request(stream, event.headers, event.end_stream)


def _pushed(engine: Engine, receiver: Receiver, event: Any) -> None:
    """Our SETTINGS came before any request, and forbid it; the library ends the connection by itself once they are acknowledged."""
    engine.end(Failure(Code.PROTOCOL_ERROR, "h2_protocol"))


def _nothing(engine: Engine, receiver: Receiver, event: Any) -> None:
    pass


_TELL: dict[type, Callable[[Engine, Receiver, Any], None]] = (
    {}
    if MISSING
    else {
        ngh2.RequestReceived: _request,
        ngh2.DataReceived: lambda _, receiver, event: receiver.on_data(event.stream_id, event.data, event.end_stream),
        ngh2.TrailersReceived: lambda _, receiver, event: receiver.on_trailers(event.stream_id, event.headers),
        ngh2.StreamReset: lambda _, receiver, event: receiver.on_reset(event.stream_id, event.error_code),
        ngh2.StreamClosed: lambda _, receiver, event: receiver.on_closed(event.stream_id, event.error_code),
        ngh2.ResponseReceived: lambda _, receiver, event: receiver.on_response(event.stream_id, event.headers, event.end_stream),
        ngh2.InformationalResponseReceived: lambda _, receiver, event: receiver.on_interim(event.stream_id, event.headers),
        ngh2.SettingsReceived: lambda _, receiver, event: receiver.on_settings(),
        ngh2.SettingsAcknowledged: _nothing,
        ngh2.PingReceived: lambda _, receiver, event: receiver.on_ping(),
        ngh2.PingAcknowledged: lambda _, receiver, event: receiver.on_pong(),
        ngh2.WindowUpdated: lambda _, receiver, event: receiver.on_window(event.stream_id, event.increment),
        ngh2.PriorityUpdateReceived: lambda _, receiver, event: receiver.on_priority(event.prioritized_stream_id),
        ngh2.GoAwayReceived: lambda _, receiver, event: receiver.on_goaway(event.last_stream_id, event.error_code),
        ngh2.ConnectionClosed: lambda engine, _, event: engine.ended(event.error_code),
        ngh2.PushedStreamReceived: _pushed,
        ngh2.AltSvcReceived: _nothing,
        ngh2.OriginReceived: _nothing,
    }
)
