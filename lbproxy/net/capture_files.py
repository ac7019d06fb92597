"""The thread that writes what is tapped: it makes packets of conversations and puts them into files, each as a whole or not at all.

A disk that stalls holds up this thread alone. What waits for it is bounded in bytes; a conversation that finds no room is dropped,
as a whole, and counted. The files are a ring, open since the process began, which may open none; the next is
emptied when one is full.
"""

from __future__ import annotations

import os
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

from lbproxy.observe.packets import PCAP_HEAD, Conversations, records
from lbproxy.observe.tapped import Tapped


class CaptureFiles:
    """One tap's, in one worker; owns the descriptors from now on."""

    def __init__(self, fds: Sequence[int], most: int, room: int, lost: Callable[[], None]) -> None:
        """`fds`: the ring, the one that is to be written first in front; `most`: bytes of a file; `room`: of what waits; `lost`:
        told of each conversation that a file did not take, from the thread."""
        self._fds = deque(fds)
        self._most = most
        self._room = room
        self._lost = lost
        self._waiting: deque[Tapped] = deque()
        self._bell: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._taken = self._done = 0
        self._made = Conversations(os.urandom)
        self._written = -1
        self._thread = threading.Thread(target=self._run, name="tap", daemon=True)
        self._thread.start()

    def take(self, tapped: Tapped) -> bool:
        """False: too much waits, and it is dropped."""
        if self._taken - self._done + tapped.size > self._room:
            return False
        self._taken += tapped.size
        self._waiting.append(tapped)
        if len(self._waiting) == 1:
            self._bell.put(None)
        return True

    def _run(self) -> None:
        while True:
            try:
                tapped = self._waiting.popleft()
            except IndexError:
                try:
                    self._bell.get(timeout=1.0)
                except queue.Empty:
                    pass
                continue
            try:
                self._write(tapped)
            except (OSError, ValueError):  # a full disk; an address that is none
                self._lost()
            self._done += tapped.size

    def _write(self, tapped: Tapped) -> None:
        """Raises OSError; nothing of it is in the file then."""
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
