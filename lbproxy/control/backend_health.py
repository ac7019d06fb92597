"""A backend's health in the ledger: what checks and traffic say of it, put together into the one value that picks go by.

    checks say      traffic says    the ledger says
    down            anything        DOWN
    unknown, up     ejected         EJECTED
    unknown, up     trial           TRIAL
    unknown         fit             UNKNOWN
    up              fit             UP, or WARMING for a while after an outage

This process is the only writer. One that replaces another goes on from what the ledger says: nothing is unknown for a moment.
"""

from __future__ import annotations

import time

from lbproxy.balance.ledger import HealthState, Ledger, SlotState, Spoken, counted, state_at
from lbproxy.health.outcome import ProbeFinding, number_of
from lbproxy.health.outlier import OutlierState
from lbproxy.health.rise_and_fall import CheckState
from lbproxy.health.warming import share

LONGEST = 86400.0
MOST_EJECTIONS = 10_000
"""What the process before us can have left; `outlier` has limits of its own, far below."""

_OF_TRAFFIC = {OutlierState.EJECTED: HealthState.EJECTED, OutlierState.TRIAL: HealthState.TRIAL}
_OF_CHECKS = {CheckState.UNKNOWN: HealthState.UNKNOWN, CheckState.UP: HealthState.UP, CheckState.DOWN: HealthState.DOWN}
_CHECK_STATES = {HealthState.UNKNOWN: CheckState.UNKNOWN, HealthState.DOWN: CheckState.DOWN}
_OUTLIER_STATES = {HealthState.EJECTED: OutlierState.EJECTED, HealthState.TRIAL: OutlierState.TRIAL}


class BackendHealth:
    """What is known of one backend's health; what it comes to is written into the ledger at once."""

    def __init__(self, ledger: Ledger, slot: int, slow_start: float = 0.0, *, newcomer: bool = False) -> None:
        """`slow_start`: seconds, 0 for none; `newcomer`: it joins a pool that serves already, so its first time up is slow, too."""
        self._cells = ledger.cells
        self._slot = slot
        self._slow_start = slow_start
        health = ledger.health(slot)
        self.check_state = _CHECK_STATES.get(health, CheckState.UP)
        self.outlier_state = _OUTLIER_STATES.get(health, OutlierState.FIT)
        self._relapsed = False
        """Since its outlier state changed a check has failed, or had it down by then."""
        self._passes = 0
        """Checks in a row that passed after that."""
        self.until = min(self._get(SlotState.EJECTED_UNTIL_MS) / 1000, time.monotonic() + LONGEST)
        self.ejections = min(max(0, self._get(SlotState.EJECTIONS)), MOST_EJECTIONS)
        self._newcomer = newcomer and health is HealthState.UNKNOWN
        self._warm_at = 0.0
        if health is HealthState.WARMING:
            self._warm_at = time.monotonic() + slow_start * (1 - min(max(0, self._get(SlotState.SHARE)), 100) / 100)

    @property
    def up(self) -> bool:
        """As far as checks know, requests may go there."""
        return self.check_state is not CheckState.DOWN

    def set_check_state(self, state: CheckState, finding: ProbeFinding) -> None:
        """The checks say another thing than before."""
        outage = self.check_state is CheckState.DOWN or self._newcomer
        self.check_state = state
        self._newcomer = False
        if state is CheckState.UP and outage:
            self._begin_slowly()
        self._set(SlotState.REACHABLE, int(finding.reached))
        self._set(SlotState.WHY, number_of(finding))
        self._publish()

    def doubted(self) -> None:
        """It was down, and so was the whole pool: nobody knows any more, and it takes part until its next check."""
        self.check_state = CheckState.UNKNOWN
        self._newcomer = True
        self._publish()

    def heard(self, minor: int) -> None:
        """It answers a check as HTTP/1.minor."""
        self._set(SlotState.SPOKEN, Spoken.CURRENT if minor else Spoken.OLD)

    def asked_next(self, seconds: float) -> None:
        """When its next check begins; wall clock."""
        self._set(SlotState.NEXT_CHECK_MS, round(seconds * 1000))

    def counted(self, finding: ProbeFinding) -> None:
        """One check."""
        self._set(SlotState.WHY, number_of(finding))
        self._set(SlotState.CHECKS, counted(self._get(SlotState.CHECKS)) + 1)
        if finding.passed:
            self._passes += self._relapsed
        else:
            self._relapsed, self._passes = True, 0
            self._set(SlotState.CHECK_FAILURES, counted(self._get(SlotState.CHECK_FAILURES)) + 1)
        self._publish()  # whatever somebody else wrote there

    def recovered(self, rise: int) -> bool:
        """It was ejected, its checks saw why, and `rise` in a row have passed since.

        A backend that is only restarted refuses a few connections and is well a second later. Where checks pass all the while, they
        do not see what it was ejected for, and say nothing about whether that is over.
        """
        return self.outlier_state is OutlierState.EJECTED and self._passes >= rise

    def set_outlier_state(self, state: OutlierState, until: float, ejections: int) -> None:
        """Traffic says another thing than before; `until`: monotonic seconds."""
        if state is OutlierState.FIT and self.outlier_state is not OutlierState.FIT:
            self._begin_slowly()
        self.outlier_state, self.until, self.ejections = state, until, ejections
        self._relapsed, self._passes = self.check_state is CheckState.DOWN, 0  # its checks may have seen it first
        self._set(SlotState.EJECTED_UNTIL_MS, round(until * 1000))
        self._set(SlotState.EJECTIONS, ejections)
        self._publish()

    def warm(self, now: float) -> None:
        """Time passed: a slow start goes on, or is over."""
        if not self._warm_at:
            return
        if now >= self._warm_at:
            self._warm_at = 0.0
            self._publish()
        else:
            self._set(SlotState.SHARE, share(self._warm_at - now, self._slow_start))

    def _begin_slowly(self) -> None:
        if self._slow_start:
            now = time.monotonic()
            self._warm_at = now + self._slow_start
            self._set(SlotState.SHARE, share(self._slow_start, self._slow_start))

    def _publish(self) -> None:
        value = _OF_CHECKS[self.check_state]
        if value is not HealthState.DOWN and self.outlier_state in _OF_TRAFFIC:
            value = _OF_TRAFFIC[self.outlier_state]
        elif value is HealthState.UP and self._warm_at:
            value = HealthState.WARMING
        if value != self._get(SlotState.HEALTH):
            self._set(SlotState.HEALTH_SINCE_MS, time.time_ns() // 1_000_000)
            self._set(SlotState.HEALTH, value)

    def _get(self, state: SlotState) -> int:
        return self._cells[state_at(state, self._slot)]

    def _set(self, state: SlotState, value: int) -> None:
        self._cells[state_at(state, self._slot)] = value
