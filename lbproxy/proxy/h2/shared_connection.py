"""A connection to a backend that speaks HTTP/2, shared by requests: one reader, one writer, a stream for each request.

Theory of operation. What comes and goes is backend_wire.py's. What the engine tells is noted on the streams, and whoever waits
for it is woken at the loop's next turn (`_carry_out`).

The window of the connection is as large as those of its streams together, so that a client that takes nothing stops its own stream
and nobody else's; what is held of a stream is bounded by the stream's window (http/h2/windows.py).

A backend is not trusted more than a client. What it can make us do without sending an answer is counted (http/h2/floods.py), bytes
that belong to no request are as well, and a connection that says nothing while requests wait is asked whether it lives
(pulse.py).

States: `ready` since its SETTINGS came, so that a backend that does not speak HTTP/2 has not been sent a request; `leaving` when it
takes no more requests; `_ending` says how it ends, and `_shut` does that from the event loop.
"""

from __future__ import annotations

from typing import Protocol

from lbproxy.balance.backend import Backend
from lbproxy.balance.ledger import PerSlot, cell_at
from lbproxy.errors import RefusedAnswer, TimedOut, UpstreamError
from lbproxy.http.h2.bounds import Bounds
from lbproxy.http.h2.engine import H2Engine
from lbproxy.http.h2.vocabulary import Failure, Fields, H2Code
from lbproxy.http.h2.windows import STREAM, Windows
from lbproxy.proxy.h2.backend_stream import BackendStream
from lbproxy.proxy.h2.backend_wire import LINGER, BackendWire
from lbproxy.proxy.h2.h2_upstream import H2Upstream, lent
from lbproxy.proxy.h2.losses import of_connection, of_goaway, of_stream
from lbproxy.proxy.h2.pulse import Pulse
from lbproxy.proxy.service import Service
from lbproxy.streams import BODY_READ, NEVER, Alarm, Stream

IDLE_IN_GREENLET = 1.0
LOOK = 0.25
"""Seconds between two looks at the deadlines of the streams."""
UNASKED = 1024 * 1024
"""Bytes that may come while there is no request: what was on its way when the last one was given up."""


class Lot(Protocol):
    """All connections to one backend, as one of them needs it."""

    def has_room(self, connection: SharedConnection) -> None:
        """From the event loop: it became ready, or a stream is over."""

    def may_rest(self, connection: SharedConnection) -> bool:
        """Whether it is kept though it is idle."""

    def is_gone(self, connection: SharedConnection, failure: UpstreamError | None) -> None:
        """From the event loop: it has ended; `failure`: it was never ready, and why."""

    @property
    def either(self) -> bool:
        """The backend may be spoken to in HTTP/1.1 as well."""

    def wants_http_1(self) -> None:
        """The backend has asked for it."""

    def counted(self, reason: str) -> None:
        """It was ended for what the backend did."""


class SharedConnection(BackendWire):
    """One connection to a backend: owner of its stream, the engine's receiver, and what its streams write to (Lender)."""

    __slots__ = (
        "_alarm", "_cell", "_cells", "_condemned", "_goaway", "_goodbye", "_lingering", "_lot", "_most", "_news", "_pulse",
        "_requests_cell", "_resets", "_retires", "_scheme", "_since", "_streams", "_turning", "_unasked", "_until", "_wakes",
        "_windows", "allowed", "apart", "backend", "leaving", "load", "newly_ready", "ready", "requests", "rest", "served",
    )  # fmt: skip

    def __init__(self, service: Service, stream: Stream, backend: Backend, lot: Lot, bounds: Bounds, *, tls: bool) -> None:
        """`stream`: open, nothing was written yet; `bounds`: of what the backend may have us hold."""
        super().__init__(service, stream, H2Engine(self, server=False, bounds=bounds))
        self.backend = backend
        self.engine.widen(0, bounds.streams * STREAM)
        self._most = self.allowed = bounds.streams
        """Streams at once: what we want at most, and what the backend allows of that."""
        self.ready = self.leaving = self.carries_websockets = self.apart = False
        self.newly_ready = False
        """And nobody was told yet."""
        self.load = 0
        """Requests that have it, and streams that are not over."""
        self.served = 0
        """Requests so far."""
        self.requests = 1 << 62
        """How many it carries."""
        self.rest = 30.0
        """Seconds that it is kept idle."""
        self._retires = NEVER
        self._lot = lot
        self._scheme = b"https" if tls else b"http"
        self._cells, self._cell, self._requests_cell = _counted(service, backend)
        self._streams: dict[int, BackendStream] = {}
        self._lingering: dict[int, float] = {}
        """Streams of tunnels that have said goodbye, and when that is enough."""
        self._wakes: list[BackendStream] = []
        self._resets: set[int] = set()
        """Streams that the backend has reset, until they are told to be closed."""
        self._windows = Windows()
        self._goaway: tuple[int, int] | None = None
        self._alarm: Alarm | None = None
        self._since = service.clock()
        self._pulse = Pulse(self._since)
        self._until = NEVER
        self._unasked = 0
        self._condemned = self._goodbye = self._news = self._turning = False

    def __repr__(self) -> str:
        state = self._ending or ("leaving" if self.leaving else "ready" if self.ready else "new")
        return f"<SharedConnection {self.backend.name} {state}, {self.load} requests of {self.allowed}, {self.engine!r}>"

    def greet(self, until: float, retires: float) -> None:
        """Begin; its SETTINGS have to be here before `until`, and after `retires` no request begins."""
        self._until = until
        self._retires = retires
        self.service.strands.later(self.on_readable)

    # ---------------------------------------------------------------- for those who want to send

    def takes_more(self, now: float) -> bool:
        """Whether a request may begin."""
        if now >= self._retires:
            self.leave()
        return self.ready and self.load < self.allowed and not self.leaving and not self._ending and not self._mute

    def lend(self) -> H2Upstream:
        """A stream for a request."""
        self.load += 1
        self.served += 1
        self._cells[self._cell] += 1
        self._unasked = 0
        self.stream.deadline = NEVER
        if self.served >= self.requests:
            self.leaving = True
        return lent(self, self.backend, self._scheme, self.served - 1)

    def leave(self) -> None:
        """No more requests begin; when there are none it ends with a goodbye."""
        self.leaving = True
        if not self.load and not self._ending and not self._goodbye:
            self._goodbye = True
            self.engine.refuse_more()  # not before: it would have some servers end what is under way
            self.flush()

    # ---------------------------------------------------------------- from the event loop

    def on_expired(self) -> None:
        """See StreamOwner: it was idle for long enough."""
        self._expired()

    def _carry_out(self) -> None:
        """What the last bytes brought."""
        self._turning = False
        wakes, self._wakes = self._wakes, []
        for stream in wakes:
            stream.wake()
        if self._news and not self._ending:
            self._news = False
            self._lot.has_room(self)

    def _why(self) -> UpstreamError:
        return of_connection(self._ending, self.engine.failure, self._goaway, ready=self.ready)

    def _turn_soon(self) -> None:
        if not self._turning:
            self._turning = True
            self.service.strands.later(self._carry_out)

    def _look(self) -> None:
        """Deadlines, and whether anybody is there at all."""
        self._alarm = None
        now = self.service.clock()
        for stream in list(self._streams.values()):
            stream.expire(now)
        for number, until in list(self._lingering.items()):
            if until <= now:
                self.engine.reset(number, H2Code.CANCEL)
                self.flush()
                self._lingering.pop(number, None)
        if self._pulse.gone(now):
            self._lot.counted("h2_ping_timeout")
            self._end("dead")
        elif self.load and self._pulse.asks(now) and self.engine.ping():
            self.flush()
        self._watch()

    def _watch(self) -> None:
        if self._alarm is None and (self._streams or self._lingering) and not self._ending:
            self._alarm = self.service.strands.alarm(LOOK, self._look)

    def _shut(self) -> None:
        """See BackendWire. Everybody is told."""
        self._stop_reading()
        if self._alarm is not None:
            self._alarm.stop()
            self._alarm = None
        why = self._why()
        streams, self._streams = self._streams, {}
        for stream in streams.values():
            stream.fail(self._why(), why.reason == "response_closed" and self.stream.unseen(stream.begun_at))
        self._less(self.load)
        if self._ending == "closed":
            self.stream.close()
        else:
            self.stream.abort()
        for stream in streams.values():
            stream.wake()
        self._lot.is_gone(self, None if self.ready else why)

    # ---------------------------------------------------------------- the reader

    def _read_on(self) -> bool:
        """See BackendWire."""
        if self._ending:
            return False
        self._set_deadline()
        try:
            data = self.stream.read(BODY_READ)
        except TimedOut:
            return self._expired()
        if not data:
            self._end("ended")
            return False
        now = self.service.clock()
        self._pulse.heard(now)
        self.engine.receive(data)
        failure = self.floods.judge(now)
        if self.ready and not self.load:
            self._unasked += len(data)
            if self._unasked > UNASKED:
                failure = Failure(H2Code.ENHANCE_YOUR_CALM, "h2_unasked")
        if failure is not None:
            self.engine.end(failure)
        if self.engine.failure is not None:
            self._condemn(self.engine.failure)
        self.flush()
        return True

    def _set_deadline(self) -> None:
        if not self.ready:
            self.stream.deadline = self._until
        elif self._mute:
            self.stream.deadline = self.service.clock() + LINGER
        elif self.load:
            self.stream.deadline = NEVER
        else:
            self.stream.deadline = min(self._since + IDLE_IN_GREENLET, self._until)

    def _expired(self) -> bool:
        """Nothing came in time. As _read_on."""
        if not self.ready:
            self._end("late")
        elif self._mute:
            self._end("ended")
        elif self.load:
            return True
        elif self._until > (now := self.service.clock()):
            self.stream.deadline = self._until
            self.floods.forget(now)
            self._hold_little()
        else:
            self.leave()
        return False

    def _condemn(self, failure: Failure) -> None:
        """Nothing more of it is believed: whoever waits need not wait for our own last words."""
        if not self._condemned:
            self._condemned = self.leaving = True
            if self.ready and (self._goaway is None or self._goaway[1] != failure.code):  # else it is the backend's own word
                self._lot.counted(failure.reason)
            for stream in self._streams.values():
                stream.fail(self._why())
                self._to_wake(stream)

    def _look_over(self) -> None:
        """See BackendWire."""
        engine = self.engine
        if self._mute:
            return
        if engine.failure is not None:
            self._condemn(engine.failure)
        if engine.failure is not None or engine.over or (self.leaving and not self.load and not engine.has_output()):
            self._end("closed")

    # ---------------------------------------------------------------- what the engine tells

    def on_settings(self) -> None:
        """See Receiver."""
        self.floods.see("h2_settings")
        self.allowed = min(self.engine.streams_allowed, self._most)
        self.carries_websockets = self.engine.carries_others
        if not self.ready:
            self.ready = self.newly_ready = True
            self._until = min(self.service.clock() + self.rest, self._retires)
        self._tell_news()

    def on_interim(self, stream: int, fields: Fields) -> None:
        """See Receiver."""
        self._bring(stream, fields, False, False)

    def on_response(self, stream: int, fields: Fields, ended: bool) -> None:
        """See Receiver."""
        self._pulse.answered()
        self._bring(stream, fields, ended, True)

    def _bring(self, number: int, fields: Fields, ended: bool, final: bool) -> None:
        stream = self._streams.get(number)
        if stream is None:
            return
        if not stream.bring_head(fields, ended, final):
            stream.fail(RefusedAnswer("response_endless_interim", "interim responses faster than they are passed on"))
            self.engine.reset(number, H2Code.ENHANCE_YOUR_CALM)
        self._to_wake(stream)

    def on_data(self, stream: int, data: bytes, ended: bool) -> None:
        """See Receiver."""
        self._pulse.answered()
        found = self._streams.get(stream)
        if not data and not ended:
            self.floods.see("h2_empty_data")
        if found is None or found.loss is not None:
            if data:
                self.engine.taken(stream, len(data))
        elif found.feed(data, ended):
            self._to_wake(found)

    def on_trailers(self, stream: int, fields: Fields) -> None:
        """See Receiver."""
        if (found := self._streams.get(stream)) is not None:
            found.trailers = fields
        self.on_data(stream, b"", True)

    def on_reset(self, stream: int, code: int) -> None:
        """See Receiver."""
        if stream in self._streams:
            self._resets.add(stream)
        else:
            self.on_needless()

    def on_closed(self, stream: int, code: int) -> None:
        """See Receiver."""
        self._lingering.pop(stream, None)
        self._windows.ended(stream)
        found = self._streams.get(stream)
        if found is not None and (code or not found.ended or not found.complete):
            by_backend = stream in self._resets
            if by_backend and code == H2Code.HTTP_1_1_REQUIRED:
                self._lot.wants_http_1()
            found.fail(of_stream(code, by_backend=by_backend, either=self._lot.either))
            self._to_wake(found)
        self._resets.discard(stream)
        self.floods.answered()
        self._less(1)
        self._tell_news()

    def _less(self, count: int) -> None:
        self.load -= count
        self._cells[self._cell] -= count
        if not self.load and not self._ending:
            self._rest()

    def _rest(self) -> None:
        """It is idle."""
        self._since = now = self.service.clock()
        self._until = min(now + self.rest, self._retires)
        self._set_deadline()
        if self.leaving or self.service.draining or not self._lot.may_rest(self):
            self.leave()

    def _tell_news(self) -> None:
        self._news = True
        self._turn_soon()

    def on_goaway(self, last: int, code: int) -> None:
        """See Receiver."""
        self.on_needless()
        self._goaway = (last, code)
        self.leaving = True
        if code == H2Code.HTTP_1_1_REQUIRED:
            self._lot.wants_http_1()
        for number, stream in self._streams.items():
            if number > last:
                stream.fail(of_goaway(code, either=self._lot.either))
                self._to_wake(stream)

    def _to_wake(self, stream: BackendStream) -> None:
        self._wakes.append(stream)
        self._turn_soon()

    # ---------------------------------------------------------------- for streams

    def begin(self, stream: BackendStream, number: int, ended: bool) -> None:
        """Its request has begun."""
        stream.begun(number, ended, self.stream.wired)
        self._streams[number] = stream
        self._cells[self._requests_cell] += 1
        self._watch()

    def left(self, stream: BackendStream) -> None:
        """See Lender."""
        self._streams.pop(stream.number, None)
        self._waiting_for_room.pop(stream.number, None)
        if not stream.returned:
            stream.returned = True
            if not stream.number and not self._ending:
                self._less(1)
                self._tell_news()

    def linger(self, stream: BackendStream) -> None:
        """See Lender."""
        self._streams.pop(stream.number, None)
        self._lingering[stream.number] = self.service.clock() + LINGER
        self._watch()

    def waits_for_input(self, stream: int, left: int, came: int) -> None:
        """See Carrier. The connection's own window has room for all of them."""
        wider, _ = self._windows.waited(stream, left, came)
        if wider and self.engine.widen(stream, wider):
            self.flush_soon()


def _counted(service: Service, backend: Backend) -> tuple[memoryview[int], int, int]:
    """Where its streams, and requests, are counted."""
    child, slot = service.counters.child, backend.slot
    return service.counters.cells, cell_at(child, PerSlot.H2_STREAMS, slot), cell_at(child, PerSlot.H2_REQUESTS, slot)
