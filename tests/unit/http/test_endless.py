"""Which answers go on for as long as somebody listens."""

from __future__ import annotations

import pytest

from lbproxy.http.endless import endless
from lbproxy.http.h1.response import parse_response


@pytest.mark.parametrize(("lines", "found"), [
    (b"Content-Type: text/event-stream\r\n", True),
    (b"content-type:TEXT/Event-Stream ; charset=utf-8\r\n", True),
    (b"X-A: b\r\nContent-Type: multipart/x-mixed-replace;boundary=x\r\n", True),
    (b"Content-Type: text/event-streams\r\n", False),
    (b"Content-Type: text/html\r\nX-Content-Type: text/event-stream\r\n", False),
    (b"Accept: text/event-stream\r\n", False),
    (b"", False),
])  # fmt: skip
def test_by_its_media_type(lines: bytes, found: bool) -> None:
    assert endless(parse_response(b"HTTP/1.1 200 OK\r\n" + lines + b"\r\n", b"GET", 100)) is found
