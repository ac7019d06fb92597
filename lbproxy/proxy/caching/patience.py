"""The storing of what is here while somebody else writes: tried again in a moment, and no client waits for that.

On a busy machine whoever has the lock is set aside for longer than a loop may stand still. That says nothing of the answer: it is
no reason to ask the backend again, nor to believe that whoever asked has failed.
"""

from __future__ import annotations

from collections.abc import Callable

from lbproxy.cache.interface import Put
from lbproxy.streams import Strands

PAUSES = (0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28)
"""Seconds between tries: one that was set aside comes back within the first few, one that is stopped does not in all of them."""
MOST_WAITING = 32
"""Answers of a worker that wait for it, of up to 64 KiB each; more are not stored."""

Attempt = Callable[[bool], Put]
"""Stores something; told whether it is tried again when that is BUSY."""


class PendingStores:
    """What one worker is about to store."""

    __slots__ = ("_number",)

    def __init__(self) -> None:
        self._number = 0

    def store(self, strands: Strands, attempt: Attempt, over: Callable[[Put], None]) -> Put:
        """At once if that can be; BUSY: it is tried again from the event loop. `over` is told what became of it, once."""
        again = self._number < MOST_WAITING
        became = attempt(again)
        if became is not Put.BUSY or not again:
            over(became)
            return became
        self._number += 1
        pauses = iter(PAUSES)

        def once_more() -> None:
            pause = next(pauses, 0.0)
            found = attempt(pause > 0)
            if found is Put.BUSY and pause:
                strands.alarm(pause, once_more)
                return
            self._number -= 1
            over(found)

        strands.alarm(next(pauses), once_more)
        return became
