"""Heads of answers as they are stored, and those that are made of them: 304, 206, 416, and with what a 304 says anew.

A stored head says where its body ends by Content-Length, and nothing about the connection that it came over (RFC 9111 3.1).
"""

from __future__ import annotations

import re
from collections.abc import Collection

from lbproxy.http.forwarding import cut, without
from lbproxy.http.grammar import END, HOP_BY_HOP, line_finder
from lbproxy.http.message import ResponseHead

MOST_FIELDS = 1_000_000
"""Of a head that is read once more: its fields were counted when they came."""
_LEFT_OUT = line_finder(
    (*HOP_BY_HOP, b"content-length", b"age", b"set-cookie", b"set-cookie2", b"proxy-authentication-info", b"authentication-info")
)
_SHORT = (
    b"cache-control", b"cdn-cache-control", b"lbproxy-cache-control", b"content-location", b"date", b"etag", b"expires", b"vary",
)  # fmt: skip
"""RFC 9110 15.4.5: what a 304 says again."""
_OF_THE_BODY = frozenset({
    b"content-encoding", b"content-length", b"content-md5", b"content-range", b"content-type", b"digest", b"content-digest",
    b"repr-digest", b"transfer-encoding", b"trailer", b"etag",
})  # fmt: skip
"""What a 304 does not change: it tells of bytes that are stored already (RFC 9111 3.2)."""
_OF_ALL_BYTES = line_finder((b"content-digest", b"content-md5"))
"""What is wrong of a part (RFC 9530 2, 2616 14.15). Repr-Digest and Digest tell of the whole, whatever comes of it."""
_WITH_A_BODY = line_finder(tuple(sorted(_OF_THE_BODY - {b"etag"})))
_LENGTH = re.compile(rb"\r\n(?i:content-length):[^\r]*")


def stored(answer: ResponseHead, date: bytes) -> bytes:
    """From the status line to the last field, with no length and no empty line; `date`: a field line for what has none."""
    block = cut(answer.block, answer.lowered, _LEFT_OUT)
    if answer.nominated:
        block = without(block, answer.nominated)
    if b"\r\ndate:" not in block.lower():
        block += date
    return b"HTTP/1.1 %d %b%b" % (answer.status, answer.reason, block)


def sized(head: bytes, length: int) -> bytes:
    """Whole, with a body of so many bytes; -1: in chunks, as long as nobody knows."""
    if head.startswith(b"HTTP/1.1 204"):
        return head + END
    return head + (b"\r\nTransfer-Encoding: chunked" if length < 0 else b"\r\nContent-Length: %d" % length) + END


def not_modified(head: bytes) -> bytes:
    """A 304 for who has it. Of what it does not have to say it repeats Last-Modified only where there is no ETag."""
    lines = head.split(b"\r\n")[1:]
    names = _SHORT if b"\r\netag:" in head.lower() else (*_SHORT, b"last-modified")
    kept = [line for line in lines if _name(line) in names]
    return b"\r\n".join([b"HTTP/1.1 304 Not Modified", *kept]) + END


def known_already(answer: ResponseHead) -> bytes:
    """A 304 for who has what a backend has said in an answer of his own: all that it said, cookies among it, but of a body."""
    return b"HTTP/1.1 304 Not Modified" + cut(answer.block, answer.lowered, _WITH_A_BODY) + END


def part(head: bytes, first: int, last: int, length: int) -> bytes:
    """A 206 with the bytes from `first` to `last`, both included, of so many."""
    block = head[head.find(b"\r\n") :] if b"\r\n" in head else b""
    block = cut(block, block.lower(), _OF_ALL_BYTES)
    says = b"\r\nContent-Range: bytes %d-%d/%d\r\nContent-Length: %d" % (first, last, length, last - first + 1)
    return b"HTTP/1.1 206 Partial Content" + block + says + END


def unsatisfiable(head: bytes, length: int) -> bytes:
    """A 416: there are only so many."""
    kept = [line for line in head.split(b"\r\n")[1:] if _name(line) in (b"date", b"etag", b"vary")]
    says = [b"Content-Range: bytes */%d" % length, b"Content-Length: 0", b"Cache-Control: no-store"]
    return b"\r\n".join([b"HTTP/1.1 416 Range Not Satisfiable", *kept, *says]) + END


def merged(head: bytes, anew: bytes) -> bytes:
    """A stored head with what a 304 says (RFC 9111 3.2); `anew`: that one, by `stored`."""
    says = [line for line in anew.split(b"\r\n")[1:] if _name(line) not in _OF_THE_BODY]
    # One without a Date was made when it came (RFC 9110 6.6.1), and the stored Date is of something older.
    names: Collection[bytes] = {b"date", *(_name(line) for line in says)}
    status, *lines = head.split(b"\r\n")
    return b"\r\n".join([status, *(line for line in lines if _name(line) not in names), *says])


def _name(line: bytes) -> bytes:
    return line.partition(b":")[0].lower()
