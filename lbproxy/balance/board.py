"""What every request does with the ledger: the everyday pick, and counting it.

The everyday pick is least connections among backends of which nothing else need be known. It looks at each backend's health, at
orders of an operator, and at the requests in flight over all workers, cell by cell: compiled, that is a few instructions a cell; as
plain Python it costs no more than anything cleverer until a pool has dozens of backends.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence

from lbproxy.balance.backend import Backend
from lbproxy.balance.ledger import (
    BACKEND_SLOTS,
    MOST_AT_ONCE,
    RETIRED,
    ROW_CELLS,
    Column,
    Header,
    Health,
    Ledger,
    PerBackend,
    cell_at,
    column_at,
)

_CHILDREN_HIGH = int(Header.CHILDREN_HIGH)  # an Enum's member is looked up through a hook in Python 3.11
_UP = int(Health.UP)
_RETIRED = RETIRED
_MOST = MOST_AT_ONCE
_TO_REQUESTS = (PerBackend.REQUESTS - PerBackend.IN_FLIGHT) * BACKEND_SLOTS

LOOK_CLOSER = -3

NATIVE = not __file__.endswith(".py")
"""These loops over cells are compiled."""


class Lease:
    """A backend's promise to take one request; counted until `release`.

    One object per backend serves all requests: what it needs to give back is the same for all of them.
    """

    __slots__ = ("_cells", "_in_flight", "_live", "_requests", "backend", "failures", "name", "slot")

    def __init__(self, backend: Backend, cells: memoryview, in_flight: int, live: int, failures: int) -> None:
        self.backend = backend
        self.name = backend.name  # every request asks for these two
        self.slot = backend.slot
        self.failures = failures
        """The cell that counts failed tries at this backend."""
        self._cells = cells
        self._in_flight = in_flight
        self._live = live
        self._requests = in_flight + _TO_REQUESTS

    def take(self) -> None:
        """Count it, while the pick lock is held."""
        cells = self._cells
        cells[self._in_flight] += 1
        cells[self._live] += 1
        cells[self._requests] += 1

    def release(self) -> None:
        """Give it back, exactly once."""
        cells = self._cells
        cells[self._in_flight] -= 1
        cells[self._live] -= 1


class Board:
    """What a pick over a pool's backends looks at."""

    __slots__ = ("_cells", "_health", "_in_flight", "_orders", "_rotor", "_row")

    def __init__(self, slots: Sequence[int], ledger: Ledger, rotor: int) -> None:
        """`slots`: the backends' columns in the ledger; `rotor`: the cell that keeps whose turn it is."""
        self._cells = ledger.cells
        self._health = array("l", [column_at(Column.HEALTH, slot) for slot in slots])
        self._orders = array("l", [column_at(Column.ADMIN, slot) for slot in slots])
        self._in_flight = array("l", [cell_at(0, PerBackend.IN_FLIGHT, slot) for slot in slots])
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
                return LOOK_CLOSER
        for at in self._orders:
            if cells[at] != 0:
                return LOOK_CLOSER
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
