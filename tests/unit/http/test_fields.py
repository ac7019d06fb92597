"""Fields and cookies of a request."""

from __future__ import annotations

import pytest

from lbproxy.http.fields import cookie, values
from tests.unit.http.heads import request

HEAD = request(b"X-User: Ann ", b"Cookie: a=1; b=two=2;c; lbproxy=x", b"x-user:\tBob", b"X-User-Too: no", b"Cookie: d=4; a=5")


def test_values() -> None:
    """Of all fields of that name, whatever its case, trimmed, in order; not those of longer names."""
    assert list(values(HEAD, b"x-user")) == [b"Ann", b"Bob"]
    assert list(values(HEAD, b"user")) == []
    assert list(values(HEAD, b"host")) == [b"example.com"]


@pytest.mark.parametrize(
    ("name", "value"),
    [(b"a", b"1"), (b"b", b"two=2"), (b"c", b""), (b"d", b"4"), (b"lbproxy", b"x"), (b"proxy", b""), (b"A", b"")],
)
def test_cookies(name: bytes, value: bytes) -> None:
    """The first of that name, exactly."""
    assert cookie(HEAD, name) == value
