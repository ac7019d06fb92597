"""Opening connections to backends."""

from __future__ import annotations

import errno
import os
import socket
import ssl
import time
from collections.abc import Mapping

import gevent

from lbproxy.config.model import UNIX
from lbproxy.config.vocabulary import SPOKEN
from lbproxy.errors import ConnectionLost, HandshakeFailed, StreamError, TimedOut, UpstreamError
from lbproxy.net.deadlines import Deadlines
from lbproxy.net.tcp_stream import TcpStream
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


class BackendDialer:
    """Opens connections to backends over TCP, TLS and Unix sockets (streams.Dialer). `contexts`: by pool name, for pools that
    re-encrypt, with the server name to verify (None: the host's)."""

    def __init__(
        self,
        deadlines: Deadlines,
        contexts: Mapping[str, tuple[ssl.SSLContext, str | None]],
    ) -> None:
        self._deadlines = deadlines
        self._contexts = contexts

    def dial(self, ip: str, port: int, pool: str, host: str, patience: float, http_1: bool = False) -> TcpStream:
        """See Dialer."""
        try:
            sock, waiting = _connect_unix(ip, patience) if ip.startswith(UNIX) else _begin_tcp(ip, port)
        except OSError as error:
            raise _failed(error.errno or 0) from error
        try:
            stream = self._wrap(sock, pool, host, patience, http_1)
        except ValueError as error:  # a server name that OpenSSL refuses, e.g. one with a leading dot
            sock.close()
            raise UpstreamError(502, "tls_failure", f"TLS to the backend: {error}", nothing_sent=True) from error
        try:
            self._establish(stream, patience, waiting=waiting)
        except BaseException:
            stream.abort()  # also when our own client went away meanwhile
            raise
        return stream

    def _wrap(self, sock: socket.socket, pool: str, host: str, patience: float, http_1: bool) -> TcpStream:
        entry = self._contexts.get(pool)
        if entry is None:
            return TcpStream(sock, self._deadlines, patience)
        context, server_name = entry
        name = (server_name or host).removesuffix(".")
        if not http_1:
            return TlsStream(sock, self._deadlines, patience, context, name)
        context.set_alpn_protocols(SPOKEN["http/1.1"])  # a connection takes what it offers from its context as it is made
        try:
            return TlsStream(sock, self._deadlines, patience, context, name)
        finally:
            context.set_alpn_protocols(SPOKEN["auto"])

    def _establish(self, stream: TcpStream, patience: float, *, waiting: bool) -> None:
        deadline = time.monotonic() + patience
        try:
            if waiting:
                code = stream.wait_connected()
                if code:
                    raise _failed(code)
            if isinstance(stream, TlsStream):
                stream.deadline = deadline
                stream.handshake()
        except TimedOut as error:
            raise UpstreamError(504, "connect_timeout", "the backend did not answer in time", nothing_sent=True) from error
        except HandshakeFailed as error:
            raise UpstreamError(502, "tls_failure", f"TLS to the backend: {error.reason}", nothing_sent=True) from error
        except ConnectionLost as error:
            raise UpstreamError(502, "connection_reset", str(error), nothing_sent=True) from error
        except StreamError as error:
            raise UpstreamError(502, "connect_failed", str(error), nothing_sent=True) from error
        stream.deadline = NEVER


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
