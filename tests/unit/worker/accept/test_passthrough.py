"""Newcomers of a listener that passes some of them through: who is, who is not, and what becomes of the others."""

from __future__ import annotations

import ssl
import struct
from collections.abc import Iterator
from ipaddress import ip_network
from typing import Any

import gevent
import pytest

from lbproxy.balance.ledger import Scalar
from lbproxy.config import model
from lbproxy.net.deadlines import Deadlines
from lbproxy.prelude.alert import DECODE_ERROR, INTERNAL_ERROR, UNRECOGNIZED_NAME, fatal
from lbproxy.prelude.announce import Ends, header
from lbproxy.proxy.retry_budget import RetryBudgets
from tests.unit.net.loopback import deadlines_running, start, until
from tests.unit.net.tls_peer import Authority, TlsPeer
from tests.unit.prelude.test_client_hello import hello_of, in_records
from tests.unit.proxy.world import get
from tests.unit.worker.accept.test_connection_setup import Desk, authority, received

__all__ = ["authority"]

NAMES = (("db.test", "app"), ("*.db.test", "app"))


@pytest.fixture
def deadlines() -> Iterator[Deadlines]:
    with deadlines_running() as running:
        yield running


def desk(deadlines: Deadlines, context: ssl.SSLContext | None = None, handshake: float = 30.0, **listening: Any) -> Desk:
    """A listener that passes names through to a pool whose backends refuse: who is passed through gets internal_error."""
    listening.setdefault("passthrough", NAMES)
    made = Desk(deadlines, context, model.TimeoutsConfig(handshake=handshake), False, **listening)
    world = made.world
    world.refuse(0, 1)
    world.service.retries = RetryBudgets(world.ledger.cells, 0, world.pick_lock, gevent.sleep)
    return made


def answer_to(place: Desk, *pieces: bytes) -> bytes:
    """What a client gets that says this, and nothing else; everything is over behind it."""
    peer = place.arrive()
    for piece in pieces:
        peer.sendall(piece)
        gevent.sleep(0)
    got = start(lambda: received(peer)).result()
    peer.close()
    until(lambda: place.count(Scalar.CONNECTIONS) == 0, "over")
    return got


@pytest.mark.parametrize("name", ["db.test", "a.db.test", "DB.test"])
@pytest.mark.parametrize("size", [0, 3, 16384])
def test_who_asks_for_a_name_is_passed_through(deadlines: Deadlines, authority: Authority, name: str, size: int) -> None:
    """With and without certificates for others, and however the hello is cut into records and segments."""
    for context in (None, authority.server()):
        place = desk(deadlines, context)
        hello = hello_of(name)
        whole = in_records(hello[5:], size) if size else hello
        assert answer_to(place, whole[:1], whole[1:60], whole[60:]) == fatal(INTERNAL_ERROR)
        assert [(line["sni"], line["reason"]) for line in place.access()] == [(name.lower(), "connection_refused")]
        assert place.counts() == (1, 0, 0, 0)


def test_others_are_served(deadlines: Deadlines, authority: Authority) -> None:
    """Where there are certificates."""
    place = desk(deadlines, authority.server())
    peer = TlsPeer(place.arrive(), authority.client())
    peer.shake()
    peer.send(get("/", "Connection: close"))
    assert peer.recv_all().startswith(b"HTTP/1.1 404 ")
    peer.sock.close()
    until(lambda: not deadlines.streams, "closed")
    assert place.counts() == (1, 0, 1, 0)


@pytest.mark.parametrize(("said", "answer", "reason"), [
    (hello_of("other.test"), fatal(UNRECOGNIZED_NAME), "unrecognized_name"),
    (hello_of(None), fatal(UNRECOGNIZED_NAME), "unrecognized_name"),
    (b"\x16\x03\x01\x00\x00", fatal(DECODE_ERROR), "decode_error"),
    (get("/"), b"HTTP/1.1 400 ", "plain_http"),
    (b"SSH-2.0-x\r\n", b"", "not_tls"),
])  # fmt: skip
def test_where_there_are_no_certificates_others_are_told(deadlines: Deadlines, said: bytes, answer: bytes, reason: str) -> None:
    """In a language that they speak; it counts as a handshake that failed."""
    place = desk(deadlines)
    got = answer_to(place, said)
    assert got.startswith(answer)
    assert bool(got) == bool(answer)
    assert place.told.events == [("tls.handshake_failed", {"client": "192.0.2.9", "port": 8443, "reason": reason})]
    assert (place.counts(), place.access()) == ((1, 0, 0, 1), [])


def test_a_star_takes_whoever_else_there_is(deadlines: Deadlines) -> None:
    """A client without a name, too; but not what is no TLS."""
    place = desk(deadlines, passthrough=(("*", "app"),))
    assert [answer_to(place, hello_of(name)) for name in ("other.test", None)] == [fatal(INTERNAL_ERROR)] * 2
    assert answer_to(place, struct.pack(">ii", 8, 80877103)) == b"", "PostgreSQL's question whether TLS is spoken"
    assert [line["sni"] for line in place.access()] == ["other.test", ""]


@pytest.mark.parametrize("said", [b"", b"\x16", hello_of("db.test")[:-1]])
def test_a_slow_hello(deadlines: Deadlines, said: bytes) -> None:
    """Ends by the deadline of handshakes."""
    place = desk(deadlines, handshake=0.01)
    peer = place.arrive()
    peer.sendall(said)
    until(lambda: place.counts() == (1, 0, 0, 1), "cut by the deadline")
    assert not deadlines.streams
    assert [fields["reason"] for _, fields in place.told.events] == ["handshake_timeout"]
    peer.close()


def test_behind_a_proxy_header(deadlines: Deadlines) -> None:
    """The client is whom it names."""
    ends = Ends("198.51.100.7", 51000, "203.0.113.1", 443)
    place = desk(deadlines, proxy_protocol=(ip_network("192.0.2.0/24"),))
    assert answer_to(place, header("v2", ends), hello_of("db.test")) == fatal(INTERNAL_ERROR)
    assert [line["client"] for line in place.access()] == ["198.51.100.7"]


def test_who_may_not_come_in_is_not_passed_through(deadlines: Deadlines) -> None:
    """The listener's filter is asked before a byte is read."""
    place = desk(deadlines, addresses=model.AddressListConfig(deny=(ip_network("192.0.2.9/32"),)))
    peer = place.arrive()
    until(lambda: place.count(Scalar.DENIED_ADDRESS) == 1, "denied")
    peer.close()
    assert place.access() == []
