"""How workers wake each other when a place becomes free that somebody waits for (proxy/queue.py).

A bell is an eventfd: made by the master before all forks, inherited by every worker, watched by the one whose row it belongs to.
Rings that come in a heap are one wake-up. As long as somebody waits here a timer looks after what nobody rings for.
"""

from __future__ import annotations

import os
import select
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Protocol

READ = 1  # libev's EV_READ
TURN_INTERVAL = 0.1
"""Seconds; also how late a request may hear that it waited too long."""


def _ready(bell: int, what: int) -> bool:
    """It does not rely on O_NONBLOCK, which is the bell's and not ours: any process that has it can take it away."""
    poll = select.poll()
    poll.register(bell, what)
    return any(events & what for _, events in poll.poll(0))


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
        bell = self._bells[child % len(self._bells)]
        if _ready(bell, select.POLLOUT):  # else 2**64 - 2 rings that nobody heard: one more makes no difference
            with suppress(BlockingIOError):  # somebody was faster
                os.eventfd_write(bell, 1)

    def attend(self, queue: Served) -> None:
        """Somebody waits in this queue."""
        if not self._waiting:
            self._watcher.start(self._on_ring)
            self._timer.start(self._on_time)
        self._waiting.add(queue)

    def _on_ring(self) -> None:
        if not _ready(self._mine, select.POLLIN):
            return  # a worker that shares it was faster
        with suppress(BlockingIOError):
            os.eventfd_read(self._mine)
        for queue in list(self._waiting):
            queue.serve()

    def _on_time(self) -> None:
        self._waiting = {queue for queue in self._waiting if queue.turn()}
        if not self._waiting:
            self._timer.stop()
            self._watcher.stop()
