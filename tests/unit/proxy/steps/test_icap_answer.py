"""[route.icap]: answers wait for their verdict, and become what it says."""

from __future__ import annotations

import zlib

import pytest

from lbproxy.coders import maker
from lbproxy.config import model
from lbproxy.http.grammar import END
from lbproxy.proxy.steps.compress import Allowance, Compression
from tests.unit.proxy.icap_world import GO_ON, PAGE, PASS, backend, changed, looked_at, options, server
from tests.unit.proxy.world import CHUNKED, get, ok


@pytest.mark.parametrize("preview", ["", "Preview: 4\r\n"])
def test_an_answer_waits_for_its_verdict(preview: str) -> None:
    """Not a byte of it is with the client before."""
    world = looked_at(respmod="/resp")
    client = world.connect()
    client.feed(get())
    stream = backend(world)
    assert stream is not None
    whole = ok(b"abcdefgh", "Content-Type: text/plain")
    stream.feed(whole[:-3])
    server(world).feed(options(preview))
    own, _, shown = server(world).take().rpartition(b"Encapsulated")[2].partition(END)
    assert shown.startswith(b"GET / HTTP/1.1\r\n")
    at = int(own.split(b"res-hdr=")[1].split(b",")[0])
    assert shown[at:].startswith(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n")
    if preview:
        assert shown.endswith(END + b"4\r\nabcd\r\n0\r\n\r\n")
        server(world).feed(GO_ON)
        assert server(world).take() == b"1\r\ne\r\n"
    stream.feed(whole[-3:])
    assert client.take() == b""
    assert server(world).take().endswith(b"3\r\nfgh\r\n0\r\n\r\n")
    server(world).feed(PASS)
    answer = client.take()
    assert answer.endswith(END + b"abcdefgh")
    assert b"Content-Length: 8" in answer
    assert world.inspected == ["icap_answer passed"]
    assert [line["inspected"] for line in world.lines()] == ["icap_answer=passed"]
    world.at_rest()


def test_a_page_instead_of_an_answer() -> None:
    """With its own status in the log; the next request on both connections is as good."""
    world = looked_at(respmod="/resp")
    client = world.connect()
    for _ in range(2):
        client.feed(get())
        stream = backend(world)
        assert stream is not None
        stream.feed(ok(b"virus"))
        if b"OPTIONS" in server(world).take():
            server(world).feed(options())
        server(world).feed(changed(PAGE, b"no"))
        answer = client.take()
        assert answer.startswith(b"HTTP/1.1 403 Forbidden\r\n")
        assert answer.endswith(END + b"no")
        assert b"virus" not in answer
    assert world.outcomes() == [(403, "icap_blocked")] * 2
    assert len(world.dials) == 3, "an early verdict costs the ICAP server's connection"
    world.at_rest()


@pytest.mark.parametrize("kind", ["told", "chunked", "endless"])
@pytest.mark.parametrize("way", ["refuse", "pass"])
def test_an_answer_above_the_cap(kind: str, way: str) -> None:
    """502, or it goes on as it came."""
    world = looked_at(respmod="/resp", max_body=1024, over_cap=way)
    client = world.connect()
    client.feed(get())
    stream = backend(world)
    assert stream is not None
    long = b"a" * 3000
    if kind == "told":
        stream.feed(ok(long))
    elif kind == "endless":
        stream.feed(CHUNKED.replace(b"\r\n\r\n", b"\r\nContent-Type: text/event-stream\r\n\r\n") + b"bb8\r\n" + long + b"\r\n")
    else:
        stream.feed(CHUNKED + b"bb8\r\n" + long + b"\r\n")
        server(world).feed(options(""))
    if way == "pass" and kind != "told":
        stream.feed(b"0\r\n\r\n")
    answer = client.take()
    assert (long in answer) == (way == "pass")
    assert world.outcomes() == [(200, "") if way == "pass" else (502, "icap_too_large")]
    assert world.inspected == ["icap_answer skipped"]
    world.at_rest()


@pytest.mark.parametrize("verdict", ["pass", "block"])
def test_an_answer_that_goes_on_meanwhile(verdict: str) -> None:
    """Where the route lets it: all but its end, and a verdict against it cuts it."""
    world = looked_at(respmod="/resp", stream_after=1000)
    client = world.connect()
    client.feed(get())
    stream = backend(world)
    assert stream is not None
    stream.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 3000\r\n\r\n" + b"a" * 900)
    server(world).feed(options(""))
    assert client.take() == b""
    stream.feed(b"b" * 900)
    assert client.take().endswith(b"a" * 900 + b"b" * 900)
    stream.feed(b"c" * 1200)
    assert client.take() == b""
    server(world).feed(PASS if verdict == "pass" else changed(PAGE, b"no"))
    if verdict == "pass":
        assert client.take() == b"c" * 1200
        assert world.outcomes() == [(200, "")]
    else:
        assert client.take() == b""
        assert client.end == "abort"
        assert world.outcomes() == [(200, "icap_blocked")]
    world.at_rest()


@pytest.mark.parametrize("coded", [True, False])
def test_compression_comes_after(coded: bool) -> None:
    """What is put in place of an answer is compressed if that is one of those, and not twice."""
    world = looked_at(respmod="/resp")
    destination = world.routed[0][1]
    allowance = Allowance(9, 0.5, world.clock, world.ledger, 0)
    compression = Compression(model.CompressConfig(types=("text/html",)), {"gzip": maker("gzip")}, allowance)
    destination.steps = (*(destination.steps or ()), compression)
    client = world.connect()
    client.feed(get("/", "Accept-Encoding: gzip"))
    stream = backend(world)
    assert stream is not None
    stream.feed(ok(b"virus" * 1000, "Content-Type: text/html"))
    server(world).feed(options())
    more = b"Content-Encoding: br\r\n\r\n" if coded else b"\r\n"
    server(world).feed(changed(PAGE[:-2] + more, b"no " * 1000))
    head, _, body = client.take().partition(END)
    if coded:
        assert (head.count(b"Content-Encoding"), body) == (1, b"no " * 1000)
    else:
        assert b"Content-Encoding: gzip" in head
        assert zlib.decompress(body, 31) == b"no " * 1000
    world.at_rest()
