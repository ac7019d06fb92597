"""One request's journey, when it does not go as hoped: second tries, and the answers that are our own."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from lbproxy.balance.ledger import HealthState, PerSlot, SlotState, state_at
from lbproxy.config import model
from lbproxy.proxy.response_head import MAX_RESPONSE_HEAD
from tests.unit.proxy.world import EOF, LOST, UNHEARD, FakeStream, World, get, ok, post


def answered(world: World, client: FakeStream, request: bytes, response: bytes) -> bytes:
    """What the client gets when the backend answers `request` with `response`."""
    client.feed(request)
    world.upstream.feed(response)
    return client.take()


# ---------------------------------------------------------------- second tries


def test_a_refused_connection_costs_nothing() -> None:
    world = World()
    world.refuse(0)
    client = world.connect()
    client.feed(post(b"x" * 10))
    assert world.dials == [9000, 9001]
    assert world.upstream.take().endswith(b"x" * 10)
    world.upstream.feed(ok())
    [line] = world.lines()
    assert (line["status"], line["reason"], line["backend"], line["tries"]) == (200, "", "b1", 2)
    assert world.count(PerSlot.FAILURES, 0) == 1
    assert world.count(PerSlot.CONNECTS, 0) == 0
    assert world.service.counters.retries == 1
    world.at_rest()


@pytest.mark.parametrize(("backends", "tries"), [(1, 1), (2, 2), (3, 3), (5, 3)])
def test_all_refuse(backends: int, tries: int) -> None:
    world = World(backends)
    world.refuse(*range(backends))
    client = world.connect()
    client.feed(get())
    assert client.take().startswith(b"HTTP/1.1 502 Bad Gateway\r\n")
    assert client.is_open(), "an answer of our own does not cost the client its connection"
    assert len(world.dials) == tries
    assert world.outcomes() == [(502, "connection_refused")]
    world.at_rest()


@pytest.mark.parametrize(("method", "death"), [
    ("GET", EOF), ("GET", UNHEARD), ("GET", LOST), ("POST", UNHEARD), ("PATCH", UNHEARD),
])  # fmt: skip
def test_a_reused_connection_that_died_is_replaced(method: str, death: bytes | Exception) -> None:
    """It was closed as idle while our request was on its way: the same backend, once, afresh. Also for POST, if that is proved."""
    world = World(backends=1)
    client = world.connect()
    answered(world, client, get(), ok())
    client.feed(post(b"body", method=method))
    world.upstream.feed(death)
    assert len(world.dials) == 2
    assert world.upstream.take().endswith(b"body")
    world.upstream.feed(ok(b"second"))
    assert client.take().endswith(b"second")
    lines = world.lines()
    assert [(line["status"], line["tries"]) for line in lines] == [(200, 1), (200, 1)]
    assert world.count(PerSlot.FAILURES, 0) == 0
    world.at_rest()


@pytest.mark.parametrize("death", [EOF, LOST], ids=["end", "reset"])
@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_what_a_dying_backend_may_have_done_is_not_done_twice(method: str, death: bytes | Exception) -> None:
    """It took the request, on a connection that was kept, and died. Perhaps it had carried it out: nobody knows."""
    world = World(backends=2)
    client = world.connect()
    for _ in range(2):
        answered(world, client, get(), ok())
    client.feed(post(b"an order", method=method))
    world.upstreams[0].feed(death)
    assert world.dials == [9000, 9001], "both were there before"
    assert not world.upstreams[1].sent.count(b"an order")
    assert client.take().startswith(b"HTTP/1.1 502 ")
    assert world.outcomes()[2:] == [(502, "response_closed")]
    assert world.count(PerSlot.FAILURES, 0) == 1
    world.at_rest()


def test_a_body_that_followed_is_no_proof_that_nothing_was_taken() -> None:
    """The end came after a part of the body; only if the backend had got nothing at all, the head included, it is sent again."""
    for death, again in ((EOF, False), (UNHEARD, True)):
        world = World(backends=1)
        client = world.connect()
        answered(world, client, get(), ok())
        client.feed(post(b"half", length=8), b"more")
        world.upstream.feed(death)
        assert len(world.dials) == (2 if again else 1)
        if again:
            assert world.upstream.take().endswith(b"\r\n\r\nhalfmore")
            world.upstream.feed(ok())
        assert world.outcomes()[1:] == [(200 if again else 502, "" if again else "response_closed")]
        world.at_rest()


def test_a_fresh_connection_that_ends_before_the_request_reached_it() -> None:
    """A backend that closes what it accepts (it is full, or ends) has done nothing: another one is asked, whatever the method."""
    world = World(backends=2)
    client = world.connect()
    client.feed(post(b"an order"))
    world.upstream.feed(UNHEARD)
    assert world.dials == [9000, 9001]
    world.upstream.feed(ok())
    assert world.outcomes() == [(200, "")]
    world.at_rest()


def test_a_reused_connection_that_cannot_be_written_to_is_replaced() -> None:
    world = World(backends=1)
    client = world.connect()
    answered(world, client, get(), ok())
    dead = world.upstream
    dead.broken = LOST
    client.feed(post(b"body"))
    dead.feed(LOST)
    assert world.upstream.take().endswith(b"body")
    world.upstream.feed(ok())
    assert world.outcomes() == [(200, "")] * 2
    world.at_rest()


def test_a_reused_connection_that_began_to_answer_did_work() -> None:
    """After 100 or 103 the backend has the request; a POST is not sent again."""
    world = World(backends=2)
    client = world.connect()
    answered(world, client, get(), ok())
    client.feed(post(b"body"))
    used = world.upstream
    used.feed(b"HTTP/1.1 103 Early Hints\r\n\r\n")
    used.feed(EOF)
    assert world.outcomes()[-1] == (502, "response_truncated")
    world.at_rest()


@pytest.mark.parametrize(("method", "again"), [
    ("GET", True), ("PUT", True), ("DELETE", True), ("HEAD", True), ("POST", False), ("PATCH", False),
])  # fmt: skip
def test_only_what_is_harmless_is_sent_twice(method: str, again: bool) -> None:
    world = World()
    client = world.connect()
    client.feed(get(method=method))
    world.upstream.feed(EOF)
    assert len(world.dials) == (2 if again else 1)
    if again:
        world.upstream.feed(EOF)
        assert len(world.dials) == 2, "two tries in all"
    assert client.take().startswith(b"HTTP/1.1 502 ")
    assert world.outcomes() == [(502, "response_closed")]
    world.at_rest()


def test_a_body_is_sent_again_from_its_beginning() -> None:
    world = World()
    client = world.connect()
    client.feed(post(b"12345", method="PUT", length=10))
    client.feed(b"678")
    assert world.upstream.take().endswith(b"\r\n\r\n12345678")
    world.upstream.feed(EOF)
    assert world.dials == [9000, 9001]
    assert world.upstream.take().endswith(b"\r\n\r\n12345678")
    client.feed(b"90")
    assert world.upstream.take() == b"90"
    world.upstream.feed(ok())
    assert world.outcomes() == [(200, "")]
    assert client.is_open()
    world.at_rest()


def test_a_body_too_large_to_keep_is_not_sent_again() -> None:
    world = World()
    client = world.connect()
    client.feed(post(b"x" * 16000, method="PUT", length=100_000))
    for _ in range(4):
        client.feed(b"x" * 16000)
    world.upstream.feed(EOF)
    assert len(world.dials) == 1
    assert client.take().startswith(b"HTTP/1.1 502 ")
    assert client.end == "finish"
    assert world.outcomes() == [(502, "response_closed")]
    world.at_rest()


@pytest.mark.parametrize(("response", "status", "reason"), [
    (b"garbage\r\n\r\n", 502, "response_not_http"),
    (b"SSH-2.0-OpenSSH_9.2\r\n", 502, "response_not_http"),
    (b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok", 502, "response_bare_lf"),
    (b"HTTP/1.1 200 OK\r\nX: a\0b", 502, "response_malformed"),
    (b"HTTP/1.1 999 No", 502, "response_status"),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\n", 502, "response_content_length"),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", 502, "response_transfer_encoding"),
    (b"HTTP/1.1 200 OK\r\nX: " + b"x" * (MAX_RESPONSE_HEAD + 1), 502, "response_head_too_large"),
    (b"HTTP/1.1 200 O", 502, "response_truncated"),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 502, "response_bad_chunk"),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n1\r\nab\r\n", 502, "response_bad_chunk"),
])  # fmt: skip
def test_an_answer_that_cannot_be_read(response: bytes, status: int, reason: str) -> None:
    world = World()
    client = world.connect()
    client.feed(get(method="POST"))
    for at in range(0, len(response), 16384):
        world.upstream.feed(response[at : at + 16384])
    if reason == "response_truncated":
        world.upstream.feed(EOF)
    assert client.take().startswith(b"HTTP/1.1 %d " % status)
    assert world.upstream.end == "abort"
    assert world.outcomes() == [(status, reason)]
    world.at_rest()


REFUSED = [
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nX: \x01\r\n\r\n",
    b"HTTP/1.1 777 Odd\r\n\r\n",
    b"HTTP/1.1 200 OK\n\n",
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 201 + b"\r\n",
]


@pytest.mark.parametrize("answer", REFUSED)
@pytest.mark.parametrize("method", ["GET", "DELETE", "POST"])
@pytest.mark.parametrize("minor", [0, 1])
def test_an_answer_that_is_refused_is_an_answer(answer: bytes, method: str, minor: int) -> None:
    """The request was carried out; another backend would do it again, and the form of its answer tells nothing about this one."""
    world = World(backends=2)
    client = world.connect()
    client.feed(get(method=method, minor=minor))
    world.upstream.feed(answer)
    assert world.upstream.end == "abort"
    assert client.take().startswith(b"HTTP/1.1 502 ")
    assert len(world.dials) == 1
    [line] = world.lines()
    assert line["reason"].startswith("response_")
    assert (world.count(PerSlot.FAILURES, 0), world.count(PerSlot.REFUSED_ANSWERS, 0)) == (0, 1)
    world.at_rest()


def test_a_chunk_that_breaks_later_is_told_apart_from_a_death() -> None:
    world = World(backends=1)
    for answer, failures, refused in ((b"zz\r\n", 0, 1), (EOF, 1, 1)):
        client = world.connect()
        client.feed(get())
        world.upstream.feed(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n", answer)
        assert (world.count(PerSlot.FAILURES, 0), world.count(PerSlot.REFUSED_ANSWERS, 0)) == (failures, refused)


@pytest.mark.parametrize(("retry_on", "death", "again"), [
    (("connect", "closed"), EOF, True),
    (("connect",), EOF, False),
    (("connect", "closed"), b"HTTP/1.1 777 Odd\r\n\r\n", False),
    (("refused",), b"HTTP/1.1 777 Odd\r\n\r\n", True),
    (("connect", "closed"), None, False),
    (("timeout",), None, True),
])  # fmt: skip
def test_what_is_tried_again_is_for_the_pool_to_say(retry_on: tuple[str, ...], death: bytes | None, again: bool) -> None:
    """By default what tells that a backend is not there; None: silence."""
    for method in ("GET", "POST"):
        world = World(
            backends=2, timeouts=model.TimeoutsConfig(response_head=5.0), pool=model.PoolConfig("app", (), retry_on=retry_on)
        )
        client = world.connect()
        client.feed(get(method=method))
        if death is None:
            world.pass_time(5.5)
        else:
            world.upstream.feed(death)
        assert len(world.dials) == (2 if again and method == "GET" else 1)
        client.feed(EOF)
        world.at_rest()


def test_a_backend_that_does_not_answer() -> None:
    world = World(timeouts=model.TimeoutsConfig(response_head=5.0))
    client = world.connect()
    client.feed(get(method="POST"))
    world.pass_time(5.5)
    assert client.take().startswith(b"HTTP/1.1 504 ")
    assert world.outcomes() == [(504, "response_timeout")]
    world.at_rest()


# ---------------------------------------------------------------- answers of our own


def test_no_route_and_no_backend() -> None:
    world = World(backends=1, route=model.RouteConfig("app", path="/api"))
    client = world.connect()
    client.feed(get("/other"))
    assert client.take().startswith(b"HTTP/1.1 404 ")
    world.ledger.cells[state_at(SlotState.HEALTH, 0)] = HealthState.DOWN
    client.feed(get("/api/x"))
    got = client.take()
    assert got.startswith(b"HTTP/1.1 503 ")
    assert b"\r\nRetry-After: " in got
    assert world.outcomes() == [(404, "no_route"), (503, "no_backend")]
    assert client.is_open()
    world.at_rest()


@pytest.mark.parametrize(("request_head", "location", "end"), [
    (get("/a?b"), b"https://example.org/a?b", ""),
    (get("*", method="OPTIONS"), b"https://example.org/", ""),
    (post(b"x"), b"https://example.org/", ""),
    (post(b"x", length=2), b"https://example.org/", "finish"),
])  # fmt: skip
def test_redirects_to_https(request_head: bytes, location: bytes, end: str) -> None:
    world = World()
    client = world.connect(redirect=True)
    client.feed(request_head)
    got = client.take()
    assert got.startswith(b"HTTP/1.1 308 Permanent Redirect\r\n")
    assert b"\r\nLocation: " + location + b"\r\n" in got
    assert client.end == end
    assert world.dials == []
    assert world.outcomes() == [(308, "redirect_to_https")]
    world.at_rest()


def test_behind_a_terminator_there_is_nothing_to_redirect() -> None:
    """A trusted one that says https: 308 to where the client is already would go round for ever. Others are not believed."""
    for peer, served in (("10.0.0.1", True), ("192.0.2.1", False)):
        world = World(backends=1)
        client = world.connect(redirect=True, peer=peer, trusted=(ip_network("10.0.0.0/8"),))
        client.feed(get("/", "X-Forwarded-Proto: https"))
        if served:
            world.upstream.feed(ok())
        assert client.take().startswith(b"HTTP/1.1 200 " if served else b"HTTP/1.1 308 ")
        client.feed(get("/", "X-Forwarded-Proto: http"))
        assert client.take().startswith(b"HTTP/1.1 308 ")
        world.at_rest()


def test_an_unforeseen_fault_costs_one_connection() -> None:
    world = World()
    client = world.connect()

    def broken(*_: object) -> FakeStream:
        raise KeyError("a bug")

    world.service.dialer = type("Broken", (), {"dial": broken})()
    client.feed(get())
    assert client.end == "abort"
    assert [type(fault) for fault in world.faults] == [KeyError]
    world.faults.clear()
    assert world.outcomes() == [(500, "internal_error")]
    world.at_rest()


def test_a_drain_that_begins_meanwhile_says_close() -> None:
    world = World()
    client = world.connect()
    client.feed(get())
    world.service.draining = True
    world.upstream.feed(ok())
    assert b"\r\nConnection: close\r\n" in client.take()
    assert client.end == "finish"
    world.at_rest()
