"""Heads as packets show them: nobody's secrets, no length but our own, and the same each time."""

from __future__ import annotations

import pytest

from lbproxy.http.shown_heads import LONGEST, MOST, ShownHeads

HEAD = (
    b"HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nContent-Length: 3\r\nX-A: b\r\nset_cookie:b\r\nTransfer-Encoding: x\r\nTrailer: y"
)


@pytest.mark.parametrize("end", [b"", b"\r\n\r\n"])
def test_what_is_left(end: bytes) -> None:
    """Values of secret fields are not, in any spelling; what frames is left out where it is told anew."""
    for _ in range(2):
        assert ShownHeads((), False).shown(HEAD + end) == HEAD
        assert ShownHeads((), True).shown(HEAD + end) == (
            b"HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nX-A: b\r\nset_cookie:b"
        )
        assert ShownHeads(("Set-Cookie",), True).shown(HEAD + end) == (
            b"HTTP/1.1 200 OK\r\nSet-Cookie: -\r\nX-A: b\r\nset_cookie: -"
        )


def test_the_same_each_time() -> None:
    """Out of what is remembered, too, and after much else has come."""
    heads = ShownHeads(("X-Secret",), True)
    for number in range(5 * MOST):
        lines = b"\r\nX-Secret: %d\r\nX-A: %d" % (number, number)
        wanted = b"\r\nX-Secret: -\r\nX-A: %d" % number
        assert heads.shown(lines) == heads.shown(bytes(bytearray(lines))) == wanted
    large = b"\r\nX-A: " + b"a" * LONGEST
    assert heads.shown(large) == large


def test_memory_is_bounded() -> None:
    """So many heads are remembered, and none of them is large."""
    heads = ShownHeads((), False)
    for number in range(5 * MOST):
        heads.shown(b"\r\nX-A: %d" % number)
    assert len(heads._known) <= MOST
    heads.shown(b"\r\nX-A: " + b"a" * LONGEST)
    assert max(map(len, heads._known)) <= LONGEST
