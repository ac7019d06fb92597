"""Answers of backends of HTTP/2, laid out as HTTP/1 has them; whatever could become something else on the way is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproxy.errors import RefusedAnswer
from lbproxy.http.h1.response import parse_response
from lbproxy.http.h2.backend_answer import ENDED, PLAIN, TO_HEAD, BackendAnswers, LastAnswer, laid_out, switched
from lbproxy.http.h2.vocabulary import Fields
from lbproxy.http.message import CHUNKED

OK: Fields = ((b":status", b"200"),)


@pytest.mark.parametrize(
    ("fields", "how", "head"),
    [
        ((*OK, (b"content-length", b"2"), (b"set-cookie", b"a"), (b"set-cookie", b"b")), PLAIN,
         b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nset-cookie: a\r\nset-cookie: b\r\n\r\n"),
        (OK, PLAIN, b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"),
        (OK, ENDED, b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"),
        (OK, TO_HEAD, b"HTTP/1.1 200 OK\r\n\r\n"),
        (((b":status", b"204"),), ENDED, b"HTTP/1.1 204 No Content\r\n\r\n"),
        (((b":status", b"304"), (b"etag", b'"a"')), PLAIN, b'HTTP/1.1 304 Not Modified\r\netag: "a"\r\n\r\n'),
        (((b":status", b"103"), (b"link", b"</a>")), PLAIN, b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"),
        (((b":status", b"299"),), ENDED, b"HTTP/1.1 299 \r\ncontent-length: 0\r\n\r\n"),
    ],
)  # fmt: skip
def test_laid_out(fields: Fields, how: int, head: bytes) -> None:
    """With what HTTP/1 needs to know where the body ends."""
    assert laid_out(fields, how) == head


@pytest.mark.parametrize(
    "fields",
    [
        (), ((b"a", b"b"),), ((b":status", b"20"),), ((b":status", b"2000"),), ((b":status", b"600"),), ((b":status", b"2 0"),),
        ((b":status", b"101"),), (*OK, (b":status", b"200")), (*OK, (b":path", b"/")), (*OK, (b"", b"b")), (*OK, (b"A", b"b")),
        (*OK, (b"a:b", b"c")), (*OK, (b"a b", b"c")), (*OK, (b"a\r\nb", b"c")), (*OK, (b"a", b"b\r\nset-cookie: c")),
        (*OK, (b"a", b"b\nc")), (*OK, (b"a", b"b\x00")), (*OK, (b"connection", b"close")),
        (*OK, (b"transfer-encoding", b"chunked")),
        (*OK, (b"upgrade", b"h2c")), (*OK, (b"keep-alive", b"1")), (*OK, (b"proxy-connection", b"close")),
    ],
)  # fmt: skip
def test_refused(fields: Fields) -> None:
    """No status, names that are none, lines inside values, fields of HTTP/1's connections."""
    with pytest.raises(RefusedAnswer):
        laid_out(fields, PLAIN)


@given(
    st.lists(st.tuples(st.binary(min_size=1, max_size=6), st.binary(max_size=8)), max_size=4).map(tuple),
    st.sampled_from([PLAIN, ENDED, TO_HEAD]),
)
def test_a_field_stays_what_it_is(fields: Fields, how: int) -> None:
    """Whatever is not refused is read back by the rules of HTTP/1 as the same fields, and none beside them but the framing."""
    try:
        head = laid_out((*OK, *fields), how)
    except RefusedAnswer:
        return
    lines = head[:-4].split(b"\r\n")[1:]
    read = [(line.partition(b": ")[0], line.partition(b": ")[2]) for line in lines]
    assert read[: len(fields)] == list(fields)
    assert [name for name, _ in read[len(fields) :]] in ([], [b"content-length"], [b"transfer-encoding"])


def test_framing_is_what_the_reader_of_heads_makes_of_it() -> None:
    assert parse_response(laid_out(OK, PLAIN), b"GET", 100).body == CHUNKED
    assert parse_response(laid_out(OK, ENDED), b"GET", 100).body == 0
    assert parse_response(laid_out((*OK, (b"content-length", b"7")), TO_HEAD), b"HEAD", 100).body == 0


def test_an_open_websocket() -> None:
    """200 to CONNECT is the 101 that a client of HTTP/1 waits for; what the backend says of lengths and keys is not."""
    fields = (*OK, (b"content-length", b"0"), (b"sec-websocket-protocol", b"chat"), (b"sec-websocket-accept", b"forged"))
    assert switched(fields, b"digest") == (
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: digest\r\n"
        b"sec-websocket-protocol: chat\r\n\r\n"
    )


def test_the_same_fields_are_the_same_bytes() -> None:
    """The very object, and by how the answer goes on; long ones are not remembered."""
    answers = BackendAnswers()
    assert answers.of((*OK, (b"a", b"b")), PLAIN) is answers.of((*OK, (b"a", b"b")), PLAIN)
    assert answers.of(OK, PLAIN) != answers.of(OK, ENDED)
    long = (*OK, (b"a", b"b" * 5000))
    assert answers.of(long, PLAIN) is not answers.of(long, PLAIN)


def test_the_last_answer_is_known_by_its_object() -> None:
    """By that and by how it goes on; others are asked for as ever, and one that is refused takes nothing from the last."""
    last = LastAnswer(BackendAnswers())
    head = last.of(OK, PLAIN)
    assert last.of(OK, PLAIN) is head
    assert last.of(OK, ENDED) != head
    assert last.of((*OK, (b"a", b"b")), PLAIN) != head
    with pytest.raises(RefusedAnswer):
        last.of(((b":status", b"x"),), PLAIN)
    assert last.of(OK, PLAIN) is head
    last.forget()
    assert last.of(OK, PLAIN) is head
