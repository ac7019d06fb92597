"""A stream that does what a test says, in a World (world.py)."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from greenlet import getcurrent, greenlet

from lbproxy.errors import ConnectionLost, TimedOut
from lbproxy.streams import NEVER, Buffer, PutOff, Stream

if TYPE_CHECKING:
    from tests.unit.proxy.world import World

EOF = b""
UNHEARD = type("Unheard", (bytes,), {})()
"""An end that had begun before the peer got what was written last."""
LOST = ConnectionLost("reset by the test")


class FakeStream(Stream):
    """See streams.Stream. `room`: bytes that may be written before the writer has to wait; None for any number."""

    def __init__(self, world: World, name: str, room: int | None = None) -> None:
        self.world = world
        self.name = name
        self.room = room
        self.deadline = NEVER
        self.write_deadline = NEVER
        self.owner = None
        self.half_closed = self.patient = self.unread = False
        self.stalls = 0
        self.write_stall = 30.0
        self.sent = self._early = b""
        self.wired = 0
        self.heard = 0
        """How much of it the peer had got when it ended its side."""
        self.asked: list[int] = []
        """How much each read wanted at most."""
        self.end = ""  # "close" | "finish" | "abort"
        self.output_ended = False
        self.busy = False
        """Finished in the middle of something that nobody wants any more."""
        self.lingering = False
        """Finished, and not yet closed in the background."""
        self.broken: Exception | None = None
        """Raised at writes."""
        self.agreed = ""
        """By ALPN."""
        self.turns: int | None = None
        """How much may still be done in this turn; None: the budget is not spent."""
        self.waiting: list[PutOff] = []
        """Who was put off."""
        self._inbox: deque[bytes | Exception] = deque()
        self._reader: greenlet | None = None
        self._writer: greenlet | None = None
        world.streams.append(self)

    def __repr__(self) -> str:
        return f"<{self.name} {self.end or 'open'}>"

    def is_open(self) -> bool:
        return not self.end

    # ---- what the test does

    def feed(self, *items: bytes | Exception) -> None:
        """Input, EOF or an exception arrives; then everything runs until it waits."""
        for item in items:
            if self.end == "finish":
                continue  # discarded by the linger
            assert not self.end, f"{self!r} got input after its end"
            self._inbox.append(item)
            if item == EOF and item is not UNHEARD:
                self.heard = self.wired
            if self._reader is not None:
                reader, self._reader = self._reader, None
                reader.switch()
            else:
                self.unread = True
                if self.owner is not None:
                    self.owner.on_readable()
            self.world.settle()

    def take(self) -> bytes:
        """What was written since the last time."""
        sent, self.sent = self.sent, b""
        return sent

    def make_room(self, room: int | None) -> None:
        """The peer reads: more may be written."""
        self.room = room
        if self._writer is not None:
            self._writer.switch()
        self.world.settle()

    @property
    def waits(self) -> str:
        """Who waits on it: any of "r" and "w"."""
        return ("r" if self._reader is not None else "") + ("w" if self._writer is not None else "")

    def expire(self, now: float) -> None:
        if self.write_deadline <= now and self._writer is not None:
            self._writer.throw(TimedOut("write stalled"))
        elif self.deadline <= now:
            self.deadline = NEVER
            self.lingering = False
            if self._reader is not None:
                self._reader.throw(TimedOut("read timed out"))
            elif self.owner is not None:
                self.owner.on_expired()

    # ---- what proxy/ does

    def protocol(self) -> str:
        return self.agreed

    def read(self, limit: int) -> bytes:
        self.asked.append(limit)
        if self._early:
            data, self._early = self._early, b""
            return data
        while not self._inbox:
            if self.end:
                raise ConnectionLost("stream closed")
            assert self._reader is None, f"two readers of {self.name}"
            self._reader = self.world.me()
            try:
                self.world.wait()
            finally:
                self._reader = None
        item = self._inbox[0]
        if isinstance(item, Exception):
            raise item
        if not item:
            return b""
        self._inbox.popleft()
        if len(item) > limit:
            self._inbox.appendleft(item[limit:])
        self.unread = bool(self._inbox)
        return item[:limit]

    def ready(self) -> bool:
        return bool(self._early or self._inbox or self.end)

    def give_way(self) -> None:
        self.world.sleep(0.0)

    def has_turn(self, waiting: PutOff) -> bool:
        if self.turns is None:
            return True
        if self.turns:
            self.turns -= 1
            return True
        self.waiting.append(waiting)
        return False

    def read_early(self) -> bool:
        while self._inbox and len(self._early) < 16384:
            item = self._inbox[0]
            if isinstance(item, Exception) or not item:
                self.half_closed = not isinstance(item, Exception)
                return False
            self._inbox.popleft()
            self._early += item
        self.unread = bool(self._inbox)
        return True

    def write(self, data: Buffer) -> None:
        rest = bytes(data)
        while True:
            if self.broken is not None:
                raise self.broken
            if self.end:
                raise ConnectionLost("stream closed")
            assert not self.output_ended, f"{self!r} is written to after its output ended"
            size = len(rest) if self.room is None else min(self.room, len(rest))
            self.sent += rest[:size]
            self.wired += size
            if self.room is not None:
                self.room -= size
            rest = rest[size:]
            if not rest:
                return
            self._wait_for_room()

    def await_room(self) -> None:
        """As `write` does, when nothing more would go."""
        if self.room == 0:
            self._wait_for_room()

    def _wait_for_room(self) -> None:
        assert self._writer is None, f"two writers to {self.name}"
        self._writer = self.world.me()
        self.stalls += 1
        self.write_deadline = self.world.now + self.write_stall
        try:
            self.world.wait()
        finally:
            self._writer = None
            self.write_deadline = NEVER

    def has_early(self) -> bool:
        return bool(self._early)

    def taken(self, since: int) -> bool:
        """The test's peer has always got what was written."""
        return self.wired > since

    def unseen(self, since: int) -> bool:
        ended = EOF in self._inbox and not any(isinstance(item, Exception) for item in self._inbox)
        return self.wired == since or (ended and self.heard <= since)

    def end_output(self) -> None:
        self.write(b"")
        self.output_ended = True

    def close(self) -> None:
        self._close("close")

    def finish(self, busy: bool = False) -> None:
        if not self.end:
            self.busy = busy
            self.owner = None
            self.end = "finish"
            self.lingering = True
            self.deadline = self.world.now + 2.0

    def abort(self) -> None:
        self._close("abort")

    def _close(self, how: str) -> None:
        if self.end:
            return
        self.owner = None
        self.end = how
        for waiting in (self._reader, self._writer):
            if waiting is not None and waiting is not getcurrent():
                self.world.throw_later(waiting, ConnectionLost("stream closed"))
