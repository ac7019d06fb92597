"""A thread for what a loop must not stand still for, one job after another, so that only the greenlet waits whose job it is.

A write to a file is a copy into the page cache, some 20 us for 64 KiB, until the kernel finds too much of the cache dirty, or the
disk (or the network behind it) stalls: then it lasts as long as the disk likes, and without a thread the loop and every client
with it. A password takes its tenth of a second.

A greenlet may be thrown out of its wait. What it has asked for is done all the same, and `abandoned` tells what is left to do then.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from gevent.hub import get_hub
from greenlet import getcurrent, greenlet

T = TypeVar("T")
_switch_to = greenlet.switch  # see tcp_stream


class Job(Generic[T]):
    """Something for the thread to do."""

    __slots__ = ("abandoned", "error", "found", "run", "waiter")

    def __init__(self, run: Callable[[], T], waiter: greenlet | None) -> None:
        self.run = run
        self.waiter = waiter
        self.found: T | None = None
        self.error: OSError | None = None
        self.abandoned: Callable[[Job[T]], None] | None = None
        """What is left to do, by the loop, when it is over and nobody waits for it any more."""


class JobThread:
    """One thread, for the loop of the thread that makes it."""

    def __init__(self, name: str, at_end: Callable[[], None]) -> None:
        """`at_end`: the last thing that it does."""
        self._at_end = at_end
        self._jobs: queue.SimpleQueue[Job[Any] | None] = queue.SimpleQueue()
        self._done: deque[Job[Any]] = deque()
        self._hub = get_hub()
        self._bell: Any = self._hub.loop.async_()
        self._bell.start(self._on_done)
        self.thread = threading.Thread(target=self._work, name=name, daemon=True)
        self.thread.start()

    def call(self, run: Callable[[], T], abandoned: Callable[[Job[T]], None] | None = None) -> T:
        """What `run` returns, or the OSError that it raises; the greenlet waits. `abandoned`: see Job."""
        job = Job(run, getcurrent())
        self._jobs.put(job)
        try:
            _switch_to(self._hub)
        except BaseException:
            job.abandoned = abandoned
            raise
        finally:
            job.waiter = None
        if job.error is not None:
            raise job.error
        return job.found  # type: ignore[return-value]  # without an error it is what `run` returned

    def post(self, run: Callable[[], object]) -> None:
        """Sometime later; nobody waits, and an OSError is nobody's."""
        self._jobs.put(Job(run, None))

    def close(self) -> None:
        """The thread ends when it has done what it was asked for."""
        self._jobs.put(None)
        self._bell.stop()
        self._bell.close()

    def _on_done(self) -> None:
        """From the event loop: the thread has rung, for one job or several."""
        while self._done:
            job = self._done.popleft()
            if job.waiter is not None:
                job.waiter.switch()
            elif job.abandoned is not None:
                job.abandoned(job)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                job.found = job.run()
            except OSError as error:
                job.error = error
            self._done.append(job)
            self._bell.send()
        self._at_end()
