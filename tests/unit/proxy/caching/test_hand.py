"""lbproxy.proxy.caching.hand: only what is stored at this moment is taken in hand, and only what is small."""

from __future__ import annotations

from lbproxy.cache.interface import IN_MEMORY, StoredEntry
from lbproxy.http.caching.stored import Fork, StoredAnswer, read
from lbproxy.proxy.caching.at_hand import MOST_BODY
from lbproxy.proxy.caching.hand import answer_at_hand, fork_of
from tests.unit.proxy.caching.stores import FRESH, Caching, fill
from tests.unit.proxy.world import get, ok


def stored(caching: Caching) -> tuple[bytes, StoredEntry, StoredAnswer]:
    """The only answer."""
    [(digest, entry, answer)] = [
        (digest, entry, answer)
        for digest, entry in caching.storage.entries.items()
        if isinstance(answer := read(entry.meta), StoredAnswer)
    ]
    return digest, entry, answer


def test_what_is_stored_now() -> None:
    caching = Caching()
    fill(caching, ok(b"body", FRESH))
    digest, entry, answer = stored(caching)
    found = answer_at_hand(caching.storage.watch, None, digest, answer, entry)
    assert found is not None
    assert (found.body, found.fork) == (b"body", None)
    assert caching.storage.watch.still(found.held)
    caching.storage.forget(digest)
    assert answer_at_hand(caching.storage.watch, None, digest, answer, entry) is None


def test_what_is_small() -> None:
    """Its body is at hand; of all else it is known where that is."""
    for size in (MOST_BODY, MOST_BODY + 1, 100_000):
        caching = Caching()
        fill(caching, ok(bytes(size), FRESH))
        digest, entry, answer = stored(caching)
        found = answer_at_hand(caching.storage.watch, None, digest, answer, entry)
        assert found is not None
        assert (found.away, len(found.body), found.length) == (size > MOST_BODY, size if size <= MOST_BODY else 0, size)
        assert (found.file > 0) == (size > IN_MEMORY)


def test_a_fork() -> None:
    """As long as it leads to the variant."""
    caching = Caching()
    storage = caching.storage
    fill(caching, ok(b"gut", FRESH, "Vary: Accept-Language"), get("/a", "Accept-Language: de"))
    variant, _, _ = stored(caching)
    [key] = [digest for digest, entry in storage.entries.items() if isinstance(read(entry.meta), Fork)]
    found = fork_of(storage.watch, storage, key, variant)
    assert found is not None
    assert found.names == (b"accept-language",)
    assert found.mark.endswith(key)
    assert fork_of(storage.watch, storage, key, bytes(16)) is None
    storage.forget(key)
    assert fork_of(storage.watch, storage, key, variant) is None
