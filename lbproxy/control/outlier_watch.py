"""The watch over what became of requests, over all workers: read off the ledger several times a second, judged, and acted on.

Three things come of it: a failure has the backend checked at once, however long its interval; who fails while others do not is
ejected (health/outlier.py); and slow starts go on. A look costs what the ledger is large: 80 us with two backends and four workers
(measured 2026-11-23), milliseconds with a thousand backends and sixty workers, so the pause after it is at least REST times as
long.

How soon the next look comes is how many requests a backend spoils that answers 500 at once, for it is always the idlest. With 64
clients and two other backends that needed 200 ms it spoilt 350 in a tenth of a second. So the counts are read each 25 ms as long as
tries end. Reading them is one copy (control/readings.py), of which the counts of failures are the beginning: while these stay as
they were and nobody is on trial or suspected, good answers are looked at ten times a second, as when nothing happens. When failures
move, what had been read before is looked at first: a good answer between two looks ends a streak, and those came before.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, NoReturn

import gevent

from lbproxy.balance.backend import Backend
from lbproxy.balance.ledger import Ledger, SlotState, is_drained, state_at
from lbproxy.config import model
from lbproxy.control.backend_health import BackendHealth
from lbproxy.control.readings import Readings, failed_between
from lbproxy.health.outlier import OutlierDetector, OutlierRecord, OutlierRules, OutlierState
from lbproxy.ipc.messages import HealthChanged

LOOK_INTERVAL = 0.1
BUSY_INTERVAL = 0.025
"""Between two readings while tries end."""
REST = 20

_WORDS = {OutlierState.FIT: "up", OutlierState.EJECTED: "ejected", OutlierState.TRIAL: "trial"}


class WatchedBackend(NamedTuple):
    """A backend, its health, and how to have it checked at once."""

    backend: Backend
    health: BackendHealth
    hurry: Callable[[], None]


class OutlierWatch:
    """Looks at the counts of all pools' backends. `run` never returns; kill its greenlet."""

    def __init__(self, ledger: Ledger, report: Callable[[HealthChanged], None]) -> None:
        self._ledger = ledger
        self._report = report
        self._pools: dict[str, tuple[Sequence[WatchedBackend], OutlierDetector, int]] = {}
        """With each detector how many checks in a row show that a backend is back."""
        self._readings = Readings(ledger)
        self._judged = b""
        """The reading that was looked at last."""
        self._look_at = 0.0
        """When the next look is due whatever is read."""
        self._undecided = False
        """Good answers may change something, too."""

    def watch(self, pool: model.PoolConfig, watched: Sequence[WatchedBackend]) -> None:
        """One pool, or again one whose backends come and go: what is known of those that stay goes on to count. What happened
        before anybody watched says nothing."""
        self._readings.reach(1 + max(one.backend.slot for one in watched))
        seen = self._readings.counts(self._readings.take())
        before, detector, _ = self._pools.get(pool.name, ((), None, 0))
        records_before = detector.records if detector is not None else ()
        known = {id(one.health): record for one, record in zip(before, records_before, strict=True)}
        records = [
            known.get(id(one.health))
            or OutlierRecord(seen[one.backend.slot], one.health.outlier_state, one.health.until, one.health.ejections)
            for one in watched
        ]
        rules = rules_of(pool.outlier) if pool.outlier.enabled else NOBODY  # whose detector ends what an earlier one began
        self._pools[pool.name] = watched, OutlierDetector(rules, records), pool.health.rise
        self._look_at = 0.0

    def run(self) -> NoReturn:
        """Read, look and act if need be, rest."""
        while True:
            began = time.monotonic()
            pause = BUSY_INTERVAL if self.glance(began) else LOOK_INTERVAL
            gevent.sleep(max(pause, REST * (time.monotonic() - began)))

    def glance(self, now: float) -> bool:
        """Read the counts, and look at them if that can change anything; whether any try ended since the last time.
        `now`: monotonic seconds."""
        before = self._readings.last
        fresh = self._readings.take()
        failed = failed_between(before, fresh)
        if failed and before and before != self._judged:
            self._look_at_counts(before, now)
        if failed or self._undecided or now >= self._look_at:
            self._look_at_counts(fresh, now)
        return fresh != before

    def look(self, now: float) -> None:
        """At what the counts are now, once."""
        self._look_at_counts(self._readings.take(), now)

    def _look_at_counts(self, reading: bytes, now: float) -> None:
        self._judged, self._look_at, self._undecided = reading, now + LOOK_INTERVAL, False
        counts = self._readings.counts(reading)
        for watched, detector, rise in self._pools.values():
            seen = [counts[one.backend.slot] for one in watched]
            for index, (one, record, fresh) in enumerate(zip(watched, detector.records, seen, strict=True)):
                if fresh.failed != record.last.failed:
                    one.hurry()
                if one.health.recovered(rise):
                    detector.pardon(index, now)
                one.health.warm(now)
            for change in detector.look(seen, [self._usable(one) for one in watched], now):
                one, record = watched[change.backend], detector.records[change.backend]
                one.health.set_outlier_state(change.state, record.until, record.ejections)
                self._report(HealthChanged(one.backend.pool, one.backend.name, _WORDS[change.state], change.why))
            self._undecided |= detector.undecided

    def _usable(self, one: WatchedBackend) -> bool:
        return one.health.up and not is_drained(self._ledger.cells[state_at(SlotState.ADMIN, one.backend.slot)])


NOBODY = OutlierRules(consecutive=0, rate=0)


def rules_of(outlier: model.OutlierConfig) -> OutlierRules:
    """The configuration's words as the detector's."""
    return OutlierRules(
        outlier.consecutive,
        outlier.rate,
        outlier.requests,
        outlier.window,
        outlier.ejection,
        outlier.longest,
        outlier.share,
    )
