"""Whether a worker has its share of the connections, read off the ledger."""

from __future__ import annotations

import mmap

import pytest

from lbproxy.balance.ledger import SIZE, Ledger, Scalar, scalar_at
from lbproxy.net.listener import Room
from lbproxy.worker.gate import SLACK, Gate


def ledger_of(*workers: tuple[int, bool]) -> Ledger:
    """Rows with (connections, accepting)."""
    ledger = Ledger(mmap.mmap(-1, SIZE))
    for child, (connections, accepting) in enumerate(workers):
        ledger.open_row(child)
        ledger.cells[scalar_at(child, Scalar.CONNECTIONS)] = connections
        ledger.cells[scalar_at(child, Scalar.ACCEPTING)] = accepting
    return ledger


@pytest.mark.parametrize(("workers", "room"), [
    ([(0, True)], Room.PLENTY),
    ([(999, True)], Room.PLENTY),  # alone: nobody to leave them to
    ([(1000, True)], Room.FULL),
    ([(1001, True), (0, True)], Room.FULL),
    ([(SLACK, True), (0, True)], Room.PLENTY),  # so few never matter
    ([(100, True), (100, True)], Room.PLENTY),
    ([(120, True), (100, True)], Room.PLENTY),
    ([(200, True), (100, True)], Room.CROWDED),
    ([(100, True), (200, True)], Room.PLENTY),
    ([(20, True), (0, True), (0, True)], Room.CROWDED),
    ([(100, True), (5, False)], Room.PLENTY),  # the other one drains: it takes none
    ([(100, True), (300, False), (20, True)], Room.CROWDED),  # what a draining one holds is no reason to take more
])  # fmt: skip
def test_room(workers: list[tuple[int, bool]], room: Room) -> None:
    assert Gate(ledger_of(*workers), 0, 1000).room() is room


def test_workers_that_come_later_count() -> None:
    ledger = ledger_of((100, True))
    gate = Gate(ledger, 0, 1000)
    assert gate.room() is Room.PLENTY
    ledger.open_row(1)
    ledger.cells[scalar_at(1, Scalar.ACCEPTING)] = 1
    assert gate.room() is Room.CROWDED
    ledger.cells[scalar_at(1, Scalar.ACCEPTING)] = 0
    assert gate.room() is Room.PLENTY
