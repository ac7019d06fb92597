from __future__ import annotations

import socket
import time

from lbproxy import __version__
from lbproxy.balance.ledger import Admin, Column, Health, PerBackend, Scalar, cell_at, column_at, scalar_at
from lbproxy.config import model
from lbproxy.control.snapshot import facts, snapshot, totals
from tests.unit.control.backends import handover, new_ledger, pool_of, resolved

OFF = model.Health(type="off")


def test_totals_add_up_the_living_and_the_dead() -> None:
    """Counters of a retired row stay, its gauges go."""
    ledger = new_ledger()
    for child in (0, 1):
        ledger.open_row(child)
        for scalar in Scalar:
            if scalar is not Scalar.LAST_COUNTER:
                ledger.cells[scalar_at(child, scalar)] = int(scalar) + 100 * child
        ledger.cells[scalar_at(child, Scalar.LATENCY + 23)] = 7
    ledger.retire_row(1)
    found = totals(ledger)
    assert found.connections == Scalar.CONNECTIONS
    assert found.live_requests == Scalar.LIVE_REQUESTS
    assert found.accepting == Scalar.ACCEPTING
    assert found.requests == sum(found.statuses)
    assert found.statuses == tuple(2 * scalar + 100 for scalar in range(Scalar.STATUS_1XX, Scalar.STATUS_5XX + 1))
    assert (found.bytes_in, found.bytes_out) == (2 * Scalar.BYTES_IN + 100, 2 * Scalar.BYTES_OUT + 100)
    assert (found.retries, found.access_dropped) == (2 * Scalar.RETRIES + 100, 2 * Scalar.ACCESS_DROPPED + 100)
    assert (found.accepted, found.client_aborts) == (2 * Scalar.ACCEPTED + 100, 2 * Scalar.CLIENT_ABORTS + 100)
    assert (found.handshakes, found.handshake_failures) == (
        2 * Scalar.HANDSHAKES + 100,
        2 * Scalar.HANDSHAKE_FAILURES + 100,
    )
    assert len(found.latency) == 24
    assert (found.latency[0], found.latency[23]) == (2 * Scalar.LATENCY + 100, 14)


def test_facts_of_each_backend_come_from_its_own_slot() -> None:
    """Whatever the order of slots; sums over children equal the ledger's own."""
    ledger = new_ledger()
    backends = [*reversed(resolved(pool_of("api", 1, 2, 3, health=OFF), first_slot=40))]
    for child in range(3):
        ledger.open_row(child)
        for what in PerBackend:
            for backend in backends:
                ledger.cells[cell_at(child, what, backend.slot)] = 1000 * child + 10 * backend.slot + what
    ledger.cells[column_at(Column.HEALTH, 41)] = Health.UP
    ledger.cells[column_at(Column.HEALTH_SINCE_MS, 41)] = 1_500
    ledger.cells[column_at(Column.ADMIN, 42)] = Admin.DRAINED
    ledger.cells[column_at(Column.CHECKS, 42)] = 9
    ledger.cells[column_at(Column.CHECK_FAILURES, 42)] = 4
    found = facts(ledger, backends)
    assert [fact.name for fact in found] == ["127.0.0.1:3", "127.0.0.1:2", "127.0.0.1:1"]
    for backend, fact in zip(backends, found, strict=True):
        expected = tuple(ledger.backend_total(what, backend.slot) for what in PerBackend)
        assert (fact.in_flight, fact.queued, fact.requests, fact.failures, fact.connects) == expected
    assert [(fact.health, fact.health_since, fact.drained) for fact in found] == [
        ("unknown", 0.0, True),
        ("up", 1.5, False),
        ("unknown", 0.0, False),
    ]
    assert (found[0].checks, found[0].check_failures) == (9, 4)
    assert facts(ledger, []) == ()


def test_a_snapshot_holds_all_pools_in_their_order() -> None:
    """With version, generation and times."""
    mine, theirs = socket.socketpair()
    with mine, theirs:
        pools = (pool_of("z", 1, health=OFF), pool_of("a", 2, 3, health=OFF))
        before = time.time()
        taken = snapshot(handover(*pools, ledger=new_ledger(), pipe=theirs), started=before)
    assert (taken.version, taken.generation, taken.started) == (__version__, 3, before)
    assert before <= taken.taken <= time.time()
    assert {name: len(backends) for name, backends in taken.pools().items()} == {"z": 1, "a": 2}
    assert list(taken.pools()) == ["z", "a"]
