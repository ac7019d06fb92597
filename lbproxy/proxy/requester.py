"""Whoever asked: the connection that a request came on, as its exchange sees it (the whole of it is in client.py)."""

from __future__ import annotations

from lbproxy.http.forwarding import Forwarder
from lbproxy.http.message import RequestHead
from lbproxy.proxy.destination import Destination
from lbproxy.proxy.reuse import Upstream
from lbproxy.proxy.service import Service
from lbproxy.proxy.tunnel import Tunnel
from lbproxy.streams import Strand, Stream

NO_REDIRECT = -1


class Client:
    """See above."""

    __slots__ = (
        "bound",
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

    bound: dict[int, Upstream] | None
    """By backend's slot: connections to backends that belong to this one (see proxy/bound.py); None as long as there was none."""
    service: Service
    stream: Stream
    peer: str
    forwarder: Forwarder
    redirect: int
    """The port that redirect_to_https names; 0: the one that the client would find; NO_REDIRECT: requests are served."""
    tls_seconds: float
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

    def find_destination(self, head: RequestHead) -> RequestHead:
        """Look for the `destination` of a request; the head, which its route may want otherwise. Raises RequestError(400)."""
        service, forwarder = self.service, self.forwarder
        router = service.router
        known = True
        if forwarder.trusted and (unread := forwarder.unread(head)):
            service.note_unread(self.peer, unread)
            known = False  # the same again is to be told again
        if router.has_rules:
            self.destination, head = router.follow(head)
        else:
            self.destination = router.match(head)
            self.routed_head = head if known else None
        return head

    def about(self, head: RequestHead) -> str:
        """Who asked for what, as the access log tells it."""
        raise NotImplementedError
