"""One stream of an HTTP/2 connection: what came of a body, and room for what leaves.

Theory of operation. It is a Stream, so that whoever reads a body, or carries bytes through a tunnel, waits for it as for any
other. Whoever waits here waits for the connection: for bytes that the connection's reader brings, or for room that its writer
makes. Windows open as bodies are read; a body that its client does not take is held up to a bound, and then its writer waits
(http/h2/windows.py).
"""

from __future__ import annotations

from collections.abc import Callable

from lbproxy.errors import ConnectionLost, StreamError, StreamMalformed, TimedOut
from lbproxy.http.h2.engine import H2Engine
from lbproxy.http.h2.floods import SMALL_WINDOW, Floods
from lbproxy.http.h2.session import Receiver
from lbproxy.http.h2.vocabulary import H2Code
from lbproxy.http.h2.windows import CROWDED, LEAST_RATE, may_write, share
from lbproxy.http.trailers import NONE, Trailers
from lbproxy.proxy.service import Service
from lbproxy.streams import NEVER, Alarm, Buffer, Strand, Stream

SWEEP = 5.0
"""Seconds after which a reader's deadline is looked at again."""


_EMPTY: list[bytes] = []
"""Of all streams on which nothing waits to be read."""


class ReaderOver(BaseException):
    """A connection's reader is needed no more. Not an Exception, so that nothing on its way takes it for a failure."""


class Carrier(Receiver):
    """The connection, as its streams need it; what its engine tells goes to it as well."""

    __slots__ = ("engine", "floods", "service", "stream")

    engine: H2Engine
    floods: Floods
    """Of what its peer says; judged when all of a read was told."""
    service: Service
    stream: Stream
    """What it writes to."""

    def on_settings(self) -> None:
        """See Receiver."""
        self.floods.see("h2_settings")

    def on_ping(self) -> None:
        """See Receiver."""
        self.floods.see("h2_pings")

    def on_pong(self) -> None:
        """See Receiver. Who says so without being asked might as well ask."""
        self.floods.see("h2_pings")

    def on_window(self, stream: int, increment: int) -> None:
        """See Receiver."""
        if increment < SMALL_WINDOW:
            self.floods.see("h2_windows")

    def on_priority(self, stream: int) -> None:
        """See Receiver."""
        self.floods.see("h2_priorities")

    def on_needless(self) -> None:
        """See Receiver."""
        self.floods.see("h2_glitches")

    def on_goaway(self, last: int, code: int) -> None:
        """See Receiver. A client begins nothing more; what it has begun is served."""
        self.on_needless()

    def flush(self) -> None:
        """Something is to be sent. It leaves at once, or with what others have to send."""
        raise NotImplementedError

    def flush_soon(self) -> None:
        """Likewise, and more is to come: it leaves at the loop's next turn, unless `flush` is called first."""
        raise NotImplementedError

    def may_write(self, stream: int) -> bool:
        """Whether more may be held of its body."""
        raise NotImplementedError

    def await_room(self, stream: H2Stream) -> None:
        """It waits until it may write: `wake_writer` is called then."""
        raise NotImplementedError

    def waits_for_input(self, stream: int, left: int, came: int) -> None:
        """Its reader has taken everything there was, `came` bytes since it last waited; `left`: bytes still to come, -1 when nobody
        knows."""
        raise NotImplementedError

    def stalled(self) -> None:
        """A stream is given up because its client takes nothing of it."""
        raise NotImplementedError


class H2Stream(Stream):
    """One HTTP/2 stream as an exchange sees it; made for each request, and known to the connection as long as the request is
    served."""

    __slots__ = (
        "_alarm", "_came", "_carrier", "_dropped", "_engine", "_inbox", "_look_at", "_reader", "_writer", "complete", "ended",
        "left", "loss", "number", "trailers",
    )  # fmt: skip

    def __init__(self, carrier: Carrier, number: int, ended: bool) -> None:
        """`ended`: the request has no body."""
        self.open(carrier, number, ended)

    def open(self, carrier: Carrier, number: int, ended: bool) -> None:
        """The same, for who makes one per request by __new__: see Exchange.begin."""
        self.deadline = NEVER
        self.half_closed = False
        self.owner = None
        self.unread = False
        self.patient = False
        self.stalls = 0
        self.write_stall = 30.0
        self.wired = 0
        self.number = number
        self.ended = ended
        """All of the request has come."""
        self.trailers: Trailers = NONE
        """When all of it has come: what came behind its body."""
        self.left = -1
        """Bytes of the body that are still to be read; -1 when nobody knows."""
        self._carrier = carrier
        self._engine = carrier.engine
        self._inbox = _EMPTY
        self._came = 0
        self._alarm: Alarm | None = None
        self._look_at = 0.0
        """When that rings."""
        self.loss: StreamError | None = None
        """Why nothing more comes or goes: the client has given it up, or we have."""
        self._dropped = False
        self.complete = False
        """All that is to be said was given to the engine."""
        self._reader: Strand | None = None
        self._writer: Strand | None = None

    def __repr__(self) -> str:
        lost = f" lost ({self.loss})" if self.loss is not None else ""
        return f"<H2Stream {self.number}{' ended' if self.ended else ''}{' answered' if self.complete else ''}{lost}>"

    # ---------------------------------------------------------------- from the connection

    def feed(self, data: bytes, ended: bool) -> bool:
        """More of the body came; True: somebody waits for it, who is to be woken by `wake_reader`."""
        if data:
            if self._inbox is _EMPTY:
                self._inbox = []
            self._inbox.append(data)
        self.ended = self.ended or ended
        self.unread = True
        return self._reader is not None or self.owner is not None

    def wake_reader(self) -> None:
        """From the event loop: what somebody waits for is here."""
        reader = self._take_reader()
        if reader is not None:
            reader.switch()
        elif self.unread and self.owner is not None:
            self.owner.on_readable()

    def wake_writer(self) -> None:
        """From the event loop: there is room."""
        writer = self._take_writer()
        if writer is not None:
            writer.switch()

    def lose(self, error: StreamError) -> None:
        """From the event loop: the client has given the stream, or the whole connection, up. Whoever waits gets the error."""
        if self.loss is not None:
            return
        self.loss = error
        if not self.ended:  # else what is here is all of it, and somebody may want it still
            self.drop()
        for waiting in (self._take_reader(), self._take_writer()):
            if waiting is not None:
                # Another one for each: one that is raised holds all that stands on its way, the stream as well, which holds it.
                waiting.throw(type(error)(*error.args))

    def drop(self) -> None:
        """What came and nobody has taken is no longer wanted; the connection's window is opened for others."""
        if self._inbox:
            size = sum(map(len, self._inbox))
            self._inbox = _EMPTY
            self._dropped = True
            self._engine.taken(self.number, size)

    def exhausted(self) -> bool:
        """All of the request has come, and been read."""
        return self.ended and not self._inbox

    def _take_reader(self) -> Strand | None:
        reader, self._reader = self._reader, None
        return reader

    def _take_writer(self) -> Strand | None:
        writer, self._writer = self._writer, None
        return writer

    # ---------------------------------------------------------------- reading

    def early(self) -> bytes:
        """What is here already, without waiting."""
        return self._take(1 << 30) if self._inbox else b""

    def read(self, limit: int) -> bytes:
        """See Stream."""
        while True:
            if self._inbox:
                return self._take(limit)
            self.unread = False
            if self.loss is not None and (self._dropped or not self.ended):
                raise (StreamMalformed if isinstance(self.loss, StreamMalformed) else ConnectionLost)(str(self.loss))
            if self.ended:
                return b""
            self._carrier.waits_for_input(self.number, self.left, self._came)
            self._came = 0
            self._wait_for_input()

    def ready(self) -> bool:
        """See Stream."""
        return bool(self._inbox) or self.ended or self.loss is not None

    def _take(self, limit: int) -> bytes:
        """What is here, up to about `limit` bytes: whoever passes it on does so with one system call, not with one a frame."""
        inbox = self._inbox
        data, count = inbox[0], len(inbox)
        if count > 1 and len(data) < limit:
            size, taken = len(data), 1
            while taken < count and size < limit:
                size += len(inbox[taken])
                taken += 1
            data = b"".join(inbox[:taken])
        else:
            taken = 1
        if taken == count:
            self._inbox = _EMPTY
        else:
            del inbox[:taken]
        self._came += len(data)
        if self.left > 0:
            self.left -= len(data)
        engine = self._engine
        if engine.taken(self.number, len(data), 0 if self.ended else self.left) and engine.has_output():
            self._carrier.flush_soon()  # with what the next wait opens
        return data

    def _wait_for_input(self) -> None:
        strands = self._carrier.service.strands
        self._reader = strands.current()
        if self._look_at > self.deadline or self._alarm is None:
            self._look_later()
        try:
            strands.park()
        finally:
            self._reader = None

    def _look_later(self) -> None:
        """At the deadline, or before: somebody may set a nearer one meanwhile. The alarm outlives the wait: the next one has it,
        too (one for each wait was a tenth of what an upload costs beside its bytes)."""
        self.stop_looking()
        service = self._carrier.service
        now = service.clock()
        wait = min(max(0.0, self.deadline - now), SWEEP)
        self._look_at = now + wait
        self._alarm = service.strands.alarm(wait, self._look)

    def _look(self) -> None:
        self._alarm = None
        if self._reader is None:
            return
        if self._carrier.service.clock() < self.deadline:
            self._look_later()
            return
        reader = self._take_reader()
        if reader is not None:
            reader.throw(TimedOut("read timed out"))

    def stop_looking(self) -> None:
        """Nobody reads any more, or not soon."""
        alarm, self._alarm = self._alarm, None
        if alarm is not None:
            alarm.stop()

    def read_early(self) -> bool:
        """See Stream. Everything is taken in by the connection anyway."""
        self.unread = False
        self.half_closed = self.ended
        return not self.ended and self.loss is None

    def give_way(self) -> None:
        """See Stream. Turns are the connection's matter."""

    # ---------------------------------------------------------------- writing

    def check(self, done: bool) -> None:
        """After a command to the engine. Raises ConnectionLost when the stream is gone."""
        if not done or self.loss is not None:
            raise ConnectionLost("the stream is gone" if self.loss is None else str(self.loss))

    def send(self, data: bytes, ended: bool) -> None:
        """More of the body, or its end. Raises ConnectionLost."""
        self.check(self.loss is None)
        self.complete = self.complete or ended
        self.check(self._engine.send(self.number, data, ended))
        self.wired += len(data)
        self._carrier.flush()

    def hold(self, data: bytes) -> None:
        """More of the body, for the next flush. Raises ConnectionLost."""
        self.check(self.loss is None)
        if data:
            self.check(self._engine.send(self.number, data, False))
            self.wired += len(data)

    def conclude(self, data: bytes, trailers: Trailers) -> None:
        """The end of a body that has trailers, or has lost them. Raises ConnectionLost."""
        if not trailers:
            self.send(data, True)
            return
        self.check(self.loss is None)
        self.complete = True
        engine = self._engine
        self.check((not data or engine.send(self.number, data, False)) and engine.trailers(self.number, trailers))
        self.wired += len(data)
        self._carrier.flush()

    def write(self, data: Buffer) -> None:
        """See Stream."""
        self.send(bytes(data), False)
        self.await_room()

    def await_room(self) -> None:
        """See Stream."""
        self.check(self.loss is None)
        if not self._carrier.may_write(self.number):
            self.stalls += 1
            self._wait_for_room(self._carrier.may_write)

    def await_end(self) -> None:
        """After the whole response: wait until the client's windows have let it go, as they do at once as a rule. Raises as
        `write` does."""
        if self.loss is None and not self._engine.will_leave(self.number):
            self._wait_for_room(self._all_gone)

    def _all_gone(self, number: int) -> bool:
        return not self._engine.held(number)

    def _wait_for_room(self, enough: Callable[[int], bool]) -> None:
        """Whoever is woken looks again; how much was taken is looked at after each `write_stall`, however often that was."""
        carrier, strands = self._carrier, self._carrier.service.strands
        while not enough(self.number):
            held, written = self._engine.held(self.number), carrier.stream.wired
            alarm = strands.alarm(self.write_stall, self._nothing_taken)
            try:
                while not enough(self.number):
                    self._writer = strands.current()
                    carrier.await_room(self)
                    strands.park()
            except TimedOut:
                if self.loss is not None:  # the connection has ended, and said why
                    raise
                if not self._goes_on(held, written):
                    carrier.stalled()
                    raise
            finally:
                self._writer = None
                alarm.stop()

    def _goes_on(self, held: int, written: int) -> bool:
        """Whether the peer takes what it is being sent, since so much of the stream was `held`, and of the connection `written`: of
        the stream, or of others that go first, while nothing but their turn holds the stream up."""
        engine, least = self._engine, int(self.write_stall * LEAST_RATE)
        if held - engine.held(self.number) >= min(held, least):
            return True
        return engine.window(self.number) > 0 and self._carrier.stream.wired - written >= least

    def _nothing_taken(self) -> None:
        writer = self._take_writer()
        if writer is not None:
            writer.throw(TimedOut("write stalled"))

    # ---------------------------------------------------------------- ends

    def answered(self) -> None:
        """The response's head was all of it."""
        self.complete = True

    def end_output(self) -> None:
        """See Stream."""
        if not self.complete:
            self.send(b"", True)

    def close(self) -> None:
        """See Stream."""
        self.finish()

    def finish(self, busy: bool = False) -> None:
        """See Stream. A response that is not whole is given up."""
        if self.loss is None:
            if not self.complete:
                self.abort()
            self.drop()

    def abort(self) -> None:
        """See Stream."""
        self.give_up(H2Code.INTERNAL_ERROR)

    def give_up(self, code: int) -> None:
        """The client is told that nothing more will come, and why."""
        if self.loss is None:
            self.loss = ConnectionLost("given up")
            self.drop()
            self._engine.reset(self.number, code)
            self._carrier.flush()

    def taken(self, since: int) -> bool:
        """See Stream. Asked of backends alone."""
        return False

    def unseen(self, since: int) -> bool:
        """See Stream. Asked of backends alone."""
        return False


def wake_writers(waiting: dict[int, H2Stream]) -> None:
    """From the event loop: something has left, and whoever waits for room looks again."""
    for stream in waiting.values():
        stream.wake_writer()


def room_for(stream: int, engine: H2Engine) -> bool:
    """Whether more may be held of a stream to a client, as urgent as it is."""
    held_by_all = engine.held_by_all()
    return may_write(engine.held(stream), held_by_all, _urgency(stream, engine, held_by_all))


def share_of(stream: int, engine: H2Engine, wanted: int, promised: int) -> int:
    """How much of `wanted` a stream to a client that may write reads next; see windows.share."""
    spoken_for = engine.held_by_all() + promised
    return share(wanted, spoken_for, _urgency(stream, engine, spoken_for))


def _urgency(stream: int, engine: H2Engine, spoken_for: int) -> int:
    """0 while there is room for all."""
    return 0 if spoken_for < CROWDED else engine.precedence(stream) // 2


def in_order(waiting: dict[int, H2Stream], engine: H2Engine) -> dict[int, H2Stream]:
    """The same in the order that their client wants (RFC 9218 10), if not all find room: the more urgent first, of these one after
    the other as they were asked for, and behind them those that take turns."""
    if len(waiting) < 2 or engine.held_by_all() < CROWDED:
        return waiting
    known = {number: engine.precedence(number) for number in waiting}
    numbers = sorted(waiting, key=lambda number: (known[number], 0 if known[number] & 1 else number))
    return {number: waiting[number] for number in numbers}
