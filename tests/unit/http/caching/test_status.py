"""Cache-Status, read by the reader of structured fields."""

from __future__ import annotations

from lbproxy.http.caching.status import forwarded, hit
from lbproxy.http.caching.structured import dictionary


def test_hit() -> None:
    """Seconds that are left are rounded down, also below 0 (RFC 9211 2.5)."""
    assert hit(9.9, 5) == b"\r\nCache-Status: lbproxy; hit; ttl=9\r\nAge: 5"
    assert hit(-0.1, 70) == b"\r\nCache-Status: lbproxy; hit; ttl=-1\r\nAge: 70"


def test_forwarded() -> None:
    """All that may be said of it."""
    line = forwarded(b"uri-miss", 200, stored=True, collapsed=True, detail="set_cookie")
    assert line == b"\r\nCache-Status: lbproxy; fwd=uri-miss; fwd-status=200; stored; collapsed; detail=set_cookie"
    assert dictionary(line.partition(b": ")[2]) == {b"lbproxy": True}
    assert forwarded(b"bypass") == b"\r\nCache-Status: lbproxy; fwd=bypass"
