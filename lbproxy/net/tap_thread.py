"""A thread that does one thing with tapped conversations, and that nobody waits for.

What waits for it is bounded in bytes. A conversation that finds no room is dropped as a whole. The thread and the event loop share
the interpreter, and each time the thread comes back from the kernel the loop has to give way: so it takes several at a time, and
when it has had all, it sleeps for a moment.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")
_LOOK = 1.0
"""Seconds after which it looks for work though nobody has rung."""
APART = 0.02
"""Seconds from one go to the next, when all has been done."""
AT_ONCE = 16
"""Conversations of one go: packets of so many are a quarter of a millisecond for which the loop may have to wait."""
MUCH = 64 * 1024
"""Bytes of one go, where there are several: those of sixteen large ones are six milliseconds."""


class TapThread(Generic[T]):
    """Runs as long as its process."""

    def __init__(self, do: Callable[[Sequence[T]], None], room: int) -> None:
        """`do`: from the thread, with one after another, some at a time; `room`: bytes of what waits."""
        self._do = do
        self._room = room
        self._waiting: deque[tuple[int, T]] = deque()
        self._bell: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._taken = self._done = 0  # two counts, since each of the threads may only write its own
        threading.Thread(target=self._run, name="tap", daemon=True).start()

    @property
    def idle(self) -> bool:
        """Whether all is done that it was given."""
        return self._taken == self._done

    def take(self, size: int, one: T) -> bool:
        """`size`: its bytes. False: too much waits, and it is dropped."""
        if self._taken - self._done + size > self._room:
            return False
        self._taken += size
        self._waiting.append((size, one))
        if len(self._waiting) == 1:
            self._bell.put(None)
        return True

    def settle(self, until: float) -> None:
        """Wait until all is done, or until that moment, by the monotonic clock: before the process ends, and the thread with it."""
        while not self.idle and time.monotonic() < until:
            time.sleep(APART / 4)

    def _next(self) -> list[tuple[int, T]]:
        """What one go takes."""
        some: list[tuple[int, T]] = []
        size = 0
        while self._waiting and len(some) < AT_ONCE and (not some or size + self._waiting[0][0] <= MUCH):
            some.append(self._waiting.popleft())
            size += some[-1][0]
        return some

    def _run(self) -> None:
        while True:
            some = self._next()
            if not some:
                try:
                    self._bell.get(timeout=_LOOK)
                except queue.Empty:
                    pass
                continue
            self._do([one for _, one in some])
            self._done += sum(size for size, _ in some)
            if not self._waiting:
                time.sleep(APART)
