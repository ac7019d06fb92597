"""A fill that follows another worker's: who waits here is given what is asked for there, while it comes.

Somebody looks into the shared memory, a few hundred times a second, as long as anybody waits for that answer; all who wait are fed
by that. It ends with the leader's mark: stored, or of no use to anybody, and then each goes on by himself.
"""

from __future__ import annotations

import struct

from lbproxy.cache.interface import Feed, FillTicket, Turn
from lbproxy.proxy.caching.fill import Fill, FillState, Opened
from lbproxy.proxy.caching.shelf import CacheShelf
from lbproxy.proxy.service import Service
from lbproxy.streams import Alarm

LOOK_AGAIN = (0.002, 0.01)
"""Seconds between looks: at first, and at most; 20 us each."""
SLOWER = 1.1
SILENCE = 600.0
"""Seconds without a byte, after which no leader is there any more, whatever became of it."""
_META = struct.Struct("<d?HI16s16sQQ")


def written(opened: Opened) -> bytes:
    """As the meta of a feed."""
    names, tags, since = b",".join(opened.names), b"\0".join(opened.tags), opened.ticket
    numbers = since.sequence, since.forgotten
    fixed = _META.pack(opened.born, opened.for_anybody, len(names), len(tags), opened.variant, since.digest, *numbers)
    return b"".join((fixed, names, tags, opened.head))


def read(meta: bytes) -> Opened | None:
    """None: it is nothing of that kind."""
    if len(meta) < _META.size:
        return None
    born, for_anybody, length, more, variant, digest, sequence, forgotten = _META.unpack_from(meta)
    at_tags = _META.size + length
    names, tags, head = meta[_META.size : at_tags], meta[at_tags : at_tags + more], meta[at_tags + more :]
    ticket = FillTicket(digest, sequence, forgotten)
    return Opened(_parts(names, b","), variant, for_anybody, head, born, ticket, _parts(tags, b"\0"))


def _parts(joined: bytes, between: bytes) -> tuple[bytes, ...]:
    return tuple(joined.split(between)) if joined else ()


class _Follower:
    """What looks into the shared memory for one fill, from the event loop."""

    __slots__ = ("_alarm", "_digest", "_feed", "_fill", "_last", "_pause", "_service", "_shelf")

    def __init__(self, shelf: CacheShelf, service: Service, digest: bytes, fill: Fill) -> None:
        self._shelf = shelf
        self._service = service
        self._digest = digest
        self._fill = fill
        self._feed: Feed | None = None
        self._pause = LOOK_AGAIN[0]
        self._last = service.clock()
        self._alarm: Alarm | None = None

    def look(self) -> None:
        """Once, and again in a moment. Lets nothing out."""
        state = FillState.FAILED
        try:
            state = self._looked()
        except Exception as error:  # must not end in the event loop
            self._service.on_fault(error)
        if state in (FillState.ASKED, FillState.OPEN):
            self._alarm = self._service.strands.alarm(self._pause, self.look)
            self._pause = min(self._pause * SLOWER, LOOK_AGAIN[1])
            return
        if self._shelf.fills.get(self._digest) is self._fill:
            del self._shelf.fills[self._digest]
        self._fill.end(state)

    def _looked(self) -> FillState:
        """How far it is."""
        fill, storage = self._fill, self._shelf.storage
        if not fill.others:
            return FillState.FAILED
        # First the mark: what was fed before it ended is read below.
        turn = storage.marks.look(self._digest, int(self._service.clock() * 1000))
        if self._feed is None and (feed := storage.feeds.find(self._digest)) is not None:
            opened = read(feed.meta)
            if opened is None:
                return FillState.FAILED
            self._feed, self._last = feed, self._service.clock()
            fill.open(opened, feed.size)
        if self._feed is not None:
            before, part = fill.there, self._feed.read(fill.there)
            if part is None:
                return FillState.FAILED
            if part.file:
                fill.in_file(part.file, part.there)
            else:
                fill.add(part.data)
            if part.over:
                fill.all_is_there()
                return FillState.KEPT
            if fill.there != before:
                self._last = self._service.clock()
            # Whether the mark has run out no longer matters: who has a part of it can go nowhere else.
            return FillState.OPEN if self._service.clock() - self._last < SILENCE else FillState.FAILED
        return FillState.ASKED if turn is Turn.WAIT else FillState.FAILED


def follow(shelf: CacheShelf, service: Service, digest: bytes) -> Fill:
    """The fill that those wait for who come while another worker asks."""
    fill = shelf.fills[digest] = Fill(service.strands)
    shelf.storage.marks.wait(digest)
    service.strands.later(_Follower(shelf, service, digest, fill).look)
    return fill
