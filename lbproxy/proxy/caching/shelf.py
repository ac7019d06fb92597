"""The shelf of stored answers, as one worker's steps see it: look up, keep, renew; variants below their keys."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from lbproxy.cache.interface import (
    MOST_META,
    MOST_TAGS,
    MOST_URL,
    Bodies,
    CacheError,
    FillTicket,
    New,
    Put,
    Reading,
    Storage,
    StoredEntry,
)
from lbproxy.http.caching.heads import MOST_FIELDS, sized
from lbproxy.http.caching.stored import NONCE, Fork, StoredAnswer, read
from lbproxy.http.caching.tags import tags_of
from lbproxy.http.caching.variants import MOST_NAMES, key_of, variant_of
from lbproxy.http.h1.response import parse_response
from lbproxy.http.message import ResponseHead
from lbproxy.proxy.caching.fill import Fill
from lbproxy.proxy.caching.outcomes import CacheOutcomes, uncounted
from lbproxy.proxy.caching.patience import PendingStores
from lbproxy.proxy.response_body import SourceFailed
from lbproxy.proxy.stand_in import Body


class LookupTarget(NamedTuple):
    """What a request is for."""

    key: bytes
    sent: bytes
    """The request's head as its backend gets it."""
    url: bytes
    """For purging; see interface.New."""
    cold: bytes = b""
    """What is collapsed as long as nothing is stored under the key, where that is less than all who ask for it."""


class FoundAnswer(NamedTuple):
    """A stored answer for a request."""

    answer: StoredAnswer
    entry: StoredEntry
    digest: bytes

    def head(self) -> ResponseHead:
        """Its own, with the length of its body."""
        return parse_response(sized(self.answer.head, self.entry.size), b"GET", MOST_FIELDS)


class LookedUp(NamedTuple):
    """What a look-up has found."""

    found: FoundAnswer | None
    digest: bytes
    """Where it is, or would be as far as that is known: what is collapsed."""
    why: bytes
    """There is none: in the words of RFC 9211."""

    def reason(self, now: float) -> bytes:
        """Why a backend is asked, whatever was found."""
        if self.found is None:
            return self.why
        return b"request" if now < self.found.answer.kept.lifetime.fresh_until else b"stale"


class FileBody(Body):
    """A stored body in a file, read in pieces."""

    def __init__(self, reading: Reading, lost: Callable[[], object]) -> None:
        """`lost`: told that it cannot be read."""
        self._reading: Reading | None = reading
        self._lost = lost

    def read(self, at: int, limit: int) -> bytes:
        """See Body."""
        if self._reading is None:
            raise SourceFailed("cache_file")
        try:
            return self._reading.read(at, limit)
        except CacheError as error:
            self._lost()
            raise SourceFailed("cache_file") from error

    def close(self) -> None:
        """See Body."""
        reading, self._reading = self._reading, None
        if reading is not None:
            reading.close()


class CacheShelf:
    """All that is stored, in one worker."""

    def __init__(
        self, storage: Storage, bodies: Bodies | None, chance: Callable[[int], bytes], outcomes: CacheOutcomes | None = None
    ) -> None:
        """`bodies`: None: large ones are not kept; `chance`: so many random bytes; `outcomes`: what is counted."""
        self.outcomes = outcomes or uncounted()
        self.storage = storage
        self.bodies = bodies
        self.fills: dict[bytes, Fill] = {}
        """What this worker asks for on behalf of all who come meanwhile, by LookedUp.digest: one for each such request."""
        self.waiting = PendingStores()
        self._chance = chance

    def key(self, *parts: bytes) -> bytes:
        """Of a target."""
        return key_of(self.storage.secret, *parts)

    def variant(self, sent: bytes, names: tuple[bytes, ...]) -> bytes | None:
        """What a request, as it is sent, says in these fields; None: too much."""
        return variant_of(self.storage.secret, b"", sent, names)

    def look(self, target: LookupTarget) -> LookedUp:
        """What there is for a request."""
        looked = self.again(target)
        self.storage.looked_up(None if looked.found is None else looked.found.entry)
        return looked

    def again(self, target: LookupTarget) -> LookedUp:
        """Likewise, for one that has been counted."""
        entry = self.storage.get(target.key, False)
        stored = None if entry is None else read(entry.meta)
        if entry is None or stored is None:
            return LookedUp(None, target.cold or target.key, b"uri-miss")
        if isinstance(stored, StoredAnswer):
            return LookedUp(FoundAnswer(stored, entry, target.key), target.key, b"")
        digest = self._variant(target, stored)
        if digest is None:
            return LookedUp(None, target.key, b"vary-miss")
        entry = self.storage.get(digest, False) if digest in stored.variants else None
        answer = None if entry is None else read(entry.meta)
        if entry is None or not isinstance(answer, StoredAnswer):
            return LookedUp(None, digest, b"vary-miss")
        return LookedUp(FoundAnswer(answer, entry, digest), digest, b"")

    def _variant(self, target: LookupTarget, fork: Fork) -> bytes | None:
        return variant_of(self.storage.secret, fork.mark + target.key, target.sent, fork.names)

    def body(self, found: FoundAnswer) -> bytes | Body | None:
        """Its body; None: it is gone."""
        if not found.entry.file:
            return found.entry.body
        try:
            reading = None if self.bodies is None else self.bodies.open(found.entry.file, found.entry.size)
        except CacheError:
            return None
        # Whoever comes behind one who was cut in the middle has it from a backend.
        return None if reading is None else FileBody(reading, partial(self.storage.forget, found.digest))

    def keep(
        self, target: LookupTarget, stored: StoredAnswer, said: ResponseHead, ticket: FillTicket, taken: tuple[bytes, int, int],
        again: bool = False,
    ) -> Put:  # fmt: skip
        """Store an answer; `said`: with its tags; `taken`: its body, or the size and the number of a file; `again`: see
        Storage.put."""
        new = New(stored.written(), target.url, tags_of(said, MOST_TAGS), *taken)
        if len(new.meta) > MOST_META or len(target.url) > MOST_URL:
            found: bytes | Put = Put.REFUSED
        else:
            found = target.key if not stored.kept.names else self._forked(target, stored.kept.names, ticket, again)
        if isinstance(found, bytes):
            return self.storage.put(found, new, ticket, again)
        if new.file and self.bodies is not None and not (found is Put.BUSY and again):
            self.bodies.remove((new.file,))
        return found

    def _forked(self, target: LookupTarget, names: tuple[bytes, ...], ticket: FillTicket, again: bool) -> bytes | Put:
        """The digest of one variant, once the fork knows it; else why that cannot be."""
        entry = self.storage.get(target.key, False)
        known = None if entry is None else read(entry.meta)
        fork = known if isinstance(known, Fork) else Fork(names, (), self._chance(NONCE))
        if not fork.tells_apart(names):  # those that were told apart by less are forgotten, or they would be found no more
            both = tuple(sorted({*fork.names, *names}))
            fork = Fork(both if len(both) <= MOST_NAMES else names, (), self._chance(NONCE))
        digest = self._variant(target, fork)
        if digest is None:
            return Put.REFUSED
        fork, gone = fork.with_variant(digest)
        if fork != known:
            became = self.storage.put(target.key, New(fork.written(), target.url), ticket, again)
            if not became:
                return became
        for each in gone:
            self.storage.forget(each)
        return digest
