"""lbproxy.cache.watch: what a worker has copied is good for as long as it is what is stored, and not a moment longer."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lbproxy.cache.keeper import Keeper
from lbproxy.cache.layout import Counter
from lbproxy.cache.purges import Purge
from lbproxy.cache.watch import CacheWatch, HeldEntry
from tests.unit.cache.world import World, digest_of


def held_in(world: World, name: str = "a") -> tuple[CacheWatch, HeldEntry]:
    watch = CacheWatch(world.memory, world.counters)
    entry = world.area.get(digest_of(name))
    assert entry is not None
    held = watch.hold(digest_of(name), entry)
    assert held is not None
    return watch, held


def test_it_is_as_long_as_it_is() -> None:
    """Whatever else is stored or forgotten."""
    world = World()
    world.store("a")
    watch, held = held_in(world)
    for number in range(200):
        world.store(str(number))
    world.area.forget(digest_of("7"))
    assert watch.still(held)


def replaced(world: World) -> None:
    world.store("a", b"another")


def renewed(world: World) -> None:
    world.area.renew(digest_of("a"), b"new", world.area.begin(digest_of("a")))


def forgotten(world: World) -> None:
    world.area.forget(digest_of("a"))


def purged(world: World) -> None:
    Keeper(world.memory, world.lock).purge(Purge.URL, b"http://a/a")


def evicted(world: World) -> None:
    for number in range(2000):
        world.store(f"one {number}", bytes(10_000))


def overwritten(world: World) -> None:
    """By one who was killed before he had cleared its slot."""
    for ring in world.memory.rings:
        ring.clear()


@pytest.mark.parametrize("happens", [replaced, renewed, forgotten, purged, evicted, overwritten])
def test_it_is_no_longer(happens: Callable[[World], None]) -> None:
    world = World()
    world.store("a")
    watch, held = held_in(world)
    happens(world)
    assert not watch.still(held)


def test_what_has_gone_between_is_not_held() -> None:
    """Another answer came between the look and the hold."""
    world = World()
    world.store("a")
    watch, _ = held_in(world)
    entry = world.area.get(digest_of("a"))
    assert entry is not None
    world.store("a", b"another")
    assert watch.hold(digest_of("a"), entry) is None
    world.area.forget(digest_of("a"))
    assert watch.hold(digest_of("a"), entry) is None


def test_a_purge_between_look_and_hold() -> None:
    """The rule is newer than what was looked at."""
    world = World()
    world.store("a")
    watch, _ = held_in(world)
    entry = world.area.get(digest_of("a"))
    assert entry is not None
    purged(world)
    held = watch.hold(digest_of("a"), entry)
    assert held is not None
    assert not watch.still(held)


def test_whoever_is_asked_for_by_copies_alone_is_kept() -> None:
    """It counts as asked for, in the table and for operators."""
    world = World()
    world.store("a")
    for number in range(2000):
        if world.body("a") is None:
            break
        watch, held = held_in(world)
        before = world.counters[Counter.HITS], world.counters[Counter.BYTES]
        watch.used(held, 4)
        assert (world.counters[Counter.HITS], world.counters[Counter.BYTES]) == (before[0] + 1, before[1] + 4)
        world.store(f"one {number}", bytes(10_000))
    assert world.body("a") is not None
