"""Published faults of other servers and proxies, tried here: one test each, named after it. SECURITY.md lists them.

Each goes through a whole client connection: what is refused must not leave a byte at a backend, what is passed on must mean one
thing only. The bytes are those of the advisory where it shows any, else the shortest that fit its description.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lbproxy.config import model
from tests.unit.http.heads import field_names, values
from tests.unit.proxy.cves import REFUSED, SMUGGLED, Refused
from tests.unit.proxy.world import World, get, ok

END = b"\r\n\r\n"


def by_cve(case: Refused) -> str:
    return case.cve


@pytest.mark.parametrize("case", REFUSED, ids=by_cve)
def test_refused(case: Refused) -> None:
    """400, the end of the connection, and not a byte at a backend."""
    world = World(1)
    client = world.connect()
    client.feed(case.raw)
    assert world.outcomes() == [(400, case.reason)]
    assert client.end == "finish"
    assert world.dials == []


# ---------------------------------------------------------------- what is passed on means one thing


def forwarded(*fields: str, path: str = "/") -> bytes:
    """The head that a backend gets."""
    world = World(1)
    world.connect().feed(get(path, *fields))
    return world.upstream.sent


def test_cve_2016_5385() -> None:
    """httpoxy (PHP and others): Proxy becomes HTTP_PROXY."""
    assert "proxy" not in field_names(forwarded("Proxy: http://evil.example:8080"))


def test_cve_2021_40346() -> None:
    """HAProxy: a name of 270 bytes overflows, and its tail is another field. Here it is just a long name."""
    world = World(1)
    client = world.connect()
    name = "Content-Length0" + "a" * 255
    client.feed(get("/", f"{name}:", "Content-Length: 42", method="POST") + SMUGGLED)
    head, _, body = world.upstream.sent.partition(END)
    assert values(head + END, "content-length") == [b"42"]
    assert body == SMUGGLED, "the body of the one request"
    world.upstream.feed(ok())
    assert world.outcomes() == [(200, "")]


def test_cve_2018_14773() -> None:
    """Symfony, Zend, IIS: X-Original-URL is another path than the one that was routed."""
    names = field_names(forwarded("X-Original-URL: /admin", "X-Rewrite-Url: /admin", path="/public"))
    assert not {"x-original-url", "x-rewrite-url"} & set(names)


def test_cve_2022_31813() -> None:
    """Apache: Connection makes X-Forwarded-* disappear."""
    head = forwarded("Connection: close, X-Forwarded-For, X-Real-IP, Forwarded")
    assert values(head, "x-forwarded-for") == [b"192.0.2.1"]
    assert values(head, "x-real-ip") == [b"192.0.2.1"]
    assert values(head, "forwarded")


def test_cve_2024_45410() -> None:
    """Traefik: Connection makes X-Forwarded-Host and its kind disappear."""
    head = forwarded("Connection: X-Forwarded-Host, X-Forwarded-Port, X-Forwarded-Proto, X-Forwarded-Tls-Client-Cert")
    for name in ("x-forwarded-host", "x-forwarded-port", "x-forwarded-proto"):
        assert len(values(head, name)) == 1


def test_cve_2022_32148() -> None:
    """Go: an X-Forwarded-For that was told to stay away is passed on. Here the client's is replaced, always."""
    assert values(forwarded("X-Forwarded-For: 127.0.0.1", "x-forwarded-for: 10.0.0.1"), "x-forwarded-for") == [b"192.0.2.1"]


def test_cve_2024_45614() -> None:
    """Puma: X-Forwarded_For overwrites the proxy's X-Forwarded-For."""
    assert "x-forwarded_for" not in field_names(forwarded("X-Forwarded_For: 127.0.0.1", "X_Forwarded_For: 127.0.0.1"))


def test_cve_2021_42013() -> None:
    """Apache: doubly encoded dots. Decoded once, they are data; nothing behind us gets them decoded."""
    assert forwarded(path="/cgi-bin/%%32%65%%32%65/etc/passwd".replace("%%32%65", "%252e")).startswith(
        b"GET /cgi-bin/%252e%252e/etc/passwd HTTP/1.1\r\n"
    )
    world = World(1)
    world.connect().feed(get("/cgi-bin/%%32%65%%32%65/etc/passwd"))
    assert world.outcomes() == [(400, "target_escape")]
    assert world.dials == []


def test_cve_2023_25690() -> None:
    """Apache: an encoded line end in the path becomes one in the request to the backend. Here it stays encoded."""
    head = forwarded(path="/a%20HTTP/1.1%0d%0aFoo:%20baz%0d%0a%0d%0aGET%20/admin")
    assert head.count(END) == 1
    assert b"\r\nFoo:" not in head
    assert head.startswith(b"GET /a%20HTTP/1.1%0D%0AFoo:%20baz%0D%0A%0D%0AGET%20/admin HTTP/1.1\r\n")


@pytest.mark.parametrize("whose", ["CVE-2025-12642", "CVE-2023-45648", "CVE-2025-53643", "CVE-2025-58068"])
def test_trailers(whose: str) -> None:
    """lighttpd, Tomcat, aiohttp, eventlet: trailers that become fields, or the next request. Here they are checked and dropped."""
    world = World(1)
    client = world.connect()
    trailers = b"0\r\nContent-Length: 42\r\nX-Forwarded-For: 127.0.0.1\r\nGET: /admin HTTP/1.1\r\n\r\n"
    client.feed(get("/", "Transfer-Encoding: chunked", method="POST") + b"5\r\nhello\r\n" + trailers)
    head, _, body = world.upstream.sent.partition(END)
    assert "content-length" not in field_names(head + END)
    assert body == b"5\r\nhello\r\n0\r\n\r\n"
    world.upstream.feed(ok())
    assert world.outcomes() == [(200, "")]
    assert len(world.dials) == 1


# ---------------------------------------------------------------- who reads the body, and what follows it


def test_cve_2019_20372() -> None:
    """nginx: the body of a request that is answered with an error page is the next request. Here it is read, or the end."""
    world = World(1, route=model.RouteConfig("app", host="other.example"))
    client = world.connect()
    client.feed(get("/", f"Content-Length: {len(SMUGGLED)}", method="POST"))
    assert client.take().startswith(b"HTTP/1.1 404 ")
    assert client.end == "finish", "the body is on its way still"
    client.feed(SMUGGLED)
    assert world.outcomes() == [(404, "no_route")]


def test_cve_2025_4366() -> None:
    """Pingora: an answer from elsewhere leaves the body unread, as the next request. The body here: not a request of its own."""
    world = World(1, route=model.RouteConfig("app", host="other.example"))
    client = world.connect()
    client.feed(get("/", f"Content-Length: {len(SMUGGLED)}", method="POST") + SMUGGLED)
    assert world.outcomes() == [(404, "no_route")]
    assert client.take().count(b"HTTP/1.1 ") == 1


def test_cve_2022_22720() -> None:
    """Apache: the connection stays open when a body cannot be discarded."""
    world = World(1)
    client = world.connect()
    client.feed(get("/", "Transfer-Encoding: chunked", method="POST") + b"5\r\nhello\r\n")
    client.feed(b"x\r\n" + SMUGGLED)
    assert world.outcomes() == [(400, "bad_chunk")]
    assert client.end == "finish"
    assert world.upstream.end == "abort"
    assert b"/admin" not in world.upstream.sent


def test_cve_2024_49768() -> None:
    """waitress: a pipelined request is served after one that was refused."""
    world = World(1)
    client = world.connect()
    client.feed(get("/", ": x") + SMUGGLED)
    assert world.outcomes() == [(400, "field_name")]
    assert client.end == "finish"
    assert world.dials == []


@pytest.mark.parametrize("whose", ["CVE-2023-46137", "CVE-2024-41671"])
def test_pipelined(whose: str) -> None:
    """Twisted: answers to pipelined requests change places. Here the next request begins when the last answer is out."""
    world = World(1)
    client = world.connect()
    client.feed(get("/first") + get("/second"))
    assert b"/second" not in world.upstream.sent
    world.upstream.feed(ok(b"first"))
    assert client.take().endswith(b"first")
    world.upstream.feed(ok(b"second"))
    assert client.take().endswith(b"second")


@pytest.mark.parametrize("whose", ["CVE-2026-2833", "CVE-2024-23326"])
def test_upgrade_that_is_not_agreed_to(whose: str) -> None:
    """Pingora, Envoy: bytes behind a request for an upgrade reach the backend before, or though it never, says 101."""
    world = World(1)
    client = world.connect()
    key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
    client.feed(get("/", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", key) + SMUGGLED)
    assert b"/admin" not in world.upstream.sent
    world.upstream.feed(ok())  # no 101
    client.take()
    if not client.end:  # then what stands behind it is a request like any other: parsed, routed, rewritten, logged
        assert values(world.upstream.sent[world.upstream.sent.index(b"GET /admin") :], "x-real-ip") == [b"192.0.2.1"]
        world.upstream.feed(ok())
        assert [line["path"] for line in world.lines()] == ["/", "/admin"]


# ---------------------------------------------------------------- what backends answer


@pytest.mark.parametrize(
    ("cve", "answer"),
    [
        (
            "CVE-2023-27522",
            b"HTTP/1.1 200 OK\r\nX: a\rSet-Cookie: b\r\nContent-Length: 0\r\n\r\n",
        ),  # Apache: split answers of uwsgi
        ("CVE-2026-34520", b"HTTP/1.1 200 OK\r\nX: a\x00b\r\nContent-Length: 0\r\n\r\n"),  # aiohttp: NUL in an answer's fields
        ("CVE-2018-1000164", b"HTTP/1.1 200 OK\r\nX: a\nSet-Cookie: b\r\nContent-Length: 0\r\n\r\n"),  # gunicorn: split answers
    ],
)
def test_split_answers(cve: str, answer: bytes) -> None:
    """What an application was tricked into sending is a 502, not two answers."""
    world = World(1)
    client = world.connect()
    client.feed(get())
    world.upstream.feed(answer)
    assert world.outcomes() == [(502, "response_bare_lf" if b"a\n" in answer else "response_malformed")]
    assert b"Set-Cookie" not in client.take()


# ---------------------------------------------------------------- slow and large


def test_cve_2007_6750() -> None:
    """Apache (Slowloris): a head that drips holds a connection for ever."""
    world = World(1)
    client = world.connect()
    client.feed(b"GET / HTTP/1.1\r\nHost: a\r\n")
    for _ in range(60):
        if client.end:
            break
        client.feed(b"X: y\r\n")
        world.pass_time(1.0)
    assert world.outcomes() == [(408, "head_timeout")]
    assert world.now <= 1000.0 + 11.0


# ---------------------------------------------------------------- the list


def test_security_md_lists_them_all() -> None:
    """What is tried here stands in SECURITY.md, and the other way round."""
    folder = Path(__file__).parent
    text = "".join((folder / name).read_text(encoding="utf-8") for name in ("cves.py", "test_cves.py"))
    here = {f"{year}-{number}" for year, number in re.findall(r"(?i)cve[-_]([0-9]{4})[-_]([0-9]+)", text)}
    told = set(re.findall(r"CVE-([0-9]{4}-[0-9]+)", (folder.parents[2] / "SECURITY.md").read_text(encoding="utf-8")))
    assert here == told
