"""What decides about a message, gathered; requests and responses have their own tests of what comes of it."""

from __future__ import annotations

import pytest

from lbproxy.http.h1.deciding_fields import MAX_OPTIONS, gather, keeps_alive, nominated_fields, options_of


def test_lists_come_as_one() -> None:
    """In the order in which they came, without blanks at their end; what decides nothing is passed over."""
    specials = [
        (b"host", b"h"), (b"connection", b"close"), (b"content-length", b"5 "), (b"via", b"1.1 lbproxy, 1.1 x, 1.1 lbproxy"),
        (b"connection", b"x\t"), (b"content-length", b"5"), (b"transfer-encoding", b"chunked "), (b"te", b"trailers"),
        (b"upgrade", b"a "), (b"upgrade", b"b"), (b"expect", b"100-continue"), (b"via", b"1.1 lbproxy"),
    ]  # fmt: skip
    assert gather(specials) == ([b"5", b"5"], [b"chunked"], b"close,x\t", b"a,b", b",100-continue", 3)
    assert gather([]) == ([], [], b"", b"", b"", 0)


def test_options_are_bounded() -> None:
    """One more than may be is too many."""
    assert options_of(b" a ,b") == [b"a", b"b"]
    assert options_of(b",".join([b"a"] * MAX_OPTIONS)) == [b"a"] * MAX_OPTIONS
    assert options_of(b"," * MAX_OPTIONS) is None


@pytest.mark.parametrize(("options", "minor", "keeps"), [
    ([b""], 1, True), ([b""], 0, False), ([b"keep-alive"], 0, True), ([b"keep-alive", b"close"], 1, False), ([b"x"], 1, True),
])  # fmt: skip
def test_persistence(options: list[bytes], minor: int, keeps: bool) -> None:
    """RFC 9112 9.3."""
    assert keeps_alive(options, minor) is keeps


def test_nominated_fields() -> None:
    """What is taken off anyway, or is no field, needs no second look."""
    assert nominated_fields([b"", b"close", b"keep-alive", b"upgrade", b"te", b"x", b"cookie", b"via", b"y z"]) == (b"x", b"y z")
