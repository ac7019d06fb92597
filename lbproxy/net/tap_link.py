"""A worker's line to the process that sends its taps' conversations on (master/tap/taps.py); nobody waits for that process.

Small conversations are collected for a moment and told together: each message wakes a process that has to have a core for it, at
once where there is only one, and that costs many times what it does then (one at a time: 92 us a request beside 35 for the request
itself). What fits into the socket then is there at once. What does not waits for a thread, bounded in bytes (net/tap_thread.py).
"""

from __future__ import annotations

import select
import socket
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from lbproxy.net.tap_thread import TapThread
from lbproxy.observe.tapped import LARGEST, PART, Tapped, messages, only_message, together

SMALL = LARGEST - 2560
"""Bytes of a conversation that is one message for sure."""
MOMENT = 0.02
"""Seconds for which small ones are collected."""
Alarm = Callable[[float, Callable[[], None]], object]
"""Calls something, from where conversations are taken, in so many seconds."""


class _Said(NamedTuple):
    messages: Iterable[bytes]
    conversations: int


class TapLink:
    """From now on the socket, which does not block, is its own."""

    __slots__ = ("_alarm", "_collected", "_due", "_lost", "_size", "_socket", "_thread")

    def __init__(self, sock: socket.socket, room: int, lost: Callable[[], None], alarm: Alarm) -> None:
        """`room`: bytes of what waits; `lost`: told of each conversation that nobody will ever get, from any thread."""
        self._socket = sock
        self._lost = lost
        self._alarm = alarm
        self._thread = TapThread[_Said](self._tell, room)
        self._collected: list[bytes] = []
        self._size = 1
        """Of what is collected, as one message."""
        self._due: object = None
        """The alarm, as long as it is to ring."""

    def take(self, name: str, tapped: Tapped) -> bool:
        """For the tap with that name. False: too much waits, and it is dropped."""
        size = len(tapped.request) + len(tapped.answer)
        if size > SMALL or not self._thread.idle:  # behind what waits comes what came later
            self.flush()
            return self._thread.take(tapped.size, _Said(messages(name, tapped), 1))
        message = only_message(name, tapped)
        if self._size + PART + len(message) > LARGEST:
            self.flush()
        if self._due is None:
            self._due = self._alarm(MOMENT, self._ring)
        self._collected.append(message)
        self._size += PART + len(message)
        return True

    def _ring(self) -> None:
        self._due = None
        self.flush()

    def flush(self) -> None:
        """Tell what is collected now."""
        collected, size = self._collected, self._size
        if not collected:
            return
        self._collected, self._size = [], 1
        message = together(collected) if len(collected) > 1 else collected[0]
        said = _Said((message,), len(collected))
        if self._thread.idle:
            try:
                self._socket.send(message)
            except BlockingIOError:
                pass
            except OSError:
                self._lose(said)
                return
            else:
                return
        if not self._thread.take(size, said):
            self._lose(said)

    def settle(self, until: float) -> None:
        """See TapThread."""
        self.flush()
        self._thread.settle(until)

    def _lose(self, said: _Said) -> None:
        for _ in range(said.conversations):
            self._lost()

    def _tell(self, waiting: Sequence[_Said]) -> None:
        for said in waiting:
            try:
                for message in said.messages:
                    self._send(message)
            except OSError:  # nobody is there any more
                self._lose(said)

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
