"""Files that are written with what is tapped: packets of conversations, each as a whole or not at all, by a thread (tap_thread.py).

A disk that stalls holds up this thread alone. The files are a ring, open since the process began, which may open none; the next is
emptied when one is full.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Sequence

from lbproxy.net.tap_thread import TapThread
from lbproxy.observe.packets import Conversations, records
from lbproxy.observe.tapped import PCAP_HEAD, Tapped


class CaptureFiles:
    """One tap's, in one worker; owns the descriptors from now on."""

    def __init__(self, fds: Sequence[int], most: int, room: int, lost: Callable[[], None]) -> None:
        """`fds`: the ring, the one that is to be written first in front; `most`: bytes of a file; `room`: of what waits; `lost`:
        told of each conversation that a file did not take, from the thread."""
        self._fds = deque(fds)
        self._most = most
        self._made = Conversations(os.urandom)
        self._written = -1
        self._thread = TapThread(self._write, room, lost)

    def take(self, tapped: Tapped) -> bool:
        """False: too much waits, and it is dropped."""
        return self._thread.take(tapped.size, tapped)

    def _write(self, tapped: Tapped) -> None:
        """Raises OSError, and ValueError for an address that is none; nothing of it is in the file then."""
        data = records(self._made.packets(tapped), tapped.ended)
        if self._written < 0 or self._written + len(data) > self._most:
            self._begin_file()
        fd, at = self._fds[0], 0
        try:
            while at < len(data):
                at += os.pwrite(fd, data[at:], self._written + at)
        except OSError:
            os.ftruncate(fd, self._written)
            raise
        self._written += len(data)

    def _begin_file(self) -> None:
        if self._written >= 0:
            self._fds.rotate(-1)
        os.ftruncate(self._fds[0], 0)
        os.pwrite(self._fds[0], PCAP_HEAD, 0)
        self._written = len(PCAP_HEAD)


def wall_clock() -> float:
    """When a conversation ended, for its packets."""
    return time.time()
