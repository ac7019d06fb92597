"""Fields of HTTP as gRPC has them: which requests are calls, how long one may take, how it ended, how an answer of ours tells that.

A call is a POST whose Content-Type begins with "application/grpc" (grpc/grpc: doc/PROTOCOL-HTTP2.md). Its answer has status 200 in
any case, and how it ended stands in the trailers, or, where there is nothing else to say, in the head ("trailers-only"). A client
that gets another status makes a guess of it (doc/http-grpc-status-mapping.md), and decides by that whether it calls again: so what
we answer by ourselves says what we know.

gRPC-Web ("application/grpc-web", doc/PROTOCOL-WEB.md) is the same for browsers, over any version of HTTP, with the trailers as the
last piece of the body, which passes as any other. An answer without a body says it in its head, as above.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import IntEnum

from lbproxy.http.message import RequestHead, ResponseHead
from lbproxy.http.trailers import Trailers


class GrpcCode(IntEnum):
    """How a call ended (doc/statuscodes.md)."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


UNHEARD = len(GrpcCode)
"""Of calls that ended without a word about how, or with one that is none."""

LOGIN = "auth_denied"
"""Why somebody is sent to where one logs in, by a server that was asked for its consent: no client of gRPC goes there."""
_OF_STATUS = {
    401: GrpcCode.UNAUTHENTICATED,
    403: GrpcCode.PERMISSION_DENIED,
    404: GrpcCode.UNIMPLEMENTED,
    405: GrpcCode.UNIMPLEMENTED,
    501: GrpcCode.UNIMPLEMENTED,
    # Limits of ours. The mapping takes 429 for UNAVAILABLE, at which clients call again at once; who is over his limit should not.
    413: GrpcCode.RESOURCE_EXHAUSTED,
    414: GrpcCode.RESOURCE_EXHAUSTED,
    429: GrpcCode.RESOURCE_EXHAUSTED,
    431: GrpcCode.RESOURCE_EXHAUSTED,
    408: GrpcCode.DEADLINE_EXCEEDED,
    # No backend, or none that could be asked.
    502: GrpcCode.UNAVAILABLE,
    503: GrpcCode.UNAVAILABLE,
    504: GrpcCode.DEADLINE_EXCEEDED,
}
"""All other errors are INTERNAL: a fault of the message, or one of ours. What is no error is UNKNOWN, as the mapping has it: a page
or a redirect where an answer to a call should be."""
_OF_REASON = {
    "icap_blocked": GrpcCode.PERMISSION_DENIED,  # whatever status its server gives the page
    "connect_timeout": GrpcCode.UNAVAILABLE,  # a 504, but no backend has heard of the call
    # How a backend has reset the call (doc/PROTOCOL-HTTP2.md, "Errors"), as its client would have understood it without us. It is
    # not UNAVAILABLE, at which clients call again: the backend may have done something.
    "h2_reset": GrpcCode.INTERNAL,
    "h2_reset_cancel": GrpcCode.CANCELLED,
    "h2_reset_calm": GrpcCode.RESOURCE_EXHAUSTED,
    "h2_reset_security": GrpcCode.PERMISSION_DENIED,
    "h2_http_1_required": GrpcCode.INTERNAL,
}

_KIND = re.compile(rb"\r\ncontent-type:[ \t]*+(application/grpc(?:-web(?:-text)?)?(?:\+[a-z0-9.!#$&^_-]++)?)[ \t]*+(?=[;\r]|\Z)")
_TIMEOUT = re.compile(rb"\r\ngrpc-timeout:[ \t]*+([0-9]{1,8})([hmsun])[ \t]*+(?=\r|\Z)", re.IGNORECASE)
_UNITS = {b"H": 3600.0, b"M": 60.0, b"S": 1.0, b"m": 1e-3, b"u": 1e-6, b"n": 1e-9}
_STATUS = re.compile(rb"\r\ngrpc-status:[ \t]*+([0-9]{1,2})[ \t]*+(?=\r|\Z)")
_CODES = {form % code: min(code, UNHEARD) for code in range(100) for form in (b"%d", b"%02d")}
"""All that can be said in two digits."""
_NO_CALL = (b"", None)


def call_in(head: RequestHead) -> tuple[bytes, float | None]:
    """(the media type of a call, in lower case and without parameters, b"" for what is none; seconds that the client waits, None if
    it does not say). A client repeats itself, and the same head is asked again."""
    found = head.call
    if found is None:
        lowered = head.lowered
        kind = b"" if lowered.find(b"application/grpc") < 0 or head.method != b"POST" else _kind(lowered)
        found = head.call = (kind, _timeout(head.block)) if kind else _NO_CALL
    return found


def kind_among(fields: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The same of fields that were refused, and became no head."""
    return next((_kind(b"\r\ncontent-type:" + value.lower()) for name, value in fields if name == b"content-type"), b"")


def _kind(lowered: bytes) -> bytes:
    found = _KIND.search(lowered)
    return b"" if found is None else found[1]


def _timeout(block: bytes) -> float | None:
    found = _TIMEOUT.search(block)
    if found is None or found[2] not in _UNITS:  # units know case: M is a minute
        return None
    return int(found[1]) * _UNITS[found[2]]


def answers(answer: ResponseHead) -> bool:
    """Whether a head begins the answer to a call: what stands between may answer with a page of its own."""
    return _said_in(answer)[0]


def code_in(answer: ResponseHead) -> int:
    """How the call ended, as its head says; UNHEARD when that is left to the trailers."""
    return _said_in(answer)[1]


def _said_in(answer: ResponseHead) -> tuple[bool, int]:
    found = answer.call
    if found is None:
        lowered = answer.lowered
        answers = lowered.find(b"application/grpc") >= 0 and _kind(lowered) != b""
        status = _STATUS.search(lowered)
        found = answer.call = answers, UNHEARD if status is None else _CODES[status[1]]
    return found


def code_behind(trailers: Trailers) -> int:
    """How it ended, as its trailers say; UNHEARD when they do not."""
    for name, value in trailers:
        if name == b"grpc-status":
            return 0 if value == b"0" else _CODES.get(value, UNHEARD)
    return UNHEARD


def code_of(status: int, reason: str) -> GrpcCode:
    """What an answer of ours means to a gRPC client; `reason`: as the access log has it."""
    if status < 400:
        return GrpcCode.UNAUTHENTICATED if reason == LOGIN else _OF_REASON.get(reason, GrpcCode.UNKNOWN)
    return _OF_REASON.get(reason) or _OF_STATUS.get(status, GrpcCode.INTERNAL)


def written(lines: bytes) -> int | None:
    """How a call ended by an answer that the configuration has written for it; None: its lines are not those of gRPC."""
    lowered = lines.lower()
    if not _kind(lowered):
        return None
    status = _STATUS.search(lowered)
    return UNHEARD if status is None else _CODES[status[1]]


def said(code: int, reason: str) -> Trailers:
    """The same as fields."""
    return (b"grpc-status", b"%d" % code), (b"grpc-message", b"lbproxy: " + reason.encode("ascii"))
