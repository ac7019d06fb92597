"""The everyday pick is least connections in turn, and knows when it is not everyday."""

from __future__ import annotations

import mmap
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproxy.balance.fast_pick import FastPick
from lbproxy.balance.ledger import SIZE, HealthState, Ledger, PerSlot, SlotState, cell_at, state_at
from lbproxy.balance.pick_result import LOOK_CLOSER

SLOTS = (3, 9, 4, 17)


def shared(count: int, rows: int = 1) -> tuple[Ledger, FastPick]:
    """A pool of `count` backends that are up, and `rows` workers."""
    ledger = Ledger(mmap.mmap(-1, SIZE))
    for child in range(rows):
        ledger.open_row(child)
    for slot in SLOTS[:count]:
        ledger.cells[state_at(SlotState.HEALTH, slot)] = HealthState.UP
    return ledger, FastPick(SLOTS[:count], ledger, state_at(SlotState.TIE, SLOTS[0]))


def load(ledger: Ledger, child: int, loads: Sequence[int]) -> None:
    for slot, number in zip(SLOTS, loads, strict=False):
        ledger.cells[cell_at(child, PerSlot.IN_FLIGHT, slot)] = number


def test_rows() -> None:
    ledger, board = shared(2, 3)
    assert board.rows() == ledger.children == 3


def test_an_idle_pool_is_walked_round() -> None:
    _, board = shared(3)
    assert [board.least(1) for _ in range(7)] == [0, 1, 2, 0, 1, 2, 0]


def test_the_least_loaded_is_taken_out_of_turn() -> None:
    ledger, board = shared(3)
    load(ledger, 0, (2, 1, 2))
    assert [board.least(1) for _ in range(3)] == [1, 1, 1]


def test_all_workers_count() -> None:
    ledger, board = shared(2, 3)
    load(ledger, 0, (0, 1))
    load(ledger, 2, (2, 0))
    assert board.least(3) == 1
    assert board.least(1) == 0


@pytest.mark.parametrize("health", [HealthState.UNKNOWN, HealthState.DOWN])
@pytest.mark.parametrize("slot", SLOTS)
def test_somebody_who_is_not_up_wants_a_closer_look(health: HealthState, slot: int) -> None:
    ledger, board = shared(4)
    ledger.cells[state_at(SlotState.HEALTH, slot)] = health
    assert board.least(1) == LOOK_CLOSER


@pytest.mark.parametrize("slot", SLOTS)
def test_orders_want_a_closer_look(slot: int) -> None:
    ledger, board = shared(4)
    ledger.cells[state_at(SlotState.ADMIN, slot)] = 7
    assert board.least(1) == LOOK_CLOSER


@given(st.lists(st.lists(st.integers(0, 3), min_size=3, max_size=3), min_size=1, max_size=30), st.integers(0, 9))
def test_it_is_the_first_of_the_least_loaded_from_the_one_whose_turn_it_is(rounds: list[list[int]], turn: int) -> None:
    """The same as walking round from there until somebody has the least; and the turn moves only when there was a choice."""
    ledger, board = shared(3)
    rotor = state_at(SlotState.TIE, SLOTS[0])
    ledger.cells[rotor] = turn
    for loads in rounds:
        load(ledger, 0, loads)
        before = ledger.cells[rotor]
        start = before if before < 3 else 0
        wanted = next(index for index in [*range(start, 3), *range(start)] if loads[index] == min(loads))
        assert board.least(1) == wanted
        assert ledger.cells[rotor] == (wanted + 1 if loads.count(min(loads)) > 1 else before)
