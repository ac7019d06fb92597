"""The context that a request carries through many programs: X-Request-Id, and the trace of the W3C (traceparent, tracestate).

Whose context is taken over: "make" takes those of trusted proxies, "pass" anybody's; both make new ones otherwise. What is
not well-formed is never passed on and never repaired: it goes to logs and other systems by the thousand. Which one came is read
from the fields as the client sent them, and exactly one of each is sent to the backend.

Ids are random and as long as a UUID. Not a counter behind a prefix, which would be cheaper by a hair: who sees one such id knows
its neighbours, and traces are sampled by the last bytes of their id, which would then be the same for all requests of a connection.
The system is asked for randomness a page at a time, so that most requests make no system call for it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from lbproxy.http.fields import values
from lbproxy.http.message import RequestHead

REQUEST_ID = b"x-request-id"
TRACEPARENT = b"traceparent"
TRACESTATE = b"tracestate"

# UUIDs, ULIDs, base64, "host:port/number" and what else is in use; nothing that JSON, a shell, HTML or a log line minds.
_ID = re.compile(rb"[0-9A-Za-z._:/+=@~-]{1,128}\Z")

# Trace Context 3.2.2: version, trace-id, parent-id, flags, in small hexadecimal digits. What a later version adds is cut.
_PARENT = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-[ -~]*+)?\Z")
_KNOWN_FLAGS = 0x03
"""sampled, and random-trace-id of level 2; section 3.2.2.5.2: others are set to zero."""

# Trace Context 3.3.1: at most 32 members, each key=value; a key may have a tenant in front of its "@".
_MEMBER = re.compile(
    rb"(?:[a-z0-9][a-z0-9_\-*/]{0,255}|[a-z0-9][a-z0-9_\-*/]{0,240}@[a-z][a-z0-9_\-*/]{0,13})=[ -+\--<>-~]{0,255}[!-+\--<>-~]\Z"
)
_MOST_MEMBERS = 32
_MOST_STATE = 8 * 512
"""Bytes of tracestate that are looked at; section 3.3.1.5 asks for 512."""


class Trace(NamedTuple):
    """The trace that a request belongs to; ids are lower-case hexadecimal digits."""

    trace_id: str
    span_id: str
    """Ours: the backend's parent."""
    parent_id: str
    """Who called us; "" when the trace begins here."""
    flags: int
    state: bytes
    """tracestate as it came, b"" for none."""

    def lines(self) -> bytes:
        """For the backend, each with its CRLF in front."""
        line = f"\r\ntraceparent: 00-{self.trace_id}-{self.span_id}-{self.flags:02x}".encode()
        return line + b"\r\ntracestate: " + self.state if self.state else line


class Ids:
    """Random ids of a worker's."""

    __slots__ = ("_at", "_draw", "_drawn")

    PAGE = 4096

    def __init__(self, draw: Callable[[int], bytes]) -> None:
        """`draw`: so many unguessable bytes."""
        self._draw = draw
        self._drawn = b""
        self._at = 0

    def new(self, size: int) -> str:
        """`size` bytes in hexadecimal digits, never all zero."""
        at = self._at
        if at + size > len(self._drawn):
            self._drawn, at = self._draw(self.PAGE), 0
        self._at = at + size
        found = self._drawn[at : at + size].hex()
        return found if found.strip("0") else self.new(size)


def request_id(head: RequestHead, believed: bool, ids: Ids) -> str:
    """The request's id: the one that came, if it is `believed` and the only one, or a new one."""
    if believed:
        came = list(values(head, REQUEST_ID))
        if len(came) == 1 and _ID.match(came[0]) is not None:
            return came[0].decode("ascii")
    return ids.new(16)


def trace(head: RequestHead, believed: bool, ids: Ids) -> Trace:
    """The trace that the request belongs to, continued with a span of ours; a new one when none came that counts.

    Section 4.3: without a sound traceparent, tracestate means nothing and is dropped with it. A new trace is to be sampled, as it
    would be if it began at the backend: most tracers follow the flag, and zero would switch them off.
    """
    if believed:
        came = list(values(head, TRACEPARENT))
        found = _PARENT.match(came[0]) if len(came) == 1 else None
        if found is not None and _sound(found):
            trace_id, parent_id = found[2].decode(), found[3].decode()
            return Trace(trace_id, ids.new(8), parent_id, int(found[4], 16) & _KNOWN_FLAGS, _state(head))
    return Trace(ids.new(16), ids.new(8), "", 1, b"")


def _sound(found: re.Match[bytes]) -> bool:
    """Zeros are no ids, ff no version, and version 00 ends with its flags (3.2.2.1 to 3.2.2.4)."""
    version, trace_id, parent_id = found[1], found[2], found[3]
    if version == b"ff" or (version == b"00" and found[5] is not None):
        return False
    return bool(trace_id.strip(b"0")) and bool(parent_id.strip(b"0"))


def _state(head: RequestHead) -> bytes:
    """tracestate, several fields of it as one (RFC 9110 5.3); b"" for none, or one that breaks the grammar."""
    members = [member.strip(b" \t") for value in values(head, TRACESTATE) for member in value.split(b",")]
    members = [member for member in members if member]
    state = b",".join(members)
    if len(members) > _MOST_MEMBERS or len(state) > _MOST_STATE:
        return b""
    keys = {member.partition(b"=")[0] for member in members}
    sound = len(keys) == len(members) and all(_MEMBER.match(member) is not None for member in members)
    return state if sound else b""
