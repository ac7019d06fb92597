"""A child's link to the master: what comes is handed to the child, what the child says is sent without waiting, lag is measured.

Workers and control differ in what they do about a message, not in how they hear it.
"""

from __future__ import annotations

import socket
from typing import Any, Protocol

from lbproxy.errors import FrameError, StreamError
from lbproxy.ipc.messages import HEARTBEAT_INTERVAL, Message
from lbproxy.ipc.pipe import ChildPipe
from lbproxy.ipc.uplink import Uplink

READ = 1  # libev's EV_READ


class LinkedChild(Protocol):
    """The child as its link knows it. Everything is called from the event loop, and must not wait."""

    def obey(self, message: Message) -> None:
        """The master said this."""

    def on_master_gone(self) -> None:
        """The pipe has ended, and with it the master; nothing more comes."""

    def on_malformed(self, error: FrameError) -> None:
        """What came is none of our messages; nothing more is read."""

    def on_lost(self, message: Message, error: StreamError) -> None:
        """A message to the master is lost, see Uplink."""


class MasterLink:
    """One child's end of the pipe, and its watchers on the event loop. `close` it."""

    def __init__(self, sock: socket.socket, loop: Any, child: LinkedChild, priority: int | None = None) -> None:
        """`loop`: gevent's; `priority`: of hearing the master, None for that of everything else."""
        self._pipe = ChildPipe(sock)
        self._child = child
        self._readable = loop.io(self._pipe.fileno(), READ, priority=priority)
        self._uplink = Uplink(self._pipe, loop, child.on_lost)
        self._beat_due = 0.0

    def start(self, now: float) -> None:
        """Hear the master from now on; the first heartbeat is due an interval later. `now`: monotonic seconds."""
        self._readable.start(self._on_readable)
        self._beat_due = now + HEARTBEAT_INTERVAL

    def send(self, message: Message) -> None:
        """Send, now or later."""
        self._uplink.send(message)

    def take_fd(self) -> int:
        """The descriptor that came with the last message; -1: none."""
        return self._pipe.take_fd()

    def lag_ms(self, now: float) -> int:
        """A heartbeat is sent now: how late it is, in milliseconds. The next one is due an interval later."""
        lag = max(0.0, now - self._beat_due)
        self._beat_due = now + HEARTBEAT_INTERVAL
        return int(lag * 1000)

    def next_beat(self) -> float:
        """When the next heartbeat is due, monotonic seconds."""
        return self._beat_due

    def stop_hearing(self) -> None:
        """What the master says from now on is not read."""
        self._readable.stop()

    def close(self) -> None:
        """What is still queued is not sent any more."""
        self._readable.stop()
        self._readable.close()
        self._uplink.close()
        self._pipe.close()

    def _on_readable(self) -> None:
        try:
            messages = self._pipe.receive()
        except FrameError as error:
            self._readable.stop()
            self._child.on_malformed(error)
            return
        if messages is None:
            self._readable.stop()
            self._child.on_master_gone()
            return
        for message in messages:
            self._child.obey(message)
