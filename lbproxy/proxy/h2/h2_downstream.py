"""A request that came over HTTP/2, as its exchange sees it: its body, and how answers are laid out for it.

Each is served in a greenlet of its own, from its fields to the last frame of its answer. What all requests of a connection have in
common is asked of the connection (connection.py).
"""

from __future__ import annotations

from collections.abc import Callable

from lbproxy.errors import ClientGone, ClientMalformed, ConnectionLost, RequestError, StreamError, StreamMalformed
from lbproxy.http.forwarding import response
from lbproxy.http.grpc import kind_among
from lbproxy.http.h2.request_fields import RequestFields
from lbproxy.http.h2.response_fields import ResponseFields, regular, taken_apart
from lbproxy.http.h2.vocabulary import Field, Fields, H2Code
from lbproxy.http.h2.windows import LEAST
from lbproxy.http.heads import KnownHead
from lbproxy.http.message import CHUNKED, NO_BODY, RequestHead, ResponseHead
from lbproxy.http.taken_in import CONTINUE
from lbproxy.http.trailers import NONE, Trailers, size
from lbproxy.proxy import bound
from lbproxy.proxy.answer_state import AnswerEvent, AnswerState
from lbproxy.proxy.downstream import Downstream
from lbproxy.proxy.exchange import Exchange
from lbproxy.proxy.grpc_call import LOGGED, own_answer
from lbproxy.proxy.h2.stream import Carrier, H2Stream, share_of
from lbproxy.proxy.replies import OwnAnswer, refusal
from lbproxy.proxy.request_body import BodySource, Interrupt, RequestBody
from lbproxy.proxy.rewriter import own_lines
from lbproxy.proxy.tunnel import Tunnel
from lbproxy.streams import BODY_READ, SWIFT_READ

DRAINED = RequestError(503, "drain_timeout")
"""What a drain did not wait for."""
_BEGUN = int(AnswerState.BEGUN)
_INTERIM, _WHOLE, _BEGIN, _PIECE, _END, _BREAK = map(int, AnswerEvent)  # Python 3.11 looks an Enum's members up through a hook


class H2Peer(Downstream):
    """A connection's client, as all of its requests share it: who it is, and what is remembered from one to the next."""

    __slots__ = ()

    def protocol(self, head: RequestHead) -> str:
        """See Downstream."""
        return "HTTP/2"


class Bearer(Carrier):
    """The connection, as its requests need it."""

    __slots__ = ("client", "key", "promised", "request_fields", "response_fields")

    client: H2Peer
    key: Callable[[], bytes]
    """Makes a Sec-WebSocket-Key, another one each time; b"" where tunnels are not offered."""
    promised: int
    """Bytes that its answers may bring next, of those that were told so."""
    request_fields: RequestFields
    response_fields: ResponseFields

    def refused(self, error: RequestError) -> None:
        """A request was not even a request."""
        raise NotImplementedError

    def never_began(self, error: Exception | None, fields: Fields, came: float) -> None:
        """One was over before it began; why (None: the connection has ended), what it was and when it came."""
        raise NotImplementedError

    def served(self, request: H2Downstream) -> None:
        """It is over, whatever became of it."""
        raise NotImplementedError


class H2Body(BodySource):
    """A request's body: frames have no form but their length, which the engine has compared with what the head says."""

    __slots__ = ("_h2",)

    def __init__(self, stream: H2Stream, head: RequestHead) -> None:
        self.stream = self._h2 = stream
        self.left = max(0, head.body)
        self.rest = b""
        self.trailers = NONE
        self.done = False

    def take(self, raw: bytes) -> bytes:
        """See BodySource."""
        self.left = max(0, self.left - len(raw))
        if self._h2.exhausted():  # not before, even if the length has come: trailers may follow
            self.done = True
            self.trailers = self._h2.trailers
        return raw

    def ended(self) -> None:
        """See BodySource: the end of the stream is the body's."""


class H2Downstream(Downstream):
    """Made by the connection; `run` once."""

    __slots__ = (
        "_bearer", "_came", "_engine", "_fields", "_head", "_over", "_promised", "_response_fields", "_stalls", "_wanted", "h2",
    )  # fmt: skip

    def receive(self, bearer: Bearer, number: int, fields: Fields, ended: bool, came: float) -> None:
        """`came`: when it did. Made by __new__, as Exchange is, with this instead of a constructor (2,400 instructions a
        request)."""
        client = bearer.client
        self.h2 = h2 = H2Stream.__new__(H2Stream)
        h2.open(bearer, number, ended)
        self.serve_for(client.service, h2, client.peer, client.forwarder, client.redirect, client.tls_seconds)
        self._bearer = bearer
        self._engine = bearer.engine
        self._response_fields = bearer.response_fields
        self._fields = fields
        self._came = came
        self._head: RequestHead | None = None
        self._over = False
        self._stalls = self._promised = self._wanted = 0
        self.routed_head = client.routed_head
        self.destination = client.destination

    def __repr__(self) -> str:
        return f"<H2Downstream {self.h2!r} {'running' if self.strand is not None else 'waiting'}>"

    def about(self, head: RequestHead) -> str:
        """See Downstream."""
        return self._bearer.client.about(head)

    # ---------------------------------------------------------------- from the event loop

    def lose(self, error: StreamError) -> None:
        """The client has given it up."""
        if self.h2.loss is not None:
            return
        self.h2.lose(error)
        if self.strand is not None and not self._over and self.open_tunnel is None:
            self.strand.throw((ClientMalformed if isinstance(error, StreamMalformed) else ClientGone)(str(error)))

    def pass_over(self) -> None:
        """It never begins."""
        self._never_begins(self.h2.loss)
        self._bearer.served(self)

    def _never_begins(self, error: Exception | None) -> None:
        fields, self._fields = self._fields, ()
        if fields:
            self._bearer.never_began(error, fields, self._came)

    def cut(self) -> None:
        """The drain took too long."""
        if self.open_tunnel is not None:
            self.open_tunnel.cut("tunnel_drained")
        elif self.strand is None:
            self.h2.give_up(H2Code.REFUSED_STREAM)  # it waits to begin: its client may ask anybody else (RFC 9113 8.7)
            self._never_begins(DRAINED)
        elif not self._over:
            self.strand.throw(RequestError(DRAINED.status, DRAINED.reason, "the worker had to end"))

    # ---------------------------------------------------------------- in the greenlet

    def run(self) -> None:
        """Serve it. Lets nothing out."""
        self.strand = self.service.strands.current()
        try:
            if self.h2.loss is None:
                self._serve()
        except (StreamError, ClientGone, RequestError):
            self.h2.abort()
        except Exception as error:
            self.service.on_fault(error)
            self.h2.abort()
        finally:
            self.strand = None
            self._keep_promise()
            self.h2.drop()
            self.h2.stop_looking()
            if self.bound is not None:
                bound.close(self)
            self._bearer.served(self)

    def _serve(self) -> None:
        bearer, h2 = self._bearer, self.h2
        fields, self._fields = self._fields, ()
        try:
            head = bearer.request_fields.read(fields, h2.exhausted() and not h2.trailers, bearer.key)
        except RequestError as error:
            self._refuse(error, fields)
            return
        if head.binds:
            h2.give_up(H2Code.HTTP_1_1_REQUIRED)  # see _check_login
            return
        self._head = head
        size = len(head.method) + len(head.target) + len(head.block) + 15  # as HTTP/1 would have it
        exchange = Exchange.__new__(Exchange)
        exchange.begin(self, head, size, self._came, self._came)
        if head.body == NO_BODY and head.method == b"POST":
            exchange.look_for_call()  # one that has nothing to say; else it is found when its body is opened
        try:
            exchange.run()
        finally:
            self._over = True
            self.body = None
            client = bearer.client
            client.routed_head, client.destination = self.routed_head, self.destination
        if self.broken:
            h2.abort()
        else:
            h2.finish()
            h2.await_end()

    def _refuse(self, error: RequestError, fields: Fields) -> None:
        """RFC 9113 8.1.1: what is malformed is answered, and its stream given up behind that."""
        service = self.service
        self._bearer.refused(error)
        self._over = True
        extra = service.date + own_lines(None, service.rewriter, self.forwarder, None)
        answer, call = refusal(error.status, error.reason), ""
        if kind := kind_among(fields):
            answer, code = own_answer(answer, error.reason, kind)
            service.counters.grpc[code] += 1
            call = LOGGED[code]
        self._own(answer, extra, head_only=(b":method", b"HEAD") in fields)
        ended = service.clock()
        service.counters.count(answer.status, 0, self.bytes_out, ended - self._came)
        if service.access is not None:
            about = service.access.describe(self.peer, b"-", b"", b"", "HTTP/2") + call
            service.access.record(
                about, answer.status, error.reason, 0, self.bytes_out, "", 0,
                self.tls_seconds, self._came, ended, ended, ended, ended,
            )  # fmt: skip
        self.h2.finish()
        self.h2.await_end()

    # ---------------------------------------------------------------- the request's body

    def open_body(self, interrupt: Interrupt) -> None:
        """See Downstream."""
        head, h2 = self._head, self.h2
        assert head is not None
        h2.left = head.body if head.body > 0 else -1
        self.body = RequestBody(interrupt, self.service, H2Body(h2, head), head.body == CHUNKED, h2.early())

    def invite(self) -> None:
        """See Downstream."""
        self._interim(CONTINUE)

    # ---------------------------------------------------------------- a backend's answer

    def interim(self, known: KnownHead) -> None:
        """See Sink."""
        self.answering(_INTERIM)
        self._interim(known.out)

    def _interim(self, out: bytes) -> None:
        h2, bearer = self.h2, self._bearer
        h2.check(self._engine.interim(h2.number, self._response_fields.of(out)))
        self.bytes_out += len(out)
        bearer.flush()

    def whole(self, answer: ResponseHead, out: bytes, body: bytes, lines: bytes) -> None:
        """See Sink."""
        self.answering(_WHOLE)
        self._begin(answer, out, lines, not body)
        if body:
            self.bytes_out += len(body)
            self.h2.send(body, True)
        else:
            self._bearer.flush()

    def begin(self, answer: ResponseHead, out: bytes, lines: bytes, first: list[bytes]) -> None:
        """See Sink."""
        self._stalls = self.h2.stalls
        self.answering(_BEGIN)
        self._begin(answer, out, lines, False)
        data = first.pop()
        # A stream of events needs no room for a download.
        self._wanted = min(SWIFT_READ, max(LEAST, answer.body if answer.body > 0 else 4 * len(data)))
        self.bytes_out += len(data)
        self.h2.hold(data)
        self._bearer.flush_soon()  # with what comes behind it, if that is here: in one write

    def _begin(self, answer: ResponseHead, out: bytes, lines: bytes, ended: bool) -> None:
        self._check_login(answer)
        fields = self._response_fields.of(out)
        self._respond((*fields, *regular(lines.split(b"\r\n")[1:])) if lines else fields, ended)
        self.bytes_out += len(out) + len(lines)

    def _check_login(self, answer: ResponseHead) -> None:
        """RFC 4559 logins are of a connection, which streams share: whoever may use HTTP/1.1 tries it there (RFC 9113 7)."""
        if answer.binds:
            self.h2.give_up(H2Code.HTTP_1_1_REQUIRED)
            raise ConnectionLost("logins of a connection need HTTP/1.1")

    def _respond(self, fields: Fields, ended: bool) -> None:
        h2 = self.h2
        h2.check(self._engine.respond(h2.number, fields, ended))
        if ended:
            h2.answered()

    def room(self) -> int:
        """See Sink."""
        h2, bearer = self.h2, self._bearer
        self._keep_promise()
        h2.await_room()
        wanted = self._wanted if h2.stalls == self._stalls else min(self._wanted, BODY_READ)
        size = share_of(h2.number, self._engine, wanted, bearer.promised)
        self._promised = size - LEAST
        bearer.promised += self._promised
        return size

    def _keep_promise(self) -> None:
        """What was to be read is here, or will not be."""
        self._bearer.promised -= self._promised
        self._promised = 0

    def piece(self, data: bytes) -> None:
        """See Sink."""
        self.answering(_PIECE)
        self._keep_promise()
        self._wanted = min(SWIFT_READ, max(LEAST, 4 * len(data)))
        if data:
            self.bytes_out += len(data)
            self.h2.send(data, False)
        else:
            self._bearer.flush()

    def end(self, data: bytes, trailers: Trailers) -> None:
        """See Sink."""
        self.answering(_END)
        self.bytes_out += len(data)
        if trailers:
            self.bytes_out += size(trailers)
            self.h2.conclude(data, trailers)
        else:
            self.h2.send(data, True)

    def upgrade(self, answer: ResponseHead, lines: bytes, via: bytes, tunnel: Tunnel, early: bytes) -> None:
        """See Downstream. RFC 8441 5.1: to whoever has asked by CONNECT the tunnel is open with 200."""
        self.answering(_BEGIN)
        fields: list[Field] = [(b":status", b"200")]
        fields += (field for field in taken_apart(response(answer, lines, via))[1:] if field[0] != b"sec-websocket-accept")
        self._respond(tuple(fields), False)
        self._bearer.flush()
        self.carry(tunnel, b"", b"", early)

    def opens(self, status: int) -> bool:
        """See Downstream. RFC 8441 5: whoever asks by CONNECT looks for no Sec-WebSocket-Accept, any 2xx will do."""
        head = self._head
        return 200 <= status < 300 and head is not None and head.upgrade != b""

    # ---------------------------------------------------------------- answers of our own, and the end

    def own(self, answer: OwnAnswer, extra: bytes) -> None:
        """See Downstream."""
        self._own(answer, extra, head_only=self._head is not None and self._head.method == b"HEAD")

    def _own(self, answer: OwnAnswer, extra: bytes, *, head_only: bool) -> None:
        self.answering(_WHOLE)
        text = b"" if head_only else answer.text
        status = (b":status", b"%d" % answer.status)
        self._respond((status, *regular((answer.lines + extra).split(b"\r\n")[1:])), not text)
        self.bytes_out += len(answer.lines) + len(extra) + len(text)
        if text:
            self.h2.send(text, True)
        else:
            self._bearer.flush()

    def finished(self) -> None:
        """See Downstream."""

    def say_nothing(self) -> None:
        """See Downstream."""
        self.broken = True
        self.h2.give_up(H2Code.CANCEL)  # not one that says that nothing was done: clients would come again

    def break_off_with(self, trailers: Trailers) -> bool:
        """See Downstream. Frames tell where a body ends, whatever it says."""
        if self.answer_state != _BEGUN:
            return False
        self.end(b"", trailers)
        return True

    def break_off(self) -> None:
        """See Downstream."""
        self.answering(_BREAK)
        self.broken = True
