"""The seams to the network: what proxy/ needs from a connection, and nothing more.

A stream belongs to the greenlet that reads or writes it. One greenlet may wait for input and another for room to write at the same
time; never two for the same thing. Waiting ends with data, with `TimedOut` when `deadline` passes, or with `ConnectionLost`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

Buffer = bytes | bytearray | memoryview


class Stream(Protocol):
    """A byte stream to a client or a backend, TLS or not."""

    deadline: float
    """Monotonic seconds at which whoever waits for input is cut with TimedOut; `NEVER` for no limit."""

    def read(self) -> bytes:
        """Wait for the next bytes, at most 64 KiB; b"" at the end of the input. Raises TimedOut, ConnectionLost."""

    def write(self, data: Buffer) -> None:
        """Hand all of `data` to the kernel, waiting while it is full. Raises TimedOut after `write_stall` without progress."""

    def park(self, on_readable: Callable[[], None], on_expired: Callable[[], None]) -> None:
        """Nobody reads now: call one of the two, once, from the event loop: input or its end came, or `deadline` passed."""

    def unpark(self) -> None:
        """Take the callbacks of `park` back."""

    def close(self) -> None:
        """Say goodbye (TLS close_notify) as far as it goes without waiting, and close. May be called twice."""

    def abort(self) -> None:
        """Close so that the peer can tell that something is missing: no close_notify, and a reset where the kernel allows it."""


NEVER = float("inf")
