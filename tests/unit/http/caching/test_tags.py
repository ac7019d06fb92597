"""Tags of answers: both fields, each tag once, only so many."""

from __future__ import annotations

from lbproxy.http.caching.tags import tags_of
from tests.unit.http.heads import response


def test_tags() -> None:
    """In their order, as they are written."""
    answer = response(b"Cache-Tag: a, b ,a,", b"Surrogate-Key: c  d a", b"Cache-Tag: E")
    assert tags_of(answer, 64) == (b"a", b"b", b"E", b"c", b"d")
    assert tags_of(answer, 2) == (b"a", b"b")
    assert tags_of(response(), 64) == ()
