"""PROXY headers in front of plain HTTP and of TLS: who may send them, who is the client then, and what becomes of the others."""

from __future__ import annotations

import ssl
from ipaddress import ip_network
from typing import Any

import gevent
import pytest
from gevent import socket as gsocket

from lbproxy.balance.ledger import Scalar
from lbproxy.config import model
from lbproxy.http.h2.vocabulary import PREFACE
from lbproxy.net.deadlines import Deadlines
from lbproxy.prelude.announce import LOCAL, Ends, header
from tests.corpus.proxy_header import cases
from tests.support.h2_frames import settings
from tests.unit.net.loopback import loop_rests, start, until
from tests.unit.net.tls_peer import Authority, TlsPeer
from tests.unit.proxy.world import get
from tests.unit.worker.accept.test_connection_setup import Desk, authority, deadlines, received

__all__ = ["authority", "deadlines"]

NETWORKS = (ip_network("192.0.2.0/24"),)
ENDS = Ends("198.51.100.7", 51000, "203.0.113.1", 443)
REQUEST = get("/", "Connection: close")


def desk(deadlines: Deadlines, context: Any = None, patience: float = 5.0, **listening: Any) -> Desk:
    """A listener that expects headers of 192.0.2.0/24, where Desk's newcomers are from."""
    protocols = listening.pop("protocols", None)
    redirect = listening.pop("redirect", False)
    timeouts = model.TimeoutsConfig(proxy_header=patience)
    return Desk(deadlines, context, timeouts, redirect, protocols, proxy_protocol=NETWORKS, **listening)


def nothing_comes(peer: gsocket.socket) -> bool:
    """The connection has ended, by whatever means, without a word."""
    try:
        return not peer.recv(100)
    except ConnectionResetError:
        return True


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_the_header_says_who_the_client_is(deadlines: Deadlines, version: str) -> None:
    """In one segment with the request, of which no byte is lost, or a byte at a time."""
    place = desk(deadlines)
    for pieces in ([header(version, ENDS) + REQUEST], [bytes([byte]) for byte in header(version, ENDS) + REQUEST]):
        peer = place.arrive()
        for piece in pieces:
            peer.sendall(piece)
        assert received(peer).startswith(b"HTTP/1.1 404 ")
        peer.close()
    until(lambda: not deadlines.streams, "closed")
    assert [line["client"] for line in place.access()] == ["198.51.100.7"] * 2
    assert place.counts() == (2, 0, 0, 0)


@pytest.mark.parametrize("together", [True, False])
def test_tls_behind_a_header(deadlines: Deadlines, authority: Authority, together: bool) -> None:
    """The hello comes in the header's segment, or in the next."""
    place = desk(deadlines, authority.server())
    sock = place.arrive()
    peer = TlsPeer(sock, authority.client())
    with pytest.raises(ssl.SSLWantReadError):
        peer.tls.do_handshake()
    hello = peer.pending()
    for piece in [header("v2", ENDS) + hello] if together else [header("v2", ENDS), hello[:7], hello[7:]]:
        sock.sendall(piece)
        gevent.sleep(0.01)
    peer.shake()
    peer.send(REQUEST)
    assert peer.recv_all().startswith(b"HTTP/1.1 404 ")
    sock.close()
    until(lambda: not deadlines.streams, "closed")
    assert [line["client"] for line in place.access()] == ["198.51.100.7"]
    assert place.counts() == (1, 0, 1, 0)


def test_http2_by_prior_knowledge_behind_a_header(deadlines: Deadlines) -> None:
    """Both languages, with and without their first bytes in the header's segment."""
    place = desk(deadlines, protocols=("h2", "http/1.1"))
    for said, answer in ((PREFACE + settings(), b"\0\0"), (REQUEST, b"HTTP/1.1 404")):
        for pieces in ([header("v2", ENDS) + said], [header("v2", ENDS), said]):
            peer = place.arrive()
            for piece in pieces:
                peer.sendall(piece)
            assert peer.recv(100).startswith(answer)
            peer.close()
    until(lambda: not deadlines.streams, "closed")
    assert place.count(Scalar.CONNECTIONS) == 0


@pytest.mark.parametrize("written", [LOCAL["v1"], LOCAL["v2"]])
def test_who_names_nobody_speaks_for_himself(deadlines: Deadlines, written: bytes) -> None:
    place = desk(deadlines)
    peer = place.arrive()
    peer.sendall(written + REQUEST)
    assert received(peer).startswith(b"HTTP/1.1 404 ")
    until(lambda: not deadlines.streams, "closed")
    assert [line["client"] for line in place.access()] == ["192.0.2.9"]
    peer.close()


def test_others_may_not_say_who_they_are(deadlines: Deadlines) -> None:
    """They are closed before a byte of theirs is read, counted and told."""
    place = desk(deadlines)
    peer = place.arrive("203.0.113.9")
    assert start(lambda: peer.recv(10)).result() == b""
    peer.close()
    assert place.count(Scalar.PROXY_STRANGERS) == 1
    assert place.counts() == (1, 0, 0, 0)
    assert place.told.events == [
        ("connection.refused", {"client": "203.0.113.9", "port": 8443, "reason": "proxy_stranger"})
    ]  # fmt: skip


REFUSED = [case for case in cases("reject") if not case.name.startswith("v2-signature")]


@pytest.mark.parametrize("case", REFUSED[::6], ids=lambda case: case.name)
def test_what_is_no_header_ends_the_connection(deadlines: Deadlines, case: Any) -> None:
    """Whatever stands there: nothing of it is taken for a request."""
    place = desk(deadlines)
    peer = place.arrive()
    peer.sendall(case.data + REQUEST)
    assert nothing_comes(peer)
    peer.close()
    until(lambda: not deadlines.streams, "closed")
    assert (place.count(Scalar.PROXY_HEADERS), place.counts(), place.access()) == (1, (1, 0, 0, 0), [])
    assert place.told.events[0][1]["reason"] == case.verdict


def test_a_header_has_a_deadline_of_its_own(deadlines: Deadlines) -> None:
    place = desk(deadlines, patience=0.2)
    peer = place.arrive()
    peer.sendall(b"PROXY TCP4 ")
    until(lambda: place.count(Scalar.PROXY_TIMEOUTS) == 1, "given up")
    assert place.told.events[0][1]["reason"] == "proxy_header_timeout"
    peer.close()
    until(lambda: not deadlines.streams, "closed")
    assert place.count(Scalar.CONNECTIONS) == 0


def test_who_only_looks_whether_the_port_is_open_is_no_event(deadlines: Deadlines) -> None:
    """Balancers do so each second; who breaks off in the middle of a header is one."""
    place = desk(deadlines)
    place.arrive().close()
    until(lambda: place.count(Scalar.SILENT) == 1, "has looked")
    assert place.told.events == []
    peer = place.arrive()
    peer.sendall(b"PROXY TCP4 ")
    peer.close()
    until(lambda: place.count(Scalar.PROXY_HEADERS) == 1, "broke off")
    assert place.told.events[0][1]["reason"] == "proxy_header_lost"
    assert loop_rests()


def test_addresses_are_allowed_and_denied_as_the_header_says(deadlines: Deadlines) -> None:
    """The client's, not the proxy's; an IPv4 address in IPv6 clothes is no way around it."""
    lists = model.AddressListConfig(deny=(ip_network("198.51.100.0/24"),))
    place = desk(deadlines, addresses=lists)
    for written in (header("v2", ENDS), b"PROXY TCP6 ::ffff:198.51.100.7 ::1 1 1\r\n"):
        peer = place.arrive()
        peer.sendall(written + REQUEST)
        assert nothing_comes(peer)
        peer.close()
    peer = place.arrive()
    peer.sendall(header("v2", ENDS._replace(source="203.0.113.7")) + REQUEST)
    assert received(peer).startswith(b"HTTP/1.1 404 ")
    peer.close()
    until(lambda: not deadlines.streams, "closed")
    assert (place.count(Scalar.DENIED_ADDRESS), place.count(Scalar.CONNECTIONS)) == (2, 0)


def test_connections_are_counted_for_the_client_that_is_named(deadlines: Deadlines) -> None:
    """Two clients behind one balancer may have as many as each of them may have."""
    place = desk(deadlines, per_client=model.ClientLimitConfig(concurrency=1))
    first, second, third = (place.arrive() for _ in range(3))
    first.sendall(header("v2", ENDS))
    second.sendall(header("v2", ENDS._replace(source="198.51.100.8")))
    until(lambda: len(place.world.service.connections) == 2, "both are in")
    third.sendall(header("v2", ENDS))
    until(lambda: place.count(Scalar.DENIED_CONCURRENCY) == 1, "the same again is not")
    for peer in (first, second, third):
        peer.close()
    until(lambda: not deadlines.streams, "closed")
    assert place.count(Scalar.CONNECTIONS) == 0


def test_tls_that_ended_at_the_proxy_in_front_counts_as_https(deadlines: Deadlines) -> None:
    """The SSL field says so: nobody is sent to https who is there."""
    place = desk(deadlines, redirect=True)
    plain, secure = (next(case for case in cases("accept") if case.name == name) for name in ("v2-tcp4", "v2-ssl"))
    for case, answer in ((plain, b"HTTP/1.1 308 "), (secure, b"HTTP/1.1 404 ")):
        peer = place.arrive()
        peer.sendall(case.data + REQUEST)
        assert received(peer).startswith(answer)
        peer.close()
    until(lambda: not deadlines.streams, "closed")
