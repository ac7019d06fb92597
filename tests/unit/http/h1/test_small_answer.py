"""A small answer is taken whole, however it comes, and nothing of it is believed that could be read in two ways."""

from __future__ import annotations

import pytest

from lbproxy.http.h1.health_check import BadHealthAnswer
from lbproxy.http.h1.small_answer import SmallAnswer

WHOLE = [
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello and more",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
    b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
]


@pytest.mark.parametrize("came", WHOLE)
@pytest.mark.parametrize("step", [1, 1000])
def test_it_is_whole_when_it_says_so(came: bytes, step: int) -> None:
    """At once, or byte by byte."""
    answer = SmallAnswer(5)
    assert any(answer.feed(came[at : at + step]) for at in range(0, len(came), step))
    assert answer.head is not None
    assert (answer.head.status, answer.body) == (200, b"hello")


def test_without_a_length_the_connection_ends_it() -> None:
    """As HTTP/1.0 servers do."""
    answer = SmallAnswer(5)
    assert not answer.feed(b"HTTP/1.0 200 OK\r\n\r\nhello")
    answer.ended()
    assert answer.body == b"hello"


@pytest.mark.parametrize(
    ("came", "why"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n", "longer than 5"), (b"HTTP/1.0 200 OK\r\n\r\nsixxxx", "longer than 5"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nsixxxx\r\n", "longer than 5"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", "broken chunk"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "Transfer-Encoding"),
        (b"HTTP/1.1 101 Go\r\nUpgrade: x\r\n\r\n", "unasked"), (b"SSH-2.0-x\r\n\r\n", "malformed"), (b"x" * 40_000, "no end"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", "middle"), (b"HTTP/1.1 200", "middle"), (b"", "without an answer"),
    ],
)  # fmt: skip
def test_anything_else_is_none(came: bytes, why: str) -> None:
    """Too long is one that says so, one that is, and one whose head has no end; and a part is no answer."""
    answer = SmallAnswer(5)

    def take() -> None:
        assert not answer.feed(came)
        answer.ended()

    with pytest.raises(BadHealthAnswer, match=why):
        take()
