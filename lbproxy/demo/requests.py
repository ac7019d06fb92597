"""The throw-away backends' side of HTTP/1: one request in, one answer out."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import parse_qs

BLOCK = 64 * 1024
BODY_IDLE = 60.0
"""Seconds for the next piece of a body to come, or to go."""

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
_TARGET = re.compile(r"/[!-~]*\Z")
_LENGTH = re.compile(r"[0-9]{1,15}\Z")
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;[^\r\n]*)?\r\n\Z")


class BadRequest(Exception):
    """The request is refused, and the connection ends with it."""

    def __init__(self, status: HTTPStatus, why: str) -> None:
        super().__init__(why)
        self.status = status

    def answer(self) -> bytes:
        """The whole response."""
        body = f"{self.status.value} {self.status.phrase}: {self}\n".encode("latin-1", "replace")
        fields = f"Content-Type: text/plain\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        return f"HTTP/1.1 {self.status.value} {self.status.phrase}\r\n{fields}".encode("latin-1") + body


class DemoRequest(NamedTuple):
    """The head of a request, taken apart."""

    method: str
    target: str
    version: str
    fields: list[tuple[str, str]]
    """Names as they came."""
    length: int | None
    """Bytes of the body; None when it is chunked."""
    keep_alive: bool

    @property
    def path(self) -> str:
        """Without the query."""
        return self.target.partition("?")[0]

    def query(self, key: str) -> str:
        """The first value of that name, or ""."""
        return parse_qs(self.target.partition("?")[2]).get(key, [""])[0]

    def values(self, name: str) -> list[str]:
        """Every value of a field; `name` in lower case."""
        return [value for key, value in self.fields if key.lower() == name]


async def read_request(reader: asyncio.StreamReader) -> DemoRequest | None:
    """The next head; None when the client is done. Raises BadRequest."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise
        return None
    except asyncio.LimitOverrunError as error:
        raise BadRequest(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "the head is too large") from error
    return parse_head(head)


def parse_head(head: bytes) -> DemoRequest:
    """A head with its empty line. Raises BadRequest."""
    first, *lines = head[:-4].decode("latin-1").split("\r\n")
    words = first.split(" ")
    if len(words) != 3 or not _TOKEN.match(words[0]) or not _TARGET.match(words[1]) or words[2] not in ("HTTP/1.1", "HTTP/1.0"):
        raise BadRequest(HTTPStatus.BAD_REQUEST, "not a request line of HTTP/1")
    fields = []
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not _TOKEN.match(name) or "\n" in value or "\r" in value or "\0" in value:
            raise BadRequest(HTTPStatus.BAD_REQUEST, "a malformed field")
        fields.append((name, value.strip(" \t")))
    request = DemoRequest(words[0], words[1], words[2], fields, 0, True)
    options = {option.strip().lower() for value in request.values("connection") for option in value.split(",")}
    keep_alive = "close" not in options if words[2] == "HTTP/1.1" else "keep-alive" in options
    return request._replace(length=_body_length(request), keep_alive=keep_alive)


def _body_length(request: DemoRequest) -> int | None:
    """Where the body ends (RFC 9112 section 6); both framings at once are how requests are smuggled, so they are refused."""
    lengths, codings = request.values("content-length"), request.values("transfer-encoding")
    if codings:
        if lengths or [coding.lower() for coding in codings] != ["chunked"] or request.version == "HTTP/1.0":
            raise BadRequest(HTTPStatus.BAD_REQUEST, "ambiguous framing")
        return None
    if not lengths:
        return 0
    if len(lengths) > 1 or not _LENGTH.match(lengths[0]):
        raise BadRequest(HTTPStatus.BAD_REQUEST, "a bad Content-Length")
    return int(lengths[0])


class DemoExchange:
    """One request that is being answered, and the body that it brings."""

    def __init__(
        self, request: DemoRequest, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, who: str, number: int
    ) -> None:
        self.request = request
        self.who = who
        self.number = number
        """How many requests this backend has got, this one included."""
        self.keep_alive = request.keep_alive
        self.answered = False
        self._reader = reader
        self._writer = writer
        self._body_left = request.length != 0

    # ---- the answer

    def head(self, status: int, content_type: str, length: int | None) -> bytes:
        """The response's head; `length` None is chunked."""
        try:
            phrase = HTTPStatus(status).phrase
        except ValueError:
            phrase = "Unassigned"
        framing = "Transfer-Encoding: chunked\r\n" if length is None else f"Content-Length: {length}\r\n"
        if status in (204, 304):
            framing = ""  # they have no body, and a 204 may not even speak of one (RFC 9110 section 8.6)
        connection = "" if self.keep_alive else "Connection: close\r\n"
        typed = f"Content-Type: {content_type}\r\nX-Content-Type-Options: nosniff\r\nX-Backend: {self.who}\r\n"
        return f"HTTP/1.1 {status} {phrase}\r\n{typed}{framing}{connection}\r\n".encode("latin-1")

    async def send(self, data: bytes) -> None:
        """Bytes to the client, waiting while it is slow."""
        self.answered = True
        self._writer.write(data)
        if self._writer.transport.get_write_buffer_size() == 0:
            return
        async with asyncio.timeout(BODY_IDLE):
            await self._writer.drain()

    async def answer(self, status: int, content_type: str, body: bytes) -> None:
        """A whole small response, in one write."""
        await self.discard_body()
        bodiless = self.request.method == "HEAD" or status in (204, 304)
        await self.send(self.head(status, content_type, len(body)) + (b"" if bodiless else body))

    # ---- the body that came

    async def discard_body(self) -> None:
        """Read what is left of the request's body."""
        async for _ in self.body():
            pass

    async def body(self) -> AsyncIterator[bytes]:
        """The request's body in blocks, once; nothing the second time. Raises BadRequest."""
        if not self._body_left:
            return
        self._body_left = False
        if self.request.values("expect") and self.request.version == "HTTP/1.1":
            self._writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if self.request.length is not None:
            async for block in self._exactly(self.request.length):
                yield block
            return
        while size := await self._chunk_size():
            async for block in self._exactly(size):
                yield block
            if await self._line() != b"\r\n":
                raise BadRequest(HTTPStatus.BAD_REQUEST, "a chunk longer than announced")
        while await self._line() != b"\r\n":
            pass  # trailers

    async def _exactly(self, left: int) -> AsyncIterator[bytes]:
        while left:
            async with asyncio.timeout(BODY_IDLE):
                block = await self._reader.read(min(left, BLOCK))
            if not block:
                raise asyncio.IncompleteReadError(b"", left)
            left -= len(block)
            yield block

    async def _chunk_size(self) -> int:
        match = _CHUNK_SIZE.match(await self._line())
        if match is None:
            raise BadRequest(HTTPStatus.BAD_REQUEST, "a bad chunk size")
        return int(match[1], 16)

    async def _line(self) -> bytes:
        async with asyncio.timeout(BODY_IDLE):
            try:
                return await self._reader.readuntil(b"\r\n")
            except asyncio.LimitOverrunError as error:
                raise BadRequest(HTTPStatus.BAD_REQUEST, "a line without end") from error
