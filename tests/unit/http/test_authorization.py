"""Authorization by another server: what it is asked, and what its answer means."""

from __future__ import annotations

import pytest

from lbproxy.http.authorization import AuthorizationQuestion
from lbproxy.http.forwarding import Forwarder
from tests.unit.http.heads import asking, field_names, fields, response

QUESTION = AuthorizationQuestion(b"/verify?x=1", b"", ("Remote-User", "X-Forwarded-Groups"), "Remote-User")
CLIENT = Forwarder("2001:db8::1", "https", 443, ())


@pytest.mark.parametrize(
    "line",
    [
        b"X-Forwarded-Uri: /public", b"X-Forwarded-Method: GET", b"X-Forwarded-Prefix: /x", b"X_Forwarded_For: 1", b"X-Real-IP: 1",
        b"Forwarded: for=1", b"X-Original-URI: /public", b"X.Original.URL: /public", b"Content-Length: 0", b"Range: bytes=1-",
        b"If-Modified-Since: x", b"If-Range: x", b"Expect: 100-continue", b"Connection: close", b"Keep-Alive: 1", b"TE: trailers",
        b"Trailer: x", b"Upgrade: x", b"Content-Encoding: gzip", b"Remote-User: root", b"X_Y: 1", b"Client-Cert: x", b"Proxy: x",
        b"Proxy-Authorization: x",
    ],
)  # fmt: skip
def test_what_whoever_is_asked_does_not_get(line: bytes) -> None:
    """What frames the request, conditions it, is of one hop, or is only for proxies to say."""
    asked = QUESTION.head(asking(b"Example.ORG:8443", b"/a", b"Accept: */*", line), CLIENT)
    assert field_names(asked) == [
        "host", "accept", "x-forwarded-method", "x-forwarded-uri", "x-forwarded-host", "x-forwarded-proto", "x-forwarded-for",
        "x-original-method", "x-original-url", "via",
    ]  # fmt: skip
    assert dict(fields(asked))["x-forwarded-for"] == b"2001:db8::1"
    assert dict(fields(asked))["x-original-url"] == b"https://example.org:8443/a"


def test_who_logs_in_is_told() -> None:
    """Cookie, Authorization, and what wants to know how to answer."""
    asked = QUESTION.head(asking(b"a", b"/", b"Cookie: a=b", b"Authorization: Bearer x", b"Accept: text/html"), CLIENT)
    assert {"cookie", "authorization", "accept"} <= set(field_names(asked))


def test_fields_with_underscores_are_told_where_the_route_passes_them() -> None:
    """But for those that are another's in that clothing."""
    head = asking(b"a", b"/", b"X_Key: 1", b"X_Forwarded_Uri: /public").with_underscores()
    asked = QUESTION.head(head, CLIENT)
    assert dict(fields(asked))["x_key"] == b"1"
    assert "x_forwarded_uri" not in field_names(asked)


def test_an_answer_that_lets_it_pass() -> None:
    """All values of what is copied, but for empty ones, and each once."""
    said = response(b"Remote-User: alice", b"X-Forwarded-Groups: a", b"x-forwarded-groups: b", b"Set-Cookie: s=1", b"Remote-User:",
                    b"Remote_User: x", b"Remote-User: alice")  # fmt: skip
    verdict = QUESTION.verdict(said, b"")
    assert verdict.passes
    assert verdict.copied == b"\r\nRemote-User: alice\r\nX-Forwarded-Groups: a\r\nx-forwarded-groups: b"
    assert (verdict.user, verdict.cookies) == ("alice", b"\r\nSet-Cookie: s=1")


def test_an_answer_that_is_the_clients() -> None:
    """Its length is that of the body that is here, whatever it was framed by."""
    said = response(b"Content-Length: 9", b"Location: /x", b"Date: now", line=b"HTTP/1.1 302 Found")
    verdict = QUESTION.verdict(said, b"body")
    assert not verdict.passes
    assert verdict.copied == b""
    assert verdict.lines == b"\r\nLocation: /x\r\nDate: now\r\nVia: 1.1 lbproxy\r\nContent-Length: 4"
