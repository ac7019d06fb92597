"""Whose turn it is: smooth, in proportion, and one round for all workers."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproxy.balance.ledger import SIZE, Ledger, SlotState, state_at
from lbproxy.balance.smooth_round_robin import SmoothRoundRobin


class Round:
    """SmoothRoundRobin over a ledger of its own."""

    def __init__(self, weights: list[int]) -> None:
        self.weights = weights
        self.cells = Ledger(bytearray(SIZE)).cells
        self._smooth = SmoothRoundRobin(self.cells, range(len(weights)))

    def next(self, among: list[int] | None = None) -> int:
        return self._smooth.next(list(range(len(self.weights))) if among is None else among, self.weights)

    def current(self) -> list[int]:
        """The running weights."""
        return [self.cells[state_at(SlotState.TIE, slot)] for slot in range(len(self.weights))]


@pytest.mark.parametrize("weights", [[1, 1, 1], [5, 1, 1], [2, 3, 4, 1]])
def test_turns_are_in_proportion(weights: list[int]) -> None:
    """Over one round everybody gets its weight, as with nginx's smooth weighted round robin, and the state returns to zero."""
    around = Round(weights)
    for _ in range(3):
        assert Counter(around.next() for _ in range(sum(weights))) == dict(enumerate(weights))
        assert around.current() == [0] * len(weights)


def test_turns_are_smooth() -> None:
    """The heavy one does not get its five in a row."""
    around = Round([5, 1, 1])
    assert [around.next() for _ in range(7)] == [0, 0, 1, 0, 2, 0, 0]


@given(st.lists(st.integers(1, 5), min_size=1, max_size=6), st.lists(st.integers(1, 63), min_size=1, max_size=30))
def test_turns_among_changing_equals(weights: list[int], subsets: list[int]) -> None:
    """Whoever is tied with whom: one of them is chosen, what is gained is paid, and nobody's running weight runs away."""
    around = Round(weights)
    for bits in subsets:
        tied = [index for index in range(len(weights)) if bits >> index & 1] or [0]
        before = around.current()
        assert around.next(tied) in tied
        current = around.current()
        assert sum(current) == 0
        assert all(current[index] == before[index] for index in range(len(weights)) if index not in tied)
        assert max(map(abs, current)) <= len(weights) * sum(weights)


def test_two_workers_walk_one_round() -> None:
    """The state is the ledger's."""
    cells = Ledger(bytearray(SIZE)).cells
    workers = [SmoothRoundRobin(cells, [7, 3, 9]), SmoothRoundRobin(cells, [7, 3, 9])]
    assert [workers[number % 2].next([0, 1, 2], [2, 1, 1]) for number in range(8)] == [0, 1, 2, 0, 0, 1, 2, 0]
