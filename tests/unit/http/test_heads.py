"""What is remembered of response heads never changes a verdict, and is bounded."""

from __future__ import annotations

import pytest

from lbproxy.config.model import PathRulesConfig
from lbproxy.errors import UpstreamError
from lbproxy.http.forwarding import response
from lbproxy.http.h1.response import parse_response
from lbproxy.http.heads import COPIES, OBJECTS, HeadsLedBack, ResponseHeads
from lbproxy.http.message import FIELDS_KEPT, NO_BODY
from lbproxy.http.prefix import Prefix, PrefixRequest
from lbproxy.remembered import Budget


def head(length: int, extra: str = "") -> bytes:
    return f"HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: keep-alive\r\n{extra}\r\n".encode()


def known(heads: ResponseHeads) -> int:
    return len(heads._known)


def test_the_second_time_is_the_first_time() -> None:
    heads = ResponseHeads(100)
    for _ in range(3):
        read = heads.read(head(5), b"GET")
        parsed, out = read.head, read.out
        assert read.raw == head(5)
        assert read.reader is heads
        assert parsed == parse_response(head(5), b"GET", 100)
        assert out == response(parsed, b"")
    assert known(heads) == 1


def test_the_same_bytes_in_answer_to_head_have_no_body() -> None:
    """Else the next response would be swallowed as a body, or a body taken for the next response."""
    heads = ResponseHeads(100)
    for _ in range(2):
        assert heads.read(head(5), b"GET").head.body == 5
        in_answer_to_head = heads.read(head(5), b"HEAD")
        assert in_answer_to_head.head.body == NO_BODY
        assert in_answer_to_head.reader is None, "nobody may take it for the next one"
    assert known(heads) == 1


def test_a_refused_head_is_refused_again() -> None:
    heads = ResponseHeads(100)
    bad = head(5, "Content-Length: 6\r\n")
    for _ in range(2):
        with pytest.raises(UpstreamError):
            heads.read(bad, b"GET")
    assert known(heads) == 0


def test_backends_cannot_fill_the_memory() -> None:
    budget = Budget(100_000)
    heads, others = ResponseHeads(100, budget=budget), ResponseHeads(100, budget=budget)
    for length in range(500):
        assert heads.read(head(length), b"GET").head.body == length
        others.read(head(length), b"GET")
        assert known(heads) + known(others) < 100_000 / (OBJECTS + COPIES * 60)
    before = known(heads)
    large = head(1, f"X: {'x' * FIELDS_KEPT}\r\n")
    read = heads.read(large, b"GET")
    assert read.head.body == 1
    assert read.reader is None
    assert known(heads) == before


def test_led_back() -> None:
    """Two requests share what is remembered of the backend's heads, each led back by what it asked for."""
    heads = ResponseHeads(100)
    prefix = Prefix(PathRulesConfig(strip="/app"))
    one, other = (HeadsLedBack(heads, prefix, PrefixRequest(b"a.example", path)) for path in (b"/x/", b"/y/"))
    raw = b"HTTP/1.1 302 Found\r\nLocation: z\r\nContent-Length: 0\r\n\r\n"
    assert b"\r\nLocation: /app/x/z\r\n" in one.read(raw, b"GET").out
    assert b"\r\nLocation: /app/y/z\r\n" in other.read(raw, b"GET").out
    assert one.read(raw, b"GET") is one.read(raw, b"GET")
    assert one.read(raw, b"GET").reader is heads
    assert (one.via, one.tolerance) == (heads.via, None)
