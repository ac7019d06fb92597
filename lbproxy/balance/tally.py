"""Counts by number, where nobody knows beforehand which numbers come: so many have a place, the others are summed.

It stands in the ledger's row of a child: numbers, then counts, then what found no place. Pure: cells in, counts out.
"""

from __future__ import annotations

from collections.abc import Iterable

from lbproxy.cells import Cells

PLACES = 96
CELLS = 2 * PLACES + 1
LARGEST = 10**10 - 1
"""Ten digits: what an id of a rule may have."""
_MOST = 2**56


class Tally:
    """Counts by number of one writer, whose cells begin at `at`."""

    def __init__(self, cells: Cells, at: int) -> None:
        self._cells = cells
        self._at = at
        self._places = {cells[at + place]: place for place in range(PLACES) if cells[at + place]}

    def count(self, number: int, more: int = 1) -> None:
        """It was met once more."""
        cells, at = self._cells, self._at
        place = self._places.get(number)
        if place is None and 0 < number <= LARGEST and len(self._places) < PLACES:
            place = self._places[number] = len(self._places)
            cells[at + place] = number
        cells[at + (2 * PLACES if place is None else PLACES + place)] += more

    def count_others(self, more: int) -> None:
        """So many that have no place."""
        self._cells[self._at + 2 * PLACES] += more


def read(cells: Cells, at: int) -> tuple[dict[int, int], int]:
    """By number, and the others. What cannot be is left out: a writer may have been taken over."""
    found: dict[int, int] = {}
    for place in range(PLACES):
        number, count = cells[at + place], cells[at + PLACES + place]
        if 0 < number <= LARGEST and 0 < count < _MOST:
            found[number] = found.get(number, 0) + count
    others = cells[at + 2 * PLACES]
    return found, others if 0 < others < _MOST else 0


def move(cells: Cells, at: int, to: int) -> bool:
    """A writer is gone: its counts are added to those at `to`. False: nonsense was among them, and is dropped."""
    kept = Tally(cells, to)
    found, others = read(cells, at)
    for number, count in found.items():
        kept.count(number, count)
    kept.count_others(others)
    sound = all(0 <= cells[at + cell] < _MOST for cell in range(CELLS))
    for cell in range(CELLS):
        cells[at + cell] = 0
    return sound


def summed(tallies: Iterable[tuple[dict[int, int], int]]) -> tuple[dict[int, int], int]:
    """Of several writers, no more numbers than one has places for: those that were met most."""
    found: dict[int, int] = {}
    others = 0
    for counts, rest in tallies:
        others += rest
        for number, count in counts.items():
            found[number] = found.get(number, 0) + count
    ranked = sorted(found, key=lambda number: (-found[number], number))
    others += sum(found[number] for number in ranked[PLACES:])
    return {number: found[number] for number in sorted(ranked[:PLACES])}, others
