"""The version of HTTP that a backend speaks, asked when nothing of it was heard yet and a body without a length is on its way to
it.

OPTIONS with an asterisk changes nothing and is a "ping" by its definition (RFC 9110 9.3.7). Whatever the answer is, it begins with
the version. It is asked on a connection of its own, which closes: servers differ about what follows their answer.
"""

from __future__ import annotations

from lbproxy.errors import StreamError, UpstreamError
from lbproxy.http.message import RequestHead
from lbproxy.proxy.destination import Destination
from lbproxy.proxy.h1_upstream import H1Upstream
from lbproxy.proxy.response_head import next_head
from lbproxy.proxy.service import Service
from lbproxy.proxy.upstream import Upstream

PATIENCE = 5.0
"""Seconds for the answer."""


def ask(upstream: Upstream, head: RequestHead, service: Service, destination: Destination) -> None:
    """`upstream`: fresh; `head`: of the request in question. What is heard is remembered; no answer says nothing."""
    stream = upstream.stream
    if not isinstance(upstream, H1Upstream):  # it was heard already, or there would be no stream
        stream.abort()
        return
    stream.write_stall = destination.write_stall
    stream.deadline = service.clock() + min(PATIENCE, destination.response_head)
    host = head.authority or upstream.backend.host.encode("ascii", "replace")
    try:
        stream.write(b"OPTIONS * HTTP/1.1\r\nHost: %b\r\nConnection: close\r\n\r\n" % host)
        known, _ = next_head(stream, b"", service.response_heads, b"HEAD")
        service.idle.heard(upstream.backend.slot, known.head.minor)
    except (StreamError, UpstreamError):
        pass
    finally:
        stream.abort()
