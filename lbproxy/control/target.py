"""The target of probes: where a backend is, what is asked of it, what it has to answer."""

from __future__ import annotations

import ssl
from typing import NamedTuple

from lbproxy.tls.backend_tls import BackendTls


class ProbeTarget(NamedTuple):
    """What to probe and what to expect."""

    ip: str
    port: int
    timeout: float
    """Seconds for the whole probe."""
    request: bytes | None = None
    """None: being able to connect is enough."""
    expect: tuple[int, int] = (200, 399)
    """Inclusive range of good statuses."""
    context: ssl.SSLContext | None = None
    """TLS, with or without a request; needs a server_name."""
    server_name: str = ""
    body: bytes | None = None
    """What must stand in the body's first health_check.BODY_LIMIT bytes."""
    line_feeds: bool = False
    """Lines of the answer may end with LF alone."""
    protocol: str = "http/1.1"
    """As of a pool; it is what the request is sent in, and what is offered by ALPN."""
    message: bytes | None = None
    """The request is one of gRPC, with this for its body."""
    encryption: BackendTls | None = None
    """What the pool demands of TLS beyond its context."""
    introduction: bytes = b""
    """Said in front of everything else: a PROXY header that names nobody."""
