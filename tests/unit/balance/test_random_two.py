"""The less loaded of two that chance picks."""

from __future__ import annotations

import random
from collections import Counter
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproxy.balance.random_two import RandomTwo


def scripted(*chances: float) -> RandomTwo:
    return RandomTwo(iter(chances).__next__)


@pytest.mark.parametrize(
    ("chances", "loads", "weights", "chosen"),
    [
        ((0.0, 0.0), [5, 3, 0], [1, 1, 1], 1),  # 0 and 1 are drawn: the idle one was not
        ((0.0, 0.99), [5, 3, 0], [1, 1, 1], 2),
        ((0.99, 0.0), [1, 9, 1], [1, 1, 1], 2),  # a tie is the first drawn's
        ((0.5, 0.0), [1, 3, 0], [2, 4, 0], 1),  # equal for their weight, and 1 was drawn first
        ((0.0, 0.0), [2, 3, 0], [1, 4, 1], 1),
    ],
)
def test_two_are_compared(chances: tuple[float, ...], loads: list[int], weights: list[int], chosen: int) -> None:
    """By load for weight."""
    usable = [index for index, weight in enumerate(weights) if weight]
    assert scripted(*chances).choose(usable, loads, weights) == chosen


def test_a_single_one() -> None:
    """Needs no comparison."""
    assert scripted(0.7).choose([2], [0, 0, 9], [1, 1, 1]) == 2


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 9)), min_size=2, max_size=8), st.integers(0, 2**32))
def test_never_the_worst(backends: list[tuple[int, int]], seed: int) -> None:
    """Two different ones are drawn, so the only most loaded one is never chosen."""
    loads, weights = [load for load, _ in backends], [weight for _, weight in backends]
    chosen = RandomTwo(random.Random(seed).random).choose(range(len(backends)), loads, weights)
    scores = [Fraction(load + 1, weight) for load, weight in backends]
    worst = max(scores)
    assert scores[chosen] < worst or scores.count(worst) > 1


def test_drawn_in_proportion_to_weights() -> None:
    """With loads in proportion, too, it is the first drawn who gets it."""
    policy = RandomTwo(random.Random(7).random)
    counted = Counter(policy.choose([0, 1], [0, 2], [1, 3]) for _ in range(4000))
    assert 850 < counted[0] < 1150
