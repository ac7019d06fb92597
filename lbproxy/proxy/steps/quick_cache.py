"""The everyday hit of a route's cache: a plain GET or HEAD of an answer that is at hand (proxy/caching/at_hand.py), or whether that
has changed.

A class below Cache, since each hit runs through this file and nothing else of the cache. Whatever is not plain, or not at hand, or
not fresh any more is for the class above it to consider.
"""

from __future__ import annotations

import re

from lbproxy.cache.watch import CacheWatch
from lbproxy.http.caching.variants import variant_of
from lbproxy.http.message import NO_BODY, RequestHead
from lbproxy.proxy.caching.at_hand import AtHand
from lbproxy.proxy.caching.outcomes import NOTES, CacheOutcome
from lbproxy.proxy.steps.step import Course, Journey, Step
from lbproxy.remembered import Budget

_MATTERS = rb"\r\n(?:if-(?!none-match:|modified-since:)|range:|authorization:|x[^0-9a-z:\r](?:http[^0-9a-z:\r])?method%b)"
_SPECIAL = re.compile(_MATTERS % b"")
_SPECIAL_OR_CONTROL = re.compile(_MATTERS % rb"|cache-control:|pragma:")
"""Fields that decide what becomes of a stored answer."""
_CONDITIONS = (b"\r\nif-none-match:", b"\r\nif-modified-since:")
_NOTE, _HIT, _BYTES = NOTES[CacheOutcome.HIT], int(CacheOutcome.HIT), int(CacheOutcome.SERVED_BYTES)
MOST_TARGET = 2048
KEY = 640
"""Bytes that the key of one takes beyond the target, its place in the dict included."""


class QuickCache(Step):
    """Gives out what is at hand."""

    __slots__ = ("_answers", "_budget", "_cells", "_matters", "secret", "watch")

    def __init__(self, watch: CacheWatch | None, budget: Budget, secret: bytes, respects: bool, cells: memoryview[int]) -> None:
        """`watch`: None: nothing is at hand here; `secret`: see Storage; `respects`: what the client says of caching counts;
        `cells`: see Outcomes."""
        self.watch = watch
        self._cells = cells
        self._budget = budget
        self._answers: dict[object, AtHand] = budget.draws({})
        self._matters = _SPECIAL_OR_CONTROL if respects else _SPECIAL
        self.secret = secret

    def begin(self, journey: Journey) -> Course | None:
        """See Step."""
        exchange = journey
        if self.watch is not None:
            head = exchange.head
            known = head.stored_as
            if known is None or known[0] is not self:
                known = self.recognise(exchange, head)
            key = known[1]
            found = None if key is None else self._answers.get(key)
            if found is not None and found.names is not None:
                found = self._variant(exchange, head, found, known[2])
            if found is not None and self._good(found, exchange.downstream.service.clock()):
                now = found.now
                if known[2] is not None or found.away:
                    found = self._as_asked(found, head, known[2])
                    if found is None:
                        return self.consider(journey)
                    found.now = now
                self._used(found)
                exchange.at_hand = found
                exchange.noted += _NOTE
                return None
        return self.consider(journey)

    def _good(self, found: AtHand, now: float) -> bool:
        """Whether it is fresh, and what is stored."""
        watch, fork = self.watch, found.fork
        assert watch is not None
        if now >= found.fresh_until or not watch.still(found.held) or (fork is not None and not watch.still(fork)):
            return False
        found.now = now
        return True

    def _used(self, found: AtHand) -> None:
        """It is given out."""
        watch, fork = self.watch, found.fork
        assert watch is not None
        watch.used(found.held, len(found.body))
        if fork is not None:
            watch.passed(fork)
        self._cells[_HIT] += 1
        self._cells[_BYTES] += len(found.body)

    def _as_asked(self, found: AtHand, head: RequestHead, special: object) -> AtHand | None:
        """What the request gets of it, with its body; None: that is not to be had at once. `special`: see `recognise`."""
        if special is True and self.unchanged(head, found.raw):
            return found.unchanged()
        if head.method == b"HEAD":
            return found.bare()
        if not found.away:
            return found
        watch = self.watch
        assert watch is not None
        body = self.fetched(found.file, found.length) if found.file else watch.body(found.held, found.length)
        return None if body is None else found.carrying(body)

    def fetched(self, file: int, size: int) -> bytes | None:
        """The body in a file, if that can be had without waiting."""
        raise NotImplementedError

    def unchanged(self, head: RequestHead, raw: bytes) -> bool:
        """Whether a request with conditions has what is stored; `raw`: its head."""
        raise NotImplementedError

    def consider(self, journey: Journey) -> Course | None:
        """The rest of `begin`."""
        raise NotImplementedError

    def recognise(self, journey: Journey, head: RequestHead) -> tuple[object, object, object]:
        """(self, under what an answer to it would be at hand; None: it is no request for that, True: it has conditions; False: it
        is a HEAD without; None: neither). Noted in the head, if that says all."""
        exchange = journey
        key: object = None
        special: object = None
        if (
            (head.method == b"GET" or head.method == b"HEAD")
            and head.body == NO_BODY
            and not head.upgrade
            and head.authority
            and len(head.target) <= MOST_TARGET
            and self._matters.search(head.lowered) is None
            and self.plain(head)
        ):
            forwarder = exchange.downstream.forwarder
            if exchange.rewrites() or forwarder.trusted:
                key = self.key(journey)
            else:
                key = (forwarder.secure(head), head.authority, head.target)
            if _CONDITIONS[0] in head.lowered or _CONDITIONS[1] in head.lowered:
                special = True
            elif head.method == b"HEAD":
                special = False
        known = (self, key, special)
        if not exchange.rewrites():
            head.stored_as = known
        return known

    def plain(self, head: RequestHead) -> bool:
        """Whether the route has no further question about such a request."""
        raise NotImplementedError

    def key(self, journey: Journey) -> bytes:
        """Of what it asks for, by all that decides that."""
        raise NotImplementedError

    def sent(self, journey: Journey, head: RequestHead) -> bytes:
        """The request, as its backend gets it, with what else variants are told apart by."""
        raise NotImplementedError

    def remember(self, key: object, found: AtHand, target: int) -> None:
        """It is at hand from now on; `target`: bytes of what it is for. What is at hand already, as what leaves in pieces may be,
        takes no more room."""
        if (old := self._answers.get(key)) is not None and _place(old) == _place(found):
            return
        self._budget.keep(self._answers, key, found, found.size + KEY + target)

    def _variant(self, journey: Journey, head: RequestHead, fork: AtHand, special: object) -> AtHand | None:
        assert fork.names is not None
        exchange = journey
        digest = variant_of(self.secret, fork.mark, self.sent(journey, head), fork.names)
        found = None if digest is None else self._answers.get(digest)
        if found is not None and not exchange.rewrites():
            head.stored_as = (self, digest, special)
        return found


def _place(found: AtHand) -> tuple[int, int, int]:
    """No other answer ever stands there."""
    return found.held.place, found.held.sequence, 0 if found.fork is None else found.fork.place
