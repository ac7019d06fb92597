"""Arguments are counted as the engine would find them, never too few, and before it spends time on them."""

from __future__ import annotations

import json

import pytest

from lbproxy.waf.arguments import too_many

FORM, JSON, PARTS = b"application/x-www-form-urlencoded", b"application/json", b"multipart/form-data; boundary=x"


def block(kind: bytes) -> bytes:
    return b"\r\nHost: a\r\ncontent-TYPE: " + kind


@pytest.mark.parametrize(("target", "kind", "body", "count"), [
    (b"/", FORM, b"", 0),
    (b"/?a", FORM, b"", 1),
    (b"/?a=1&b=2", FORM, b"c=3&d=4", 4),
    (b"/", JSON, b'{"a": [1, 2, {"b": "c, d, \\", e"}]}', 3),
    (b"/", b"application/VND.a+JSON", b"[1,2,3,4]", 4),
    (b"/?a=1", JSON, b"[1,2,3,4]", 5),
    (b"/", PARTS, b"--x\r\n\r\na\r\n--x\r\n\r\nb\r\n--x--", 2),
    (b"/", b"text/plain", b"a&b&c,d,e", 0),
    (b"/", b"", b"a&b&c,d,e", 3),
])  # fmt: skip
def test_so_many(target: bytes, kind: bytes, body: bytes, count: int) -> None:
    """Of the query, and of the body by its kind."""
    assert not too_many(target, block(kind), body, count)
    if count:
        assert too_many(target, block(kind), body, count - 1)


def test_a_long_text_is_one_value() -> None:
    """However many commas it has."""
    assert not too_many(b"/", block(JSON), json.dumps({"text": 'one, "two", three' * 5000}).encode(), 1)


def test_of_two_kinds_the_one_that_is_worse() -> None:
    """Nobody knows which one the engine takes."""
    both = block(b"text/plain") + b"\r\nContent-Type: " + JSON
    assert too_many(b"/", both, b"[1,2,3]", 2)
