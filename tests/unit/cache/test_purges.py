"""lbproxy.cache.purges: what a rule is about, and what becomes of old ones."""

from __future__ import annotations

import pytest

from lbproxy.cache.layout import RULE_SIZE, RULES, Stretch, Word
from lbproxy.cache.purges import Purge, PurgeRules, tag_of, url_of


def rules() -> tuple[PurgeRules, memoryview]:
    """None yet, and the words of the header."""
    words = memoryview(bytearray(512)).cast("Q")
    return PurgeRules(memoryview(bytearray(RULES * RULE_SIZE)), words, Stretch(0, RULES * RULE_SIZE)), words


@pytest.mark.parametrize(("what", "text", "fits"), [
    (Purge.URL, b"http://a/b", True), (Purge.URL, b"http://a/", False), (Purge.URL, b"http://a/bc", False),
    (Purge.PREFIX, b"http://a/", True), (Purge.PREFIX, b"http://a/b", True), (Purge.PREFIX, b"http://a/bc", False),
    (Purge.PREFIX, b"http://b/", False), (Purge.PREFIX, b"", True),
    (Purge.TAG, b"two", True), (Purge.TAG, b"three", False), (Purge.TAG, b"http://a/b", False), (Purge.ALL, b"", True),
])  # fmt: skip
def test_what_a_rule_is_about(what: Purge, text: bytes, fits: bool) -> None:
    """The whole URL, its beginning, one of the tags; and only for who is older."""
    made, _ = rules()
    assert made.add(what, text) == 1
    tags = tag_of(b"one") + tag_of(b"two")
    assert made.fit(0, 1, b"http://a/b", tags) is fits
    assert not made.fit(1, 1, b"http://a/b", tags)


@pytest.mark.parametrize(("typed", "meant"), [
    ("HTTPS://Example.COM:443/A?b", b"https://example.com/A?b"), ("http://a", b"http://a/"),
    ("http://a:8080/x", b"http://a:8080/x"), ("http://[::1]:80/", b"http://[::1]/"),
])  # fmt: skip
def test_urls_as_somebody_types_them(typed: str, meant: bytes) -> None:
    """Small where case means nothing, and without the port that goes without saying."""
    assert url_of(typed, whole=True) == meant


def test_what_is_no_url() -> None:
    """A purge of nothing looks like one that worked."""
    for text in ("/style.css", "example.com/a", "ftp://a/", "http:///a", "http://a/b c", "http://a/\u00e4", "http://a/#x", ""):
        with pytest.raises(ValueError, match="wanted a URL"):
            url_of(text, whole=True)
    assert url_of("https://exam", whole=False) == b"https://exam"
    assert url_of("https://example.com:443/st", whole=False) == b"https://example.com/st"


def test_rules_that_are_gone_fit_everything() -> None:
    """Nobody knows what they were about. There is room again when a sweep has ended."""
    made, words = rules()
    for number in range(RULES):
        assert made.room == RULES - number
        made.add(Purge.URL, b"http://a/%d" % number)
    assert made.room == 0
    words[Word.SWEPT] = 10
    assert made.room == 10
    made.add(Purge.URL, b"http://a/new")
    assert not made.fit(1, RULES + 1, b"http://b/", b"")
    assert made.fit(0, RULES + 1, b"http://b/", b"")
    assert made.fit(0, RULES, b"http://b/", b"")
