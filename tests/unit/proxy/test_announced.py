"""Connections to backends that began with a PROXY header: each is one client connection's alone."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from lbproxy.config import model
from lbproxy.config.model import Network
from lbproxy.http.forwarding import Forwarder
from lbproxy.prelude.announce import LOCAL, Ends, header
from lbproxy.proxy.announced import AnnouncedUpstreams, announce
from lbproxy.proxy.client import ClientConnection
from lbproxy.proxy.downstream import NO_REDIRECT
from lbproxy.worker.accept.connection_filter import AnnouncedConnection
from tests.unit.proxy.world import EOF, FakeStream, World, get, ok

ENDS = Ends("192.0.2.1", 51000, "198.51.100.1", 443)
POOL = model.PoolConfig("app", (), proxy_protocol="v2")


class Site:
    """A pool whose backends are told, and clients."""

    def __init__(self, backends: int = 1, pool: model.PoolConfig = POOL) -> None:
        self.world = World(backends, pool=pool)

    def connect(self, ends: Ends = ENDS, trusted: tuple[Network, ...] = ()) -> FakeStream:
        """As connection_setup makes them."""
        stream = FakeStream(self.world, "client")
        self.world.limit.acquire_anyway()
        forwarder = Forwarder(ends.source, "https", 443, trusted)
        forwarder.announced = announced = AnnouncedUpstreams(lambda: ends, "db.example", "h2")
        count = AnnouncedConnection(self.world.limit, announced)
        ClientConnection(self.world.service, stream, ends.source, forwarder, NO_REDIRECT, 0.0, count).await_first()
        return stream

    def ask(self, client: FakeStream, *fields: str, method: str = "GET") -> None:
        """One request, answered by whoever got it."""
        client.feed(get("/", *fields).replace(b"GET", method.encode()))
        for upstream in self.world.upstreams:
            if upstream.take():
                upstream.feed(ok())
        assert client.take().startswith(b"HTTP/1.1 200")


def test_the_backend_is_told_in_front_of_everything_else() -> None:
    site = Site()
    site.ask(site.connect())
    assert site.world.introductions == [header("v2", ENDS, b"db.example", b"h2")]


def test_one_client_after_another_has_a_connection_of_his_own() -> None:
    """A client's requests share one, one after another; another client's never come over it."""
    site = Site()
    first, second = site.connect(), site.connect(ENDS._replace(source_port=51001))
    for client in (first, second, first, second, first):
        site.ask(client)
        site.world.pass_time(0.1)
    assert [told[24:26] for told in site.world.introductions] == [b"\xc7\x38", b"\xc7\x39"]
    assert [stream.end for stream in site.world.upstreams] == ["", ""]
    assert len(site.world.service.idle) == 0, "nobody shares them"
    first.feed(EOF)
    assert [stream.end for stream in site.world.upstreams] == ["close", ""], "it goes with its client"
    second.feed(EOF)
    site.world.at_rest()


def test_picks_are_free() -> None:
    """The client's connection to one backend does not keep it from another that has less to do."""
    site = Site(backends=3)
    client = site.connect()
    for _ in range(6):
        site.ask(client)
        site.world.pass_time(0.1)
    assert len(site.world.dials) == len(set(site.world.dials)) == 3
    client.feed(EOF)
    site.world.at_rest()


def test_what_may_not_be_sent_twice_takes_only_what_its_backend_keeps() -> None:
    """As everywhere: a connection that has just answered for the first time may be closing."""
    site = Site()
    client = site.connect()
    site.ask(client)
    site.ask(client, "Content-Length: 0", method="POST")
    assert len(site.world.dials) == 2
    site.world.pass_time(0.1)
    site.ask(client, "Content-Length: 0", method="POST")
    assert len(site.world.dials) == 2


def test_a_backend_that_closes_or_speaks_unasked_loses_its_connection() -> None:
    site = Site()
    for said in (EOF, b"HTTP/1.1 200 OK\r\n\r\n"):
        client = site.connect()
        site.ask(client)
        kept = site.world.upstream
        kept.feed(said)
        assert kept.end == "close"
        site.ask(client)
        assert site.world.upstream is not kept
        client.feed(EOF)
    site.world.at_rest()


@pytest.mark.parametrize("connections", [
    model.ConnectionsConfig(idle=0), model.ConnectionsConfig(max_requests=1), model.ConnectionsConfig(idle_timeout=0.05),
    model.ConnectionsConfig(max_age=0.01),
])  # fmt: skip
def test_how_long_they_are_kept_says_the_pool(connections: model.ConnectionsConfig) -> None:
    pool = model.PoolConfig("app", (), proxy_protocol="v1", connections=connections)
    site = Site(pool=pool)
    site.world.idle._settings = {"app": connections}
    client = site.connect()
    for _ in range(3):
        site.ask(client)
        site.world.pass_time(0.5)
    assert site.world.introductions == [header("v1", ENDS)] * 3
    assert [stream.end for stream in site.world.upstreams] == ["close"] * 3


def test_a_trusted_proxy_speaks_for_many() -> None:
    """Each of them has its own connections, also over one of the proxy's; the port is nobody's."""
    site = Site()
    client = site.connect(trusted=(ip_network("192.0.2.0/24"),))
    for name in ("203.0.113.5", "203.0.113.6", "203.0.113.5", "203.0.113.6"):
        site.ask(client, f"X-Forwarded-For: {name}")
        site.world.pass_time(0.1)
    named = [ENDS._replace(source=f"203.0.113.{number}", source_port=0) for number in (5, 6)]
    assert site.world.introductions == [header("v2", ends, b"db.example", b"h2") for ends in named]


def test_requests_with_ids_tell_the_one_they_are_opened_for() -> None:
    pool = model.PoolConfig("app", (), proxy_protocol="v2", headers=model.HeadersConfig(request_id="pass"))
    site = Site(pool=pool)
    client = site.connect()
    site.ask(client, "X-Request-Id: abc-1")
    site.world.pass_time(0.1)
    site.ask(client, "X-Request-Id: abc-2")
    assert site.world.introductions == [header("v2", ENDS, b"db.example", b"h2", b"abc-1")]


def test_a_login_stays_on_the_connection_it_was_made_on() -> None:
    """As on every other: the client's next request comes over it, whatever the pick would be."""
    site = Site(backends=2)
    client = site.connect()
    client.feed(get())
    asked = site.world.upstream
    asked.take()
    asked.feed(ok(b"who?", "WWW-Authenticate: NTLM", status="401 Unauthorized"))
    client.take()
    for _ in range(3):
        client.feed(get("/", "Authorization: NTLM x"))
        assert b"NTLM x" in asked.take()
        asked.feed(ok())
        client.take()
    client.feed(EOF)
    assert asked.end == "close"
    site.world.at_rest()


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_a_question_of_our_own_is_nobodys(version: str) -> None:
    """It says so, and what comes back is never kept for anybody."""
    told = announce(version, None, None, None)
    assert (told.header, told.keeper) == (LOCAL[version], None)


def test_a_retry_elsewhere_tells_the_other_one_as_well() -> None:
    site = Site(backends=2)
    site.world.refuse(0)
    site.ask(site.connect())
    assert site.world.introductions == [header("v2", ENDS, b"db.example", b"h2")] * 2
