"""Where a request belongs."""

from __future__ import annotations

import pytest

from lbproxy.balance.selection import Preference
from lbproxy.balance.source_hash import HashRing, number_of
from lbproxy.balance.sticky import Words
from lbproxy.http.forwarding import Forwarder
from lbproxy.http.h1.request import parse_request
from lbproxy.http.message import RequestHead
from lbproxy.proxy.affinity import Affinity, Source, StickyCookie

WORDS = Words(b"s" * 32, ["app/a", "app/b", "app/c"])
RING = HashRing(["a", "b", "c"], [1, 1, 1])
FORWARDER = Forwarder("192.0.2.7", "https", 443, ())


def head(*fields: str) -> RequestHead:
    return parse_request("\r\n".join(["GET / HTTP/1.1", "Host: a", *fields, "", ""]).encode(), 8192, 100)


@pytest.mark.parametrize(
    ("source", "fields", "value"),
    [
        (Source("address"), [], b"192.0.2.7"),
        (Source("header", b"x-user"), ["X-User: ann"], b"ann"),
        (Source("header", b"x-user"), [], b""),
        (Source("cookie", b"sid"), ["Cookie: x=1; sid=7"], b"7"),
        (Source("cookie", b"sid"), ["Cookie: x=1"], b""),
    ],
)
def test_sources(source: Source, fields: list[str], value: bytes) -> None:
    """What is hashed; a request that does not say it has no preference."""
    request = head(*fields)
    assert source.of(request, FORWARDER) == value
    wanted = Preference(-1, number_of(value), RING, repeatable=True) if value else Preference(repeatable=True)
    assert Affinity(source, RING).preference(request, FORWARDER) == wanted


def test_a_client_behind_a_trusted_proxy_is_told_by_the_proxy() -> None:
    """Else all clients of that proxy would share a backend."""
    from ipaddress import ip_network

    forwarder = Forwarder("10.0.0.1", "https", 443, (ip_network("10.0.0.0/8"),))
    assert Source("address").of(head("X-Forwarded-For: 203.0.113.9"), forwarder) == b"203.0.113.9"


def test_the_cookie_goes_out_until_it_comes_back() -> None:
    """A client without one, with a strange one, and with that of another backend gets the one of where it was served."""
    affinity = Affinity(sticky=StickyCookie("srv", WORDS, "lax", 0))
    word = WORDS.of(1).decode()
    for fields in ([], ["Cookie: srv=nonsense"], [f"Cookie: srv={WORDS.of(0).decode()}"]):
        wanted = affinity.preference(head(*fields), FORWARDER)
        line = affinity.lines(wanted, 1, secure=True)
        assert line == f"\r\nSet-Cookie: srv={word}; Path=/; HttpOnly; SameSite=Lax; Secure".encode()
    known = affinity.preference(head(f"Cookie: srv={word}"), FORWARDER)
    assert known == Preference(1, repeatable=True)
    assert affinity.lines(known, 1, secure=True) == b""


@pytest.mark.parametrize(
    ("same_site", "max_age", "secure", "end"),
    [
        ("lax", 0, False, b"; Path=/; HttpOnly; SameSite=Lax"),
        ("strict", 60, True, b"; Path=/; Max-Age=60; HttpOnly; SameSite=Strict; Secure"),
        ("none", 0, False, b"; Path=/; HttpOnly; SameSite=None; Secure"),
    ],
)
def test_attributes(same_site: str, max_age: int, secure: bool, end: bytes) -> None:
    """Secure where it can come back, and where a browser would refuse it otherwise."""
    assert StickyCookie("srv", WORDS, same_site, max_age).line(0, secure=secure).endswith(end)


def test_both() -> None:
    """The cookie first, then the source."""
    affinity = Affinity(Source("address"), RING, StickyCookie("srv", WORDS, "lax", 0))
    wanted = affinity.preference(head(f"Cookie: srv={WORDS.of(2).decode()}"), FORWARDER)
    assert wanted == Preference(2, number_of(b"192.0.2.7"), RING, repeatable=True)
