"""Do all of them do the same work? Asked of each proxy before it is measured; a comparison of unequal work is refused.

Asked over real connections: TLS version, cipher and certificate; both backends used, over kept connections; the forwarding
fields as the backend sees them; an upload that arrives whole; an access line for each request in the log.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import time
from pathlib import Path

from bench.macro.cases import UPLOAD_BYTES
from bench.macro.errors import BenchError

REQUESTS = 20
LOG_SECONDS = 5.0


def context(certificate: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(certificate))


def connect(port: int, certificate: Path) -> http.client.HTTPSConnection:
    return http.client.HTTPSConnection("127.0.0.1", port, timeout=5, context=context(certificate))


def answers(port: int, certificate: Path) -> bool:
    """Does it serve; OSError (also of TLS) when not yet."""
    connection = connect(port, certificate)
    try:
        connection.request("GET", "/tiny")
        return connection.getresponse().read() == b"ok\n"
    except http.client.HTTPException as error:
        raise ConnectionError(repr(error)) from error
    finally:
        connection.close()


def check(name: str, https_port: int, http_port: int, certificate: Path, access_log: Path) -> str:
    """BenchError naming the duty that is not done; otherwise what TLS a client gets: version, cipher, resumption."""
    connection = connect(https_port, certificate)
    try:
        connection.connect()
        tls = _tls(name, connection, certificate)
        _forwarding(name, connection, f"127.0.0.1:{https_port}", "https")
        _upload(name, connection)
        resumes = _resumes(connection)
    finally:
        connection.close()
    plain = http.client.HTTPConnection("127.0.0.1", http_port, timeout=5)
    try:
        _forwarding(name, plain, f"127.0.0.1:{http_port}", "http")
    finally:
        plain.close()
    _logged(name, access_log)
    return f"{tls}, {'resumes' if resumes else 'does not resume'} by ticket"


def _tls(name: str, connection: http.client.HTTPSConnection, certificate: Path) -> str:
    sock = connection.sock
    if not isinstance(sock, ssl.SSLSocket):
        raise BenchError(f"{name}: no TLS on its TLS port")
    if sock.getpeercert(binary_form=True) != ssl.PEM_cert_to_DER_cert(certificate.read_text()):
        raise BenchError(f"{name}: serves another certificate than the one of this run")
    cipher = sock.cipher()
    if cipher is None or cipher[1] != "TLSv1.3":
        raise BenchError(f"{name}: wanted TLSv1.3, negotiated {cipher}")
    return f"{cipher[1]} {cipher[0]}"


def _resumes(connection: http.client.HTTPSConnection) -> bool:
    """Whether the ticket of this connection opens a second one; TLS 1.3 tickets come with the first answer."""
    first = connection.sock
    assert isinstance(first, ssl.SSLSocket)
    address = first.getpeername()
    with (
        socket.create_connection(address, timeout=5) as plain,
        first.context.wrap_socket(plain, server_hostname=address[0], session=first.session) as second,
    ):
        return bool(second.session_reused)


def _forwarding(name: str, connection: http.client.HTTPConnection, host: str, scheme: str) -> None:
    wanted = {"for": "127.0.0.1", "proto": scheme, "real-ip": "127.0.0.1", "host": host}
    used: set[str] = set()
    longest = 0
    for _ in range(REQUESTS):
        connection.request("GET", "/duties")
        response = connection.getresponse()
        body = response.read().decode("ascii", "replace")
        if response.status != 200:
            raise BenchError(f"{name}: {response.status} instead of 200 for /duties: {body[:200]!r}")
        seen = dict(line.partition("=")[::2] for line in body.splitlines())
        wrong = {key: seen.get(key) for key, value in wanted.items() if seen.get(key) != value}
        if wrong:
            raise BenchError(f"{name}: the backend sees {wrong}, wanted {wanted}")
        used.add(seen["backend"])
        longest = max(longest, int(seen["nth"]))
    if used != {"a", "b"}:
        raise BenchError(f"{name}: {REQUESTS} requests went to backends {sorted(used)}, wanted both")
    if longest < REQUESTS // 4:
        raise BenchError(f"{name}: connections to backends are not kept: at most {longest} of {REQUESTS} requests came over one")


def _upload(name: str, connection: http.client.HTTPConnection) -> None:
    connection.request("POST", "/upload", body=b"u" * UPLOAD_BYTES)
    response = connection.getresponse()
    response.read()
    read = int(response.headers.get("X-Read", "0"))
    if response.status != 204 or read < UPLOAD_BYTES:
        raise BenchError(f"{name}: an upload of {UPLOAD_BYTES} bytes gave {response.status}, the backend had read {read}")


def _logged(name: str, access_log: Path) -> None:
    """All 41 requests and more have been made; buffers may take a while to reach the file."""
    wanted = 2 * REQUESTS + 1
    deadline = time.monotonic() + LOG_SECONDS
    lines = 0
    while time.monotonic() < deadline:
        lines = access_log.read_bytes().count(b"\n") if access_log.exists() else 0
        if lines >= wanted:
            return
        time.sleep(0.1)
    raise BenchError(f"{name}: {lines} lines in its access log after {wanted} requests")
