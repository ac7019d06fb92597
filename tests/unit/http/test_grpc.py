"""What gRPC says in fields of HTTP."""

from __future__ import annotations

import pytest

from lbproxy.http import grpc
from lbproxy.http.grpc import UNHEARD, GrpcCode
from tests.unit.http.heads import request, response

CALL = b"POST /pkg.Service/Method HTTP/1.1"
KIND = b"content-type: application/grpc"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"application/grpc", b"application/grpc"),
        (b"application/grpc+proto", b"application/grpc+proto"),
        (b"Application/gRPC+JSON; charset=utf-8", b"application/grpc+json"),
        (b"application/grpc-web", b"application/grpc-web"),
        (b"application/grpc-web+proto", b"application/grpc-web+proto"),
        (b"application/grpc-web-text ;x=y", b"application/grpc-web-text"),
        (b"application/grpcx", b""),
        (b"application/grpc-other", b""),
        (b"text/plain; application/grpc", b""),
        (b"application/json", b""),
    ],
)
def test_which_requests_are_calls(value: bytes, expected: bytes) -> None:
    """By the media type, whatever its case and parameters; and only by POST."""
    assert grpc.call_in(request(b"content-type: " + value, line=CALL))[0] == expected
    assert grpc.call_in(request(b"x-content-type: " + value, line=CALL))[0] == b""
    assert grpc.call_in(request(b"content-type: " + value))[0] == b""


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"1H", 3600.0), (b"2M", 120.0), (b"3S", 3.0), (b"40m", 0.04), (b"50u", 5e-5), (b"60n", 6e-8), (b"0S", 0.0),
        (b"99999999H", 359_999_996_400.0), (b"1", None), (b"S", None), (b"1h", None), (b"1s", None), (b"-1S", None),
        (b"1.5S", None), (b"123456789S", None), (b"1SS", None), (b"", None),
    ],
)  # fmt: skip
def test_how_long_a_call_may_take(value: bytes, expected: float | None) -> None:
    """At most eight digits, and a unit that knows case; what is malformed is the backend's to refuse."""
    found = grpc.call_in(request(KIND, b"GRPC-Timeout: " + value, line=CALL))[1]
    assert found == (None if expected is None else pytest.approx(expected))
    assert grpc.call_in(request(KIND, line=CALL))[1] is None


@pytest.mark.parametrize(("value", "expected"), [(b"0", 0), (b"16", 16), (b"17", UNHEARD), (b"99", UNHEARD), (b"05", 5)])
def test_how_a_call_ended(value: bytes, expected: int) -> None:
    """In the head, or behind the body; numbers that are none of gRPC's are none."""
    assert grpc.code_in(response(b"Grpc-Status: " + value)) == expected
    assert grpc.code_behind(((b"x", b"1"), (b"grpc-status", value))) == expected


@pytest.mark.parametrize("value", [b"", b"x", b"-1", b"100", b"0x1"])
def test_what_is_no_status(value: bytes) -> None:
    """The backend's fault, and nobody's end."""
    assert grpc.code_in(response(b"grpc-status: " + value)) == UNHEARD
    assert grpc.code_behind(((b"grpc-status", value),)) == UNHEARD
    assert grpc.code_behind(()) == grpc.code_in(response()) == UNHEARD


@pytest.mark.parametrize(
    ("status", "reason", "expected"),
    [
        (400, "target_dots", GrpcCode.INTERNAL), (401, "unauthorized", GrpcCode.UNAUTHENTICATED),
        (302, "auth_denied", GrpcCode.UNAUTHENTICATED), (308, "redirect_to_https", GrpcCode.UNKNOWN),
        (200, "respond", GrpcCode.UNKNOWN), (200, "icap_blocked", GrpcCode.PERMISSION_DENIED),
        (403, "denied", GrpcCode.PERMISSION_DENIED),
        (404, "no_route", GrpcCode.UNIMPLEMENTED), (405, "method_not_allowed", GrpcCode.UNIMPLEMENTED),
        (408, "body_timeout", GrpcCode.DEADLINE_EXCEEDED), (411, "length_unknown", GrpcCode.INTERNAL),
        (413, "body_too_large", GrpcCode.RESOURCE_EXHAUSTED), (429, "client_rate", GrpcCode.RESOURCE_EXHAUSTED),
        (431, "head_too_large", GrpcCode.RESOURCE_EXHAUSTED), (500, "internal_error", GrpcCode.INTERNAL),
        (502, "connection_refused", GrpcCode.UNAVAILABLE), (503, "no_backend", GrpcCode.UNAVAILABLE),
        (503, "queue_full", GrpcCode.UNAVAILABLE),
        (504, "connect_timeout", GrpcCode.UNAVAILABLE), (504, "response_timeout", GrpcCode.DEADLINE_EXCEEDED),
        (504, "grpc_timeout", GrpcCode.DEADLINE_EXCEEDED), (508, "loop", GrpcCode.INTERNAL),
    ],
)  # fmt: skip
def test_what_answers_of_ours_mean(status: int, reason: str, expected: GrpcCode) -> None:
    """UNAVAILABLE is what clients try again: where no backend has had the call, or died of it."""
    assert grpc.code_of(status, reason) is expected
    assert grpc.said(expected, reason) == (
        (b"grpc-status", b"%d" % expected), (b"grpc-message", b"lbproxy: " + reason.encode())
    )  # fmt: skip
