"""Looking up a field or a cookie in a head, for what decides by it (balancing). Nothing here changes a message."""

from __future__ import annotations

from collections.abc import Iterator

from lbproxy.http.message import RequestHead, ResponseHead


def values(head: RequestHead | ResponseHead, name: bytes) -> Iterator[bytes]:
    """The values of all fields of that name (lower case), in order, without the white space around them."""
    mark = b"\r\n" + name + b":"
    at = head.lowered.find(mark)
    while at >= 0:
        begin = at + len(mark)
        end = head.block.find(b"\r\n", begin)
        yield (head.block[begin:] if end < 0 else head.block[begin:end]).strip(b" \t")
        at = -1 if end < 0 else head.lowered.find(mark, end)


def cookie(head: RequestHead, name: bytes) -> bytes:
    """The value of the first cookie of that name (RFC 6265 4.2.1; quotes are a part of it); b"" when there is none."""
    for value in values(head, b"cookie"):
        for pair in value.split(b";"):
            found, equals, text = pair.strip(b" \t").partition(b"=")
            if equals and found == name:
                return text
    return b""
