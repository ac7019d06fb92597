"""Shares of requests: exact by turns, steady by a hash."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproxy.balance.split import Lots, Rounds

WEIGHTS = st.lists(st.integers(0, 100), min_size=1, max_size=5).filter(any)


def test_a_canary() -> None:
    """Of a hundred five, spread out, wherever the round begins."""
    for begin in range(4):
        rounds = Rounds([95, 5], begin)
        turns = [rounds.next() for _ in range(1000)]
        assert Counter(turns) == {0: 950, 1: 50}
        green = [at for at, turn in enumerate(turns) if turn]
        assert {after - before for before, after in pairwise(green)} == {20}


def test_processes_begin_at_different_places() -> None:
    """Fifty of them with two requests each are not all for the larger one."""
    assert sum(Rounds([9, 1], begin).next() for begin in range(50)) == 5


@given(WEIGHTS, st.integers(0, 70), st.integers(1, 300))
def test_never_a_whole_request_off(weights: list[int], begin: int, requests: int) -> None:
    """At any moment from the beginning of a round; and nobody with a weight of 0 is chosen."""
    rounds = Rounds(weights)
    counts = Counter(rounds.next() for _ in range(requests))
    total = sum(weights)
    for index, weight in enumerate(weights):
        assert abs(counts[index] - requests * weight / total) < len(weights)
    later = Rounds(weights, begin)
    assert Counter(later.next() for _ in range(total)) == {index: weight for index, weight in enumerate(weights) if weight}


@pytest.mark.parametrize("weights", [[95, 5], [50, 30, 20], [1, 0, 1]])
def test_lots_are_shared_out_by_weight(weights: list[int]) -> None:
    """About; and the same text always gets the same."""
    lots = Lots(["blue", "green", "red"][: len(weights)], weights)
    drawn = [lots.of(b"client %d" % number) for number in range(4000)]
    assert drawn == [lots.of(b"client %d" % number) for number in range(4000)]
    for index, weight in enumerate(weights):
        assert abs(drawn.count(index) / 4000 - weight / sum(weights)) < 0.025


def test_who_has_to_move_moves() -> None:
    """With more weight for one, nobody goes from another to a third; one that comes first or last in the file changes nothing."""
    before = Lots(["blue", "green", "red"], [50, 30, 20])
    after = Lots(["blue", "green", "red"], [50, 60, 20])
    other = Lots(["red", "blue", "green"], [20, 50, 30])
    for number in range(2000):
        text = b"%d" % number
        assert after.of(text) in (before.of(text), 1)
        assert ["red", "blue", "green"][other.of(text)] == ["blue", "green", "red"][before.of(text)]
