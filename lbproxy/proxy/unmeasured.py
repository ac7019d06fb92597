"""Bodies for servers of HTTP/1.0: those without a length, and those that wait to be asked for.

The former are for servers that are known to speak HTTP/1.1 (RFC 9112 6.1): others take such a body for none, and say 200. So it
is taken in before others hear of it, and gets a length. A backend of which nothing is known yet is asked once it takes longer.
"""

from __future__ import annotations

from collections.abc import Callable

from lbproxy.errors import RequestError
from lbproxy.http.message import CHUNKED, RequestHead
from lbproxy.http.taken_in import taken_in
from lbproxy.proxy.destination import Destination
from lbproxy.proxy.downstream import Downstream
from lbproxy.proxy.request_body import RequestBody
from lbproxy.proxy.retry import REPLAY_LIMIT
from lbproxy.proxy.spool import Spool
from lbproxy.proxy.upstream import Upstream
from lbproxy.proxy.upstream_pool import CURRENT, OLD, UNHEARD
from lbproxy.proxy.version import ask

UNFILED = 1024 * 1024
"""Bytes of a body that are taken in for a server of HTTP/1.0 where there is no file for them; else REPLAY_LIMIT stay in memory."""
PAUSE = 0.5
"""Seconds that a body may pause before the backend, of which nothing is known, is asked whether it may have it as it comes."""


def take_in(downstream: Downstream, head: RequestHead, destination: Destination, pause: float = 0.0) -> RequestHead:
    """Before a backend hears of the request all of its body is wanted, or what comes before a `pause` of so many seconds.

    The head that it has then: with a length, unless more is to come, or trailers, which only stand behind chunks. Raises as
    RequestBody.take_in does.
    """
    body = _received(downstream, head, destination, pause)
    return taken_in(head, body.received if body.done and not body.trailers else CHUNKED)


def _received(downstream: Downstream, head: RequestHead, destination: Destination, pause: float) -> RequestBody:
    body, service = downstream.body, downstream.service
    assert body is not None
    if head.expect_continue and not body.received:
        downstream.invite()
    memory = destination.buffer_requests or (UNFILED if service.scratch is None else REPLAY_LIMIT)
    body.take_in(Spool(service.scratch, memory, destination.buffer_file, service.on_buffer_failed), pause)
    return body


def invite_for(upstream: Upstream, downstream: Downstream) -> None:
    """The client waits to be asked for its body (RFC 9110 10.1.1), which a server of HTTP/1.0 never does: we do.

    Raises the client's StreamError.
    """
    body = downstream.body
    assert body is not None
    if not body.received and not body.invited and downstream.service.idle.speaks(upstream.backend.slot) == OLD:
        body.invited = True
        downstream.invite()


def measured(
    downstream: Downstream, head: RequestHead, destination: Destination, slot: int, dial: Callable[[], Upstream]
) -> RequestHead:
    """The head for the backend of that slot, to which `dial` connects; the same one if its body may leave as it comes.

    Raises RequestError(411) for a body that is too large to wait for. The rest as `take_in`.
    """
    service = downstream.service
    if (spoken := service.idle.speaks(slot)) == CURRENT:
        return head
    service.strands.sleep(0.0)  # so that the pump of an earlier try has stopped reading
    if spoken == UNHEARD:
        head = take_in(downstream, head, destination, PAUSE)
        if head.body != CHUNKED:
            return head
        ask(dial(), head, service, destination)
        if service.idle.speaks(slot) == CURRENT:
            return head
    body = _received(downstream, head, destination, 0.0)
    if not body.done:
        raise RequestError(411, "length_unknown", "the body has no length, and is more than may be buffered for HTTP/1.0")
    body.drop_trailers()  # HTTP/1.0 has no place for them
    return taken_in(head, body.received)
