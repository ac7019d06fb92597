"""A strict HTTP/1.1 client over a raw socket: sends exactly the bytes it is told, accepts nothing that the standard does not."""

from __future__ import annotations

import re
import socket
import ssl
import struct
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

PATIENCE = 60.0


class Malformed(AssertionError):
    """The response breaks the standard."""


class Truncated(AssertionError):
    """The connection ended before the response did; carries what came."""

    def __init__(self, what: str, got: bytes) -> None:
        super().__init__(f"ended in {what}, after {got[-200:]!r}")
        self.got = got


class Response(NamedTuple):
    status: int
    reason: str
    fields: list[tuple[str, str]]  # names in lower case, in order
    body: bytes
    trailers: list[tuple[str, str]]
    framing: str  # none | length | chunked | close

    def get(self, name: str) -> str | None:
        """The only value of a field; None when absent; AssertionError when it came twice."""
        values = self.all(name)
        assert len(values) < 2, f"{name} came {len(values)} times"
        return values[0] if values else None

    def all(self, name: str) -> list[str]:
        """Every value of a field."""
        return [value for key, value in self.fields if key == name.lower()]


_STATUS_LINE = re.compile(rb"HTTP/1\.1 ([1-9][0-9][0-9]) ([\t\x20-\x7e\x80-\xff]*)\Z")
_FIELD = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):([\t\x20-\x7e\x80-\xff]*)\Z")
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,8})(;[\t\x20-\x7e]*)?\Z")


class Client:
    """One connection. With `ca` it is TLS, verified against that file."""

    def __init__(
        self,
        port: int,
        *,
        ca: Path | None = None,
        name: str | None = "localhost",
        host: str = "127.0.0.1",
        context: ssl.SSLContext | None = None,
        timeout: float = PATIENCE,
    ) -> None:
        self._raw = socket.create_connection((host, port), timeout)
        self._raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.local_port: int = self._raw.getsockname()[1]
        self._socket: socket.socket = self._raw
        self._buffer = b""
        self.told_to_close = False
        if context is None and ca is not None:
            context = ssl.create_default_context(cafile=str(ca))
        if context is not None:
            try:
                self._socket = context.wrap_socket(self._raw, server_hostname=name, suppress_ragged_eofs=False)
            except BaseException:
                self._raw.close()
                raise

    # ---- life

    def close(self) -> None:
        """Close both directions."""
        self._socket.close()

    def reset(self) -> None:
        """Go away with a TCP reset, as a killed client's kernel does."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if isinstance(self._socket, ssl.SSLSocket):
            socket.socket(fileno=self._socket.detach()).close()
        else:
            self._socket.close()

    def half_close(self) -> None:
        """Say that nothing more comes, and go on reading (plain connections only)."""
        self._raw.shutdown(socket.SHUT_WR)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    @property
    def tls(self) -> ssl.SSLSocket:
        """The TLS socket, to ask for version and certificate."""
        assert isinstance(self._socket, ssl.SSLSocket)
        return self._socket

    # ---- sending

    def send(self, data: bytes) -> None:
        """All of `data`, at once."""
        self._socket.sendall(data)

    def send_bytewise(self, data: bytes, pause: float = 0.0) -> None:
        """One byte per write (and so per TLS record and segment)."""
        for at in range(len(data)):
            self._socket.sendall(data[at : at + 1])
            if pause:
                time.sleep(pause)

    def request(
        self, method: str = "GET", target: str = "/", fields: Iterable[tuple[str, str]] = (), body: bytes | None = None
    ) -> Response:
        """A plain request and its final response. A body gets Content-Length; Host is localhost unless given."""
        assert not self.told_to_close, "the last response said Connection: close"
        self.send(self._compose(method, target, fields, None if body is None else len(body)) + (body or b""))
        return self.response(method)

    def send_head(self, method: str, target: str, fields: Iterable[tuple[str, str]] = (), *, length: int | None = None) -> None:
        """Only the head."""
        self.send(self._compose(method, target, fields, length))

    @staticmethod
    def _compose(method: str, target: str, fields: Iterable[tuple[str, str]], length: int | None) -> bytes:
        given = list(fields)
        if not any(name.lower() == "host" for name, _ in given):
            given.insert(0, ("Host", "localhost"))
        if length is not None:
            given.append(("Content-Length", str(length)))
        head = f"{method} {target} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in given) + "\r\n"
        return head.encode("latin-1")

    # ---- receiving

    def response(self, method: str = "GET", *, interim: list[Response] | None = None) -> Response:
        """The final response to a request of `method`; 1xx before it go to `interim`."""
        while True:
            status, reason, fields = self._head()
            if 100 <= status < 200 and status != 101:
                if interim is not None:
                    interim.append(Response(status, reason, fields, b"", [], "none"))
                continue
            return self._body(method, status, reason, fields)

    def interim(self) -> Response:
        """The next response head, which has to be a 1xx."""
        status, reason, fields = self._head()
        assert 100 <= status < 200, f"wanted an interim response, got {status}"
        return Response(status, reason, fields, b"", [], "none")

    def head(self) -> Response:
        """The next response's head; its body is left on the wire for `some`."""
        status, reason, fields = self._head()
        return Response(status, reason, fields, b"", [], "none")

    def some(self) -> bytes:
        """Whatever comes next; b"" at the end. A reset raises ConnectionResetError."""
        if self._buffer:
            data, self._buffer = self._buffer, b""
            return data
        return self._socket.recv(65536)

    def rest(self) -> bytes:
        """Everything until the peer closes."""
        parts = []
        while data := self.some():
            parts.append(data)
        return b"".join(parts)

    def ended(self) -> bool:
        """Wait for the peer's close; False when bytes come instead. A reset counts as a close here."""
        try:
            return self.some() == b""
        except (ConnectionResetError, BrokenPipeError, ssl.SSLEOFError):
            return True

    def _head(self) -> tuple[int, str, list[tuple[str, str]]]:
        line = self._line("status line")
        if not (match := _STATUS_LINE.match(line)):
            raise Malformed(f"status line {line!r}")
        return int(match[1]), match[2].decode("latin-1"), self._fields()

    def _fields(self) -> list[tuple[str, str]]:
        fields = []
        while line := self._line("field"):
            if not (match := _FIELD.match(line)):
                raise Malformed(f"field line {line!r}")
            fields.append((match[1].decode().lower(), match[2].decode("latin-1").strip(" \t")))
        return fields

    def _body(self, method: str, status: int, reason: str, fields: list[tuple[str, str]]) -> Response:
        """RFC 9112 section 6.3, in its order."""
        self.told_to_close = ("connection", "close") in [(name, value.lower()) for name, value in fields]
        lengths = [value for name, value in fields if name == "content-length"]
        codings = [value for name, value in fields if name == "transfer-encoding"]
        if lengths and codings:
            raise Malformed("both Content-Length and Transfer-Encoding")
        if len(lengths) > 1 or len(codings) > 1:
            raise Malformed(f"repeated framing fields: {lengths} {codings}")
        if status in (101, 204) and (lengths or codings):
            raise Malformed(f"framing fields in a {status}")
        if method == "HEAD" or status in (101, 204, 304):
            return Response(status, reason, fields, b"", [], "none")
        if codings:
            if codings[0].lower() != "chunked":
                raise Malformed(f"Transfer-Encoding: {codings[0]}")
            body, trailers = self._chunks()
            return Response(status, reason, fields, body, trailers, "chunked")
        if lengths:
            if not re.fullmatch(r"[0-9]{1,15}", lengths[0]):
                raise Malformed(f"Content-Length: {lengths[0]}")
            return Response(status, reason, fields, self._exactly(int(lengths[0])), [], "length")
        return Response(status, reason, fields, self.rest(), [], "close")

    def _chunks(self) -> tuple[bytes, list[tuple[str, str]]]:
        parts: list[bytes] = []
        while True:
            line = self._line("chunk size")
            if not (match := _SIZE.match(line)):
                raise Malformed(f"chunk size {line!r}")
            size = int(match[1], 16)
            if size == 0:
                return b"".join(parts), self._fields()
            parts.append(self._exactly(size))
            if (end := self._exactly(2)) != b"\r\n":
                raise Malformed(f"chunk ends in {end!r}")

    def _line(self, what: str) -> bytes:
        while (end := self._buffer.find(b"\n")) < 0:
            self._more(what)
        line, self._buffer = self._buffer[:end], self._buffer[end + 1 :]
        if not line.endswith(b"\r"):
            raise Malformed(f"{what} ends in a bare LF: {line!r}")
        return line[:-1]

    def _exactly(self, size: int) -> bytes:
        parts, have = [self._buffer], len(self._buffer)
        while have < size:
            data = self._socket.recv(1 << 18)
            if not data:
                raise Truncated(f"a body of {size} bytes, at {have}", b"".join(parts))
            parts.append(data)
            have += len(data)
        whole = b"".join(parts)
        self._buffer = whole[size:]
        return whole[:size]

    def _more(self, what: str) -> None:
        data = self._socket.recv(65536)
        if not data:
            raise Truncated(what, self._buffer)
        self._buffer += data
