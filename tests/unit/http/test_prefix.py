"""A prefix in place of another, there and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproxy.config.model import PathRulesConfig
from lbproxy.http.prefix import Prefix, PrefixRequest, resolved, under
from tests.unit.http.work import growth

STRIP = Prefix(PathRulesConfig(strip="/app"), ["10.0.0.1:8080", "app.internal:80", "[fd00::1]:8080"])
ADD = Prefix(PathRulesConfig(add="/v1"))
SWAP = Prefix(PathRulesConfig(replace=("/old", "/new")))
BOTH = Prefix(PathRulesConfig(strip="/app", add="/v1"))
NESTED = Prefix(PathRulesConfig(replace=("/app/v1", "/app")))
ASKED = PrefixRequest(b"www.example.com", b"/x/y")


@pytest.mark.parametrize(("prefix", "path", "forwarded"), [
    (STRIP, b"/app", b"/"), (STRIP, b"/app/", b"/"), (STRIP, b"/app/x/", b"/x/"), (STRIP, b"/app//x", b"/x"),
    (STRIP, b"/app//", b"/"), (STRIP, b"/apple", b"/apple"), (STRIP, b"*", b"*"), (STRIP, b"/app/%2Fx", b"/%2Fx"),
    (ADD, b"/", b"/v1/"), (ADD, b"/x", b"/v1/x"), (ADD, b"*", b"*"), (ADD, b"//x", b"/v1//x"),
    (SWAP, b"/old", b"/new"), (SWAP, b"/old/x", b"/new/x"), (BOTH, b"/app", b"/v1"), (BOTH, b"/app/x", b"/v1/x"),
])  # fmt: skip
def test_forward(prefix: Prefix, path: bytes, forwarded: bytes) -> None:
    """Whole segments; what is left begins with one slash, for two would name a host to whoever sends it back."""
    assert prefix.forward(path) == forwarded


@pytest.mark.parametrize(("prefix", "sent", "out"), [
    (STRIP, b"GET /app?a=/app HTTP/1.1\r\nA: b\r\n\r\n", b"GET /?a=/app HTTP/1.1\r\nA: b\r\nX-Forwarded-Prefix: /app\r\n\r\n"),
    (STRIP, b"GET /app/x HTTP/1.1\r\nA: ?\r\n\r\n", b"GET /x HTTP/1.1\r\nA: ?\r\nX-Forwarded-Prefix: /app\r\n\r\n"),
    (ADD, b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n", b"GET /v1/x HTTP/1.1\r\nHost: a\r\n\r\n"),
    (BOTH, b"GET /app/x HTTP/1.1\r\n\r\n", b"GET /v1/x HTTP/1.1\r\n\r\n"),
    (ADD, b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"),
])  # fmt: skip
def test_requests(prefix: Prefix, sent: bytes, out: bytes) -> None:
    """The path, never the query; who is told what was taken off can say it himself."""
    assert prefix.request(sent) == out


@pytest.mark.parametrize(("said", "told"), [
    (b"X-Forwarded-Prefix: /outer", b"/outer/app"), (b"x-forwarded-prefix:/a/b ", b"/a/b/app"), (b"X-Forwarded-Prefix: /", b"/app"),
    (b"X-Forwarded-Prefix: //evil", b"/app"), (b"X-Forwarded-Prefix: /a, /b", b"/app"), (b"X-Forwarded-Prefix: ", b"/app"),
    (b"X-Forwarded-Prefix: /a\r\nX-Forwarded-Prefix: /b", b"/app"),
])  # fmt: skip
def test_a_prefix_in_front_of_ours(said: bytes, told: bytes) -> None:
    """Of a trusted proxy (others cannot send any): one whole, and nothing that is none."""
    out = STRIP.request(b"GET /app/x HTTP/1.1\r\n" + said + b"\r\nA: b\r\n\r\n")
    assert out == b"GET /x HTTP/1.1\r\nA: b\r\nX-Forwarded-Prefix: " + told + b"\r\n\r\n"
    assert b"Prefix" not in STRIP.request(b"GET /app HTTP/1.1\r\nA: b\r\n\r\n", says_prefix=False)


def led(prefix: Prefix, line: bytes, asked: PrefixRequest = ASKED) -> bytes:
    raw = b"HTTP/1.1 302 Found\r\nA: /x\r\n" + line + b"\r\nContent-Length: 0\r\n\r\n"
    out = prefix.lead_back(raw, asked)
    assert out.startswith(b"HTTP/1.1 302 Found\r\nA: /x\r\n")
    assert out.endswith(b"\r\nContent-Length: 0\r\n\r\n")
    return out[len(b"HTTP/1.1 302 Found\r\nA: /x\r\n") : -len(b"\r\nContent-Length: 0\r\n\r\n")]


@pytest.mark.parametrize(("prefix", "url", "back"), [
    (STRIP, b"/", b"/app/"), (STRIP, b"/login?next=/x#y", b"/app/login?next=/x#y"), (STRIP, b"/?a", b"/app/?a"),
    (STRIP, b"/app/login", b"/app/login"), (STRIP, b"/app", b"/app"), (STRIP, b"/app?x", b"/app?x"),
    (STRIP, b"/apple", b"/app/apple"),
    (STRIP, b"http://www.example.com/x", b"http://www.example.com/app/x"), (STRIP, b"HTTPS://WWW.example.com:443/x",
     b"HTTPS://WWW.example.com:443/app/x"), (STRIP, b"https://www.example.com", b"https://www.example.com/app/"),
    (STRIP, b"https://www.example.com?a", b"https://www.example.com/app/?a"),
    (STRIP, b"//www.example.com/x", b"//www.example.com/app/x"), (STRIP, b"http://10.0.0.1:8080/x", b"/app/x"),
    (STRIP, b"http://APP.internal/x?y", b"/app/x?y"), (STRIP, b"http://[fd00::1]:8080/", b"/app/"),
    (STRIP, b"http://10.0.0.1/x", b"http://10.0.0.1/x"), (STRIP, b"https://other.example/x", b"https://other.example/x"),
    (STRIP, b"//other.example/x", b"//other.example/x"), (STRIP, b"mailto:a@b", b"mailto:a@b"), (STRIP, b"", b""),
    (STRIP, b"?a=b", b"?a=b"), (STRIP, b"#a", b"#a"), (STRIP, b"z", b"/app/x/z"), (STRIP, b"../z?q", b"/app/z?q"),
    (STRIP, b"../../../z", b"/app/z"), (STRIP, b".", b"/app/x/"), (STRIP, b"https://www.example.com@evil.example/x",
     b"https://www.example.com@evil.example/x"), (STRIP, b"/\\evil.example", b"/app/\\evil.example"),
    (ADD, b"/v1/login", b"/login"), (ADD, b"/v1", b"/"), (ADD, b"/v1?a", b"/?a"), (ADD, b"/login", b"/login"),
    (ADD, b"/v12", b"/v12"), (ADD, b"/v1//evil.example/x", b"/evil.example/x"),
    (ADD, b"/v1/\\evil.example/x", b"/evil.example/x"), (SWAP, b"/new/x", b"/old/x"), (SWAP, b"/new", b"/old"),
    (SWAP, b"/old/x", b"/old/x"), (SWAP, b"/x", b"/x"), (BOTH, b"/v1/x", b"/app/x"), (BOTH, b"/x", b"/x"),
    (NESTED, b"/app/x", b"/app/v1/x"), (NESTED, b"/app/v1/x", b"/app/v1/x"), (NESTED, b"/x", b"/x"),
])  # fmt: skip
def test_places(prefix: Prefix, url: bytes, back: bytes) -> None:
    """Its own are led back, by whatever host it knows itself; others', and those that are led back already, are left alone."""
    for name in (b"Location: ", b"content-location:", b"CONTENT-LOCATION: "):
        assert led(prefix, name + url) == name + back


@pytest.mark.parametrize(("refresh", "back"), [
    (b"0; url=/login", b"0; url=/app/login"), (b"5;URL='/x?a'", b"5;URL='/app/x?a'"),
    (b'1.5 ; url = "/x"', b'1.5 ; url = "/app/x"'),
    (b"0,/x", b"0,/app/x"), (b"5", b"5"), (b"5; url=https://other.example/", b"5; url=https://other.example/"), (b"", b""),
])  # fmt: skip
def test_refresh(refresh: bytes, back: bytes) -> None:
    """In every form that browsers take."""
    assert led(STRIP, b"Refresh: " + refresh) == b"Refresh: " + back


@pytest.mark.parametrize(("prefix", "cookie", "back"), [
    (STRIP, b"a=b; Path=/", b"a=b; Path=/app"), (STRIP, b"a=b;path=/x; HttpOnly", b"a=b;path=/app/x; HttpOnly"),
    (STRIP, b"a=b", b"a=b"), (STRIP, b"path=/; Path=/app/", b"path=/; Path=/app/"), (STRIP, b"a=b; Path", b"a=b; Path"),
    (STRIP, b"a=b; Path=x", b"a=b; Path=x"), (STRIP, b"a=b; Path=/; Path=/y", b"a=b; Path=/app; Path=/app/y"),
    (STRIP, b"__Host-a=b; Path=/; Secure", b"__Host-a=b; Path=/; Secure"), (ADD, b"a=b; Path=/v1", b"a=b; Path=/"),
    (ADD, b"a=b; Path=/v1/x", b"a=b; Path=/x"), (ADD, b"a=b; Path=/", b"a=b; Path=/"),
    (SWAP, b"a=b; Path=/new/", b"a=b; Path=/old/"),
    (STRIP, b"a=b; Domain=app.internal", b"a=b; Domain=www.example.com"), (STRIP, b"a=b; domain=.APP.internal; x",
     b"a=b; domain=www.example.com; x"), (STRIP, b"a=b; Domain=internal; Path=/", b"a=b; Domain=www.example.com; Path=/app"),
    (STRIP, b"a=b; Domain=10.0.0.1", b"a=b; Domain=www.example.com"),
    (STRIP, b"a=b; Domain=example.com", b"a=b; Domain=example.com"),
    (STRIP, b"a=b; Domain=other.example", b"a=b; Domain=other.example"), (STRIP, b"a=b; Domain=", b"a=b; Domain="),
    (STRIP, b"domain=app.internal", b"domain=app.internal"),
])  # fmt: skip
def test_cookies(prefix: Prefix, cookie: bytes, back: bytes) -> None:
    """Path and Domain, whose value says what it must; never the cookie itself."""
    assert led(prefix, b"Set-Cookie: " + cookie) == b"Set-Cookie: " + back


@pytest.mark.parametrize("authority", [b"localhost:8443", b"127.0.0.1", b"[::1]:8443", b""])
def test_domains_that_browsers_do_not_take(authority: bytes) -> None:
    """A cookie for the backends' host is for the host that was asked, then."""
    assert led(STRIP, b"Set-Cookie: a=b; Domain=app.internal; Secure", PrefixRequest(authority, b"/")) == b"Set-Cookie: a=b; Secure"


def test_a_host_that_a_rule_has_set() -> None:
    """The backend knows itself by it."""
    asked = PrefixRequest(b"www.example.com", b"/", b"inner.example:8080")
    assert led(STRIP, b"Location: http://inner.example:8080/x", asked) == b"Location: /app/x"
    assert led(STRIP, b"Set-Cookie: a=b; Domain=inner.example", asked) == b"Set-Cookie: a=b; Domain=www.example.com"


def test_several_lines() -> None:
    """Each; and a head in which nothing stands is the same object."""
    raw = b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b; Path=/\r\nSet-Cookie: c=d; Path=/x\r\nLocation: /y\r\n\r\n"
    back = b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b; Path=/app\r\nSet-Cookie: c=d; Path=/app/x\r\nLocation: /app/y\r\n\r\n"
    assert STRIP.lead_back(raw, ASKED) == back
    assert STRIP.lead_back(raw.replace(b"\r\n", b"\n"), ASKED) == back.replace(b"\r\n", b"\n")
    plain = b"HTTP/1.1 200 OK\r\nX-Location: /y\r\nA: Location: /y\r\n\r\n"
    assert STRIP.lead_back(plain, ASKED) is plain


@pytest.mark.parametrize(("base", "reference", "path"), [
    (b"/", b"a", b"/a"), (b"/a", b"b", b"/b"), (b"/a/", b"b", b"/a/b"), (b"/a/b/c", b"../d", b"/a/d"),
    (b"/a/b/c", b"./d/..", b"/a/b/"),
    (b"/a", b"../../b?../c", b"/b?../c"), (b"/a/b", b".#x", b"/a/#x"), (b"/", b".//evil", b"/evil"), (b"*", b"a", b"/a"),
])  # fmt: skip
def test_relative_references(base: bytes, reference: bytes, path: bytes) -> None:
    """As a browser that stood where the backend stands would read them."""
    assert resolved(base, reference) == path


@given(
    st.sampled_from([STRIP, ADD, SWAP, BOTH, NESTED]),
    st.lists(st.sampled_from([b"/", b"app", b"v1", b"new", b"old", b"x", b"evil.example", b"..", b"\\", b"?", b"#", b"%2F"])),
)
def test_nothing_becomes_another_host(prefix: Prefix, parts: list[bytes]) -> None:
    """What names a path before names one afterwards; and what is forwarded begins with one slash, unless that stood there."""
    url = b"/" + b"".join(parts)
    if url[:2] not in (b"//", b"/\\"):
        back = led(prefix, b"Location: " + url).removeprefix(b"Location: ")
        assert back[:1] == b"/"
        assert back[1:2] not in (b"/", b"\\")
    path = url.partition(b"?")[0].partition(b"#")[0]
    if under(path, prefix.front) and path[:2] != b"//":
        assert prefix.forward(path)[:2] != b"//"


@pytest.mark.parametrize("piece", [b"Set-Cookie: a=b; Path=/\r\n", b"Location: ", b"; Path=/", b"../", b"a:", b"\r\n"])
def test_the_work_is_linear(piece: bytes) -> None:
    """Of heads that a hostile backend makes up: eight times as much takes about eight times as long."""

    def lead(head: bytes) -> None:
        for front in (b"Set-Cookie: a=b", b"Location: ", b"Refresh: 0;"):
            STRIP.lead_back(b"HTTP/1.1 200 OK\r\n" + front + head + b"\r\n\r\n", ASKED)

    assert growth(lead, piece * 200, piece * 1600) < 24
