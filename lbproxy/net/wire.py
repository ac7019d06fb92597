"""The few calls to the kernel, and the choice of a TLS engine, that a stream is made of: as plain Python.

wire.pyx is the same in C's terms and takes this file's place where it was compiled: a read or a write there gives and takes bytes
without the interpreter lock, method look-ups and buffers of the largest size around it, which were two thirds of its cost.
Descriptors are bare numbers and must be non-blocking; they belong to the caller's socket.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import socket
import ssl
import sys
import time

from lbproxy.net.tls_engine import TlsEngine
from lbproxy.streams import LOCAL, Buffer

SIOCOUTQNSD = 0x894B  # linux/sockios.h
_connect = ctypes.CDLL(None).connect
NATIVE = False
"""This is wire.pyx."""
_NOT_NOW = (errno.EAGAIN, errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS)
LEAST = 0
"""Bytes that a stream asks for at least. wire.pyx reads into a buffer that is always there: more at once costs nothing there."""


def receive(fd: int, limit: int) -> bytes | None:
    """What has come, `limit` bytes at most; b"" at the end, None when nothing has. Raises OSError."""
    try:
        return os.read(fd, limit)
    except BlockingIOError:
        return None


def send(fd: int, data: Buffer) -> int:
    """How many bytes the kernel took; 0 when it has no room. Raises OSError."""
    try:
        return os.write(fd, data)
    except BlockingIOError:
        return 0


def send_both(fd: int, head: bytes, data: bytes) -> int:
    """The same of one behind the other."""
    try:
        return os.writev(fd, (head, data))
    except BlockingIOError:
        return 0


def read_now(fd: int, size: int, at: int) -> bytes | None:
    """So many bytes of a file, from `at` on, if the kernel has them in memory; None: somebody has to wait for them, or there are
    fewer. Raises OSError."""
    buffer = bytearray(size)
    try:
        return bytes(buffer) if os.preadv(fd, (buffer,), at, os.RWF_NOWAIT) == size else None
    except OSError as error:
        if error.errno in _NOT_NOW:
            return None
        raise


def unsent(fd: int) -> int:
    """Bytes that the kernel has taken and not put on its way yet; 0 where that cannot be told."""
    try:
        return int.from_bytes(fcntl.ioctl(fd, SIOCOUTQNSD, bytes(4)), sys.byteorder)
    except OSError:
        return 0


def monotonic() -> float:
    """Seconds of a clock that only goes forward, the one of time.monotonic."""
    return time.monotonic()


def accept(listening: socket.socket) -> tuple[socket.socket, str]:
    """The next connection, non-blocking, and the address of its peer as text (LOCAL on a Unix socket). Raises OSError."""
    sock, address = listening.accept()
    fcntl.fcntl(sock, fcntl.F_SETFL, os.O_NONBLOCK)  # setblocking asks by FIONBIO, which workers may not (sandbox/filter.py)
    return sock, LOCAL if sock.family == socket.AF_UNIX else address[0]


def reset(fd: int) -> None:
    """End a connection for its peer as broken off (RFC 9293 3.10.5), at once: what was not sent is forgotten. It is the caller's to
    close. By a connect to nowhere, as connect(2) has it: SO_LINGER would do as well, but workers may not ask for that, which on a
    listener would be everybody's."""
    _connect(fd, bytes(16), 16)


def ticket_slot(slot: int, keys: bytes) -> int:
    """Set the keys of a slot, 80 bytes each (name, key of the MAC, key of the cipher), and get the address of a function in C by
    which OpenSSL asks for them (SSL_CTX_set_tlsext_ticket_key_evp_cb); 0: there is none in this form, or for this slot."""
    return 0


def alpn_choice(wanted: bytes) -> tuple[int, int]:
    """For protocols as they stand in a hello, best first: the address of a function in C by which OpenSSL chooses among them, and
    refuses a client that offers none (SSL_CTX_set_alpn_select_cb), and of what it is to be given; zeros: there is none."""
    return 0, 0


def make_engine(context: ssl.SSLContext, server_name: str | None) -> TlsEngine:
    """See Engine."""
    return TlsEngine(context, server_name)
