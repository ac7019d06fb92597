"""One timer a worker cuts everyone who is late.

A deadline is an attribute of a stream: setting it costs a store, where a timer object per read would cost microseconds and a heap.
The sweep looks at every open stream four times a second; 10,000 of them cost 0.4 ms a sweep (2026-11-23).

Before it looks, the loop polls once more and what came is read: a worker that was held up for a while must not close idle
connections on which a request had come in time. libev calls timers before input, unless their priority is lower, and after a stop
(SIGSTOP, a frozen control group) its first poll tells of no input at all.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol

from lbproxy.net.arrivals import Arrivals
from lbproxy.net.work_budget import LAST, WorkBudget, costly_here

SWEEP_INTERVAL = 0.25
"""Seconds; how late a cut may come."""
A_SLICE = 0.002
"""Seconds that cutting takes at a time: ten thousand that are late together would take a third of a second in one go."""


class Timed(Protocol):
    """What the sweep needs of a stream."""

    deadline: float
    write_deadline: float

    def expire(self, now: float) -> None:
        """One of the two has passed."""

    def abort(self) -> None:
        """See streams.Stream."""


class Deadlines:
    """The open streams of a worker, swept by one timer."""

    def __init__(self, loop: Any, clock: Callable[[], float] = time.monotonic) -> None:
        """`loop`: gevent's event loop; `clock`: monotonic seconds."""
        self.streams: set[Timed] = set()
        self.arrivals = Arrivals(loop)
        self.budget = WorkBudget(loop, costly=costly_here())
        self._late: list[Timed] = []
        self._after_input = loop.timer(0.0, priority=LAST)
        self._clock = clock
        self._timer = loop.timer(SWEEP_INTERVAL, SWEEP_INTERVAL)

    def start(self) -> None:
        """Begin to sweep."""
        self._timer.start(self._after_input.start, self.sweep)

    def stop(self) -> None:
        """Stop for good."""
        for timer in (self._timer, self._after_input):
            timer.stop()
            timer.close()
        self.arrivals.stop()
        self.budget.stop()

    def sweep(self) -> None:
        """Cut every stream whose time is up, and when they are many, the others at the next turns."""
        self.arrivals.serve()  # whose input is here is not late
        now = self._clock()
        late, streams = self._late, self.streams
        if not late:
            late += [stream for stream in streams if stream.deadline <= now or stream.write_deadline <= now]
        until = now + A_SLICE
        while late:
            stream = late.pop()
            if stream in streams:
                stream.expire(now)
            if late and self._clock() >= until:
                self._after_input.start(self.sweep)
                break
