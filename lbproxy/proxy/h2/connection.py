"""A client's connection that speaks HTTP/2: one reader, one writer, and a greenlet for each request that is being served.

Theory of operation. The reader is a greenlet that waits for bytes and gives them to the engine, as long as requests are being
served and a moment longer; an idle connection keeps none. What the engine tells is noted, and carried out at the loop's next turn
(next_turn.py): requests begin, readers of bodies are woken, who was given up is thrown out.

What is to be sent collects in the engine. At the loop's next turn a greenlet writes it (`_write_out`), so that answers of one
turn leave together, in the order that their urgency gives them; a request that is served alone writes at once, by itself. While
the writer waits for the client, streams go on until they hold what they may (http/h2/windows.py).

A drain tells the client to begin nothing more, in two steps (RFC 9113 6.8): the first GOAWAY refuses nothing, so that what is on
its way is served; the second, after an answer to our PING or when the patience with idle connections ends, tells how far we got.
The last answer then ends the connection.

States: `_ending` is None as long as it lives; then "finish" or "abort", and `_shut` does that from the event loop, where the
reader can be thrown out first.
"""

from __future__ import annotations

from collections.abc import Callable

from lbproxy.errors import ClientGone, ConnectionLost, RequestError, StreamError, StreamMalformed, TimedOut
from lbproxy.http.forwarding import Forwarder
from lbproxy.http.h2.bounds import Bounds
from lbproxy.http.h2.engine import H2Engine, ended_engine
from lbproxy.http.h2.floods import Floods
from lbproxy.http.h2.request_fields import RequestFields
from lbproxy.http.h2.response_fields import ResponseFields
from lbproxy.http.h2.vocabulary import Failure, Fields, H2Code
from lbproxy.http.h2.windows import Windows
from lbproxy.proxy.client import ConnectionCount
from lbproxy.proxy.h2.h2_downstream import Bearer, H2Downstream, H2Peer
from lbproxy.proxy.h2.next_turn import NextTurn
from lbproxy.proxy.h2.stream import H2Stream, ReaderOver, in_order, room_for, wake_writers
from lbproxy.proxy.h2.unwanted import Unwanted
from lbproxy.proxy.service import Service
from lbproxy.streams import BODY_READ, NEVER, SWIFT_READ, Strand, Stream

IDLE_IN_GREENLET = 0.5
"""Seconds that the reader waits for more. With it an idle connection keeps twice the memory."""
MUCH = BODY_READ // 2
"""Bytes of bodies in one read, after which more is read at once: uploads take turns by the frame, and each turn of the loop passes
on what came of each, with system calls for each of them."""
OUTPUT = 64 * 1024
"""Bytes that are taken out of the engine at once: what an urgent stream has to wait for."""


_RESET, _MALFORMED = ConnectionLost("the client has reset the stream"), StreamMalformed("the request breaks the rules of HTTP/2")
_NONE: dict[int, H2Stream] = {}
"""Of all connections on which nobody waits."""


class H2Connection(Bearer):
    """One HTTP/2 connection of a client: owner of its stream, and the engine's receiver."""

    __slots__ = (
        "_bodies", "_draining", "_ending", "_given_up", "_idle_since", "_idle_until", "_last", "_now", "_on_flood", "_planned",
        "_read", "_refused_more", "_requests", "_reset", "_turn", "_unwanted", "_waiting_for_room", "_windows", "_writing",
        "count", "strand",
    )  # fmt: skip

    def __init__(
        self,
        service: Service,
        stream: Stream,
        peer: str,
        forwarder: Forwarder,
        redirect: int,
        tls_seconds: float,
        count: ConnectionCount,
        bounds: Bounds,
        response_fields: ResponseFields,
        key: Callable[[], bytes],
        on_flood: Callable[[str, Failure], None],
    ) -> None:
        """`key`: makes a Sec-WebSocket-Key; `on_flood`: told of the peer, and why its connection was ended; the others: see
        ClientConnection."""
        self.service = service
        self.stream = stream
        self.client = H2Peer(service, stream, peer, forwarder, redirect, tls_seconds)
        self.strand: Strand | None = None
        """The reader, while there is one."""
        forwarder.over_http_2()
        limits = service.config.limits
        self.engine = H2Engine(self, server=True, bounds=bounds)
        self.response_fields = response_fields
        self.request_fields = RequestFields(limits.request_line, limits.fields, limits.head, service.router.backslash)
        self.key = key
        self._on_flood = on_flood
        self.count = count
        self.floods = Floods()
        self._windows = Windows(bounds.window)
        self._requests: dict[int, H2Downstream] = {}
        self._turn = NextTurn(self)
        self._unwanted: Unwanted | None = None
        """As long as there was none."""
        self._waiting_for_room = _NONE
        self._last = self.promised = 0
        self._reset = self._given_up = 0
        """The last stream that the client has reset; that came with its reset."""
        self._now = service.clock()
        self._idle_since = self._now
        self._idle_until = self._now + service.config.timeouts.request_head
        self._draining = self._refused_more = self._planned = self._writing = False
        self._ending = ""
        self._read = b""
        self._bodies = 0
        """Bytes of bodies in what was read last."""
        service.connections.add(self)
        service.counters.h2_open += 1
        stream.owner = self

    def __repr__(self) -> str:
        return f"<H2Connection {self._ending or 'open'}, {len(self._requests)} requests, {self.engine!r}>"

    def serve_after(self, data: bytes) -> None:
        """As `serve`; `data` was read already."""
        self._read = data
        self.serve()

    def await_first(self) -> None:
        """A connection with no greenlet yet: the first input starts one, silence ends it."""
        self.stream.deadline = self._idle_until

    # ---------------------------------------------------------------- from the event loop

    def on_readable(self) -> None:
        """See StreamOwner."""
        if self.strand is None and not self._ending:
            self.service.strands.start(self.serve)

    def on_expired(self) -> None:
        """See StreamOwner: it was idle for long enough."""
        if not self._requests and not self._ending:
            self._say_goodbye()

    def drain(self, now: float, grace: float) -> None:
        """See Connection."""
        if self._ending:
            return
        if not self._draining:
            self._draining = True
            self.engine.announce_end()
            self.engine.ping()
            if self._unwanted is not None:
                self._unwanted.hurry()
            self.flush_soon()
        if not self._requests:
            self._idle_until = min(self._idle_until, now + grace)
            self.stream.deadline = min(self.stream.deadline, self._idle_until)

    @property
    def tunnel(self) -> bool:
        """See Connection: nothing but tunnels and streams of events is left."""
        return bool(self._requests) and all(map(_endless, self._requests.values()))

    def idle_since(self) -> float:
        """See shedding.Sheddable."""
        return self._idle_since if self.strand is None and not self._requests and not self._ending else NEVER

    def shed(self) -> None:
        """See shedding.Sheddable."""
        self._say_goodbye()

    def cut(self) -> None:
        """See Connection: first those that could have ended, then the others."""
        late = [request for request in self._requests.values() if not _endless(request)] or list(self._requests.values())
        for request in late:
            request.cut()

    def _say_goodbye(self) -> None:
        self._say_last_goodbye()
        if not self._writing:  # else it goes out behind what is waiting there, or is lost with that
            self.service.strands.start(self._write_out)

    def _shut(self) -> None:
        """The connection is over: everybody goes, the reader first."""
        reader, self.strand = self.strand, None
        if reader is not None:
            reader.throw(ReaderOver())
        for request in list(self._requests.values()):
            request.lose(TimedOut("the client takes nothing") if self._ending == "stalled" else ConnectionLost("connection ended"))
        if self._ending == "finish":
            self.stream.finish(busy=True)
        else:
            self.stream.abort()
        # Connection, engine and streams know each other: what they hold, bodies that the client has not taken above all, would wait
        # for the collector of cycles, which comes to what is as old as they are after hours.
        self.engine, self._waiting_for_room = ended_engine(), _NONE

    # ---------------------------------------------------------------- the reader

    def serve(self) -> None:
        """Read until the connection is idle for a while or ends. Runs in a greenlet of its own; lets nothing out."""
        self.strand = self.service.strands.current()
        try:
            self.flush_soon()  # our SETTINGS; later: nothing
            while self._read_on():
                pass
        except ReaderOver:
            pass
        except StreamError:
            self._end("abort" if self._requests else "finish")
        except Exception as error:
            self.service.on_fault(error)
            self._end("abort")
        finally:
            self.strand = None

    def _read_on(self) -> bool:
        """True: go on. False: the connection is idle (and owned by the event loop) or over."""
        if self._ending:
            return False
        stream = self.stream
        self._set_deadline()
        try:
            data, self._read = self._read or stream.read(SWIFT_READ if self._bodies >= MUCH else BODY_READ), b""
        except TimedOut:
            return self._expired()
        if not data:
            self._end("abort" if self._requests else "finish")
            return False
        self._now = self.service.clock()
        self._bodies = 0
        self.engine.receive(data)
        self._judge()
        if self.service.draining and not self._draining:
            self.drain(self._now, self.service.idle_grace)
        self.flush_soon()  # before requests begin, which wait for it if they have to
        self._turn.came(self.engine)
        return True

    def _set_deadline(self) -> None:
        self.stream.deadline = NEVER if self._requests else min(self._idle_since + IDLE_IN_GREENLET, self._idle_until)

    def _expired(self) -> bool:
        """Nothing came in time. As _read_on."""
        if self._requests:
            return True
        if self._idle_until > self.service.clock():
            self.stream.deadline = self._idle_until
            self._rest()
        else:
            self._say_last_goodbye()
            self.flush_soon()
        return False

    def _rest(self) -> None:
        """It is idle: thousands of them hold as little as can be."""
        self.client.forget()
        self.request_fields.forget()
        self.floods.forget(self.service.clock())
        self._requests = {}  # one that was filled never gets smaller by itself
        if narrower := self._windows.idle():
            self.engine.widen(0, narrower)
        self.engine.forget()

    def _say_last_goodbye(self) -> None:
        """Whoever is in the middle of a request's fields then, and says no more, does not hear it: the next time it ends."""
        if self._refused_more:
            self._end("finish")
        self._refused_more = True
        self.engine.refuse_more()
        self.stream.deadline = self.service.clock() + IDLE_IN_GREENLET

    def _judge(self) -> None:
        failure = self.floods.judge(self._now)
        if failure is not None:
            self.engine.end(failure)

    # ---------------------------------------------------------------- what the engine tells

    def on_request(self, stream: int, fields: Fields, ended: bool) -> None:
        """See Receiver."""
        self._last = stream
        self.floods.see("requests")
        counters = self.service.counters
        counters.h2_requests += 1
        counters.h2_live += 1
        request = H2Downstream.__new__(H2Downstream)
        request.receive(self, stream, fields, ended, self._now)
        self.client.tls_seconds = 0.0
        self._requests[stream] = request
        self._turn.add(request)

    def on_given_up(self, stream: int, fields: Fields) -> None:
        """See Receiver."""
        self._last = self._reset = self._given_up = stream
        self.service.counters.h2_requests += 1
        self.floods.see("requests")
        self.floods.see("h2_resets")
        self._turn.never_began(_RESET, fields, self._now)

    def on_data(self, stream: int, data: bytes, ended: bool) -> None:
        """See Receiver."""
        request = self._requests.get(stream)
        self._bodies += len(data)
        if not data and not ended:
            self.floods.see("h2_empty_data")
        if request is None or request.h2.loss is not None:
            if data:
                self.engine.taken(stream, len(data))
                if self._unwanted is not None:
                    self._unwanted.came(stream, self._now)
        elif request.h2.feed(data, ended):
            self._turn.wake(request.h2)

    def on_trailers(self, stream: int, fields: Fields) -> None:
        """See Receiver."""
        if (request := self._requests.get(stream)) is not None:
            request.h2.trailers = fields
        self.on_data(stream, b"", True)

    def on_reset(self, stream: int, code: int) -> None:
        """See Receiver."""
        self._reset = stream
        known = stream in self._requests or stream == self._given_up
        self.floods.see("h2_resets" if known else "h2_glitches")

    def on_closed(self, stream: int, code: int) -> None:
        """See Receiver."""
        if self._unwanted is not None and self._unwanted.any:
            self._unwanted.closed(stream)
        request = self._requests.get(stream)
        if request is not None:
            error: ConnectionLost = _RESET
            # It was the client who made us reset it (CVE-2025-8671).
            if code and stream != self._reset and request.h2.loss is None:
                self.floods.see("h2_resets")
                error = _MALFORMED
            if code or not request.h2.complete:
                self._turn.lose(request, type(error)(*error.args))
        elif stream > self._last:
            self._last = stream
            self.floods.see("h2_malformed")
            self.service.counters.h2_requests += 1
            self._turn.never_began(_MALFORMED, (), self._now)

    def on_overlong(self, stream: int) -> None:
        """See Receiver."""
        failure = self.engine.failure
        self._last = stream
        self.service.counters.h2_requests += 1
        self._turn.never_began(RequestError(431, "h2_compression" if failure is None else failure.reason), (), self._now)

    def on_pong(self) -> None:
        """See Receiver. Who says so without being asked might as well ask."""
        self.floods.see("h2_pings")
        if self._draining and not self._refused_more:
            self._refused_more = True
            self.engine.refuse_more()

    # ---------------------------------------------------------------- for requests and their streams

    def refused(self, error: RequestError) -> None:
        """See Bearer."""
        self.floods.see("h2_large_heads" if error.status == 431 else "h2_malformed")

    def never_began(self, error: Exception | None, fields: Fields, came: float) -> None:
        """See Bearer."""
        self._turn.never_began(error, fields, came)

    def served(self, request: H2Downstream) -> None:
        """See Bearer."""
        number, stream = request.h2.number, request.h2
        if self._requests.pop(number, None) is None:
            return
        self.service.counters.h2_live -= 1
        self.floods.answered()
        if narrower := self._windows.ended(number):
            self.engine.widen(0, narrower)
        if not stream.ended and stream.loss is None and not self._ending:
            if self._unwanted is None:
                self._unwanted = Unwanted(self.engine, self.service, self.flush_soon)
            self._unwanted.add(number)
        if not self._requests and not self._ending:
            self._idle_since = now = self.service.clock()
            self._idle_until = now + (self.service.idle_grace if self.service.draining else self.service.keepalive)
            self._set_deadline()

    def may_write(self, stream: int) -> bool:
        """See Carrier."""
        return room_for(stream, self.engine)

    def await_room(self, stream: H2Stream) -> None:
        """See Carrier."""
        if self._waiting_for_room is _NONE:
            self._waiting_for_room = {}
        self._waiting_for_room[stream.number] = stream

    def waits_for_input(self, stream: int, left: int, came: int) -> None:
        """See Carrier."""
        wider, whole = self._windows.waited(stream, left, came)
        if wider:
            self.engine.widen(stream, wider)
        if whole:
            self.engine.widen(0, whole)
        if wider or whole:
            self.flush_soon()

    def stalled(self) -> None:
        """See Carrier."""
        self._on_flood(self.client.peer, Failure(H2Code.CANCEL, "h2_stalled"))

    # ---------------------------------------------------------------- the writer

    def flush(self) -> None:
        """See Carrier."""
        if len(self._requests) == 1 and not len(self._turn) and not self._writing and not self._ending:
            self._write_out()  # nobody else has anything to send along
        else:
            self.flush_soon()

    def flush_soon(self) -> None:
        """See Carrier: at the loop's next turn."""
        if not self._writing and not self._planned and not self._ending:
            self._planned = True
            self.service.strands.later(self._write_soon)

    def _write_soon(self) -> None:
        self._planned = False
        self._judge()  # as `_write_out` does
        if not self._writing and not self._ending and (self._unwanted is not None or not self.engine.rests()):
            self.service.strands.start(self._write_out)

    def _write_out(self) -> None:
        """Everything that may leave. Lets nothing out."""
        self._writing = True
        engine, stream = self.engine, self.stream
        try:
            while True:
                held = engine.held_by_all() if self.floods.watches() else 0
                data = engine.output(OUTPUT)
                self._turn.was_asked(engine)
                if not data:
                    self._judge()  # what the engine has refused is known only now
                    unwanted = self._unwanted
                    if (unwanted is not None and unwanted.any and unwanted.reset_late()) or engine.has_last_words():
                        continue
                    break
                if held and held > engine.held_by_all():
                    self.floods.earn(len(data) // 1024 + 2)
                stream.write(data)
                if self._waiting_for_room:
                    self._wake_writers()
        except TimedOut:
            self._end("stalled")
        except StreamError:
            self._end("abort")
        except BaseException as error:
            self._end("abort")  # a frame may be torn
            if not isinstance(error, Exception) or isinstance(error, (ClientGone, RequestError)):
                raise  # thrown at the request in whose strand this is (`flush`): it has to hear of it
            self.service.on_fault(error)
        finally:
            self._writing = False
        if engine.failure is not None or engine.over:
            self._end("finish")

    def _wake_writers(self) -> None:
        waiting, self._waiting_for_room = in_order(self._waiting_for_room, self.engine), _NONE
        self.service.strands.later(lambda: wake_writers(waiting))

    # ---------------------------------------------------------------- ends

    def _end(self, how: str) -> None:
        """No more of it. `how`: "finish": everything was said; "abort": it is lost; "stalled": the client takes nothing."""
        if self._ending:
            return
        self._ending = how
        self._turn.end()
        failure = self.engine.failure
        if failure is not None:
            self._on_flood(self.client.peer, failure)
        elif how == "stalled" and self._requests:
            self.stalled()
        if self._unwanted is not None:
            self._unwanted.forget()
        self.service.connections.discard(self)
        self.service.counters.h2_open -= 1
        self.count.release()
        self.service.strands.later(self._shut)


def _endless(request: H2Downstream) -> bool:
    return request.open_tunnel is not None or request.streaming
