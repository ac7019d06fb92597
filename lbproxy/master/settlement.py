"""The end of a reload: told to the log and to whoever waits for it, once no older worker accepts any more.

The new generation serves by then. Whoever connects after the telling meets it alone.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

from lbproxy.balance.ledger import Ledger, Scalar, scalar_at
from lbproxy.config.plan import lines
from lbproxy.master.fleet import events
from lbproxy.master.fleet.child import FOREVER, Role
from lbproxy.master.operator.operator import Operator
from lbproxy.master.processes.spawn import Running
from lbproxy.master.resources.preparation import Preparation
from lbproxy.observe import log

PATIENCE = 0.5
"""Seconds that older workers have to read their Drain; then it is told all the same."""
LOOK = 0.005


class Settlement:
    """A reload whose generation serves, until it is told that it does."""

    def __init__(self, ledger: Ledger, running: Mapping[int, Running], preparation: Preparation, operator: Operator) -> None:
        self._ledger = ledger
        self._running = running
        self._preparation = preparation
        self._operator = operator
        self._order: events.Serving | None = None
        self._until = 0.0

    def begin(self, order: events.Serving) -> None:
        """From now on older workers are waited for."""
        self._order = order
        self._until = time.monotonic() + PATIENCE

    def next_deadline(self) -> float:
        """When to look again."""
        return FOREVER if self._order is None else time.monotonic() + LOOK

    def look(self, *, patient: bool = True) -> None:
        """Tell that the reload is done, where it is; or where nobody has the patience to wait for it."""
        order = self._order
        if order is None or (patient and time.monotonic() < self._until and self._accepting(order.generation)):
            return
        self._order = None
        done = self._preparation.plans.pop(order.generation)
        log.get_logger().info("reloaded", generation=order.generation, milliseconds=order.milliseconds, changes=lines(done))
        self._operator.reload_served(order.generation, done, order.milliseconds)

    def _accepting(self, generation: int) -> bool:
        """Whether a worker older than it still does."""
        older = [one.row for one in self._running.values() if one.role is Role.WORKER and one.generation < generation]
        return any(self._ledger.cells[scalar_at(row, Scalar.ACCEPTING)] for row in older)
