"""The head of a request whose body was received before the request is sent on: its length is known, and nobody has to be asked.

Servers that speak HTTP/1.0 (wsgiref, many devices) take a chunked body for none; so does CGI. Pure.
"""

from __future__ import annotations

from lbproxy.http.forwarding import without
from lbproxy.http.message import CHUNKED, RequestHead

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


def taken_in(head: RequestHead, length: int) -> RequestHead:
    """`length`: bytes of the body, all of which are here; CHUNKED when more is to come and nobody knows how much."""
    if head.body != CHUNKED and not head.expect_continue:
        return head
    block = without(head.block, (b"expect",))  # it was told to continue
    if head.body == CHUNKED and length >= 0:
        block = without(block, (b"transfer-encoding", b"trailer")) + b"\r\nContent-Length: %d" % length
        return head.taken_in(block, length)
    return head.taken_in(block, head.body)
