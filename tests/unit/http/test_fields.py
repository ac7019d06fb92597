"""Fields and cookies of a request."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

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


def test_an_empty_cookie_is_the_first_of_its_name() -> None:
    """It is not looked for any further."""
    assert cookie(request(b"Cookie: b=;a=", b"Cookie: a=1; b=2"), b"a") == b""


PIECES = st.sampled_from([b"a", b"ab", b"=", b";", b" ", b"\t", b"1", b"x="])


@given(st.lists(st.lists(PIECES, max_size=12).map(b"".join), max_size=3))
def test_cookies_by_the_book(fields: list[bytes]) -> None:
    """Pairs between semicolons, white space around them cut off, the name what stands in front of the first equals sign."""

    def by_the_book(name: bytes) -> bytes:
        for field in fields:
            for pair in field.strip(b" \t").split(b";"):
                found, equals, text = pair.strip(b" \t").partition(b"=")
                if equals and found == name:
                    return text
        return b""

    head = request(*(b"Cookie:" + field for field in fields))
    assert [cookie(head, name) for name in (b"a", b"ab", b"x")] == [by_the_book(name) for name in (b"a", b"ab", b"x")]
