"""A worker's line to the process that sends its taps' conversations on (master/tap/taps.py); nobody waits for that process.

What fits into the socket is there at once. What does not waits for a thread, bounded in bytes; a conversation that finds no room is
dropped as a whole.
"""

from __future__ import annotations

import queue
import select
import socket
import threading
from collections import deque
from collections.abc import Callable

from lbproxy.observe.tapped import LARGEST, Tapped, messages

SMALL = LARGEST - 2048
"""Bytes of a conversation that is one message for sure."""
_LOOK = 1.0


class TapLink:
    """From now on the socket, which does not block, is its own."""

    def __init__(self, sock: socket.socket, room: int, lost: Callable[[], None]) -> None:
        """`room`: bytes of what waits; `lost`: told of each conversation that nobody will ever get, from the thread."""
        self._socket = sock
        self._room = room
        self._lost = lost
        self._waiting: deque[tuple[str, Tapped]] = deque()
        self._bell: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._taken = self._done = 0
        self._thread = threading.Thread(target=self._run, name="tap", daemon=True)
        self._thread.start()

    def take(self, name: str, tapped: Tapped) -> bool:
        """For the tap with that name. False: too much waits, or nobody is there, and it is dropped."""
        size = tapped.size
        if self._taken == self._done and size <= SMALL:  # behind what waits comes what came later
            try:
                self._socket.send(next(messages(name, tapped)))
            except BlockingIOError:
                pass
            except OSError:
                return False
            else:
                return True
        if self._taken - self._done + size > self._room:
            return False
        self._taken += size
        self._waiting.append((name, tapped))
        if len(self._waiting) == 1:
            self._bell.put(None)
        return True

    def _run(self) -> None:
        while True:
            try:
                name, tapped = self._waiting.popleft()
            except IndexError:
                try:
                    self._bell.get(timeout=_LOOK)
                except queue.Empty:
                    pass
                continue
            try:
                for message in messages(name, tapped):
                    self._send(message)
            except OSError:
                self._lost()
            self._done += tapped.size

    def _send(self, message: bytes) -> None:
        """As long as it takes. Raises OSError: nobody is there any more."""
        while True:
            try:
                self._socket.send(message)
                return
            except BlockingIOError:
                room = select.poll()
                room.register(self._socket, select.POLLOUT)
                room.poll()
