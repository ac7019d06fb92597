"""One TLS connection of a client that never tries anything twice: whatever goes wrong is said, and nothing is papered over.

A library would not do: each of them retries somewhere, at least on a kept connection that turns out to be closed. Nor would
ssl.SSLSocket: in Python 3.11 it tells a TCP reset as an end of file. So TLS runs over memory here, and the socket is ours.
"""

from __future__ import annotations

import hashlib
import re
import select
import socket
import ssl
import time
from typing import NamedTuple

from bench.reload.job import Job
from bench.reload.outcome import Lost

PATIENCE = 20.0
"""Seconds without a byte before a request counts as lost."""
MOST_HEAD = 16 * 1024
RECEIVE = 64 * 1024
SMALL_WINDOW = 128 * 1024
"""Receive buffer of a slow reader: else the kernel would take megabytes off the proxy at once, which was done then."""

_STATUS = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9][0-9]) ")
_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]{1,15})\r\n", re.I)
_CLOSE = re.compile(rb"\r\nconnection: *close\r\n", re.I)
_KEEP = re.compile(rb"\r\nconnection: *keep-alive\r\n", re.I)
_HEAD_END = b"\r\n\r\n"


class Answer(NamedTuple):
    status: int
    length: int
    sha256: str
    closes: bool
    """The server said that this was the last one on this connection."""


class Connection:
    """Connected and shaken hands with when made, or Lost. Owner closes it. Not for use by two threads at once."""

    def __init__(self, job: Job, context: ssl.SSLContext, *, session: ssl.SSLSession | None = None, slow: bool = False) -> None:
        """`slow`: with a small receive buffer, see SMALL_WINDOW."""
        self._socket = socket.socket()
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=job.name, session=session)
        self._poll = select.poll()
        self._poll.register(self._socket, select.POLLIN)
        self.local_port = 0
        try:
            self._socket.settimeout(PATIENCE)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if slow:
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_WINDOW)
            try:
                self._socket.connect((job.host, job.port))
                self.local_port = self._socket.getsockname()[1]
                self._shake_hands()
            except OSError as error:
                raise self._lost(error, "closed", "in the handshake" if self.local_port else "connecting") from error
        except BaseException:
            self._socket.close()
            raise

    @property
    def session(self) -> ssl.SSLSession | None:
        """To be resumed by another connection; with TLS 1.3 there is one after the first answer."""
        return self._tls.session

    @property
    def resumed(self) -> bool:
        return bool(self._tls.session_reused)

    def close(self) -> None:
        self._socket.close()

    def ended(self) -> str:
        """Between two requests: "" while the connection stands, otherwise how it ended: closed, cut, reset or spoke."""
        while True:
            try:
                return "spoke" if self._tls.read(1) else "closed"
            except ssl.SSLWantReadError:
                if not self._poll.poll(0):
                    return ""
            except ssl.SSLError:
                return "cut"
            try:
                self._fill()  # session tickets, or the end
            except ssl.SSLEOFError:
                return "cut"
            except OSError:
                return "reset"

    def _shake_hands(self) -> None:
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self._flush()
                self._fill()
            except ssl.SSLError:
                self._flush()  # the alert
                raise
            else:
                self._flush()
                return

    def _flush(self) -> None:
        if self._outgoing.pending:
            self._socket.sendall(self._outgoing.read())

    def _fill(self) -> None:
        data = self._socket.recv(RECEIVE)
        if not data:  # said here: before Python 3.11.4 ssl takes it for an orderly end
            raise ssl.SSLEOFError(ssl.SSL_ERROR_EOF, "closed without close_notify")
        self._incoming.write(data)

    def ask(self, request: bytes, *, rate: float = 0.0) -> Answer:
        """Send and read the whole answer; Lost when there is none. `rate`: bytes per second to read at most, 0.0 for no limit."""
        try:
            self._tls.write(request)
            self._flush()
        except OSError as error:
            raise self._lost(error, "closed", "while sending") from error
        head, rest = self._head()
        match = _STATUS.match(head)
        if match is None:
            raise Lost("content", f"no HTTP: {head[:80]!r}", self.local_port)
        closes = bool(_CLOSE.search(head)) or (match[1] == b"0" and not _KEEP.search(head))
        length = _LENGTH.search(head)
        if length is None and match[1] == b"1" and match[2] != b"204":
            raise Lost("content", f"a response without Content-Length: {head[:200]!r}", self.local_port)
        if match[2] == b"204":
            wanted: int | None = 0
        else:
            wanted = int(length[1]) if length else None
        got, digest = self._body(rest, wanted, rate)
        return Answer(int(match[2]), got, digest, closes)

    def _head(self) -> tuple[bytes, bytes]:
        data = b""
        while (end := data.find(_HEAD_END)) < 0:
            if len(data) > MOST_HEAD:
                raise Lost("content", f"an endless head: {data[:80]!r}", self.local_port)
            more = self._receive("truncated" if data else "closed", f"after {len(data)} bytes of a head")
            if not more:
                raise Lost("truncated" if data else "closed", f"close_notify after {len(data)} bytes of a head", self.local_port)
            data += more
        return data[: end + 2], data[end + 4 :]

    def _body(self, first: bytes, wanted: int | None, rate: float) -> tuple[int, str]:
        """Its length and sha256; `wanted` None: it ends with the connection, and only an orderly end counts as one."""
        digest = hashlib.sha256(first)
        got, begun = len(first), time.monotonic()
        while wanted is None or got < wanted:
            data = self._receive("truncated", f"after {got} of {wanted} bytes")
            if not data:
                if wanted is None:
                    break
                raise Lost("truncated", f"close_notify after {got} of {wanted} bytes", self.local_port)
            digest.update(data)
            got += len(data)
            if rate:
                time.sleep(max(0.0, begun + got / rate - time.monotonic()))
        return got, digest.hexdigest()

    def _receive(self, kind: str, what: str) -> bytes:
        """b"" at an orderly end (close_notify); Lost otherwise, as `kind` when it is an end without one."""
        try:
            while True:
                try:
                    return self._tls.read(RECEIVE)
                except ssl.SSLWantReadError:
                    self._fill()
        except OSError as error:
            raise self._lost(error, kind, what) from error

    def _lost(self, error: OSError, ended: str, what: str) -> Lost:
        """`ended`: the kind of loss if the peer just went away."""
        if isinstance(error, TimeoutError):
            kind = "timeout"
        elif isinstance(error, ConnectionRefusedError):
            kind = "refused"
        elif isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
            kind = ended
        elif isinstance(error, ssl.SSLError):
            kind = "tls"
        elif isinstance(error, ConnectionResetError | BrokenPipeError | ConnectionAbortedError):
            kind = "reset"
        else:
            kind = "tls" if not self.local_port else ended
        return Lost(kind, f"{what}: {error!r}", self.local_port)
