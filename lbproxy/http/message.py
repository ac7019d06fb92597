"""Heads as values. Field lines stay one block of bytes: what is forwarded is cut out of it, never rebuilt field by field."""

from __future__ import annotations

from typing import NamedTuple

NO_BODY = 0
CHUNKED = -1
UNTIL_CLOSE = -2
"""`body` of a head is a length in bytes when >= 0, else one of these. UNTIL_CLOSE happens to responses only."""

FIELDS_KEPT = 4 * 1024
"""Bytes of field lines up to which a connection remembers them for its next request: more, times ten thousand idle connections,
would be memory that clients can fill at will."""

Special = tuple[bytes, bytes]
"""A field that decides something: (name, value), both in lower case."""


class RequestHead(NamedTuple):
    """A request head that passed every rule of design section 9."""

    method: bytes
    target: bytes
    """What is sent upstream: origin-form with a normalised path, or "*"."""
    path: bytes
    """The path that routes are matched on: the target without its query."""
    host: bytes
    """Lower case, without port and without a trailing dot; "[::1]" keeps its brackets."""
    authority: bytes
    """The Host field's value, in lower case, without white space around it."""
    minor: int
    """HTTP/1.minor"""
    body: int
    keep_alive: bool
    """False also when an upgrade is wanted: an answer that refuses it is the last one (upgrade.py)."""
    expect_continue: bool
    upgrade: bytes
    """The protocol, in lower case, that a backend may be asked to switch to if the method allows (upgrade.py); else empty."""
    block: bytes
    """All field lines, each with its CRLF in front."""
    lowered: bytes
    """`block` in lower case: what scans run on."""
    specials: list[Special]
    nominated: tuple[bytes, ...]
    """Lower-case names that Connection nominates as hop-by-hop, beyond the standard ones."""
    raw: bytes = b""
    """The target in origin-form as the client wrote it, when it was not in normal form; else empty."""


class ResponseHead(NamedTuple):
    """A response head that passed the same rules."""

    status: int
    reason: bytes
    minor: int
    body: int
    keep_alive: bool
    upgrade: bytes
    block: bytes
    lowered: bytes
    specials: list[Special]
    nominated: tuple[bytes, ...]
    plain_keep_alive: bool = False
    """The only special fields are Content-Length and one Connection that says just "keep-alive"."""
    noteworthy: bool = False
    """An interim response, or one of 500 and above."""
