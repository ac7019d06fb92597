"""What tests of heads share: small requests, and a plain second reading of a head's field lines."""

from __future__ import annotations

from lbproxy.http.h1.request import parse_request
from lbproxy.http.h1.response import parse_response
from lbproxy.http.message import RequestHead, ResponseHead

MAX_LINE, MAX_FIELDS = 8 * 1024, 100


def request(*lines: bytes, line: bytes = b"GET / HTTP/1.1", host: bytes = b"Host: example.com") -> RequestHead:
    """A parsed request with these field lines behind `host`."""
    return parse_request(b"\r\n".join((line, host, *lines, b"", b"")), MAX_LINE, MAX_FIELDS)


def asking(host: bytes, target: bytes, *lines: bytes) -> RequestHead:
    """A parsed request for something."""
    method = b"OPTIONS" if target == b"*" else b"GET"
    return request(*lines, line=b"%b %b HTTP/1.1" % (method, target), host=b"Host: " + host)


def response(*lines: bytes, line: bytes = b"HTTP/1.1 200 OK", method: bytes = b"GET") -> ResponseHead:
    """A parsed response with these field lines."""
    return parse_response(b"\r\n".join((line, *lines, b"", b"")), method, MAX_FIELDS)


def fields(head: bytes) -> list[tuple[str, bytes]]:
    """(lower-case name, value) of every field line, read the plain way: split at line ends and at the first colon."""
    lines = head.split(b"\r\n")
    assert lines[-2:] == [b"", b""], "a head ends with an empty line"
    pairs = [line.partition(b":") for line in lines[1:-2]]
    return [(name.decode("latin-1").lower(), value.strip(b" \t")) for name, _, value in pairs]


def field_names(head: bytes) -> list[str]:
    """The names alone."""
    return [name for name, _ in fields(head)]


def values(head: bytes, name: str) -> list[bytes]:
    """All values of the fields of that (lower-case) name."""
    return [value for found, value in fields(head) if found == name]
