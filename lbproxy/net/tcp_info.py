"""TCP_INFO, the kernel's word on a TCP connection's progress: how much the peer's kernel has acknowledged, and how much it has
not."""

from __future__ import annotations

import fcntl
import select
import socket
import sys
import termios

_BYTES_ACKED = 120
"""Where tcpi_bytes_acked (Linux 4.1) stands in struct tcp_info, which only ever grew at its end."""


def acknowledged(sock: socket.socket) -> int:
    """How many bytes the peer's kernel has acknowledged, the SYN counted as one; 0 where that cannot be told."""
    try:
        told = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _BYTES_ACKED + 8)
    except OSError:
        return 0
    return int.from_bytes(told[_BYTES_ACKED:], sys.byteorder)


def unacknowledged(sock: socket.socket) -> int:
    """Bytes that the peer's kernel has not taken yet; 0 where that cannot be told."""
    try:
        return int.from_bytes(fcntl.ioctl(sock, termios.TIOCOUTQ, bytes(4)), sys.byteorder)
    except OSError:
        return 0


def readable(fd: int) -> bool:
    """Whether a read of that descriptor would not wait."""
    look = select.poll()
    look.register(fd, select.POLLIN)
    return bool(look.poll(0))
