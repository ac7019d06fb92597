"""Least connections: the least load for its weight, and smooth turns among equals."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproxy.balance.least_connections import break_tie, least_loaded

BACKENDS = st.lists(st.tuples(st.integers(0, 12), st.integers(1, 6), st.booleans()), min_size=1, max_size=8)


@given(BACKENDS)
def test_the_least_and_all_of_them(backends: list[tuple[int, int, bool]]) -> None:
    """Exactly those usable ones whose (load + 1) / weight nobody undercuts, in order."""
    loads, weights = [load for load, _, _ in backends], [weight for _, weight, _ in backends]
    usable = [index for index, (_, _, fit) in enumerate(backends) if fit] or [0]
    scores = {index: Fraction(loads[index] + 1, weights[index]) for index in usable}
    least = min(scores.values())
    assert least_loaded(usable, loads, weights) == [index for index in usable if scores[index] == least]


def test_no_floating_point() -> None:
    """Loads that differ by one in sixteen digits are told apart."""
    assert least_loaded([0, 1], [10**17 + 1, 10**17], [1, 1]) == [1]
    assert least_loaded([0, 1], [3 * 10**17 - 1, 10**17 - 1], [3, 1]) == [0, 1]


@pytest.mark.parametrize("weights", [[1, 1, 1], [5, 1, 1], [2, 3, 4, 1]])
def test_turns_are_in_proportion(weights: list[int]) -> None:
    """Over one round everybody gets its weight, as with nginx's smooth weighted round robin, and the state returns to zero."""
    current = [0] * len(weights)
    everybody = list(range(len(weights)))
    for _ in range(3):
        round_of = [break_tie(everybody, weights, current) for _ in range(sum(weights))]
        assert Counter(round_of) == dict(enumerate(weights))
        assert current == [0] * len(weights)


def test_turns_are_smooth() -> None:
    """The heavy one does not get its five in a row."""
    current = [0, 0, 0]
    assert [break_tie([0, 1, 2], [5, 1, 1], current) for _ in range(7)] == [0, 0, 1, 0, 2, 0, 0]


@given(st.lists(st.integers(1, 5), min_size=1, max_size=6), st.lists(st.integers(1, 63), min_size=1, max_size=30))
def test_turns_among_changing_equals(weights: list[int], subsets: list[int]) -> None:
    """Whoever is tied with whom: one of them is chosen, what is gained is paid, and nobody's running weight runs away."""
    current = [0] * len(weights)
    for bits in subsets:
        tied = [index for index in range(len(weights)) if bits >> index & 1] or [0]
        before = list(current)
        assert break_tie(tied, weights, current) in tied
        assert sum(current) == 0
        assert all(current[index] == before[index] for index in range(len(weights)) if index not in tied)
        assert max(map(abs, current)) <= len(weights) * sum(weights)
