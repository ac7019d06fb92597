"""Where clients are sent, and that nothing they say sends them elsewhere."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproxy.config.model import PathRulesConfig
from lbproxy.config.vocabulary import PLACEHOLDERS
from lbproxy.http.prefix import Prefix
from lbproxy.http.redirect import RedirectTarget, Values

ASKED = Values(b"https", b"www.example.com", b"/a/b%2Fc", b"x=1&y")


@pytest.mark.parametrize(("to", "location"), [
    ("https://new.example{path}", b"https://new.example/a/b%2Fc?x=1&y"), ("https://new.example/", b"https://new.example/?x=1&y"),
    ("https://new.example", b"https://new.example?x=1&y"), ("https://new.example/?", b"https://new.example/?"),
    ("{scheme}://{host}:8443/v2{path}", b"https://www.example.com:8443/v2/a/b%2Fc?x=1&y"),
    ("/login?next={path}", b"/login?next=/a/b%252Fc"), ("/login?next={path}&{query}", b"/login?next=/a/b%252Fc&x=1&y"),
    ("/x?{query}&z=1", b"/x?x=1&y&z=1"), ("/x?q={query}", b"/x?q=x%3D1%26y"), ("/x?{query}z", b"/x?x%3D1%26yz"),
    ("/x#top", b"/x?x=1&y#top"), ("/x?a#top", b"/x?a#top"), ("/x?h={host}&s={scheme}", b"/x?h=www.example.com&s=https"),
])  # fmt: skip
def test_targets(to: str, location: bytes) -> None:
    """The query goes along unless the text has one; as a value, what is filled in stays one value."""
    assert RedirectTarget(to).render(ASKED) == location


def test_without_a_query() -> None:
    """No question mark that stands for nothing."""
    asked = ASKED._replace(query=b"")
    assert RedirectTarget("https://new.example{path}").render(asked) == b"https://new.example/a/b%2Fc"
    assert RedirectTarget("/x?{query}").render(asked) == b"/x?"


def test_signs_that_do_not_belong_there() -> None:
    """Clients send them, and are sent back none."""
    asked = ASKED._replace(path=b'/a"<b>[c]^`{d}|', query=b'"<x>\\')
    assert RedirectTarget("https://n{path}").render(asked) == b"https://n/a%22%3Cb%3E%5Bc%5D%5E%60%7Bd%7D%7C?%22%3Cx%3E%5C"


def test_what_is_asked_of_the_server() -> None:
    """Has no path."""
    assert RedirectTarget("https://n{path}").render(ASKED._replace(path=b"*", query=b"")) == b"https://n/"


def test_a_prefix_is_taken_off_first() -> None:
    """As it would be for a backend."""
    target = RedirectTarget("https://new.example{path}", Prefix(PathRulesConfig(strip="/old")))
    assert target.render(Values(b"http", b"h", b"/old/x", b"")) == b"https://new.example/x"
    assert target.render(Values(b"http", b"h", b"/old//evil.example", b"")) == b"https://new.example/evil.example"


VISIBLE = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="?#"), max_size=12).map(str.encode)


@given(
    st.sampled_from(["https://new.example{path}", "https://new.example/x?next={path}&q={query}", "/there{path}", "/t?u={path}"]),
    VISIBLE,
    VISIBLE,
)
def test_nobody_chooses_where(to: str, path: bytes, query: bytes) -> None:
    """Whatever path and query say, the host is the one that is written, and a value is one value."""
    asked = Values(b"https", b"h", b"/" + path, query)
    location = RedirectTarget(to).render(asked).decode()
    found = urlsplit(location)
    assert found.netloc == ("new.example" if to.startswith("https") else "")
    assert location.isascii()
    assert not set(location) & set(' \r\n"<>\\')
    if "next=" in to:
        said = parse_qs(found.query, keep_blank_values=True)
        assert said == {"next": [asked.path.decode()], "q": [query.decode()]}


def test_every_placeholder_is_filled_in() -> None:
    """Those that the configuration offers."""
    assert set(PLACEHOLDERS) == set(Values._fields)
