"""Files that are written with what is tapped: packets of conversations, each as a whole or not at all, by a thread (tap_thread.py).

A disk that stalls holds up this thread alone. The files are a ring, open since the process began, which may open none; the next is
emptied when one is full.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress

from lbproxy.net.tap_thread import TapThread
from lbproxy.observe.packets import Conversations, records
from lbproxy.observe.pcap import PCAP_HEAD
from lbproxy.observe.tapped import Tapped


class CaptureFiles:
    """One tap's, in one worker; owns the descriptors from now on."""

    def __init__(self, fds: Sequence[int], most: int, room: int, lost: Callable[[], None]) -> None:
        """`fds`: the ring, the one that is to be written first in front; `most`: bytes of a file; `room`: of what waits; `lost`:
        told of each conversation that a file did not take, from the thread."""
        self._fds = deque(fds)
        self._most = most
        self._made = Conversations(os.urandom)
        self._written = -1
        self._lost = lost
        self._thread = TapThread(self._write, room)

    def take(self, tapped: Tapped) -> bool:
        """False: too much waits, and it is dropped."""
        return self._thread.take(tapped.size, tapped)

    def settle(self, until: float) -> None:
        """See TapThread."""
        self._thread.settle(until)

    def _write(self, several: Sequence[Tapped]) -> None:
        """Those that fit into one file go in one write."""
        waiting: list[bytes] = []
        size = 0
        for tapped in several:
            try:
                data = records(self._made.packets(tapped), tapped.ended)
            except ValueError:  # an address that is none
                self._lost()
                continue
            if waiting and max(self._written, len(PCAP_HEAD)) + size + len(data) > self._most:
                self._put(waiting, size)
                waiting, size = [], 0
            waiting.append(data)
            size += len(data)
        if waiting:
            self._put(waiting, size)

    def _put(self, conversations: list[bytes], size: int) -> None:
        """Whole, or not at all."""
        data, at = b"".join(conversations), 0
        try:
            if self._written < 0 or self._written + size > self._most:
                self._begin_file()
            while at < size:
                at += os.pwrite(self._fds[0], data[at:], self._written + at)
        except OSError:  # a full disk
            for _ in conversations:
                self._lost()
            if at:
                with suppress(OSError):
                    os.ftruncate(self._fds[0], self._written)
            return
        self._written += size

    def _begin_file(self) -> None:
        if self._written >= 0:
            self._fds.rotate(-1)
        os.ftruncate(self._fds[0], 0)
        os.pwrite(self._fds[0], PCAP_HEAD, 0)
        self._written = len(PCAP_HEAD)


def wall_clock() -> float:
    """When a conversation ended, for its packets."""
    return time.time()
