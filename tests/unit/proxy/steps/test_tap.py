"""[tap.NAME]: whole conversations are told of, as plain HTTP/1.1, and nobody's secrets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lbproxy.config import model
from lbproxy.http.grammar import END
from tests.unit.proxy.h2_client import H2Client
from tests.unit.proxy.world import CHUNKED, EOF, World, get, ok, post


def tapped(route: dict[str, Any] | None = None, **settings: Any) -> World:
    """A world whose route has a tap."""
    return World(1, route=model.RouteConfig("app", tap="ids", **route or {}), tap=model.TapConfig(**settings, name="ids"))


def test_a_conversation() -> None:
    """As both said it, but for what is secret, in whatever spelling."""
    world = tapped()
    client = world.connect()
    client.feed(post(b"abc", "Cookie: me", "Authorization: Basic x", "X-A: b"))
    world.upstream.feed(ok(b"answer", "Set-Cookie: s=1", "X-C: d"))
    [(peer, here, port, request, answer)] = world.tapped
    assert (peer, here, port) == ("192.0.2.1", "127.0.0.1", 443)
    assert request == (
        b"POST / HTTP/1.1\r\nHost: example.org\r\nCookie: -\r\nAuthorization: -\r\nX-A: b\r\nContent-Length: 3\r\n\r\nabc"
    )
    head, _, body = answer.partition(END)
    assert body == b"answer"
    assert b"\r\nSet-Cookie: -\r\nX-C: d" in head
    assert head.endswith(b"\r\nContent-Length: 6")
    assert head.count(b"Content-Length") == 1
    assert world.inspected == ["tap taken"]
    assert [line["inspected"] for line in world.lines()] == ["tap=taken"]
    assert b"s=1" in client.take(), "the client gets what it should"
    world.at_rest()


def test_bodies_up_to_a_cap() -> None:
    """Without chunks; the length is that of what is there."""
    world = tapped(max_body=4, blank=())
    client = world.connect()
    client.feed(get("/", "Transfer-Encoding: chunked", "Cookie: a", method="PUT") + b"3\r\nabc\r\n")
    client.feed(b"3\r\ndef\r\n0\r\n\r\n")
    world.upstream.feed(CHUNKED + b"2\r\n12\r\n", b"4\r\n3456\r\n0\r\n\r\n")
    [(_, _, _, request, answer)] = world.tapped
    assert request.endswith(b"\r\nCookie: a\r\nContent-Length: 4\r\n\r\nabcd")
    assert answer.endswith(b"\r\nContent-Length: 4\r\n\r\n1234")
    assert b"hunked" not in request + answer
    world.at_rest()


def test_a_share_of_them() -> None:
    """By turns, exact."""
    world = tapped(percent=25)
    client = world.connect()
    for _ in range(8):
        client.feed(get())
        world.upstream.feed(ok())
    assert len(world.tapped) == 2


@pytest.mark.parametrize("how", ["refused", "gone", "full"])
def test_what_does_not_end_well(how: str) -> None:
    """A request without an answer is told of, too; a tap that is full holds up nobody."""
    world = tapped()
    client = world.connect()
    world.tap_full = how == "full"
    if how == "refused":
        world.refuse(0)
    client.feed(get("/a"))
    if how == "gone":
        client.feed(EOF)
    elif how == "full":
        world.upstream.feed(ok(b"mine"))
        assert client.take().endswith(b"mine")
    assert [(request[:7], answer) for _, _, _, request, answer in world.tapped] == ([] if how == "full" else [(b"GET /a ", b"")])
    assert world.inspected == [f"tap {'dropped' if how == 'full' else 'taken'}"]
    world.at_rest()


def test_over_http_2_and_compressed() -> None:
    """In lines of HTTP/1.1, as the backend has said it."""
    world = tapped({"compress": model.CompressConfig(min_length=0)})
    client = H2Client(world)
    client.ask()
    world.upstream.feed(ok(b"a" * 500, "Content-Type: text/css"))
    [(_, _, _, request, answer)] = world.tapped
    assert request.startswith(b"GET / HTTP/1.1\r\n")
    assert answer.endswith(END + b"a" * 500)


def test_heads_alone() -> None:
    """HEAD and 304: a length is that of what does not follow."""
    world = tapped()
    client = world.connect()
    client.feed(get(method="HEAD"))
    world.upstream.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")
    [(_, _, _, _, answer)] = world.tapped
    assert b"\r\nContent-Length: 9" in answer
    assert answer.endswith(END)


def test_what_became_of_it_is_in_the_log(tmp_path: Path) -> None:
    """Beside what other steps of the route made of the request, under one name."""
    world = tapped({"basic_auth": model.BasicAuthConfig(tmp_path / "users")})
    client = world.connect()
    client.feed(get())
    assert client.take().startswith(b"HTTP/1.1 401 ")
    assert [line["inspected"] for line in world.lines()] == ["basic_auth=denied tap=taken"]
