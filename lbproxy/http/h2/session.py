"""A session of libnghttp2, which is one connection, by way of the package ngh2: the form that runs as plain Python.

nghttp2.pyx has the same in C's terms. What both do alike, and which is taken, is for nghttp2.py to tell; only engine.py asks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from lbproxy.http.h2.bounds import ANSWERS, LONGEST_SENT, UNLIMITED, Bounds
from lbproxy.http.h2.offered import MISSING
from lbproxy.http.h2.vocabulary import USUAL_PRECEDENCE, Failure, Field, Fields, H2Code

if not MISSING:
    import ngh2


class Receiver:
    """Who is told what came, in order. Must not wait, and must not call the engine's `receive` or `output`.

    A class and no protocol, for what is compiled tells without asking who listens; what nobody wants to know is said to nobody.
    """

    __slots__ = ()

    def on_request(self, stream: int, fields: Fields, ended: bool) -> None:
        """A request began (to a server)."""

    def on_given_up(self, stream: int, fields: Fields) -> None:
        """A request, and that its client has given it up, in one piece (to a server): nothing else is told of it. `fields`: of the
        first of a read; of others none. Of nghttp2.pyx; from ngh2's objects it is `on_request`, `on_reset` and `on_closed`."""

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

    def on_overlong(self, stream: int) -> None:
        """A request was answered with 431, and the connection ends in the middle of its fields (to a server)."""

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

    def on_needless(self) -> None:
        """Something came that is nothing to us, and that a sound peer says seldom (ALTSVC, ORIGIN)."""

    def on_goaway(self, last: int, code: int) -> None:
        """The peer will begin (or, to a client, carry out) nothing after stream `last`."""


def first_settings(bounds: Bounds, server: bool, tunnels: bool) -> dict[int, int]:
    """Our SETTINGS (RFC 9113 6.5.2, RFC 8441 3, RFC 9218 2.1)."""
    settings = {4: bounds.window, 6: bounds.list_size}
    settings |= {3: bounds.streams, 9: 1} if server else {2: 0}
    if server and tunnels:
        settings[8] = 1
    return settings


class Session:
    """Bytes in, events; commands, bytes out. Commands answer False where the stream, or the session, is gone."""

    __slots__ = ("_conn", "broken", "closed", "code", "last", "overlong", "unsaid", "whole")

    def __init__(self, server: bool, bounds: Bounds, tunnels: bool) -> None:
        """See Engine. Our SETTINGS are the first that `output` has."""
        self.last = 0
        """The last stream that a request was told of."""
        self.broken: Failure | None = None
        """The library has given the connection up, without a word to the peer."""
        self.closed = False
        """Nothing more will come or go."""
        self.code = 0
        """Of the last GOAWAY, whoever sent it, once it is closed."""
        self.whole = True
        """The last output ended with a frame."""
        self.overlong = 0
        """The stream of the request in the middle of whose fields the library has given the connection up, for their size or number
        (of nghttp2.pyx); it is answered before the end."""
        self.unsaid = False
        """The library has something to say of what came, perhaps that it has refused a stream: it is told (`on_closed`) when that
        leaves. Until then a request may be one that was refused."""
        config = ngh2.Configuration(
            auto_window_update=False,
            peer_max_concurrent_streams=bounds.streams,
            max_outbound_ack=ANSWERS,
            max_continuations=bounds.continuations,
            stream_reset_rate_limit=(UNLIMITED, UNLIMITED),  # floods.py counts them
            glitch_rate_limit=bounds.glitches,
            max_inbound_header_list_size=bounds.list_size,
            max_inbound_header_count=bounds.list_count,
            max_send_header_block_length=LONGEST_SENT,
        )
        self._conn: Any = ngh2.Connection(ngh2.Role.SERVER if server else ngh2.Role.CLIENT, config)
        self._conn.initiate_connection(first_settings(bounds, server, tunnels))

    def receive(self, data: bytes) -> None:
        """What the peer said; look at `broken`. Nobody is told of anything before `tell`."""
        try:
            self._conn.receive_data(data)
        except ngh2.NGH2Error as error:
            self.broken = _failure(error)
        else:
            self.unsaid = self.unsaid or bool(self._conn.want_write)

    def tell(self, receiver: Receiver) -> None:
        """Tell of everything that came or happened since the last time; look at `broken` and `closed`."""
        for event in self._conn.events():
            _TELL[type(event)](self, receiver, event)

    def output(self, most: int) -> bytes:
        """About `most` bytes at most to send, b"" when there are none now; look at `broken`."""
        data: bytes
        held = self.held(0) if self.unsaid else 0
        try:
            data = self._conn.data_to_send(most)
        except ngh2.NGH2Error as error:
            self.broken = _failure(error)
            return b""
        # A body's next frame is made when nothing else is left to say.
        self.unsaid = self.unsaid and len(data) >= most and self.held(0) == held
        if data:
            self.whole = len(data) < most
        return data

    def respond(self, stream: int, fields: Sequence[Field], ended: bool) -> bool:
        """Begin the response."""
        return _done(self._conn.send_response, stream, fields, end_stream=ended)

    def interim(self, stream: int, fields: Sequence[Field]) -> bool:
        """A response before the response."""
        return _done(self._conn.send_informational_response, stream, fields)

    def send(self, stream: int, data: bytes, ended: bool) -> bool:
        """More of the body."""
        return _done(self._conn.send_data, stream, data, end_stream=ended)

    def trailers(self, stream: int, fields: Sequence[Field]) -> bool:
        """Fields behind the body, and the end."""
        return _done(self._conn.send_trailers, stream, fields)

    def request(self, fields: Sequence[Field], ended: bool) -> int:
        """Begin a request; its stream, 0 when there can be no more."""
        stream: int
        try:
            stream = self._conn.send_request(fields, end_stream=ended)
        except ngh2.NGH2Error:
            return 0
        return stream

    def reset(self, stream: int, code: int) -> bool:
        """Give a stream up."""
        return _done(self._conn.reset_stream, stream, code)

    def taken(self, stream: int, size: int, rest: int) -> bool:
        """So many bytes of a body that came are held no more. See Engine; ngh2 opens the connection's window together with the
        stream's alone, whatever the rest."""
        return _done(self._conn.acknowledge_received_data, size, stream)

    def widen(self, stream: int, window: int) -> bool:
        """How much the peer may send before it is taken; stream 0: on the whole connection."""
        return _done(self._conn.set_local_window_size, window, stream_id=stream)

    def ping(self) -> bool:
        """Ask for an answer."""
        return _done(self._conn.ping)

    def announce_end(self) -> bool:
        """A server's first GOAWAY of two."""
        return _done(self._conn.send_shutdown_notice)

    def refuse_more(self) -> bool:
        """GOAWAY, with the last stream that came."""
        return _done(self._conn.send_goaway)

    def held(self, stream: int) -> int:
        """Bytes that were not put into frames yet, of one stream; 0: of all."""
        size: int = self._conn.queued_body_size(stream or None)
        return size

    def window(self, stream: int) -> int:
        """Bytes that the peer's window of a stream takes, however shut the connection's is; 0 when the stream is gone."""
        try:
            return int(max(0, self._conn.stream_remote_window_size(stream)))
        except ngh2.NGH2Error:
            return 0

    def precedence(self, stream: int) -> int:
        """To a client: twice its urgency, and one more if it is incremental (RFC 9218 4); USUAL_PRECEDENCE when it is gone."""
        try:
            priority = self._conn.get_stream_priority(stream)
        except ngh2.NGH2Error:
            return USUAL_PRECEDENCE
        return 2 * int(priority.urgency) + bool(priority.incremental)

    def will_leave(self, stream: int) -> bool:
        """Whether the peer's windows let go what is held of a stream, and of all."""
        try:
            return bool(
                self._conn.queued_body_size(stream) <= self._conn.stream_remote_window_size(stream)
                and self._conn.queued_body_size() <= self._conn.remote_window_size
            )
        except ngh2.NGH2Error:
            return True  # the stream is gone, and all of it

    def allows(self, setting: int) -> int:
        """What the peer's SETTINGS say (RFC 9113 6.5.2)."""
        value: int = self._conn.remote_settings[setting]
        return value

    def wants_write(self) -> bool:
        """Whether `output` has anything to give."""
        return bool(self._conn.want_write)

    def forget(self) -> None:
        """Hold nothing of what came for a peer that is idle. Of nghttp2.pyx."""


def _done(command: Callable[..., object], *args: object, **options: object) -> bool:
    try:
        command(*args, **options)
    except ngh2.NGH2Error:
        return False
    return True


_TEXTS = {
    "CONTINUATION": Failure(H2Code.ENHANCE_YOUR_CALM, "h2_continuations"),
    "Flooding": Failure(H2Code.ENHANCE_YOUR_CALM, "h2_answers"),
    "configured size": Failure(H2Code.ENHANCE_YOUR_CALM, "h2_header_size"),
    "configured count": Failure(H2Code.ENHANCE_YOUR_CALM, "h2_header_count"),
    "client magic": Failure(H2Code.PROTOCOL_ERROR, "h2_preface"),
}
"""What the library's exceptions say where it gives a connection up itself; held by the conformance tests."""


def _failure(error: Exception) -> Failure:
    text = str(error)
    for words, failure in _TEXTS.items():
        if words in text:
            return failure
    if isinstance(error, ngh2.ConnectionProtocolError):
        return Failure(H2Code.PROTOCOL_ERROR, "h2_protocol")
    return Failure(H2Code.INTERNAL_ERROR, "h2_engine")


def _request(session: Session, receiver: Receiver, event: Any) -> None:
    stream = event.stream_id
    session.last = max(session.last, stream)
    receiver.on_request(stream, event.headers, event.end_stream)


def _pushed(session: Session, receiver: Receiver, event: Any) -> None:
    """Our SETTINGS came before any request, and forbid it; the library ends the connection by itself once they are acknowledged."""
    session.broken = Failure(H2Code.PROTOCOL_ERROR, "h2_protocol")


def _closed(session: Session, receiver: Receiver, event: Any) -> None:
    session.closed, session.code = True, event.error_code


def _nothing(session: Session, receiver: Receiver, event: Any) -> None:
    pass


_TELL: dict[type, Callable[[Session, Receiver, Any], None]] = (
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
        ngh2.ConnectionClosed: _closed,
        ngh2.PushedStreamReceived: _pushed,
        ngh2.AltSvcReceived: lambda _, receiver, event: receiver.on_needless(),
        ngh2.OriginReceived: lambda _, receiver, event: receiver.on_needless(),
    }
)
