"""A connection of HTTP/2 over TLS, with as many requests under way as are begun: for proofs, where one waits for the answers."""

from __future__ import annotations

import socket
import ssl
from types import TracebackType
from typing import Self

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import ConnectionTerminated, DataReceived, ResponseReceived, StreamEnded, StreamReset, TrailersReceived
from h2.exceptions import H2Error
from h2.settings import SettingCodes

RECEIVE = 64 * 1024
WINDOW = 1 << 24
PROTOCOL = "h2"


class Answer:
    """What has come of one so far."""

    def __init__(self) -> None:
        self.status = 0
        self.fields: dict[bytes, bytes] = {}
        self.body = bytearray()
        self.trailers: dict[bytes, bytes] = {}
        self.over = False


class Session:
    """Connected and greeted. Every fault is an OSError: TLS, ALPN, frames, resets, GOAWAY, time."""

    def __init__(self, port: int, context: ssl.SSLContext, *, within: float = 5.0) -> None:
        """`context` offers h2. `within`: seconds without a byte."""
        self.answers: dict[int, Answer] = {}
        self._sock = context.wrap_socket(socket.create_connection(("127.0.0.1", port), timeout=within), server_hostname="127.0.0.1")
        self._engine = H2Connection(H2Configuration(client_side=True, header_encoding=None))
        self._authority = f"127.0.0.1:{port}"
        try:
            if (chosen := self._sock.selected_alpn_protocol()) != PROTOCOL:
                raise ConnectionError(f"ALPN chooses {chosen} where {PROTOCOL} is offered")
            self._engine.local_settings.update({SettingCodes.INITIAL_WINDOW_SIZE: WINDOW, SettingCodes.ENABLE_PUSH: 0})
            self._engine.initiate_connection()
            self._engine.increment_flow_control_window(WINDOW)
            self._flush()
        except BaseException:
            self._sock.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._sock.close()

    @property
    def streams(self) -> int:
        """How many the server takes at once, once its settings are here."""
        return self._engine.remote_settings.max_concurrent_streams

    def begin(self, path: str, *fields: tuple[str, str], method: str = "GET", body: bytes = b"") -> int:
        """A request, sent; its stream. The server's window for the body has to be open, or is waited for."""
        stream = self._engine.get_next_available_stream_id()
        pseudo = [(":method", method), (":scheme", "https"), (":authority", self._authority), (":path", path)]
        self.answers[stream] = Answer()
        try:
            self._engine.send_headers(stream, [*pseudo, *fields], end_stream=not body)
            self._flush()
            while body:
                room = min(self._engine.local_flow_control_window(stream), self._engine.max_outbound_frame_size, len(body))
                if room == 0:
                    self._receive()
                    continue
                self._engine.send_data(stream, body[:room], end_stream=room == len(body))
                self._flush()
                body = body[room:]
        except H2Error as error:
            raise ConnectionError(repr(error)) from error
        return stream

    def head(self, stream: int) -> Answer:
        """As soon as its fields are here."""
        while not self.answers[stream].status:
            self._receive()
        return self.answers[stream]

    def whole(self, stream: int) -> Answer:
        """To its end."""
        while not self.answers[stream].over:
            self._receive()
        return self.answers[stream]

    def _flush(self) -> None:
        self._sock.sendall(self._engine.data_to_send())

    def _receive(self) -> None:
        data = self._sock.recv(RECEIVE)
        if not data:
            raise ConnectionError("the connection ended")
        try:
            events = self._engine.receive_data(data)
            for event in events:
                self._take(event)
        except H2Error as error:
            raise ConnectionError(repr(error)) from error
        self._flush()

    def _take(self, event: object) -> None:
        if isinstance(event, ResponseReceived):
            answer = self.answers[event.stream_id]
            answer.fields = dict(event.headers)
            answer.status = int(answer.fields[b":status"])
        elif isinstance(event, DataReceived):
            self.answers[event.stream_id].body += event.data
            self._engine.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, TrailersReceived):
            self.answers[event.stream_id].trailers = dict(event.headers)
        elif isinstance(event, StreamEnded):
            self.answers[event.stream_id].over = True
        elif isinstance(event, StreamReset):
            raise ConnectionResetError(f"stream {event.stream_id} was reset: {event.error_code!r}")
        elif isinstance(event, ConnectionTerminated):
            raise ConnectionAbortedError(f"GOAWAY: {event.error_code!r}")
