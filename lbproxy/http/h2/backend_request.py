"""A request head, laid out as HTTP/1 has it, to the fields that a backend of HTTP/2 gets.

Forwarding and header rules lay a request out once, as a block of lines (http/forwarding.py). Here it becomes fields: pseudo-fields
first, names in lower case, nothing about a connection (RFC 9113 8.2.2, 8.3.1), and a WebSocket as RFC 8441 asks for it. The same
bytes are the same fields, so a client that repeats its request pays a look-up.

Credentials and cookies are never put into the table of compression (RFC 7541 7.1.3): the connection is shared by clients who do not
trust each other, and what one could learn of another's from the size of a frame it must not. Nor is what gRPC reads: its servers by
C-core (grpcio and others) read a field when it enters the table, and refuse all calls that refer to one that they could not read,
be it for its name alone. A client that sends `grpc-timeout: 1x` once would have the deadlines of all others refused.
"""

from __future__ import annotations

from lbproxy.http.h2.engine import never_indexed
from lbproxy.http.h2.vocabulary import Field, Fields
from lbproxy.http.message import FIELDS_KEPT
from lbproxy.http.upgrade import digest
from lbproxy.remembered import Budget

KEPT = 1024 * 1024
"""Bytes; then all are forgotten."""
COPIES, OBJECTS, FIELD = 3, 1024, 192
"""As of response_fields.py."""

_OF_A_CONNECTION = frozenset(
    (b"connection", b"host", b"http2-settings", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade")
)
_SECRET = frozenset((b"authorization", b"cookie"))
_GRPC_SAYS_OFTEN = frozenset((b"identity", b"gzip", b"deflate"))
_WEBSOCKET = b"\r\nupgrade: websocket\r\n"


class Laid:
    """A request as HTTP/2 has it."""

    __slots__ = ("accept", "fields")

    def __init__(self, fields: Fields, accept: bytes) -> None:
        """`accept`: of a WebSocket: what HTTP/1 would have as Sec-WebSocket-Accept, which our client waits for; else empty."""
        self.fields = fields
        self.accept = accept


class BackendRequests:
    """Makes field lists of the request heads that a process sends to backends."""

    __slots__ = ("_budget", "_over_tls", "_plain")

    def __init__(self, kept: int = KEPT) -> None:
        self._budget = Budget(kept)
        self._over_tls: dict[bytes, Laid] = self._budget.draws({})
        self._plain: dict[bytes, Laid] = self._budget.draws({})

    def of(self, head: bytes, scheme: bytes) -> Laid:
        """`head`: from the request line to the empty line, both included; sound, as whoever lays heads out makes sure of;
        `scheme`: that of the connection."""
        known = self._over_tls if scheme == b"https" else self._plain
        laid = known.get(head)
        if laid is None:
            laid = laid_out(head, scheme)
            if len(head) <= FIELDS_KEPT:
                self._budget.keep(known, head, laid, COPIES * len(head) + FIELD * len(laid.fields) + OBJECTS)
        return laid


def laid_out(head: bytes, scheme: bytes) -> Laid:
    """See `BackendRequests.of`."""
    line, *lines = head[:-4].split(b"\r\n")
    method, target, _ = line.split(b" ", 2)
    authority = b""
    regular: list[Field] = []
    for each in lines:
        name, _, value = each.partition(b":")
        name, value = name.lower(), value.strip(b" \t")
        if name == b"host":
            authority = value
        if name in _OF_A_CONNECTION:
            continue
        if name == b"te":  # of all that it may say there is one thing left (RFC 9113 8.2.2)
            if b"trailers" not in [coding.strip(b" \t") for coding in value.lower().split(b",")]:
                continue
            value = b"trailers"
        regular.append(never_indexed(name, value) if name in _SECRET or _is_read_by_grpc(name, value) else (name, value))
    accept = digest(head[len(line) : -4]) if head.lower().find(_WEBSOCKET) >= 0 else b""
    pseudo: list[Field] = [(b":method", method), (b":scheme", scheme)]
    if accept:
        pseudo[:1] = [(b":method", b"CONNECT"), (b":protocol", b"websocket")]
        regular = [field for field in regular if field[0] != b"sec-websocket-key"]
    pseudo.append((b":path", target))
    if authority:
        pseudo.append((b":authority", authority))
    return Laid((*pseudo, *regular), accept)


def _is_read_by_grpc(name: bytes, value: bytes) -> bool:
    """Names of its own, and those whose values are base64; but for what is known to be sound, and stands in most calls."""
    if name.endswith(b"-bin"):
        return True
    if not name.startswith(b"grpc-") or name == b"grpc-accept-encoding":
        return False
    return name != b"grpc-encoding" or value not in _GRPC_SAYS_OFTEN
