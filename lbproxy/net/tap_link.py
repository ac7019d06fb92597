"""A worker's line to the process that sends its taps' conversations on (master/tap/taps.py); nobody waits for that process.

What fits into the socket is there at once. What does not waits for a thread, bounded in bytes
(net/tap_thread.py).
"""

from __future__ import annotations

import select
import socket
from collections.abc import Callable

from lbproxy.net.tap_thread import TapThread
from lbproxy.observe.tapped import LARGEST, Tapped, messages

SMALL = LARGEST - 2048
"""Bytes of a conversation that is one message for sure."""


class TapLink:
    """From now on the socket, which does not block, is its own."""

    def __init__(self, sock: socket.socket, room: int, lost: Callable[[], None]) -> None:
        """`room`: bytes of what waits; `lost`: told of each conversation that nobody will ever get, from the thread."""
        self._socket = sock
        self._thread = TapThread[tuple[str, Tapped]](self._tell, room, lost)

    def take(self, name: str, tapped: Tapped) -> bool:
        """For the tap with that name. False: too much waits, or nobody is there, and it is dropped."""
        if self._thread.idle and tapped.size <= SMALL:  # behind what waits comes what came later
            try:
                self._socket.send(next(messages(name, tapped)))
            except BlockingIOError:
                pass
            except OSError:
                return False
            else:
                return True
        return self._thread.take(tapped.size, (name, tapped))

    def _tell(self, one: tuple[str, Tapped]) -> None:
        for message in messages(*one):
            self._send(message)

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
