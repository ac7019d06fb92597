"""Probes over HTTP/2: of HTTP, by ALPN and without, and of grpc.health.v1."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme

from lbproxy.balance.backend import Backend
from lbproxy.config.model import HealthConfig, PoolConfig, PoolTlsConfig
from lbproxy.control.probe import probe
from lbproxy.control.prober import target_of
from lbproxy.health.outcome import BODY_MISSES, PASSED, ProbeFinding, ProbeOutcome
from lbproxy.http.h2.engine import H2Engine
from lbproxy.http.h2.vocabulary import Fields
from lbproxy.tls.contexts import client_context
from tests.unit.control.backends import OK as ANSWER
from tests.unit.control.backends import Scripted, answering
from tests.unit.http.h2.dialogue import Heard

OK = ((b":status", b"200"),)
GRPC = (*OK, (b"content-type", b"application/grpc"))
SERVING = b"\0\0\0\0\x02\x08\x01"
Answer = Callable[[H2Engine, int, Fields], None]


def whole(fields: Fields, body: bytes = b"", trailers: Fields = ()) -> Answer:
    """Such an answer."""

    def answer(engine: H2Engine, stream: int, request: Fields) -> None:
        engine.respond(stream, fields, not body and not trailers)
        if body:
            engine.send(stream, body, not trailers)
        if trailers:
            engine.trailers(stream, trailers)

    return answer


def server(answer: Answer, seen: list[dict[bytes, bytes]] | None = None, context: ssl.SSLContext | None = None) -> Scripted:
    """A backend of HTTP/2 that answers every request so."""

    def script(sock: object) -> None:
        heard = Heard()
        engine = H2Engine(heard, server=True)
        while data := sock.recv(65536):  # type: ignore[attr-defined]  # a socket
            engine.receive(data)
            told, heard.told = heard.told, []
            for each in told:
                if each[0] == "request":
                    if seen is not None:
                        seen.append(dict(each[2]))
                    answer(engine, each[1], each[2])
            while out := engine.output(65536):
                sock.sendall(out)  # type: ignore[attr-defined]  # the same

    return Scripted(script, context)


def checked(
    answer: Answer, health: HealthConfig, protocol: str = "h2", seen: list[dict[bytes, bytes]] | None = None
) -> ProbeFinding:
    """What a probe of a pool with such checks finds."""
    with server(answer, seen) as backend:
        where = Backend("app", "b", "app.internal", "127.0.0.1", backend.port, 1, 0, 0)
        return probe(target_of(PoolConfig("app", (), health=health, protocol=protocol), where, None))


def test_http() -> None:
    """The same request as over HTTP/1.1, in fields."""
    seen: list[dict[bytes, bytes]] = []
    health = HealthConfig("http", timeout=10.0, path="/up", headers=(("X-A", "b"),))
    assert checked(whole(OK), health, seen=seen) == PASSED
    [request] = seen
    assert (request[b":method"], request[b":path"], request[b"x-a"]) == (b"GET", b"/up", b"b")
    assert request[b":authority"].startswith(b"app.internal:")
    assert b"connection" not in request


@pytest.mark.parametrize(("answer", "finding"), [
    (whole(((b":status", b"503"),)), ProbeFinding(ProbeOutcome.BAD_STATUS, "503")),
    (whole(OK, b"it is up"), PASSED),
    (whole(OK, b"no"), BODY_MISSES),
    (whole(OK), BODY_MISSES),
    (lambda engine, stream, _: engine.reset(stream, 2),
        ProbeFinding(ProbeOutcome.BAD_RESPONSE, "the stream was reset with code 2")),
])  # fmt: skip
def test_what_http_answers(answer: Answer, finding: ProbeFinding) -> None:
    """Status and body are judged as over HTTP/1.1."""
    assert checked(answer, HealthConfig("http", timeout=10.0, body="up")) == finding


def test_a_backend_that_speaks_http_1() -> None:
    """No HTTP/2 is a bad answer: requests would meet the same."""
    with Scripted(lambda sock: sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as backend:
        where = Backend("app", "b", "app.internal", "127.0.0.1", backend.port, 1, 0, 0)
        finding = probe(target_of(PoolConfig("app", (), health=HealthConfig("http", timeout=10.0), protocol="h2"), where, None))
    assert finding == ProbeFinding(ProbeOutcome.BAD_RESPONSE, "no HTTP/2")


@pytest.mark.parametrize("protocol", ["h2", "http/1.1"])
def test_grpc(protocol: str) -> None:
    """Asked in HTTP/2 whatever the pool speaks, with the service's name."""
    seen: list[dict[bytes, bytes]] = []
    health = HealthConfig("grpc", timeout=10.0, service="shop.Orders")
    assert checked(whole(GRPC, SERVING, ((b"grpc-status", b"0"),)), health, protocol, seen) == PASSED
    [request] = seen
    assert (request[b":method"], request[b":path"]) == (b"POST", b"/grpc.health.v1.Health/Check")
    assert (request[b"content-type"], request[b"te"]) == (b"application/grpc", b"trailers")


@pytest.mark.parametrize(("answer", "finding"), [
    (whole(GRPC, b"\0\0\0\0\x02\x08\x02", ((b"grpc-status", b"0"),)), ProbeFinding(ProbeOutcome.NOT_SERVING, "NOT_SERVING")),
    (whole(GRPC, b"\0\0\0\0\x00", ((b"grpc-status", b"0"),)), ProbeFinding(ProbeOutcome.NOT_SERVING, "UNKNOWN")),
    (whole((*GRPC, (b"grpc-status", b"12"))), ProbeFinding(ProbeOutcome.NOT_SERVING, "grpc-status 12")),
    (whole(GRPC, SERVING, ((b"grpc-status", b"14"),)), ProbeFinding(ProbeOutcome.NOT_SERVING, "grpc-status 14")),
    (whole(GRPC, SERVING), ProbeFinding(ProbeOutcome.NOT_SERVING, "grpc-status missing")),
    (whole(GRPC, b"hello", ((b"grpc-status", b"0"),)),
        ProbeFinding(ProbeOutcome.BAD_RESPONSE, "no answer of grpc.health.v1.Health")),
    (whole(((b":status", b"404"),)), ProbeFinding(ProbeOutcome.BAD_STATUS, "404")),
])  # fmt: skip
def test_what_grpc_answers(answer: Answer, finding: ProbeFinding) -> None:
    """Only SERVING is up; what it says instead is told."""
    assert checked(answer, HealthConfig("grpc", timeout=10.0)) == finding


@pytest.mark.parametrize(("protocol", "kind", "spoken", "finding"), [
    ("h2", "http", ["h2"], PASSED),
    ("auto", "http", ["h2"], PASSED),
    ("h2", "tls", ["h2"], PASSED),
    ("h2", "tls", ["http/1.1"], ProbeFinding(ProbeOutcome.TLS_FAILURE, "h2 is not chosen by ALPN")),
    ("h2", "http", [], ProbeFinding(ProbeOutcome.TLS_FAILURE, "h2 is not chosen by ALPN")),
    ("http/1.1", "grpc", ["h2"], PASSED),
])  # fmt: skip
def test_over_tls(tmp_path: Path, protocol: str, kind: str, spoken: list[str], finding: ProbeFinding) -> None:
    """By ALPN, as requests are: a backend that would get none is down."""
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ca.issue_cert("app.internal").configure_cert(serving)
    if spoken:
        serving.set_alpn_protocols(spoken)
    health = HealthConfig(kind, timeout=10.0)
    pool = PoolConfig("app", (), tls=PoolTlsConfig(ca=tmp_path / "ca.pem"), health=health, protocol=protocol)
    answer = whole(GRPC, SERVING, ((b"grpc-status", b"0"),)) if kind == "grpc" else whole(OK)
    with server(answer, context=serving) as backend:
        where = Backend("app", "b", "app.internal", "127.0.0.1", backend.port, 1, 0, 0)
        assert probe(target_of(pool, where, client_context(pool))) == finding


def test_auto_over_tls_to_a_server_of_http_1(tmp_path: Path) -> None:
    """What it chooses is what it is asked in."""
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ca.issue_cert("app.internal").configure_cert(serving)
    pool = PoolConfig(
        "app", (), tls=PoolTlsConfig(ca=tmp_path / "ca.pem"), health=HealthConfig("http", timeout=10.0), protocol="auto"
    )
    with answering(ANSWER, serving) as backend:
        where = Backend("app", "b", "app.internal", "127.0.0.1", backend.port, 1, 0, 0)
        assert probe(target_of(pool, where, client_context(pool))) == PASSED
