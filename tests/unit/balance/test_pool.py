"""Picks of many workers over one ledger: exact, fair, and gone without a trace when given back."""

from __future__ import annotations

import multiprocessing
import threading
from collections import Counter
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbproxy.balance.backend import Backend
from lbproxy.balance.lease import Lease
from lbproxy.balance.ledger import SIZE, Header, HealthState, Ledger, PerSlot, PickLock, Scalar, SlotState, admin_cell, state_at
from lbproxy.balance.pick_result import ASK, NoneAvailable
from lbproxy.balance.pool import Pool
from lbproxy.balance.round_robin import RoundRobin
from lbproxy.balance.selection import Preference
from lbproxy.balance.smooth_round_robin import SmoothRoundRobin
from tests.unit.balance.locks import Lock

FIRST_SLOT = 5
"""So that indexes and slots are not the same numbers."""


class Workers:
    """Several workers' pools over one ledger, and what a reader of the ledger should see."""

    def __init__(self, workers: int, weights: list[int], limits: list[int] | None = None, up: bool = True) -> None:
        self.ledger = Ledger(bytearray(SIZE))
        self.lock = Lock()
        limits = limits or [0] * len(weights)
        self.backends = [
            Backend("app", f"app{at}", "app.internal", "127.0.0.1", 9000 + at, weight, limit, FIRST_SLOT + at)
            for at, (weight, limit) in enumerate(zip(weights, limits, strict=True))
        ]
        self.health = [HealthState.UP if up else HealthState.UNKNOWN] * len(weights)
        self.drained = [False] * len(weights)
        self.weights: list[int | None] = [None] * len(weights)
        """As an operator ordered them."""
        for at in range(len(weights)):
            self.set_health(at, self.health[at])
        for child in range(workers):
            self.ledger.open_row(child)
        self.pools = [
            Pool("app", self.backends, self.ledger, PickLock(self.lock, self.ledger, child), child) for child in range(workers)
        ]
        self.leases: list[Lease] = []

    def set_health(self, at: int, health: HealthState) -> None:
        self.health[at] = health
        self.ledger.cells[state_at(SlotState.HEALTH, FIRST_SLOT + at)] = health

    def order(self, at: int, drained: bool, weight: int | None = None) -> None:
        self.drained[at], self.weights[at] = drained, weight
        self.ledger.cells[state_at(SlotState.ADMIN, FIRST_SLOT + at)] = admin_cell(drained, weight)

    def weight(self, at: int) -> int:
        ordered = self.weights[at]
        return self.backends[at].weight if ordered is None else ordered

    def loads(self) -> list[int]:
        counted = Counter(lease.backend.slot for lease in self.leases)
        return [counted[backend.slot] for backend in self.backends]

    def usable(self, tried: tuple[int, ...]) -> list[int]:
        """By the rules of selection.py, limits aside; there is one tier, and it does not fail open."""
        loads = self.loads()
        able = [
            at for at, backend in enumerate(self.backends) if self.weight(at) and backend.slot not in tried and not self.drained[at]
        ]
        fit = [at for at in able if self.health[at] is HealthState.UP or (self.health[at] is HealthState.TRIAL and not loads[at])]
        unknown = [at for at in able if self.health[at] is HealthState.UNKNOWN]
        return sorted(fit + unknown)

    def pick(self, worker: int, tried: tuple[int, ...] = ()) -> Lease | NoneAvailable:
        """Pick and check the choice against the counts of this object's own."""
        loads = self.loads()
        usable = self.usable(tried)
        room = [at for at in usable if not self.backends[at].max_connections or loads[at] < self.backends[at].max_connections]
        lease = self.pools[worker].pick(tried)
        if lease is ASK:
            assert HealthState.TRIAL in self.health
            lease = self.pools[worker].pick(tried, Preference(repeatable=True))
        if isinstance(lease, NoneAvailable):
            assert not room
            assert lease.reason == ("pool_full" if usable else "no_backend")
            return lease
        scores = {at: Fraction(loads[at] + 1, self.weight(at)) for at in room}
        assert scores[lease.backend.slot - FIRST_SLOT] == min(scores.values())
        self.leases.append(lease)
        self.check()
        return lease

    def release(self, number: int) -> None:
        self.leases.pop(number % len(self.leases)).release()
        self.check()

    def check(self) -> None:
        """What everybody reads in the ledger is what is going on."""
        in_flight = [self.ledger.slot_total(PerSlot.IN_FLIGHT, backend.slot) for backend in self.backends]
        assert in_flight == self.loads()
        assert self.ledger.total(Scalar.LIVE_REQUESTS) == len(self.leases)
        assert self.ledger.verify() == []
        assert not self.lock.held


ACTIONS = st.one_of(
    st.tuples(st.just("pick"), st.integers(0, 3), st.just(0)),
    st.tuples(st.just("pick"), st.integers(0, 3), st.just(0)),
    st.tuples(st.just("retry"), st.integers(0, 3), st.integers(0, 3)),
    st.tuples(st.just("release"), st.integers(0, 50), st.just(0)),
    st.tuples(
        st.just("health"),
        st.integers(0, 4),
        st.sampled_from([health for health in HealthState if health is not HealthState.WARMING]),
    ),
    st.tuples(st.just("drain"), st.integers(0, 4), st.integers(0, 1)),
    st.tuples(st.just("weigh"), st.integers(0, 4), st.integers(-1, 4)),
)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 4),
    st.lists(st.integers(0, 4), min_size=1, max_size=5),
    st.booleans(),
    st.lists(ACTIONS, max_size=60),
    st.data(),
)
def test_every_choice_is_the_least(
    workers: int, weights: list[int], limited: bool, actions: list[tuple[str, int, int]], data: st.DataObject
) -> None:
    """Several workers, any order of picks, retries, releases and turns of health: never a backend that another one undercuts."""
    limits = data.draw(st.lists(st.integers(0, 3), min_size=len(weights), max_size=len(weights))) if limited else None
    world = Workers(workers, weights, limits)
    for action, first, second in actions:
        if action == "pick":
            world.pick(first % workers)
        elif action == "retry":
            world.pick(first % workers, (FIRST_SLOT + second % len(weights),))
        elif action == "release" and world.leases:
            world.release(first)
        elif action == "health":
            world.set_health(first % len(weights), HealthState(second))
        elif action == "drain":
            world.order(first % len(weights), bool(second), world.weights[first % len(weights)])
        elif action == "weigh":
            at = first % len(weights)
            world.order(at, world.drained[at], None if second < 0 else second)
    while world.leases:
        world.release(0)
    assert world.loads() == [0] * len(weights)


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("weights", [[1, 1, 1], [2, 2, 2], [1, 2, 3], [1, 0, 1]])
def test_held_requests_spread_in_proportion(workers: int, weights: list[int]) -> None:
    """Requests that stay: after each full round everybody has its weight."""
    world = Workers(workers, weights)
    for turn in range(1, 4):
        for number in range(sum(weights)):
            world.pick(number % workers)
        assert world.loads() == [turn * weight for weight in weights]


@pytest.mark.parametrize("workers", [1, 3])
def test_an_idle_pool_is_walked_round(workers: int) -> None:
    """Requests that come one at a time, whichever worker they come to."""
    world = Workers(workers, [1, 1, 1])
    slots = []
    for number in range(12):
        lease = world.pick(number % workers)
        assert isinstance(lease, Lease)
        slots.append(lease.backend.slot)
        world.release(0)
    assert Counter(slots) == dict.fromkeys(range(FIRST_SLOT, FIRST_SLOT + 3), 4)
    assert slots[:3] * 4 == slots


def test_equals_take_turns_when_one_is_down() -> None:
    """The long way round is as fair as the everyday one."""
    world = Workers(2, [1, 1, 1, 1])
    world.set_health(2, HealthState.DOWN)
    slots = []
    for number in range(30):
        lease = world.pick(number % 2)
        assert isinstance(lease, Lease)
        slots.append(lease.backend.slot - FIRST_SLOT)
        world.release(0)
    assert Counter(slots) == {0: 10, 1: 10, 3: 10}


def test_turns_after_an_outage_begin_where_they_were() -> None:
    """The everyday round and the weighted one of bad days keep apart what they remember: running weights are no indexes."""
    world = Workers(2, [9, 9])
    for health in (HealthState.UP, HealthState.TRIAL, HealthState.UP):
        world.set_health(1, health)
        for number in range(7):
            assert isinstance(world.pick(number % 2), Lease)
            world.release(0)


def test_who_was_not_checked_yet_takes_part() -> None:
    """A cold start serves; who passes the first check does not get everything; one that is down never serves."""
    world = Workers(2, [1, 1, 1], up=False)
    assert isinstance(world.pick(0), Lease)
    world.set_health(1, HealthState.UP)
    leases = [world.pick(1) for _ in range(5)]
    assert sorted(lease.backend.name for lease in leases if isinstance(lease, Lease)) == ["app0", "app1", "app1", "app2", "app2"]
    for at in range(3):
        world.set_health(at, HealthState.DOWN)
    assert world.pick(0) == NoneAvailable("no_backend")


def test_nothing_left_to_try() -> None:
    """Every backend tried already; every backend drained; every weight zero."""
    world = Workers(2, [1, 1])
    assert world.pick(0, (FIRST_SLOT, FIRST_SLOT + 1)) == NoneAvailable("no_backend")
    for at in range(2):
        world.order(at, drained=True)
    assert world.pick(0) == NoneAvailable("no_backend")
    assert Workers(1, [0]).pick(0) == NoneAvailable("no_backend")


@pytest.mark.parametrize("workers", [1, 3])
def test_an_ordered_weight_counts_instead_of_the_configured_one(workers: int) -> None:
    """From the next pick on, in every worker; taken back, the configured one counts again."""
    world = Workers(workers, [1, 1, 1])
    world.order(1, drained=False, weight=4)
    for number in range(12):
        world.pick(number % workers)
    assert world.loads() == [2, 8, 2]
    while world.leases:
        world.release(0)
    world.order(1, drained=False)
    for number in range(9):
        world.pick(number % workers)
    assert world.loads() == [3, 3, 3]


@pytest.mark.parametrize("workers", [1, 3])
def test_a_drained_backend_gets_nothing_and_keeps_what_it_has(workers: int) -> None:
    """Whatever weight was ordered; enabled again it is filled up first."""
    world = Workers(workers, [1, 1])
    for number in range(4):
        world.pick(number % workers)
    world.order(0, drained=True, weight=1000)
    for number in range(4):
        world.pick(number % workers)
    assert world.loads() == [2, 6]
    world.order(0, drained=False)
    for number in range(4):
        world.pick(number % workers)
    assert world.loads() == [6, 6]


def test_an_ordered_weight_of_zero_is_as_good_as_drained_and_wakes_a_configured_zero() -> None:
    world = Workers(2, [1, 0])
    world.order(0, drained=False, weight=0)
    assert world.pick(0) == NoneAvailable("no_backend")
    world.order(1, drained=False, weight=1)
    lease = world.pick(1)
    assert isinstance(lease, Lease)
    assert lease.backend.name == "app1"


def test_rows_may_become_fewer() -> None:
    """After a reload the workers of the old generation are gone, and their rows are not looked at any more."""
    world = Workers(3, [1, 1])
    for worker in (2, 1, 0):
        world.pick(worker)
    world.leases[0].release()  # the third worker ends
    world.leases.pop(0)
    world.ledger.retire_row(2)
    world.ledger.set_children(2)
    for _ in range(4):
        world.pick(0)
    assert world.loads() == [3, 3]
    world.ledger.open_row(2)
    world.pick(2)


def test_limits_count_over_all_workers() -> None:
    """Never one more, whoever asks, and room again as soon as one is given back."""
    world = Workers(4, [1, 5], limits=[2, 3])
    for number in range(5):
        assert isinstance(world.pick(number % 4), Lease)
    for worker in range(4):
        assert world.pick(worker) == NoneAvailable("pool_full")
    world.release(2)
    assert isinstance(world.pick(3), Lease)


def test_a_worker_that_comes_later_counts() -> None:
    """Rows opened after a pool was made are read from then on."""
    world = Workers(1, [1, 1])
    for _ in range(4):
        world.pick(0)
    world.ledger.open_row(6)
    late = Pool("app", world.backends, world.ledger, PickLock(world.lock, world.ledger, 6), 6)
    lease = late.pick((FIRST_SLOT,))
    assert isinstance(lease, Lease)
    world.leases.append(lease)
    third = world.pick(0)
    assert isinstance(third, Lease)
    assert third.backend.slot == FIRST_SLOT


def test_a_single_worker_needs_no_lock() -> None:
    """And from the second row on it does."""
    world = Workers(1, [1])
    world.pick(0)
    assert world.lock.asked == 0
    world.ledger.open_row(1)
    world.pick(0)
    assert world.lock.asked == 1


def test_tries_are_counted() -> None:
    """Per backend, in the worker's own row."""
    world = Workers(2, [1, 1])
    for number in range(6):
        world.pick(number % 2)
    assert [world.ledger.slot_total(PerSlot.REQUESTS, FIRST_SLOT + at) for at in range(2)] == [3, 3]
    lease = world.leases[0]
    world.ledger.cells[lease.failures] += 1
    assert world.ledger.slot_total(PerSlot.FAILURES, lease.backend.slot) == 1


def test_other_pools_backends_are_not_touched() -> None:
    """Only cells of the pool's own backends and of the worker's own row change."""
    world = Workers(2, [1, 3])
    before = world.ledger.cells.tolist()
    world.pick(0)
    world.release(0)
    changed = {at for at, (old, new) in enumerate(zip(before, world.ledger.cells.tolist(), strict=True)) if old != new}
    own = {state_at(SlotState.TIE, FIRST_SLOT + at) for at in range(2)} | {state_at(SlotState.ROTOR, FIRST_SLOT)}
    row = len(changed - own)
    assert row == 1  # one count of requests; gauges are back to where they were
    assert world.ledger.cells[Header.CHILDREN_HIGH] == 2


def test_threads_that_race(monkeypatch: pytest.MonkeyPatch) -> None:
    """Real concurrency on a real lock: with equal weights no moment at which the loads of held requests differ by more than one."""
    monkeypatch.setattr(PickLock, "PATIENCE", 30.0)  # exact even on a machine that is busy with something else
    world = Workers(4, [1, 1, 1])
    lock = multiprocessing.Lock()
    pools = [Pool("app", world.backends, world.ledger, PickLock(lock, world.ledger, child), child) for child in range(4)]
    leases: list[Lease] = []

    def run(pool: Pool) -> None:
        for _ in range(150):
            lease = pool.pick()
            assert isinstance(lease, Lease)
            leases.append(lease)

    threads = [threading.Thread(target=run, args=(pool,)) for pool in pools]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Counter(lease.backend.slot for lease in leases) == dict.fromkeys(range(FIRST_SLOT, FIRST_SLOT + 3), 200)
    for lease in leases:
        lease.release()
    world.check()


@pytest.mark.parametrize("policy", [False, True])
def test_other_backends_from_now_on(policy: bool) -> None:
    """Newcomers get requests, who left gets none, and a lease of his ends where it was counted."""
    ledger = Ledger(bytearray(SIZE))
    ledger.open_row(0)
    backends = [Backend("app", f"b{slot}", "h", "127.0.0.1", 80, 1, 0, slot) for slot in range(4)]
    for slot in range(4):
        ledger.cells[state_at(SlotState.HEALTH, slot)] = HealthState.UP

    def turns(of: list[Backend]) -> RoundRobin | None:
        return RoundRobin(SmoothRoundRobin(ledger.cells, [backend.slot for backend in of])) if policy else None

    pool = Pool("app", backends[:2], ledger, PickLock(Lock(), ledger, 0), 0, turns(backends[:2]))
    held = [lease for lease in (pool.pick() for _ in range(4)) if isinstance(lease, Lease)]
    pool.set_backends(backends[1:], turns(backends[1:]))
    assert pool.backends == tuple(backends[1:])
    held += [lease for lease in (pool.pick() for _ in range(30)) if isinstance(lease, Lease)]
    assert len(held) == 34
    assert ledger.slot_total(PerSlot.REQUESTS, 0) == 2
    assert all(ledger.slot_total(PerSlot.IN_FLIGHT, slot) >= 10 for slot in (1, 2, 3))
    assert ledger.verify() == []
    for lease in held:
        lease.release()
    assert all(ledger.slot_total(PerSlot.IN_FLIGHT, slot) == 0 for slot in range(4))


@pytest.mark.parametrize("slots", [list(range(5, 45)), list(range(44, 4, -1)), [3, *range(100, 200, 2), 7]])
@pytest.mark.parametrize("weights", [(1,), (1, 3)])
@pytest.mark.parametrize("workers", [1, 3])
def test_many_backends_wherever_they_stand_in_the_ledger(slots: list[int], weights: tuple[int, ...], workers: int) -> None:
    """In a row, in another order, with gaps (where others count): held requests spread by weight, and who is down gets none."""
    ledger = Ledger(bytearray(SIZE))
    ledger.cells[state_at(SlotState.HEALTH, 6)] = ledger.cells[state_at(SlotState.HEALTH, 101)] = HealthState.DOWN
    for slot in slots:
        ledger.cells[state_at(SlotState.HEALTH, slot)] = HealthState.UP
    backends = [Backend("app", f"b{slot}", "b", "127.0.0.1", 80, weights[slot % len(weights)], 0, slot) for slot in slots]
    lock = Lock()
    for child in range(workers):
        ledger.open_row(child)
    pools = [Pool("app", backends, ledger, PickLock(lock, ledger, child), child) for child in range(workers)]
    down = slots[2]
    ledger.cells[state_at(SlotState.HEALTH, down)] = HealthState.DOWN
    able = {backend.slot: backend.weight for backend in backends if backend.slot != down}
    for number in range(2 * sum(able.values())):
        assert isinstance(pools[number % workers].pick(), Lease)
    assert {slot: ledger.slot_total(PerSlot.IN_FLIGHT, slot) for slot in slots} == {
        **{slot: 2 * weight for slot, weight in able.items()},
        down: 0,
    }
