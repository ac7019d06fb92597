"""grpc.health.v1 as bytes: questions as protoc writes them, answers in every form that may come."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproxy.http.h2.grpc_health import ServingStatus, answered, question


def framed(message: bytes) -> bytes:
    return b"\0" + len(message).to_bytes(4, "big") + message


@pytest.mark.parametrize(("service", "message"), [
    ("", b""), ("a.B", b"\x0a\x03a.B"), ("é", b"\x0a\x02\xc3\xa9"), ("x" * 200, b"\x0a\xc8\x01" + b"x" * 200),
])  # fmt: skip
def test_question(service: str, message: bytes) -> None:
    """A length-prefixed message with one field, or none."""
    assert question(service) == framed(message)


@pytest.mark.parametrize(("message", "expected"), [
    (b"\x08\x01", ServingStatus.SERVING), (b"\x08\x02", ServingStatus.NOT_SERVING), (b"\x08\x03", ServingStatus.SERVICE_UNKNOWN),
    (b"", ServingStatus.UNKNOWN), (b"\x08\x00", ServingStatus.UNKNOWN), (b"\x08\x63", ServingStatus.UNKNOWN),
    (b"\x08\x02\x08\x01", ServingStatus.SERVING),  # the last one counts
    (b"\x12\x03abc\x08\x01", ServingStatus.SERVING), (b"\x19" + bytes(8) + b"\x08\x01", ServingStatus.SERVING),
    (b"\x1d" + bytes(4) + b"\x08\x01", ServingStatus.SERVING), (b"\x10\x80\x01\x08\x01", ServingStatus.SERVING),
    (b"\x12\x7fabc\x08\x01", None), (b"\x08", None), (b"\x08\x80", None), (b"\x13\x08\x01", None), (b"\x19\x00", None),
    (b"\x80" * 11, None), (b"\x12", None),
])  # fmt: skip
def test_answers(message: bytes, expected: ServingStatus | None) -> None:
    """Unknown fields are stepped over; what is cut or of no known type is no answer."""
    assert answered(framed(message)) is expected


@pytest.mark.parametrize("body", [b"", b"\0\0\0\0\x02\x08", b"\x01" + framed(b"\x08\x01")[1:], framed(b"\x08\x01") * 2, b"\0\0"])
def test_what_is_no_message(body: bytes) -> None:
    """Cut, compressed, or more than one."""
    assert answered(body) is None


@given(st.binary(max_size=40))
def test_anything(message: bytes) -> None:
    """It ends, and raises nothing."""
    assert answered(framed(message)) in (None, *ServingStatus)
