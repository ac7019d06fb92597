"""Upgrades: a tunnel opens only after a 101 that was asked for, and bytes that come before it are never read as a request."""

from __future__ import annotations

import pytest

from tests.unit.proxy.tunnels import ASK, GRANT, ended, tunnels
from tests.unit.proxy.world import EOF, LOST, World, get, ok, post

KEY, ACCEPT = "dGhlIHNhbXBsZSBub25jZQ==", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


# ---------------------------------------------------------------- opening


def test_the_101_is_passed_on_with_its_own_fields() -> None:
    world = World()
    client = world.connect()
    client.feed(ASK)
    asked = world.upstream.take()
    assert b"\r\nConnection: Upgrade\r\nUpgrade: raw/1\r\n" in asked
    world.upstream.feed(GRANT)
    assert client.take() == (
        b"HTTP/1.1 101 Switching Protocols\r\nX-Own: 1\r\nVia: 1.1 lbproxy\r\nConnection: Upgrade\r\nUpgrade: raw/1\r\n\r\n"
    )
    client.feed(EOF)
    world.upstream.feed(EOF)
    ended(world, "")


def test_a_websocket() -> None:
    """Its handshake arrives whole on both sides."""
    world = World()
    client = world.connect()
    client.feed(get("/", "Connection: keep-alive, Upgrade", "Upgrade: websocket", f"Sec-WebSocket-Key: {KEY}", "Origin: https://a"))
    asked = world.upstream.take()
    assert f"\r\nSec-WebSocket-Key: {KEY}\r\nOrigin: https://a\r\n".encode() in asked
    accept = f"Sec-WebSocket-Accept: {ACCEPT}\r\nSec-WebSocket-Protocol: chat"
    world.upstream.feed(
        f"HTTP/1.1 101 OK\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{accept}\r\n\r\n\x81\x02hi".encode("latin-1")
    )
    got = client.take()
    assert accept.encode() in got
    assert got.endswith(b"\r\n\r\n\x81\x02hi"), "what came with the 101 belongs to the client"
    client.feed(LOST)
    ended(world, "tunnel_client_lost")


def test_interim_answers_come_first() -> None:
    world = World()
    client = world.connect()
    client.feed(ASK)
    world.upstream.feed(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + GRANT + b"x")
    got = client.take()
    assert got.index(b"HTTP/1.1 103") < got.index(b"HTTP/1.1 101")
    assert got.endswith(b"\r\n\r\nx")
    client.feed(LOST)
    ended(world, "tunnel_client_lost")


@pytest.mark.parametrize(("ask", "answer", "reason"), [
    (get(), GRANT, "response_unexpected_101"),
    (get("/", "Upgrade: raw/1"), GRANT, "response_unexpected_101"),
    (get("/", "Connection: Upgrade", "Upgrade: raw/1", method="PUT"), GRANT, "response_unexpected_101"),
    (get("/", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AA"), GRANT, "response_unexpected_101"),
    (ASK, GRANT.replace(b"Upgrade: raw/1", b"Upgrade: h2c"), "response_other_101"),
    (ASK, b"HTTP/1.1 101 OK\r\n\r\n", "response_other_101"),
    (get("/", "Connection: Upgrade", "Upgrade: websocket", f"Sec-WebSocket-Key: {KEY}"),
     b"HTTP/1.1 101 OK\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", "response_forged_101"),
], ids=["plain", "not nominated", "put", "h2c", "other protocol", "bare", "no digest"])  # fmt: skip
def test_a_fake_101_opens_no_tunnel(ask: bytes, answer: bytes, reason: str) -> None:
    """WebSocket smuggling: a 101 that is no switch must not end our reading; what the client sends behind it goes nowhere."""
    world = World(backends=1)
    client = world.connect()
    client.feed(ask)
    client.feed(get("/admin"))
    world.upstream.feed(answer)
    assert client.take().startswith(b"HTTP/1.1 502 ")
    assert b"/admin" not in b"".join(upstream.sent for upstream in world.upstreams[:1])
    assert world.upstreams[0].end == "abort"
    assert world.outcomes()[0] == (502, reason)
    assert tunnels(world) == 0


# ---------------------------------------------------------------- bytes before the answer


@pytest.mark.parametrize("when", ["with the request", "before the answer"])
def test_early_bytes_belong_to_the_tunnel(when: str) -> None:
    """A client that does not wait for the 101: the backend gets its bytes behind the 101, as they are, and not before."""
    world = World()
    client = world.connect()
    smuggled = get("/admin")
    if when == "with the request":
        client.feed(ASK + smuggled)
    else:
        client.feed(ASK)
        client.feed(smuggled)
    backend = world.upstream
    assert b"/admin" not in backend.take()
    backend.feed(GRANT)
    assert backend.take() == smuggled, "raw: it is no request any more"
    assert len(world.dials) == 1
    client.feed(EOF)
    backend.feed(EOF)
    [line] = world.lines()
    assert line["bytes_in"] == len(ASK + smuggled)
    world.at_rest()


@pytest.mark.parametrize("when", ["with the request", "before the answer", "after the answer"])
@pytest.mark.parametrize(
    "answer", [ok(), ok(status="426 Upgrade Required"), ok(status="403 Forbidden"), b"HTTP/1.1 204 No Content\r\n\r\n"]
)
def test_early_bytes_are_no_request_when_the_upgrade_is_refused(when: str, answer: bytes) -> None:
    """They were meant for the other protocol: a page that can make a client send bytes must not make it send requests."""
    world = World()
    client = world.connect()
    smuggled = get("/admin")
    client.feed(ASK + smuggled if when == "with the request" else ASK)
    if when == "before the answer":
        client.feed(smuggled)
    backend = world.upstream
    backend.feed(answer)
    assert b"\r\nConnection: close\r\n" in client.take()
    client.feed(smuggled)
    assert client.end == "finish"
    assert b"/admin" not in b"".join(upstream.sent for upstream in world.upstreams)
    assert len(world.outcomes()) == 1
    world.at_rest()


def test_a_post_without_a_body() -> None:
    """As Kubernetes' exec has it."""
    world = World()
    client = world.connect()
    client.feed(get("/exec", "Connection: Upgrade", "Upgrade: raw/1", "Content-Length: 0", method="POST") + b"early")
    backend = world.upstream
    assert b"\r\nConnection: Upgrade\r\nUpgrade: raw/1\r\n" in backend.take()
    backend.feed(GRANT + b"hello")
    assert client.take().endswith(b"\r\n\r\nhello")
    assert backend.take() == b"early"
    client.feed(EOF)
    backend.feed(EOF)
    assert world.outcomes() == [(101, "")]
    world.at_rest()


@pytest.mark.parametrize("pieces", [[b"body"], [b"", b"bo", b"dy"]])
def test_a_switch_behind_a_body(pieces: list[bytes]) -> None:
    """Docker's exec: the new protocol begins behind the body, for both sides."""
    world = World(backends=1)
    client = world.connect()
    client.feed(post(pieces[0], "Connection: Upgrade", "Upgrade: raw/1", length=4))
    for piece in pieces[1:]:
        client.feed(piece)
    asked_for, _, body = world.upstream.take().partition(b"\r\n\r\n")
    assert b"\r\nUpgrade: raw/1" in asked_for
    assert body == b"body"
    world.upstream.feed(GRANT + b"hello")
    assert client.take().endswith(b"\r\n\r\nhello")
    assert tunnels(world) == 1
    client.feed(b"typed")
    assert world.upstream.take() == b"typed"
    client.feed(EOF)
    world.upstream.feed(EOF)
    [line] = world.lines()
    assert (line["status"], line["reason"], line["bytes_in"]) == (101, "", line["bytes_in"])
    world.at_rest()


def test_no_switch_before_the_end_of_the_body() -> None:
    """RFC 9110 7.8: the request ends first. What came of it belongs to no protocol that anybody knows."""
    world = World(backends=1)
    client = world.connect()
    client.feed(post(b"bo", "Connection: Upgrade", "Upgrade: raw/1", length=4))
    world.upstream.feed(GRANT)
    assert client.take().startswith(b"HTTP/1.1 502 ")
    assert world.outcomes() == [(502, "response_unexpected_101")]
    assert tunnels(world) == 0
    world.at_rest()


def test_a_connection_that_was_asked_to_switch_behind_a_body_is_not_used_again() -> None:
    """Whatever the backend took the body for."""
    world = World(backends=1)
    client = world.connect()
    client.feed(post(b"body", "Connection: Upgrade", "Upgrade: raw/1"))
    world.upstream.feed(ok())
    assert client.take().endswith(b"ok")
    assert client.end == "finish"
    assert world.upstream.end == "close"
    assert len(world.service.idle) == 0
    world.at_rest()


def test_no_switch_with_a_chunked_body() -> None:
    """It is not asked for, and believed even less."""
    world = World(backends=1)
    client = world.connect()
    client.feed(get("/", "Connection: Upgrade", "Upgrade: raw/1", "Transfer-Encoding: chunked", method="POST") + b"0\r\n\r\n")
    assert b"pgrade" not in world.upstream.take()
    world.upstream.feed(GRANT)
    assert client.take().startswith(b"HTTP/1.1 502 ")
    assert world.outcomes() == [(502, "response_unexpected_101")]
    assert tunnels(world) == 0
    world.at_rest()


def test_a_refused_upgrade_leaves_the_backends_connection_usable() -> None:
    world = World()
    client = world.connect()
    client.feed(ASK)
    world.upstream.feed(ok())
    assert len(world.service.idle) == 1
    world.at_rest()


def test_an_upgrade_that_is_not_passed_on_is_an_ordinary_request() -> None:
    """h2c, which many clients offer with every first request: answered, and the connection goes on."""
    world = World()
    client = world.connect()
    client.feed(get("/", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AA") + get("/next"))
    world.upstream.feed(ok(b"one"))
    assert client.take().endswith(b"one")
    world.upstreams[-1].feed(ok(b"two"))
    assert client.take().endswith(b"two")
    assert world.outcomes() == [(200, "")] * 2
    world.at_rest()


def test_a_client_that_leaves_before_the_answer() -> None:
    world = World()
    client = world.connect()
    client.feed(ASK, EOF)
    assert world.outcomes() == [(499, "client_closed")]
    world.at_rest()
