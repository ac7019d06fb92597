"""lbproxy.cache.keeper: purges by operators, and the sweep that ends them."""

from __future__ import annotations

from lbproxy.cache.keeper import AT_A_TIME, Keeper
from lbproxy.cache.layout import RULES, Word
from lbproxy.cache.purges import Purge
from tests.unit.cache.world import World


def swept(keeper: Keeper) -> list[int]:
    """To the end; files that went."""
    gone: list[int] = []
    for _ in range(10_000):
        if not keeper.sweeping:
            return gone
        part = keeper.sweep()
        assert part is not None
        gone += part
    raise AssertionError("it never ends")


def test_a_purge_is_swept_out() -> None:
    """What it is about goes, with its file, and only that; then its rule counts no more."""
    world = World(disk=10**9)
    keeper = Keeper(world.memory, world.lock)
    for number in range(50):
        world.store(str(number), tags=(b"even" if number % 2 == 0 else b"odd",))
        world.store_file(f"file {number}", number + 1, 100_000)
    assert not keeper.sweeping
    assert keeper.purge(Purge.TAG, b"even")
    assert keeper.purge(Purge.URL, b"http://a/file 7")
    assert keeper.sweeping
    assert swept(keeper) == [8]
    assert world.memory.words[Word.SWEPT] == 2
    assert world.memory.words[Word.STORED] == 25 + 49
    assert [world.body(str(number)) for number in range(4)] == [None, b"body", None, b"body"]


def test_a_purge_in_the_middle_of_a_sweep_gets_one_of_its_own() -> None:
    """What was passed by already is looked at again."""
    world = World()
    keeper = Keeper(world.memory, world.lock)
    assert keeper.purge(Purge.URL, b"http://a/none")
    for _ in range(world.memory.buckets.count // AT_A_TIME // 2):
        keeper.sweep()
    names = [str(number) for number in range(200)]
    for name in names:
        world.store(name, tags=(b"t",))
    assert keeper.purge(Purge.TAG, b"t")
    swept(keeper)
    assert world.memory.words[Word.STORED] == 0
    assert world.memory.words[Word.SWEPT] == 2


def test_too_many_purges_have_to_wait() -> None:
    """There is room again after the sweep. Without the lock nothing is promised."""
    world = World()
    keeper = Keeper(world.memory, world.lock)
    for number in range(RULES):
        assert keeper.purge(Purge.URL, b"http://a/%d" % number)
    assert not keeper.purge(Purge.ALL, b"")
    swept(keeper)
    assert keeper.purge(Purge.ALL, b"")
    world.lock.held = True
    assert not keeper.purge(Purge.ALL, b"")
    assert keeper.sweep() is None
    assert keeper.sweeping


def test_what_is_stored_is_shown() -> None:
    """Under one URL, not what was purged."""
    world = World(disk=10**9)
    keeper = Keeper(world.memory, world.lock)
    world.store("a", b"12345", url="http://a/x", meta=b"head")
    world.store("a variant", b"123", url="http://a/x", tags=(b"t",))
    world.store("b", url="http://a/xy")
    found = [one for part in keeper.search(b"http://a/x") for one in part]
    assert sorted((one.size, one.meta, one.ring) for one in found) == [(3, b"m", "probation"), (5, b"head", "probation")]
    keeper.purge(Purge.TAG, b"t")
    assert [one.size for part in keeper.search(b"http://a/x") for one in part] == [5]
