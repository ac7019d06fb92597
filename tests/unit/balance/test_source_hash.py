"""Rendezvous hashing with bounded load."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from lbproxy.balance.source_hash import REMEMBERED, Ranking, mix, number_of, within_bound

NAMES = [f"10.0.0.{number}:80" for number in range(1, 6)]
SOURCES = [f"192.0.{number // 250}.{number % 250}".encode() for number in range(5000)]


def firsts(names: list[str], weights: list[int]) -> dict[bytes, str]:
    ranking = Ranking(names, weights)
    return {source: names[ranking.of(source)[0]] for source in SOURCES}


def test_the_same_on_every_machine_and_in_every_version() -> None:
    """Written down, so that nobody changes the hash without noticing that all clients would move."""
    assert number_of(b"192.0.2.1") == 0x11288B28CEFA74C8
    assert mix(1) == 0x5692161D100B05E5
    assert Ranking(NAMES, [1] * 5).of(b"192.0.2.1") == (3, 0, 4, 2, 1)


def test_evenly_spread() -> None:
    """5000 sources over five backends: within a tenth of a thousand each; by weight when there are weights."""
    counted = Counter(firsts(NAMES, [1] * 5).values())
    assert all(900 < counted[name] < 1100 for name in NAMES)
    weighted = Counter(firsts(NAMES, [3, 1, 1, 0, 0]).values())
    assert 2800 < weighted[NAMES[0]] < 3200
    assert NAMES[3] not in weighted


def test_only_the_sources_of_a_lost_backend_move() -> None:
    """To their next in rank, evenly; the order of the configuration does not matter."""
    before = firsts(NAMES, [1] * 5)
    after = firsts(NAMES[::-1][:4], [1] * 4)  # without the first
    moved = [source for source in SOURCES if before[source] != after[source]]
    assert {before[source] for source in moved} == {NAMES[0]}
    assert len(Counter(after[source] for source in moved)) == 4


def test_a_weight_that_grows_only_gains() -> None:
    """Nobody moves between the others."""
    before, after = firsts(NAMES, [1] * 5), firsts(NAMES, [2, 1, 1, 1, 1])
    assert {after[source] for source in SOURCES if before[source] != after[source]} == {NAMES[0]}


def test_memory_is_bounded() -> None:
    """Whatever clients say."""
    ranking = Ranking(NAMES, [1] * 5)
    for number in range(REMEMBERED * 2):
        ranking.of(b"%d" % number)
    assert len(ranking._known) <= REMEMBERED


@given(
    st.lists(st.tuples(st.integers(0, 50), st.integers(1, 9), st.booleans()), min_size=1, max_size=8),
    st.randoms(use_true_random=False),
)
def test_nobody_gets_more_than_the_bound(backends: list[tuple[int, int, bool]], chance: object) -> None:
    """Load after the request is at most ceil(5/4 of the share), the first such in rank is taken, and somebody always is."""
    loads, weights = [load for load, _, _ in backends], [weight for _, weight, _ in backends]
    usable = [index for index, (_, _, fit) in enumerate(backends) if fit] or [0]
    ranking = list(range(len(backends)))
    chance.shuffle(ranking)  # type: ignore[attr-defined]  # a random.Random
    chosen = within_bound(ranking, usable, loads, weights)
    requests, weight = sum(loads[index] for index in usable) + 1, sum(weights[index] for index in usable)
    room = [index for index in ranking if index in usable and loads[index] + 1 <= -(-5 * requests * weights[index] // (4 * weight))]
    assert room
    assert chosen == room[0]
