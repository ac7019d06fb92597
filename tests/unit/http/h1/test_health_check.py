from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproxy.http.h1.health_check import BODY_LIMIT, MAX_ANSWER, BadHealthAnswer, BodySearch, final_status, request, with_crlf

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
    with pytest.raises(BadHealthAnswer) as caught:
        final_status(answer)
    assert str(caught.value) in {"no HTTP/1 status line", "switched protocols unasked", "no end of the response head in sight"}


@given(st.binary(max_size=200))
def test_any_bytes_give_a_status_or_a_refusal_or_nothing_yet(answer: bytes) -> None:
    """Never another exception; and a refused beginning stays refused."""
    try:
        final_status(answer)
    except BadHealthAnswer:
        with pytest.raises(BadHealthAnswer):
            final_status(answer + b"\r\n")


def test_fields_of_the_operator() -> None:
    """They stand in it, and take the place of ours by whatever spelling."""
    said = request("GET", "/", "app", (("user-agent", "probe"), ("X-A", "b")))
    assert said == b"GET / HTTP/1.1\r\nHost: app\r\nAccept: */*\r\nuser-agent: probe\r\nX-A: b\r\nConnection: close\r\n\r\n"


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


HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
BODIES: list[tuple[bytes, bytes, bool | None]] = [
    (HEAD + b"Content-Length: 7\r\n\r\nall up.", b"all up", True),
    (HEAD + b"Content-Length: 5\r\n\r\nall up.", b"all up", False),  # what is behind the body is none of it
    (HEAD + b"content-length: 7\r\n\r\nsick", b"all up", None),
    (HEAD + b"\r\nall up", b"all up", True),
    (HEAD + b"\r\nsick", b"all up", None),
    (CHUNKED + b"4\r\nall \r\n3;x=y\r\nup.\r\n0\r\n\r\n", b"all up.", True),
    (CHUNKED + b"4\r\nall \r\n0\r\n\r\n", b"all up", False),
    (HEAD + b"Transfer-Encoding: Chunked\r\nContent-Length: 1\r\n\r\n6\r\nall up\r\n", b"all up", True),
    (b"HTTP/1.1 103 Hints\r\nX: up\r\n\r\n" + HEAD + b"X: up\r\nContent-Length: 0\r\n\r\n", b"up", False),
    (HEAD + b"Content-Length: 100000\r\n\r\n" + b"x" * BODY_LIMIT + b"all up", b"all up", False),
    (CHUNKED + b"fffff\r\n" + b"x" * BODY_LIMIT, b"all up", False),
    (CHUNKED + b"0000000004\r\nall \r\n  2  \r\nup\r\n0000\r\n\r\n", b"all up", True),
    (CHUNKED + b"000000000000\r\n\r\n", b"all up", False),
    (HEAD + b"Transfer-Encoding: identity\r\nContent-Length: 4\r\n\r\nsick", b"all up", False),
]


@pytest.mark.parametrize(("answer", "wanted", "found"), BODIES)
@pytest.mark.parametrize("size", [1, 7, 1 << 20])
def test_text_in_a_body(answer: bytes, wanted: bytes, found: bool | None, size: int) -> None:
    """However it is framed and in whatever pieces it arrives; heads do not count."""
    search = BodySearch(wanted)
    said = None
    for at in range(0, len(answer), size):
        said = search.feed(answer[at : at + size])
        if said is not None:
            break
    assert said is found


@pytest.mark.parametrize("size", [1, 7, 1 << 20])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("wanted", [b"all up", b"all down"])
def test_chunks_whose_lines_end_with_lf(wanted: bytes, end: bytes, size: int) -> None:
    """Are read where that is tolerated, whether they do so or not, and in whatever pieces."""
    chunks = end.join([b"4;x=y", b"all ", b" 002", b"up", b"0", b"X: all down", b"", b""])
    answer = CHUNKED + chunks
    search = BodySearch(wanted, line_feeds=True)
    said = None
    for at in range(0, len(answer), size):
        said = search.feed(answer[at : at + size])
        if said is not None:
            break
    assert said is (wanted == b"all up")
    if end == b"\n":
        with pytest.raises(BadHealthAnswer, match="a broken chunk"):
            BodySearch(wanted).feed(answer)


@pytest.mark.parametrize("step", [1, 5, 1 << 20])
def test_interim_heads_whose_lines_end_with_lf(step: int) -> None:
    """Are ended as they should be like the final one; what is behind it stays."""
    raw = b"HTTP/1.1 100 Go\nX-A: b\n\nHTTP/1.1 103 Hints\r\n\nHTTP/1.1 200 OK\nX: y\n\na\nb\n\nc"
    answer, whole = b"", False
    for at in range(0, len(raw), step):
        assert not whole or at > raw.index(b"y")
        answer, whole = with_crlf(answer + raw[at : at + step])
    assert whole
    head = b"HTTP/1.1 100 Go\r\nX-A: b\r\n\r\nHTTP/1.1 103 Hints\r\n\r\nHTTP/1.1 200 OK\r\nX: y\r\n\r\n"
    assert answer == head + b"a\nb\n\nc"
    assert final_status(answer) == 200


def test_statuses_above_599() -> None:
    """Are told as what they are."""
    assert final_status(b"HTTP/1.1 999 Denied\r\n") == 999
    with pytest.raises(BadHealthAnswer):
        final_status(b"HTTP/1.1 099 Odd\r\n")


def test_a_body_that_ends_with_the_connection() -> None:
    """Then that is its end, and the text was not in it."""
    search = BodySearch(b"up")
    assert search.feed(HEAD + b"\r\nsick") is None
    assert search.ended() is False


def test_a_cut_body_is_a_bad_answer() -> None:
    """Shorter than its length, or without its last chunk."""
    for fields in (b"Content-Length: 9\r\n", b"Transfer-Encoding: chunked\r\n"):
        search = BodySearch(b"up")
        assert search.feed(HEAD + fields + b"\r\n") is None
        with pytest.raises(BadHealthAnswer, match="closed in the middle"):
            search.ended()


@pytest.mark.parametrize("chunk", [b"x\r\n", b"4\r\nall up", b"\n", b"1" * 2000])
def test_broken_chunks(chunk: bytes) -> None:
    """Refused, not repaired."""
    with pytest.raises(BadHealthAnswer, match="a broken chunk"):
        BodySearch(b"up").feed(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunk)
