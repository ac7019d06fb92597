"""The wake-ups between workers, for when a place becomes free that somebody waits for (proxy/queue.py, accept/connection_limit.py).

Each is an eventfd: made by the master before all forks, inherited by every worker, watched by the one whose row it belongs to.
Those that come in a heap are one. As long as somebody waits here a timer looks for what nobody woke us for.
"""

from __future__ import annotations

import os
import select
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Protocol

READ = 1  # libev's EV_READ
LOOK_INTERVAL = 0.1
"""Seconds; also how late a request may hear that it waited too long."""


def _ready(eventfd: int, what: int) -> bool:
    """It does not rely on O_NONBLOCK, which is the eventfd's and not ours: any process that has it can take it away."""
    poll = select.poll()
    poll.register(eventfd, what)
    return any(events & what for _, events in poll.poll(0))


class Watched(Protocol):
    """Somebody in this worker who waits for a place: a queue, or a listener at its limit."""

    def serve(self) -> None:
        """We were woken: there may be a place."""

    def look_again(self) -> bool:
        """Time has passed: look for what nobody woke us for. False when nobody waits any more."""


class Wakeups:
    """The eventfds of all workers as one of them uses them: it writes to the others' and watches its own."""

    def __init__(self, loop: Any, eventfds: Sequence[int], child: int) -> None:
        """`loop`: gevent's; `eventfds`: of all workers, none for a worker that is alone; `child`: this worker's row."""
        self._eventfds = eventfds = eventfds or (os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC),)
        self._mine = eventfds[child % len(eventfds)]
        self._waiting: set[Watched] = set()
        self._watcher = loop.io(self._mine, READ)
        self._timer = loop.timer(LOOK_INTERVAL, LOOK_INTERVAL)

    def wake(self, child: int) -> None:
        """Wake the worker of that row."""
        eventfd = self._eventfds[child % len(self._eventfds)]
        if _ready(eventfd, select.POLLOUT):  # else 2**64 - 2 that nobody took notice of: one more makes no difference
            with suppress(BlockingIOError):  # somebody was faster
                os.eventfd_write(eventfd, 1)

    def watch(self, queue: Watched) -> None:
        """Somebody waits there, until `look_again` says otherwise."""
        if not self._waiting:
            self._watcher.start(self._on_wakeup)
            self._timer.start(self._on_time)
        self._waiting.add(queue)

    def _on_wakeup(self) -> None:
        if not _ready(self._mine, select.POLLIN):
            return  # a worker that shares it was faster
        with suppress(BlockingIOError):
            os.eventfd_read(self._mine)
        for queue in list(self._waiting):
            queue.serve()

    def _on_time(self) -> None:
        self._waiting = {queue for queue in self._waiting if queue.look_again()}
        if not self._waiting:
            self._timer.stop()
            self._watcher.stop()
