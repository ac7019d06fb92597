"""Least connections: the least load for its weight."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from lbproxy.balance.least_connections import LeastConnections, least_loaded
from lbproxy.balance.ledger import SIZE, Ledger
from lbproxy.balance.smooth_round_robin import SmoothRoundRobin

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


def test_ties_take_turns() -> None:
    """Equal loads for their weight: in proportion; one that is less loaded: always it."""
    policy = LeastConnections(SmoothRoundRobin(Ledger(bytearray(SIZE)).cells, [4, 5, 6]))
    assert [policy.choose([0, 1, 2], [0, 0, 0], [1, 1, 1]) for _ in range(6)] == [0, 1, 2, 0, 1, 2]
    assert [policy.choose([0, 1, 2], [1, 0, 1], [1, 1, 1]) for _ in range(3)] == [1, 1, 1]
