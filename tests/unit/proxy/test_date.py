"""Every answer that a client gets has a Date (RFC 9110 6.6.1): the backend's, or that of the second in which it was passed on."""

from __future__ import annotations

import pytest

from lbproxy.config.model import HeaderRulesConfig
from lbproxy.http.date import date_line
from lbproxy.http.edits import ResponseEdits
from lbproxy.http.heads import ResponseHeads
from lbproxy.streams import NEVER
from tests.unit.http.heads import values
from tests.unit.proxy.world import EOF, World, get, ok, post

NOW = date_line(1_800_000_000)
LATER = date_line(1_800_000_001)


def world() -> World:
    there = World(backends=1)
    there.service.date = NOW
    return there


def dates(answer: bytes) -> list[bytes]:
    return [
        value for head in answer.split(b"HTTP/1.1 ")[1:] for value in values(head.partition(b"\r\n\r\n")[0] + b"\r\n\r\n", "date")
    ]


def test_an_answer_without_one_gets_one() -> None:
    """The same head again in the same second, and in the next."""
    there = world()
    client = there.connect()
    for date in (NOW, NOW, LATER):
        there.service.date = date
        client.feed(get())
        there.upstream.feed(ok())
        answer = client.take()
        assert dates(answer) == [date.partition(b": ")[2]]
        assert answer.endswith(b"\r\n\r\nok")
    there.at_rest()


@pytest.mark.parametrize("line", [b"Date: Mon, 01 Jan 2024 00:00:00 GMT", b"dAtE: whenever"])
def test_a_backends_own_stays(line: bytes) -> None:
    there = world()
    client = there.connect()
    client.feed(get())
    there.upstream.feed(ok().replace(b"\r\n\r\n", b"\r\n" + line + b"\r\n\r\n"))
    assert dates(client.take()) == [line.partition(b": ")[2]]


@pytest.mark.parametrize("answer", [
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"HTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.0 200 OK\r\n\r\nuntil the end",
])  # fmt: skip
def test_once_on_every_kind_of_answer(answer: bytes) -> None:
    """But on none that is interim."""
    there = world()
    client = there.connect()
    client.feed(get())
    there.upstream.feed(answer, *([EOF] if b"1.0" in answer else []))
    assert dates(client.take()) == [NOW.partition(b": ")[2]]


def test_answers_of_our_own() -> None:
    """Whoever is refused, redirected, or finds nobody."""
    there = world()
    there.refuse(0)
    for said, redirect in ((b"nonsense\r\n\r\n", False), (get(), True), (get(), False)):
        client = there.connect(redirect=redirect)
        client.feed(said)
        assert dates(client.take()) == [NOW.partition(b": ")[2]]


def test_one_that_is_for_this_hop_alone_is_none() -> None:
    """Connection takes it off: the client would have got none."""
    there = world()
    client = there.connect()
    client.feed(get())
    there.upstream.feed(ok(b"", "Date: Thu, 01 Jan 1970 00:00:00 GMT", "Connection: date"))
    assert dates(client.take()) == [NOW.partition(b": ")[2]]


def test_rules_about_it_hold() -> None:
    """Who removes the Date wants none, who sets one wants that."""
    raw = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    assert ResponseHeads(9).read(raw, b"GET").head.undated
    assert not ResponseHeads(9, ResponseEdits(["date"], [])).read(raw, b"GET").head.undated
    kept = ResponseHeads(9, ResponseEdits(["x-a"], [])).read(raw, b"GET")
    assert kept.head.undated
    assert values(kept.dated(NOW), "date") == [NOW.partition(b": ")[2]]
    assert HeaderRulesConfig(remove=("Date",))  # as it stands in a file


@pytest.mark.parametrize("early", [False, True])
def test_a_refused_upload_is_lingered_for(early: bool) -> None:
    """By us or by the backend: while the client sends on, it cannot read why it need not."""
    there = world()
    client = there.connect()
    client.feed(post(b"x" * 10, length=100_000))
    if early:
        there.upstream.feed(b"HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno")
    else:
        there.upstream.feed(b"garbage\r\n\r\n")
    assert client.end == "finish"
    assert client.busy
    whole = there.connect()
    whole.feed(get("/", "Connection: close"))
    there.upstream.feed(ok())
    assert (whole.end, whole.busy) == ("finish", False)
    assert NEVER not in (client.deadline, whole.deadline)


def test_what_is_refused_before_anybody_knows_is_lingered_for() -> None:
    """A body may stand behind a head that is none."""
    there = world()
    client = there.connect()
    client.feed(b"POST / HTTP/1.1\r\nContent-Length: 100000\r\n\r\nxx")
    assert (client.end, client.busy) == ("finish", True)
