"""Stored answers that a worker has at hand: copied out of what all workers share, laid out as they leave, and watched over.

What is asked for all the time is found here by a look into a dict and some comparisons of numbers (cache/watch.py), and leaves in
one write with its body. Short bodies are here as well; others are copied for each request, out of the memory or an open file
(`away`), which costs less than sending them. What is here is bounded in bytes, and never what decides: an answer that was replaced,
evicted or purged is no longer `still` what is stored, and is looked for as ever.
"""

from __future__ import annotations

from lbproxy.cache.watch import HeldEntry
from lbproxy.http.caching.heads import not_modified
from lbproxy.http.caching.status import hit
from lbproxy.http.grammar import END
from lbproxy.http.heads import KnownHead, ResponseHeads
from lbproxy.proxy.stand_in import StandIn
from lbproxy.streams import Strands

MOST_BODY = 16 * 1024
"""What is longer is copied for each request."""
OBJECTS, COPIES = 1024, 5
"""Bytes that all objects of one take, and times that its head is held."""


class AtHand:
    """One answer, or the fork of a key whose answers depend on more of the request."""

    __slots__ = (
        "_age", "_bare", "_heads", "_known", "_method", "_of", "_out", "_ttl", "_unchanged", "away", "body", "born", "file", "fork",
        "fresh_until", "held", "length", "mark", "names", "now", "raw",
    )  # fmt: skip

    def __init__(
        self, held: HeldEntry, fork: HeldEntry | None, raw: bytes, body: bytes, born: float, fresh_until: float, length: int = -1,
        file: int = 0,
    ) -> None:  # fmt: skip
        """`fork`: where that stands by which it was found; `raw`: the head as a backend would say it; `length`: of a body that is
        `away`, `file`: in which; -1: it is `body`; the rest as in http/caching/lifetime.py."""
        self.held = held
        self.fork = fork
        self.raw = raw
        self.body = body
        self.born = born
        self.fresh_until = fresh_until
        self.away = length >= 0
        """The body is copied for each request (`carrying`)."""
        self.length = length if length >= 0 else len(body)
        self.file = file
        self.now = 0.0
        """When it was last asked for."""
        self.names: tuple[bytes, ...] | None = None
        """Of a fork: the request fields that its answers depend on."""
        self.mark = b""
        """Likewise: what the keys of its variants begin with."""
        self._bare: AtHand | None = None
        self._unchanged: AtHand | None = None
        self._of: AtHand | None = None
        """What it is carrying the body of, where its head is laid out."""
        self._method = b"GET"
        self._heads: ResponseHeads | None = None
        self._known: KnownHead | None = None
        self._out = b""
        self._age = self._ttl = -1

    @property
    def size(self) -> int:
        """Bytes that it takes, about."""
        return OBJECTS + COPIES * len(self.raw) + len(self.body)

    def carrying(self, body: bytes) -> AtHand:
        """The same for one request, with its body."""
        found = AtHand(self.held, self.fork, self.raw, body, self.born, self.fresh_until)
        found._of = self
        return found

    def bare(self) -> AtHand:
        """What HEAD gets of it."""
        if self._bare is None:
            self._bare = AtHand(self.held, self.fork, self.raw, b"", self.born, self.fresh_until)
            self._bare._method = b"HEAD"
        return self._bare

    def unchanged(self) -> AtHand:
        """What those get of it who have it."""
        if self._unchanged is None:
            self._unchanged = AtHand(self.held, self.fork, not_modified(self.raw[:-4]), b"", self.born, self.fresh_until)
        return self._unchanged

    def known(self, heads: ResponseHeads) -> KnownHead:
        """Its head as a route's clients get it, by `heads`."""
        if self._of is not None:
            return self._of.known(heads)
        known = self._known
        if known is None or self._heads is not heads:
            self._heads = heads
            self._known = known = heads.again(self.raw, self._method)
            self._age = -1
        return known

    def out(self, known: KnownHead, now: float) -> bytes:
        """The same as lines, with Cache-Status and Age, which change once a second; `known`: of `known`, just before."""
        if self._of is not None:
            return self._of.out(known, now)
        age, ttl = int(now - self.born), int(self.fresh_until - now)
        if age != self._age or ttl != self._ttl:
            self._age, self._ttl = age, ttl
            self._out = known.out[:-4] + self.lines(now) + END
        return self._out

    def lines(self, now: float) -> bytes:
        """Cache-Status and Age."""
        return hit(self.fresh_until - now, max(0, int(now - self.born)))

    def stand_in(self, now: float, strands: Strands) -> StandIn:
        """The same for steps that want to see it."""
        return StandIn(self.raw, self.lines(now), self.body, len(self.body), strands)


def fork_at_hand(held: HeldEntry, mark: bytes, names: tuple[bytes, ...]) -> AtHand:
    """A key's fork; the rest as in http/caching/stored.py."""
    found = AtHand(held, None, b"", b"", 0.0, 0.0)
    found.mark, found.names = mark, names
    return found
