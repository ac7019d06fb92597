"""Opening connections to backends."""

from __future__ import annotations

import errno
import os
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import gevent

from lbproxy.config.model import UNIX
from lbproxy.config.vocabulary import SPOKEN
from lbproxy.errors import ConnectionLost, HandshakeFailed, StreamError, TimedOut, UpstreamError
from lbproxy.net.deadlines import Deadlines
from lbproxy.net.tcp_stream import TcpStream
from lbproxy.net.tls_failures import WRONG_PIN, TlsFailure, tls_failure
from lbproxy.net.tls_stream import TlsStream
from lbproxy.net.unix_socket import connect_unix
from lbproxy.streams import NEVER

# What a failed connect means to whoever reads the access log; anything else is "connect_failed".
_REASONS = {
    errno.ECONNREFUSED: "connection_refused",
    errno.ECONNRESET: "connection_reset",
    errno.ETIMEDOUT: "connect_timeout",
    errno.EHOSTUNREACH: "host_unreachable",
    errno.ENETUNREACH: "network_unreachable",
    errno.EMFILE: "out_of_descriptors",
    errno.ENFILE: "out_of_descriptors",
    errno.EADDRNOTAVAIL: "out_of_local_ports",
    errno.ENOENT: "no_such_socket",  # a Unix socket's file
    errno.EACCES: "permission_denied",  # to it
}


class Encryption(Protocol):
    """How one pool's backends are spoken to over TLS (tls/backend_tls.py)."""

    context: ssl.SSLContext

    def name(self, host: str, /) -> str: ...
    def begin(self, tls: Any, place: str, /) -> None: ...
    def judge(self, tls: Any, place: str, /) -> None: ...


class BackendDialer:
    """Opens connections to backends over TCP, TLS and Unix sockets (streams.Dialer)."""

    def __init__(
        self,
        deadlines: Deadlines,
        encryptions: Mapping[str, Encryption],
        on_refused: Callable[[str, TlsFailure], object] = lambda place, failure: None,
    ) -> None:
        """`encryptions`: by name, of pools that re-encrypt; `on_refused`: told of a backend with which no TLS comes
        about, and why."""
        self._deadlines = deadlines
        self._encryptions = encryptions
        self._on_refused = on_refused

    def dial(
        self, ip: str, port: int, pool: str, host: str, patience: float, http_1: bool = False, introduction: bytes = b""
    ) -> TcpStream:
        """See Dialer."""
        try:
            sock, waiting = _connect_unix(ip, patience) if ip.startswith(UNIX) else _begin_tcp(ip, port)
        except OSError as error:
            raise _failed(error.errno or 0) from error
        encryption = self._encryptions.get(pool)
        if encryption is None:
            stream = TcpStream(sock, self._deadlines, patience)
            self._establish(stream, patience, introduction, waiting=waiting)
            return stream
        name = encryption.name(host)
        place = f"{ip} {port} {name}"
        try:
            tls = self._begin_tls(sock, encryption, place, name, patience, http_1)
        except ValueError as error:  # a server name that OpenSSL refuses, e.g. one with a leading dot
            sock.close()
            raise self._refused(ip, port, TlsFailure("tls_failure", str(error))) from error
        try:
            self._establish(tls, patience, introduction, waiting=waiting)
            encryption.judge(tls.session_object(), place)
        except HandshakeFailed as error:
            tls.abort()
            raise self._refused(ip, port, _why(error, tls)) from error
        except ValueError as error:
            tls.abort()
            raise self._refused(ip, port, WRONG_PIN) from error
        return tls

    def _begin_tls(
        self, sock: socket.socket, encryption: Encryption, place: str, name: str, patience: float, http_1: bool
    ) -> TlsStream:
        context = encryption.context
        if http_1:
            context.set_alpn_protocols(SPOKEN["http/1.1"])  # a connection takes what it offers from its context as it is made
        try:
            stream = TlsStream(sock, self._deadlines, patience, context, name)
        finally:
            if http_1:
                context.set_alpn_protocols(SPOKEN["auto"])
        try:
            encryption.begin(stream.session_object(), place)
        except ValueError:
            stream.abort()
            raise
        return stream

    def _refused(self, ip: str, port: int, failure: TlsFailure) -> UpstreamError:
        self._on_refused(f"[{ip}]:{port}" if ":" in ip and not ip.startswith(UNIX) else f"{ip}:{port}" if port else ip, failure)
        return UpstreamError(502, failure.reason, f"TLS to the backend: {failure.words}", nothing_sent=True)

    def _establish(self, stream: TcpStream, patience: float, introduction: bytes, *, waiting: bool) -> None:
        """Up to where a request may be sent. Raises UpstreamError, HandshakeFailed; the stream is ended then."""
        deadline = time.monotonic() + patience
        try:
            if waiting:
                code = stream.wait_connected()
                if code:
                    raise _failed(code)
            if introduction:  # in front of TLS, and not in it
                TcpStream.write(stream, introduction)
            if isinstance(stream, TlsStream):
                stream.deadline = deadline
                stream.handshake()
        except BaseException as error:
            stream.abort()  # also when our own client went away meanwhile
            if isinstance(error, StreamError) and not isinstance(error, HandshakeFailed):
                raise _translated(error) from error
            raise
        stream.deadline = NEVER


def _translated(error: StreamError) -> UpstreamError:
    if isinstance(error, TimedOut):
        return UpstreamError(504, "connect_timeout", "the backend did not answer in time", nothing_sent=True)
    reason = "connection_reset" if isinstance(error, ConnectionLost) else "connect_failed"
    return UpstreamError(502, reason, str(error), nothing_sent=True)


def _why(error: HandshakeFailed, stream: TlsStream) -> TlsFailure:
    cause = error.__cause__
    if isinstance(cause, ssl.SSLError):
        return tls_failure(cause, chosen=bool(stream.cipher()))
    return TlsFailure("tls_failure", error.reason)


def _connect_unix(ip: str, patience: float) -> tuple[socket.socket, bool]:
    return connect_unix(ip, patience, gevent.sleep), False


def _begin_tcp(ip: str, port: int) -> tuple[socket.socket, bool]:
    """A socket, and whether the connect is still under way. Raises OSError."""
    sock = socket.socket(socket.AF_INET6 if ":" in ip else socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        code = sock.connect_ex((ip, port))
        if code not in (0, errno.EINPROGRESS):
            raise OSError(code, os.strerror(code))
    except BaseException:
        sock.close()
        raise
    return sock, code != 0


def _failed(code: int) -> UpstreamError:
    reason = _REASONS.get(code, "connect_failed")
    status = 504 if reason == "connect_timeout" else 502
    return UpstreamError(status, reason, f"connect: {errno.errorcode.get(code, str(code))}", nothing_sent=True)
