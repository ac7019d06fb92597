"""Heads of HTTP in an ICAP server's verdict, made sound: written as servers write them, forwarded as we do.

Servers fold lines, end them with LF, say HTTP/1.0, and copy or forget lengths. Where the body ends is known by ICAP; whatever a
head says of that, and of a connection that is none of the client's, is taken off before the head is read as strictly as any other.
"""

from __future__ import annotations

import re

from lbproxy.errors import RefusedAnswer, RequestError
from lbproxy.http.fields import values
from lbproxy.http.forwarding import VIA, cut, response
from lbproxy.http.grammar import END, HOP_BY_HOP, line_finder
from lbproxy.http.h1.request import parse_request
from lbproxy.http.h1.response import parse_response
from lbproxy.http.icap.answers import BadIcapAnswer
from lbproxy.http.message import RequestHead, ResponseHead
from lbproxy.http.upgrade import upgrade_lines

_FOLD = re.compile(rb"\r\n[ \t]+")
_FRAMING = line_finder((*HOP_BY_HOP, b"content-length", b"expect"))
MOST_FIELDS = 500
BODILESS = (204, 304)


def shown(head: bytes) -> bytes:
    """A head as a server is shown it: nothing of what is between two neighbours, of whom it is none, but the length."""
    end = head.find(b"\r\n")
    block = head[end:-4]
    return head[:end] + cut(block, block.lower(), _HOPS) + END


_HOPS = line_finder((*HOP_BY_HOP, b"expect"))


def _sound(head: bytes) -> tuple[bytes, bytes]:
    """(first line, fields, each with its CRLF in front)."""
    text = head.replace(b"\r\n", b"\n").rstrip(b"\n").replace(b"\n", b"\r\n")
    text = _FOLD.sub(b" ", text)
    end = text.find(b"\r\n")
    line, block = (text, b"") if end < 0 else (text[:end], text[end:])
    return line.rstrip(b" "), cut(block, block.lower(), _FRAMING)


def answer(head: bytes, method: bytes, length: int, date: bytes) -> tuple[ResponseHead, bytes]:
    """(an answer's head, the same as it leaves); `method`: of the request; `length`: of the body that comes with it; `date`: the
    line for one that has none. Raises BadIcapAnswer."""
    line, block = _sound(head)
    if method != b"HEAD":
        block += b"\r\nContent-Length: %d" % length
    try:
        read = parse_response(line + block + END, method, MOST_FIELDS)
        if read.status < 200:
            raise BadIcapAnswer(f"an answer of {read.status}")
        if read.status in BODILESS:
            read = parse_response(line + cut(block, block.lower(), _FRAMING) + END, method, MOST_FIELDS)
    except RefusedAnswer as error:
        raise BadIcapAnswer(f"the answer in it: {error}") from error
    via = b"" if any(b"lbproxy" in said for said in values(read, b"via")) else VIA
    return read, response(read, date if read.undated else b"", via)


def request(head: bytes, original: RequestHead, length: int) -> tuple[RequestHead, bytes]:
    """(a request's head as the exchange goes on with, the same as backends get it); `original`: what it was; `length`: of its body.
    Raises BadIcapAnswer."""
    line, block = _sound(head)
    if length or original.body:
        block += b"\r\nContent-Length: %d" % length
    try:
        read = parse_request(line + block + END, len(line) + 1, MOST_FIELDS)
    except RequestError as error:
        raise BadIcapAnswer(f"the request in it: {error}") from error
    method = read.method
    told = block + (upgrade_lines(original.block) if original.upgrade else b"")
    goes_on = original.elsewhere(method, original.target, original.path, original.raw).taken_in(original.block, length)
    return goes_on, b"%b %b HTTP/1.1%b\r\n\r\n" % (method, read.target, told)
