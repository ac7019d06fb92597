"""Consistent hashing with bounded load."""

from __future__ import annotations

import tracemalloc
from collections import Counter
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproxy.balance import source_hash
from lbproxy.balance.source_hash import PROBES, HashRing, mix, number_of
from lbproxy.compiled import loaded

NAMES = [f"10.0.0.{number}:80" for number in range(1, 6)]
SOURCES = [number_of(f"192.0.{number // 250}.{number % 250}".encode()) for number in range(5000)]


def placed(names: list[str], weights: list[int], down: tuple[str, ...] = ()) -> dict[int, str]:
    """Every source's backend, while nobody has anything under way."""
    ring = HashRing(names, weights)
    usable = [index for index, name in enumerate(names) if name not in down]
    idle, alike = [0] * len(names), [1] * len(names)
    return {source: names[ring.within_bound(source, usable, idle, alike)] for source in SOURCES}


def test_the_same_on_every_machine_and_in_every_version() -> None:
    """Written down, so that nobody changes the hash without noticing that all clients would move."""
    assert number_of(b"192.0.2.1") == 0x11288B28CEFA74C8
    assert mix(1) == 0x5692161D100B05E5
    left, order = list(range(5)), []
    ring = HashRing(NAMES, [1] * 5)
    while left:
        order.append(ring.within_bound(number_of(b"192.0.2.1"), left, [0] * 5, [1] * 5))
        left.remove(order[-1])
    assert order == [2, 4, 3, 1, 0]


def test_the_order_of_the_configuration_does_not_matter() -> None:
    """Two lbproxies whose files list the same backends agree."""
    weights = dict(zip(NAMES, (1, 2, 3, 5, 8), strict=True))
    first, *others = (placed(list(names), [weights[name] for name in names]) for names in list(permutations(NAMES))[::40])
    assert all(other == first for other in others)


@pytest.mark.parametrize("weights", [[1, 1, 1, 1, 1], [3, 1, 1, 0, 0], [1, 2, 4, 8, 16], [100, 1000, 300, 7, 1]])
def test_evenly_spread_by_weight(weights: list[int]) -> None:
    """5000 sources over five backends: within a tenth of what the weights say, give or take what chance does."""
    counted = Counter(placed(NAMES, weights).values())
    for name, weight in zip(NAMES, weights, strict=True):
        share = 5000 * weight / sum(weights)
        assert abs(counted[name] - share) <= share / 10 + 2 * share**0.5


def test_evenly_spread_over_many() -> None:
    """Of 100 backends none gets more than a fourth above its share, chance (a tenth) among it."""
    counted = Counter(placed([f"10.0.1.{number}:80" for number in range(50)], [1] * 50).values())
    assert len(counted) == 50
    assert max(counted.values()) < 100 * 1.35
    assert min(counted.values()) > 100 * 0.65


def test_only_the_sources_of_a_lost_backend_move() -> None:
    """Lost to the configuration or to the health checks: theirs move alike, over all the others; nobody else's do."""
    before = placed(NAMES, [1] * 5)
    after = placed(NAMES[::-1][:4], [1] * 4)  # without the first
    moved = [source for source in SOURCES if before[source] != after[source]]
    assert {before[source] for source in moved} == {NAMES[0]}
    assert len(Counter(after[source] for source in moved)) == 4
    assert placed(NAMES, [1] * 5, down=(NAMES[0],)) == after


@pytest.mark.parametrize("weight", [2, 3, 4, 7, 1000])
def test_a_weight_that_grows_only_gains(weight: int) -> None:
    """Nobody moves between the others."""
    before, after = placed(NAMES, [1] * 5), placed(NAMES, [weight, 1, 1, 1, 1])
    assert {after[source] for source in SOURCES if before[source] != after[source]} == {NAMES[0]}


def test_one_of_very_many_is_found() -> None:
    """The last backend that is up, of a thousand; and the same one for the same source of two that are up, or have weight 0."""
    names = [f"10.1.{number // 250}.{number % 250}:80" for number in range(1000)]
    ring = HashRing(names, [1] * 999 + [0])
    assert {ring.within_bound(source, [7], [0] * 1000, [1] * 1000) for source in SOURCES[:100]} == {7}
    chosen = Counter(ring.within_bound(source, [7, 8], [0] * 1000, [1] * 1000) for source in SOURCES[:1000])
    assert 400 < chosen[7] < 600
    assert ring.within_bound(SOURCES[0], [999], [0] * 1000, [5] * 1000) == 999


@pytest.mark.skipif(loaded().startswith("compiled"), reason="steps can be counted in plain Python alone; the lines are the same")
def test_a_new_source_costs_as_much_with_many_backends_as_with_few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the points a logarithm is looked at: a search for each probe, and a step or two from there."""
    looked = Counter[int]()

    class Counted(list[int]):
        def __getitem__(self, at):  # type: ignore[no-untyped-def]
            looked[len(self)] += 1
            return super().__getitem__(at)

    monkeypatch.setattr(source_hash, "memoryview", Counted, raising=False)
    for count in (10, 1000):
        ring = HashRing([f"10.1.{number // 250}.{number % 250}:80" for number in range(count)], [1] * count)
        for source in SOURCES[:100]:
            ring._nearest(source, bytearray(b"\1" * count))
    few, many = (looked[count * source_hash.POINTS] / 100 for count in (10, 1000))
    assert few <= PROBES * 13
    assert many <= PROBES * 19


def test_nothing_is_remembered_of_a_source() -> None:
    """Whatever clients say, and however much: 10,000 values of 4 KiB leave nothing behind."""
    ring, usable = HashRing(NAMES, [1] * 5), list(range(5))
    tracemalloc.start()
    try:
        for number in range(10_000):
            ring.within_bound(number_of(b"%d" % number + b"x" * 4096), usable, usable, [1] * 5)
        assert tracemalloc.get_traced_memory()[0] < 64 * 1024
    finally:
        tracemalloc.stop()


@given(
    st.lists(st.tuples(st.integers(0, 50), st.integers(1, 9), st.booleans()), min_size=1, max_size=8),
    st.integers(0, 2**64 - 1),
)
def test_nobody_gets_more_than_the_bound(backends: list[tuple[int, int, bool]], source: int) -> None:
    """Load after the request is at most ceil(5/4 of the share), and somebody always is: whom the source would have if those with
    more were not there."""
    loads, weights = [load for load, _, _ in backends], [weight for _, weight, _ in backends]
    usable = [index for index, (_, _, fit) in enumerate(backends) if fit] or [0]
    ring = HashRing([f"10.0.0.{number}:80" for number in range(len(backends))], weights)
    chosen = ring.within_bound(source, usable, loads, weights)
    requests, weight = sum(loads[index] for index in usable) + 1, sum(weights[index] for index in usable)
    room = [index for index in usable if loads[index] + 1 <= -(-5 * requests * weights[index] // (4 * weight))]
    assert chosen in room
    assert chosen == ring.within_bound(source, room, [0] * len(backends), weights)
