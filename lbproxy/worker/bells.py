"""How workers wake each other when a place becomes free that somebody waits for (proxy/queue.py).

A bell is an eventfd: made by the master before all forks, inherited by every worker, watched by the one whose row it belongs to.
Rings that come in a heap are one wake-up. As long as somebody waits here a timer looks after what nobody rings for.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Protocol

READ = 1  # libev's EV_READ
TURN_INTERVAL = 0.1
"""Seconds; also how late a request may hear that it waited too long."""


class Served(Protocol):
    """What the bells need of a queue."""

    def serve(self) -> None:
        """It may be somebody's turn."""

    def turn(self) -> bool:
        """Time has passed; False when nobody waits any more."""


class Bells:
    """One worker's."""

    def __init__(self, loop: Any, bells: Sequence[int], child: int) -> None:
        """`loop`: gevent's; `bells`: of all workers, none for a worker that is alone; `child`: this worker's row."""
        self._bells = bells = bells or (os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC),)
        self._mine = bells[child % len(bells)]
        self._waiting: set[Served] = set()
        self._watcher = loop.io(self._mine, READ)
        self._timer = loop.timer(TURN_INTERVAL, TURN_INTERVAL)

    def ring(self, child: int) -> None:
        """Tell the worker of that row."""
        try:
            os.eventfd_write(self._bells[child % len(self._bells)], 1)
        except BlockingIOError:
            pass  # 2**64 - 2 rings that nobody heard: one more makes no difference

    def attend(self, queue: Served) -> None:
        """Somebody waits in this queue."""
        if not self._waiting:
            self._watcher.start(self._on_ring)
            self._timer.start(self._on_time)
        self._waiting.add(queue)

    def _on_ring(self) -> None:
        try:
            os.eventfd_read(self._mine)
        except BlockingIOError:
            return  # a worker that shares it was faster
        for queue in list(self._waiting):
            queue.serve()

    def _on_time(self) -> None:
        self._waiting = {queue for queue in self._waiting if queue.turn()}
        if not self._waiting:
            self._timer.stop()
            self._watcher.stop()
