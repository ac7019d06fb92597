"""Readings of the ledger, and what they come to."""

from __future__ import annotations

import pytest

from lbproxy.balance.ledger import RETIRED, Ledger, PerSlot, cell_at
from lbproxy.control.readings import Readings, failed_between
from lbproxy.health.outlier import Counts
from tests.unit.control.backends import new_ledger


def readings_of(ledger: Ledger, slots: int) -> Readings:
    """Of two workers."""
    ledger.open_row(1)
    readings = Readings(ledger)
    readings.reach(slots)
    return readings


def test_counts_are_of_all_workers_and_of_the_dead() -> None:
    """Each kind where it belongs, by slot."""
    ledger = new_ledger()
    readings = readings_of(ledger, 3)
    for child, what, count in (
        (0, PerSlot.REQUESTS, 20),
        (1, PerSlot.REQUESTS, 10),
        (RETIRED, PerSlot.REQUESTS, 5),
        (0, PerSlot.IN_FLIGHT, 2),
        (1, PerSlot.GIVEN_UP, 1),
        (1, PerSlot.FAILURES, 3),
        (0, PerSlot.GATEWAY_ERRORS, 4),
        (RETIRED, PerSlot.SERVER_ERRORS, 5),
        (0, PerSlot.REFUSED_ANSWERS, 6),
    ):
        ledger.cells[cell_at(child, what, 2)] = count
    assert readings.counts(readings.take()) == [Counts(0, 0, 0), Counts(0, 0, 0), Counts(done=32, failed=7, errors=5, refused=6)]


@pytest.mark.parametrize("nonsense", [-1, 2**62])
def test_nonsense_of_a_worker_counts_for_nothing(nonsense: int) -> None:
    """Whoever took it over writes what he likes into its row."""
    ledger = new_ledger()
    readings = readings_of(ledger, 1)
    ledger.cells[cell_at(0, PerSlot.FAILURES, 0)] = nonsense
    ledger.cells[cell_at(1, PerSlot.FAILURES, 0)] = 2
    assert readings.counts(readings.take()) == [Counts(0, 2, 0)]


@pytest.mark.parametrize("what", list(PerSlot))
def test_failures_and_errors_are_told_from_the_rest(what: PerSlot) -> None:
    """By the bytes alone."""
    ledger = new_ledger()
    readings = readings_of(ledger, 2)
    before = readings.take()
    ledger.cells[cell_at(1, what, 1)] += 1
    bad = (PerSlot.FAILURES, PerSlot.GATEWAY_ERRORS, PerSlot.SERVER_ERRORS, PerSlot.REFUSED_ANSWERS)
    assert failed_between(before, readings.take()) is (what in bad)


def test_another_layout_has_no_reading_before() -> None:
    """More workers, or more backends."""
    ledger = new_ledger()
    readings = readings_of(ledger, 2)
    readings.take()
    readings.reach(3)
    assert readings.last == b""
    readings.take()
    ledger.open_row(2)
    assert len(readings.take()) == 7 * 4 * 3 * 8


def test_nothing_is_read_where_there_is_nothing() -> None:
    """No pool, no slot."""
    readings = Readings(new_ledger())
    assert readings.counts(readings.take()) == []
