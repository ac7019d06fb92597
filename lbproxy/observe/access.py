"""The access log: one JSON line a request, preformatted, handed over in batches.

A line costs about a microsecond because nothing is built but the line: names and punctuation are in the pattern, the second of the
time stamp is formatted once a second, and text is escaped only when it holds a byte that JSON minds. Writing is somebody else's
business (the worker's log writer), so this file stays pure and time comes in as an argument.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import NamedTuple

FIELDS = (
    "time",
    "client",
    "method",
    "host",
    "path",
    "status",
    "reason",
    "bytes_in",
    "bytes_out",
    "backend",
    "tries",
    "tls_ms",
    "head_ms",
    "queue_ms",
    "backend_head_ms",
    "total_ms",
)
_LINE = (
    '{"time":"%s.%03dZ","client":"%s","method":"%s","host":"%s","path":"%s","status":%d,"reason":"%s","bytes_in":%d,'
    '"bytes_out":%d,"backend":"%s","tries":%d,"tls_ms":%.1f,"head_ms":%.1f,"queue_ms":%.1f,"backend_head_ms":%.1f,'
    '"total_ms":%.1f}\n'
)
_MAX_TEXT = 2048
"""A longer path is cut (and ends in "..."): a line stays below PIPE_BUF, so that lines of several workers in one pipe never mix."""
_AWKWARD = re.compile(r'["\\\x00-\x1f\x7f-\U0010ffff]')


class Entry(NamedTuple):
    """One request as the log tells it. Byte strings come from the wire and are escaped here; times are monotonic seconds."""

    client: str
    method: bytes
    host: bytes
    path: bytes
    status: int
    reason: str
    """Why lbproxy answered by itself or gave up; "" when the backend's answer was passed on whole."""
    bytes_in: int
    bytes_out: int
    backend: str
    tries: int
    tls: float
    """Seconds the handshake took; 0 but for a connection's first request."""
    begun: float
    """When the first byte of the head was there."""
    parsed: float
    """When the head was whole."""
    leased: float
    """When a backend was chosen; equal to `parsed` when none was."""
    answered: float
    """When the backend's final head was there; equal to `leased` when it never was."""
    ended: float


class AccessLog:
    """Formats entries and collects the lines until `take` fetches them."""

    def __init__(self, wall_minus_monotonic: float, stamp: Callable[[int], str]) -> None:
        """`stamp`: whole UNIX seconds -> "2026-11-23T12:00:00"."""
        self._offset = wall_minus_monotonic
        self._stamp = stamp
        self._second = -1
        self._prefix = ""
        self._lines: list[str] = []

    def add(self, entry: Entry) -> None:
        """Format one request."""
        (
            client, method, host, path, status, reason, bytes_in, bytes_out, backend, tries,
            tls, begun, parsed, leased, answered, ended,
        ) = entry  # fmt: skip
        now = ended + self._offset
        second = int(now)
        if second != self._second:
            self._second = second
            self._prefix = self._stamp(second)
        self._lines.append(
            _LINE
            % (
                self._prefix,
                (now - second) * 1000,
                client,
                method.decode("latin-1"),  # a token: nothing to escape
                text(host),
                text(path),
                status,
                reason,
                bytes_in,
                bytes_out,
                backend,
                tries,
                tls * 1000,
                (parsed - begun) * 1000,
                (leased - parsed) * 1000,
                (answered - leased) * 1000,
                (ended - begun) * 1000,
            )
        )

    def __len__(self) -> int:
        return len(self._lines)

    def take(self) -> bytes:
        """All lines since the last call."""
        lines, self._lines = self._lines, []
        return "".join(lines).encode("ascii")


def text(raw: bytes) -> str:
    """Bytes from the wire as the inside of a JSON string: ASCII only, everything else escaped."""
    if len(raw) > _MAX_TEXT:
        raw = raw[:_MAX_TEXT] + b"..."
    shown = raw.decode("latin-1")
    if _AWKWARD.search(shown) is None:
        return shown
    return json.dumps(shown)[1:-1]
