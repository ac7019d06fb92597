"""Which connection a request to a backend of HTTP/2 goes over: a shared one, or one of HTTP/1.1 for itself."""

from __future__ import annotations

import pytest

from lbproxy.balance.ledger import PerSlot
from lbproxy.config import model
from lbproxy.http.h2.vocabulary import H2Code
from lbproxy.proxy.h2.backend import REMEMBERED
from lbproxy.proxy.h2.backends import wants_http_2
from tests.support import h2_frames as wire
from tests.unit.proxy.h2.test_h2_upstream import WEBSOCKET
from tests.unit.proxy.h2_server import h2_world, server
from tests.unit.proxy.world import EOF, World, get, ok, post

AUTO = model.PoolConfig("app", (), tls=model.PoolTlsConfig(), protocol="auto")
TLS = model.PoolConfig("app", (), tls=model.PoolTlsConfig(), protocol="h2")


@pytest.mark.parametrize(("protocol", "tls", "expected"), [
    ("http/1.1", None, False), ("http/1.1", model.PoolTlsConfig(), False), ("h2", None, True), ("h2", model.PoolTlsConfig(), True),
    ("auto", None, False), ("auto", model.PoolTlsConfig(), True),
])  # fmt: skip
def test_wants_http_2(protocol: str, tls: model.PoolTlsConfig | None, expected: bool) -> None:
    """Where there is nothing to choose by, "auto" is HTTP/1.1."""
    assert wants_http_2(model.PoolConfig("app", (), tls=tls, protocol=protocol)) is expected


def test_over_tls() -> None:
    """The scheme is that of the connection."""
    world = h2_world(pool=TLS)
    client = world.connect()
    client.feed(get())
    backend = server(world)
    [request] = backend.requests()
    assert request.fields[b":scheme"] == b"https"
    backend.answer(1)
    assert client.take().endswith(b"ok")
    world.at_rest()


def test_a_backend_that_does_not_choose_it() -> None:
    """Is not spoken to where the pool insists."""
    world = h2_world(backends=1, pool=TLS)
    world.alpn = []
    client = world.connect()
    client.feed(get())
    assert client.take().startswith(b"HTTP/1.1 502 ")
    assert world.outcomes() == [(502, "h2_not_chosen")]
    assert all(stream.end for stream in world.upstreams)
    world.at_rest()


def test_either_by_what_is_chosen() -> None:
    """HTTP/1.1 connections are kept as any others are; once the backend chooses HTTP/2 its connection is shared."""
    world = h2_world(pool=AUTO)
    world.alpn = ["http/1.1"]
    clients = [world.connect() for _ in range(3)]
    for client in clients[:2]:
        client.feed(get())
    assert len(world.upstreams) == 2
    for stream in world.upstreams:
        assert stream.take().startswith(b"GET / HTTP/1.1\r\n")
        stream.feed(ok())
    clients[0].feed(get())
    assert len(world.upstreams) == 2
    world.alpn = ["h2"]
    clients[1].feed(get())
    clients[2].feed(get())
    assert len(world.upstreams) == 3
    backend = server(world)
    [request] = backend.requests()
    assert request.fields[b":method"] == b"GET"
    backend.answer(1)
    assert world.count(PerSlot.CONNECTS, 0) == 3
    assert world.count(PerSlot.H2_CONNECTS, 0) == 1


def test_many_at_once_to_a_backend_that_turns_out_to_speak_http_1() -> None:
    """Each gets a connection."""
    world = h2_world(pool=AUTO)
    world.alpn = ["http/1.1"]
    world.hanging.add(9000)
    clients = [world.connect() for _ in range(5)]
    for client in clients:
        client.feed(get())
    assert len(world.dials) == 1
    world.hanging.clear()
    world.strands[1].switch()  # the one that dials, for the client before it
    world.settle()
    assert len(world.upstreams) == 5
    for stream in world.upstreams:
        stream.feed(ok())
    assert world.outcomes() == [(200, "")] * 5
    world.at_rest()


# ---------------------------------------------------------------- connections that are not shared


@pytest.mark.parametrize("credentials", ["NTLM TlRMTVNTUAAB", "Negotiate YII="])
def test_logins_of_a_connection(credentials: str) -> None:
    """They are not offered over HTTP/2: where a backend may speak either they go over HTTP/1.1, else they are refused, and the
    backend is not to blame."""
    world = h2_world(pool=AUTO)
    world.alpn = ["h2", "http/1.1"]
    client = world.connect()
    client.feed(get("/", f"Authorization: {credentials}"))
    assert world.upstream.agreed == "http/1.1"
    assert b"uthorization: " in world.upstream.take()
    world = h2_world()
    client = world.connect()
    client.feed(get("/", f"Authorization: {credentials}"))
    assert client.take().startswith(b"HTTP/1.1 502 ")
    assert world.outcomes() == [(502, "h2_login")]
    assert world.count(PerSlot.FAILURES, 0) == 0
    world.at_rest()


@pytest.mark.parametrize("by", ["reset", "goaway"])
def test_a_backend_that_requires_http_1_gets_it(by: str) -> None:
    """The very request, whatever it is: it was not carried out. For a while all others as well, over connections that are kept."""
    world = h2_world(pool=AUTO)
    world.alpn = ["h2", "http/1.1"]
    client = world.connect()
    client.feed(b"POST /form HTTP/1.1\r\nHost: example.com\r\nContent-Length: 4\r\n\r\nbody")
    backend = server(world)
    assert len(backend.requests()) == 1
    backend.say(wire.reset(1, H2Code.HTTP_1_1_REQUIRED) if by == "reset" else wire.goaway(0, H2Code.HTTP_1_1_REQUIRED))
    assert world.upstream.agreed == "http/1.1"
    sent = world.upstream.take()
    assert sent.startswith(b"POST /form HTTP/1.1\r\n")
    assert sent.endswith(b"\r\n\r\nbody")
    world.upstream.feed(ok())
    assert client.take().endswith(b"ok")
    assert world.outcomes() == [(200, "")]
    assert world.count(PerSlot.FAILURES, 0) == 0
    connections = len(world.upstreams)
    client.feed(get())
    assert world.upstream.take().startswith(b"GET / HTTP/1.1\r\n")
    world.upstream.feed(ok())
    assert len(world.upstreams) == connections
    world.pass_time(REMEMBERED + 1.0)
    other = world.connect()
    other.feed(get())
    assert world.upstream.agreed == "h2"


def test_a_backend_that_requires_what_its_pool_forbids() -> None:
    """The reason says what to change."""
    world = h2_world()
    client = world.connect()
    client.feed(get())
    backend = server(world)
    backend.requests()
    backend.say(wire.reset(1, H2Code.HTTP_1_1_REQUIRED))
    assert client.take().startswith(b"HTTP/1.1 502 ")
    assert world.outcomes() == [(502, "h2_http_1_required")]
    assert len(world.upstreams) == 1


def test_a_websocket_where_either_may_be_spoken() -> None:
    """Over HTTP/1.1 as long as nothing else is known, over HTTP/2 where the backend carries it there."""
    world = h2_world(pool=AUTO)
    world.alpn = ["h2", "http/1.1"]
    client = world.connect()
    client.feed(get("/", *WEBSOCKET))
    assert world.upstream.agreed == "http/1.1"
    assert b"\r\nUpgrade: websocket\r\n" in world.upstream.take()
    plain = world.connect()
    plain.feed(get())
    backend = server(world, settings=wire.settings((8, 1)))
    backend.answer(1)
    other = world.connect()
    other.feed(get("/", *WEBSOCKET))
    assert backend.requests()[-1].fields[b":protocol"] == b"websocket"


@pytest.mark.parametrize("known", [True, False])
def test_a_websocket_that_the_backend_does_not_carry(known: bool) -> None:
    """502 with a reason, whether that is known before or turns out; no backend is to blame, and nothing is asked twice."""
    world = h2_world(backends=1 if known else 2)
    if known:
        first = world.connect()
        first.feed(get())
        server(world).answer(1)
        assert world.outcomes() == [(200, "")]
    client = world.connect()
    client.feed(get("/", *WEBSOCKET))
    backend = server(world, settings=None if known else wire.settings())
    assert client.take().startswith(b"HTTP/1.1 502 ")
    assert world.outcomes() == [(502, "h2_websocket")]
    assert len(world.dials) == 1
    assert [frame for frame in backend.listen() if frame.kind == wire.HEADERS][known:] == []
    assert world.count(PerSlot.FAILURES, 0) == 0
    world.at_rest()


def test_other_protocols() -> None:
    """Over HTTP/1.1 where that may be, else they are not asked for."""
    upgrade = ("Connection: Upgrade", "Upgrade: tcp", "Content-Length: 0")
    world = h2_world(pool=AUTO)
    world.alpn = ["h2", "http/1.1"]
    client = world.connect()
    client.feed(get("/", *upgrade, method="POST"))
    assert b"\r\nUpgrade: tcp\r\n" in world.upstream.take()
    world = h2_world()
    client = world.connect()
    client.feed(get("/", *upgrade, method="POST"))
    backend = server(world)
    [request] = backend.requests()
    assert b"upgrade" not in request.fields
    backend.answer(1)
    assert client.take().startswith(b"HTTP/1.1 200 ")


def test_a_pool_that_speaks_http_1_is_asked_nothing() -> None:
    """There is nobody to ask."""
    world = World()
    assert world.idle.shared is None
    client = world.connect()
    client.feed(get())
    world.upstream.feed(ok())
    assert client.take().endswith(b"ok")
    world.at_rest()


def test_a_stream_given_up_by_its_client_is_not_the_next_ones() -> None:
    """What comes late for it is nobody's."""
    world = h2_world()
    client = world.connect()
    client.feed(get())
    backend = server(world)
    client.feed(b"")
    assert backend.resets() == [(1, H2Code.CANCEL)]
    other = world.connect()
    other.feed(get())
    backend.answer(1, b"late")
    backend.answer(3, b"in time", ((b":status", b"200"),))
    assert b"in time" in other.take()
    world.at_rest()


def test_a_renewal_of_what_a_pool_trusts() -> None:
    """What is under way ends where it is; the next request begins on another connection."""
    world = h2_world(pool=TLS)
    first, second = world.connect(), world.connect()
    first.feed(get())
    before = server(world)
    world.service.idle.renewed("other", [], lambda upstream: False)
    second.feed(get())
    assert len(world.upstreams) == 1
    world.service.idle.renewed("app", [0], lambda upstream: False)
    before.answer(1)
    before.answer(3)
    assert first.take().endswith(b"ok")
    first.feed(get())
    assert len(world.upstreams) == 2
    server(world).answer(1)
    assert world.outcomes() == [(200, "")] * 3
    assert world.upstreams[0].end


COOKIES = "Cookie: " + "c" * 9000


def test_a_large_head_goes_over_a_connection_of_its_own() -> None:
    """nginx and HAProxy end the whole connection for a head that they do not take: what others have on theirs goes on."""
    world = h2_world()
    first, large = world.connect(), world.connect()
    first.feed(post(b"a=1"))
    shared = server(world)
    large.feed(get("/", COOKIES))
    assert len(world.upstreams) == 2
    own = server(world)
    assert [request.fields[b"cookie"] for request in own.requests()] == [b"c" * 9000]
    own.say(wire.goaway(1, H2Code.ENHANCE_YOUR_CALM))
    own.stream.feed(EOF)
    shared.answer(1)
    assert first.take().endswith(b"ok")
    assert world.outcomes() == [(502, "h2_goaway"), (200, "")]
    world.at_rest()


def test_large_heads_follow_one_another_on_theirs() -> None:
    """One at a time; others never go there, and two at once are two connections."""
    world = h2_world()
    clients = [world.connect() for _ in range(3)]
    clients[0].feed(get("/", COOKIES))
    own = server(world)
    clients[1].feed(get())
    shared = server(world)
    clients[2].feed(get("/", COOKIES))
    assert len(world.upstreams) == 3
    other = server(world)
    for backend in (own, shared, other):
        backend.answer(1)
    clients[0].feed(get("/", COOKIES))
    own.answer(3)
    clients[1].feed(get())
    shared.answer(3)
    assert len(world.upstreams) == 3
    assert [len(backend.requests()) for backend in (own, shared, other)] == [2, 2, 1]
    assert world.outcomes() == [(200, "")] * 5
    world.at_rest()


def test_those_that_wait_for_a_connection_get_one_of_their_kind() -> None:
    """Whoever asked first has the first one, and another one is opened for the others."""
    world = h2_world()
    clients = [world.connect() for _ in range(4)]
    for client, fields in zip(clients, ((COOKIES,), (), (COOKIES,), ()), strict=True):
        client.feed(get("/", *fields))
    told = []
    for backend in [server(world, index) for index in range(3)]:
        requests = backend.requests()
        told.append([b"cookie" in request.fields for request in requests])
        for request in requests:
            backend.answer(request.stream)
    assert sorted(told) == [[False, False], [True], [True]]
    assert world.outcomes() == [(200, "")] * 4
    world.at_rest()
