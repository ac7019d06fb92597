"""Do all of them do the same work? Asked of each proxy before it is measured; a comparison of unequal work is refused.

Asked over real connections, duty by duty (NAMES):

    tls                the certificate of this run; TLS 1.3 and 1.2, nothing older
    cipher             the AES-256 suite that OpenSSL prefers for TLS 1.3
    forwarding         the backend sees X-Forwarded-For, X-Forwarded-Proto, X-Real-IP and Host as they should be
    plain              the same over the listener without TLS
    both backends      requests are spread over the backends,
    kept backends      ... over connections that are kept,
    backend tls        ... and that are TLS, where that is asked for,
    backend http/2     ... and HTTP/2, where that is
    least connections  while an answer of one backend is under way, the next requests go elsewhere, all of them
    upload             a body arrives whole
    websocket          an upgrade is passed on, and a message comes back
    http/2             ALPN chooses it for who offers it, and HTTP/1.1 for who offers that alone; the backend sees the same
                       fields of its requests, and an upload arrives whole; many of them are under way at once on one connection
    grpc               a call of gRPC comes back with its message, and its status in the trailers, where backends answer it
    compression        text leaves in gzip for those who want that, where the proxies are to do so
    cache              an answer that may be stored is given out again, to anybody, over both protocols, and another is not, where
                       that is asked for; without it none is
    access log         a line for each request in the file, which names what was asked for

What a proxy cannot do at all is waived for it alone, and said in the report (Kind.waived in peers.py).
"""

from __future__ import annotations

import gzip
import http.client
import math
import socket
import ssl
import time
import warnings
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from bench.h2.session import PROTOCOL, Session
from bench.macro import websocket
from bench.macro.cases import GRPC_BUSY_PATH, GRPC_FIELDS, GRPC_MESSAGE, GRPC_PATH, STORED, UPLOAD_BYTES
from bench.macro.errors import BenchError

REQUESTS = 20
LOG_SECONDS = 5.0
CIPHER = "TLS_AES_256_GCM_SHA384"

STREAMS = 16
"""Requests that are under way at once on one HTTP/2 connection."""
WEBSOCKET = "websocket"
HTTP2 = "http/2"
"""The duty that older revisions of lbproxy cannot do: asked for where a case needs it."""

SETTLE = 10.0
"""Seconds. On a busy machine the first check of a backend by TLS takes one or two; who leaves one out waits for nothing."""


@dataclass(frozen=True)
class Asked:
    """A proxy that is asked."""

    name: str
    https: int
    http: int
    certificate: Path
    access_log: Path
    backends: int = 2
    backend_tls: bool = False
    backend_http2: bool = False
    grpc: bool = False
    cache: bool = False
    compress: bool = False

    def requests(self) -> int:
        """As many as show how they are spread."""
        return max(REQUESTS, 3 * self.backends)

    @cached_property
    def seen(self) -> list[dict[str, str]]:
        """What the backends saw of that many, one after the other over one connection.

        A proxy that checks its backends answers as soon as it knows one of them, and knows the others a moment later: as long as
        some are missing it is asked again, for at most SETTLE seconds.
        """
        until = time.monotonic() + SETTLE
        connection = connect(self.https, self.certificate)
        try:
            while True:
                seen = [_seen(connection) for _ in range(self.requests())]
                if len({one["backend"] for one in seen}) == self.backends or time.monotonic() >= until:
                    return seen
        finally:
            connection.close()


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


def check(
    name: str,
    https_port: int,
    http_port: int,
    certificate: Path,
    access_log: Path,
    *,
    backends: int = 2,
    backend_tls: bool = False,
    backend_http2: bool = False,
    grpc: bool = False,
    cache: bool = False,
    compress: bool = False,
    waived: Collection[str] = (),
) -> str:
    """BenchError naming the duty that is not done; otherwise what TLS a client gets: version, cipher, resumption."""
    asked = Asked(
        name, https_port, http_port, certificate, access_log, backends, backend_tls, backend_http2, grpc, cache, compress
    )  # fmt: skip
    for duty, proof in PROOFS.items():
        if duty not in waived:
            try:
                proof(asked)
            except (OSError, http.client.HTTPException) as error:
                raise BenchError(f"{name}: {duty}: {error!r}") from error
            except BenchError as error:
                raise BenchError(f"{name}: {duty}: {error}") from error
    return _described(asked)


def _described(asked: Asked) -> str:
    connection = connect(asked.https, asked.certificate)
    try:
        connection.request("GET", "/tiny")
        connection.getresponse().read()
        sock = connection.sock
        assert isinstance(sock, ssl.SSLSocket)
        version, cipher, resumes = sock.version(), sock.cipher(), _resumes(sock)
    finally:
        connection.close()
    return f"{version} {cipher[0] if cipher else '?'}, {'resumes' if resumes else 'does not resume'} by ticket"


def _resumes(first: ssl.SSLSocket) -> bool:
    """Whether the ticket of this connection opens a second one; TLS 1.3 tickets come with the first answer."""
    address = first.getpeername()
    with (
        socket.create_connection(address, timeout=5) as plain,
        first.context.wrap_socket(plain, server_hostname=address[0], session=first.session) as second,
    ):
        return bool(second.session_reused)


def _handshake(asked: Asked, highest: ssl.TLSVersion) -> ssl.SSLSocket:
    limited = context(asked.certificate)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # that old versions are deprecated is why they are asked for
        if highest < ssl.TLSVersion.TLSv1_2:
            limited.set_ciphers("ALL:@SECLEVEL=0")  # or OpenSSL would not even ask
            limited.minimum_version = ssl.TLSVersion.TLSv1
        limited.maximum_version = highest
    return limited.wrap_socket(socket.create_connection(("127.0.0.1", asked.https), timeout=5), server_hostname="localhost")


def _tls(asked: Asked) -> None:
    for version, called in ((ssl.TLSVersion.TLSv1_3, "TLSv1.3"), (ssl.TLSVersion.TLSv1_2, "TLSv1.2")):
        with _handshake(asked, version) as sock:
            if sock.version() != called:
                raise BenchError(f"wanted {called}, negotiated {sock.version()}")
            if sock.getpeercert(binary_form=True) != ssl.PEM_cert_to_DER_cert(asked.certificate.read_text()):
                raise BenchError("serves another certificate than the one of this run")
    try:
        with _handshake(asked, ssl.TLSVersion.TLSv1_1) as sock:
            raise BenchError(f"takes {sock.version()}, wanted nothing below TLSv1.2")
    except OSError:
        pass  # refused, as it should


def _cipher(asked: Asked) -> None:
    with _handshake(asked, ssl.TLSVersion.TLSv1_3) as sock:
        got = sock.cipher()
    if got is None or got[0] != CIPHER:
        raise BenchError(f"wanted {CIPHER}, negotiated {got}")


def _seen(connection: http.client.HTTPConnection) -> dict[str, str]:
    """What the backend saw of one more request."""
    connection.request("GET", "/duties")
    response = connection.getresponse()
    body = response.read().decode("ascii", "replace")
    if response.status != 200:
        raise BenchError(f"{response.status} instead of 200 for /duties: {body[:200]!r}")
    return _told(body)


def _told(body: str) -> dict[str, str]:
    return dict(line.partition("=")[::2] for line in body.splitlines())


def _forwarded(connection: http.client.HTTPConnection, host: str, scheme: str) -> None:
    _as_wanted(_seen(connection), host, scheme)


def _as_wanted(seen: dict[str, str], host: str, scheme: str) -> None:
    wanted = {"for": "127.0.0.1", "proto": scheme, "real-ip": "127.0.0.1", "host": host}
    wrong = {key: seen.get(key) for key, value in wanted.items() if seen.get(key) != value}
    if wrong:
        raise BenchError(f"the backend sees {wrong}, wanted {wanted}")


def _forwarding(asked: Asked) -> None:
    connection = connect(asked.https, asked.certificate)
    try:
        _forwarded(connection, f"127.0.0.1:{asked.https}", "https")
    finally:
        connection.close()


def _plain(asked: Asked) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", asked.http, timeout=5)
    try:
        _forwarded(connection, f"127.0.0.1:{asked.http}", "http")
    finally:
        connection.close()


def _both_backends(asked: Asked) -> None:
    used = {seen["backend"] for seen in asked.seen}
    wanted = math.ceil(0.75 * asked.backends)  # one that breaks ties by chance reaches 95 of 100
    if len(used) < wanted:
        raise BenchError(f"{asked.requests()} requests went to {len(used)} backends, wanted {wanted} of {asked.backends}")


def _kept_backends(asked: Asked) -> None:
    longest = max(int(seen["nth"]) for seen in asked.seen)
    wanted = min(5, asked.requests() // asked.backends)
    if longest < wanted:
        raise BenchError(f"of {asked.requests()} requests at most {longest} came over one connection, wanted {wanted}")


def _backend_tls(asked: Asked) -> None:
    wanted = "TLSv1.3" if asked.backend_tls else ""
    came = {seen["tls"] for seen in asked.seen}
    if came != {wanted}:
        raise BenchError(f"requests come over {sorted(came)}, wanted {[wanted]}")


def _backend_http2(asked: Asked) -> None:
    came = {seen["http"] for seen in asked.seen}
    if asked.backend_http2 and came != {"HTTP/2.0"}:
        raise BenchError(f"requests come by {sorted(came)}, wanted HTTP/2.0")
    if not asked.backend_http2 and "HTTP/2.0" in came:
        raise BenchError(f"requests come by {sorted(came)}, wanted HTTP/1.1")


def _least_connections(asked: Asked) -> None:
    slow = connect(asked.https, asked.certificate)
    quick = connect(asked.https, asked.certificate)
    try:
        slow.request("GET", "/slow")
        busy = slow.getresponse().headers["X-Backend"]  # its body stays under way for many seconds
        went = [_seen(quick)["backend"] for _ in range(REQUESTS)]
    finally:
        slow.close()
        quick.close()
    if busy in went:
        raise BenchError(f"{went.count(busy)} of {REQUESTS} requests went to {busy}, where one was under way; the others were idle")


def _upload(asked: Asked) -> None:
    connection = connect(asked.https, asked.certificate)
    try:
        connection.request("POST", "/upload", body=b"u" * UPLOAD_BYTES)
        response = connection.getresponse()
        response.read()
    finally:
        connection.close()
    read = int(response.headers.get("X-Read", "0"))
    if response.status != 204 or read < UPLOAD_BYTES:
        raise BenchError(f"{UPLOAD_BYTES} bytes gave {response.status}, the backend had read {read}")


def _websocket(asked: Asked) -> None:
    websocket.echo_once(asked.https, websocket.loose())


def _offering(asked: Asked, *protocols: str) -> ssl.SSLContext:
    offering = context(asked.certificate)
    offering.set_alpn_protocols(list(protocols))
    return offering


def _alpn(asked: Asked, *offered: str) -> str | None:
    offering = _offering(asked, *offered)
    plain = socket.create_connection(("127.0.0.1", asked.https), timeout=5)
    with offering.wrap_socket(plain, server_hostname="localhost") as sock:
        return sock.selected_alpn_protocol()


def _http2(asked: Asked) -> None:
    for offered, wanted in (((PROTOCOL, "http/1.1"), PROTOCOL), (("http/1.1",), "http/1.1")):
        if (chosen := _alpn(asked, *offered)) != wanted:
            raise BenchError(f"ALPN chooses {chosen} of {', '.join(offered)}, wanted {wanted}")
    with Session(asked.https, _offering(asked, PROTOCOL, "http/1.1")) as session:
        answer = session.whole(session.begin("/duties"))
        if answer.status != 200:
            raise BenchError(f"{answer.status} instead of 200 for /duties")
        _as_wanted(_told(answer.body.decode("ascii", "replace")), f"127.0.0.1:{asked.https}", "https")
        sent = session.whole(session.begin("/upload", method="POST", body=b"u" * UPLOAD_BYTES))
        if sent.status != 204 or int(sent.fields.get(b"x-read", b"0")) < UPLOAD_BYTES:
            raise BenchError(f"{UPLOAD_BYTES} bytes gave {sent.status}, the backend had read {sent.fields.get(b'x-read', b'0')!r}")
        _many_streams(session)


def _many_streams(session: Session) -> None:
    """All of them begin to be answered, and another one ends, while none of them has ended."""
    slow = [session.head(stream) for stream in [session.begin("/slow") for _ in range(STREAMS)]]
    quick = session.whole(session.begin("/tiny"))
    if {answer.status for answer in slow} != {200} or bytes(quick.body) != b"ok\n":
        raise BenchError(f"{STREAMS} streams at once gave {[answer.status for answer in slow]}, one more {bytes(quick.body)!r}")
    if ended := sum(answer.over for answer in slow):
        raise BenchError(f"{ended} of {STREAMS} streams had ended before another was answered: they are not under way at once")


def _grpc(asked: Asked) -> None:
    if not (asked.backend_http2 or asked.grpc):
        return
    for path in (GRPC_PATH, GRPC_BUSY_PATH) if asked.grpc else (GRPC_BUSY_PATH,):
        with Session(asked.https, _offering(asked, PROTOCOL)) as session:
            answer = session.whole(session.begin(path, *GRPC_FIELDS, method="POST", body=GRPC_MESSAGE))
        status = answer.trailers.get(b"grpc-status")
        if (answer.status, bytes(answer.body), status) != (200, GRPC_MESSAGE, b"0"):
            raise BenchError(f"{path} gave {answer.status}, {bytes(answer.body)!r} and the trailer grpc-status {status!r}")


def _cache(asked: Asked) -> None:
    first, second = (_fetched(asked, f"{STORED}/nth") for _ in range(2))
    if (first == second) != asked.cache:
        raise BenchError(f"{STORED}/nth was {'another one' if asked.cache else 'the same'} the second time")
    if not asked.cache:
        return
    if _fetched(asked, f"{STORED}/fresh") == _fetched(asked, f"{STORED}/fresh"):
        raise BenchError("what was not said to be stored was")
    with Session(asked.https, _offering(asked, PROTOCOL)) as session:
        answer = session.whole(session.begin(f"{STORED}/nth"))
    if bytes(answer.body) != first:
        raise BenchError(f"over HTTP/2 {STORED}/nth was another one")


def _compression(asked: Asked) -> None:
    """For those who want it alone, out of the cache as well, and it is the same text."""
    text = _fetched(asked, f"{STORED}/text")
    for _ in range(2):
        body, coding = _coded(asked, f"{STORED}/text")
        if (coding == "gzip") != asked.compress:
            raise BenchError(f"{STORED}/text came in {coding or 'no coding'} for who wants gzip")
        if coding and gzip.decompress(body) != text:
            raise BenchError(f"{STORED}/text is something else in {coding}")


def _coded(asked: Asked, path: str) -> tuple[bytes, str]:
    """As it leaves for who wants gzip; its coding."""
    connection = connect(asked.https, asked.certificate)
    try:
        connection.request("GET", path, headers={"Accept-Encoding": "gzip"})
        response = connection.getresponse()
        return response.read(), response.headers.get("Content-Encoding", "")
    finally:
        connection.close()


def _fetched(asked: Asked, path: str) -> bytes:
    """Over a connection of its own."""
    connection = connect(asked.https, asked.certificate)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read()
    finally:
        connection.close()
    if response.status != 200:
        raise BenchError(f"{response.status} instead of 200 for {path}")
    return body


def _access_log(asked: Asked) -> None:
    """Lines that name what was asked for; buffers may take a while to reach the file."""
    mark = f"/tiny?mark={time.monotonic_ns()}"
    connection = connect(asked.https, asked.certificate)
    try:
        for number in range(REQUESTS):
            connection.request("GET", f"{mark}-{number}")
            connection.getresponse().read()
    finally:
        connection.close()
    deadline = time.monotonic() + LOG_SECONDS
    lines: list[str] = []
    while len(lines) < REQUESTS and time.monotonic() < deadline:
        time.sleep(0.1)
        text = asked.access_log.read_text(errors="replace") if asked.access_log.exists() else ""
        lines = [line for line in text.splitlines() if mark in line and "127.0.0.1" in line and "200" in line]
    if len(lines) != REQUESTS:
        raise BenchError(f"{len(lines)} lines about {REQUESTS} requests in its access log")


PROOFS: dict[str, Callable[[Asked], None]] = {
    "tls": _tls,
    "cipher": _cipher,
    "forwarding": _forwarding,
    "plain": _plain,
    "both backends": _both_backends,
    "kept backends": _kept_backends,
    "backend tls": _backend_tls,
    "backend http/2": _backend_http2,
    "least connections": _least_connections,
    "upload": _upload,
    WEBSOCKET: _websocket,
    HTTP2: _http2,
    "grpc": _grpc,
    "cache": _cache,
    "compression": _compression,
    "access log": _access_log,
}
NAMES = tuple(PROOFS)
