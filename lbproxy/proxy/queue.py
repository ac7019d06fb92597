"""Requests of one worker that wait for room in a pool.

Theory of operation. A request that finds its pool full joins the pool's queue (balance/shared_queue.py) and parks its greenlet.
When a lease of the pool is given back, in whatever worker, that worker wakes the one whose request has waited longest; `serve` then
takes the place for it, lets its greenlet go on, and wakes the next. Nobody polls for room. What nobody wakes anybody for (a backend
that comes up, the requests of a worker that died, a wake-up that was missed) is found by `look_again`, which the worker calls
several times a second while anybody waits; it also sends home who has waited too long.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from lbproxy.balance.lease import Lease
from lbproxy.balance.pick_result import NoneAvailable
from lbproxy.balance.queued_pool import QueuedPool
from lbproxy.balance.selection import Preference
from lbproxy.balance.source_hash import HashRing
from lbproxy.streams import Strand, Strands

FULL = NoneAvailable("queue_full")
TOO_LATE = NoneAvailable("queue_timeout")


class Waiting:
    """One request that waits in a queue, and its greenlet."""

    __slots__ = ("answer", "deadline", "parked", "preference", "strand")

    def __init__(self, strand: Strand, preference: Preference, deadline: float) -> None:
        self.strand = strand
        self.preference = preference
        self.deadline = deadline
        self.answer: Lease | NoneAvailable | None = None
        self.parked = False

    def go_on(self) -> None:
        """From the event loop: its greenlet runs, unless something else (a client that left) woke it first."""
        if self.parked:
            self.parked = False
            self.strand.switch()


class Queue:
    """One pool's, in one worker."""

    def __init__(
        self,
        pool: QueuedPool,
        strands: Strands,
        clock: Callable[[], float],
        timeout: float,
        on_waiting: Callable[[Queue], None],
    ) -> None:
        """`timeout`: seconds that a request may wait; `on_waiting`: from now on somebody waits, `look_again` is to be called."""
        self._pool = pool
        self._strands = strands
        self._clock = clock
        self._timeout = timeout
        self._on_waiting = on_waiting
        self._line: deque[Waiting] = deque()

    def __len__(self) -> int:
        return len(self._line)

    def wait(self, preference: Preference) -> Lease | NoneAvailable:
        """From a request's greenlet: a place, or why there is none. Whatever is thrown into the greenlet ends the wait."""
        ticket = self._pool.join()
        if not ticket:
            return FULL
        waiting = Waiting(self._strands.current(), preference._replace(ticket=ticket), self._clock() + self._timeout)
        self._line.append(waiting)
        answer = None
        try:
            self._on_waiting(self)
            self.serve()  # a place may have become free before we stood in line, and then nobody wakes us
            if waiting.answer is None:
                waiting.parked = True
                self._strands.park()
            answer = waiting.answer
        finally:
            waiting.parked = False
            if answer is None:
                self._give_up(waiting)
        return answer if answer is not None else TOO_LATE

    def serve(self) -> None:
        """Take what places there are for who waits here, as long as it is their turn."""
        line = self._line
        served = False
        while line:
            head = line[0]
            answer = self._pool.pick((), head.preference)
            if isinstance(answer, NoneAvailable) and answer.reason == "pool_full":
                break
            self._dismiss(head, answer)
            served = True
        if served:
            self._pool.call_next()  # whose turn it is now, perhaps in another worker: there may be more places than one

    def look_again(self) -> bool:
        """From time to time: who waits too long goes, and what nobody woke us for is found. False: nobody waits any more."""
        now = self._clock()
        while self._line and self._line[0].deadline <= now:
            self._dismiss(self._line[0], TOO_LATE)
        self.serve()
        return bool(self._line)

    def backends_moved(self, moved: Sequence[int], ring: HashRing | None) -> None:
        """The pool has other backends now, and their `ring`: who had index i has `moved[i]`, or is gone (-1). Nobody who waits
        loses his place."""
        for waiting in self._line:
            first, source, known, repeatable, ticket = waiting.preference
            first = moved[first] if first >= 0 else -1
            waiting.preference = Preference(first, source, None if known is None else ring, repeatable, ticket)
        self.serve()

    def _dismiss(self, head: Waiting, answer: Lease | NoneAvailable) -> None:
        self._line.popleft()
        self._leave()
        head.answer = answer
        if head.parked:
            self._strands.later(head.go_on)

    def _leave(self) -> None:
        self._pool.leave(self._line[0].preference.ticket if self._line else 0)

    def _give_up(self, waiting: Waiting) -> None:
        """Something was thrown: out of the line, and back with a place that came at the same moment."""
        if waiting in self._line:
            self._line.remove(waiting)
            self._leave()
        if isinstance(waiting.answer, Lease):
            waiting.answer.release()
