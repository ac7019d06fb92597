"""What the master remembers of names and slots."""

from __future__ import annotations

import json
from typing import NamedTuple

from lbproxy.balance.backend import Backend
from lbproxy.balance.endpoints import NOWHERE
from lbproxy.balance.ledger import SIZE, HealthState, Ledger, PerSlot, SlotState, admin_cell, cell_at, state_at
from lbproxy.master.names.state import LINGER, NameState


class Slots(NamedTuple):
    slots: frozenset[int]


def ledger() -> Ledger:
    made = Ledger(bytearray(SIZE))
    made.open_row(0)
    return made


def backend(slot: int) -> Backend:
    return Backend("web", f"app.test@10.0.0.{slot}:80", "app.test", f"10.0.0.{slot}", 80, 1, 0, slot)


def test_a_column_that_was_left_lingers_and_one_where_something_is_in_flight_stays_taken() -> None:
    book, shared = NameState(), ledger()
    shared.cells[cell_at(0, PerSlot.IN_FLIGHT, 9)] = 1
    book.leave([4, 5], 100.0)
    generations = [Slots(frozenset({1, 2})), Slots(frozenset({2, 3}))]
    assert book.taken(shared, generations, 100.0 + LINGER - 1) == {1, 2, 3, 4, 5, 9}
    assert book.taken(shared, generations, 100.0 + LINGER) == {1, 2, 3, 9}
    assert book.left == {}
    shared.cells[cell_at(0, PerSlot.IN_FLIGHT, 9)] = 0
    assert book.taken(shared, [], 200.0) == set()


def test_who_is_new_was_never_looked_at_and_gets_the_orders_of_its_name() -> None:
    book, shared = NameState(), ledger()
    for slot in (1, 2):
        shared.cells[state_at(SlotState.HEALTH, slot)] = HealthState.UP
    book.order("web/app.test:80", admin_cell(True, 7))
    book.begin(shared, [backend(1), backend(2)], {1})
    assert [shared.health(slot) for slot in (1, 2)] == [HealthState.UP, HealthState.UNKNOWN]
    assert [shared.cells[state_at(SlotState.ADMIN, slot)] for slot in (1, 2)] == [0, admin_cell(True, 7)]


def test_what_is_nowhere_is_down_before_anybody_could_look() -> None:
    """Workers may be ready before control is."""
    book, shared = NameState(), ledger()
    for watched in ((), (1, 2)):
        book.begin(shared, [backend(1)._replace(ip=NOWHERE), backend(2)], watched)
        assert [shared.health(slot) for slot in (1, 2)] == [HealthState.DOWN, HealthState.UNKNOWN]


def test_a_reload_forgets_weights_and_keeps_drains() -> None:
    book = NameState()
    book.order("web/a:1", admin_cell(True, 7))
    book.order("web/b:1", admin_cell(False, 7))
    book.order("web/c:1", admin_cell(True, None))
    book.order("web/c:1", 0)
    book.forget_weights()
    assert book.orders == {"web/a:1": admin_cell(True, None)}


def test_over_an_upgrade() -> None:
    """As JSON carries it; the clock may be another one."""
    book = NameState({"app.test": ("10.0.0.1", "fd00::1")}, {4: 110.0, 5: 90.0}, {"web/app.test:80": 1})
    told = json.loads(json.dumps(book.as_dict(100.0)))
    addresses: dict[str, tuple[str, ...]] = {"app.test": ("10.0.0.1", "fd00::1")}
    assert NameState.from_dict(told, 1000.0) == NameState(addresses, {4: 1010.0}, {"web/app.test:80": 1})
    assert NameState.from_dict({}, 0.0) == NameState()
