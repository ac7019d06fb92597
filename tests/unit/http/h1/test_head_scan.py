"""What can never become a response head is told at once, and what is wrong does not depend on the pieces."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproxy.errors import UpstreamError
from lbproxy.http.h1.head_scan import HeadScan
from lbproxy.http.h1.response import parse_response

OK = b"HTTP/1.1 200 OK\r\n"


def by_bytes(data: bytes) -> tuple[str, int]:
    """(the verdict, after how many bytes it was known)."""
    scan = HeadScan()
    for size in range(len(data) + 1):
        if reason := scan.look(data[:size]):
            return reason, size
    return "", len(data)


@pytest.mark.parametrize(("data", "reason", "known"), [
    (b"SSH-2.0-OpenSSH_9.2p1\r\n", "response_not_http", 1),
    (b"220 mail ESMTP\r\n", "response_not_http", 1),
    (b"<html><body>HTTP/0.9</body></html>", "response_not_http", 1),
    (b"HTML", "response_not_http", 3),
    (b"\x15\x03\x03\x00\x02\x02\x46", "response_not_http", 1),
    (b"\r\nHTTP/1.1 200 OK\r\n\r\n", "response_not_http", 1),
    (b"HTTP/2 200\r\n", "response_version", 6),
    (b"HTTP/1.2 200 OK\r\n", "response_version", 8),
    (b"HTTP/1.1  200 OK\r\n", "response_status", 10),
    (b"HTTP/1.1 600 OK\r\n", "response_status", 10),
    (b"HTTP/1.1 20\r\n", "response_status", 12),
    (b"HTTP/1.1 2000\r\n", "response_malformed", 13),
    (b"HTTP/1.1 200 OK\nX: y\n\n", "response_bare_lf", 16),
    (b"HTTP/1.1 200\n\n", "response_bare_lf", 13),
    (OK + b"X: y\nZ: 1\r\n", "response_bare_lf", len(OK) + 5),
    (OK + b"\n", "response_bare_lf", len(OK) + 1),
    (OK + b"X\n", "response_bare_lf", len(OK) + 2),
    (OK + b"X: y\r\r\n", "response_malformed", len(OK) + 6),
    (OK + b"X: \x00", "response_malformed", len(OK) + 4),
    (OK + b" folded", "response_malformed", len(OK) + 1),
    (OK + b"Bad Name: x", "response_malformed", len(OK) + 4),
    (OK + b": x", "response_malformed", len(OK) + 1),
    (OK + b"X: y\r\n\rZ", "response_malformed", len(OK) + 8),
])  # fmt: skip
def test_known_with_the_first_byte_that_fits_nowhere(data: bytes, reason: str, known: int) -> None:
    assert by_bytes(data) == (reason, known)
    assert HeadScan().look(data) == reason, "in one piece the same"


LINES = st.lists(st.sampled_from([
    b"HTTP/1.1 200 OK", b"HTTP/1.0 404", b"HTTP/1.1 999 X", b"X: y", b"Content-Length: 5", b" folded", b"Bad Name: x",
    b"X: \x00", b"", b"Y:",
]), min_size=1, max_size=5)  # fmt: skip


@given(lines=LINES, ends=st.lists(st.sampled_from([b"\r\n", b"\r\n", b"\r\n", b"\n", b"\r"]), min_size=5, max_size=5))
def test_it_agrees_with_the_parser(lines: list[bytes], ends: list[bytes]) -> None:
    """On whole heads: what fits everywhere is parsed, what is parsed fits everywhere; and pieces do not matter."""
    head = b"".join(line + end for line, end in zip(lines, ends, strict=False)) + b"\r\n\r\n"
    head = head[: head.index(b"\r\n\r\n") + 4]
    reason = HeadScan().look(head)
    assert by_bytes(head)[0] == reason
    if reason:
        with pytest.raises(UpstreamError, match="malformed") as caught:
            parse_response(head, b"GET", 100)
        assert caught.value.reason == reason
    elif head.count(b"Content-Length") < 2:
        parse_response(head, b"GET", 100)


def test_a_head_that_drips_is_looked_at_once() -> None:
    """A byte costs the same wherever it comes: no byte of a long line is read again."""
    scan = HeadScan()
    data = OK + b"X: " + b"x" * 5000
    for size in range(0, len(data), 7):
        assert scan.look(data[:size]) == ""
        assert scan._at == size
