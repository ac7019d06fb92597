"""What is none of a proxy's business passes through as it came: targets, field order and bytes, cookies, odd statuses, trailers."""

from __future__ import annotations

import json

import pytest

from tests.conftest import Stage
from tests.support.backends import Conversation, Scripted
from tests.support.process import LbProxy

TARGETS = [
    "/a//b/c//",
    "/?",
    "/??a=b?c&%2e=%zz",
    "/a;b=c,d@e:f!$&'()*+",
    "/~user/%E2%82%AC/%2Fx",
    "/" + "long/" * 1500,
]


@pytest.mark.parametrize("target", TARGETS)
def test_targets(stage: Stage, proxy: LbProxy, target: str) -> None:
    """The backend sees a target in normal form byte for byte."""
    response = stage.client(proxy).request("GET", target)
    assert json.loads(response.body)["target"] == target


@pytest.fixture(scope="module")
def two_pools(standing: Stage) -> LbProxy:
    """A pool for /admin, and one for the rest."""
    admin, public = standing.app("admin"), standing.app("public")
    config = standing.config(public.address)
    config["pool"]["admin"] = {"backends": [admin.address]}
    config["route"] = [{"path": "/admin", "pool": "admin"}, {"pool": "app"}]
    return standing.run(config)


@pytest.mark.parametrize(("target", "normal"), [
    ("/x/../admin", "/admin"),
    ("/x/%2e%2e/admin", "/admin"),
    ("/%61dmin", "/admin"),
    ("/a/./b", "/a/b"),
    ("/%e2%82%ac", "/%E2%82%AC"),
])  # fmt: skip
def test_routing_and_backend_see_one_path(stage: Stage, two_pools: LbProxy, target: str, normal: str) -> None:
    """Spellings of one path are brought into one form (RFC 3986 6.2.2), so that no route can be slipped past."""
    seen = json.loads(stage.client(two_pools).request("GET", target).body)
    assert seen["target"] == normal
    assert seen["name"] == ("admin" if normal == "/admin" else "public")


@pytest.mark.parametrize("target", ["/../x", "/a%00b", "/a\\b", "/a/..;x/b", "/a%2F..%2Fb", "/100%", "/a#b"])
def test_treacherous_targets(stage: Stage, proxy: LbProxy, target: str) -> None:
    """What different parsers read differently is refused."""
    assert stage.client(proxy).request("GET", target).status == 400


def test_absolute_form(stage: Stage, proxy: LbProxy) -> None:
    """GET http://host/path is the same request as GET /path, and the backend gets it in that form."""
    client = stage.client(proxy)
    client.send(b"GET http://site.test/x?y HTTP/1.1\r\nHost: site.test\r\n\r\n")
    seen = json.loads(client.response().body)
    assert seen["target"] == "/x?y"
    assert [value for name, value in seen["fields"] if name.lower() == "host"] == ["site.test"]


def test_options_asterisk(stage: Stage, proxy: LbProxy) -> None:
    """OPTIONS * stays an asterisk."""
    client = stage.client(proxy)
    assert json.loads(client.request("OPTIONS", "*").body)["target"] == "*"


def test_request_fields(stage: Stage, proxy: LbProxy) -> None:
    """Order, repetition, case and bytes of end-to-end fields."""
    sent = [
        ("X-B", "1"),
        ("x-a", "2"),
        ("X-B", "3"),
        ("Cookie", "a=b; c=d"),
        ("Authorization", "Basic eDp5"),
        ("X-Empty", ""),
        ("X-Latin", "caf\xe9"),
        ("X-Long", "v" * 6000),
        ("X-Comma", "a, b,,c"),
    ]
    client = stage.client(proxy)
    seen = json.loads(client.request("GET", "/", sent).body)["fields"]
    names = {name.lower() for name, _ in sent}
    assert [(name.lower(), value.strip()) for name, value in seen if name.lower() in names] == [(n.lower(), v) for n, v in sent]


def test_response_fields(stage: Stage) -> None:
    """The same for responses: several Set-Cookie stay several, an odd status and reason stay odd."""

    def script(conversation: Conversation) -> None:
        while True:
            conversation.read_head()
            conversation.send(
                b"HTTP/1.1 299 Quite fine, really\r\nSet-Cookie: a=1; Path=/\r\nX-Z: last\r\nSet-Cookie: b=2\r\n"
                b"Date: Thu, 01 Jan 1970 00:00:00 GMT\r\nServer: theirs\r\nX-Latin: caf\xe9\r\nContent-Length: 2\r\n\r\nok"
            )

    with Scripted(script) as backend:
        response = stage.client(stage.proxy(backend.address)).request()
        assert (response.status, response.reason, response.body) == (299, "Quite fine, really", b"ok")
        assert response.all("set-cookie") == ["a=1; Path=/", "b=2"]
        assert response.get("date") == "Thu, 01 Jan 1970 00:00:00 GMT"
        assert response.get("server") is None  # unless kept
        assert response.get("x-latin") == "caf\xe9"


def test_response_in_pieces(stage: Stage) -> None:
    """A response that comes byte by byte, chunked with extensions and trailers, is the same response."""
    whole = (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
        b"5;name=value\r\nhello\r\n1\r\n \r\n0005\r\nworld\r\n0\r\nX-Sum: 42\r\n\r\n"
    )

    def script(conversation: Conversation) -> None:
        while True:
            conversation.read_head()
            for at in range(len(whole)):
                conversation.send(whole[at : at + 1])

    with Scripted(script) as backend:
        client = stage.client(stage.proxy(backend.address))
        for _ in range(3):
            assert client.request().body == b"hello world"


@pytest.mark.parametrize("length", [0, 1, 16_383, 16_384, 16_385, 65_535, 65_536, 65_537, 262_143, 262_145, 1_000_003])
def test_sizes_around_buffers(stage: Stage, proxy: LbProxy, length: int) -> None:
    """Bodies of sizes at which buffers end, both ways, counted and chunked."""
    client = stage.client(proxy)
    body = bytes(number * 7 % 256 for number in range(1009)) * (length // 1009 + 1)
    body = body[:length]
    client.send_head("POST", "/mirror", length=length)
    client.send(body)
    assert client.response("POST").body == body
    other = stage.client(proxy)
    other.send_head("POST", "/mirror", [("Transfer-Encoding", "chunked")])
    other.send((b"%x\r\n%b\r\n" % (length, body) if length else b"") + b"0\r\n\r\n")
    assert other.response("POST").body == body
