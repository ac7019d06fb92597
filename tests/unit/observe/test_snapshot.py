from __future__ import annotations

from lbproxy import __version__
from lbproxy.balance.ledger import HealthState, PerSlot, Scalar, SlotState, admin_cell, cell_at, scalar_at, state_at
from lbproxy.config import model
from lbproxy.observe.snapshot import facts, snapshot, totals
from tests.unit.control.backends import new_ledger, pool_of, resolved

OFF = model.HealthConfig(type="off")


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
    assert (found.h2_open, found.h2_live) == (Scalar.H2_OPEN, Scalar.H2_LIVE)
    assert found.requests == sum(found.statuses)
    assert found.statuses == tuple(
        2 * scalar + 100 for scalar in (*range(Scalar.STATUS_1XX, Scalar.STATUS_5XX + 1), Scalar.STATUS_OTHER)
    )
    assert (found.bytes_in, found.bytes_out) == (2 * Scalar.BYTES_IN + 100, 2 * Scalar.BYTES_OUT + 100)
    assert (found.retries, found.access_dropped) == (2 * Scalar.RETRIES + 100, 2 * Scalar.ACCESS_DROPPED + 100)
    assert (found.accepted, found.client_aborts) == (2 * Scalar.ACCEPTED + 100, 2 * Scalar.CLIENT_ABORTS + 100)
    assert sum(found.failed_handshakes) >= found.handshake_failures
    assert (found.handshakes, found.handshake_failures) == (
        2 * Scalar.HANDSHAKES + 100,
        2 * Scalar.HANDSHAKE_FAILURES + 100,
    )
    assert len(found.latency) == 24
    scalars = (
        *range(Scalar.REFUSED_ADDRESS, Scalar.DENIED_CONCURRENCY + 1),
        *range(Scalar.PROXY_STRANGERS, Scalar.PROXY_TIMEOUTS + 1),
    )
    refused = [2 * scalar + 100 for scalar in scalars]
    assert [*found.refused_requests, *found.refused_connections] == refused
    assert (found.latency[0], found.latency[23]) == (2 * Scalar.LATENCY + 100, 14)


def test_facts_of_each_backend_come_from_its_own_slot() -> None:
    """Whatever the order of slots; sums over children equal the ledger's own."""
    ledger = new_ledger()
    backends = [*reversed(resolved(pool_of("api", 1, 2, 3, health=OFF), first_slot=40))]
    for child in range(3):
        ledger.open_row(child)
        for what in PerSlot:
            for backend in backends:
                ledger.cells[cell_at(child, what, backend.slot)] = 1000 * child + 10 * backend.slot + what
    ledger.cells[state_at(SlotState.HEALTH, 41)] = HealthState.UP
    ledger.cells[state_at(SlotState.HEALTH_SINCE_MS, 41)] = 1_500
    ledger.cells[state_at(SlotState.ADMIN, 42)] = admin_cell(True, None)
    ledger.cells[state_at(SlotState.CHECKS, 42)] = 9
    ledger.cells[state_at(SlotState.CHECK_FAILURES, 42)] = 4
    found = facts(ledger, backends)
    assert [fact.name for fact in found] == ["127.0.0.1:3", "127.0.0.1:2", "127.0.0.1:1"]
    for backend, fact in zip(backends, found, strict=True):
        expected = tuple(ledger.slot_total(what, backend.slot) for what in list(PerSlot)[:5])
        assert (fact.in_flight, fact.queued, fact.requests, fact.failures, fact.connects) == expected
    assert [(fact.health, fact.health_since, fact.drained) for fact in found] == [
        ("unknown", 0.0, True),
        ("up", 1.5, False),
        ("unknown", 0.0, False),
    ]
    assert (found[0].checks, found[0].check_failures) == (9, 4)
    assert facts(ledger, []) == ()


def test_an_operators_weight_is_the_one_that_counts() -> None:
    """The configured one is told beside it; 0 is a weight, and draining changes none."""
    ledger = new_ledger()
    backends = resolved(pool_of("api", 1, 2, 3, health=OFF))
    for backend, orders in zip(backends, (admin_cell(False, 7), admin_cell(True, 0), admin_cell(True, None)), strict=True):
        ledger.cells[state_at(SlotState.ADMIN, backend.slot)] = orders
        ledger.cells[state_at(SlotState.HEALTH, backend.slot)] = HealthState.UP
    found = facts(ledger, backends)
    assert [(fact.weight, fact.configured_weight, fact.drained, fact.usable) for fact in found] == [
        (7, 1, False, True),
        (0, 1, True, False),
        (1, 1, True, False),
    ]


def test_a_snapshot_holds_all_pools_in_their_order() -> None:
    """With version, generation and times."""
    backends = [*resolved(pool_of("z", 1, health=OFF)), *resolved(pool_of("a", 2, 3, health=OFF), first_slot=1)]
    taken = snapshot(new_ledger(), backends, generation=3, started=5.0, now=65.0)
    assert (taken.version, taken.generation, taken.started, taken.taken) == (__version__, 3, 5.0, 65.0)
    assert {name: len(backends) for name, backends in taken.pools().items()} == {"z": 1, "a": 2}
    assert list(taken.pools()) == ["z", "a"]


def test_the_queue_of_a_pool_that_moves_is_shown_at_its_first_backend() -> None:
    """It stands in a slot of its own, as backends come and go."""
    ledger = new_ledger()
    ledger.open_row(0)
    backends = [backend._replace(pool_slot=50) for backend in resolved(pool_of("api", 1, 2, health=OFF), first_slot=40)]
    ledger.cells[cell_at(0, PerSlot.QUEUED, 50)] = 5
    assert [fact.queued for fact in facts(ledger, backends)] == [5, 0]
    assert [fact.written for fact in facts(ledger, backends)] == ["127.0.0.1:1", "127.0.0.1:2"]
