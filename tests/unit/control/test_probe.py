from __future__ import annotations

import resource
import socket
import ssl
import time
from pathlib import Path

import pytest
import trustme

from lbproxy.config.model import PoolConfig, PoolTlsConfig
from lbproxy.control.probe import OutOfMeans, probe
from lbproxy.control.target import ProbeTarget
from lbproxy.health.outcome import BODY_MISSES, PASSED, ProbeFinding, ProbeOutcome
from lbproxy.http.h1.health_check import request
from lbproxy.tls.contexts import client_context
from tests.support.waiting import FOREVER, PATIENCE
from tests.unit.control.backends import OK, Script, Scripted, answering, closed_port, hang_up, reset, silent

REQUEST = request("GET", "/healthz", "app.test")


def http(port: int, **others: object) -> ProbeTarget:
    return ProbeTarget("127.0.0.1", port, request=REQUEST, **{"timeout": 5.0, **others})  # type: ignore[arg-type]  # spelled out by the tests


def assert_late(target: ProbeTarget, finding: ProbeFinding) -> None:
    """The time-out ends it, in that step: on a busy machine a short one may end it in the step before, and a longer one counts."""
    for timeout in (0.2, 2.0, 20.0):
        started = time.monotonic()
        found = probe(target._replace(timeout=timeout))
        assert timeout * 0.9 < time.monotonic() - started < timeout + PATIENCE
        if found == finding:
            return
    assert found == finding


# ---------------------------------------------------------------- tcp


def test_tcp_passes_when_the_connection_stands() -> None:
    """Nothing is sent, nothing is awaited."""
    with Scripted(silent) as backend:
        assert probe(ProbeTarget("127.0.0.1", backend.port, 5.0)) == PASSED


def test_a_check_says_first_that_it_is_nobodys() -> None:
    """Also one that asks for nothing, which else would look like somebody who left out who he is."""
    told: list[bytes] = []

    def serve(sock: socket.socket) -> None:
        told.append(sock.recv(15))
        if len(told) == 2:
            told.append(sock.recv(65536))
            sock.sendall(OK)

    with Scripted(serve) as backend:
        assert probe(ProbeTarget("127.0.0.1", backend.port, 5.0, introduction=b"PROXY UNKNOWN\r\n")) == PASSED
        assert probe(http(backend.port, introduction=b"PROXY UNKNOWN\r\n")) == PASSED
    assert told == [b"PROXY UNKNOWN\r\n", b"PROXY UNKNOWN\r\n", REQUEST]


def test_ipv6() -> None:
    """A literal IPv6 address is dialled as such."""
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as listening:
        assert probe(ProbeTarget("::1", listening.getsockname()[1], 5.0)) == PASSED


def test_nobody_listens() -> None:
    """Refused, at once."""
    started = time.monotonic()
    assert probe(ProbeTarget("127.0.0.1", closed_port(), FOREVER)) == ProbeFinding(ProbeOutcome.REFUSED)
    assert time.monotonic() - started < PATIENCE


def test_no_answer_to_connect_is_a_time_out() -> None:
    """A listener whose backlog is full drops our SYN, as a dead host would."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(listening.getsockname())
        try:
            started = time.monotonic()
            assert probe(ProbeTarget("127.0.0.1", listening.getsockname()[1], 0.3)) == ProbeFinding(ProbeOutcome.CONNECT_TIMEOUT)
            assert 0.25 < time.monotonic() - started < PATIENCE
        finally:
            for filler in fillers:
                filler.close()


def test_no_route() -> None:
    """The kernel's own word."""
    finding = probe(ProbeTarget("255.255.255.255", 80, 1.0))  # a broadcast address: no TCP to it from any machine
    assert finding.outcome is ProbeOutcome.UNREACHABLE
    assert finding.detail


def test_our_own_lack_of_descriptors_is_no_finding() -> None:
    """It says nothing about the backend."""
    probe(ProbeTarget("127.0.0.1", closed_port(), 1.0))  # the hub has its descriptors now
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with Scripted(silent) as backend:
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
        try:
            with pytest.raises(OutOfMeans, match="Too many open files"):
                probe(ProbeTarget("127.0.0.1", backend.port, 1.0))
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


# ---------------------------------------------------------------- http


def test_http_sends_the_request_and_takes_a_good_status() -> None:
    """The bytes arrive as built."""
    with answering(OK) as backend:
        assert probe(http(backend.port)) == PASSED
        assert backend.seen == [REQUEST]


@pytest.mark.parametrize(
    ("status", "expect", "good"),
    [(200, (200, 399), True), (399, (200, 399), True), (400, (200, 399), False), (503, (200, 399), False), (401, (401, 401), True)],
)
def test_the_expected_range_is_inclusive(status: int, expect: tuple[int, int], good: bool) -> None:
    """A status outside is named."""
    with answering(f"HTTP/1.1 {status} X\r\n\r\n".encode()) as backend:
        assert probe(http(backend.port, expect=expect)) == (PASSED if good else ProbeFinding(ProbeOutcome.BAD_STATUS, str(status)))


@pytest.mark.parametrize(
    ("script", "finding"),
    [
        (hang_up, ProbeFinding(ProbeOutcome.BAD_RESPONSE, "closed without a response")),
        (reset, ProbeFinding(ProbeOutcome.BAD_RESPONSE, "connection reset")),
    ],
)
def test_broken_off(script: Script, finding: ProbeFinding) -> None:
    """Closed and reset are told apart."""
    with Scripted(script) as backend:
        assert probe(http(backend.port)) == finding


@pytest.mark.parametrize(
    ("response", "detail"),
    [
        (b"HTTP/1.1 200", "closed in the middle of the response head"),
        (b"SSH-2.0-OpenSSH\r\n", "no HTTP/1 status line"),
        (b"HTTP/1.1 100 Continue\r\nX: " + b"x" * 100_000, "no end of the response head in sight"),
    ],
)
def test_bad_responses(response: bytes, detail: str) -> None:
    """Not HTTP, not whole, not ending."""
    with answering(response) as backend:
        assert probe(http(backend.port)) == ProbeFinding(ProbeOutcome.BAD_RESPONSE, detail)


def test_silence_after_the_request_is_a_time_out() -> None:
    """The time-out is for the whole probe."""
    with Scripted(silent) as backend:
        assert_late(http(backend.port), ProbeFinding(ProbeOutcome.RESPONSE_TIMEOUT))


def test_bytes_one_by_one_do_not_extend_the_time_out() -> None:
    """Drip-feeding is late as well."""

    def drip(sock: socket.socket) -> None:
        sock.recv(65536)
        for byte in b"HTTP/1.1 200 " + b"O" * 5000:
            sock.sendall(bytes([byte]))
            time.sleep(0.02)  # the backend's slowness is what is tested

    with Scripted(drip) as backend:
        assert_late(http(backend.port), ProbeFinding(ProbeOutcome.RESPONSE_TIMEOUT))


def test_a_backend_that_keeps_the_connection_open_passes_soon() -> None:
    """We do not wait for its body or its end for long."""

    def linger(sock: socket.socket) -> None:
        sock.recv(65536)
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")

    with Scripted(linger) as backend:
        started = time.monotonic()
        assert probe(http(backend.port, timeout=FOREVER)) == PASSED
        assert time.monotonic() - started < PATIENCE


# ---------------------------------------------------------------- tls


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[trustme.CA, ssl.SSLContext]:
    """An authority, and the context of a pool that trusts it."""
    ca = trustme.CA()
    file = tmp_path_factory.mktemp("probe") / "ca.pem"
    ca.cert_pem.write_to_path(str(file))
    return ca, client_context(PoolConfig("api", (), tls=PoolTlsConfig(ca=file)))


def serving(ca: trustme.CA, *names: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert(*names).configure_cert(context)
    return context


def test_over_tls(authority: tuple[trustme.CA, ssl.SSLContext]) -> None:
    """The request travels inside, the name is verified."""
    ca, context = authority
    with answering(OK, serving(ca, "app.test")) as backend:
        assert probe(http(backend.port, context=context, server_name="app.test")) == PASSED
        assert backend.seen == [REQUEST]


def test_tls_failures_say_what_is_wrong(authority: tuple[trustme.CA, ssl.SSLContext]) -> None:
    """Wrong name, foreign authority, plain text, silence, end of file."""
    ca, context = authority
    secure = {"context": context, "server_name": "app.test"}
    with answering(OK, serving(ca, "other.test")) as backend:
        finding = probe(http(backend.port, **secure))
        assert finding.outcome is ProbeOutcome.TLS_FAILURE
        assert finding.detail == "its certificate is for another name"
    with answering(OK, serving(trustme.CA(), "app.test")) as backend:
        finding = probe(http(backend.port, **secure))
        assert finding.outcome is ProbeOutcome.TLS_FAILURE
        assert finding.detail == "its certificate is signed by nobody who is trusted"
    with answering(OK) as backend:
        assert probe(http(backend.port, **secure)) == ProbeFinding(ProbeOutcome.TLS_FAILURE, "it does not speak TLS there")
    with Scripted(silent) as backend:
        assert_late(http(backend.port, **secure), ProbeFinding(ProbeOutcome.TLS_FAILURE, "timed out during the handshake"))
    with Scripted(hang_up) as backend:
        assert probe(http(backend.port, **secure)) == ProbeFinding(ProbeOutcome.TLS_FAILURE, "closed during the handshake")
    with Scripted(reset) as backend:
        assert probe(http(backend.port, **secure)) == ProbeFinding(ProbeOutcome.TLS_FAILURE, "reset during the handshake")


def test_a_backend_that_hangs_up_after_the_handshake(authority: tuple[trustme.CA, ssl.SSLContext]) -> None:
    """Without close_notify: TLS has not failed, the answer has."""
    ca, context = authority

    def cut(sock: socket.socket) -> None:
        sock.recv(65536)
        sock.close()

    with Scripted(cut, serving(ca, "app.test")) as backend:
        finding = probe(http(backend.port, context=context, server_name="app.test"))
    assert finding == ProbeFinding(ProbeOutcome.BAD_RESPONSE, "closed without a response")


def test_a_backend_that_wants_our_certificate_and_gets_none(authority: tuple[trustme.CA, ssl.SSLContext]) -> None:
    """In TLS 1.3 the refusal comes after the handshake; it still is TLS that failed."""
    ca, context = authority
    strict = serving(ca, "app.test")
    ca.configure_trust(strict)
    strict.verify_mode = ssl.CERT_REQUIRED
    kept = []

    def refuse(sock: socket.socket) -> None:
        kept.append(strict.wrap_socket(sock, server_side=True, do_handshake_on_connect=False))
        with pytest.raises(ssl.SSLError):
            kept[0].do_handshake()  # sends the alert; closing right after it could destroy it on the way

    with Scripted(refuse) as backend:
        finding = probe(http(backend.port, context=context, server_name="app.test"))
    kept[0].close()
    assert finding.outcome is ProbeOutcome.TLS_FAILURE
    assert "wants one and gets none" in finding.detail


def test_a_check_of_tls_hears_of_a_refusal_after_the_handshake(authority: tuple[trustme.CA, ssl.SSLContext]) -> None:
    """As every request would: a certificate is wanted. Who has nothing to say, talks, or hangs up, passes."""
    ca, context = authority
    strict = serving(ca, "app.test")
    ca.configure_trust(strict)
    strict.verify_mode = ssl.CERT_REQUIRED
    kept: list[ssl.SSLSocket] = []

    def refuse(sock: socket.socket) -> None:
        kept.append(strict.wrap_socket(sock, server_side=True, do_handshake_on_connect=False))
        with pytest.raises(ssl.SSLError):
            kept[0].do_handshake()

    def ask(port: int) -> ProbeFinding:
        return probe(ProbeTarget("127.0.0.1", port, 5.0, context=context, server_name="app.test"))

    with Scripted(refuse) as backend:
        finding = ask(backend.port)
    kept[0].close()
    assert finding.outcome is ProbeOutcome.TLS_FAILURE
    assert "wants one and gets none" in finding.detail
    for script in (silent, hang_up, reset, lambda sock: sock.sendall(b"220 hello\r\n")):
        with Scripted(script, serving(ca, "app.test")) as backend:
            assert ask(backend.port) == PASSED


def test_a_name_that_cannot_be_one(authority: tuple[trustme.CA, ssl.SSLContext]) -> None:
    """A finding, not a crash."""
    _, context = authority
    with Scripted(silent) as backend:
        finding = probe(http(backend.port, context=context, server_name=".app.test"))
    assert finding.outcome is ProbeOutcome.TLS_FAILURE
    assert finding.detail.startswith("unusable server name")


def test_a_handshake_is_enough_for_a_check_of_tls(authority: tuple[trustme.CA, ssl.SSLContext]) -> None:
    """Nothing is asked; a certificate that does not verify fails as it does for traffic."""
    ca, context = authority
    with Scripted(silent, serving(ca, "app.test")) as backend:
        assert probe(ProbeTarget("127.0.0.1", backend.port, 5.0, context=context, server_name="app.test")) == PASSED
        failed = probe(ProbeTarget("127.0.0.1", backend.port, 5.0, context=context, server_name="other.test"))
        assert failed.outcome is ProbeOutcome.TLS_FAILURE
    with Scripted(silent) as plain:
        late = probe(ProbeTarget("127.0.0.1", plain.port, 0.2, context=context, server_name="app.test"))
        assert late == ProbeFinding(ProbeOutcome.TLS_FAILURE, "timed out during the handshake")


# ---------------------------------------------------------------- body


@pytest.mark.parametrize(
    ("response", "finding"),
    [
        (OK, PASSED),
        (OK.replace(b"ok", b"no"), BODY_MISSES),
        (b"HTTP/1.1 200 OK\r\n\r\nnot o", BODY_MISSES),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nno",
            ProbeFinding(ProbeOutcome.BAD_RESPONSE, "closed in the middle of the response"),
        ),
        (b"HTTP/1.1 500 Oops\r\nContent-Length: 2\r\n\r\nok", ProbeFinding(ProbeOutcome.BAD_STATUS, "500")),
    ],
)
def test_the_wanted_text(response: bytes, finding: ProbeFinding) -> None:
    """Looked for once the status is good."""
    with answering(response) as backend:
        assert probe(http(backend.port, body=b"ok")) == finding


def test_a_body_that_does_not_come_is_late() -> None:
    """Within the time-out of the whole probe."""

    def linger(sock: socket.socket) -> None:
        sock.recv(65536)
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nno")

    with Scripted(linger) as backend:
        assert_late(http(backend.port, body=b"ok"), ProbeFinding(ProbeOutcome.RESPONSE_TIMEOUT))


# ---------------------------------------------------------------- Unix sockets


def test_unix_sockets(tmp_path: Path) -> None:
    """Whether somebody listens is known at once."""
    path = tmp_path / "s"
    target = ProbeTarget(f"unix:{path}", 0, 5.0)
    assert probe(target).outcome is ProbeOutcome.UNREACHABLE
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        assert probe(target) == ProbeFinding(ProbeOutcome.REFUSED)
        listening.listen()
        assert probe(target) == PASSED


def test_a_unix_socket_whose_queue_stays_full(tmp_path: Path) -> None:
    """Is as slow to connect to as a port would be."""
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as listening, socket.socket(socket.AF_UNIX) as first:
        listening.bind(str(path))
        listening.listen(0)
        first.connect(str(path))
        assert probe(ProbeTarget(f"unix:{path}", 0, 0.1)) == ProbeFinding(ProbeOutcome.CONNECT_TIMEOUT)


@pytest.mark.parametrize("tolerant", [True, False])
def test_lines_that_end_with_lf(tolerant: bool) -> None:
    """Pass where the pool tolerates them, with a body to be searched or not."""
    answers = (
        b"HTTP/1.0 200 OK\nX-A: b\nContent-Length: 5\n\nready",
        b"HTTP/1.1 100 Go\n\nHTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n3\nrea\n2\ndy\n0\n\n",
    )
    for answer in answers:
        for body in (None, b"ready"):
            with answering(answer) as backend:
                found = probe(http(backend.port, body=body, line_feeds=tolerant))
            assert (found == PASSED) is tolerant
