"""A tunnel: after a 101 the bytes between client and backend are nobody's business but theirs.

Theory of operation. Two strands, one a direction, for as long as the tunnel lasts: each reads a piece, writes it whole, reads the
next. What is held is one piece a direction, and a side that takes nothing stops the other one's reading (back-pressure by the
kernel's buffers), never the opposite direction. A message costs its reader one wake-up, as a request does.

A tunnel that rests (`wake`): when nobody has said anything for REST its strands end, and it costs its streams and no stacks. What
comes then, a limit that has passed, or a cut, calls `wake`, and `resume` goes on in a strand of its own.

How it ends:

1. A side ends its output (FIN, close_notify): the other side is told so, and the opposite direction goes on; a query whose answer
   takes its time is fine. Only, from now on silence is limited to HALF_CLOSED. When both directions have ended, it is over.
2. A side cannot be read any more (reset, TLS cut short): both are aborted, so that neither takes the part for the whole. Unless the
   other side had ended before: then this is how many peers close once they were told, and they keep what they have.
3. A side cannot be written to: that direction is over, but what this side has said before it went away is still passed on; its own
   end, which the opposite direction meets, decides (as 1 or 2).
4. A side takes nothing for `write_stall`: both are aborted.
5. Nobody says anything for the time of silence, or the worker has to go (`cut`): both sides get an orderly goodbye, except one that
   has a torn piece: a goodbye in the middle of it would be garbage.

`reason` tells which, for the log; "" is 1, and the exception of 2.
"""

from __future__ import annotations

from collections.abc import Callable

from lbproxy.errors import ConnectionLost, StreamError, TimedOut
from lbproxy.proxy.service import Service
from lbproxy.streams import BODY_READ, HEAD_READ, NEVER, Strand, Stream

HALF_CLOSED = 60.0
"""Seconds of silence after which a tunnel of which one direction has ended is over. A peer that vanished after its goodbye looks
like one that waits for an answer; HAProxy's documentation advises 30 s for it (timeout client-fin)."""
REST = 2.0
"""Seconds of silence after which a tunnel rests: two strands are 12 of the 16 KiB that a silent one takes."""


class _Stop(BaseException):
    """The tunnel is over. Not an Exception, so that nothing on its way takes it for a failure."""


class _Direction:
    """Bytes from `source` to `sink`."""

    __slots__ = ("busy", "carried", "name", "over", "resting", "sink", "sink_name", "source", "whole")

    def __init__(self, source: Stream, sink: Stream, name: str, sink_name: str) -> None:
        self.source = source
        self.sink = sink
        self.name = name
        self.sink_name = sink_name
        self.carried = 0
        """Bytes that the sink was given."""
        self.over = False
        self.resting = False
        """No strand waits for the source."""
        self.whole = False
        """The source has ended, and the sink was told: it has everything."""
        self.busy = False
        """A piece is being written; still so when the tunnel is over: the sink has only a part of it."""


class Tunnel:
    """One tunnel; `run` once, and `resume` whenever it wakes. Owner of both streams from then on; ends both, but leaves finishing
    the client's to the caller."""

    __slots__ = (
        "_active",
        "_backend",
        "_broken",
        "_client",
        "_clock",
        "_down",
        "_idle",
        "_main",
        "_patience",
        "_service",
        "_up",
        "_up_strand",
        "_wake",
        "reason",
        "resting",
    )

    def __init__(
        self, service: Service, client: Stream, backend: Stream, idle: float, wake: Callable[[], None] | None = None
    ) -> None:
        """`idle`: seconds of silence after which it is over; `wake`: starts a strand that calls `resume`; None: it never rests."""
        self._service = service
        self._clock = service.clock
        self._idle = idle
        self._wake = wake
        self._patience = idle if wake is None else min(idle, REST)
        """Seconds that a read waits."""
        self.resting = False
        """Nobody runs it: `run` or `resume` has come back, and it is not over."""
        self._client = client
        self._backend = backend
        self._up = _Direction(client, backend, "client", "backend")
        self._down = _Direction(backend, client, "backend", "client")
        self._active = 0.0
        self._main: Strand | None = None
        self._up_strand: Strand | None = None
        self.reason = ""
        """Why it ended, for the log; "" when both sides had said all they wanted."""
        self._broken = False
        """Somebody was lost or stuck: who does not have everything must see it."""

    @property
    def bytes_up(self) -> int:
        """From the client, as given to the backend."""
        return self._up.carried

    @property
    def bytes_down(self) -> int:
        """To the client, the head of the 101 included."""
        return self._down.carried

    @property
    def broken(self) -> bool:
        """The client must see a cut instead of an end."""
        return self._must_be_cut(self._down)

    def _must_be_cut(self, way: _Direction) -> bool:
        return way.busy or (self._broken and not way.whole)

    # ---------------------------------------------------------------- from the event loop

    def on_readable(self) -> None:
        """See StreamOwner: whose turn it is to be read is decided by the one who writes it elsewhere, unless that one rests."""
        if self.resting:
            self._get_up()
        elif self._up.resting and self._client.unread:
            self._service.strands.later(self._up_again)

    def on_expired(self) -> None:
        """See StreamOwner: while a piece is being written the limit is the write's."""
        if self.resting:
            self._get_up()

    def _get_up(self) -> None:
        self.resting = False
        assert self._wake is not None
        self._service.strands.later(self._wake)

    def cut(self, reason: str) -> None:
        """End it now, with notice to both sides."""
        if self.resting:
            self.reason = reason
            self._get_up()
            return
        if self._main is None or self.reason:
            return
        self.reason = reason
        if self._up_strand is not None:
            self._up_strand.throw(_Stop())
        self._main.throw(_Stop())

    def _begin_up(self, early: bytes) -> None:
        if self._main is not None and not self.reason:
            self._up.resting = False
            self._service.strands.start(lambda: self._run_up(early))

    def _up_again(self) -> None:
        if self._up.resting:
            self._begin_up(b"")

    # ---------------------------------------------------------------- in the client's strand

    def run(self, head: bytes, early_up: bytes, early_down: bytes) -> None:
        """Carry bytes until the tunnel is over. `head`: the 101 for the client; `early_*`: what either side has sent already."""
        self._client.owner = self._backend.owner = self
        self._active = self._clock()
        self._both(early_up, head + early_down)

    def resume(self) -> None:
        """In a strand of its own: go on after a rest, or end what has its end."""
        if not self.reason and self._active + self._idle <= self._clock():
            self._fail("tunnel_idle", broken=False)
        self._both(b"", b"")

    def _both(self, early_up: bytes, early_down: bytes) -> None:
        strands = self._service.strands
        self._main = strands.current()
        self._down.resting = False
        try:
            if not self.reason:
                strands.later(self._up_again if self._up.resting else lambda: self._begin_up(early_up))
                self._carry(self._down, early_down)
                while not self._up.over and not self._down.resting:
                    if self._up.resting:  # the one that ended has shortened its time
                        strands.later(self._up_again)
                    strands.park()
        except _Stop:
            pass
        except BaseException:
            self._fail("internal_error")
            raise
        finally:
            self._main = None
            self.resting = self._down.resting
            if not self.resting:
                self._end()

    def _end(self) -> None:
        """The second strand is stopped before the streams end: nobody may be reading one that is being finished."""
        strands = self._service.strands
        up = self._up_strand
        if up is not None:
            self._main = strands.current()
            strands.throw_later(up, _Stop())
            try:
                strands.park()
            except _Stop:
                pass
            self._main = None
        if self._must_be_cut(self._up):
            self._backend.abort()
        else:
            self._backend.finish()

    # ---------------------------------------------------------------- in the second strand

    def _run_up(self, early: bytes) -> None:
        self._up_strand = self._service.strands.current()
        try:
            self._carry(self._up, early)
        except _Stop:
            pass
        except Exception as error:  # must not end in the event loop
            self._service.on_fault(error)
            self._fail("internal_error")
        finally:
            self._up.over = not self._up.resting
            self._up_strand = None
            main = self._main
            if self._up.over and main is not None and (self._down.over or self.reason):
                self._service.strands.throw_later(main, _Stop())

    # ---------------------------------------------------------------- in both

    def _carry(self, way: _Direction, data: bytes) -> None:
        """Until the source ends, or the sink takes no more. Raises _Stop when the tunnel is over."""
        source, sink, clock = way.source, way.sink, self._clock
        limit = HEAD_READ
        while True:
            if data:
                way.busy = True
                try:
                    sink.write(data)
                except StreamError as error:
                    self._refused(way, error)
                    return
                way.busy = False
                way.carried += len(data)
                limit = BODY_READ if len(data) >= HEAD_READ else HEAD_READ
            self._active = now = clock()
            source.deadline = now + self._patience
            data = self._read(way, limit)
            if not data:
                if not way.resting:
                    self._pass_on_end(way)
                return

    def _read(self, way: _Direction, limit: int) -> bytes:
        """The next piece, b"" at the end, or where it rests from now on; raises _Stop when it is over: nobody said anything,
        or the source is lost."""
        opposite = self._down if way is self._up else self._up
        while True:
            try:
                return way.source.read(limit)
            except TimedOut:
                now = self._clock()
                # A piece that is being written is no silence; how slow it may be is limited by the stream.
                silent_until = (now if opposite.busy else self._active) + self._idle
                if silent_until <= now:
                    half_closed = self._up.over or self._down.over
                    self._fail("tunnel_half_closed" if half_closed else "tunnel_idle", broken=False)
                    raise _Stop from None
                if self._may_rest(way, opposite, now):
                    way.resting = True
                    way.source.deadline = NEVER if way is self._up else silent_until
                    return b""
                way.source.deadline = min(silent_until, now + self._patience)  # the other direction was busy
            except ConnectionLost:
                if opposite.whole:
                    self._broken = True
                    way.over = True
                else:
                    self._fail(f"tunnel_{way.name}_lost")
                raise _Stop from None

    def _may_rest(self, way: _Direction, opposite: _Direction, now: float) -> bool:
        """The second strand first; neither while one has ended."""
        if self._wake is None or opposite.busy or opposite.over or now < self._active + self._patience:
            return False
        return way is self._up or (self._up.resting and not self._client.unread)

    def _pass_on_end(self, way: _Direction) -> None:
        way.busy = True
        try:
            way.sink.end_output()
        except StreamError as error:
            self._refused(way, error)
            return
        way.busy = False
        way.whole = True
        self._settle(way)

    def _refused(self, way: _Direction, error: StreamError) -> None:
        """The sink takes no more: when it just takes nothing, that is the end; when it is gone, its last words are still read."""
        way.busy = False
        if isinstance(error, TimedOut):
            self._fail(f"tunnel_{way.sink_name}_stalled")
            raise _Stop
        self._settle(way)

    def _settle(self, way: _Direction) -> None:
        way.over = True
        self._idle = min(self._idle, HALF_CLOSED)
        self._patience = self._idle
        way.sink.deadline = min(way.sink.deadline, self._clock() + self._idle)

    def _fail(self, reason: str, broken: bool = True) -> None:
        if not self.reason:
            self.reason = reason
            self._broken = broken
