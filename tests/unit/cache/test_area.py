"""lbproxy.cache.area: what is stored is found, unchanged or not at all."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from lbproxy.cache.area import NUMBERS, Area
from lbproxy.cache.interface import IN_MEMORY, MOST_META, New, Put
from lbproxy.cache.layout import Counter, Word
from lbproxy.cache.purges import Purge
from tests.unit.cache.world import SECRET, World, digest_of


def test_what_is_stored_is_found() -> None:
    """Meta and body as they were; under another digest there is nothing."""
    world = World()
    assert world.store("a", b"x" * 1000, meta=b"head")
    found = world.area.get(digest_of("a"))
    assert found is not None
    assert (found.meta, found.body, found.size, found.file) == (b"head", b"x" * 1000, 1000, 0)
    assert world.area.get(digest_of("b")) is None
    assert (world.counters[Counter.HITS], world.counters[Counter.MISSES]) == (1, 1)
    assert world.area.secret == SECRET


def test_the_last_one_stored_counts() -> None:
    """One answer a digest."""
    world = World()
    assert world.store("a", b"one")
    assert world.store("a", b"two")
    assert world.body("a") == b"two"
    assert world.memory.words[Word.STORED] == 1


def test_what_is_too_large_is_refused() -> None:
    """Bodies that belong into files, heads that nobody sends, URLs that nobody can purge."""
    world = World()
    assert world.store("a", bytes(IN_MEMORY))
    assert not world.store("b", bytes(IN_MEMORY + 1))
    assert not world.store("c", meta=bytes(MOST_META + 1))
    assert not world.store("d", url="x" * 40_000)
    assert not world.store("e", tags=(b"t",) * 65)
    assert world.counters[Counter.NOT_STORED] == 4


def test_nothing_is_stored_while_everybody_writes() -> None:
    """Who cannot have the lock does without; a file that was written for it goes. To forget needs no lock."""
    world = World(disk=2**30)
    world.store("a")
    world.lock.held = True
    assert not world.store("b")
    assert not world.store_file("c", 7, 100_000)
    assert world.gone == [7]
    again = New(b"m", b"http://a/c", (), b"", 100_000, 8)
    assert world.area.put(digest_of("c"), again, world.area.begin(digest_of("c")), again=True) is Put.BUSY
    assert world.gone == [7]  # whoever comes again with it needs it
    assert world.area.renew(digest_of("a"), b"new", world.area.begin(digest_of("a"))) is Put.BUSY
    assert world.area.forget(digest_of("a"))
    assert world.body("a") is None


def test_a_fill_that_was_begun_before_its_key_is_forgotten_is_not_stored() -> None:
    """Neither under the key itself nor under a variant's digest."""
    world = World()
    primary = digest_of("a")
    early = world.area.begin(primary)
    assert not world.area.forget(primary)
    assert not world.area.put(primary, New(b"m", b"http://a/a", (), b"old"), early)
    assert not world.area.put(digest_of("a variant"), New(b"m", b"http://a/a", (), b"old"), early)
    assert world.counters[Counter.OVERTAKEN] == 2
    assert world.store("a", b"new")
    assert world.body("a") == b"new"


def test_a_purge_beats_a_fill_begun_before_it() -> None:
    """By URL, by prefix, by tag; what it is not about is stored."""
    purges = [(Purge.URL, b"http://a/x?q"), (Purge.PREFIX, b"http://a/"), (Purge.TAG, b"blue"), (Purge.ALL, b"")]
    for what, text in purges:
        world = World()
        early = world.area.begin(digest_of("k"))
        world.memory.rules.add(what, text)
        assert not world.area.put(digest_of("k"), New(b"m", b"http://a/x?q", (b"red", b"blue"), b"old"), early)
        other = bool(world.area.put(digest_of("l"), New(b"m", b"http://b/x", (b"red",), b"other"), early))
        assert other is (what is not Purge.ALL)
        assert world.store("k", b"new", url="http://a/x?q", tags=(b"blue",))
        assert world.body("k") == b"new"


def test_what_was_purged_is_not_found() -> None:
    """At once, before anybody has swept; what only resembles it stays."""
    world = World()
    world.store("x", url="http://a/x", tags=(b"blue",))
    world.store("xy", url="http://a/xy", tags=(b"bluer",))
    world.memory.rules.add(Purge.URL, b"http://a/x")
    assert world.body("x") is None
    assert world.body("xy") == b"body"
    assert world.counters[Counter.PURGED] == 1
    world.memory.rules.add(Purge.TAG, b"bluer")
    assert world.body("xy") is None


def test_a_renewed_answer_keeps_its_body() -> None:
    """Another meta; body, URL and tags stay, in memory and in files."""
    world = World(disk=2**30)
    world.store("a", b"text", url="http://a/1", tags=(b"t",), meta=b"old")
    world.store_file("b", 9, 100_000)
    for name in ("a", "b"):
        assert world.area.renew(digest_of(name), b"new", world.area.begin(digest_of(name)))
    found, large = world.area.get(digest_of("a")), world.area.get(digest_of("b"))
    assert found is not None
    assert large is not None
    assert (found.meta, found.body) == (b"new", b"text")
    assert (large.meta, large.file, large.size) == (b"new", 9, 100_000)
    assert world.gone == []
    assert world.memory.words[Word.DISK_USED] == 100_000
    world.memory.rules.add(Purge.TAG, b"t")
    assert not world.area.renew(digest_of("a"), b"newer", world.area.begin(digest_of("a")))
    assert world.body("a") is None
    assert not world.area.renew(digest_of("none"), b"new", world.area.begin(digest_of("none")))


def test_files_go_when_nobody_names_them() -> None:
    """Replaced, forgotten, or pushed out by others for want of disk, oldest first."""
    world = World(disk=1_000_000)
    assert world.store_file("a", 1, 400_000)
    assert world.store_file("a", 2, 400_000)
    assert world.gone == [1]
    assert world.store_file("b", 3, 400_000)
    world.area.forget(digest_of("b"))
    assert world.gone == [1, 3]
    assert world.store_file("c", 4, 400_000)
    assert world.store_file("d", 5, 400_000)
    assert world.gone == [1, 3, 2]
    assert world.memory.words[Word.DISK_USED] == 800_000
    assert not world.store_file("e", 6, 2_000_000)
    assert world.gone == [1, 3, 2, 6]
    assert world.area.get(digest_of("c")) is not None


def test_files_are_numbered_once() -> None:
    """No number twice, and none is 0."""
    world = World(disk=1_000_000)
    assert [world.area.new_file() for _ in range(NUMBERS - 5)] == list(range(1, NUMBERS - 4))
    other = Area(world.memory, world.lock, 2, world.gone.extend)
    taken = {area.new_file() for area in (world.area, other) for _ in range(3 * NUMBERS)}
    assert len(taken) == 6 * NUMBERS
    assert min(taken) == NUMBERS - 4


def test_files_are_numbered_while_somebody_has_the_lock() -> None:
    """A process has numbers in store, half of what it takes at least; without any there is none."""
    world = World(disk=1_000_000)
    world.lock.held = True
    assert world.area.new_file() == 0
    world.lock.held = False
    assert world.area.new_file() == 1
    world.lock.held = True
    for number in range(2, NUMBERS + 1):
        assert world.area.new_file() == number
    assert world.area.new_file() == 0


def test_what_is_asked_for_survives_a_flood_of_unique_urls() -> None:
    """A hundred answers that are hit now and then, and five times the memory of those that nobody asks for again."""
    world = World()
    for number in range(100):
        world.store(f"hot {number}", bytes(1000))
    for number in range(20_000):
        if number % 2 == 0:
            world.body(f"hot {number // 2 % 100}")
        world.store(f"cold {number}", bytes(1000))
    assert sum(world.body(f"hot {number}") is not None for number in range(100)) == 100
    assert world.counters[Counter.PROMOTED] >= 100
    assert world.memory.usage()["entries"] < 4000


def test_all_of_the_memory_is_used() -> None:
    """As long as there is room in main nothing is pushed out, asked for or not, but by a bucket that happens to be full."""
    world = World()
    for number in range(2000):
        world.store(str(number), bytes(1000))
    assert sum(world.body(str(number)) is not None for number in range(2000)) == 2000 - world.counters[Counter.EVICTED]
    assert world.counters[Counter.EVICTED] < 40
    assert 2 * 2**20 < sum(ring.head - ring.tail for ring in world.memory.rings) < 4 * 2**20


def test_an_answer_that_comes_again_soon_is_kept_longer() -> None:
    """Pushed out of probation without a hit, it comes into main the next time."""
    world = World()
    for number in range(5000):  # until main is full
        world.store(f"first {number}", bytes(1000))
    world.store("again", bytes(1000))
    for number in range(1000):
        world.store(f"cold {number}", bytes(1000))
    assert world.body("again") is None
    world.store("again", bytes(1000))
    for number in range(1000):
        world.store(f"colder {number}", bytes(1000))
    assert world.body("again") is not None


Step = tuple[str, int, int]
_STEPS = st.lists(
    st.tuples(
        st.sampled_from(["put", "get", "forget", "renew", "file", "purge", "tag"]), st.integers(0, 40), st.integers(0, IN_MEMORY)
    ),
    max_size=120,
)


@given(_STEPS, st.integers(0, 2))
@settings(max_examples=60, deadline=None)
def test_like_a_dictionary_that_may_lose_things(steps: list[Step], small: int) -> None:
    """Whatever is found is what was stored last under that digest, and was neither forgotten nor purged; every file is named by an
    answer or gone."""
    world = World(disk=600_000)
    model: dict[int, tuple[bytes, bytes, int]] = {}
    files: set[int] = set()
    for count, (what, key, size) in enumerate(steps):
        digest = digest_of(str(key))
        ticket = world.area.begin(digest)
        meta, body = b"%d" % count, (b"%d," % count * size)[: size >> small]
        url, tag = b"http://a/%d" % key, b"%d" % (key % 3)
        if what == "put":
            stored = world.area.put(digest, New(meta, url, (tag,), body), ticket)
            model.pop(key, None) if not stored else model.__setitem__(key, (meta, body, 0))
        elif what == "file":
            number = world.area.new_file()
            files.add(number)
            if world.area.put(digest, New(meta, url, (tag,), b"", size * 4, number), ticket):
                model[key] = (meta, b"", number)
        elif what == "renew":
            if world.area.renew(digest, meta, ticket):
                model[key] = (meta, *model[key][1:])
        elif what == "forget":
            world.area.forget(digest)
            model.pop(key, None)
        elif what == "purge":
            world.memory.rules.add(Purge.URL, url)
            model.pop(key, None)
        elif what == "tag" and size % 4 == 0:
            world.memory.rules.add(Purge.TAG, tag)
            model = {other: kept for other, kept in model.items() if other % 3 != key % 3}
        found = world.area.get(digest)
        assert found is None or (found.meta, found.body, found.file) == model[key]
        if what == "put":
            assert found is not None
    named = {found.file for key in range(41) if (found := world.area.get(digest_of(str(key)))) is not None and found.file}
    assert named | set(world.gone) <= files
    assert not named & set(world.gone)
    assert world.memory.words[Word.DISK_USED] <= 600_000


@given(st.binary(max_size=300), st.integers(0, 2**22), st.lists(st.integers(0, 30), max_size=30))
@settings(max_examples=100, deadline=None)
def test_nonsense_in_memory_hurts_nobody(nonsense: bytes, at: int, keys: list[int]) -> None:
    """A worker that was taken over writes what it likes: nobody reads past an end, waits for ever, or has a traceback."""
    world = World(disk=10**6)
    for key in range(30):
        world.store(str(key), bytes(200 * key))
    words = len(nonsense) // 8 * 8
    world.buffer[64 + at % 200 : 64 + at % 200 + words] = nonsense[:words]
    place = at % (len(world.buffer) - 300)
    world.buffer[place : place + len(nonsense)] = nonsense
    for key in keys:
        world.area.get(digest_of(str(key)))
        world.store(str(key + 15), bytes(3000))
        world.store_file(str(key), key + 100, 1000)
        world.area.forget(digest_of(str(key)))
