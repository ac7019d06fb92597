"""Answers over HTTP/2 that would become others in HTTP/1: not a byte of them reaches its client."""

from __future__ import annotations

import pytest

from tests.support.h2_frames import data, headers, long_headers
from tests.unit.proxy.h2_server import h2_world, server
from tests.unit.proxy.world import get

Field = tuple[bytes, bytes]

OK = (b":status", b"200")
EVIL = (b"evil", b"1")


def answer(*fields: Field, body: bytes = b"evil") -> bytes:
    """A whole answer."""
    return headers(1, fields, False) + data(1, body, True)


def behind(*fields: Field, ended: bool = True) -> bytes:
    """Those fields behind a part of a body."""
    return headers(1, (OK,), False) + data(1, b"ab") + headers(1, fields, ended)


def seen(frames: bytes) -> tuple[bytes, str, list[tuple[int, str]]]:
    """What a client of HTTP/1.1 that takes trailers gets of it, how its connection ends, and what the log says."""
    world = h2_world()
    client = world.connect()
    client.feed(get("/", "TE: trailers", "Connection: TE"))
    server(world).say(frames)
    return client.take(), client.end, world.outcomes()


@pytest.mark.parametrize("fields", [
    (OK, (b"x", b"a\r\nevil: 1")), (OK, (b"x", b"a\nevil: 1")), (OK, (b"x", b"a\revil: 1")), (OK, (b"x", b"a\0evil")),
    (OK, (b"x", b"a\x7fevil")), (OK, (b"set-cookie", b"a=\1evil")), (OK, (b"x", b" evil ")), (OK, (b"x\r\nevil", b"a")),
    (OK, (b"evil:x", b"a")), (OK, (b"evil ", b"a")), (OK, (b"Evil", b"a")), (OK, (b"transfer-encoding", b"chunked"), EVIL),
    (OK, (b"upgrade", b"evil")), (OK, (b"keep-alive", b"evil")), (OK, (b"connection", b"evil")), (OK, (b"te", b"evil")),
    ((b":status", b"99"), EVIL), ((b":status", b"1000"), EVIL), ((b":status", b"200\r\nevil: 1"),), ((b":status", b"200 evil"),),
    ((b":status", b"+20"), EVIL), (OK, (b":status", b"201"), EVIL), (EVIL, OK), (OK, (b":path", b"/evil")), (EVIL,),
    (OK, (b"content-length", b"+4"), EVIL), (OK, (b"content-length", b"4, 4"), EVIL), (OK, (b"content-length", b""), EVIL),
    (OK, (b"content-length", b"4"), (b"content-length", b"4"), EVIL),
    (OK, (b"content-length", b"4"), (b"content-length", b"5"), EVIL),
    (OK, (b"content-length", b"99999999999999999999"), EVIL), (OK, (b"content-length", b"-1"), EVIL),
    ((b":status", b"101"), EVIL), ((b":status", b"100"), (b"x", b"a\r\nevil: 1")),
])  # fmt: skip
def test_a_head_that_is_refused(fields: tuple[Field, ...]) -> None:
    """Lines in values, names that are none, fields of a connection, statuses and lengths that two would read in two ways."""
    got, end, outcomes = seen(answer(*fields))
    assert got.startswith(b"HTTP/1.1 502 ")
    assert b"evil" not in got.lower()
    assert (end, outcomes) == ("", [(502, "response_malformed")])


@pytest.mark.parametrize("frames", [
    answer(OK, (b"content-length", b"2")), answer(OK, (b"content-length", b"20"), body=b"a part"),
    behind((b":status", b"200"), EVIL),
    behind((b"content-length", b"9"), EVIL), behind((b"x", b"9\r\nevil: 1")), behind((b"transfer-encoding", b"evil")),
    behind(EVIL, ended=False), behind((b"Evil", b"1")), behind((b"connection", b"evil")),
])  # fmt: skip
def test_what_is_refused_behind_the_head(frames: bytes) -> None:
    """The client sees that it is cut: an end would make it whole."""
    got, end, outcomes = seen(frames)
    assert b"evil" not in got.lower()
    assert not got.endswith(b"0\r\n\r\n")
    assert (end, outcomes) == ("abort", [(200, "response_malformed")])


@pytest.mark.parametrize("fields", [((b":status", b"204"),), ((b":status", b"304"),), (OK, (b"content-length", b"0"))])
def test_a_body_where_none_can_be(fields: tuple[Field, ...]) -> None:
    """In HTTP/1 it would be the next answer."""
    got, _, outcomes = seen(answer(*fields, body=b"HTTP/1.1 200 OK\r\nevil: 1\r\n\r\n"))
    assert got.endswith(b"\r\n\r\n")
    assert got.count(b"HTTP/1.1") == len(outcomes) == 1
    assert b"evil" not in got


@pytest.mark.parametrize(("fields", "reason"), [
    (tuple((b"x-%d" % number, b"y" * 1000) for number in range(80)), "response_head_too_large"),
    (tuple((b"set-cookie", b"y" * 4000) for _ in range(60)), "response_head_too_large"),
    ((*[(b"a%d" % number, b"b") for number in range(300)],), "response_too_many_fields"),
], ids=["80 KB", "240 KB", "300 fields"])  # fmt: skip
def test_an_answer_whose_head_is_too_large_fails_alone(fields: tuple[Field, ...], reason: str) -> None:
    """A page that sets too many cookies, or says again what somebody asks for, does not take the requests of others with it."""
    world = h2_world()
    client, other = world.connect(), world.connect()
    client.feed(get())
    other.feed(get())
    backend = server(world)
    backend.say(long_headers(1, (OK, *fields)))
    backend.answer(3)
    assert other.take().endswith(b"ok")
    assert world.outcomes() == [(502, reason), (200, "")]
    assert world.ended == []
    world.at_rest()


def test_trailers_that_are_too_large_fail_alone() -> None:
    """As a head of that size would."""
    world = h2_world()
    client, other = world.connect(), world.connect()
    client.feed(get("/", "TE: trailers", "Connection: TE"))
    other.feed(get())
    backend = server(world)
    backend.say(headers(1, (OK,), False) + data(1, b"ab") + long_headers(1, tuple((b"x-%d" % at, b"y" * 4000) for at in range(40))))
    backend.answer(3)
    assert other.take().endswith(b"ok")
    assert (client.end, world.outcomes(), world.ended) == ("abort", [(200, "response_bad_trailers"), (200, "")], [])
    world.at_rest()
