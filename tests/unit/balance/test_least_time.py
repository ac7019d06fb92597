"""The backend that would have the answer first."""

from __future__ import annotations

import random
from collections import Counter
from heapq import heappop, heappush

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproxy.balance.least_time import FAILED, MOST, LeastTime
from lbproxy.balance.ledger import SIZE, Ledger
from lbproxy.balance.policy import Ground, PickOutcome

MS = 10**6
EQUAL = [1, 1, 1]


def ground() -> Ground:
    return Ground(Ledger(bytearray(SIZE)).cells, [7, 9, 8], random.Random(1).random)


def taught(*seconds: float) -> LeastTime:
    """Each backend has answered once in so many seconds; 0.0: never."""
    policy = LeastTime(ground())
    for index, each in enumerate(seconds):
        if each:
            policy.ended(index, each, PickOutcome.ANSWERED)
    return policy


def average(policy: LeastTime, index: int) -> int:
    """In nanoseconds."""
    return policy._average(index)


@pytest.mark.parametrize(
    ("seconds", "loads", "weights", "chosen"),
    [
        ((0.010, 0.030, 0.030), [0, 0, 0], EQUAL, 0),
        ((0.010, 0.030, 0.030), [1, 0, 0], EQUAL, 0),  # 20 against 30
        ((0.010, 0.031, 0.032), [3, 0, 0], EQUAL, 1),  # 40 against 31
        ((0.010, 0.030, 0.030), [0, 0, 0], [1, 4, 1], 1),  # 30 / 4
        ((0.010, 0.0, 0.030), [1, 0, 0], EQUAL, 1),  # nothing is known: as the fastest, and idle
        ((0.0, 0.0, 0.0), [2, 1, 2], EQUAL, 1),  # least connections
    ],
)
def test_time_times_requests(seconds: tuple[float, ...], loads: list[int], weights: list[int], chosen: int) -> None:
    """By weight."""
    assert taught(*seconds).choose([0, 1, 2], loads, weights) == chosen


def test_only_who_may() -> None:
    """The fastest is not asked when it may not be."""
    assert taught(0.001, 0.5, 0.6).choose([1, 2], [0, 0, 0], EQUAL) == 1


def test_ties_go_round() -> None:
    """Nobody is known: everybody in turn."""
    policy = taught(0.0, 0.0, 0.0)
    assert Counter(policy.choose([0, 1, 2], [0, 0, 0], EQUAL) for _ in range(30)) == {0: 10, 1: 10, 2: 10}


def test_an_average_moves_by_an_eighth() -> None:
    """Up and down; the first answer is the average."""
    policy = taught(0.080)
    assert average(policy, 0) == 80 * MS
    policy.ended(0, 0.160, PickOutcome.ANSWERED)
    assert average(policy, 0) == 90 * MS
    policy.ended(0, 0.010, PickOutcome.ANSWERED)
    assert average(policy, 0) == 80 * MS


def test_who_fails_fast_is_not_fast() -> None:
    """Errors never make an average smaller; failures make it larger."""
    policy = taught(0.080, 8.0)
    policy.ended(0, 0.001, PickOutcome.ERROR)
    assert average(policy, 0) == 80 * MS
    policy.ended(0, 0.160, PickOutcome.ERROR)
    assert average(policy, 0) == 90 * MS
    policy.ended(0, 0.001, PickOutcome.FAILED)
    assert average(policy, 0) == 90 * MS + (FAILED - 90 * MS) // 8
    policy.ended(1, 0.001, PickOutcome.FAILED)
    assert average(policy, 1) == 9 * 10**9
    policy.ended(2, 0.001, PickOutcome.FAILED)
    assert average(policy, 2) == FAILED


def test_one_that_became_fast_again_is_found_out() -> None:
    """What is known of who is passed over fades, whoever is idle; a tenth as fast costs one request in about 1,200."""
    policy = taught(0.010, 0.100)
    picks = 0
    while policy.choose([0, 1], [0, 0], [1, 1]) == 0:
        policy.ended(0, 0.010, PickOutcome.ANSWERED)
        picks += 1
    assert 1000 < picks < 1400
    policy.ended(1, 0.005, PickOutcome.ANSWERED)
    assert policy.choose([0, 1], [0, 0], [1, 1]) == 1


def test_all_workers_have_one_average() -> None:
    """What one is told the other knows."""
    shared = ground()
    one, other = LeastTime(shared), LeastTime(shared)
    one.ended(0, 0.5, PickOutcome.ANSWERED)
    one.ended(1, 0.1, PickOutcome.ANSWERED)
    assert other.choose([0, 1], [0, 0, 0], EQUAL) == 1


@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=3, max_size=3), st.floats(0, 1e9), st.sampled_from(PickOutcome))
def test_nonsense_in_the_cells(written: list[int], seconds: float, outcome: PickOutcome) -> None:
    """A worker that was taken over may write anything: somebody is chosen, and what is written back is sound."""
    shared = ground()
    for cell, value in zip(shared.kept(), written, strict=True):
        shared.cells[cell] = value
    policy = LeastTime(shared)
    assert policy.choose([0, 1, 2], [5, 0, 2**24], EQUAL) in (0, 1, 2)
    policy.ended(1, seconds, outcome)
    assert all(0 <= average(policy, index) < MOST for index in range(3))


def test_the_slow_one_gets_what_it_can_take() -> None:
    """Two backends at 10 ms and one at 50 ms, 120 requests a second, exponential: shares go by speed, and nobody waits for the slow
    one as with least connections."""

    def mean(policy: LeastTime, told: bool) -> tuple[float, float]:
        chance, free = random.Random(3), [0.0, 0.0, 0.0]
        under_way: list[tuple[float, int, float]] = []
        loads, spent, slow, now = [0, 0, 0], 0.0, 0, 0.0
        for _ in range(5000):
            now += chance.expovariate(120)
            while under_way and under_way[0][0] <= now:
                _, index, took = heappop(under_way)
                loads[index] -= 1
                if told:
                    policy.ended(index, took, PickOutcome.ANSWERED)
            index = policy.choose([0, 1, 2], loads, EQUAL)
            loads[index] += 1
            free[index] = max(free[index], now) + chance.expovariate(1 / (0.05 if index == 2 else 0.01))
            heappush(under_way, (free[index], index, free[index] - now))
            spent += free[index] - now
            slow += index == 2
        return spent / 5000, slow / 5000

    by_time, share = mean(LeastTime(ground()), told=True)
    by_requests, usual = mean(LeastTime(ground()), told=False)  # which is least connections
    assert share < usual / 2
    assert by_time < by_requests * 0.8
