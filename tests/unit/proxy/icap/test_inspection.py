"""The inspection of a message: previews, other servers, fresh connections, no verdict."""

from __future__ import annotations

from typing import Any

import pytest

from lbproxy.http.grammar import END
from tests.unit.proxy.icap_world import PAGE, PASS, backend, changed, looked_at, options, server
from tests.unit.proxy.world import EOF, ICAP, get, ok, post


def test_a_preview_may_be_all_of_it() -> None:
    """And then it says so."""
    world = looked_at()
    client = world.connect()
    client.feed(post(b"abc"))
    server(world).feed(options())
    assert server(world).take().endswith(END + b"3\r\nabc\r\n0; ieof\r\n\r\n")
    server(world).feed(PASS)
    stream = backend(world)
    assert stream is not None
    assert stream.take().endswith(END + b"abc")
    stream.feed(ok())
    client.feed(post(b""))
    assert b"null-body" in server(world).take()
    server(world).feed(PASS)
    stream.feed(ok())
    assert world.outcomes() == [(200, ""), (200, "")]
    world.at_rest()


def test_behind_a_preview_it_may_be_content() -> None:
    """204 to the preview: the rest goes straight to the backend."""
    world = looked_at()
    client = world.connect()
    client.feed(post(b"abcdef", length=8))
    server(world).feed(options())
    server(world).feed(PASS)
    stream = backend(world)
    assert stream is not None
    client.feed(b"gh")
    assert stream.take().endswith(END + b"abcdefgh")
    stream.feed(ok())
    assert world.inspected == ["icap passed"]
    world.at_rest()


def test_a_connection_that_was_just_closed() -> None:
    """Servers close after a hundred requests without a word: it is no failure, and the message is shown again from its start."""
    world = looked_at(failure_limit=1)
    client = world.connect()
    client.feed(post(b"abcdef"))
    server(world).feed(options(""), PASS)
    stream = backend(world)
    assert stream is not None
    stream.feed(ok())
    client.feed(post(b"second"))
    first = server(world, 0)
    assert first.take().endswith(b"6\r\nsecond\r\n0\r\n\r\n")
    first.feed(EOF)
    assert server(world) is not first
    assert server(world).take().endswith(b"6\r\nsecond\r\n0\r\n\r\n")
    server(world).feed(PASS.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    assert server(world).end
    stream.feed(ok())
    assert world.outcomes() == [(200, "")] * 2
    assert world.suspended == []
    world.at_rest()


@pytest.mark.parametrize("field", ["X-Infection-Found: Type=0; Resolution=2; Threat=EICAR;", "X-Virus-ID: EICAR", "X-Blocked: yes"])
def test_a_verdict_is_what_it_is_by_the_standard(field: str) -> None:
    """Whatever a vendor says beside it: 204 is content, and what is encapsulated is what goes on, without any of that."""
    world = looked_at()
    client = world.connect()
    client.feed(get("/a"))
    server(world).feed(PASS.replace(b"\r\n\r\n", f"\r\n{field}\r\n\r\n".encode()))
    stream = backend(world)
    assert stream is not None
    stream.feed(ok())
    client.feed(get("/b"))
    other = b"GET /c HTTP/1.1\r\nHost: example.org\r\n\r\n"
    server(world).feed(changed(other, None, b"req", f"200 OK\r\n{field}".encode()))
    sent = stream.take()
    assert b"GET /c " in sent
    assert b"EICAR" not in sent
    stream.feed(ok())
    assert world.outcomes() == [(200, "")] * 2
    assert world.inspected == ["icap passed", "icap changed"]
    world.at_rest()


FAILURES: dict[str, tuple[bytes, ...]] = {
    "closed": (EOF,),
    "cut": (b"ICAP/1.0 204 No", EOF),
    "garbage": (b"SSH-2.0-OpenSSH_9\r\n\r\n",),
    "error": (b"ICAP/1.0 500 Server Error\r\n\r\n",),
    "nothing in it": (b"ICAP/1.0 200 OK\r\nEncapsulated: null-body=0\r\n\r\n",),
    "places": (b"ICAP/1.0 200 OK\r\nEncapsulated: res-hdr=9, null-body=3\r\n\r\n",),
    "endless": (b"ICAP/1.0 200 OK\r\nX: " + b"a" * 70_000,),
    "no HTTP": (changed(b"HTTP/3 200 OK\r\n\r\n", b"x"),),
    "chunks": (changed(PAGE, b"x")[:-8] + b"zz\r\n",),
}

WHY = {
    "closed": "closed before its answer was whole",
    "cut": "closed before its answer was whole",
    "garbage": "no status line of ICAP",
    "error": "answers 500",
    "nothing in it": "in it",
    "places": "Encapsulated",
    "endless": "without an end",
    "no HTTP": "answer in it",
    "chunks": "CRLF",
}


@pytest.mark.parametrize("way", ["refuse", "pass"])
@pytest.mark.parametrize("kind", FAILURES)
@pytest.mark.parametrize("direction", ["reqmod", "respmod"])
def test_no_verdict(kind: str, way: str, direction: str) -> None:
    """Two servers are asked, then it is refused, or goes on; whoever looks into the log reads why."""
    asked: Any = {direction: "/scan"}
    world = looked_at(servers=2, on_failure=way, **asked)
    client = world.connect()
    client.feed(get())
    if direction == "respmod":
        stream = backend(world)
        assert stream is not None
        stream.feed(ok(b"abc"))
    answered = 0
    while len([each for each in world.upstreams if "icap" not in each.name]) and answered < 6:
        asked = [each for each in world.upstreams if int(each.name.split()[1]) >= 9000 + ICAP and not each.end and each.sent]
        if not asked:
            break
        if asked[0].take().startswith(b"OPTIONS"):
            asked[0].feed(options(""))
            continue
        asked[0].feed(*FAILURES[kind])
        answered += 1
        world.settle()
    if direction == "reqmod" and way == "pass":
        stream = backend(world)
        assert stream is not None
        stream.feed(ok(b"abc"))
    status, end = (200, b"abc") if way == "pass" else (503, b"icap_unavailable\n")
    assert client.take().endswith(end)
    assert world.outcomes() == [(status, "" if way == "pass" else "icap_unavailable")]
    assert world.inspected == [f"{'icap' if direction == 'reqmod' else 'icap_answer'} failed"]
    assert len(world.no_verdicts) == 1
    assert WHY[kind] in world.no_verdicts[0]
    world.at_rest()
