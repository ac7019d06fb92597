"""Counts of what each client has under way, over all processes: requests at a route, connections at a listener.

Each worker counts its own clients in a row of its own, in sets like those of the rates (rates.py), and readers add the rows up. A
worker that dies takes its row with it (the master clears it), so nothing stays counted that nobody works on any more. A place with
a count of zero is free. Should a set of a row be full of clients (32768 places for 10,000 connections, and who shares a set nobody
can choose), what does not fit is counted by this worker alone: the limit then holds in each worker by itself for that client.
"""

from __future__ import annotations

from collections.abc import Sequence

from lbproxy.filter.rates import SPAN, WAYS

REFUSED = -1
ALONE = -2


class CountTable:
    """The table of counts as one worker sees it: it writes its own row and reads all."""

    __slots__ = ("_alone", "_cells", "_mine", "_row", "_sets")

    def __init__(self, cells: memoryview[int], row: int, child: int) -> None:
        """`cells`: all rows, zero when new; `row`: cells of a row, a multiple of SPAN; `child`: whose view this is."""
        self._cells = cells
        self._row = row
        self._sets = row // SPAN
        self._mine = child * row
        self._alone: dict[int, int] = {}

    def take(self, place: int, tag: int, limit: int, rows: Sequence[int]) -> int:
        """One more for this client: a ticket for `give`, or REFUSED when it has `limit` under way already.

        `rows`: the children that count anything, this one among them. The caller holds the lock.
        """
        cells = self._cells
        at = place % self._sets * SPAN
        total = self._alone.get(tag, 0) if self._alone else 0
        for child in rows:
            first = child * self._row + at
            for way in range(first, first + WAYS):
                if cells[way] == tag:
                    total += max(0, cells[way + WAYS])
                    break
        if total >= limit:
            return REFUSED
        first = self._mine + at
        free = ALONE
        for way in range(first, first + WAYS):
            if cells[way] == tag:
                free = way
                break
            if free == ALONE and cells[way + WAYS] == 0:
                free = way
        if free == ALONE:
            self._alone[tag] = self._alone.get(tag, 0) + 1
            return ALONE
        cells[free] = tag
        cells[free + WAYS] += 1
        return free

    def give(self, ticket: int, tag: int) -> None:
        """It is over. Needs no lock: only we write here, and who adds up sees the one or the other."""
        if ticket != ALONE:
            self._cells[ticket + WAYS] -= 1
            return
        left = self._alone[tag] - 1
        if left:
            self._alone[tag] = left
        else:
            del self._alone[tag]
