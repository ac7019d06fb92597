"""A stream whose first bytes decide who goes on with its connection, as behind a PROXY header TLS does."""

from __future__ import annotations

import socket

from lbproxy.net.tcp_stream import TcpStream


class FirstStream(TcpStream):
    """A TCP stream that can give its socket back, for whoever makes another kind of stream of it."""

    __slots__ = ()

    def hand_over(self) -> socket.socket:
        """The socket, as it is; what was read of it is the caller's. From the greenlet that has read, which waits for nothing here.
        The stream itself is as good as closed."""
        self.closed = True
        self.owner = None
        self._deadlines.streams.discard(self)
        self._watcher.stop()
        self._watcher.close()
        if self._write_watcher is not None:
            self._write_watcher.stop()
            self._write_watcher.close()
        self._fd = -1
        return self._sock
