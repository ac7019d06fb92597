"""Heads as values. Field lines stay one block of bytes: what is forwarded is cut out of it, never rebuilt field by field."""

from __future__ import annotations

import re

NO_BODY = 0
CHUNKED = -1
UNTIL_CLOSE = -2
"""`body` of a head is a length in bytes when >= 0, else one of these. UNTIL_CLOSE happens to responses only."""

FIELDS_KEPT = 4 * 1024
"""Bytes of field lines up to which a connection remembers them for its next request: more, times ten thousand idle connections,
would be memory that clients can fill at will."""

Special = tuple[bytes, bytes]
"""A field that decides something: (name, value), both in lower case."""


# RFC 4559, MS-NTHT, MS-WSMV (CredSSP, to Windows' remote management): schemes that authenticate the connection, not the request.
# "nego2" and "kerberos" are seen beside them.
_SCHEMES = rb"(?:ntlm|negotiate|nego2|kerberos|credssp)(?![a-z0-9!#$%&'*+.^_`|~-])"
# Credentials are one, but whoever joins fields makes a list of them, and some read a list.
_CREDENTIALS = re.compile(rb"\r\nauthorization:(?:[^\r]*,)?[ \t]*+" + _SCHEMES)
_CHALLENGE = re.compile(rb"\r\nwww-authenticate:(?:[^\r]*[, \t])?" + _SCHEMES)


class RequestHead:
    """A request head that passed every rule of design section 9. Nobody changes one: others are made of it."""

    __slots__ = (
        "authority",
        "binds",
        "block",
        "body",
        "call",
        "expect_continue",
        "host",
        "keep_alive",
        "lowered",
        "method",
        "minor",
        "nominated",
        "path",
        "raw",
        "specials",
        "stored_as",
        "target",
        "underscores",
        "upgrade",
    )

    def __init__(
        self,
        method: bytes,
        target: bytes,
        path: bytes,
        host: bytes,
        authority: bytes,
        minor: int,
        body: int,
        keep_alive: bool,
        expect_continue: bool,
        upgrade: bytes,
        block: bytes,
        lowered: bytes,
        specials: list[Special],
        nominated: tuple[bytes, ...],
        raw: bytes = b"",
        underscores: bool = False,
    ) -> None:
        self.method = method
        self.target = target
        """What is sent upstream: origin-form with a normalised path, or "*"."""
        self.path = path
        """The path that routes are matched on: the target without its query."""
        self.host = host
        """Lower case, without port and without a trailing dot; "[::1]" keeps its brackets."""
        self.authority = authority
        """The Host field's value, in lower case, without white space around it."""
        self.minor = minor
        """HTTP/1.minor"""
        self.body = body
        self.keep_alive = keep_alive
        """False also when an upgrade is wanted: an answer that refuses it is the last one (upgrade.py)."""
        self.expect_continue = expect_continue
        self.upgrade = upgrade
        """The protocol, in lower case, that a backend may be asked to switch to if the method allows (upgrade.py); else empty."""
        self.block = block
        """All field lines, each with its CRLF in front."""
        self.lowered = lowered
        """`block` in lower case: what scans run on."""
        self.specials = specials
        self.nominated = nominated
        """Lower-case names that Connection nominates as hop-by-hop, beyond the standard ones."""
        self.binds = lowered.find(b"\r\nauthorization:") >= 0 and _CREDENTIALS.search(lowered) is not None
        """It has credentials that authenticate its connection."""
        self.raw = raw
        """The target in origin-form as the client wrote it, when it was not in normal form; else empty."""
        self.underscores = underscores
        """Fields with such names are passed on, as far as they cannot be taken for others."""
        self.call: tuple[bytes, float | None] | None = None
        """What http/grpc.py has found in it, once it was asked."""
        self.stored_as: tuple[object, object, object] | None = None
        """A cache, and under what it has an answer to this at hand, or would have; None: no cache was asked."""

    def elsewhere(self, method: bytes, target: bytes, path: bytes, raw: bytes) -> RequestHead:
        """The same fields with another request line."""
        return RequestHead(
            method,
            target,
            path,
            self.host,
            self.authority,
            self.minor,
            self.body,
            self.keep_alive,
            self.expect_continue,
            self.upgrade,
            self.block,
            self.lowered,
            self.specials,
            self.nominated,
            raw,
            self.underscores,
        )

    def with_underscores(self) -> RequestHead:
        """For a route that passes them on."""
        head = self.elsewhere(self.method, self.target, self.path, self.raw)
        head.underscores = True
        return head

    def taken_in(self, block: bytes, body: int) -> RequestHead:
        """The same request with other fields and framing, after its body was received: nobody waits to be told to continue."""
        return RequestHead(
            self.method,
            self.target,
            self.path,
            self.host,
            self.authority,
            self.minor,
            body,
            self.keep_alive,
            False,
            self.upgrade,
            block,
            block.lower(),
            self.specials,
            self.nominated,
            self.raw,
            self.underscores,
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RequestHead) and all(getattr(self, name) == getattr(other, name) for name in _OF_REQUEST)

    __hash__ = None  # type: ignore[assignment]


class ResponseHead:
    """A response head that passed the same rules."""

    __slots__ = (
        "binds",
        "block",
        "body",
        "call",
        "endless",
        "keep_alive",
        "lowered",
        "minor",
        "nominated",
        "noteworthy",
        "plain_keep_alive",
        "reason",
        "specials",
        "status",
        "undated",
        "upgrade",
    )

    def __init__(
        self,
        status: int,
        reason: bytes,
        minor: int,
        body: int,
        keep_alive: bool,
        upgrade: bytes,
        block: bytes,
        lowered: bytes,
        specials: list[Special],
        nominated: tuple[bytes, ...],
        plain_keep_alive: bool,
        noteworthy: bool,
        undated: bool = False,
    ) -> None:
        """See RequestHead."""
        self.status = status
        self.reason = reason
        self.minor = minor
        self.body = body
        self.keep_alive = keep_alive
        self.upgrade = upgrade
        self.block = block
        self.lowered = lowered
        self.specials = specials
        self.nominated = nominated
        self.plain_keep_alive = plain_keep_alive
        """The only special fields are Content-Length and one Connection that says just "keep-alive"."""
        self.binds = status == 401 and _CHALLENGE.search(lowered) is not None
        """It asks for credentials that authenticate the connection."""
        self.noteworthy = noteworthy or undated or self.binds
        """An interim response, or one of 500 and above, or one that still has to get its Date."""
        self.undated = undated
        """The answer (none that is interim) has no Date, and is to have one."""
        self.call: tuple[bool, int] | None = None
        """What http/grpc.py has found in it, once it was asked."""
        self.endless = -1
        """Likewise http/endless.py: 0 or 1."""

    def edited(self, block: bytes, nominated: tuple[bytes, ...], undated: bool) -> ResponseHead:
        """The same message with other fields, none of which says where it ends or how the connection goes on."""
        return self._with(self.status, block, block.lower(), nominated, undated)

    def with_status(self, status: int) -> ResponseHead:
        """The same message with another status, to which nothing else corresponds."""
        return self._with(status, self.block, self.lowered, self.nominated, self.undated)

    def _with(self, status: int, block: bytes, lowered: bytes, nominated: tuple[bytes, ...], undated: bool) -> ResponseHead:
        return ResponseHead(
            status,
            self.reason,
            self.minor,
            self.body,
            self.keep_alive,
            self.upgrade,
            block,
            lowered,
            self.specials,
            nominated,
            self.plain_keep_alive,
            not 200 <= status < 500,
            undated,
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ResponseHead) and all(getattr(self, name) == getattr(other, name) for name in _OF_RESPONSE)

    __hash__ = None  # type: ignore[assignment]


_REMEMBERED = ("call", "endless", "stored_as")
_OF_REQUEST = tuple(name for name in RequestHead.__slots__ if name not in _REMEMBERED)
_OF_RESPONSE = tuple(name for name in ResponseHead.__slots__ if name not in _REMEMBERED)
