"""Memories that peers fill."""

from __future__ import annotations

from lbproxy.remembered import Budget


def test_all_that_share_a_budget_begin_anew_when_it_is_used_up() -> None:
    """One of them cannot starve the others for good, nor can any number of them hold more than the budget."""
    budget = Budget(100)
    one: dict[int, str] = budget.draws({})
    other: dict[str, str] = budget.draws({})
    for number in range(6):
        budget.keep(one, number, "", 10)
    budget.keep(other, "a", "", 40)
    assert (len(one), len(other), budget.used) == (6, 1, 100)
    assert repr(budget) == "<Budget 100 of 100 bytes in 2 memories>"
    budget.keep(other, "b", "", 1)
    assert (one, other, budget.used) == ({}, {"b": ""}, 1)


def test_what_is_larger_than_all_is_not_remembered() -> None:
    """And costs the others nothing."""
    budget = Budget(100)
    memory = budget.draws({1: ""})
    budget.keep(memory, 2, "", 101)
    assert memory == {1: ""}
