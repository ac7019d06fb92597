"""Checks and traffic put together."""

from __future__ import annotations

import time

import pytest

from lbproxy.balance.ledger import HealthState, SlotState, state_at
from lbproxy.control.backend_health import BackendHealth
from lbproxy.health.outcome import PASSED, ProbeFinding, ProbeOutcome
from lbproxy.health.outlier import OutlierState
from lbproxy.health.rise_and_fall import CheckState
from tests.unit.control.backends import new_ledger

REFUSED = ProbeFinding(ProbeOutcome.REFUSED)


@pytest.mark.parametrize(
    ("verdict", "state", "health"),
    [
        (CheckState.UNKNOWN, OutlierState.FIT, HealthState.UNKNOWN),
        (CheckState.UNKNOWN, OutlierState.EJECTED, HealthState.EJECTED),
        (CheckState.UP, OutlierState.FIT, HealthState.UP),
        (CheckState.UP, OutlierState.EJECTED, HealthState.EJECTED),
        (CheckState.UP, OutlierState.TRIAL, HealthState.TRIAL),
        (CheckState.DOWN, OutlierState.FIT, HealthState.DOWN),
        (CheckState.DOWN, OutlierState.EJECTED, HealthState.DOWN),
    ],
)
def test_table(verdict: CheckState, state: OutlierState, health: HealthState) -> None:
    """In either order; and a process that takes over finds the same."""
    for checks_first in (True, False):
        ledger = new_ledger()
        backend = BackendHealth(ledger, 3)
        for checks in (checks_first, not checks_first):
            if checks and verdict is not CheckState.UNKNOWN:
                backend.set_check_state(verdict, PASSED if verdict is CheckState.UP else REFUSED)
            elif not checks and state is not OutlierState.FIT:
                backend.set_outlier_state(state, 77.5, 2)
        assert ledger.health(3) is health
        heir = BackendHealth(ledger, 3)
        if health not in (HealthState.DOWN, HealthState.UNKNOWN):
            assert (heir.check_state, heir.outlier_state) == (CheckState.UP, state)
        if state is not OutlierState.FIT:
            assert (heir.until, heir.ejections) == (77.5, 2)


def test_reachable() -> None:
    """Down by an answer, or not there at all."""
    ledger = new_ledger()
    health = BackendHealth(ledger, 0)
    for finding, reachable in (
        (ProbeFinding(ProbeOutcome.BAD_STATUS, "503"), 1),
        (REFUSED, 0),
        (ProbeFinding(ProbeOutcome.RESPONSE_TIMEOUT), 0),
    ):
        health.set_check_state(CheckState.DOWN, finding)
        assert ledger.cells[state_at(SlotState.REACHABLE, 0)] == reachable


def test_slow_start_after_an_outage_only() -> None:
    """Not at a cold start; then from a tenth on, until the time is over; a process that takes over goes on."""
    ledger = new_ledger()
    health = BackendHealth(ledger, 0, 30.0)
    health.set_check_state(CheckState.UP, PASSED)
    assert ledger.health(0) is HealthState.UP
    health.set_check_state(CheckState.DOWN, REFUSED)
    health.set_check_state(CheckState.UP, PASSED)
    assert ledger.health(0) is HealthState.WARMING
    share = state_at(SlotState.SHARE, 0)
    assert ledger.cells[share] == 10
    now = time.monotonic()
    health.warm(now + 15)
    assert 54 <= ledger.cells[share] <= 56
    heir = BackendHealth(ledger, 0, 30.0)
    assert ledger.health(0) is HealthState.WARMING
    heir.warm(now + 12)
    assert ledger.health(0) is HealthState.WARMING
    heir.warm(now + 31)
    assert ledger.health(0) is HealthState.UP


def test_slow_start_of_a_newcomer_and_after_a_trial() -> None:
    """Who joins a pool that serves, and who was ejected."""
    ledger = new_ledger()
    BackendHealth(ledger, 0, 30.0, newcomer=True).set_check_state(CheckState.UP, PASSED)
    assert ledger.health(0) is HealthState.WARMING
    health = BackendHealth(ledger, 1, 30.0)
    health.set_check_state(CheckState.UP, PASSED)
    for state in (OutlierState.EJECTED, OutlierState.TRIAL, OutlierState.FIT):
        health.set_outlier_state(state, 0.0, 1)
    assert ledger.health(1) is HealthState.WARMING
    without = BackendHealth(ledger, 2)
    without.set_check_state(CheckState.DOWN, REFUSED)
    without.set_check_state(CheckState.UP, PASSED)
    assert ledger.health(2) is HealthState.UP


def test_recovered() -> None:
    """Its checks failed while it was ejected, and then passed as often as it takes."""
    health = BackendHealth(new_ledger(), 0)
    for finding in (REFUSED, PASSED, PASSED):
        health.counted(finding)
    health.set_outlier_state(OutlierState.EJECTED, 77.5, 1)
    assert not health.recovered(2), "that was before"
    for _ in range(9):
        health.counted(PASSED)
    assert not health.recovered(2), "its checks see nothing of what it was ejected for"
    for finding in (REFUSED, PASSED, REFUSED, PASSED):
        health.counted(finding)
        assert not health.recovered(2)
    health.counted(PASSED)
    assert health.recovered(2)
    health.set_outlier_state(OutlierState.TRIAL, 77.5, 1)
    assert not health.recovered(2)


def test_recovered_from_what_checks_saw_first() -> None:
    """They had it down when traffic had enough of it, and it was back before another one failed."""
    health = BackendHealth(new_ledger(), 0)
    health.set_check_state(CheckState.DOWN, REFUSED)
    health.set_outlier_state(OutlierState.EJECTED, 77.5, 1)
    health.counted(PASSED)
    assert not health.recovered(2)
    health.counted(PASSED)
    assert health.recovered(2)
