"""What is asked of the proxies."""

from __future__ import annotations

from typing import NamedTuple

CONNECTIONS = 64
UPLOAD_BYTES = 100 * 1024
IDLE_CONNECTIONS = 2000
IDLE_CONNECTIONS_QUICK = 500
MANY_BACKENDS = 100
FULL_HANDSHAKE = "full handshake"
WEBSOCKET = "websocket"
GRPC = "grpc"
GRPC_BUSY = "grpc-busy"
GRPC_PATH = "/bench.Echo/Unary"
GRPC_BUSY_PATH = "/bench.Echo/Busy"
GRPC_MESSAGE = b"\0" * 5
"""Not compressed, and empty: what stands before each message, and nothing behind it."""
GRPC_FIELDS = (("content-type", "application/grpc"), ("te", "trailers"))


class Setup(NamedTuple):
    """How the proxies of a case are set up; those of different setups never stand at the same time."""

    name: str
    workers: int = 1
    backends: int = 2
    backend_tls: bool = False
    backend_http2: bool = False
    """Without TLS, by prior knowledge (h2c)."""
    steps: bool = False
    """There are routes with one step each (steps.py)."""
    cache: bool = False
    """Answers that say that they may be stored are, and given out again without asking the backends."""
    compress: bool = False
    """Text leaves compressed for those who want that."""


USUAL = Setup("usual")
TWO_WORKERS = Setup("two workers", workers=2)
RE_ENCRYPT = Setup("TLS to backends", backend_tls=True)
MANY = Setup(f"{MANY_BACKENDS} backends", backends=MANY_BACKENDS)
H2_BACKENDS = Setup("HTTP/2 to backends", backend_http2=True)
STEPS = Setup("steps", steps=True)
CACHE = Setup("cache", cache=True)
GZIP = Setup("cache and gzip", cache=True, compress=True)
SETUPS = (USUAL, TWO_WORKERS, RE_ENCRYPT, MANY, H2_BACKENDS, STEPS, CACHE, GZIP)

STORED = "/stored"
"""What is below it may be stored: the same files once more."""


class Case(NamedTuple):
    name: str
    path: str
    connections: int
    tells: str
    script: str = "plain"
    """The branch of load.lua: plain, browser, upload or close; or FULL_HANDSHAKE, WEBSOCKET or GRPC, which other programs do."""
    tls: bool = True
    backend_requests: int = 1
    """How many the backends count for each request of the client."""
    streams: int = 0
    """HTTP/2, with so many requests under way on each connection; 0: HTTP/1.1."""
    whole: int = 0
    """Bytes of one answer when answers are too large to be counted within a window: then the whole run is measured, by bytes."""
    setup: Setup = USUAL
    only: tuple[str, ...] = ()
    """The only proxies that can take part; none: all."""

    @property
    def hits(self) -> bool:
        """The backends are not asked, and cannot count."""
        return self.setup.cache


def _step(name: str, tells: str, *only: str, backend_requests: int = 1, kind: str = "named") -> Case:
    return Case(
        f"step-{name}", f"/step/{name}", CONNECTIONS, tells, kind, backend_requests=backend_requests, setup=STEPS, only=only
    )


LOADS = (
    Case("tiny", "/tiny", CONNECTIONS, "GET of 3 bytes over TLS, kept alive"),
    Case("browser", "/tiny", CONNECTIONS, "the same with the 14 request fields of a browser", "browser"),
    Case("1k", "/1k", CONNECTIONS, "GET of 1 KiB"),
    Case("100k", "/100k", CONNECTIONS, "GET of 100 KiB"),
    Case("16m", "/16m", 4, "GET of 16 MiB, 4 connections", whole=16 * 1024 * 1024),
    Case(
        "upload100k",
        "/upload",
        CONNECTIONS,
        "POST of 100 KiB, answered 204 after the backend has read it",
        "upload",
        backend_requests=2,
    ),
    Case("h2", "/tiny", 16, "tiny over HTTP/2: 16 connections, 16 streams on each", streams=16),
    Case("h2-100k", "/100k", 16, "GET of 100 KiB over HTTP/2, 16 connections, 4 streams on each", streams=4),
    Case("h2-16m", "/16m", 4, "GET of 16 MiB over HTTP/2, 4 connections", whole=16 * 1024 * 1024, streams=1),
    Case(
        "h2-upload100k",
        "/upload",
        16,
        "upload100k over HTTP/2: 16 connections, 4 streams on each",
        "upload",
        backend_requests=2,
        streams=4,
    ),
    Case("handshake", "/tiny", 32, "a full TLS 1.3 handshake, one GET, close", FULL_HANDSHAKE),
    Case("resume", "/tiny", CONNECTIONS, "a TLS 1.3 handshake resumed by ticket, one GET, close", "close"),
    Case("plain", "/tiny", CONNECTIONS, "tiny on a listener without TLS", tls=False),
    Case("websocket", "/ws", CONNECTIONS, "64 bytes to a WebSocket over TLS and back, for each message", WEBSOCKET),
    Case("2workers", "/tiny", CONNECTIONS, "tiny with two workers", setup=TWO_WORKERS),
    Case("tls-backends", "/tiny", CONNECTIONS, "tiny with verified TLS to the backends", setup=RE_ENCRYPT),
    Case("h2-backends", "/tiny", 16, "h2 with HTTP/2 to the backends as well", streams=16, setup=H2_BACKENDS),
    Case(
        GRPC,
        GRPC_PATH,
        16,
        "a unary call of gRPC with an empty message; 16 connections, 16 calls on each",
        GRPC,
        streams=16,
        setup=H2_BACKENDS,
    ),
    Case(
        GRPC_BUSY,
        GRPC_BUSY_PATH,
        16,
        "grpc, answered by nginx: as many calls as the proxy can carry",
        GRPC,
        backend_requests=2,
        streams=16,
        setup=H2_BACKENDS,
    ),
    _step("none", "tiny on a route of its own, beside which the next are to be seen", "nginx", "lbproxy"),
    _step("authorize", "the same, and a backend is asked about each request", "nginx", "lbproxy", backend_requests=2),
    _step("basic_auth", "... with a password that was checked before", "lbproxy"),
    _step("jwt", "... with a token (ES256) whose signature is checked", "lbproxy", kind="token"),
    _step("waf", "... looked at by the Core Rule Set before it passes", "nginx", "lbproxy"),
    _step("waf-detect", "... while it passes, as many as inspectors have time for", "lbproxy"),
    _step("icap", "... shown to an ICAP server (c-icap) before it passes", "lbproxy"),
    _step("mirror", "... sent to the backends a second time, as many as there is time for", "lbproxy"),
    _step("tap", "... told to a reader that has fallen asleep", "lbproxy"),
    Case("hit", STORED + "/1k", CONNECTIONS, "1k out of the proxy's cache", setup=CACHE),
    Case("hit100k", STORED + "/100k", CONNECTIONS, "100k out of the proxy's cache", setup=CACHE),
    Case("h2-hit", STORED + "/1k", 16, "hit over HTTP/2: 16 connections, 16 streams on each", streams=16, setup=CACHE),
    Case("gzip-hit", STORED + "/text", CONNECTIONS, "100 KiB of text out of the proxy's cache, in gzip", "gzip", setup=GZIP),
    Case("100backends", "/tiny", CONNECTIONS, f"tiny over {MANY_BACKENDS} backends", setup=MANY),
)
IDLE = "idle"
IDLE_TELLS = f"memory for each of {IDLE_CONNECTIONS} idle TLS connections that had one request each"
H2_IDLE = "h2-idle"
H2_IDLE_TELLS = "the same for idle HTTP/2 connections"
MEMORY = (IDLE, H2_IDLE)
"""Whose figure is KiB for each connection."""
LATENCY = "latency"
LATENCY_TELLS = "tiny at a constant rate, 50 % and 80 % of what each proxy can do: how long users would wait"
RELOAD = "reload"
RELOAD_TELLS = "requests lost during reloads, as `bench reload` does it"
OTHERS = {IDLE: IDLE_TELLS, H2_IDLE: H2_IDLE_TELLS, LATENCY: LATENCY_TELLS, RELOAD: RELOAD_TELLS}
NAMES = (*(case.name for case in LOADS), *OTHERS)
BY_NAME = {case.name: case for case in LOADS}
