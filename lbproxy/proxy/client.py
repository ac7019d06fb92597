"""A client's connection: heads off its stream, one exchange after another, idle in between.

Theory of operation. A connection is served by a greenlet while there is something to do, and for IDLE_IN_GREENLET seconds after
it: a busy client's next request then finds its greenlet waiting. After that the greenlet ends, and only this object stays (an
idle connection costs no stack); the next input starts a new one.

While an exchange waits for its backend nobody reads the client. What comes then is read ahead (a pipelined request, bounded), and
if it is the end, ClientGone is raised inside the exchange: the backend's work is cancelled rather than finished for nobody.
"""

from __future__ import annotations

from typing import Protocol

from lbproxy.errors import ClientGone, RequestError, StreamError, TimedOut
from lbproxy.http.forwarding import Forwarder
from lbproxy.http.grammar import END, has_bare_lf
from lbproxy.http.h1.request import LastFields, parse_request
from lbproxy.http.message import RequestHead
from lbproxy.observe.access import Timing
from lbproxy.proxy import bound, connection_state
from lbproxy.proxy.connection_state import ConnectionEvent, ConnectionState
from lbproxy.proxy.exchange import Exchange
from lbproxy.proxy.h1_downstream import H1Downstream
from lbproxy.proxy.moves import IMPOSSIBLE, ROW, impossible
from lbproxy.proxy.replies import reply
from lbproxy.proxy.rewriter import own_lines
from lbproxy.proxy.service import Service
from lbproxy.streams import HEAD_READ, NEVER, Stream

IDLE_IN_GREENLET = 1.0
MAX_EMPTY_LINES = 64
"""In front of one request. A few are somebody's way to end a body; who sends nothing else is no client."""


class ConnectionCount(Protocol):
    """What counts a connection as long as it is open."""

    def release(self) -> None:
        """One less."""


_AFTER, _ROW, _IMPOSSIBLE = connection_state.AFTER, ROW, IMPOSSIBLE
_IDLE, _HEAD, _EXCHANGE, _CLOSED = map(int, ConnectionState)
_BEGUN, _REQUEST, _ANSWERED, _OVER = map(int, ConnectionEvent)


class ClientConnection(H1Downstream):
    """One connection of a client: reads heads off its stream, which it owns, and serves one request after another."""

    __slots__ = (
        "_empty_lines",
        "_fields",
        "_idle_since",
        "_idle_until",
        "_rest",
        "count",
        "state",
    )

    def __init__(
        self,
        service: Service,
        stream: Stream,
        peer: str,
        forwarder: Forwarder,
        redirect: int,
        tls_seconds: float,
        count: ConnectionCount,
    ) -> None:
        """`redirect`: see Downstream; `tls_seconds`: what the handshake took; `count`: what counts it, and is
        this object's to release from here on.
        """
        super().__init__(service, stream, peer, forwarder, redirect, tls_seconds)
        self.count = count
        self.state: int = _IDLE
        self._rest = self.rest = b""
        self.keep = self.unread = False
        self._empty_lines = 0
        self._fields = LastFields()
        self._idle_since = service.clock()
        self._idle_until = self._idle_since + service.config.timeouts.request_head  # a new client has something to say
        service.connections.add(self)
        stream.owner = self

    def serve_after(self, data: bytes) -> None:
        """As `serve`; `data` was read already."""
        self._rest = data
        self.serve()

    def await_first(self) -> None:
        """A connection with no greenlet yet: the first input starts one, silence ends it."""
        self.stream.deadline = self._idle_until

    def protocol(self, head: RequestHead) -> str:
        """See Downstream."""
        return "HTTP/1.1" if head.minor else "HTTP/1.0"

    def __repr__(self) -> str:
        return f"<ClientConnection of {self.peer}: {ConnectionState(self.state).name}{' on' if self.strand is not None else ''}>"

    def _move(self, event: int) -> None:
        """What it is doing changes, as connection_state.MOVES has it."""
        after = _AFTER[self.state * _ROW + event]
        if after == _IMPOSSIBLE:
            raise impossible(self, ConnectionState(self.state), ConnectionEvent(event))
        self.state = after

    # ---------------------------------------------------------------- from the event loop

    def on_readable(self) -> None:
        """See StreamOwner."""
        if self.strand is None:
            if self.state == _IDLE:
                self.service.strands.start(self.serve)
        elif self.state == _EXCHANGE:
            if self.stream.read_early():
                whole = self.body is None or self.body.done  # else it is more of the body, which nobody can take at the moment
                self.pipelined = self.pipelined or (whole and self.stream.has_early())
            elif self.destination is None or not self.destination.answers or not self.stream.half_closed:
                self.strand.throw(ClientGone("client closed"))

    def on_expired(self) -> None:
        """See StreamOwner."""
        if self.strand is None and self.state == _IDLE:
            self._finish()

    def drain(self, now: float, grace: float) -> None:
        """The worker drains: an idle connection is kept `grace` seconds more, for a request that is on the wire already."""
        if self.state == _IDLE:
            self._idle_until = min(self._idle_until, now + grace)
            self.stream.deadline = min(self.stream.deadline, self._idle_until)

    @property
    def tunnel(self) -> bool:
        """See Connection."""
        return self.open_tunnel is not None or self.streaming

    def idle_since(self) -> float:
        """See shedding.Sheddable. A connection that has a greenlet, though idle, is busy enough."""
        return self._idle_since if self.strand is None and self.state == _IDLE else NEVER

    def shed(self) -> None:
        """See shedding.Sheddable."""
        self._finish()

    def cut(self) -> None:
        """The drain took too long: whoever has no response yet gets 503, whoever has a part of one sees it break off."""
        if self.open_tunnel is not None:
            self.open_tunnel.cut("tunnel_drained")
        elif self.strand is not None and self.state != _IDLE:
            self.strand.throw(RequestError(503, "drain_timeout", "the worker had to end"))

    # ---------------------------------------------------------------- in the greenlet

    def serve(self) -> None:
        """Serve requests until the connection is idle for a while or ends. Runs in a greenlet of its own; lets nothing out."""
        self.strand = self.service.strands.current()
        try:
            while self._next_request():
                pass
        except (StreamError, ClientGone, RequestError):
            self._drop()
        except Exception as error:
            self.service.on_fault(error)
            self.stream.abort()
            self._forget()
        finally:
            self.strand = None

    def _next_request(self) -> bool:
        """True: go on. False: the connection is idle (and owned by the event loop) or over."""
        service = self.service
        head = self._rest
        if not head:
            self.pipelined = False
            head = self._first_bytes()
            if not head:
                return False
        begun = parsed = service.clock()
        rest = b""
        request = self._fields.request if head == self._fields.head else None
        if request is None:  # not the very bytes of last time, which passed every limit then
            end = head.find(END)
            if end < 0 or head.startswith(b"\r\n"):
                try:
                    head = self._behind_empty_lines(head)
                    if not head or head == b"\r":
                        return self._still_idle(head)
                    self._move(_BEGUN)
                    head = self._rest_of_head(head, begun)
                except RequestError as error:
                    return self._refuse(error, begun)
                end = head.find(END)
                parsed = service.clock()
            rest = head[end + 4 :]
            head = head[: end + 4]
        self.stream.deadline = NEVER
        self._move(_REQUEST)
        if request is None:
            limits = service.config.limits
            try:
                if len(head) > limits.head:
                    raise RequestError(431, "head_too_large", f"a head of {len(head)} bytes, at most {limits.head}")
                request = parse_request(head, limits.request_line, limits.fields, self._fields, service.router.backslash)
            except RequestError as error:
                return self._refuse(error, begun)
        exchange = Exchange.__new__(Exchange)
        self.receive(request, rest)
        rest = b""  # from here on it is for others to keep or to forget
        exchange.begin(self, request, len(head), begun, parsed)
        exchange.run()
        self.body = None
        self.tls_seconds = 0.0
        if not self.keep:
            self._close()
            return False
        self._rest = self.rest
        self.rest = b""
        self._move(_ANSWERED)
        self._idle_since = exchange.ended
        # Draining began after the response's head, which promised to go on: the next request may be on its way.
        patience = service.idle_grace if service.draining else service.keepalive
        self._idle_until = exchange.ended + patience
        if self._rest or self.pipelined:
            self.stream.give_way()  # its next request is here already: who comes with one at a time goes first
        return True

    def _first_bytes(self) -> bytes:
        """Wait for a request to begin; b"" when the connection is over or left to the event loop."""
        stream = self.stream
        soon = self._idle_since + IDLE_IN_GREENLET
        stream.deadline = soon if soon < self._idle_until else self._idle_until
        try:
            data = stream.read(HEAD_READ)
        except TimedOut:
            if self._idle_until > self.service.clock():
                stream.deadline = self._idle_until
                self.forget()
                self._fields = LastFields()
            else:
                self._finish()
            return b""
        if not data:
            self._drop()
        return data

    def _behind_empty_lines(self, head: bytes) -> bytes:
        """RFC 9112 2.2: empty lines in front of a request are skipped; some clients send one behind the body of a POST.

        Raises RequestError 400 when they do not end.
        """
        behind = head.lstrip(b"\r\n")
        lines, half = divmod(len(head) - len(behind), 2)
        front = b"\r\n" * lines
        if not head.startswith(front + b"\r" if half else front):
            return head  # what is wrong with it is found out where lines are read
        self._empty_lines += lines
        if self._empty_lines > MAX_EMPTY_LINES:
            raise RequestError(400, "empty_lines", f"more than {MAX_EMPTY_LINES} empty lines in front of a request")
        if behind:
            self._empty_lines = 0
        return head[2 * lines :]

    def _still_idle(self, begun: bytes) -> bool:
        """Nothing has come that a request begins with: nobody is late, and the connection is as idle as it was. `begun`: the half
        of a line's end that is here already. The rest as _next_request."""
        self._rest = begun
        more = self._first_bytes()
        if not more:
            return False
        self._rest = begun + more
        return True

    def _rest_of_head(self, head: bytes, begun: float) -> bytes:
        """Read on until the head is whole. Raises RequestError 408 and 431, and 400 for what can never become one."""
        self.stream.deadline = begun + self.service.config.timeouts.request_head
        self.stream.patient = True
        try:
            return self._read_head(head)
        finally:
            self.stream.patient = False

    def _read_head(self, head: bytes) -> bytes:
        limits = self.service.config.limits
        searched = 0
        while True:
            if head.find(END, max(0, searched - 3)) >= 0:
                return head
            if has_bare_lf(head, searched):
                raise RequestError(400, "bare_lf", "a line ends with LF alone")
            if len(head) >= limits.head:
                raise RequestError(431, "head_too_large", f"a head of more than {limits.head} bytes")
            if len(head) >= limits.request_line and b"\r\n" not in head:
                raise RequestError(414, "request_line_too_long", f"a request line of more than {limits.request_line} bytes")
            searched = len(head)
            try:
                data = self.stream.read(HEAD_READ)
            except TimedOut:
                raise RequestError(408, "head_timeout", "the head did not come in time") from None
            if not data:
                raise ClientGone("closed in the middle of a head")
            head += data

    def _refuse(self, error: RequestError, begun: float) -> bool:
        """Answer a message that cannot be trusted, and close: where the next one would begin is unknown."""
        service = self.service
        extra = service.date + own_lines(None, service.rewriter, self.forwarder, None)
        answer = reply(error.status, error.reason, close=True, extra=extra)
        ended = service.clock()
        service.counters.count(error.status, 0, len(answer), ended - begun)
        if service.access is not None:
            timing = Timing(self.tls_seconds, begun, ended, ended, ended, ended)
            service.access.add(self.peer, b"-", b"", b"", error.status, error.reason, 0, len(answer), "", 0, timing)
        self.stream.write_last(answer)
        # A body may stand behind what was refused, which is not known. But who was late has had his time.
        self._finish(busy=error.status != 408)
        return False

    # ---------------------------------------------------------------- ends

    def _close(self) -> None:
        """Behind an exchange that is the last."""
        if self.broken:
            self.stream.abort()
            self._forget()
        else:
            self._finish(busy=self.unread)

    def _finish(self, busy: bool = False) -> None:
        self.stream.finish(busy)
        self._forget()

    def _drop(self) -> None:
        """The client is gone, or takes nothing any more. Should it still look, it must not take a cut response for a whole one."""
        if self.state == _EXCHANGE:
            self.stream.abort()
        else:
            self.stream.close()
        self._forget()

    def _forget(self) -> None:
        self._move(_OVER)
        if self.bound is not None:
            bound.close(self)
        self.service.connections.discard(self)
        self.count.release()
