"""Within a turn of the event loop, whose input came first is served first.

Theory of operation. The kernel tells of input in the order in which it came; libev puts what it is told on a stack and calls the
watchers from the top. So of thirty requests that wait, the one that came last is served first, and who comes first waits for all of
them, now and, as often as not, again when the answer comes: the median hardly changes, and one in a hundred waits twice as long.
A stream that is told of input while others are still to be told is therefore noted, and all that were noted are served when
everybody has been told, from the other end. One that is alone is served at once.

arrivals.pyx is the same in C's terms, and takes this file's place where it was compiled.
"""

from __future__ import annotations

from typing import Any, Protocol

NATIVE = False
"""This is arrivals.pyx."""
BEHIND_ALL = -1
"""Priority: when all watchers of input have been called, and before what waits for that (work_budget.LAST)."""


class Arrived(Protocol):
    """What is needed of a stream."""

    def serve(self) -> None:
        """Its input is here, or was a moment ago."""


class Arrivals:
    """Those of one event loop."""

    __slots__ = ("_all_told", "_loop", "_noted")

    def __init__(self, loop: Any) -> None:
        """`loop`: gevent's."""
        self._loop = loop
        self._noted: list[Arrived] = []
        self._all_told = loop.async_(priority=BEHIND_ALL)  # never started: it is put on the stack of this turn by hand

    def alone(self, stream: Arrived) -> bool:
        """Whether it may go on at once. False: it is noted and will be served in this turn."""
        noted = self._noted
        if not noted:
            if not self._loop.pendingcnt:
                return True
            self._all_told.feed(0, self.serve)
        noted.append(stream)
        return False

    def stop(self) -> None:
        """Stop for good."""
        self._all_told.close()

    def serve(self) -> None:
        """Those that are noted have their turn: when all have been told, and before what relies on all input having been read."""
        noted = self._noted
        try:
            while noted:
                noted.pop().serve()
        finally:
            if noted:  # somebody raised, which the loop tells; the others still have their turn
                self._all_told.feed(0, self.serve)
