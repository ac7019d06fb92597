"""The lease: one backend's promise to take one request, counted in the shared ledger from the pick to the last byte."""

from __future__ import annotations

from collections.abc import Callable

from lbproxy.balance.backend import Backend
from lbproxy.balance.ledger import SLOTS, PerSlot
from lbproxy.balance.policy import PickOutcome

_TO_REQUESTS = (PerSlot.REQUESTS - PerSlot.IN_FLIGHT) * SLOTS

OnOutcome = Callable[[float, PickOutcome], None]
"""policy.Ended of this backend."""


class Lease:
    """A backend's promise to take one request; counted until `release`.

    One object per backend serves all requests: what it needs to give back is the same for all of them.
    """

    __slots__ = ("_cells", "_in_flight", "_live", "_requests", "backend", "failures", "name", "slot", "told")

    def __init__(self, backend: Backend, cells: memoryview, in_flight: int, live: int, failures: int) -> None:
        self.backend = backend
        self.name = backend.name  # every request asks for these two
        self.slot = backend.slot
        self.failures = failures
        """The cell that counts failed tries at this backend."""
        self.told: OnOutcome | None = None
        """The pool's policy, where it wants to know what becomes of its picks."""
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
