"""[route.icap]: requests wait for their verdict, and become what it says."""

from __future__ import annotations

import pytest

from lbproxy.config import model
from lbproxy.http.grammar import END
from tests.unit.proxy.h2_client import H2Client, body
from tests.unit.proxy.icap_world import GO_ON, PAGE, PASS, backend, changed, looked_at, options, server
from tests.unit.proxy.steps.test_waf import Inspectors
from tests.unit.proxy.world import EOF, World, get, ok, post


def test_a_request_waits_for_its_verdict() -> None:
    """No backend hears of it before; the connection is used again, and nobody asks for options where there is no body."""
    world = looked_at(tell_client=True)
    client = world.connect()
    for number in range(2):
        client.feed(get(f"/{number}", "Cookie: a"))
        asked = server(world, 0).take()
        assert asked.startswith(b"REQMOD icap://icap.test:9006/req ICAP/1.0\r\nHost: icap.test:9006\r\n")
        assert b"\r\nX-Client-IP: 192.0.2.1\r\n" in asked
        assert b"\r\nAllow: 204" in asked
        own, _, shown = asked.partition(END)
        assert b"Encapsulated: req-hdr=0, null-body=%d" % len(shown) in own
        assert shown.startswith(b"GET /%d HTTP/1.1\r\nHost: example.org\r\nCookie: a" % number)
        assert len(world.dials) == 1 + number
        server(world, 0).feed(PASS)
        stream = backend(world)
        assert stream is not None
        assert stream.take() == shown
        stream.feed(ok(b"mine"))
        assert client.take().endswith(b"mine")
    assert world.inspected == ["icap passed"] * 2
    assert [line["inspected"] for line in world.lines()] == ["icap=passed"] * 2
    world.at_rest()


@pytest.mark.parametrize("chunked", [True, False])
def test_a_body_is_shown_as_it_comes(chunked: bool) -> None:
    """A preview first; what is behind it when the server wants it, while it comes. The backend gets it whole, with its length."""
    world = looked_at()
    client = world.connect()
    if chunked:
        client.feed(get("/", "Transfer-Encoding: chunked", method="POST") + b"2\r\nab\r\n")
    else:
        client.feed(post(b"ab", length=10))
    assert server(world).take().startswith(b"OPTIONS icap://icap.test:9006/req ICAP/1.0\r\n")
    server(world).feed(options())
    assert server(world).take() == b""
    client.feed(b"4\r\ncdef\r\n" if chunked else b"cdef")
    own, _, shown = server(world).take().partition(END)
    assert b"\r\nPreview: 4\r\n" in own
    assert shown.endswith(END + b"4\r\nabcd\r\n0\r\n\r\n")
    assert backend(world) is None
    server(world).feed(GO_ON)
    assert server(world).take() == b"2\r\nef\r\n"
    client.feed(b"3\r\nghi\r\n1\r\nj\r\n0\r\n\r\n" if chunked else b"ghij")
    assert server(world).take() == b"4\r\nghij\r\n0\r\n\r\n"
    assert backend(world) is None
    server(world).feed(PASS)
    stream = backend(world)
    assert stream is not None
    sent = stream.take()
    assert sent.endswith(END + b"abcdefghij")
    assert b"\r\nContent-Length: 10" in sent
    stream.feed(ok(b""))
    assert world.outcomes() == [(200, "")]
    world.at_rest()


def test_who_waits_to_be_asked_is_asked() -> None:
    """Expect: 100-continue is ours to answer: the server has to see the body before the backend."""
    world = looked_at()
    client = world.connect()
    client.feed(get("/", "Content-Length: 2", "Expect: 100-continue", method="POST"))
    assert client.take() == b"HTTP/1.1 100 Continue\r\n\r\n"
    client.feed(b"ab")
    server(world).feed(options(""))
    assert server(world).take().endswith(END + b"2\r\nab\r\n0\r\n\r\n")
    server(world).feed(PASS)
    stream = backend(world)
    assert stream is not None
    assert b"Expect" not in stream.take()
    stream.feed(ok())
    assert client.take().startswith(b"HTTP/1.1 200")
    world.at_rest()


def test_a_page_instead() -> None:
    """HTTP/1.0, without a length, its lines folded; before all of the body is here. No backend hears of it."""
    world = looked_at()
    client = world.connect()
    client.feed(post(b"abcdef", length=100))
    server(world).feed(options())
    page = b"HTTP/1.0 403 Forbidden\nContent-Type: text/html\nX-Why: a\n  virus\nConnection: close\n\n"
    server(world).feed(changed(page, b"<b>no"))
    answer = client.take()
    assert answer.startswith(b"HTTP/1.1 403 Forbidden\r\n")
    assert answer.endswith(END + b"<b>no")
    assert b"\r\nContent-Length: 5\r\n" in answer
    assert b"\r\nX-Why: a virus\r\n" in answer
    assert backend(world) is None
    assert world.outcomes() == [(403, "icap_blocked")]
    assert world.inspected == ["icap blocked"]
    world.at_rest()


def test_another_request_instead() -> None:
    """Other fields, another body; rules of the route still follow, a length of the server's own does not count."""
    rules = model.HeadersConfig(request=model.HeaderRulesConfig(set=(("X-Rule", "1"),)))
    world = looked_at(route={"headers": rules})
    client = world.connect()
    client.feed(post(b"abcdef"))
    server(world).feed(options(""))
    head = b"POST /else HTTP/1.1\r\nHost: example.org\r\nContent-Length: 6\r\nX-Seen: 1\r\n\r\n"
    server(world).feed(changed(head, b"other body", b"req"))
    stream = backend(world)
    assert stream is not None
    sent = stream.take()
    assert sent.startswith(b"POST /else HTTP/1.1\r\n")
    assert sent.endswith(END + b"other body")
    assert sent.count(b"Content-Length") == 1
    assert b"\r\nContent-Length: 10\r\n" in sent
    assert b"\r\nX-Seen: 1\r\n" in sent
    assert b"\r\nX-Rule: 1\r\n" in sent
    stream.feed(ok())
    assert client.take().startswith(b"HTTP/1.1 200")
    assert world.inspected == ["icap changed"]
    world.at_rest()


@pytest.mark.parametrize("way", ["refuse", "pass"])
@pytest.mark.parametrize("told", [True, False])
def test_a_body_above_the_cap(told: bool, way: str) -> None:
    """Refused, or unseen; at once where its length was told."""
    world = looked_at(max_body=1024, over_cap=way)
    client = world.connect()
    if told:
        client.feed(post(b"a" * 2000))
    else:
        client.feed(get("/", "Transfer-Encoding: chunked", method="POST") + b"3e8\r\n" + b"a" * 1000 + b"\r\n")
        server(world).feed(options(""))
        client.feed(b"3e8\r\n" + b"a" * 1000 + b"\r\n0\r\n\r\n")
        assert server(world).end == "abort"
    if way == "pass":
        stream = backend(world)
        assert stream is not None
        assert stream.take().count(b"a" * 1000) == 2
        stream.feed(ok())
    assert world.outcomes() == [(200, "") if way == "pass" else (413, "icap_too_large")]
    assert world.inspected == ["icap skipped"]
    world.at_rest()


@pytest.mark.parametrize("when", ["options", "preview", "verdict"])
def test_a_client_that_leaves(when: str) -> None:
    """Takes the question with it."""
    world = looked_at()
    client = world.connect()
    client.feed(post(b"abcdef"))
    if when != "options":
        server(world).feed(options("Preview: 4\r\n" if when == "preview" else ""))
    client.feed(EOF)
    assert server(world).end == "abort"
    assert world.outcomes() == [(499, "client_closed")]
    world.at_rest()


def test_over_http_2() -> None:
    """The same, both ways."""
    world = looked_at(reqmod="/req", respmod="/resp")
    client = H2Client(world)
    client.ask()
    server(world).feed(PASS)
    stream = backend(world)
    assert stream is not None
    stream.feed(ok(b"virus"))
    server(world).feed(options(""))
    server(world).feed(changed(PAGE, b"no"))
    assert body(client.heard()) == b"no"
    assert world.inspected == ["icap passed", "icap_answer blocked"]


def test_what_is_compressed_was_looked_at_before() -> None:
    """And so was what a mirror gets; a page that comes instead is the client's as it is."""
    world = looked_at(respmod="/resp", route={"mirror": model.MirrorConfig("next", methods=("POST",))}, reqmod="/req")
    client = world.connect()
    client.feed(post(b"abcdef"))
    server(world).feed(options(""))
    server(world).feed(changed(b"POST / HTTP/1.1\r\nHost: example.org\r\n\r\n", b"xy", b"req"))
    world.settle()
    copies = [each for each in world.upstreams if each.name.startswith("backend 9000")]
    assert [each.take().endswith(END + b"xy") for each in copies] == [True, True]
    for each in copies:
        each.feed(ok())
    server(world).feed(options(""), PASS)
    assert client.take().endswith(b"ok")
    world.pass_time(11)


@pytest.mark.parametrize("chunked", [True, False])
@pytest.mark.parametrize("verdict", ["passed", "blocked", "failed"])
def test_a_request_that_goes_on_meanwhile(verdict: str, chunked: bool) -> None:
    """Its end waits for the verdict; one against it is a 403, and the backend has nothing whole."""
    world = looked_at(stream_after=4)
    client = world.connect()
    head = get("/", "Transfer-Encoding: chunked", method="POST") if chunked else post(b"", length=12)
    client.feed(head + (b"6\r\nabcdef\r\n" if chunked else b"abcdef"))
    server(world).feed(options(""))
    assert server(world).take().endswith(b"6\r\nabcdef\r\n")
    stream = backend(world)
    assert stream is not None
    assert b"abcdef" in stream.take()
    client.feed(b"3\r\nghi\r\n" if chunked else b"ghi")
    assert b"ghi" in stream.take()
    client.feed(b"3\r\njkl\r\n0\r\n\r\n" if chunked else b"jkl")
    assert server(world).take().endswith(b"0\r\n\r\n")
    if not chunked:  # an end of its own may come behind the last piece, which is no end then
        assert stream.take() == b""
    if verdict == "passed":
        server(world).feed(PASS)
        assert stream.take() if not chunked else True
        stream.feed(ok())
    else:
        server(world).feed(changed(b"HTTP/1.0 403 Forbidden\r\n\r\n", b"no") if verdict == "blocked" else EOF)
    status = {"passed": (200, ""), "blocked": (403, "icap_blocked"), "failed": (503, "icap_unavailable")}[verdict]
    assert world.outcomes() == [status]
    assert world.inspected == [f"icap {verdict}"]
    assert b"0\r\n\r\n" not in (stream.take() if verdict != "passed" else b"")
    if verdict != "passed":
        assert stream.end == "abort"
    world.at_rest()


def test_rules_look_first() -> None:
    """At what came; then the server sees all of it, and then the backend does."""
    inspectors = Inspectors()
    tables = {"waf": model.WafConfig("block"), "icap": model.IcapConfig(pool="av", reqmod="/req")}
    world = World(1, route=model.RouteConfig("app", **tables), inspectors=inspectors)  # type: ignore[arg-type]
    client = world.connect()
    client.feed(post(b"abc", length=6))
    assert inspectors.asked == []
    client.feed(b"def")
    assert [asked.body for asked in inspectors.asked] == [b"abcdef"]
    server(world).feed(options(""))
    assert server(world).take().endswith(END + b"6\r\nabcdef\r\n0\r\n\r\n")
    assert backend(world) is None
    server(world).feed(PASS)
    stream = backend(world)
    assert stream is not None
    assert stream.take().endswith(END + b"abcdef")
    stream.feed(ok())
    assert world.inspected == ["waf clean", "icap passed"]
    world.at_rest()
