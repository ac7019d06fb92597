"""Request bodies from client to backend, while the exchange waits for the answer.

Theory of operation. A body that came with its head is sent with it, and that is all. Otherwise a greenlet of its own pumps the
rest, so that the exchange can read the backend meanwhile: it may say 100-continue, refuse early, or answer while it still reads
(a streaming echo). The end of the answer is not the end of that: a backend that keeps its connection open gets the rest, too (see
`finish`). The pump ends in one of three ways: the body is whole (`done`); the backend takes no more (then its answer
decides, the pump just stops); or the client fails (gone, too slow, too large, malformed), which interrupts the exchange.

Pieces are kept up to REPLAY_LIMIT, so that a second try can begin with them: `pause`, then `begin` on the next stream. `_next` is
the first piece that the present backend has not been sent: a pump that is just being stopped may still add one.
"""

from __future__ import annotations

from collections.abc import Callable

from lbproxy.config.model import LimitsConfig
from lbproxy.errors import ClientGone, RequestError, ScratchError, StreamError, TimedOut
from lbproxy.http.edits import unruled
from lbproxy.http.message import ResponseHead
from lbproxy.http.trailers import NONE, Trailers, passed_on, size, sound
from lbproxy.proxy import sending_state
from lbproxy.proxy.destination import Destination
from lbproxy.proxy.moves import IMPOSSIBLE, ROW, impossible
from lbproxy.proxy.retry import REPLAY_LIMIT
from lbproxy.proxy.sending_state import SendingEvent, SendingState
from lbproxy.proxy.service import Service
from lbproxy.proxy.spool import Spool
from lbproxy.proxy.upstream import Upstream
from lbproxy.streams import BODY_READ, NEVER, Strand, Stream

LITTLE = 8 * 1024
"""Bytes of a body that are kept for as long as it takes, whether they can be of use or not."""
PIECE_COST = 64
"""Bytes of memory that a kept piece costs beside its own: a client that sends two at a time must not have us keep 2 MB of them."""

DRIP = 4096
"""Bytes of a body that come at once: whoever sends fewer may wait for a moment when many do."""

_AFTER, _ROW, _IMPOSSIBLE = sending_state.AFTER, ROW, IMPOSSIBLE
_HELD, _PUMPING, _SENT = map(int, SendingState)
_TRY, _GIVEN_ALL, _GIVEN_PART, _PAUSED, _WHOLE, _STOPPED = map(int, SendingEvent)

Interrupt = Callable[[Exception], None]
"""Called from the pump's greenlet: the request cannot go on, and why."""


Watch = Callable[[bytes, bool], None]
"""Told of a piece of a body, and whether it is the last. May raise RequestError."""


class _PumpStopped(BaseException):
    """The pump is needed no more. Not an Exception, so that nothing on its way takes it for a failure."""


class _Paused(Exception):
    """Nothing came for the time of `_pause`."""


class BodySource:
    """Where a body comes from: payload taken off what the client's stream brings."""

    __slots__ = ("done", "left", "rest", "stream", "trailers")

    stream: Stream
    """To wait for, with its deadline; what is read of it is for `take`."""
    left: int
    """Bytes that are still to come, where their number was told; else 0."""
    rest: bytes
    """After `done`: the bytes behind the body, which belong to the next request."""
    trailers: Trailers
    """After `done`: what came behind the body."""
    done: bool
    """All of it was taken."""

    def take(self, raw: bytes) -> bytes:
        """The payload in what was read. Raises RequestError 400."""
        raise NotImplementedError

    def ended(self) -> None:
        """The stream has ended. Raises RequestError 400 when that is not the body's end."""
        raise NotImplementedError


class RequestBody:
    """The body of one request, taken from its source and passed on to the backend."""

    __slots__ = (
        "_body_idle", "_came", "_ends", "_interrupt", "_kept", "_kept_size", "_limit", "_next", "_next_spooled", "_pause",
        "_payload", "_pump", "_rate", "_repeatable", "_response_head", "_ruled", "_service", "_source", "_spool", "_taking_in",
        "_upstream", "_waited", "_waiter", "_watches", "awaits_client", "chunked", "done", "goes_on", "invited",
        "received", "replayable", "sending", "trailers",
    )  # fmt: skip

    def __init__(self, interrupt: Interrupt, service: Service, source: BodySource, chunked: bool, first: bytes) -> None:
        """`chunked`: no length was told; `first`: the bytes behind the head that are here already. Raises RequestError 400.

        How much it may be is for the route to say: see `allow`.
        """
        self._interrupt = interrupt
        self._service = service
        self._source = source
        self.chunked = chunked
        self._limit = 0
        self._ruled: tuple[str, ...] = ()
        self._rate = service.config.limits.body_rate
        self._body_idle = self._response_head = 0.0
        self._pump: Strand | None = None
        self._upstream: Upstream | None = None
        self._kept: list[bytes] = []
        self._kept_size = 0
        self._next = 0
        self._repeatable = True
        self.replayable = True
        """All that was sent so far is kept."""
        self.received = 0
        self.done = False
        """All of it was received."""
        self.trailers: Trailers = NONE
        """Then: what is passed on of what came behind it."""
        self._ends = False
        """All of it was received, and nothing is passed on that came behind it."""
        self.sending: int = _HELD
        """What the present backend has of it; see sending_state.py."""
        self.goes_on = False
        """Also behind the answer."""
        self.invited = False
        """A client that waits to be asked for it (Expect: 100-continue) was."""
        self._waiter: Strand | None = None
        self.awaits_client = False
        """It is the client who keeps everybody waiting."""
        self._spool: Spool | None = None
        self._next_spooled = 0
        self._taking_in = False
        self._payload = b""
        """What the last piece that came holds of the body."""
        self._pause = 0.0
        self._came = 0
        self._waited = 0.0
        self._watches: tuple[Watch, ...] | None = None
        self._take(first)

    @property
    def sent(self) -> bool:
        """The present backend's stream has all of it."""
        return self.sending == _SENT

    @property
    def pumping(self) -> bool:
        """The rest of it is being brought to the present backend."""
        return self.sending == _PUMPING

    def _move(self, event: int) -> None:
        """What the backend has of it changes, as sending_state.MOVES has it."""
        after = _AFTER[self.sending * _ROW + event]
        if after == _IMPOSSIBLE:
            raise impossible(self, SendingState(self.sending), SendingEvent(event))
        self.sending = after

    def allow(self, destination: Destination, repeatable: bool) -> None:
        """As its route allows; `repeatable`: it may be sent again whatever the backend did. Raises RequestError 413."""
        self._repeatable = repeatable
        self._body_idle = destination.body_idle
        self._response_head = destination.response_head
        self._ruled = () if destination.rewriter is None else destination.rewriter.ruled_requests
        self._limit = limit = destination.max_body
        if limit and self.received + self._source.left > limit:
            raise RequestError(413, "body_too_large", f"a body of {self.received + self._source.left} bytes, at most {limit}")

    def be_patient(self, seconds: float) -> None:
        """From here on its client may be silent for so long, and as slow as it likes."""
        self._body_idle = self._response_head = seconds
        self._rate = 0
        if self.awaits_client:
            self._source.stream.deadline = self._service.clock() + seconds

    def watch(self, watch: Watch) -> None:
        """Show each piece to `watch`, and whether it is the last, before a backend gets it; what is here already at once."""
        self._watches = (*(self._watches or ()), watch)
        if self._spool is not None:
            _show(self, len(self._spool), watch)
        if self._kept:
            watch(b"".join(self._kept), self.done)

    def take_in(self, spool: Spool, pause: float = 0.0) -> None:
        """From the exchange's own greenlet, while there is no backend: receive all of it into `spool`, or as much as that takes.

        `pause`: seconds without a byte after which it returns as well; 0: see body_idle. It may be asked again then, and goes on
        with the first `spool`; also after a try that may be repeated elsewhere, of which all is kept. Raises RequestError as the
        pump tells it, and the client's StreamError.
        """
        if self._spool is None:
            self._spool = spool
        spool = self._spool
        spool.put(b"".join(self._kept))
        self._kept.clear()
        self._kept_size = 0
        self.replayable = self._taking_in = True
        self._pause = pause
        try:
            while not self.done and not spool.full:
                self._take(self._read())
                spool.put(self._payload)
        except _Paused:
            pass
        finally:
            self._pause = 0.0
            self._source.stream.patient = False
            self._source.stream.deadline = NEVER
            self._payload = b""
            self._taking_in = False

    def replace(self, spool: Spool) -> None:
        """All of it is here, and what is in `spool` goes on in its place."""
        if self._spool is not None:
            self._spool.clear()
        self._spool = spool
        self._kept.clear()
        self.trailers, self._ends = NONE, True
        self.replayable = True

    def drop_trailers(self) -> None:
        """All of it is here, and the backend has no place for what came behind it."""
        self.trailers, self._ends = NONE, self.done

    def begin(self, upstream: Upstream, head: bytes, chunked: bool) -> None:
        """Send `head` and what is here of the body, then pump what is to come. Raises StreamError (the backend's).

        `chunked`: that head tells no length. A body that goes on otherwise than its head says would end elsewhere for the backend,
        which would take the rest for another request (request smuggling).
        """
        self._move(_TRY)
        self._payload = b""
        if self._spool is None:
            pieces, payload = len(self._kept), b"".join(self._kept)
            last = self._ends
        else:
            pieces, payload = 0, self._spooled(0)
            last = self._ends and not self._kept and len(self._spool) <= 1
        upstream.send(head, payload, chunked, last)
        self._upstream = upstream  # not before: until then a start that an earlier try asked for must find nothing to do
        self._next = pieces
        self._next_spooled = 1
        if self._ends and self._next == len(self._kept) and (self._spool is None or len(self._spool) <= 1):
            self._move(_GIVEN_ALL)
        else:
            self._move(_GIVEN_PART)
            self._service.strands.later(self._start)

    def pause(self) -> None:
        """The try failed: stop pumping. What the client sent so far is kept, if `replayable`."""
        self._upstream = None
        self._move(_PAUSED)
        pump, self._pump = self._pump, None
        if pump is not None:
            self._service.strands.throw_later(pump, _PumpStopped())

    def outlives(self, answer: ResponseHead, invited_only: bool) -> bool:
        """Whether it goes on behind this answer: while the backend neither closes nor says that it will, it wants the rest.

        `invited_only`: the client sends its body only when it is asked to. Answered otherwise it may keep it or not, nobody knows
        (RFC 9110 10.1.1), unless it has begun.
        """
        self.goes_on = not self.sent and answer.keep_alive and (self.invited or self.received > 0 or not invited_only)
        return self.goes_on

    def finish(self) -> None:
        """From the exchange's greenlet, behind the whole answer: wait until the backend has the rest (`sent`), or will not have it.

        Whoever fails now does so behind a whole answer, which nobody takes back. A backend that closes, or says more than it was
        asked, ends the wait: see `unread` of its stream.
        """
        strands = self._service.strands
        if self._upstream is None:
            return
        upstream = self._upstream.stream
        owner, upstream.owner = upstream.owner, self
        upstream.deadline = NEVER
        self._waiter = strands.current()
        while self.pumping and not upstream.unread:
            try:
                strands.park()
            except (ClientGone, StreamError):
                pass  # it has its answer, and may leave: if it has not sent all of it, the pump will tell
            except RequestError:
                break
        self._waiter = None
        upstream.owner = owner

    def on_readable(self) -> None:
        """Of the backend's stream, while `finish` waits."""
        if self._waiter is not None:
            self._waiter.switch()

    def on_expired(self) -> None:
        """Of the backend's stream, which has no deadline then."""

    @property
    def rest(self) -> bytes:
        """See BodySource."""
        return self._source.rest

    def stop(self) -> None:
        """The exchange is over."""
        self.pause()
        self._kept.clear()
        if self._spool is not None:
            self._spool.clear()

    # ---------------------------------------------------------------- the pump

    def _start(self) -> None:
        if self.pumping and self._pump is None:
            self._service.strands.start(self._run)

    def _run(self) -> None:
        pump = self._pump = self._service.strands.current()
        upstream = self._upstream
        try:
            self._pump_into(upstream)
        except _PumpStopped:
            pass
        except RequestError as error:
            self._interrupt(error)
        except Exception as error:  # must not end in the event loop
            self._service.on_fault(error)
            self._interrupt(RequestError(500, "internal_error"))
        finally:
            if self._pump is pump:
                self._source.stream.patient = False
                self._pump = None
                self._move(_STOPPED)
                self._service.strands.later(self.on_readable)
                if upstream is not None:  # from now on the backend owes the answer
                    upstream.stream.deadline = self._service.clock() + self._response_head

    def _pump_into(self, upstream: Upstream | None) -> None:
        try:
            self._source.stream.give_way()
        except StreamError as error:
            self._interrupt(ClientGone(str(error)))
            return
        while upstream is not None and self._upstream is upstream:
            if self._spool is not None and self._next_spooled < len(self._spool):
                if not self._send_spooled(upstream):
                    return
                continue
            if self._next < len(self._kept):
                self._next += 1
                try:
                    upstream.more(self._kept[self._next - 1], self._ends and self._next == len(self._kept))
                except StreamError:
                    return  # the backend takes no more; what it answers, or that it does not, is the exchange's business
                continue
            if self.replayable and self._kept_size > LITTLE and not self._repeatable and upstream.stream.taken(upstream.mark):
                self.replayable = False  # it can only be sent again while it is proved that the backend got nothing
            if not self.replayable:
                self._kept.clear()
                self._next = 0
            if self.done:
                if not self.trailers or _concluded(upstream, unruled(self.trailers, self._ruled)):
                    self._move(_WHOLE)
                return
            try:
                self._take(self._read())
            except StreamError as error:
                self._interrupt(ClientGone(str(error)))
                return

    def _send_spooled(self, upstream: Upstream) -> bool:
        """The next piece of what was taken in; False: the backend takes no more, or another one is asked meanwhile."""
        spool = self._spool
        assert spool is not None
        piece = self._spooled(self._next_spooled)
        self._next_spooled += 1
        if self._upstream is not upstream:
            return False
        try:
            upstream.more(piece, self._ends and not self._kept and self._next_spooled == len(spool))
        except StreamError:
            return False
        return True

    def _spooled(self, index: int) -> bytes:
        """A piece of what was taken in, as the backend gets it. Raises RequestError."""
        if self._spool is None or index >= len(self._spool):
            return b""
        try:
            return self._spool.read(index)
        except ScratchError as error:
            raise RequestError(500, "buffer_unreadable", "what was buffered cannot be read") from error

    def _read(self) -> bytes:
        service, client = self._service, self._source.stream
        timeout, rate = self._body_idle, self._rate
        # A byte now and then would keep the clock of `body_idle` from ever running out: all waiting together has a limit, too, that
        # grows with what comes. Only waiting for the client counts, never for a backend that is slow to take it.
        left = min(timeout, timeout + self._came / rate - self._waited) if rate else timeout
        pause = self._pause
        pausing = 0.0 < pause < left
        begun = service.clock()
        client.deadline = begun + (pause if pausing else left)
        self.awaits_client = True
        try:
            raw = client.read(BODY_READ)
        except TimedOut:
            if pausing:
                self._waited += pause
                raise _Paused from None
            if left < timeout:
                raise RequestError(408, "body_too_slow", f"the body came with less than {rate} bytes a second") from None
            raise RequestError(408, "body_timeout", f"the body stood still for {timeout:g} s") from None
        finally:
            self.awaits_client = False
        self._waited += service.clock() - begun
        self._came += len(raw)
        client.patient = len(raw) < DRIP
        if self._upstream is not None:  # else the pump is being stopped, and the deadline is that of whoever came after it
            client.deadline = NEVER
        if not raw:
            self._source.ended()
        return raw

    def _take(self, raw: bytes) -> None:
        """Account for what the client sent and keep it. Raises RequestError 400, 413."""
        source = self._source
        payload = source.take(raw)
        if source.done:
            if source.trailers:
                self.trailers = _checked(source.trailers, self._service.config.limits)
            self._ends = not self.trailers
            self.done = True
        self.received += len(payload)
        if self._upstream is None:
            self._payload = payload
        if self._limit and self.received > self._limit:
            raise RequestError(413, "body_too_large", f"a body of more than {self._limit} bytes")
        if self._watches is not None:
            for watch in self._watches:
                watch(payload, self.done)
        # An end that came by itself is a piece, too, whatever length was told: over HTTP/2 it is to be sent on.
        if (payload or self._ends) and not self._taking_in:
            self._kept.append(payload)
            self._kept_size += len(payload) + PIECE_COST
            if self._kept_size > REPLAY_LIMIT:
                self.replayable = False


def follow(body: RequestBody, watch: Watch) -> None:
    """As RequestBody.watch, but for what is here already."""
    body._watches = (*(body._watches or ()), watch)


def move(body: RequestBody, spool: Spool) -> None:
    """From the exchange's own greenlet, while there is no backend: what was taken in so far, if anything, stands there then."""
    before = body._spool
    if before is not None:
        body._spool = spool
        while piece := before.pop():
            spool.put(piece)


def _show(body: RequestBody, pieces: int, watch: Watch) -> None:
    """What was taken in already, which may be nothing and all."""
    for index in range(pieces or 1):
        watch(body._spooled(index), body.done and index >= pieces - 1 and not body._kept)


def _checked(trailers: Trailers, limits: LimitsConfig) -> Trailers:
    """Those that are passed on. Raises RequestError: their sum is limited as a head is, and what is malformed there is so here."""
    if not sound(trailers):
        raise RequestError(400, "bad_trailers", "trailers that break the grammar of fields")
    if len(trailers) > limits.fields:
        raise RequestError(431, "too_many_trailers", f"{len(trailers)} trailers, at most {limits.fields} fields")
    if size(trailers) > limits.head:
        raise RequestError(431, "trailers_too_large", f"trailers of {size(trailers)} bytes, at most {limits.head}")
    return passed_on(trailers)


def _concluded(upstream: Upstream, trailers: Trailers) -> bool:
    """The backend has them; False: it takes no more."""
    try:
        upstream.conclude(trailers)
    except StreamError:
        return False
    return True
