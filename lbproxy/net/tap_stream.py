"""One reader of a tap's packets: a pipe, or a connection, on which a capture file goes on for ever.

It begins with the head of such a file. A record is never torn: what has begun is finished before the next, and a conversation that
finds no room among what waits is left out as a whole. Whoever sleeps costs memory up to that room, and nobody waits.
"""

from __future__ import annotations

import os
from collections import deque

from lbproxy.observe.pcap import PCAP_HEAD

TURN = 1024 * 1024
"""Bytes written until others have their turn."""


class TapStream:
    """Owns the descriptor, which does not block; `close` it."""

    def __init__(self, fd: int, room: int) -> None:
        """`room`: bytes of what waits."""
        self.fd = fd
        self._room = room
        self._waiting: deque[memoryview] = deque((memoryview(PCAP_HEAD),))
        self._held = len(PCAP_HEAD)

    @property
    def waiting(self) -> bool:
        """Something is to be written as soon as there is room."""
        return bool(self._waiting)

    def fits(self, size: int) -> bool:
        """So many bytes more may wait."""
        return self._held + size <= self._room

    def take(self, records: bytes) -> bool:
        """A whole conversation's. False: it is left out."""
        if not self.fits(len(records)):
            return False
        self._waiting.append(memoryview(records))
        self._held += len(records)
        return True

    def write(self) -> None:
        """As much as there is room for now. Raises OSError: the reader is gone."""
        left = TURN
        while self._waiting and left > 0:
            part = self._waiting[0]
            try:
                done = os.write(self.fd, part[:left])
            except BlockingIOError:
                return
            left -= done
            self._held -= done
            if done < len(part):
                self._waiting[0] = part[done:]
            else:
                self._waiting.popleft()

    def close(self) -> None:
        """What waits is gone with it."""
        self._waiting.clear()
        self._held = 0
        os.close(self.fd)
