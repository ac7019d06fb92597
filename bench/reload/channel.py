"""TLS over a socket of ours, for clients that never try anything twice: whatever goes wrong is said, and nothing is papered over.

A library would not do: each of them retries somewhere, at least on a kept connection that turns out to be closed. Nor would
ssl.SSLSocket: in Python 3.11 it tells a TCP reset as an end of file. So TLS runs over memory here, and the socket is ours.
"""

from __future__ import annotations

import select
import socket
import ssl

from bench.reload.job import Job
from bench.reload.outcome import Lost

PATIENCE = 20.0
"""Seconds without a byte before a request counts as lost."""
RECEIVE = 64 * 1024
SMALL_WINDOW = 128 * 1024
"""Receive buffer of a slow reader: else the kernel would take megabytes off the proxy at once, which was done then."""


class Channel:
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
