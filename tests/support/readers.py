"""Other people's parsers as functions: bytes on a connection -> the requests they see there.

What one of them refuses raises Refused; a request whose end is not there is left out. They are the parsers that serve most Python
applications (uvicorn's two, gunicorn, waitress, aiohttp's two, the standard library's), in this process and without a socket.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable
from functools import cache
from http.server import BaseHTTPRequestHandler
from typing import Any, NamedTuple

import gunicorn.config  # type: ignore[import-untyped]  # ships no types
import gunicorn.http  # type: ignore[import-untyped]  # ships no types
import h11
import httptools
from aiohttp import http_exceptions
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_parser import HttpRequestParser, HttpRequestParserPy
from gunicorn.http.errors import NoMoreData, ParseException  # type: ignore[import-untyped]  # ships no types
from waitress.adjustments import Adjustments  # type: ignore[import-untyped]  # ships no types
from waitress.parser import HTTPRequestParser  # type: ignore[import-untyped]  # ships no types


class Read(NamedTuple):
    """One request as somebody else sees it."""

    method: bytes
    target: bytes
    body: bytes


class Refused(Exception):
    """Not a request for this parser."""


Reader = Callable[[bytes], list[Read]]


def by_h11(data: bytes) -> list[Read]:
    """uvicorn's slower parser."""
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    found: list[Read] = []
    try:
        connection.receive_data(data)
        while True:
            event = connection.next_event()
            if not isinstance(event, h11.Request):
                return found
            body = b""
            while isinstance(part := connection.next_event(), h11.Data):
                body += bytes(part.data)
            if not isinstance(part, h11.EndOfMessage):
                return found
            found.append(Read(event.method, event.target, body))
            connection.send(h11.Response(status_code=200, headers=[("Content-Length", "0")]))
            if event.method == b"CONNECT":
                return found  # a tunnel begins
            connection.send(h11.EndOfMessage())
            if connection.our_state is h11.MUST_CLOSE:
                return found
            connection.start_next_cycle()
    except h11.RemoteProtocolError as error:
        raise Refused(str(error)) from error


class _Collected:
    """httptools calls this back."""

    def __init__(self) -> None:
        self.found: list[Read] = []
        self.parser: Any = None
        self.target = self.body = b""

    def on_message_begin(self) -> None:
        self.target = self.body = b""

    def on_url(self, url: bytes) -> None:
        self.target += url

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.found.append(Read(self.parser.get_method(), self.target, self.body))


def by_httptools(data: bytes) -> list[Read]:
    """llhttp: uvicorn's faster parser, and Node's."""
    collected = _Collected()
    collected.parser = httptools.HttpRequestParser(collected)
    try:
        collected.parser.feed_data(data)
    except httptools.HttpParserUpgrade:
        pass  # what is behind an upgrade is not its to read
    except httptools.HttpParserError as error:
        raise Refused(str(error)) from error
    return collected.found


@cache
def _gunicorn_config() -> Any:
    config = gunicorn.config.Config()
    config.set("header_map", "dangerous")
    config.set("limit_request_field_size", 0)
    return config


def by_gunicorn(data: bytes) -> list[Read]:
    """gunicorn's, with names that it merges for CGI told to be dangerous rather than refused."""
    found = []
    try:
        for message in gunicorn.http.RequestParser(_gunicorn_config(), iter([data]), ("192.0.2.1", 1)):
            body = message.body.read()
            found.append(Read(message.method.encode(), message.uri.encode("latin-1"), body))
            if message.should_close():
                break
    except (NoMoreData, StopIteration):
        pass
    except ParseException as error:
        raise Refused(str(error)) from error
    return found


@cache
def _waitress_settings() -> Any:
    return Adjustments()


def by_waitress(data: bytes) -> list[Read]:
    """waitress's."""
    found = []
    while data:
        parser = HTTPRequestParser(_waitress_settings())
        while data and not parser.completed:
            data = data[parser.received(data) :]
        if not parser.completed or parser.empty:
            break
        if parser.error is not None:
            raise Refused(str(parser.error))
        method, target = parser.first_line.split(b" ")[:2]
        found.append(Read(method, target, parser.get_body_stream().read()))
        if parser.connection_close:
            break
    return found


def _by_aiohttp(make: Any, data: bytes) -> list[Read]:
    loop = asyncio.new_event_loop()
    try:
        protocol = BaseProtocol(loop)
        parser = make(protocol, loop, limit=1 << 20, max_line_size=1 << 16, max_field_size=1 << 16)
        try:
            messages, _, _ = parser.feed_data(data)
        except http_exceptions.HttpProcessingError as error:
            raise Refused(str(error)) from error
        found = []
        for message, payload in messages:
            if isinstance(payload.exception(), Exception):
                raise Refused(str(payload.exception()))
            if not payload.is_eof():
                break
            body = b"".join(getattr(payload, "_buffer", []))
            found.append(Read(message.method.encode(), message.path.encode("latin-1", "surrogateescape"), body))
            if message.should_close:
                break
        return found
    finally:
        loop.close()


def by_aiohttp(data: bytes) -> list[Read]:
    """aiohttp's compiled parser (llhttp in another setting)."""
    return _by_aiohttp(HttpRequestParser, data)


def by_aiohttp_python(data: bytes) -> list[Read]:
    """aiohttp's own parser, for where nothing is compiled."""
    return _by_aiohttp(HttpRequestParserPy, data)


class _Handler(BaseHTTPRequestHandler):
    """Reads bodies by Content-Length, as handlers of http.server do."""

    protocol_version = "HTTP/1.1"

    def __init__(self, data: bytes) -> None:  # without its base's: there is no socket
        self.rfile = io.BytesIO(data)
        self.wfile = io.BytesIO()
        self.client_address = ("192.0.2.1", 1)
        self.found: list[Read] = []
        self.refused = ""

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        self.refused = f"{code} {message}"

    def next_request(self) -> bool:
        """True: there may be another one."""
        self.raw_requestline = self.rfile.readline(65537)
        if not self.raw_requestline:
            return False
        if not self.parse_request():
            raise Refused(self.refused)
        try:
            length = int(self.headers.get("Content-Length", 0))
            body = self.rfile.read(length) if length > 0 else b""
        except (ValueError, OverflowError) as error:
            raise Refused(str(error)) from error
        if len(body) < length:
            return False
        target = self.requestline.split()[1]  # `path` would have its first slashes merged
        self.found.append(Read(self.command.encode("latin-1"), target.encode("latin-1"), body))
        return not self.close_connection


def by_http_server(data: bytes) -> list[Read]:
    """The standard library's. It knows no chunked bodies: to it those are the next request, so it must not be asked about them."""
    handler = _Handler(data)
    while handler.next_request():
        pass
    return handler.found


READERS: dict[str, Reader] = {
    "h11": by_h11,
    "httptools": by_httptools,
    "gunicorn": by_gunicorn,
    "waitress": by_waitress,
    "aiohttp": by_aiohttp,
    "aiohttp-python": by_aiohttp_python,
    "http.server": by_http_server,
}
