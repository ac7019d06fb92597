"""Ranges and conditions; the cases by section are in test_cases.py."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lbproxy.http.caching.conditional import BodyWanted, conditional, for_the_origin, part_of, unconditional
from tests.unit.http.heads import field_names, request, response


@given(st.from_regex(rb"bytes=[0-9, \-]{0,30}", fullmatch=True), st.integers(0, 100))
def test_a_part_is_a_part(text: bytes, length: int) -> None:
    """Whatever is asked for, what is given is there."""
    found = part_of(request(b"Range: " + text), response(), length, 0)
    if found.wants is BodyWanted.PART:
        assert 0 <= found.first <= found.last < length


def test_unconditional() -> None:
    """What is asked for is a whole answer, with the client's other fields."""
    head = request(b'If-None-Match: "a"', b"Range: bytes=0-1", b"A: b", b"If-Range: x", b"If-Modified-Since: y")
    assert conditional(head)
    asked = unconditional(head, b"\r\nIf-None-Match: b")
    names = [line.partition(b":")[0] for line in asked.block.split(b"\r\n")[1:]]
    assert names == [b"Host", b"A", b"If-None-Match"]
    assert field_names(b"GET / HTTP/1.1" + asked.block + b"\r\n\r\n") == ["host", "a", "if-none-match"]
    assert not conditional(unconditional(head))


def test_for_the_origin() -> None:
    """No cache answers those."""
    assert for_the_origin(request(b'If-Match: "a"'))
    assert for_the_origin(request(b"If-Unmodified-Since: x"))
    assert not for_the_origin(request(b'If-None-Match: "a"'))
