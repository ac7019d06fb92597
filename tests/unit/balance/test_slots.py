"""Slots of the ledger: stable for backends that stay, never shared, never taken from a living generation."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproxy.balance.slots import SlotTable
from lbproxy.errors import StartError


def test_a_first_assignment_is_in_order_and_all_fresh() -> None:
    assert SlotTable().assign(["web/a", "web/b", "api/a"]) == ({"web/a": 0, "web/b": 1, "api/a": 2}, (0, 1, 2))


def test_a_backend_named_twice_has_one_slot() -> None:
    assert SlotTable().assign(["web/a", "web/a"]) == ({"web/a": 0}, (0,))


def test_who_stays_keeps_its_column_and_only_new_ones_are_fresh() -> None:
    table = SlotTable()
    table.assign(["a", "b", "c"])
    assert table.assign(["d", "c", "a"]) == ({"d": 3, "c": 2, "a": 0}, (3,))


def test_who_comes_back_finds_its_column_as_it_was() -> None:
    table = SlotTable()
    table.assign(["a", "b"])
    table.assign(["a"])
    assert table.assign(["b", "a"]) == ({"b": 1, "a": 0}, ())


def test_when_columns_run_out_the_longest_gone_gives_way() -> None:
    table = SlotTable(size=3)
    table.assign(["a", "b", "c"])
    table.assign(["a", "c"])  # b goes first
    table.assign(["a"])  # then c
    assert table.assign(["a", "d"]) == ({"a": 0, "d": 1}, (1,))
    assert table.assign(["a", "b"]) == ({"a": 0, "b": 2}, (2,))  # b's slot is d's now; c, the longest gone, gives way


def test_a_column_that_a_living_generation_uses_is_not_given_away() -> None:
    table = SlotTable(size=2)
    table.assign(["a", "b"])
    with pytest.raises(StartError, match="2 places"):
        table.assign(["a", "c"], busy={0, 1})
    assert table.assign(["a", "b"]) == ({"a": 0, "b": 1}, ())  # nothing has changed


def test_more_backends_than_columns_is_refused() -> None:
    with pytest.raises(StartError, match="4 backends"):
        SlotTable(size=3).assign("abcd")


@given(st.lists(st.lists(st.sampled_from("abcdefgh"), max_size=5), max_size=8))
def test_any_history(history: list[list[str]]) -> None:
    """Slots are distinct and inside the table; who stays from one step to the next keeps its own; fresh says what is new."""
    table = SlotTable(size=6)
    owner: dict[int, str] = {}
    before: dict[str, int] = {}
    for identities in history:
        slots, fresh = table.assign(identities)
        assert set(slots) == set(identities)
        assert len(set(slots.values())) == len(slots)
        assert all(0 <= slot < 6 for slot in slots.values())
        assert all(before[identity] == slot for identity, slot in slots.items() if identity in before)
        for identity, slot in slots.items():
            assert (slot in fresh) == (owner.get(slot) != identity)
            owner[slot] = identity
        before = slots
