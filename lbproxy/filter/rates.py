"""The rates at which clients come, over all processes: a token bucket per client in a shared table of fixed size.

Theory of operation. A bucket is one number, the *due* time at which it would be full again (the "theoretical arrival time" of GCRA,
ITU-T I.371): every request admitted moves it on by the interval that a token takes, and a request is refused when the bucket would
then need more than `burst` intervals. So in no stretch of t seconds more than burst + rate * t requests are admitted, in whatever
order the workers come: a due time only ever grows, but for tokens that are given back, which count as never taken. (The caller
holds a lock that makes `take` one step over all processes. Should somebody who holds it be stopped for longer than others have the
patience for, each of them may admit one more.)

The table is set-associative: a client's key says in which set it stands, eight clients to a set. A bucket that is full again is as
good as none, and its place is free. When all eight owe something a newcomer takes the place of the one that owes least, *and its
debt*: so who is pushed out, and comes back, finds at least the debt that he left, and nobody gets more than his rate by bringing
along a crowd of addresses. What a crowd can do is the opposite, to make newcomers begin with less than a full bucket. For that it
has to keep all eight places of a set in debt, in sets that it cannot find out (keys.py): half a million clients at the limit, at
once. A debt taken over is cut to what the newcomer's own limit can make, so a strict limit's debts do not close a lax one's door;
where that happens, in a full set, the strict one forgets as much.
"""

from __future__ import annotations

WAYS = 8
"""Clients to a set."""
SPAN = 2 * WAYS
"""Cells of a set: eight tags, and their due times in nanoseconds."""
LAG = 1_000_000_000
"""Nanoseconds that one worker's `now` may be behind another's when its turn comes."""


class RateTable:
    """Names for cells of the shared memory."""

    __slots__ = ("_cells", "_sets")

    def __init__(self, cells: memoryview[int]) -> None:
        """`cells`: 64 bit each, zero when new, a multiple of SPAN."""
        self._cells = cells
        self._sets = len(cells) // SPAN

    def take(self, place: int, tag: int, now: int, interval: int, burst: int) -> int:
        """Ask for a token: 0 when there is one, else nanoseconds until there is.

        `place`, `tag`: the client's key; `now`: the same monotonic clock in all processes, in nanoseconds; `interval`: nanoseconds
        for a token. The caller holds the lock.
        """
        cells = self._cells
        at = place % self._sets * SPAN
        slot = at
        for way in range(at, at + WAYS):
            if cells[way] == tag:
                slot = way
                break
            if cells[way + WAYS] < cells[slot + WAYS]:
                slot = way
        due = cells[slot + WAYS]
        full = now + burst * interval
        if due < now:
            due = now
        elif due > full:
            if due > full + LAG:  # another limit's, or from before a reload: let ours run out, else it would be cut for ever
                cells[slot] = tag
                cells[slot + WAYS] = full
            due = full
        late = due + interval - full
        if late > 0:
            return late
        cells[slot] = tag
        cells[slot + WAYS] = due + interval
        return 0

    def give_back(self, place: int, tag: int, interval: int) -> None:
        """A token that was taken and is not to count. The debt of who was pushed out meanwhile is another's, and stays."""
        cells = self._cells
        at = place % self._sets * SPAN
        for way in range(at, at + WAYS):
            if cells[way] == tag:
                cells[way + WAYS] -= interval
                return
