from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproxy.health.http_check import MAX_ANSWER, BadAnswer, final_status, request

GOOD: list[tuple[bytes, int]] = [
    (b"HTTP/1.1 200 OK\r\n", 200),
    (b"HTTP/1.0 204 \r\n", 204),
    (b"HTTP/1.1 404\r\n", 404),
    (b"HTTP/1.1 599 Anything \xc3\xa4\t!\r\n", 599),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 200),
    (b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 301 Moved\r\n", 301),
    (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 500 Oops\r\n", 500),
]

BAD: list[bytes] = [
    b"HTTP/1.1 200 OK\n",
    b"HTTP/2 200\r\n",
    b"HTTP/1.2 200 OK\r\n",
    b"http/1.1 200 OK\r\n",
    b" HTTP/1.1 200 OK\r\n",
    b"\r\nHTTP/1.1 200 OK\r\n",
    b"HTTP/1.1  200 OK\r\n",
    b"HTTP/1.1 20 OK\r\n",
    b"HTTP/1.1 2000 OK\r\n",
    b"HTTP/1.1 +20 OK\r\n",
    b"HTTP/1.1 600 OK\r\n",
    b"HTTP/1.1 099 OK\r\n",
    b"HTTP/1.1 200 O\x00K\r\n",
    b"HTTP/1.1 \xd9\xa2\xd9\xa0\xd9\xa0 OK\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
    b"SSH-2.0-OpenSSH_9.2\r\n",
    b"\x15\x03\x01\x00\x02\x02\x28",
    b"<html>",
    b"HTTP/1.1 100 Continue\r\n\r\nSSH",
    b"HTTP/1.1 200 " + b"x" * 2000,
    b"HTTP/1.1 100 Continue\r\nX: " + b"x" * MAX_ANSWER,
]


@pytest.mark.parametrize(("answer", "status"), GOOD)
def test_status_whole_and_byte_by_byte(answer: bytes, status: int) -> None:
    """However the bytes arrive: more is needed until the final status line is complete, and then it never changes."""
    assert final_status(answer) == status
    seen = [final_status(answer[:length]) for length in range(len(answer) + 1)]
    assert seen == sorted(seen, key=bool)
    assert set(seen) == {None, status}


@pytest.mark.parametrize("answer", BAD)
def test_refused(answer: bytes) -> None:
    """What is no HTTP/1 response is not repaired into one, and what was received does not stand in the reason."""
    with pytest.raises(BadAnswer) as caught:
        final_status(answer)
    assert str(caught.value) in {"no HTTP/1 status line", "switched protocols unasked", "no end of the response head in sight"}


@given(st.binary(max_size=200))
def test_any_bytes_give_a_status_or_a_refusal_or_nothing_yet(answer: bytes) -> None:
    """Never another exception; and a refused beginning stays refused."""
    try:
        final_status(answer)
    except BadAnswer:
        with pytest.raises(BadAnswer):
            final_status(answer + b"\r\n")


def test_request_bytes() -> None:
    """The exact bytes: some backends look at each of these."""
    assert request("GET", "/healthz?full=1", "app.internal:8080") == (
        b"GET /healthz?full=1 HTTP/1.1\r\n"
        b"Host: app.internal:8080\r\n"
        b"User-Agent: lbproxy-health\r\n"
        b"Accept: */*\r\n"
        b"Connection: close\r\n"
        b"\r\n"
    )
