"""The fewest moves from one order to another."""

from __future__ import annotations

from itertools import combinations, pairwise, permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproxy.config.order import longest_rise, moved

NAMES = "abcdefgh"
orders = st.permutations(NAMES)


@pytest.mark.parametrize(("old", "new", "moves"), [
    ("", "", {}),
    ("abc", "abc", {}),
    ("abc", "cab", {"c": ("after b", "at the top")}),
    ("abcd", "bcda", {"a": ("at the top", "after d")}),
    ("abcd", "acbd", {"c": ("after b", "after a")}),
    ("abcde", "deabc", {"d": ("after c", "at the top"), "e": ("after c", "at the top")}),
])  # fmt: skip
def test_who_moved(old: str, new: str, moves: dict[str, tuple[str, str]]) -> None:
    """With both places."""
    assert moved(old, new) == moves


@given(orders, orders)
def test_both_ways_the_same(old: list[str], new: list[str]) -> None:
    """Back is the same moves, their places swapped; and no place is "moved" to itself."""
    there = moved(old, new)
    assert moved(new, old) == {name: (after, before) for name, (before, after) in there.items()}
    assert all(before != after for before, after in there.values())
    assert [name for name in old if name not in there] == [name for name in new if name not in there]


def test_never_more_moves_than_needed() -> None:
    """Against every choice there is, for every order of five."""
    for numbers in permutations(range(5)):
        longest = max(
            len(some) for size in range(6) for some in combinations(numbers, size) if all(a < b for a, b in pairwise(some))
        )
        rise = longest_rise(numbers)
        assert len(rise) == longest
        assert tuple(rise) in set(combinations(numbers, longest))
        assert rise == sorted(rise)
