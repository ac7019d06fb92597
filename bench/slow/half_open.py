"""The crowd that stops in the middle of its handshake: `python -m bench.slow.half_open PORT`, until it is ended.

Half a hello each, and a byte more of it a second. Whoever is cut comes again, so that there are always as many.
"""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Callable

from bench.attacks.shapes import hellos

CROWD = 500
A_SECOND = 300
STEP = 0.05


class _Half:
    """One of them."""

    def __init__(self, port: int, hello: bytes) -> None:
        self._sock = socket.create_connection(("127.0.0.1", port), 5)
        self._hello = hello
        self._sent = len(hello) // 2
        self._sock.sendall(hello[: self._sent])
        self._sock.setblocking(False)

    def trickle(self) -> bool:
        """Another byte, but never the last; False: it was cut, and is closed."""
        try:
            if self._sent < len(self._hello) - 1:
                self._sent += self._sock.send(self._hello[self._sent : self._sent + 1])
            if self._sock.recv(100):
                return True
        except BlockingIOError:
            return True
        except OSError:
            pass
        self.close()
        return False

    def close(self) -> None:
        """Gone."""
        self._sock.close()


def crowd(port: int, goes_on: Callable[[], bool], every: float = 1.0) -> int:
    """Lead it for as long as that says so; how many came. `every`: seconds from one byte to the next."""
    hello, standing, came, trickled = hellos(), list[_Half](), 0, 0.0
    while goes_on():
        for _ in range(min(CROWD - len(standing), int(A_SECOND * STEP))):
            standing.append(_Half(port, hello))
            came += 1
        if (now := time.monotonic()) - trickled >= every:
            trickled = now
            standing = [each for each in standing if each.trickle()]
        time.sleep(STEP)
    for each in standing:
        each.close()
    return came


if __name__ == "__main__":
    crowd(int(sys.argv[1]), lambda: True)
