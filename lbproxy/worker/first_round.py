"""After a start a worker waits with its Ready until every backend was checked once, for at most as long as a check may take.

Without that the backend that passes its check first gets everything: with one that answers in a millisecond and two that take
0.9 s, 4,616 of the first 6,045 requests went to the first (measured). Only the first generation waits: later ones find what is
known in the ledger, and whoever is new there takes part unknown (balance/selection.py) and is checked at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lbproxy.balance.ledger import HealthState
from lbproxy.config.model import Config
from lbproxy.health.schedule import SPREAD
from lbproxy.ipc.handover import Handover

LOOK = 0.01
"""Seconds between looks."""
LONGEST = 5.0
"""Seconds: a check that may take longer is not waited for to its end, and the master gives a silent child 20."""
IMPORTS = 1.0
"""Seconds that the control process, which is started beside the workers, may take before its first check."""


def longest(config: Config) -> float:
    """Seconds within which the first round is over; 0 where nothing is checked."""
    timeouts = [pool.health.timeout for pool in config.pools if pool.health.type != "off"]
    return min(max(timeouts) + SPREAD + IMPORTS, LONGEST) if timeouts else 0.0


class FirstRound:
    """Calls `then` once, from the event loop, when the round is over."""

    def __init__(self, handover: Handover, loop: Any, clock: Callable[[], float], then: Callable[[], None]) -> None:
        checked = {pool.name for pool in handover.config.pools if pool.health.type != "off"}
        self._ledger = handover.ledger
        self._slots = [backend.slot for pool in checked for backend in handover.backends.get(pool, ())]
        self._until = clock() + (longest(handover.config) if handover.generation == 1 else 0.0)
        self._clock = clock
        self._then = then
        self._timer: Any = loop.timer(0.0, LOOK)

    def start(self) -> None:
        """From now on."""
        self._timer.start(self._look)

    def _look(self) -> None:
        if self._clock() < self._until and any(self._ledger.health(slot) is HealthState.UNKNOWN for slot in self._slots):
            return
        self._timer.stop()
        self._timer.close()
        self._then()
