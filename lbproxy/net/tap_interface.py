"""A network interface that a tap's packets go out of, as frames.

The socket was opened by who may (master/system/tap_openings.py). Frames wait while the interface takes no more; a conversation that
finds no room among them is left out as a whole, and so is what an interface that is down, or gone, does not take.
"""

from __future__ import annotations

import errno
import socket
from collections import deque
from collections.abc import Sequence

TURN = 256
"""Frames sent until others have their turn."""
_FULL = frozenset({errno.EAGAIN, errno.ENOBUFS})
"""The interface's queue, or ours to it."""
_UNUSABLE = frozenset({errno.ENXIO, errno.ENODEV, errno.EMSGSIZE, errno.EBADF})
"""It is gone, and if it is there again, as another; or its MTU is smaller than it was: a new socket is wanted. One that is down is
up again by itself."""


class TapInterface:
    """Owns the socket, which does not block; `close` it."""

    def __init__(self, sock: socket.socket, mtu: int, room: int) -> None:
        """`room`: bytes of what waits."""
        self._socket = sock
        self.mtu = mtu
        self._room = room
        self._waiting: deque[tuple[bytes, bool]] = deque()
        """Frames, and whether a conversation ends with each."""
        self._held = 0
        self.written = self.lost = 0
        """Conversations that went out, and that went nowhere."""
        self._failed = False
        """A frame of the conversation that is under way was not taken."""
        self.usable = True

    @property
    def waiting(self) -> bool:
        """Frames are to be sent as soon as there is room."""
        return bool(self._waiting)

    def take(self, frames: Sequence[bytes]) -> bool:
        """A whole conversation's. False: it is left out."""
        size = sum(map(len, frames))
        if self._held + size > self._room:
            return False
        last = len(frames) - 1
        self._waiting += [(frame, number == last) for number, frame in enumerate(frames)]
        self._held += size
        return True

    def write(self) -> None:
        """As much as there is room for now."""
        for _ in range(TURN):
            if not self._waiting:
                return
            frame, last = self._waiting[0]
            if not self._failed:
                try:
                    self._socket.send(frame)
                except OSError as error:
                    if error.errno in _FULL:
                        return
                    self._failed = True
                    self.usable = self.usable and error.errno not in _UNUSABLE
            self._waiting.popleft()
            self._held -= len(frame)
            if last:
                self.written += not self._failed
                self.lost += self._failed
                self._failed = False

    def close(self) -> None:
        """What waits is lost with it."""
        self.lost += sum(last for _, last in self._waiting)
        self._waiting.clear()
        self._held = 0
        self._socket.close()
