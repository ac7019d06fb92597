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


def test_cookies_are_arguments() -> None:
    """To the rules they are."""
    lines = b"\r\nHost: a\r\ncookie: " + b"; ".join([b"a=b"] * 60) + b"\r\nCOOKIE:" + b";" * 39
    assert not too_many(b"/?a", lines, b"", 101)
    assert too_many(b"/?a", lines, b"", 98)
    assert not too_many(b"/", b"\r\nAccept: " + b";" * 1000, b"", 98), "no cookies"


@pytest.mark.parametrize("broken", [b"", b","])
def test_names_of_json_count(broken: bytes) -> None:
    """Each value is called by all of them: short bodies have them by the megabyte."""
    name = b"k" * 300
    body = b"{" + b"".join(b'"%b":{' % name for _ in range(90)) + b'"k":[' + b",".join([b"1"] * 800) + b"]" + b"}" * 91
    assert too_many(b"/", block(JSON), body + broken, 1000)
    twice = b'{"%b":[%b],"%b":1}' % (name * 9, b",".join([b"1"] * 800), name * 9)
    assert too_many(b"/", block(JSON), twice, 1000)
    escaped = b'{"%b":[%b]}' % (b"\\u65e5" * 400, b",".join([b"1"] * 800))
    assert too_many(b"/", block(JSON), escaped, 1000)


def test_what_readers_differ_in_is_counted() -> None:
    """Numbers of any length, bytes that are no UTF-8, signs that should be escaped: the engine may read on."""
    orders = b",".join([b'{"a":"%b"}' % (b"x" * 30)] * 500)
    for odd in (b"1" * 5000, b'"\xff"', b'"\x01"', b'"\\ud800"'):
        assert not too_many(b"/", block(JSON), b'{"orders":[' + orders + b"," + odd + b"]}", 1000)
        assert too_many(b"/", block(JSON), b'{"%b":[' % (b"k" * 1000) + b",".join([b"1"] * 800) + b"," + odd + b"]}", 1000)


def test_lines_of_json_have_no_names() -> None:
    """The engine does not read them."""
    assert not too_many(b"/", block(b"application/x-ndjson"), b'{"a":"b"}\n' * 900 + b"[1,2]" * 20, 1000)


def test_everyday_json_is_not_too_much() -> None:
    """A list of things, each with a dozen values, and long texts in them."""
    address = {"street": "x" * 300, "city": "y", "postal_code": "z"}
    thing = {"id": 1, "customer": {"name": "Ann", "address": address}, "tags": ["a", "b"]}
    assert not too_many(b"/", block(JSON), json.dumps({"orders": [thing] * 120}).encode(), 1000)


def test_a_long_text_is_one_value() -> None:
    """However many commas it has."""
    assert not too_many(b"/", block(JSON), json.dumps({"text": 'one, "two", three' * 5000}).encode(), 1)


def test_of_two_kinds_the_one_that_is_worse() -> None:
    """Nobody knows which one the engine takes."""
    both = block(b"text/plain") + b"\r\nContent-Type: " + JSON
    assert too_many(b"/", both, b"[1,2,3]", 2)
