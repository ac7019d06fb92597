"""At the ceiling of connections the oldest idle ones make room for a new client.

A client that waits in the queue has something to say; one that has been idle for longest has not, and may be part of a crowd that
only wants to hold our places. It is closed as a keep-alive time-out closes it, so a well-behaved one simply connects again.

Finding the oldest looks at all connections. To pay for that once per many newcomers and not for each, a share of the idle ones is
closed at once. Who became idle only just is spared: its next request may be on the wire.
"""

from __future__ import annotations

from collections.abc import Iterable
from heapq import nsmallest
from typing import Protocol

SHARE = 64
"""One in so many of the idle connections goes."""
SPARED = 1.0
"""Seconds that a connection has been idle before it may be closed for another one."""


class Sheddable(Protocol):
    """A client's connection that may be closed to make room."""

    def idle_since(self) -> float:
        """Monotonic seconds; NEVER (infinite) while it is at work."""

    def shed(self) -> None:
        """Close it; only when idle."""


def shed_oldest(connections: Iterable[Sheddable], now: float) -> int:
    """Close the longest idle of `connections`; how many. From the event loop; `now`: monotonic seconds."""
    idle = [connection for connection in connections if connection.idle_since() <= now - SPARED]
    oldest = nsmallest((len(idle) + SHARE - 1) // SHARE, idle, key=lambda connection: connection.idle_since())
    for connection in oldest:
        connection.shed()
    return len(oldest)
