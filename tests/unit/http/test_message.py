"""Heads as values: equal when all they say is equal, and made of each other without losing anything."""

from __future__ import annotations

import pytest

from lbproxy.http.message import RequestHead
from tests.unit.http.heads import request, response


def test_heads_are_equal_field_by_field() -> None:
    assert request(b"A: b") == request(b"A: b")
    assert request(b"A: b") != request(b"A: c")
    assert request(b"A: b") != "A: b"
    assert response(b"Content-Length: 1") == response(b"Content-Length: 1")
    assert response(b"Content-Length: 1") != response(b"Content-Length: 2")
    assert response(b"Content-Length: 1") != request()


@pytest.mark.parametrize("make", [request, response])
def test_heads_are_no_keys(make: object) -> None:
    with pytest.raises(TypeError):
        hash(make())  # type: ignore[operator]


def test_another_line_with_the_same_fields() -> None:
    """All that the line does not say stays."""
    lines = (
        b"Connection: Upgrade, X-Private",
        b"Upgrade: websocket",
        b"X-Private: 1",
        b"Content-Length: 7",
        b"Expect: 100-continue",
    )
    one, other = request(*lines, line=b"PUT /a?b HTTP/1.1"), request(*lines, line=b"POST /c HTTP/1.1")
    assert one != other
    moved = one.elsewhere(b"POST", b"/c", b"/c", b"")
    assert isinstance(moved, RequestHead)
    assert moved == other
    assert moved.elsewhere(b"PUT", b"/a?b", b"/a", b"") == one
    assert one.elsewhere(one.method, one.target, one.path, b"/a/?b") != one


def test_other_fields_of_the_same_message() -> None:
    """What says where it ends stays as it was read."""
    head = response(b"Content-Length: 7", b"Connection: close, X-A", line=b"HTTP/1.1 500 Oh")
    other = head.edited(b"\r\nX-B: C", (), False)
    assert (other.block, other.lowered, other.nominated) == (b"\r\nX-B: C", b"\r\nx-b: c", ())
    assert other.edited(head.block, head.nominated, True) == head
