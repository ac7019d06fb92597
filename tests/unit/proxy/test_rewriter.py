"""What a destination does to header fields, seen from both sides of it."""

from __future__ import annotations

import os
import re
from ipaddress import ip_network

import pytest

from lbproxy.config import model
from lbproxy.config.model import HeaderRulesConfig, Hsts, PathRulesConfig
from lbproxy.http.forwarding import Forwarder
from lbproxy.http.heads import COPIES, HEADS_KEPT, OBJECTS
from lbproxy.http.trace_context import Ids
from lbproxy.proxy.destination import Destination
from lbproxy.proxy.rewriter import Rewriter, RewriteSettings, Rewriting, everyday_heads
from lbproxy.proxy.router import Router
from lbproxy.remembered import Budget
from tests.unit.http.heads import asking, request, values
from tests.unit.proxy.world import World, get, ok, post

ID = b"[0-9a-f]{32}"


def rewriter(**wanted: object) -> Rewriter:
    return Rewriter(RewriteSettings(**wanted), 100, Budget(HEADS_KEPT), Ids(os.urandom))  # type: ignore[arg-type]


def world(wanted: RewriteSettings, without_route: RewriteSettings | None = None, backends: int = 2) -> World:
    """One whose only route wants this of header fields."""
    made = World(backends, route=model.RouteConfig("app", path="/app/"))
    destination = made.service.router.match(asking(b"h", b"/app/"))
    assert destination is not None
    destination.rewriter = Rewriter(wanted, 100, Budget(HEADS_KEPT), Ids(os.urandom))
    if without_route is not None:
        made.service.rewriter = Rewriter(without_route, 100, Budget(HEADS_KEPT), Ids(os.urandom))
    return made


def test_the_everyday() -> None:
    """Without any wish: what tells about a backend's software comes off, and nothing else is done."""
    here = World()
    client = here.connect()
    client.feed(get())
    here.upstream.feed(ok(b"ok", "Server: x", "X-Powered-By: y", "X-Served: 1"))
    answer = client.take()
    assert values(answer.partition(b"\r\n\r\n")[0] + b"\r\n\r\n", "x-served") == [b"1"]
    assert b"Server" not in answer
    assert b"X-Powered-By" not in answer


def test_both_ways() -> None:
    """Rules on the request and on its answer; a repeated request is not edited anew."""
    here = world(RewriteSettings(
        (HeaderRulesConfig(set=(("X-Team", "blue"),), remove=("X-Debug",)),),
        (HeaderRulesConfig(set=(("X-Served-By", "{backend}"), ("X-Team", "red")), keep=("Server",)),),
    ))  # fmt: skip
    client = here.connect()
    for _ in range(2):
        client.feed(get("/app/", "X-Debug: 1", "X-Team: green"))
        sent = here.upstream.take()
        assert values(sent, "x-team") == [b"blue"]
        assert values(sent, "x-debug") == []
        here.upstream.feed(ok(b"", "Server: x", "X-Team: green"))
        answer = client.take()
        assert values(answer, "server") == [b"x"]
        assert values(answer, "x-team") == [b"red"]
        assert values(answer, "x-served-by") in ([b"b0"], [b"b1"])
    here.at_rest()


def test_remembered_while_nothing_changes() -> None:
    """By the forwarder, until it forgets; what has an id in it never is."""
    head, forwarder = request(), Forwarder("192.0.2.1", "https", 443, ())
    steady = rewriter(requests=(HeaderRulesConfig(set=(("X-Who", "{client_ip}"),)),))
    first = steady.begin(forwarder, head).request(forwarder.request(head))
    assert steady.begin(forwarder, head).request(forwarder.request(head)) is first
    other = rewriter(requests=(HeaderRulesConfig(set=(("X-Who", "me"),)),))
    assert values(other.begin(forwarder, head).request(forwarder.request(head)), "x-who") == [b"me"]
    forwarder.forget()
    assert forwarder.edited is None
    fickle = rewriter(requests=(HeaderRulesConfig(set=(("X-Mine", "{request_id}"),)),), request_id="make")
    seen = {fickle.begin(forwarder, head).request(forwarder.request(head)) for _ in range(3)}
    assert len(seen) == 3


def test_ids_go_everywhere() -> None:
    """To the backend, to the client and into the log, one and the same; the backend's own is replaced."""
    here = world(RewriteSettings(request_id="make", trace="make"))
    client = here.connect()
    client.feed(get("/app/", "X-Request-Id: forged", "traceparent: forged", "tracestate: a=1"))
    sent = here.upstream.take()
    here.upstream.feed(ok(b"", "X-Request-Id: theirs"))
    answer, [line] = client.take(), here.lines()
    [told] = values(sent, "x-request-id")
    assert re.fullmatch(ID, told)
    assert values(answer, "x-request-id") == [told]
    assert line["request_id"] == told.decode()
    [parent] = values(sent, "traceparent")
    assert parent == f"00-{line['trace_id']}-{line['span_id']}-01".encode()
    assert "parent_id" not in line
    assert values(sent, "tracestate") == []
    assert values(answer, "traceparent") == []
    here.at_rest()


def test_one_id_over_all_tries() -> None:
    """It is the request's, not the try's; and an answer of ours has it, too."""
    here = world(RewriteSettings(request_id="make"))
    client = here.connect()
    client.feed(get("/app/"))
    first = values(here.upstream.take(), "x-request-id")
    here.upstream.feed(b"")
    second = values(here.upstream.take(), "x-request-id")
    here.upstream.feed(b"")
    answer = client.take()
    assert first == second == values(answer.partition(b"\r\n\r\n")[0] + b"\r\n\r\n", "x-request-id")
    assert answer.startswith(b"HTTP/1.1 502 ")


def test_believed() -> None:
    """A trusted proxy's ids are taken over, anybody's with "pass"."""
    head = request(b"X-Request-Id: theirs", b"traceparent: 00-" + b"a" * 32 + b"-" + b"b" * 16 + b"-00")
    stranger = Forwarder("192.0.2.1", "https", 443, ())
    proxy = Forwarder("192.0.2.1", "https", 443, (ip_network("192.0.2.0/24"),))

    def said(mode: str, forwarder: Forwarder) -> str:
        return rewriter(request_id=mode, trace=mode).begin(forwarder, head).logged()

    for believed in (said("make", proxy), said("pass", stranger)):
        assert re.fullmatch(
            f',"request_id":"theirs","trace_id":"{"a" * 32}","span_id":"[0-9a-f]{{16}}","parent_id":"{"b" * 16}"', believed
        )
    assert "theirs" not in said("make", stranger)
    assert "a" * 32 not in said("make", stranger)
    assert said("off", proxy) == ""


def test_a_rule_about_the_id_wins() -> None:
    """Removed or replaced by a rule, it is not sent in the way of the rule; the log has it all the same."""
    head, forwarder = request(b"X-Request-Id: theirs"), Forwarder("192.0.2.1", "https", 443, ())
    removing = rewriter(requests=(HeaderRulesConfig(remove=("X-Request-*",)),), request_id="make").begin(forwarder, head)
    assert values(removing.request(forwarder.request(head)), "x-request-id") == []
    assert "request_id" in removing.logged()
    own = rewriter(requests=(HeaderRulesConfig(set=(("X-Request-Id", "mine"),)),), request_id="make").begin(forwarder, head)
    assert values(own.request(forwarder.request(head)), "x-request-id") == [b"mine"]
    hidden = rewriter(responses=(HeaderRulesConfig(remove=("X-Request-Id",)),), request_id="make").begin(forwarder, head)
    assert not hidden.speaks
    assert hidden.own_lines() == b""


def both(made: Rewriter) -> tuple[Rewriting, Rewriting]:
    return tuple(made.begin(Forwarder("192.0.2.1", proto, 1, ()), request()) for proto in ("https", "http"))  # type: ignore[return-value]


def test_hsts_over_tls_only() -> None:
    """In the backend's answers and in ours; presets everywhere."""
    secure, plain = both(rewriter(hsts=Hsts(60), security_headers="basic"))
    for rewriting, expected in ((secure, [b"max-age=60"]), (plain, [])):
        out = rewriting.heads.read(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b"GET").out
        own = b"HTTP/1.1 502 Bad Gateway" + rewriting.own_lines() + b"\r\n\r\n"
        for head in (out, own):
            assert values(head, "strict-transport-security") == expected
            assert values(head, "x-content-type-options") == [b"nosniff"]


def test_our_own_answers() -> None:
    """What no route leads anywhere, or is no request, gets what is wanted for all; a route's error what its route wants."""
    for_all = RewriteSettings(hsts=Hsts(60))
    here = world(RewriteSettings((), (HeaderRulesConfig(set=(("Cache-Control", "max-age=9"),)),), hsts=Hsts(99)), for_all)
    here.refuse(0, 1)
    for sent, status, age in ((get("/app/"), 502, 99), (get("/other"), 404, 60), (b"GET\r\n\r\n", 400, 60)):
        client = here.connect()
        client.feed(sent)
        answer = client.take().partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
        assert answer.startswith(b"HTTP/1.1 %d " % status)
        assert values(answer, "strict-transport-security") == [b"max-age=%d" % age]
        assert values(answer, "cache-control") == [b"no-store"]
        assert values(answer, "server") == []


@pytest.mark.parametrize("minor", [0, 1])
def test_beside_other_lines_of_ours(minor: int) -> None:
    """Connection, re-chunking and an id go onto the same head."""
    here = world(RewriteSettings(request_id="make"))
    client = here.connect()
    client.feed(get("/app/", "Connection: close" if minor else "Connection: keep-alive", minor=minor))
    here.upstream.feed(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n")
    head = client.take().partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    assert values(head, "connection") == [b"close"]
    assert values(head, "transfer-encoding") == ([b"chunked"] if minor else [])
    assert len(values(head, "x-request-id")) == 1


def test_with_a_body() -> None:
    """The head of an upload is edited as any other."""
    here = world(RewriteSettings((HeaderRulesConfig(remove=("X-Debug",)),)))
    client = here.connect()
    client.feed(post(b"hello", "X-Debug: 1").replace(b"POST / ", b"POST /app/ "))
    sent = here.upstream.take()
    assert sent.endswith(b"\r\n\r\nhello")
    assert b"X-Debug" not in sent


def test_the_everyday_heads_forget() -> None:
    """As many bytes as told."""
    heads = everyday_heads(100, Budget(2 * (OBJECTS + COPIES * 80)))
    for number in range(5):
        heads.read(b"HTTP/1.1 200 OK\r\nServer: %d\r\nContent-Length: 0\r\n\r\n" % number, b"GET")
    assert len(heads._known) == 1


# ---------------------------------------------------------------- paths

STRIPPED = RewriteSettings(paths=PathRulesConfig(strip="/app"), names=("app.internal:9000",))


def test_an_application_that_is_elsewhere_for_itself() -> None:
    """It is asked for its own paths, and what it says is true for its clients; the log has what they asked for."""
    here = world(STRIPPED)
    client = here.connect()
    for _ in range(2):
        client.feed(get("/app/x?y=/app/z", "X-Forwarded-Prefix: /forged"))
        sent = here.upstream.take()
        assert sent.startswith(b"GET /x?y=/app/z HTTP/1.1\r\n")
        assert values(sent, "x-forwarded-prefix") == [b"/app"]
        here.upstream.feed(ok(b"", "Location: /login", "Set-Cookie: a=b; Path=/; Domain=app.internal", "Refresh: 0;url=z"))
        answer = client.take()
        assert values(answer, "location") == [b"/app/login"]
        assert values(answer, "set-cookie") == [b"a=b; Path=/app; Domain=example.org"]
        assert values(answer, "refresh") == [b"0;url=/app/z"]
    assert b'"path":"/app/x?y=/app/z"' in here.access_log.take().replace(b'"target"', b'"path"')


def test_rules_come_behind_a_prefix() -> None:
    """They see the backend's path, what they put on stays as it is, and a Host of theirs is one that answers are led back from."""
    rules = HeaderRulesConfig(set=(("Host", "inner.example"), ("X-Forwarded-Prefix", "/mine")))
    here = world(STRIPPED._replace(requests=(rules,), responses=(HeaderRulesConfig(set=(("Content-Location", "/set"),)),)))
    client = here.connect()
    client.feed(get("/app/x"))
    sent = here.upstream.take()
    assert values(sent, "x-forwarded-prefix") == [b"/mine"]
    here.upstream.feed(ok(b"", "Location: http://inner.example/y", "Content-Location: /z"))
    answer = client.take()
    assert values(answer, "location") == [b"/app/y"]
    assert values(answer, "content-location") == [b"/set"]


def test_whoever_knows_his_prefix_is_left_alone() -> None:
    """A connection serves one route after the other, and heads that are the same bytes mean something else on each."""
    here = world(STRIPPED, backends=1)
    here.service.router = Router([*here.routed, (model.RouteConfig("app"), Destination(here.pool, model.TimeoutsConfig()))])
    client = here.connect()
    for path, location in (("/app/x", b"/app/login"), ("/x", b"/login"), ("/app/x", b"/app/login")):
        client.feed(get(path))
        assert here.upstream.take().startswith(b"GET /x HTTP/1.1\r\n")
        here.upstream.feed(ok(b"", "Location: /login"))
        assert values(client.take(), "location") == [location]
