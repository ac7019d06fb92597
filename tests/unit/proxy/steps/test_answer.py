"""Answers of a route's own: redirects, fixed ones, none at all; as a client sees them, and the log."""

from __future__ import annotations

import pytest

from lbproxy.config.model import (
    HeaderRulesConfig,
    HeadersConfig,
    Hsts,
    MatchConfig,
    PathRulesConfig,
    RespondConfig,
    RouteConfig,
    RouteFiltersConfig,
)
from tests.support import h2_frames as wire
from tests.unit.http.heads import values
from tests.unit.proxy.h2_client import H2Client, body
from tests.unit.proxy.world import World, get, post


def asked(route: RouteConfig, *requests: bytes) -> tuple[World, bytes]:
    """The world, and all that a client got."""
    world = World(route=route)
    client = world.connect()
    for request in requests:
        client.feed(request)
    return world, client.take()


@pytest.mark.parametrize(("status", "line"), [
    (301, b"HTTP/1.1 301 Moved Permanently\r\n"), (302, b"HTTP/1.1 302 Found\r\n"), (303, b"HTTP/1.1 303 See Other\r\n"),
    (307, b"HTTP/1.1 307 Temporary Redirect\r\n"), (308, b"HTTP/1.1 308 Permanent Redirect\r\n"),
])  # fmt: skip
def test_redirects(status: int, line: bytes) -> None:
    """With the client's query, on a connection that goes on; HEAD without a body."""
    route = RouteConfig(redirect="https://new.example{path}", status=status)
    world, answer = asked(route, get("/a/b?c=d"), get("/x", method="HEAD"))
    first, _, second = answer.partition(b"\n" + line)
    assert first.startswith(line)
    assert values(answer[: answer.index(b"\r\n\r\n") + 4], "location") == [b"https://new.example/a/b?c=d"]
    assert b"\r\nVia: 1.1 lbproxy\r\n" in first
    assert second.endswith(b"\r\n\r\n")
    assert b"https://new.example/x\r\n" in second
    assert [(each["status"], each["reason"], each["backend"]) for each in world.lines()] == [(status, "redirect", "")] * 2
    assert not world.dials


def test_a_redirect_takes_a_prefix_off() -> None:
    """As it would be for a backend, and nothing comes out that names another host."""
    _, answer = asked(RouteConfig(redirect="/new{path}", path="/old", paths=PathRulesConfig("/old")), get("/old//evil.example/x"))
    assert b"\r\nLocation: /new/evil.example/x\r\n" in answer


def test_a_redirect_of_what_names_no_host() -> None:
    """HTTP/1.0: where it came to; and on which connection it goes on is said as for a backend's answer."""
    _, answer = asked(RouteConfig(redirect="{scheme}://{host}/"), b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    assert b"\r\nLocation: https://localhost/\r\n" in answer
    assert b"\r\nConnection: keep-alive\r\n" in answer


@pytest.mark.parametrize(("respond", "line", "type_", "length", "body"), [
    (RespondConfig(), b"HTTP/1.1 200 OK", [], [b"0"], b""), (RespondConfig(204), b"HTTP/1.1 204 No Content", [], [], b""),
    (RespondConfig(205), b"HTTP/1.1 205 Reset Content", [], [b"0"], b""),
    (RespondConfig(304), b"HTTP/1.1 304 Not Modified", [], [], b""),
    (RespondConfig(503, "soon\n"), b"HTTP/1.1 503 Service Unavailable", [b"text/plain; charset=utf-8"], [b"5"], b"soon\n"),
    (RespondConfig(418, '{"\xe4": 1}', "application/json"), b"HTTP/1.1 418 I'm a Teapot", [b"application/json"], [b"9"],
     b'{"\xc3\xa4": 1}'),
    (RespondConfig(599, "x"), b"HTTP/1.1 599 ", [b"text/plain; charset=utf-8"], [b"1"], b"x"),
])  # fmt: skip
def test_fixed_answers(respond: RespondConfig, line: bytes, type_: list[bytes], length: list[bytes], body: bytes) -> None:
    """What is written, and no body where there is none."""
    world, answer = asked(RouteConfig(respond=respond), get())
    head, _, rest = answer.partition(b"\r\n\r\n")
    assert head.partition(b"\r\n")[0] == line
    assert (values(head + b"\r\n\r\n", "content-type"), values(head + b"\r\n\r\n", "content-length")) == (type_, length)
    assert rest == body
    assert [(each["status"], each["reason"]) for each in world.lines()] == [(respond.status, "respond")]
    _, answer = asked(RouteConfig(respond=respond), get(method="HEAD"))
    assert answer.partition(b"\r\n\r\n")[0] == head
    assert answer.partition(b"\r\n\r\n")[2] == b""


def test_rules_hold_for_them_as_for_a_backends_answers() -> None:
    """Fields that are set, presets, ids; the date once."""
    rules = HeaderRulesConfig(set=(("Access-Control-Allow-Origin", "*"), ("X-Id", "{request_id}")))
    headers = HeadersConfig(response=rules, security_headers="basic", hsts=Hsts(60), request_id="make")
    world = World(route=RouteConfig(respond=RespondConfig(204), headers=headers))
    world.service.date = b"\r\nDate: today"
    client = world.connect()
    client.feed(get())
    answer = client.take()
    assert values(answer, "access-control-allow-origin") == [b"*"]
    assert values(answer, "x-content-type-options") == [b"nosniff"]
    assert values(answer, "x-id") == values(answer, "x-request-id") != []
    assert values(answer, "date") == [b"today"]


def test_filters_come_first() -> None:
    """Who may not come in is not told where else to go."""
    world, answer = asked(RouteConfig(redirect="/x", filters=RouteFiltersConfig(methods=("GET",))), get(method="DELETE"))
    assert answer.startswith(b"HTTP/1.1 405 ")
    assert [each["reason"] for each in world.lines()] == ["method_not_allowed"]


def test_a_body_that_nobody_wants() -> None:
    """The answer is the last one: where the next request begins is not sure."""
    world = World(route=RouteConfig(respond=RespondConfig(200, "ok")))
    client = world.connect()
    client.feed(post(b"", length=100000))
    assert b"\r\nConnection: close\r\n" in client.take()
    assert client.end == "finish"


def test_closed_without_a_word() -> None:
    """Not a byte, whatever came; the log tells, and nothing is reset that was on its way."""
    route = RouteConfig(close=True)
    for request in (get(), get(method="HEAD"), post(b"body"), post(b"", length=100000)):
        world = World(route=route)
        client = world.connect()
        client.feed(request)
        assert (client.take(), client.end) == (b"", "finish")
        assert [(each["status"], each["reason"], each["bytes_out"]) for each in world.lines()] == [(444, "closed_by_route", 0)]
        assert not world.service.connections
        assert not world.faults


def test_closed_on_a_connection_that_was_kept() -> None:
    """Those before it were answered, and those behind it are nobody's."""
    world = World(route=RouteConfig(respond=RespondConfig(200, "ok")))
    closed = World(route=RouteConfig(close=True)).routed[0][1]
    respond = world.routed[0]
    world.service.router = type(world.service.router)([(RouteConfig(close=True, match=MatchConfig(exact="/x")), closed), respond])
    client = world.connect()
    client.feed(get("/a"))
    assert client.take().endswith(b"\r\n\r\nok")
    client.feed(get("/x") + get("/b"))
    assert (client.take(), client.end) == (b"", "finish")
    assert [each["reason"] for each in world.lines()] == ["respond", "closed_by_route"]


def test_a_connection_that_repeats_itself() -> None:
    """The same head goes where it went without being routed again, another one is routed by all that it says."""
    world = World(route=RouteConfig(respond=RespondConfig(200, "plain")))
    beta = World(route=RouteConfig(respond=RespondConfig(200, "beta"))).routed[0][1]
    conditional = RouteConfig(
        respond=RespondConfig(200, "beta"), match=MatchConfig(headers=(("X-Beta", ("1",)),), methods=("GET",))
    )
    world.service.router = type(world.service.router)([(conditional, beta), world.routed[0]])
    client = world.connect()
    plain, asking = get(), get("/", "X-Beta: 1")
    said = []
    for request in (plain, plain, asking, asking, plain, post(b"", "X-Beta: 1", length=0), asking):
        client.feed(request)
        said.append(client.take().rpartition(b"\n")[2])
    assert said == [b"plain", b"plain", b"beta", b"beta", b"plain", b"plain", b"beta"]


def test_over_http2() -> None:
    """The same answers; one that is closed without a word loses its stream, and others on the connection go on."""
    pytest.importorskip("ngh2")
    from tests.support.h2_frames import GET
    from tests.support.h2_peer import Heads
    from tests.unit.proxy.h2_client import H2Client, resets

    world = World(route=RouteConfig(redirect="https://new.example{path}"))
    closed = World(route=RouteConfig(close=True)).routed[0][1]
    world.service.router = type(world.service.router)(
        [(RouteConfig(close=True, match=MatchConfig(exact="/x")), closed), world.routed[0]]
    )
    client, heads = H2Client(world), Heads()
    told = heads.read(client.ask(1))
    assert set(told[0][2]) >= {(b":status", b"308"), (b"location", b"https://new.example/")}
    gone = client.ask(3, tuple((name, b"/x" if name == b":path" else value) for name, value in GET))
    assert [stream for stream, _ in resets(gone)] == [3]
    assert client.ask(5)
    assert world.outcomes() == [(308, "redirect"), (444, "closed_by_route"), (308, "redirect")]


@pytest.mark.parametrize(("written", "status", "reason"), [(200, 502, "websocket_not_opened"), (410, 410, "respond")])
def test_a_fixed_answer_opens_no_websocket(written: int, status: int, reason: str) -> None:
    """Over HTTP/2 any 2xx would (RFC 8441 5)."""
    world = World(route=RouteConfig(respond=RespondConfig(written, "written")))
    client = H2Client(world)
    frames = client.say(wire.headers(1, ((b":method", b"CONNECT"), (b":protocol", b"websocket"), *wire.GET[1:]), end=False))
    assert (body(frames, 1) == b"written") == (status == written)
    assert world.outcomes() == [(status, reason)]
