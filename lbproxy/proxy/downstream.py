"""Whoever asked, as an exchange sees it: what is known of the client, the body of its request, and where the answer goes.

What protocol is spoken there is nobody's business but its own (h1_downstream.py). One exchange at a time.
"""

from __future__ import annotations

from lbproxy.errors import ClientMalformed, ClientStalled, RequestError, StreamMalformed, TimedOut
from lbproxy.http.forwarding import Forwarder
from lbproxy.http.message import RequestHead, ResponseHead
from lbproxy.http.trailers import Trailers
from lbproxy.proxy import answer_state
from lbproxy.proxy.answer_state import AnswerEvent, AnswerState
from lbproxy.proxy.destination import Destination
from lbproxy.proxy.moves import IMPOSSIBLE, ROW, impossible
from lbproxy.proxy.replies import OwnAnswer
from lbproxy.proxy.request_body import Interrupt, RequestBody
from lbproxy.proxy.service import Service
from lbproxy.proxy.sink import Sink
from lbproxy.proxy.tunnel import Tunnel
from lbproxy.proxy.upstream import Upstream
from lbproxy.streams import Strand, Stream

NO_REDIRECT = -1
CHALLENGES = -2
"""Of a listener that does not redirect, and may be asked by authorities."""
_AFTER, _ROW, _IMPOSSIBLE, _AWAITED = answer_state.AFTER, ROW, IMPOSSIBLE, int(AnswerState.AWAITED)
_END, _BREAK = int(AnswerEvent.END), int(AnswerEvent.BREAK)


def outcome_of(error: BaseException | None) -> tuple[int, str]:
    """Status and reason, for the access log, of a request that nobody waits for any more; None: its connection has ended."""
    if isinstance(error, RequestError):
        return error.status, error.reason
    if isinstance(error, (StreamMalformed, ClientMalformed)):
        return 400, "h2_malformed"
    return 499, "client_timeout" if isinstance(error, (TimedOut, ClientStalled)) else "client_closed"


class Downstream(Sink):
    """What a request's exchange knows of the client that sent it, and how it answers."""

    __slots__ = (
        "_about",
        "_about_head",
        "answer_state",
        "body",
        "bound",
        "broken",
        "bytes_out",
        "destination",
        "forwarder",
        "open_tunnel",
        "peer",
        "pipelined",
        "redirect",
        "routed_head",
        "service",
        "strand",
        "stream",
        "streaming",
        "tls_seconds",
    )

    answer_state: int
    """What the client has got of the answer; see answer_state.py."""
    body: RequestBody | None
    """Of the present request."""
    bytes_out: int
    """What the client got of the present answer, interim ones included."""
    bound: dict[int, Upstream] | None
    """By backend's slot: connections to backends that belong to this one (see proxy/bound.py); None as long as there was none."""
    service: Service
    stream: Stream
    peer: str
    forwarder: Forwarder
    redirect: int
    """The port that redirect_to_https names; 0: the one that the client would find; NO_REDIRECT: requests are served;
    CHALLENGES: likewise, but for those of ACME."""
    tls_seconds: float
    broken: bool
    """It must be cut, so that the client sees that something is missing."""
    strand: Strand | None
    open_tunnel: Tunnel | None
    routed_head: RequestHead | None
    """The last head that was routed, if that said all; a client that asks for the same again is not asked where to."""
    destination: Destination | None
    """What was found for the last one; None: no route matches."""
    streaming: bool
    """It is being given a response without an end of its own (http/endless.py): there is no use in waiting for that."""
    pipelined: bool
    """More came while a request was served, and was not read yet: as a rule the next one."""

    def __init__(
        self, service: Service, stream: Stream, peer: str, forwarder: Forwarder, redirect: int, tls_seconds: float
    ) -> None:
        """`peer`: the client's address; `redirect`: see there; `tls_seconds`: what the handshake took."""
        self.serve_for(service, stream, peer, forwarder, redirect, tls_seconds)

    def serve_for(
        self, service: Service, stream: Stream, peer: str, forwarder: Forwarder, redirect: int, tls_seconds: float
    ) -> None:
        """The constructor, for whoever makes one per request."""
        self.service = service
        self.stream = stream
        self.peer = peer
        self.forwarder = forwarder
        self.redirect = redirect
        self.tls_seconds = tls_seconds
        self.answer_state = _AWAITED
        self.body = self.bound = self.destination = self.open_tunnel = self.routed_head = self.strand = None
        self.bytes_out = 0
        self.broken = self.pipelined = self.streaming = False
        self._about_head: RequestHead | None = None
        self._about = ""

    @property
    def begun(self) -> bool:
        """The client has got something of the answer."""
        return self.answer_state != _AWAITED

    def answering(self, event: int) -> None:
        """One of the calls below, as answer_state.MOVES allows them."""
        after = _AFTER[self.answer_state * _ROW + event]
        if after == _IMPOSSIBLE:
            raise impossible(self, AnswerState(self.answer_state), AnswerEvent(event))
        self.answer_state = after

    def open_body(self, interrupt: Interrupt) -> None:
        """The request has a `body`: begin to receive it. Raises RequestError 400."""
        raise NotImplementedError

    def invite(self) -> None:
        """The client waits to be asked for the body: it is."""
        raise NotImplementedError

    def own(self, answer: OwnAnswer, extra: bytes) -> None:
        """An answer of ours instead of a backend's; `extra`: more fields, each with its CRLF in front. The rest as Sink.whole."""
        raise NotImplementedError

    def upgrade(self, answer: ResponseHead, lines: bytes, via: bytes, tunnel: Tunnel, early: bytes) -> None:
        """Pass a 101 on, and then bytes both ways; `early`: what the backend has said in the new protocol already."""
        raise NotImplementedError

    def opens(self, status: int) -> bool:
        """To the client an answer with `status` begins the protocol that it asks for, whoever has or has not switched."""
        return False

    def finished(self) -> None:
        """The client has its answer, and the backend its request, as far as it wanted that."""
        raise NotImplementedError

    def break_off(self) -> None:
        """The answer cannot be brought to its end: the client must see that."""
        raise NotImplementedError

    def lacks_nothing(self) -> bool:
        """The client knows for sure that it has all of an answer whose end will not come."""
        return False

    def break_off_with(self, trailers: Trailers) -> bool:
        """As `break_off`, but by trailers that tell what is missing. False: here they could not, and nothing was done."""
        return False

    def say_nothing(self) -> None:
        """There is no answer, and will be none: the connection ends here. (One that others use as well loses this request.)"""
        raise NotImplementedError

    def find_destination(self, head: RequestHead) -> RequestHead:
        """Look for the `destination` of a request; the head, which its route may want otherwise. Raises RequestError(400, 421)."""
        service, forwarder = self.service, self.forwarder
        router, before = service.router, self.destination
        known = True
        if forwarder.agreement is not None and not forwarder.agreement.holds_for(head.host):
            self.destination = self.routed_head = None
            raise RequestError(421, "misdirected_request", "another host than the one that the connection was opened for")
        if forwarder.trusted and (unread := forwarder.unread(head)):
            service.note_unread(self.peer, unread)
            known = False  # the same again is to be told again
        if router.has_rules:
            self.destination, head = router.match_as_forwarded(head)
        else:
            self.destination = router.match(head)
            self.routed_head = head if known else None
        chosen = self.destination
        if chosen is not None and chosen.split is not None:
            self.destination = chosen.split.choose(head, forwarder, before if self.bound is not None else None)
            self.routed_head = None  # the next request may go elsewhere
        return head

    def carry(self, tunnel: Tunnel, head: bytes, early_up: bytes, early_down: bytes) -> None:
        """What `upgrade` ends in: bytes both ways for as long as the tunnel lasts; see Tunnel.run."""
        self.open_tunnel = tunnel
        try:
            tunnel.run(head, early_up, early_down)
        finally:
            self.open_tunnel = None
            self.answering(_BREAK if tunnel.broken else _END)
            self.broken = tunnel.broken
            self.bytes_out += tunnel.bytes_down

    def about(self, head: RequestHead) -> str:
        """Who asked for what, as the access log tells it (which must be on); made anew only when the request is another one."""
        if head is not self._about_head:
            access = self.service.access
            assert access is not None
            self._about_head = head
            client, protocol = self.forwarder.client(head), self.protocol(head)
            self._about = access.describe(client, head.method, head.authority, head.target, protocol)
        return self._about

    def protocol(self, head: RequestHead) -> str:
        """What the request came in, for the access log."""
        raise NotImplementedError

    def forget(self) -> None:
        """It is idle: thousands of them hold as little as can be of what was said."""
        self._about_head = self.routed_head = None
        self._about = ""
        self.forwarder.forget()
