"""The everyday pick: what nearly every request does with the ledger to find its backend.

It is least connections among backends of which nothing else need be known. It looks at each backend's health, at
orders of an operator, and at the requests in flight over all workers, cell by cell: compiled, that is a few instructions a cell; as
plain Python it costs no more than anything cleverer until a pool has dozens of backends.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence

from lbproxy.balance.ledger import (
    MOST_AT_ONCE,
    RETIRED,
    ROW_CELLS,
    Header,
    HealthState,
    Ledger,
    PerSlot,
    SlotState,
    cell_at,
    state_at,
)
from lbproxy.balance.pick_result import LOOK_CLOSER

_CHILDREN_HIGH = int(Header.CHILDREN_HIGH)  # an Enum's member is looked up through a hook in Python 3.11
_UP = int(HealthState.UP)
_RETIRED = RETIRED
_MOST = MOST_AT_ONCE
_LOOK_CLOSER = LOOK_CLOSER

NATIVE = not __file__.endswith(".py")
"""These loops over cells are compiled."""


class FastPick:
    """The cells of one pool's backends that the everyday pick looks at, in one worker."""

    __slots__ = ("_cells", "_health", "_in_flight", "_orders", "_rotor", "_row")

    def __init__(self, slots: Sequence[int], ledger: Ledger, rotor: int) -> None:
        """`slots`: the backends' slots in the ledger; `rotor`: the cell that keeps whose turn it is."""
        self._cells = ledger.cells
        self._health = array("l", [state_at(SlotState.HEALTH, slot) for slot in slots])
        self._orders = array("l", [state_at(SlotState.ADMIN, slot) for slot in slots])
        self._in_flight = array("l", [cell_at(0, PerSlot.IN_FLIGHT, slot) for slot in slots])
        """The cells of the first row; those of the next are ROW_CELLS further on."""
        self._rotor = rotor
        self._row = ROW_CELLS

    def rows(self) -> int:
        """How many workers' rows there are to add up: ledger.rows_of, for every request, and as there is at least our own."""
        at = _CHILDREN_HIGH
        rows = self._cells[at]
        if rows < 1:
            return 1
        return rows if rows < _RETIRED else _RETIRED

    def look(self, rows: int) -> tuple[list[int], list[int], list[int]]:
        """(health, orders, requests in flight over all workers) of each backend."""
        cells, row, most = self._cells, self._row, _MOST
        loads = []
        for at in self._in_flight:
            load = 0
            for child in range(rows):
                count = cells[at + child * row]
                if 0 < count < most:  # else nobody sound wrote it
                    load += count
            loads.append(load)
        health, orders = [], []
        for at in self._health:
            health.append(cells[at])  # noqa: PERF401  # compiled, `at` is a number here and an object in a comprehension
        for at in self._orders:
            orders.append(cells[at])  # noqa: PERF401  # the same
        return health, orders, loads

    def least(self, rows: int) -> int:
        """The index of the backend with the fewest requests in flight, in turn among equals; LOOK_CLOSER when one is not up, or an
        operator gave orders about one. For backends of equal weight and without limits.

        Round robin among equals is what smooth weighted round robin is with equal weights, and this is one cell.
        """
        cells, row, up, most = self._cells, self._row, _UP, _MOST
        for at in self._health:
            if cells[at] != up:
                return _LOOK_CLOSER
        for at in self._orders:
            if cells[at] != 0:
                return _LOOK_CLOSER
        turn = cells[self._rotor]
        first = after = -1  # the first of the equals, and the first of them at or behind the one whose turn it is
        fewest = equals = 0
        in_flight = self._in_flight
        for index in range(len(in_flight)):  # enumerate would make a Python integer of each
            at = in_flight[index]
            load = 0
            for child in range(rows):
                count = cells[at + child * row]
                if 0 < count < most:
                    load += count
            if equals == 0 or load < fewest:
                fewest, equals, first = load, 1, index
                after = index if index >= turn else -1
            elif load == fewest:
                equals += 1
                if after < 0 and index >= turn:
                    after = index
        if equals == 1:
            return first
        chosen = after if after >= 0 else first
        cells[self._rotor] = chosen + 1
        return chosen
