"""A worker that was taken over writes what it likes wherever it can: nobody else hangs, raises, or chooses whom he may not."""

from __future__ import annotations

import mmap
import random
from typing import NamedTuple

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lbproxy.balance.backend import Backend
from lbproxy.balance.lease import Lease
from lbproxy.balance.ledger import (
    COUNT_ROW_CELLS,
    RETIRED,
    WHOLE_SIZE,
    WORKERS_STATES,
    Header,
    HealthState,
    Ledger,
    PerSlot,
    PickLock,
    Scalar,
    SlotState,
    cell_at,
    rows_of,
    scalar_at,
    state_at,
)
from lbproxy.balance.pick_result import NoneAvailable
from lbproxy.balance.policies import make
from lbproxy.balance.policy import Ground, PickOutcome
from lbproxy.balance.pool import Pool
from lbproxy.balance.queued_pool import QueuedPool
from lbproxy.balance.selection import Preference
from lbproxy.balance.shared_queue import SharedQueue
from lbproxy.config.vocabulary import BALANCE
from lbproxy.filter.counts import CountTable
from lbproxy.filter.rates import SPAN, RateTable
from lbproxy.observe.metrics import exposition
from lbproxy.observe.snapshot import snapshot
from lbproxy.worker.accept.accept_balance import AcceptBalance
from lbproxy.worker.accept.connection_limit import ConnectionLimit
from tests.unit.balance.locks import Lock
from tests.unit.worker.accept.test_connection_limit import Woken

GOOD, BAD = 0, 1
LISTENER = 9
ALL = {0, 1, 2}

NUMBERS = st.one_of(
    st.sampled_from([-(2**63), -1, 0, 1, 2, 2**24, 2**32, 2**53, 2**62, 2**63 - 1]), st.integers(-(2**63), 2**63 - 1)
)
PLACES = st.one_of(
    st.builds(cell_at, st.just(BAD), st.sampled_from(PerSlot), st.sampled_from([0, 1, 2, LISTENER])),
    st.builds(scalar_at, st.just(BAD), st.integers(0, 63)),
    st.builds(state_at, st.sampled_from(SlotState), st.integers(0, 2)),
    st.sampled_from([Header.CHILDREN_HIGH, Header.GENERATION]),
)
WRITES = st.lists(st.tuples(PLACES, NUMBERS), max_size=30)
SPARSE = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])


class House(NamedTuple):
    """One good worker's view of a ledger that a bad one writes into."""

    ledger: Ledger
    pools: list[Pool]
    queueing: QueuedPool
    limit: ConnectionLimit
    balance: AcceptBalance
    backends: list[Backend]


def house() -> House:
    ledger = Ledger(mmap.mmap(-1, WHOLE_SIZE))
    lock = PickLock(Lock(), ledger, GOOD)
    limits = [5, 0, 3]
    backends = [Backend("app", f"b{at}", "h", "127.0.0.1", 80, at + 1, limit, at) for at, limit in enumerate(limits)]
    alike = [Backend("app", f"b{at}", "h", "127.0.0.1", 80, 1, 0, at) for at in range(3)]
    for child in (GOOD, BAD):
        ledger.open_row(child)
    for at in range(3):
        ledger.cells[state_at(SlotState.HEALTH, at)] = HealthState.UP
    ground = Ground(ledger.cells, [0, 1, 2], random.Random(1).random)
    policies = [make(name, ground) for name in BALANCE]
    pools = [Pool("app", some, ledger, lock, GOOD, policy, 50) for policy in policies for some in (backends, alike)]
    line = SharedQueue(ledger, GOOD, 0, 10, lambda: 0.0)
    queueing = QueuedPool("app", backends, ledger, lock, GOOD, None, 50, line, lambda child: None)
    limit = ConnectionLimit(ledger, lock, GOOD, LISTENER, 8, Woken())
    return House(ledger, pools, queueing, limit, AcceptBalance(ledger, GOOD, 1000, 65536, ()), backends)


SHARED = house()
"""One for all examples: what they leave behind is what they are about."""


@SPARSE
@given(WRITES)
def test_whatever_stands_in_the_ledger(written: list[tuple[int, int]]) -> None:
    """Picks by all policies, the queue, the limit of a listener, the accept balance, and what status and metrics say."""
    ledger = SHARED.ledger
    for place, number in written:
        ledger.cells[place] = number
    assert 0 <= rows_of(ledger.cells) <= RETIRED
    for pool in SHARED.pools:
        lease = pool.pick()
        if isinstance(lease, NoneAvailable):
            continue
        assert lease.slot in ALL
        lease.release()
    ticket = SHARED.queueing.join()
    if ticket:
        found = SHARED.queueing.pick((), Preference(ticket=ticket))
        if isinstance(found, Lease):
            found.release()
        SHARED.queueing.leave(0)
    SHARED.queueing.call_next()
    if SHARED.limit.acquire():
        SHARED.limit.release()
    SHARED.balance.room()
    exposition(snapshot(ledger, SHARED.backends, generation=1, started=0.0, now=1.0))
    ledger.verify()
    mine = ledger.cells[cell_at(GOOD, PerSlot.IN_FLIGHT, 0) : cell_at(GOOD, PerSlot.IN_FLIGHT, 3)].tolist()
    assert mine == [0, 0, 0]


@SPARSE
@given(WRITES)
def test_healthy_backends_are_found_whatever_a_worker_writes(written: list[tuple[int, int]]) -> None:
    """It has its row and the slots of turns and tickets, and no more: a pool without limits always has somebody to give."""
    owned = {state_at(state, at) for state in WORKERS_STATES for at in range(3)}
    row = range(scalar_at(BAD, 0), scalar_at(BAD + 1, 0))
    scene = SHARED
    for at in range(3):
        scene.ledger.cells[state_at(SlotState.HEALTH, at)] = HealthState.UP
        scene.ledger.cells[state_at(SlotState.ADMIN, at)] = 0
    scene.ledger.cells[Header.CHILDREN_HIGH] = 2
    for place, number in written:
        if place in row or place in owned:
            scene.ledger.cells[place] = number
    for pool in scene.pools:
        lease = pool.pick()
        assert isinstance(lease, Lease)
        if lease.told is not None:
            lease.told(0.1, PickOutcome.ANSWERED)
        lease.release()


@SPARSE
@given(WRITES)
def test_what_a_dead_worker_leaves(written: list[tuple[int, int]]) -> None:
    """Totals stay numbers that somebody can have counted, and no gauge outlives it."""
    ledger = SHARED.ledger
    for place, number in written:
        ledger.cells[place] = number
    ledger.retire_row(BAD)
    assert not any(ledger.cells[cell_at(BAD, what, at)] for what in PerSlot for at in range(3))
    assert ledger.total(Scalar.REQUESTS) >= 0
    assert all(count >= 0 for what in PerSlot for count in ledger.slot_totals(what, 3))


@SPARSE
@given(st.lists(st.tuples(st.integers(0, SPAN - 1), NUMBERS), max_size=20), st.integers(0, 2**62))
def test_what_clients_are_counted_in(written: list[tuple[int, int]], now: int) -> None:
    """A table that says nonsense refuses for as long as a full bucket takes, and no longer; the counts of others are at least 0."""
    ledger = SHARED.ledger
    rates, counts = RateTable(ledger.rates), CountTable(ledger.counts, COUNT_ROW_CELLS, GOOD)
    for place, number in written:
        ledger.rates[place] = number
        ledger.counts[BAD * COUNT_ROW_CELLS + place] = number
    wait = rates.take(0, 7, now, 1000, 5)
    assert 0 <= wait <= 1000
    ticket = counts.take(0, 7, 1, [GOOD, BAD])
    if ticket != -1:
        counts.give(ticket, 7)


def test_a_lock_that_never_comes_is_waited_for_once() -> None:
    """Somebody holds it for ever: each pick goes on without, and takes it up again when it is free."""
    ledger = Ledger(mmap.mmap(-1, WHOLE_SIZE))
    raw = Lock()
    lock = PickLock(raw, ledger, GOOD)
    raw.held = True
    for _ in range(100):
        with lock:
            pass
    assert raw.waits == [PickLock.PATIENCE]
    raw.held = False
    with lock:
        assert raw.held
    assert not raw.held


def test_who_claims_to_have_waited_longest_does_not_keep_others_from_a_place() -> None:
    """For longer than it takes to find out that he does not take it."""
    ledger = Ledger(mmap.mmap(-1, WHOLE_SIZE))
    now = [100.0]
    backends = [Backend("app", "b", "h", "127.0.0.1", 80, 1, 1, 0)]
    ledger.cells[state_at(SlotState.HEALTH, 0)] = HealthState.UP
    for child in (GOOD, BAD):
        ledger.open_row(child)
    line = SharedQueue(ledger, GOOD, 0, 10, lambda: now[0])
    lock = PickLock(Lock(), ledger, GOOD)
    pool = QueuedPool("app", backends, ledger, lock, GOOD, None, 0, line, lambda child: None)
    ledger.cells[state_at(SlotState.TICKET, 0)] = 50
    ledger.cells[cell_at(BAD, PerSlot.LINE_HEAD, 0)] = 1
    ticket = pool.join()
    assert isinstance(pool.pick((), Preference(ticket=ticket)), NoneAvailable)
    ledger.cells[cell_at(BAD, PerSlot.LINE_HEAD, 0)] = 2
    now[0] += 0.9
    assert isinstance(pool.pick((), Preference(ticket=ticket)), NoneAvailable)
    now[0] += 0.2
    lease = pool.pick((), Preference(ticket=ticket))
    assert isinstance(lease, Lease)
    now[0] += 5
    assert pool.pick((), Preference(ticket=ticket)) == NoneAvailable("pool_full"), "the limit holds nevertheless"
    lease.release()
    assert isinstance(pool.pick((), Preference(ticket=ticket)), NoneAvailable), "it is measured anew"
