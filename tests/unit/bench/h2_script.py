"""A connection of HTTP/2 that is played from the server's side, by another maker's engine."""

from __future__ import annotations

import ssl
from collections.abc import Callable

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import Event, RequestReceived, StreamEnded

from bench.h2 import wire
from tests.unit.bench.tls_script import Act

Reply = Callable[[H2Connection, Event], bytes | None]
"""What is said to what has come, by the engine; and frames of one's own behind that, if any are returned."""


def server() -> H2Connection:
    """As they say hello."""
    made = H2Connection(H2Configuration(client_side=False, header_encoding=None))
    made.initiate_connection()
    return made


def played(reply: Reply) -> Act:
    """One connection, until the client leaves."""

    def act(tls: ssl.SSLSocket) -> None:
        engine = server()
        tls.sendall(engine.data_to_send())
        while data := tls.recv(65536):
            for event in engine.receive_data(data):
                own = reply(engine, event)
                tls.sendall(engine.data_to_send() + (own or b""))
            tls.sendall(engine.data_to_send())

    return act


def answer(engine: H2Connection, stream: int, body: bytes = b"ok\n", status: bytes = b"200") -> None:
    """All of it."""
    engine.send_headers(stream, [(b":status", status), (b"content-length", b"%d" % len(body))])
    engine.send_data(stream, body, end_stream=True)


def serve(engine: H2Connection, event: Event) -> None:
    """The same answer to every request, once all of it is here."""
    if isinstance(event, StreamEnded):
        answer(engine, event.stream_id)


def goaway(last: int, code: int = 0) -> bytes:
    """The frame, which the engine would not go on after."""
    return wire.frame(wire.GOAWAY, payload=last.to_bytes(4, "big") + code.to_bytes(4, "big"))


def requests(events: list[Event]) -> list[RequestReceived]:
    """Those among them."""
    return [event for event in events if isinstance(event, RequestReceived)]
