"""Which fields stand behind a body."""

from __future__ import annotations

import pytest

from lbproxy.http.trailers import passable, passed_on, read, size, sound, written


@pytest.mark.parametrize("name", [b"grpc-status", b"grpc-message", b"server-timing", b"x-checksum", b"etag", b"digest", b"x-if"])
def test_the_applications_fields_pass(name: bytes) -> None:
    """What is not about the head."""
    assert passable(name)


@pytest.mark.parametrize(
    "name",
    [
        b"content-length", b"transfer-encoding", b"host", b"connection", b"te", b"trailer", b"upgrade", b":status", b":path",
        b"x-forwarded-for", b"x-forwarded-anything", b"forwarded", b"x-real-ip", b"via", b"authorization", b"cookie", b"set-cookie",
        b"content-type", b"content-encoding", b"content-range", b"expect", b"if-match", b"cache-control", b"max-forwards",
        b"proxy-authorization", b"client-cert", b"x-amzn-mtls-clientcert",
        b"x_forwarded_for", b"content_length", b"x.forwarded.for", b"set.cookie",
        b"proxy", b"location", b"traceparent", b"tracestate", b"x-request-id",
    ],
)  # fmt: skip
def test_what_frames_routes_or_rules_does_not(name: bytes) -> None:
    """Some recipient merges trailers into the head."""
    assert not passable(name)


def test_order_and_repeats_are_kept() -> None:
    """Of those that pass."""
    fields = ((b"a", b"1"), (b"host", b"x"), (b"a", b"2"))
    assert passed_on(fields) == ((b"a", b"1"), (b"a", b"2"))


@pytest.mark.parametrize("value", [b"/admin HTTP/1.1", b"HTTP/1.1", b"/a?b http/2", b"x\tHTTP/1.0", b"/ HTTPS/1.1"])
def test_what_looks_like_a_request_line_does_not_pass(value: bytes) -> None:
    """To somebody who does not read trailers it would begin a request."""
    assert passed_on(((b"get", value), (b"x", b"y"))) == ((b"x", b"y"),)
    assert passed_on(((b"x", value + b" and more"),)) == ((b"x", value + b" and more"),)


@pytest.mark.parametrize("end", [b"\r\n", b"\n"])
def test_lines_are_read(end: bytes) -> None:
    """Names in lower case, values without blanks around them; what else is in a line stays."""
    lines = (b"X-Sum: a: b ", b"grpc-status:0", b"x-empty:", b"X-Sum:\t\xff", b"")
    fields = ((b"x-sum", b"a: b"), (b"grpc-status", b"0"), (b"x-empty", b""), (b"x-sum", b"\xff"))
    assert read(end.join((*lines, b""))) == fields
    assert read(written(fields) + b"\r\n") == fields
    assert len(written(fields)) == size(fields)
    assert read(end) == ()


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ((b"a", b""), True), ((b"a", b"b c\td\xff"), True), ((b"a", b"b\r\nc: d"), False), ((b"a", b"b\n"), False),
        ((b"a", b"\0"), False),
        ((b"a", b" b"), False), ((b"a", b"b "), False), ((b"", b"b"), False), ((b"A", b"b"), False), ((b"a b", b"c"), False),
        ((b":a", b"b"), False), ((b"a:", b"b"), False), ((b"a\n", b"b"), False),
    ],
)  # fmt: skip
def test_what_breaks_the_grammar(field: tuple[bytes, bytes], expected: bool) -> None:
    """It would be two lines in HTTP/1, or none."""
    assert sound(((b"x", b"y"), field)) is expected
