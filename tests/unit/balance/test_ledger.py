"""The shared ledger: whose cell is whose, what a death leaves behind, and a lock that outlives its holder."""

from __future__ import annotations

import multiprocessing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproxy.balance.ledger import (
    ADDED_UP,
    GAUGES,
    GAUGES_PER_SLOT,
    RETIRED,
    ROWS_AT,
    SIZE,
    SLOTS,
    STATES_AT,
    TOTAL_CELLS,
    Header,
    HealthState,
    Ledger,
    PerSlot,
    PickLock,
    Scalar,
    SlotState,
    Spoken,
    admin_cell,
    cell_at,
    is_drained,
    ordered_weight,
    scalar_at,
    state_at,
)
from tests.unit.balance.locks import Lock


@pytest.fixture
def ledger() -> Ledger:
    """A new one."""
    return Ledger(bytearray(SIZE))


def test_cells_do_not_overlap() -> None:
    """Header, states of slots and rows of neighbours, first and last ones: every cell has one meaning, all are inside."""
    backends, children = (0, 1, SLOTS - 1), (0, 1, RETIRED - 1, RETIRED)
    cells = [int(header) for header in Header]
    cells += [state_at(state, backend) for state in SlotState for backend in backends]
    cells += [scalar_at(child, scalar) for child in children for scalar in ADDED_UP]
    cells += [cell_at(child, what, backend) for child in children for what in PerSlot for backend in backends]
    assert len(set(cells)) == len(cells)
    assert max(cells) == TOTAL_CELLS - 1
    assert max(Header) < STATES_AT < ROWS_AT


def test_attaching_keeps_the_contents() -> None:
    """A second view of the same memory sees the same; foreign memory is refused."""
    memory = bytearray(SIZE)
    Ledger(memory).open_row(3)
    assert Ledger(memory).children == 4
    memory[0] ^= 1
    with pytest.raises(ValueError, match="not a ledger of this version"):
        Ledger(memory)


def test_rows_only_grow(ledger: Ledger) -> None:
    """A slot that is used again changes nothing; the retired row is nobody's."""
    for child, children in [(0, 1), (2, 3), (1, 3), (RETIRED - 1, RETIRED)]:
        ledger.open_row(child)
        assert ledger.children == children
    for child in (-1, RETIRED):
        with pytest.raises(ValueError, match="outside"):
            ledger.open_row(child)


def test_a_death_keeps_counts_and_drops_gauges(ledger: Ledger) -> None:
    """Totals of counters never go back, also when the slot is used and dies again; gauges of the dead are zero."""
    ledger.open_row(0)
    ledger.open_row(1)
    for life in (1, 2):
        for scalar in ADDED_UP:
            ledger.cells[scalar_at(0, scalar)] = 10
            ledger.cells[scalar_at(1, scalar)] = 1
        for what in PerSlot:
            ledger.cells[cell_at(0, what, 7)] = 10
            ledger.cells[cell_at(1, what, 7)] = 1
        ledger.retire_row(0)
        for scalar in ADDED_UP:
            assert ledger.total(scalar) == 1 + (10 * life if scalar not in GAUGES else 0)
        for what in PerSlot:
            assert ledger.slot_total(what, 7) == 1 + (0 if what in GAUGES_PER_SLOT else 10 * life)


def test_a_new_owner_starts_from_zero(ledger: Ledger) -> None:
    """Health, turns and counts of a backend slot's old owner do not shine through; the neighbours' stay."""
    ledger.open_row(0)
    for backend in (4, 5):
        for state in SlotState:
            ledger.cells[state_at(state, backend)] = 1
        for what in PerSlot:
            ledger.cells[cell_at(0, what, backend)] = 1
            ledger.cells[cell_at(RETIRED, what, backend)] = 1
    ledger.forget_slot(4)
    assert (ledger.health(4), ledger.health(5)) == (HealthState.UNKNOWN, HealthState.UP)
    assert [ledger.slot_total(what, 4) for what in PerSlot] == [0] * len(PerSlot)
    assert [ledger.slot_total(what, 5) for what in PerSlot] == [2] * len(PerSlot)
    assert [ledger.cells[state_at(state, 4)] for state in SlotState] == [0] * len(SlotState)


@pytest.mark.parametrize(("written", "read"), [(2**62, RETIRED), (-1, 0), (RETIRED, RETIRED), (7, 7)])
def test_a_number_of_rows_that_cannot_be_leads_no_reader_astray(ledger: Ledger, written: int, read: int) -> None:
    ledger.cells[Header.CHILDREN_HIGH] = written
    assert ledger.children == read
    assert ledger.total(Scalar.REQUESTS) == ledger.slot_total(PerSlot.REQUESTS, 3) == 0
    ledger.forget_slot(3)


@pytest.mark.parametrize("written", [-1, 6, 2**62])
def test_a_health_that_cannot_be_is_unknown(ledger: Ledger, written: int) -> None:
    ledger.cells[state_at(SlotState.HEALTH, 5)] = written
    assert ledger.health(5) is HealthState.UNKNOWN


@pytest.mark.parametrize(("written", "read"), [(-1, Spoken.UNHEARD), (3, Spoken.UNHEARD), (2**62, Spoken.UNHEARD), (1, Spoken.OLD)])
def test_a_version_that_cannot_be_is_unheard(ledger: Ledger, written: int, read: Spoken) -> None:
    ledger.cells[state_at(SlotState.SPOKEN, 5)] = written
    assert ledger.spoken(5) == read


def test_readers_add_up_no_more_rows_than_there_are_workers(ledger: Ledger) -> None:
    """When those above are gone, whose rows were retired; what they counted stays."""
    for child in range(5):
        ledger.open_row(child)
        ledger.cells[scalar_at(child, Scalar.REQUESTS)] = 10
        ledger.cells[scalar_at(child, Scalar.CONNECTIONS)] = 1
    for child in (4, 3):
        ledger.retire_row(child)
    ledger.set_children(3)
    assert ledger.children == ledger.cells[Header.CHILDREN_HIGH] == 3
    assert ledger.total(Scalar.REQUESTS) == 50
    assert ledger.total(Scalar.CONNECTIONS) == 3
    ledger.open_row(3)
    assert ledger.children == 4


# ---------------------------------------------------------------- an operator's orders


@given(st.booleans(), st.none() | st.integers(0, 1000))
def test_orders_are_read_as_they_were_given(drained: bool, weight: int | None) -> None:
    """And nothing ordered is the zero that a new slot holds."""
    cell = admin_cell(drained, weight)
    assert (is_drained(cell), ordered_weight(cell)) == (drained, weight)
    assert (cell == 0) == (not drained and weight is None)


def test_the_commonest_orders_have_names() -> None:
    assert admin_cell(False, None) == 0
    assert admin_cell(True, None) == 1


def test_verify_counts_connections_by_listener(ledger: Ledger) -> None:
    """Each came through a listener."""
    ledger.open_row(1)
    ledger.cells[scalar_at(1, Scalar.CONNECTIONS)] = 2
    assert ledger.verify() == ["child 1: 0 connections came through listeners, 2 are open"]
    ledger.cells[cell_at(1, PerSlot.OPEN, 9)] = 1
    ledger.cells[cell_at(1, PerSlot.OPEN, 3)] = 1
    assert ledger.verify() == []


def test_verify_names_what_is_wrong(ledger: Ledger) -> None:
    """Requests in flight that nobody has, live ones that are nowhere, gauges below zero."""
    ledger.open_row(1)
    assert ledger.verify() == []
    ledger.cells[cell_at(1, PerSlot.IN_FLIGHT, 9)] = 2
    assert ledger.verify() == ["child 1: 2 requests in flight on backends, 0 live"]
    ledger.cells[scalar_at(1, Scalar.LIVE_REQUESTS)] = 2
    assert ledger.verify() == []
    ledger.cells[cell_at(1, PerSlot.IN_FLIGHT, 8)] = -1
    ledger.cells[scalar_at(1, Scalar.LIVE_REQUESTS)] = 1
    assert ledger.verify() == ["child 1: a negative gauge (in flight -1, live 1)"]


# ---------------------------------------------------------------- the pick lock


def note(ledger: Ledger, child: int) -> int:
    """Whether the child says that it wants the lock or has it."""
    return ledger.cells[scalar_at(child, Scalar.WANTS_LOCK)]


def test_the_note_stands_while_inside(ledger: Ledger) -> None:
    """And the lock is given back on the way out, also of an exception."""
    lock = Lock()
    pick = PickLock(lock, ledger, 3)

    def fail() -> None:
        with pick:
            assert (lock.held, note(ledger, 3)) == (True, 1)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert (lock.held, note(ledger, 3)) == (False, 0)


def test_patience_ends(ledger: Ledger) -> None:
    """Whoever waits in vain goes on without, and gives nothing back that is not its own."""
    lock = Lock()
    lock.acquire()
    with PickLock(lock, ledger, 3):
        assert note(ledger, 3) == 1
    assert lock.held
    assert lock.waits == [PickLock.PATIENCE]
    assert note(ledger, 3) == 0


def test_forgive_a_dead_holder(ledger: Ledger) -> None:
    """It died inside: the lock is given back in its name."""
    lock = Lock()
    PickLock(lock, ledger, 3).__enter__()
    PickLock.forgive(lock, ledger, 3)
    assert (lock.held, note(ledger, 3)) == (False, 0)
    with PickLock(lock, ledger, 4):
        assert lock.held


@pytest.mark.parametrize("asked", [False, True])
def test_forgive_one_who_died_outside(ledger: Ledger, asked: bool) -> None:
    """It had not asked, or had asked and not got it, or had just given it back: a free lock is free afterwards."""
    lock = Lock()
    ledger.cells[scalar_at(3, Scalar.WANTS_LOCK)] = int(asked)
    PickLock.forgive(lock, ledger, 3)
    assert (lock.held, note(ledger, 3), lock.asked) == (False, 0, int(asked))


def test_forgive_does_not_touch_a_living_holder(ledger: Ledger) -> None:
    """A child without a note died elsewhere; who holds the lock is another."""
    lock = Lock()
    with PickLock(lock, ledger, 4):
        PickLock.forgive(lock, ledger, 3)
        assert lock.held
        assert note(ledger, 4) == 1


def test_forgive_two_dead(ledger: Ledger) -> None:
    """One held it, the other waited: whatever the order in which they are found."""
    for order in ((3, 4), (4, 3)):
        lock = Lock()
        PickLock(lock, ledger, 3).__enter__()
        ledger.cells[scalar_at(4, Scalar.WANTS_LOCK)] = 1
        for child in order:
            PickLock.forgive(lock, ledger, child)
        assert (lock.held, note(ledger, 3), note(ledger, 4)) == (False, 0, 0)


def test_a_stopped_holder_wakes_up(ledger: Ledger) -> None:
    """The master took it for dead and gave the lock back in its name; its own giving back then is no error."""
    lock = Lock()
    stopped = PickLock(lock, ledger, 3)
    stopped.__enter__()
    PickLock.forgive(lock, ledger, 3)
    stopped.__exit__(None, None, None)
    assert not lock.held


def test_with_a_real_lock(ledger: Ledger) -> None:
    """multiprocessing.Lock behaves as the tests' lock does: nobody owns it, and giving back too often is a ValueError."""
    lock = multiprocessing.Lock()
    with PickLock(lock, ledger, 3):
        assert not lock.acquire(False)
    PickLock(lock, ledger, 3).__enter__()
    PickLock.forgive(lock, ledger, 3)
    assert lock.acquire(False)
    lock.release()
    with pytest.raises(ValueError, match="released too many times"):
        lock.release()


def test_the_secret() -> None:
    """All 32 bytes come back, and disturb nothing."""
    ledger = Ledger(bytearray(SIZE))
    secret = bytes(range(200, 232))
    ledger.set_secret(secret)
    assert ledger.secret() == secret
    assert (ledger.children, ledger.verify()) == (0, [])
