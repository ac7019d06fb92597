"""Who may take a request, and whom it wants."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from lbproxy.balance.backend import Backend
from lbproxy.balance.ledger import SIZE, HealthState, Ledger, SlotState, admin_cell, state_at
from lbproxy.balance.pick_result import ASK_MORE, NO_BACKEND, POOL_FULL
from lbproxy.balance.selection import SPARED, Preference, Selection
from lbproxy.balance.source_hash import HashRing, number_of

U, D, N, E, T, W = (
    HealthState.UP,
    HealthState.DOWN,
    HealthState.UNKNOWN,
    HealthState.EJECTED,
    HealthState.TRIAL,
    HealthState.WARMING,
)
CELLS = Ledger(bytearray(SIZE)).cells
CELLS[state_at(SlotState.REACHABLE, 12)] = 1
CELLS[state_at(SlotState.SHARE, 11)] = 30
SOURCE = number_of(b"192.0.2.11")


class First:
    """A policy that takes the first, and remembers who was offered."""

    ended = None

    def __init__(self) -> None:
        self.offered: list[int] = []
        self.weights: list[int] = []

    def choose(self, usable: Sequence[int], loads: Sequence[int], weights: Sequence[int]) -> int:
        self.offered, self.weights = list(usable), list(weights)
        return usable[0]


def selection(
    policy: First, *, tiers: Sequence[int], weights: Sequence[int] = (), limits: Sequence[int] = (), fail_open: int = 0
) -> Selection:
    return Selection(
        [
            Backend("app", f"b{at}", "h", "127.0.0.1", 80, (weights or [1] * 9)[at], (limits or [0] * 9)[at], 10 + at, tier)
            for at, tier in enumerate(tiers)
        ],
        policy,
        CELLS,
        fail_open,
    )


@pytest.mark.parametrize(
    ("tiers", "health", "tried", "offered"),
    [
        ([0, 0, 1], [U, U, U], (), [0, 1]),
        ([0, 0, 1], [U, D, U], (), [0]),
        ([0, 0, 1], [D, D, U], (), [2]),
        ([0, 0, 1], [U, U, U], (10,), [1]),
        ([0, 0, 1], [U, U, U], (10, 11), [2]),  # a retry may leave the tier when nobody is left in it
        ([0, 0, 1], [N, N, U], (), [2]),  # a tier of which somebody is known to be up wins over one that was never checked
        ([0, 0, 1], [N, U, U], (), [0, 1]),  # beside one that is up nobody has to be known
        ([0, 0, 1], [D, U, N], (), [1]),
        ([0, 0, 1], [N, D, N], (), [0]),
        ([5, 0, 9], [U, D, U], (), [0]),  # only the order of the numbers matters
        ([0, 0, 1], [D, D, D], (), []),
        ([0, 0, 1], [D, D, U], (12,), []),
    ],
)
def test_tiers(tiers: list[int], health: list[HealthState], tried: tuple[int, ...], offered: list[int]) -> None:
    """The first tier with anybody up; before that nobody behind it."""
    policy = First()
    chosen = selection(policy, tiers=tiers).choose(health, [0, 0, 0], [0, 0, 0], tried)
    assert policy.offered == offered
    assert chosen == (offered[0] if offered else NO_BACKEND)


def test_a_full_tier_does_not_spill() -> None:
    """The next one is for when the first is down."""
    policy = First()
    some = selection(policy, tiers=[0, 0, 1], limits=[2, 1, 0])
    assert some.choose([U] * 3, [0] * 3, [2, 0, 0], ()) == 1
    assert some.choose([U] * 3, [0] * 3, [2, 1, 0], ()) == POOL_FULL


def test_orders_of_the_operator() -> None:
    """Drained is out, a weight replaces the configured one, also that of a backend that had none."""
    policy = First()
    some = selection(policy, tiers=[0, 0, 0], weights=[4, 4, 0])
    assert some.choose([U] * 3, [admin_cell(True, None), admin_cell(False, 7), admin_cell(False, 2)], [0] * 3, ()) == 1
    assert policy.offered == [1, 2]
    assert policy.weights == [0, 7, 2]


def test_what_a_request_wants() -> None:
    """Its own backend if that may be used, else its source's within the bound, else the policy decides."""
    policy = First()
    some = selection(policy, tiers=[0, 0, 0, 1])

    def choose(health: list[HealthState], loads: list[int], *wanted: object) -> int:
        return some.choose(health, [0] * 4, loads, (), Preference(*wanted))  # type: ignore[arg-type]  # spelled out below

    assert choose([U, U, U, U], [0, 0, 9, 0], 2) == 2
    assert choose([U, U, D, U], [0, 0, 0, 0], 2) == 0
    assert choose([U, U, U, U], [0, 0, 0, 0], 3) == 0  # a backup is not to be used now
    ring = HashRing(["10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80", "10.0.0.4:80"], [1] * 4)  # the source's are 3, 1, 2, 0
    assert choose([U, U, U, U], [0, 0, 0, 0], -1, SOURCE, ring) == 1
    assert choose([U, U, U, U], [0, 9, 0, 0], -1, SOURCE, ring) == 2
    assert choose([U, D, U, U], [0, 0, 0, 0], 1, SOURCE, ring) == 2
    assert choose([U, U, U, U], [0, 0, 0, 0], 0, SOURCE, ring) == 0


@pytest.mark.parametrize(
    ("tiers", "health", "loads", "tried", "fail_open", "offered"),
    [
        ([0, 0, 0], [U, E, U], [0, 0, 0], (), 50, [0, 2]),
        ([0, 0, 0], [U, T, U], [0, 0, 0], (), 50, [0, 1, 2]),
        ([0, 0, 0], [U, T, U], [0, 1, 0], (), 50, [0, 2]),  # one request at a time
        ([0, 0, 0], [U, W, U], [0, 9, 0], (), 50, [0, 1, 2]),
        ([0, 0, 0], [U, E, D], [0, 0, 0], (), 50, [0, 1, 2]),  # one of three is up
        ([0, 0, 0], [U, E, D], [0, 0, 0], (), 33, [0]),
        ([0, 0, 0], [U, E, D], [0, 0, 0], (), 0, [0]),
        ([0, 0, 0], [U, D, E], [0, 0, 0], (), 50, [0, 2]),  # the second cannot be reached
        ([0, 0, 1], [E, E, U], [0, 0, 0], (), 50, [2]),  # better a backup than somebody who fails
        ([0, 0, 1], [U, E, U], [0, 0, 0], (), 90, [0]),
        ([0, 0, 0], [E, D, E], [0, 0, 0], (), 50, [0, 2]),
        ([0, 0, 0], [D, D, D], [0, 0, 0], (), 50, [2]),
        ([0, 0, 0], [D, D, D], [0, 0, 0], (), 0, []),
        ([0, 0, 0], [U, E, U], [0, 0, 0], (10, 12), 50, [1]),  # the second try of a request that would fail otherwise
    ],
)
def test_in_need(
    tiers: list[int], health: list[HealthState], loads: list[int], tried: tuple[int, ...], fail_open: int, offered: list[int]
) -> None:
    """Who is ejected or fails its checks is used when too few are left, who cannot be reached is not."""
    policy = First()
    some = selection(policy, tiers=tiers, fail_open=fail_open)
    some.choose(health, [0, 0, 0], loads, tried, Preference(repeatable=True))
    assert sorted(policy.offered) == offered


def test_a_trial_is_for_requests_that_may_fail() -> None:
    """Another kind stays away as long as there is anybody else, but for one in so many; and nobody guesses the kind."""
    policy = First()
    some = selection(policy, tiers=[0, 0, 0])
    may, must_not = Preference(repeatable=True), Preference(repeatable=False)
    assert some.choose([T, U, U], [0] * 3, [0] * 3, ()) == ASK_MORE
    assert policy.offered == []
    assert [some.choose([T, U, U], [0] * 3, [0] * 3, (), may) for _ in range(SPARED)] == [0] * SPARED
    assert [some.choose([T, U, U], [0] * 3, [0] * 3, (), must_not) for _ in range(2 * SPARED)] == ([1] * (SPARED - 1) + [0]) * 2
    assert some.choose([T, D, D], [0] * 3, [0] * 3, (), must_not) == 0
    assert some.choose([T, U, U], [0] * 3, [0] * 3, (), Preference(0, repeatable=False)) == 1, "also from its own backend"
    assert some.choose([U, U, D], [0] * 3, [0] * 3, ()) == 0


def test_weights_of_those_that_warm_up() -> None:
    """A share in percent of the whole."""
    policy = First()
    selection(policy, tiers=[0, 0, 0], weights=[2, 4, 1]).choose([U, W, U], [0] * 3, [0] * 3, ())
    assert policy.weights == [200, 120, 100]
