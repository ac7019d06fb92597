"""Connecting to a Unix socket without blocking.

TCP queues a connection that the other side has no room for and says later how it went. A Unix socket answers at once: connected,
refused, or EAGAIN when the queue of the listener is full, and nothing tells when it has room (unix(7): such a socket polls as
writable). So whoever connects asks again after a moment, until its time is up: what people see as a slow connect elsewhere is one
here, too, and no 502 under a burst.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable

from lbproxy.config.model import UNIX

FULL_PAUSE = 0.005
"""Seconds between two tries while the queue is full."""


def connect_unix(address: str, patience: float, sleep: Callable[[float], object]) -> socket.socket:
    """A connected, non-blocking socket. `address`: UNIX and the path; `patience`: seconds, about, to ask again in while the queue
    is full, FULL_PAUSE apart.

    Raises OSError: TimeoutError when the queue stayed full, as if a connect had taken too long.
    """
    path = address[len(UNIX) :]
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        for _ in range(int(patience / FULL_PAUSE) + 1):
            code = sock.connect_ex(path)
            if code == 0:
                return sock
            if code != errno.EAGAIN:
                raise OSError(code, os.strerror(code))
            sleep(FULL_PAUSE)
        raise TimeoutError(errno.ETIMEDOUT, "the queue of the socket stays full")
    except BaseException:
        sock.close()
        raise
