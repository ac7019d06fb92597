"""Keys and variants; the cases by section are in test_cases.py."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lbproxy.http.caching.variants import MOST_VALUE, key_of, variant_of

_PARTS = st.lists(st.binary(max_size=8), max_size=4)


@given(_PARTS, _PARTS)
def test_no_two_make_up_the_same(one: list[bytes], other: list[bytes]) -> None:
    """However their bytes are shared out."""
    assert (key_of(b"s", *one) == key_of(b"s", *other)) == (one == other)


def test_who_says_too_much() -> None:
    """Is no variant: he is nobody else's."""
    sent = b"GET / HTTP/1.1\r\nA: " + b"x" * (MOST_VALUE + 1) + b"\r\n\r\n"
    assert variant_of(b"s", b"k", sent, (b"a",)) is None
    assert variant_of(b"s", b"k", sent, (b"b",)) is not None
