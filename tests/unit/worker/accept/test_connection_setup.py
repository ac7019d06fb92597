"""From an accepted socket to a served connection: counting, the handshake, and those who are turned away."""

from __future__ import annotations

import json
import socket
import ssl
import struct
import time
from collections.abc import Iterator
from typing import Any

import gevent
import pytest
from gevent import socket as gsocket
from gevent.hub import get_hub

from lbproxy.balance.ledger import Scalar
from lbproxy.config import model
from lbproxy.http.h2.vocabulary import PREFACE
from lbproxy.ipc.handover import BoundListener, Handover
from lbproxy.net.deadlines import Deadlines
from lbproxy.net.strands import GeventStrands
from lbproxy.net.tls_stream import TlsStream
from lbproxy.observe.log import Noisy
from lbproxy.proxy.client import ClientConnection
from lbproxy.worker.accept.connection_filter import make_connection_filter
from lbproxy.worker.accept.connection_setup import ConnectionSetup
from lbproxy.worker.wiring.filtering import limit_memory
from lbproxy.worker.wiring.passages import make_passages
from tests.support.h2_frames import settings
from tests.unit.net.loopback import deadlines_running, loop_rests, sockets, start, until
from tests.unit.net.tls_peer import Authority, TlsPeer
from tests.unit.proxy.no_crowd import NoLock
from tests.unit.proxy.world import LISTENER, World, get


class Told(Noisy):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.events: list[tuple[str, dict[str, object]]] = []

    def info(self, event: str, **fields: object) -> None:
        self.events.append((event, fields))

    def warning(self, event: str, **fields: object) -> None:
        self.events.append((event, fields))


class Desk:
    """A listener whose routes lead nowhere: what is answered is ours alone."""

    def __init__(self, deadlines: Deadlines, context: ssl.SSLContext | None, timeouts: model.TimeoutsConfig, redirect: bool,
                 protocols: tuple[str, ...] | None = None, **listening: Any) -> None:  # fmt: skip
        """`listening`: more of what the listener says."""
        self.world = World(timeouts=timeouts, route=model.RouteConfig("app", host="elsewhere.test"))
        service = self.world.service
        service.strands = GeventStrands()
        service.clock = time.monotonic
        listen = model.ListenConfig(model.Address("127.0.0.1", 8443), redirect_to_https=redirect, protocols=protocols, **listening)
        ours, theirs = socket.socketpair()
        theirs.close()
        handover = Handover(
            config=self.world.config,
            generation=1,
            child=0,
            worker=0,
            ledger=self.world.ledger,
            pick_lock=NoLock(),
            listeners=(),
            backends={},
            pool_contexts={},
            access_fd=-1,
            metrics_socket=None,
            pipe=ours,
        )
        ours.close()
        self.told = Told()
        bound = BoundListener(listen, ours, context, LISTENER)
        asked = make_connection_filter(listen, handover, limit_memory(handover), self.world.limit, time.monotonic)
        passages = make_passages(listen, self.world.config, {"app": self.world.pool})
        self.setup = ConnectionSetup(bound, service, deadlines, handover, self.told, self.world.limit, asked, passages)

    def arrive(self, address: str = "192.0.2.9") -> gsocket.socket:
        """A client's end of a new connection."""
        ours, peer = sockets()
        self.world.limit.acquire_anyway()
        get_hub().loop.run_callback(self.setup.begin, ours, address)
        gevent.sleep(0)
        return peer

    def count(self, scalar: Scalar) -> int:
        return self.world.ledger.total(scalar)

    def counts(self) -> tuple[int, int, int, int]:
        """(accepted, open, shaken hands, failed to)"""
        scalars = (Scalar.ACCEPTED, Scalar.CONNECTIONS, Scalar.HANDSHAKES, Scalar.HANDSHAKE_FAILURES)
        accepted, connections, handshakes, failures = map(self.count, scalars)
        return accepted, connections, handshakes, failures

    def access(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.world.access_log.take().splitlines()]


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture
def deadlines() -> Iterator[Deadlines]:
    with deadlines_running() as running:
        yield running


def desk(deadlines: Deadlines, context: ssl.SSLContext | None = None, redirect: bool = False, **timeouts: float) -> Desk:
    return Desk(deadlines, context, model.TimeoutsConfig(**timeouts), redirect)


def received(peer: gsocket.socket) -> bytes:
    got = b""
    while piece := peer.recv(65536):
        got += piece
    return got


def test_a_plain_client_is_served(deadlines: Deadlines) -> None:
    place = desk(deadlines)
    peer = place.arrive()
    assert place.counts() == (1, 1, 0, 0)
    peer.sendall(get("/", "Connection: close"))
    assert received(peer).startswith(b"HTTP/1.1 404 ")
    peer.close()
    until(lambda: not deadlines.streams, "closed")
    assert place.counts() == (1, 0, 0, 0)
    [line] = place.access()
    assert (line["client"], line["status"], line["tls_ms"]) == ("192.0.2.9", 404, 0)


def test_a_redirecting_listener(deadlines: Deadlines) -> None:
    place = desk(deadlines, redirect=True)
    peer = place.arrive()
    peer.sendall(get("/x", "Connection: close"))
    assert b"\r\nLocation: https://example.org/x\r\n" in received(peer)
    peer.close()


def test_a_tls_client_is_served(deadlines: Deadlines, authority: Authority) -> None:
    place = desk(deadlines, authority.server())
    peer = TlsPeer(place.arrive(), authority.client())
    peer.shake()
    peer.send(get("/"))
    assert peer.recv().startswith(b"HTTP/1.1 404 ")
    peer.send(get("/", "Connection: close"))
    assert peer.recv_all().startswith(b"HTTP/1.1 404 ")
    peer.sock.close()
    until(lambda: not deadlines.streams, "closed")
    assert place.counts() == (1, 0, 1, 0)
    first, second = place.access()
    assert first["tls_ms"] > 0
    assert second["tls_ms"] == 0, "it is the first request's"


def test_what_rules_may_ask_about_a_client(deadlines: Deadlines, authority: Authority) -> None:
    """Its verified certificate, version and cipher: the same facts for every request of the connection."""
    place = desk(deadlines, authority.server(client_certificate=True))
    context = authority.client()
    leaf = authority.root.issue_cert("someone.test", common_name="someone")
    leaf.configure_cert(context)
    peer = TlsPeer(place.arrive(), context)
    peer.shake()
    peer.send(get("/"))
    assert peer.recv().startswith(b"HTTP/1.1 404 ")
    [client] = place.world.service.connections
    assert isinstance(client, ClientConnection)
    facts = client.forwarder.tls()
    assert facts is not None
    assert facts is client.forwarder.tls()
    assert facts.certificate == ssl.PEM_cert_to_DER_cert(leaf.cert_chain_pems[0].bytes().decode())
    assert (facts.version, facts.subject[-1]) == ("TLSv1.3", (("commonName", "someone"),))
    assert int(facts.serial, 16) > 0
    peer.sock.close()
    until(lambda: not deadlines.streams, "closed")


def test_handshakes_do_not_wait_for_each_other(deadlines: Deadlines, authority: Authority) -> None:
    place = desk(deadlines, authority.server())
    silent = place.arrive()
    peer = TlsPeer(place.arrive(), authority.client())
    peer.shake()
    until(lambda: place.counts() == (2, 2, 1, 0), "one is through")
    silent.close()
    until(lambda: place.counts() == (2, 1, 1, 0), "the other is gone")
    peer.sock.close()


@pytest.mark.parametrize("reset", [False, True])
def test_who_only_looks_whether_the_port_is_open_is_no_event(deadlines: Deadlines, authority: Authority, reset: bool) -> None:
    """Balancers and monitors do it each second for ever: it is counted, and no failure."""
    place = desk(deadlines, authority.server())
    for _ in range(3):
        peer = place.arrive()
        if reset:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        peer.close()
    until(lambda: place.count(Scalar.SILENT) == 3, "all have looked")
    assert place.counts() == (3, 0, 0, 0)
    assert place.told.events == []
    assert not deadlines.streams


def test_failures_are_counted_by_kind(deadlines: Deadlines, authority: Authority) -> None:
    """Those that end in the middle, and those of the wrong language."""
    place = desk(deadlines, authority.server(), handshake=0.2)
    for said in (b"\x16", get("/")):
        peer = place.arrive()
        peer.sendall(said)
        gevent.sleep(0)
        until(lambda: place.count(Scalar.ACCEPTED) > 0, "accepted")
        peer.close()
    until(lambda: place.count(Scalar.HANDSHAKE_FAILURES) == 2, "both have failed")
    kinds = (Scalar.HANDSHAKE_LOST, Scalar.HANDSHAKE_NOT_TLS)
    assert [place.count(kind) for kind in kinds] == [1, 1]


def test_plain_http_on_a_tls_port_is_told_so(deadlines: Deadlines, authority: Authority) -> None:
    place = desk(deadlines, authority.server())
    peer = place.arrive()
    peer.sendall(get("/"))
    got = received(peer)
    assert got.startswith(b"HTTP/1.1 400 ")
    assert b"plain_http_on_tls_port" in got
    peer.close()
    until(lambda: not deadlines.streams, "closed")
    assert place.counts() == (1, 0, 0, 1)
    assert place.told.events == [("tls.handshake_failed", {"client": "192.0.2.9", "port": 8443, "reason": "plain_http"})]


def test_a_refused_client_gets_to_know_why(deadlines: Deadlines, authority: Authority) -> None:
    """The alert arrives; a reset could have overtaken it."""
    place = desk(deadlines, authority.server(client_certificate=True))
    peer = TlsPeer(place.arrive(), authority.client())
    peer.shake()
    with pytest.raises(ssl.SSLError, match="CERTIFICATE_REQUIRED"):
        peer.recv()
    peer.sock.close()
    until(lambda: not deadlines.streams, "closed")
    assert place.counts() == (1, 0, 0, 1)


@pytest.mark.parametrize("said", [b"", b"\x16", b"\x16\x03\x01\x02\x00\x01\x00"])
def test_one_byte_and_silence(deadlines: Deadlines, authority: Authority, said: bytes) -> None:
    place = desk(deadlines, authority.server(), handshake=0.01)
    peer = place.arrive()
    peer.sendall(said)
    until(lambda: place.counts() == (1, 0, 0, 1), "cut by the deadline")
    assert not deadlines.streams
    assert [fields["reason"] for _, fields in place.told.events] == ["handshake_timeout"]
    peer.close()


@pytest.mark.parametrize("said", [b"\x00\x00\x00\x00", b"SSH-2.0-x\r\n", b"\x16\x03\x01\x00\x02\x01\x00"])
def test_garbage(deadlines: Deadlines, authority: Authority, said: bytes) -> None:
    place = desk(deadlines, authority.server(), handshake=0.2)
    peer = place.arrive()
    peer.sendall(said)
    until(lambda: place.counts() == (1, 0, 0, 1), "turned away")
    peer.close()
    until(lambda: not deadlines.streams, "closed")
    assert loop_rests()


def test_an_unforeseen_fault_in_a_handshake_stays_its_own(
    deadlines: Deadlines, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = desk(deadlines, authority.server())

    class Broken(TlsStream):
        def handshake(self, first: bytes = b"") -> None:
            raise KeyError("a bug")

    monkeypatch.setattr("lbproxy.worker.accept.connection_setup.TlsStream", Broken)
    peer = place.arrive()
    until(lambda: place.counts() == (1, 0, 0, 1), "turned away")
    assert [type(fault) for fault in place.world.faults] == [KeyError]
    assert start(lambda: received(peer)).result() == b""
    peer.close()
    until(lambda: not deadlines.streams, "closed")


@pytest.mark.parametrize(("protocols", "said", "answer"), [
    (("h2", "http/1.1"), PREFACE + settings(), b"\0\0"),
    (("h2", "http/1.1"), get(), b"HTTP/1.1 404"),
    (("h2",), PREFACE + settings(), b"\0\0"),
    (("http/1.1",), PREFACE + settings(), b"HTTP/1.1 505"),
])  # fmt: skip
def test_http2_without_tls_is_for_listeners_that_name_it(
    deadlines: Deadlines, protocols: tuple[str, ...], said: bytes, answer: bytes
) -> None:
    """By prior knowledge (RFC 9113 3.3); everybody else is served as ever."""
    here = Desk(deadlines, None, model.TimeoutsConfig(), False, protocols)
    peer = here.arrive()
    peer.sendall(said)
    assert peer.recv(100).startswith(answer)
    peer.close()
    until(lambda: here.counts()[1] == 0, "the connection is over")
    assert here.count(Scalar.H2_CONNECTIONS) == (answer == b"\0\0")


@pytest.mark.parametrize(
    ("offer", "answer"), [(["h2", "http/1.1"], b"\0\0"), (["http/1.1"], b"HTTP/1.1 404"), ([], b"HTTP/1.1 404")]
)
def test_with_tls_the_client_chooses(deadlines: Deadlines, authority: Authority, offer: list[str], answer: bytes) -> None:
    """Among what the listener offers (ALPN); who asks for nothing speaks HTTP/1."""
    server = authority.server()
    server.set_alpn_protocols(["h2", "http/1.1"])
    here = Desk(deadlines, server, model.TimeoutsConfig(), False, ("h2", "http/1.1"))
    client = authority.client()
    if offer:
        client.set_alpn_protocols(offer)
    peer = TlsPeer(here.arrive(), client)
    peer.shake()
    peer.send(PREFACE + settings() if offer[:1] == ["h2"] else get())
    assert peer.recv().startswith(answer)
    peer.sock.close()
    until(lambda: here.counts()[1] == 0, "the connection is over")
