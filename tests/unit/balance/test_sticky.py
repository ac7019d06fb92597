"""Words for backends in cookies."""

from __future__ import annotations

import re

from lbproxy.balance.sticky import Words

IDENTITIES = ["app/10.0.0.1:80", "app/10.0.0.2:80", "app/10.0.0.3:80"]


def test_a_word_means_its_backend() -> None:
    """And fits into a cookie; other backends around it change nothing."""
    words = Words(b"s" * 32, IDENTITIES)
    for index in range(3):
        assert re.fullmatch(rb"[A-Za-z0-9_-]{22}", words.of(index))
        assert words.index(words.of(index)) == index
    assert Words(b"s" * 32, IDENTITIES[::-1]).index(words.of(0)) == 2


def test_nothing_else_means_anything() -> None:
    """Another secret's word, one of a backend that is gone, garbage."""
    words = Words(b"s" * 32, IDENTITIES[:2])
    strange = [
        Words(b"t" * 32, IDENTITIES).of(0),
        Words(b"s" * 32, IDENTITIES).of(2),
        b"",
        b"0",
        b"10.0.0.1:80",
        words.of(0) + b"=",
    ]
    assert [words.index(word) for word in strange] == [-1] * len(strange)
