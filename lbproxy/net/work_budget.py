"""The work budget: what a turn of the event loop may spend on those who bring much; the others go first.

Theory of operation. A turn of the loop serves whoever has input, in the order of its coming, and looks for more when all are
served. So a turn lasts as long as everybody's work together, and a newcomer waits for two or three of them: fifty clients whose
input is never at an end, or a thousand who send a few bytes each at the same moment, and he waits for seconds. Bytes and reads are
no measure of that work: a handshake costs as much as thirty requests, a KiB of small chunks as much as sixteen of a file. The
measure is time.

1. Streams that bring much, or whose input may wait, are served within a budget of time a turn. When it is spent they are put off:
   into one queue, in the order of asking, which is served when everybody else has been. Who is put off is served in one of the next
   turns whatever comes meanwhile, as long as the budget has room for one a turn, and it always has.
2. Who that is: a stream in the middle of a head, a handshake or a body that comes by drips says so itself (`Stream.patient`);
   one whose last read took BULK bytes or more; and one that was measured and took longer than COSTLY, whatever it sends.
3. Measuring is two looks at the clock. One wake-up in SPARSELY is measured as long as nothing is found, each one after a find.

Nobody is put off while the budget lasts, which is always when there is no crowd.

A turn that has become long in spite of all this is noticed in the midst of it (`on_long_turn`): a loop that turns slowly is no loop
that hangs, and must be able to say so.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from itertools import repeat
from typing import Any

from lbproxy.net.wire import monotonic
from lbproxy.streams import PutOff

A_TURN = 0.001
"""Seconds of a turn for all who bring much, together. One of them may exceed it by what it does at a time: a read of 64 KiB at
worst, a third of a millisecond in chunks of one byte, two in TLS records of one byte."""
BULK = 4096
"""Bytes of a read: what heads, messages and drips do not have."""
COSTLY = 0.0002
"""Seconds between two waits; a request takes a tenth of that. On a machine (or under a tool) that is far slower it is more."""
_YARD, _YARDS = 1000, 12
"""Rounds of an empty loop, some 10 us, and how many such loops are COSTLY at least."""
SPARSELY = 8
ALERT = 256
"""Wake-ups that are all measured after one that took too long."""
LONG_TURN = 1.0
"""Seconds without a word from the loop's own timers."""

LAST = -2  # libev's EV_MINPRI: behind everybody else's input


def costly_here(clock: Callable[[], float] = monotonic) -> float:
    """COSTLY for this machine: the quickest of a few tries, for others may have the processor meanwhile."""
    best = COSTLY
    for attempt in range(5):
        begun = clock()
        for _ in repeat(None, _YARD):
            pass
        took = clock() - begun
        best = took if attempt == 0 or took < best else best
    return max(COSTLY, _YARDS * best)


class WorkBudget:
    """The budget of one worker's event loop, and the queue of streams that were put off."""

    __slots__ = (
        "_alert",
        "_clock",
        "_costly",
        "_long_at",
        "_loop",
        "_on_long_turn",
        "_queue",
        "_timer",
        "_turn",
        "_until",
        "sample",
    )

    def __init__(self, loop: Any, clock: Callable[[], float] = monotonic, costly: float = COSTLY) -> None:
        """`loop`: gevent's, which counts its turns; `clock`: monotonic seconds; `costly`: see COSTLY."""
        self._loop = loop
        self._clock = clock
        self._timer = loop.timer(0.0, priority=LAST)
        self._queue: deque[PutOff] = deque()
        self._turn = -1
        self._until = 0.0
        self._alert = 0
        self._costly = costly
        self._long_at = float("inf")
        self._on_long_turn: Callable[[], None] | None = None
        self.sample = SPARSELY
        """Wake-ups until the next one is measured."""

    def watch(self, on_long_turn: Callable[[], None]) -> None:
        """From now on tell when a turn lasts for LONG_TURN; called from the loop's own timer it says that this one has not."""
        self._on_long_turn = on_long_turn
        self._long_at = self._clock() + LONG_TURN

    def admits(self) -> bool:
        """Whether one more that brings much is served in this turn. False: `put_off` it."""
        if self._queue:
            return False
        now = self._clock()
        turn = self._loop.iteration
        if turn != self._turn:
            self._turn = turn
            self._until = now + A_TURN
            return True
        return now < self._until

    def put_off(self, stream: PutOff) -> None:
        """Let it go on in its turn."""
        if not self._queue:
            self._timer.start(self._serve)
        self._queue.append(stream)

    def __len__(self) -> int:
        return len(self._queue)

    def took(self, seconds: float, now: float) -> bool:
        """One wake-up was measured, and ended `now`; whether it took too long to be served before others."""
        if now >= self._long_at:
            self._long_at = now + LONG_TURN
            if self._on_long_turn is not None:
                self._on_long_turn()
        costly = seconds >= self._costly
        if costly:
            self._alert = ALERT
        elif self._alert:
            self._alert -= 1
        self.sample = 1 if self._alert else SPARSELY
        return costly

    def stop(self) -> None:
        """Stop for good; whoever is put off stays so."""
        self._timer.stop()
        self._timer.close()

    def _serve(self) -> None:
        self._turn = self._loop.iteration
        self._until = until = self._clock() + A_TURN
        queue = self._queue
        while queue:
            queue.popleft().go_on()
            if self._clock() >= until:
                break
        if queue:
            self._timer.start(self._serve)
