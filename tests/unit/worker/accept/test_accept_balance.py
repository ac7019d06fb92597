"""Whether a worker has its share of the connections, read off the ledger."""

from __future__ import annotations

import mmap

import pytest

from lbproxy.balance.ledger import SIZE, Ledger, Scalar, scalar_at
from lbproxy.net.listener import Room
from lbproxy.worker.accept.accept_balance import SLACK, AcceptBalance


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
    ([(200, True), (100, True)], Room.ABOVE_SHARE),
    ([(100, True), (200, True)], Room.PLENTY),
    ([(20, True), (0, True), (0, True)], Room.ABOVE_SHARE),
    ([(100, True), (5, False)], Room.PLENTY),  # the other one drains: it takes none
    ([(100, True), (300, False), (20, True)], Room.ABOVE_SHARE),  # what a draining one holds is no reason to take more
])  # fmt: skip
def test_room(workers: list[tuple[int, bool]], room: Room) -> None:
    assert AcceptBalance(ledger_of(*workers), 0, 1000, 65536, ()).room() is room


def test_workers_that_come_later_count() -> None:
    ledger = ledger_of((100, True))
    balance = AcceptBalance(ledger, 0, 1000, 65536, ())
    assert balance.room() is Room.PLENTY
    ledger.open_row(1)
    ledger.cells[scalar_at(1, Scalar.ACCEPTING)] = 1
    assert balance.room() is Room.ABOVE_SHARE
    ledger.cells[scalar_at(1, Scalar.ACCEPTING)] = 0
    assert balance.room() is Room.PLENTY


@pytest.mark.parametrize(("connections", "live", "streams", "room"), [
    (95, 0, 95, Room.PLENTY),
    (96, 0, 96, Room.FULL),  # each of them may need one for a backend
    (90, 90, 180, Room.PLENTY),  # and has it already
    (10, 0, 200, Room.FULL),  # idle ones to backends, and some that are being finished
    (10, 10, 191, Room.PLENTY),
    (10, 10, 192, Room.FULL),
])  # fmt: skip
def test_descriptors_are_kept_for_the_way_to_backends(connections: int, live: int, streams: int, room: Room) -> None:
    """`ulimit -n 256`: 64 are for everything else."""
    ledger = ledger_of((connections, True))
    ledger.cells[scalar_at(0, Scalar.LIVE_REQUESTS)] = live
    balance = AcceptBalance(ledger, 0, 10_000, 256, range(streams))
    assert balance.room() is room
    assert balance.scarce() is (room is Room.FULL)


def test_the_configured_ceiling_is_no_scarcity() -> None:
    balance = AcceptBalance(ledger_of((500, True)), 0, 500, 65536, range(500))
    assert balance.room() is Room.FULL
    assert not balance.scarce()


def test_with_next_to_none_one_is_served() -> None:
    balance = AcceptBalance(ledger_of((0, True)), 0, 10_000, 10, ())
    assert balance.room() is Room.PLENTY
