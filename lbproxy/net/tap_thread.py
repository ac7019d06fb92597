"""A thread that does one thing with each tapped conversation, and that nobody waits for.

What waits for it is bounded in bytes. A conversation that finds no room, or that it fails with, is dropped as a whole.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")
_LOOK = 1.0
"""Seconds after which it looks for work though nobody has rung."""


class TapThread(Generic[T]):
    """Runs as long as its process."""

    def __init__(self, do: Callable[[T], None], room: int, lost: Callable[[], None]) -> None:
        """`do`: from the thread, with one after another; `room`: bytes of what waits; `lost`: told, from the
        thread, of each that it raised OSError or ValueError for."""
        self._do = do
        self._room = room
        self._lost = lost
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

    def _run(self) -> None:
        while True:
            try:
                size, one = self._waiting.popleft()
            except IndexError:
                try:
                    self._bell.get(timeout=_LOOK)
                except queue.Empty:
                    pass
                continue
            try:
                self._do(one)
            except (OSError, ValueError):  # nobody is there any more; a full disk; an address that is none
                self._lost()
            self._done += size
