"""What keys of a route accept, and what they say to the rest."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproxy.config import route_values as values
from lbproxy.config.units import ValueRefused
from lbproxy.http.redirect import RedirectTarget, Values


def refused(parse: Callable[[object], object], value: object) -> ValueRefused:
    with pytest.raises(ValueRefused) as caught:
        parse(value)
    return caught.value


@pytest.mark.parametrize(("parse", "value", "hint"), [
    (values.prefix, "/a/../b", "escapes in upper case; letters, digits, - . _ ~ without; no dot segments"),
    (values.prefix, "/%61", "escapes in upper case"), (values.prefix, "/a%2fb", "escapes in upper case"),
    (values.prefix, "/a\\b", "escapes in upper case"), (values.prefix, "/a*", 'write "/a"'), (values.prefix, "a", 'write "/a"'),
    (values.exact, "/a?b=c", "conditions on the query"), (values.exact, "/a*", 'write glob = "/a*"'), (values.exact, 1, ""),
    (values.exact, "/a/.", "no dot segments"), (values.glob, "/a", 'write exact = "/a"'), (values.glob, "/%61*", "escapes"),
    (values.glob, "/a?*", "the query is not looked at"), (values.glob, "*.png?", "the query is not looked at"),
    (values.asked_field, "Host", 'write host = "example.com"'), (values.asked_field, "X-Forwarded-For", "allow, deny"),
    (values.asked_field, "Forwarded", "allow, deny"), (values.asked_field, "a b", ""), (values.asked_name, "", ""),
    (values.asked_name, "a\n", ""), (values.field_patterns, [], ""), (values.field_patterns, "\u0100", ""),
    (values.field_patterns, ["a", 1], "regular expressions"), (values.query_patterns, 1, 'write "1"'),
    (values.query_patterns, ["x"] * 65, ""), (values.redirect_status, 300, "308 keeps the method"),
    (values.redirect_status, "308", "308 keeps"), (values.redirect_status, True, ""), (values.body, 1, ""),
    (values.body, "\xe4" * 32769, "for a backend"), (values.media_type, "html", ""), (values.media_type, "text/html\r\nX: y", ""),
    (values.media_type, "text/html; charset=\xe4", ""), (values.some_prefix, "/", 'every path begins with "/"'),
    (values.some_prefix, "//a", ""), (values.some_prefix, "/a/../b", "no dot segments"), (values.prefix_pair, {"from": "/a"}, ""),
    (values.prefix_pair, {"from": "/a", "to": "/a/"}, ""), (values.prefix_pair, "/a", ""),
    (values.prefix_pair, {"from": 1, "to": "/"}, ""),
])  # fmt: skip
def test_refused(parse: Callable[[object], object], value: object, hint: str) -> None:
    """With a hint where one helps."""
    assert hint in refused(parse, value).hint


@pytest.mark.parametrize(("parse", "value", "read"), [
    (values.prefix, "/a%5Cb/", "/a%5Cb/"), (values.exact, "/a%2Fb", "/a%2Fb"), (values.exact, "/a.b/..c", "/a.b/..c"),
    (values.glob, "*.png", "*.png"), (values.glob, "*", "*"), (values.some_prefix, "/app/", "/app"),
    (values.prefix_pair, {"from": "/old/", "to": "/"}, ("/old", "")), (values.field_patterns, "", ("",)),
    (values.query_patterns, ["a", "b*"], ("a", "b*")), (values.body, "a\nb", "a\nb"),
    (values.media_type, "text/html; charset=utf-8", "text/html; charset=utf-8"),
])  # fmt: skip
def test_accepted(parse: Callable[[object], object], value: object, read: object) -> None:
    """As it is used then."""
    assert parse(value) == read


@pytest.mark.parametrize(("pattern", "why", "hint"), [
    ("(a", "missing )", ""), ("(?=a)", "invalid perl operator", "back-references and look-around"), ("", "wanted a text", ""),
    ("a" * 1025, "at most 1024", ""), (r"(a)\1", "invalid escape", "back-references"),
])  # fmt: skip
def test_regular_expressions(pattern: str, why: str, hint: str) -> None:
    """What RE2 says about them."""
    pytest.importorskip("re2")
    found = refused(values.regular_expression, pattern)
    assert why in str(found)
    assert hint in found.hint


def test_regular_expressions_need_re2(monkeypatch: pytest.MonkeyPatch) -> None:
    """The hint is what to install."""
    monkeypatch.setitem(__import__("sys").modules, "re2", None)
    found = refused(values.regular_expression, "a")
    assert (str(found), found.hint) == ("regular expressions need google-re2", "pip install 'lbproxy[regex]'")


@pytest.mark.parametrize(("target", "why"), [
    ("{path}", "begins with {path}"), ("{path}/x", "begins with {path}"), ("//evil.example", "two slashes"),
    ("/{path}", "two slashes"),
    ("/{query}", "two slashes"), ("https://new.example{query}", "go on with the host"),
    ("https://new.example{host}@x", "go on with"),
    ("https://new.example.{query}/", "go on with"), ("https://{path}", "wanted a target"), ("https:/{path}", "wanted a target"),
    ("https://user@new.example/", "go on with"), ("ftp://x/", "wanted a target"), ("javascript:alert(1)", "wanted a target"),
    ("{host}/x", "wanted a target"), ("new.example/x", "wanted a target"), ("/a b", "wanted a target"),
    ("/a\r\nX: y", "wanted a target"),
    ("/\xe4", "wanted a target"), ("/{paths}", "no placeholder {paths}"), ("/{}", "no placeholder {}"),
    ("/{path", "without its other half"),
    ("/path}", "without its other half"), ("/\\evil.example", "backslash"), ("/a{query}", "behind a question mark"),
    ("/a#{query}", "behind a question mark"), ("/" + "a" * 2048, "at most 2048"), ("", "wanted a target"), (1, "wanted a target"),
    ("https://new.example:{path}", "go on with"),
])  # fmt: skip
def test_redirects_refused(target: object, why: str) -> None:
    """Whatever would let somebody who makes up a link choose where it ends, and what is no target at all."""
    assert why in str(refused(values.redirect, target))


TARGETS = [
    "https://new.example{path}", "https://new.example", "https://new.example/?next={path}", "http://[::1]:8080/x#y", "/new{path}",
    "{scheme}://{host}{path}", "https://{host}:8443{path}?{query}", "https://www.{host}/", "/login?back={path}&q={query}",
     "/{host}/x",
    "https://new.example?x", "https://new.example#x", "https://{host}.new.example{path}", "/",
]  # fmt: skip


@given(st.sampled_from(TARGETS), st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="?#\\"), max_size=8))
def test_what_is_accepted_lets_nobody_choose_the_host(target: str, said: str) -> None:
    """But for the Host of the request itself."""
    assert values.redirect(target) == target
    told = Values(b"https", b"asked.example", b"/" + said.encode(), said.encode())
    plain = Values(b"https", b"asked.example", b"/", b"")
    location, usual = (urlsplit(RedirectTarget(target).render(each).decode()) for each in (told, plain))
    assert (location.scheme, location.netloc) == (usual.scheme, usual.netloc)
