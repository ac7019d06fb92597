"""Bodies without a length, which only servers of HTTP/1.1 understand: wsgiref takes them for none and says 200."""

from __future__ import annotations

import pytest

from lbproxy.balance.ledger import SlotState, Spoken, state_at
from lbproxy.config import model
from lbproxy.errors import ConnectionLost
from lbproxy.proxy.unmeasured import PAUSE, UNFILED
from lbproxy.proxy.version import PATIENCE
from lbproxy.streams import BLOCK
from tests.unit.proxy.fakes import FakeScratch
from tests.unit.proxy.world import EOF, FakeStream, World, get, ok

OPTIONS = b"OPTIONS * HTTP/1.1\r\nHost: example.org\r\nConnection: close\r\n\r\n"
HEAD = get("/", "Transfer-Encoding: chunked", method="PUT")


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def unheard(backends: int = 1, scratch: FakeScratch | None = None, **pool: object) -> World:
    """A world in which nothing is known of the backends."""
    settings = model.PoolConfig("app", (), **pool)  # type: ignore[arg-type]
    return World(backends, pool=settings, scratch=scratch, heard=False)


def of_old(world: World, client: FakeStream) -> None:
    """The backends answer a request, and it is HTTP/1.0."""
    client.feed(get())
    world.upstream.feed(ok(minor=0))
    assert client.take().endswith(b"ok")
    assert world.outcomes() == [(200, "")]


def with_length(sent: bytes, body: bytes) -> bool:
    head, _, rest = sent.partition(b"\r\n\r\n")
    return b"\r\nContent-Length: %d" % len(body) in head and b"chunked" not in head and rest == body


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("size", [1, 4 * BLOCK])
def test_whole_with_a_length(size: int, known: bool) -> None:
    """The first request or not: nothing is sent before its length is known, in memory or not."""
    world = unheard(scratch=FakeScratch())
    client = world.connect()
    if known:
        of_old(world, client)
    dialled = len(world.dials)
    client.feed(HEAD)
    body = b"z" * size
    for at in range(0, size, 4000):
        client.feed(chunk(body[at : at + 4000]))
    assert len(world.dials) == dialled
    client.feed(b"0\r\n\r\n")
    assert with_length(world.upstream.sent, body)
    world.upstream.feed(ok(minor=0))
    assert world.outcomes() == [(200, "")]
    world.at_rest()


def test_a_server_of_1_1_gets_what_comes() -> None:
    """Nobody waits for the end of a body, once a head was heard."""
    world = unheard()
    client = world.connect()
    client.feed(get())
    world.upstream.feed(ok())
    client.take()
    world.upstream.take()
    client.feed(HEAD + chunk(b"one"))
    assert world.upstream.take().endswith(chunk(b"one"))
    client.feed(chunk(b"two"))
    assert world.upstream.take() == chunk(b"two")
    client.feed(b"0\r\n\r\n")
    world.upstream.feed(ok())
    world.at_rest()


def test_what_checks_have_heard() -> None:
    """Decides before there is a first request: nobody is asked. What requests hear counts from then on."""
    for spoken in (Spoken.CURRENT, Spoken.OLD):
        world = unheard(scratch=FakeScratch())
        world.ledger.cells[state_at(SlotState.SPOKEN, 0)] = spoken
        client = world.connect()
        client.feed(HEAD + chunk(b"one"))
        world.pass_time(2 * PAUSE)
        if spoken is Spoken.CURRENT:
            assert world.upstream.take().endswith(chunk(b"one"))
            client.feed(b"0\r\n\r\n")
        else:
            assert world.dials == []
            client.feed(b"0\r\n\r\n")
            assert with_length(world.upstream.sent, b"one")
        world.upstream.feed(ok())
        assert world.outcomes() == [(200, "")]
        client.feed(HEAD + chunk(b"two"))
        assert world.upstream.take().endswith(chunk(b"two"))
        client.feed(b"0\r\n\r\n")
        world.upstream.feed(ok())
        world.at_rest()


def test_whoever_pauses_makes_us_ask() -> None:
    """A client that waits for an answer to its beginning gets it: the backend is asked, and has the rest as it comes."""
    world = unheard()
    client = world.connect()
    client.feed(HEAD + chunk(b"one"))
    assert world.dials == []
    world.pass_time(PAUSE)
    asked = world.upstream
    assert asked.sent == OPTIONS
    asked.feed(b"HTTP/1.1 405 No\r\nContent-Length: 100\r\n\r\n")
    assert asked.end == "abort"
    assert world.upstream is not asked
    assert world.upstream.take().endswith(chunk(b"one"))
    client.feed(chunk(b"two"))
    assert world.upstream.take() == chunk(b"two")
    client.feed(b"0\r\n\r\n")
    assert world.upstream.take() == b"0\r\n\r\n"
    world.upstream.feed(ok())
    assert world.outcomes() == [(200, "")]
    client.feed(HEAD + chunk(b"one"))
    assert world.upstream.take().endswith(chunk(b"one")), "it is known now"
    client.feed(b"0\r\n\r\n")
    world.upstream.feed(ok())
    world.at_rest()


@pytest.mark.parametrize("answer", [b"HTTP/1.0 501 Unsupported\r\n\r\n", EOF, b"SSH-2.0-x\r\n", ConnectionLost("reset"), None])
def test_asked_in_vain(answer: bytes | Exception | None) -> None:
    """A server of 1.0, or one that says nothing of use, has the body whole however long it takes."""
    world = unheard()
    client = world.connect()
    client.feed(HEAD + chunk(b"one"))
    world.pass_time(PAUSE)
    asked = world.upstream
    if answer is None:
        world.pass_time(PATIENCE)
    else:
        asked.feed(answer)
    assert asked.end == "abort"
    client.feed(chunk(b"two"))
    world.pass_time(2 * PAUSE)
    assert world.upstream is asked
    client.feed(b"0\r\n\r\n")
    assert with_length(world.upstream.sent, b"onetwo")
    world.upstream.feed(ok(minor=0))
    assert world.outcomes() == [(200, "")]
    world.at_rest()


@pytest.mark.parametrize("filed", [False, True])
def test_more_than_may_be_buffered(filed: bool) -> None:
    """Is refused with a reason, and not sent in part."""
    world = unheard(scratch=FakeScratch() if filed else None, buffer_file=2 * BLOCK)
    client = world.connect()
    of_old(world, client)
    dialled = len(world.dials)
    client.feed(HEAD)
    sent = 0
    while sent < (UNFILED if not filed else 4 * BLOCK) and not client.sent:
        client.feed(chunk(b"z" * 16384))
        sent += 16384
    assert client.take().startswith(b"HTTP/1.1 411 ")
    assert len(world.dials) == dialled
    assert world.outcomes() == [(411, "length_unknown")]
    world.at_rest()


def test_a_second_try_at_a_server_of_old() -> None:
    """What the first one had in chunks, the second one gets with a length, as soon as all of it is here."""
    world = World(2, pool=model.PoolConfig("app", ()), heard=False)
    for slot in range(2):
        world.idle.heard(slot, 1)
    client = world.connect()
    client.feed(HEAD + chunk(b"one"))
    first = world.upstream
    other = 9001 if world.dials == [9000] else 9000
    world.idle.heard(other - 9000, 0)
    assert first.take().endswith(chunk(b"one"))
    client.feed(chunk(b"two"))
    first.feed(EOF)
    assert world.dials[1:] == []
    client.feed(chunk(b"three"))
    client.feed(b"0\r\n\r\n" + get("/next"))
    assert world.dials[1:] == [other]
    assert with_length(world.upstream.sent, b"onetwothree")
    world.upstream.take()
    world.upstream.feed(ok(minor=0))
    assert world.upstream.sent.startswith(b"GET /next ")
    world.upstream.feed(ok())
    world.at_rest()


def test_a_length_is_passed_on() -> None:
    """As it is, and at once."""
    world = unheard()
    client = world.connect()
    client.feed(get("/", "Content-Length: 6", method="PUT") + b"one")
    assert world.upstream.take().endswith(b"one")
    client.feed(b"two")
    world.upstream.feed(ok(minor=0))
    assert world.outcomes() == [(200, "")]
    world.at_rest()


def test_who_waits_to_be_asked_is_asked() -> None:
    """By us, since the backend does not know how to."""
    world = unheard()
    client = world.connect()
    client.feed(get("/", "Transfer-Encoding: chunked", "Expect: 100-continue", method="PUT"))
    assert client.take() == b"HTTP/1.1 100 Continue\r\n\r\n"
    client.feed(chunk(b"z") + b"0\r\n\r\n")
    assert with_length(world.upstream.sent, b"z")
    assert b"100-continue" not in world.upstream.sent
    world.upstream.feed(ok(minor=0))
    world.at_rest()


def test_a_slot_that_changes_hands_is_unknown_again() -> None:
    """Backends come and go."""
    world = unheard()
    world.idle.heard(0, 1)
    world.idle.backends_moved([0], [])
    assert world.idle.speaks(0) == 0


@pytest.mark.parametrize("known", ["by an answer", "by a check", "no"])
def test_who_waits_to_be_asked_is_asked_by_us(known: str) -> None:
    """HTTP/1.0 knows no 100: its servers wait for the body, and the client for them."""
    world = unheard()
    client = world.connect()
    if known == "by an answer":
        of_old(world, client)
    elif known == "by a check":
        world.ledger.cells[state_at(SlotState.SPOKEN, 0)] = Spoken.OLD
    client.feed(get("/", "Content-Length: 5", "Expect: 100-continue", method="PUT"))
    assert client.take() == (b"" if known == "no" else b"HTTP/1.1 100 Continue\r\n\r\n")
    client.feed(b"hello")
    assert world.upstream.take().endswith(b"\r\n\r\nhello")
    world.upstream.feed(ok(minor=0))
    assert client.take().endswith(b"ok")
    assert world.outcomes() == [(200, "")]
    world.at_rest()


@pytest.mark.parametrize("spoken", ["1.0", "1.1"])
def test_who_is_not_waiting_is_not_asked(spoken: str) -> None:
    """Its body has begun, or the server asks for itself."""
    world = unheard()
    client = world.connect()
    client.feed(get())
    world.upstream.feed(ok(minor=int(spoken[-1])))
    client.take()
    client.feed(get("/", "Content-Length: 5", "Expect: 100-continue", method="PUT") + (b"h" if spoken == "1.0" else b""))
    assert client.take() == b""
