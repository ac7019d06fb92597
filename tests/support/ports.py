"""Free ports that two tests never get at the same time.

A port that the kernel picks for us may be picked again, by anybody's outgoing connection, between closing it and the server's bind.
So ports come from below the ephemeral range, and each is reserved over all test processes of this machine by a locked file that is
held until the process ends.
"""

from __future__ import annotations

import fcntl
import os
import random
import socket
import tempfile
from pathlib import Path

FIRST, LAST = 15_000, 32_000  # ephemeral ports start at 32768

_held: list[int] = []


def _reserve(port: int) -> bool:
    folder = Path(tempfile.gettempdir()) / f"lbproxy-test-ports-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    lock = os.open(folder / str(port), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return False
    _held.append(lock)
    return True


def _bindable(port: int) -> bool:
    for family, host in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
        with socket.socket(family) as probe:
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                return False
    return True


def free_port() -> int:
    """A TCP port that nobody is bound to, reserved for this process until it ends."""
    for _ in range(1000):
        port = random.randrange(FIRST, LAST)
        if _reserve(port) and _bindable(port):
            return port
    raise RuntimeError(f"no free port between {FIRST} and {LAST}")
