"""Checks and traffic put together."""

from __future__ import annotations

import time

import pytest

from lbproxy.balance.ledger import Health, SlotState, state_at
from lbproxy.control.fitness import Fitness
from lbproxy.health.outcome import PASSED, Finding, Outcome
from lbproxy.health.outlier import Standing
from lbproxy.health.verdict import State
from tests.unit.control.backends import new_ledger

REFUSED = Finding(Outcome.REFUSED)


@pytest.mark.parametrize(
    ("verdict", "standing", "health"),
    [
        (State.UNKNOWN, Standing.FIT, Health.UNKNOWN),
        (State.UNKNOWN, Standing.EJECTED, Health.EJECTED),
        (State.UP, Standing.FIT, Health.UP),
        (State.UP, Standing.EJECTED, Health.EJECTED),
        (State.UP, Standing.TRIAL, Health.TRIAL),
        (State.DOWN, Standing.FIT, Health.DOWN),
        (State.DOWN, Standing.EJECTED, Health.DOWN),
    ],
)
def test_table(verdict: State, standing: Standing, health: Health) -> None:
    """In either order; and a process that takes over finds the same."""
    for checks_first in (True, False):
        ledger = new_ledger()
        fitness = Fitness(ledger, 3)
        for checks in (checks_first, not checks_first):
            if checks and verdict is not State.UNKNOWN:
                fitness.judged(verdict, PASSED if verdict is State.UP else REFUSED)
            elif not checks and standing is not Standing.FIT:
                fitness.stands(standing, 77.5, 2)
        assert ledger.health(3) is health
        heir = Fitness(ledger, 3)
        if health not in (Health.DOWN, Health.UNKNOWN):
            assert (heir.verdict, heir.standing) == (State.UP, standing)
        if standing is not Standing.FIT:
            assert (heir.until, heir.ejections) == (77.5, 2)


def test_reachable() -> None:
    """Down by an answer, or not there at all."""
    ledger = new_ledger()
    fitness = Fitness(ledger, 0)
    for finding, reachable in ((Finding(Outcome.BAD_STATUS, "503"), 1), (REFUSED, 0), (Finding(Outcome.RESPONSE_TIMEOUT), 0)):
        fitness.judged(State.DOWN, finding)
        assert ledger.cells[state_at(SlotState.REACHABLE, 0)] == reachable


def test_slow_start_after_an_outage_only() -> None:
    """Not at a cold start; then from a tenth on, until the time is over; a process that takes over goes on."""
    ledger = new_ledger()
    fitness = Fitness(ledger, 0, 30.0)
    fitness.judged(State.UP, PASSED)
    assert ledger.health(0) is Health.UP
    fitness.judged(State.DOWN, REFUSED)
    fitness.judged(State.UP, PASSED)
    assert ledger.health(0) is Health.WARMING
    share = state_at(SlotState.SHARE, 0)
    assert ledger.cells[share] == 10
    now = time.monotonic()
    fitness.warm(now + 15)
    assert 54 <= ledger.cells[share] <= 56
    heir = Fitness(ledger, 0, 30.0)
    assert ledger.health(0) is Health.WARMING
    heir.warm(now + 12)
    assert ledger.health(0) is Health.WARMING
    heir.warm(now + 31)
    assert ledger.health(0) is Health.UP


def test_slow_start_of_a_newcomer_and_after_a_trial() -> None:
    """Who joins a pool that serves, and who was ejected."""
    ledger = new_ledger()
    Fitness(ledger, 0, 30.0, newcomer=True).judged(State.UP, PASSED)
    assert ledger.health(0) is Health.WARMING
    fitness = Fitness(ledger, 1, 30.0)
    fitness.judged(State.UP, PASSED)
    for standing in (Standing.EJECTED, Standing.TRIAL, Standing.FIT):
        fitness.stands(standing, 0.0, 1)
    assert ledger.health(1) is Health.WARMING
    without = Fitness(ledger, 2)
    without.judged(State.DOWN, REFUSED)
    without.judged(State.UP, PASSED)
    assert ledger.health(2) is Health.UP


def test_recovered() -> None:
    """Its checks failed while it was ejected, and then passed as often as it takes."""
    fitness = Fitness(new_ledger(), 0)
    for finding in (REFUSED, PASSED, PASSED):
        fitness.counted(finding)
    fitness.stands(Standing.EJECTED, 77.5, 1)
    assert not fitness.recovered(2), "that was before"
    for _ in range(9):
        fitness.counted(PASSED)
    assert not fitness.recovered(2), "its checks see nothing of what it was ejected for"
    for finding in (REFUSED, PASSED, REFUSED, PASSED):
        fitness.counted(finding)
        assert not fitness.recovered(2)
    fitness.counted(PASSED)
    assert fitness.recovered(2)
    fitness.stands(Standing.TRIAL, 77.5, 1)
    assert not fitness.recovered(2)


def test_recovered_from_what_checks_saw_first() -> None:
    """They had it down when traffic had enough of it, and it was back before another one failed."""
    fitness = Fitness(new_ledger(), 0)
    fitness.judged(State.DOWN, REFUSED)
    fitness.stands(Standing.EJECTED, 77.5, 1)
    fitness.counted(PASSED)
    assert not fitness.recovered(2)
    fitness.counted(PASSED)
    assert fitness.recovered(2)
