"""A child's way of telling the master something without ever waiting for it: now, or when the pipe has room again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lbproxy.errors import StreamError
from lbproxy.ipc.messages import Message
from lbproxy.ipc.pipe import ChildPipe

WRITE = 2  # libev's EV_WRITE


class Uplink:
    """Sends over a ChildPipe, which stays the caller's. Call it from the event loop or from greenlets of it."""

    def __init__(self, pipe: ChildPipe, loop: Any, on_lost: Callable[[Message, StreamError], None]) -> None:
        """`loop`: the event loop (anything with `io(fd, events)`); `on_lost` is told of a message that cannot be sent.

        A message is lost when the master is gone, which the reading side tells better, or when it has not read for very long: then
        what it misses stands in the ledger.
        """
        self._pipe = pipe
        self._on_lost = on_lost
        self._writable = loop.io(pipe.fileno(), WRITE)

    def send(self, message: Message) -> None:
        """Send, now or later."""
        try:
            self._pipe.send(message)
        except StreamError as error:
            self._on_lost(message, error)
        if self._pipe.queued:
            self._writable.start(self._flush)

    def close(self) -> None:
        """What is still queued is not sent any more."""
        self._writable.stop()
        self._writable.close()

    def _flush(self) -> None:
        try:
            self._pipe.flush()
        except StreamError:
            self._writable.stop()  # gone; reading tells
            return
        if not self._pipe.queued:
            self._writable.stop()
