"""The end of a connection that has said all it had to say: how long the peer is waited for, and when it is waited for no longer."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from lbproxy.net.wire import receive, send
from lbproxy.net.work_budget import BULK
from lbproxy.streams import Stream

if TYPE_CHECKING:
    from lbproxy.net.tcp_stream import TcpStream

LINGER = 2.0
"""Seconds `finish` waits for the peer's end of input: a client that has nothing more to say needs a round trip."""
QUIET, BUSY_LINGER = 5.0, 30.0
"""For one in the middle of a body that is refused, each piece and all of it: plain clients send it all before they read (nginx).
While descriptors are short it is LINGER for everybody: see `cut_lingering`."""
_DISCARDED = 64 * 1024
"""Bytes of unwanted input that are read at once."""


class Linger:
    """Owner of a stream that is being finished: says goodbye, then throws input away until the peer ends or its time is up.

    Closing a socket with unread input makes the kernel send a reset, which can destroy the response before the client read it.
    And the goodbye may have to wait: behind a large response there is often no room for it at once, and a client that finds the
    end without it must think that something is missing.
    """

    __slots__ = ("_close", "_quiet", "_stream", "_unsent", "_until", "_whole")

    def __init__(self, stream: TcpStream, close: Callable[[], None], goodbye: bytes, busy: bool) -> None:
        """`close`: closes the stream without another goodbye; `busy`: see Stream.finish."""
        self._stream = stream
        self._close = close
        self._unsent = goodbye
        self._quiet = QUIET if busy else LINGER
        self._whole = BUSY_LINGER if busy else LINGER
        self._until = 0.0

    def say_goodbye(self) -> None:
        """Send what is left of it, now or when there is room, then end our side."""
        stream = self._stream
        try:
            if self._unsent:
                self._unsent = self._unsent[send(stream._fd, self._unsent) :]
                if self._unsent:
                    stream._call_on_room(self.say_goodbye)
                    return
            if stream._write_watcher is not None:
                stream._write_watcher.stop()
            stream._sock.shutdown(socket.SHUT_WR)
        except OSError:
            self._close()  # the peer is gone
            return
        now = time.monotonic()
        self._until = now + self._whole
        stream.deadline = now + self._quiet

    def on_readable(self) -> None:
        """Discard; close at the end."""
        self._stream.unread = False
        try:
            came = receive(self._stream._fd, _DISCARDED)
        except OSError:
            came = b""  # reset: as good an end as any
        self._stream._bulk = came is not None and len(came) >= BULK
        if came == b"":
            self._close()
        elif self._until:  # else the goodbye is not out yet, and has a limit of its own
            self._stream.deadline = min(self._until, time.monotonic() + self._quiet)

    def on_expired(self) -> None:
        """The peer never ended its side."""
        self._close()

    def outstays(self, now: float) -> bool:
        """Whether it has had, since the goodbye, what a peer needs that has nothing more to say."""
        return 0.0 < self._until <= now + self._whole - LINGER


def cut_lingering(streams: Iterable[object], now: float) -> int:
    """Descriptors are short: close those of `streams` that linger for longer than LINGER; how many. No limit counts them.

    From the event loop; `now`: monotonic seconds.
    """
    owners = [stream.owner for stream in streams if isinstance(stream, Stream)]
    late = [owner for owner in owners if isinstance(owner, Linger) and owner.outstays(now)]
    for linger in late:
        linger.on_expired()
    return len(late)
