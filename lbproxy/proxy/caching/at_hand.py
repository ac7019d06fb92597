"""Stored answers that a worker has at hand: copied out of what all workers share, laid out as they leave, and watched over.

What is asked for all the time is found here by a look into a dict and some comparisons of numbers (cache/watch.py), and leaves in
one write with its body. What is here is bounded in bytes, and never what decides: an answer that was replaced, evicted or purged
is no longer `still` what is stored, and is looked for as ever.
"""

from __future__ import annotations

from lbproxy.cache.watch import Held
from lbproxy.http.caching.status import hit
from lbproxy.http.grammar import END
from lbproxy.http.heads import KnownHead, ResponseHeads
from lbproxy.proxy.stand_in import StandIn
from lbproxy.streams import Strands

MOST_BODY = 16 * 1024
"""What is longer is copied for each request: that costs less than sending it."""
OBJECTS, COPIES = 1024, 4
"""Bytes that all objects of one take, and times that its head is held."""


class AtHand:
    """One answer, or the fork of a key whose answers depend on more of the request."""

    __slots__ = (
        "_age", "_heads", "_known", "_out", "_ttl", "body", "born", "fork", "fresh_until", "held", "mark", "names", "now", "raw",
    )  # fmt: skip

    def __init__(self, held: Held, fork: Held | None, raw: bytes, body: bytes, born: float, fresh_until: float) -> None:
        """`fork`: where that stands by which it was found; `raw`: the head as a backend would say it; the rest as in
        http/caching/lifetime.py."""
        self.held = held
        self.fork = fork
        self.raw = raw
        self.body = body
        self.born = born
        self.fresh_until = fresh_until
        self.now = 0.0
        """When it was last asked for."""
        self.names: tuple[bytes, ...] | None = None
        """Of a fork: the request fields that its answers depend on."""
        self.mark = b""
        """Likewise: what the keys of its variants begin with."""
        self._heads: ResponseHeads | None = None
        self._known: KnownHead | None = None
        self._out = b""
        self._age = self._ttl = -1

    @property
    def size(self) -> int:
        """Bytes that it takes, about."""
        return OBJECTS + COPIES * len(self.raw) + len(self.body)

    def known(self, heads: ResponseHeads) -> KnownHead:
        """Its head as a route's clients get it, by `heads`."""
        known = self._known
        if known is None or self._heads is not heads:
            self._heads = heads
            self._known = known = heads.again(self.raw, b"GET")
            self._age = -1
        return known

    def out(self, known: KnownHead, now: float) -> bytes:
        """The same as lines, with Cache-Status and Age, which change once a second; `known`: of `known`, just before."""
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


def fork_at_hand(held: Held, mark: bytes, names: tuple[bytes, ...]) -> AtHand:
    """A key's fork; the rest as in http/caching/stored.py."""
    found = AtHand(held, None, b"", b"", 0.0, 0.0)
    found.mark, found.names = mark, names
    return found
