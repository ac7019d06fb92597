"""Least connections over everything that lives at once: workers of several generations, with other backends and weights, that die
and are replaced. Whoever picks, the backend that it gets has the least score at that moment."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from lbproxy.balance.backend import Backend
from lbproxy.balance.lease import Lease
from lbproxy.balance.ledger import SIZE, HealthState, Ledger, PerSlot, PickLock, Scalar, SlotState, scalar_at, state_at
from lbproxy.balance.pick_result import ASK, NoneAvailable
from lbproxy.balance.pool import Pool
from lbproxy.balance.selection import Preference
from tests.unit.balance.locks import Lock

BACKENDS = 4
"""That there ever are; a generation has some of them."""
FIRST_SLOT = 5
"""So that indexes and slots are not the same numbers."""


class Worker:
    """One process: a row, and its generation's pool."""

    def __init__(self, machine: Machine, row: int, weights: dict[int, int]) -> None:
        self.row = row
        self.weights = weights
        self.leases: list[Lease] = []
        machine.ledger.open_row(row)
        self.pool = Pool(
            "app",
            [Backend("app", f"b{at}", "b", "127.0.0.1", 80, weight, 0, FIRST_SLOT + at) for at, weight in weights.items()],
            machine.ledger,
            PickLock(machine.lock, machine.ledger, row),
            row,
        )


class Machine:
    """All that share a ledger, and a count of their requests that is not the ledger's."""

    def __init__(self, workers: int, weights: dict[int, int]) -> None:
        self.ledger = Ledger(bytearray(SIZE))
        self.lock = Lock()
        self.picks = 0
        for at in range(BACKENDS):
            self.health(at, HealthState.UP)
        self.workers: list[Worker] = []
        self.reload(workers, weights)

    def health(self, at: int, health: HealthState) -> None:
        self.ledger.cells[state_at(SlotState.HEALTH, FIRST_SLOT + at)] = health

    def reload(self, workers: int, weights: dict[int, int]) -> None:
        """A new generation; the older ones go on with what they have."""
        taken = {worker.row for worker in self.workers}
        free = [row for row in range(20) if row not in taken][:workers]
        self.workers += [Worker(self, row, weights) for row in free]

    def loads(self) -> dict[int, int]:
        loads = dict.fromkeys(range(BACKENDS), 0)
        for worker in self.workers:
            for lease in worker.leases:
                loads[lease.slot - FIRST_SLOT] += 1
        return loads

    def pick(self, worker: Worker, repeatable: bool) -> None:
        loads = self.loads()
        lease = worker.pool.pick()
        if lease is ASK:
            lease = worker.pool.pick((), Preference(repeatable=repeatable))
        health = {at: self.ledger.health(FIRST_SLOT + at) for at in worker.weights}
        fit = {
            at: Fraction(loads[at] + 1, weight)
            for at, weight in worker.weights.items()
            if weight and (health[at] is HealthState.UP or (health[at] is HealthState.TRIAL and not loads[at]))
        }
        if isinstance(lease, NoneAvailable):
            assert not fit
            return
        self.picks += 1
        worker.leases.append(lease)
        chosen = lease.slot - FIRST_SLOT
        proven = {at: score for at, score in fit.items() if health[at] is HealthState.UP}
        # What cannot be repeated goes to those on trial only if there is nobody else, or once in a while.
        assert fit[chosen] == min((fit if repeatable or chosen not in proven else proven).values())

    def die(self, worker: Worker, in_the_lock: bool) -> None:
        """As the master settles it; another worker of the same generation takes the row."""
        if in_the_lock:
            self.ledger.cells[scalar_at(worker.row, Scalar.WANTS_LOCK)] = 1
            self.lock.acquire()
        PickLock.forgive(self.lock, self.ledger, worker.row)
        self.ledger.retire_row(worker.row)
        self.workers[self.workers.index(worker)] = Worker(self, worker.row, worker.weights)

    def end(self, worker: Worker) -> None:
        """A drained worker of whatever generation, if it is not the last."""
        if not worker.leases and len(self.workers) > 1:
            self.ledger.retire_row(worker.row)
            self.workers.remove(worker)
            self.ledger.set_children(1 + max(one.row for one in self.workers))

    def check(self) -> None:
        """What everybody reads in the ledger is what is going on, and nothing that was counted is lost."""
        loads = self.loads()
        for at in range(BACKENDS):
            assert self.ledger.slot_total(PerSlot.IN_FLIGHT, FIRST_SLOT + at) == loads[at]
        requests = sum(self.ledger.slot_total(PerSlot.REQUESTS, FIRST_SLOT + at) for at in range(BACKENDS))
        assert requests == self.picks
        assert self.ledger.total(Scalar.LIVE_REQUESTS) == sum(loads.values())
        assert self.ledger.verify() == []
        assert not self.lock.held


any_weights = st.one_of(
    st.sets(st.integers(0, BACKENDS - 1), min_size=1).map(lambda at: dict.fromkeys(sorted(at), 1)),  # the everyday way
    st.dictionaries(st.integers(0, BACKENDS - 1), st.integers(0, 4), min_size=1),
)
picks = st.tuples(st.just("pick"), st.integers(0, 9), st.booleans())
actions = st.one_of(
    picks,
    picks,
    picks,
    st.tuples(st.just("release"), st.integers(0, 9), st.integers(0, 9)),
    st.tuples(st.just("die"), st.integers(0, 9), st.booleans()),
    st.tuples(st.just("end"), st.integers(0, 9), st.none()),
    st.tuples(st.just("reload"), st.integers(1, 3), any_weights),
    st.tuples(
        st.just("health"),
        st.integers(0, BACKENDS - 1),
        st.sampled_from([HealthState.UP, HealthState.UP, HealthState.DOWN, HealthState.TRIAL]),
    ),
)


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 4), any_weights, st.lists(actions, max_size=80))
def test_every_choice_is_the_least(workers: int, weights: dict[int, int], todo: list[tuple[str, int, object]]) -> None:
    """Whatever happened before."""
    machine = Machine(workers, weights)
    for action, number, detail in todo:
        worker = machine.workers[number % len(machine.workers)]
        if action == "pick":
            machine.pick(worker, bool(detail))
        elif action == "release" and worker.leases:
            assert isinstance(detail, int)
            worker.leases.pop(detail % len(worker.leases)).release()
        elif action == "die":
            machine.die(worker, bool(detail))
        elif action == "end":
            machine.end(worker)
        elif action == "reload":
            assert isinstance(detail, dict)
            machine.reload(number, detail)
        elif action == "health":
            assert isinstance(detail, HealthState)
            machine.health(number, detail)
        machine.check()
    for worker in machine.workers:
        while worker.leases:
            worker.leases.pop().release()
    machine.check()
    assert not any(machine.loads().values())
