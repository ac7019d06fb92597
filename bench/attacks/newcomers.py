"""Somebody who comes, asks for something small, and goes: what each waits, from the first packet to the last byte."""

from __future__ import annotations

import socket
import time
from typing import NamedTuple

PATIENCE = 8.0
"""Seconds after which nobody waits any more; it counts as so many."""
PACE = 0.02
"""Seconds from one newcomer to the next, if the first is served by then."""
REQUEST = b"GET /tiny HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


class Waits(NamedTuple):
    """Of some newcomers."""

    seconds: list[float]
    lost: int
    """Who got no answer, or a wrong one."""

    def milliseconds(self, share: float) -> float:
        """The wait that this share of them had at most."""
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1000


def visit(port: int) -> bool:
    """Whether he got what he came for. Raises OSError."""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as sock:
        sock.sendall(REQUEST)
        answer = b""
        until = time.monotonic() + PATIENCE
        while data := sock.recv(4096):
            answer += data
            if time.monotonic() > until:
                raise TimeoutError
    return answer.startswith(b"HTTP/1.1 200 ")


def newcomers(port: int, seconds: float) -> Waits:
    """One after the other, for about so long; one at least."""
    waits, lost = [], 0
    begun = time.monotonic()
    until = begun + seconds
    while begun < until:
        try:
            lost += not visit(port)
            waits.append(time.monotonic() - begun)
        except OSError:
            lost += 1
            waits.append(PATIENCE)
        time.sleep(max(0.0, begun + PACE - time.monotonic()))
        begun = time.monotonic()
    return Waits(waits, lost)
