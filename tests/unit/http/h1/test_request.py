"""Request heads. What single messages mean is in the corpus; here are the limits, the memory of fields, and the costs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproxy.errors import RequestError
from lbproxy.http.h1 import request as module
from lbproxy.http.h1.deciding_fields import MAX_OPTIONS
from lbproxy.http.h1.request import LastFields, parse_request
from lbproxy.http.message import CHUNKED, FIELDS_KEPT, RequestHead
from tests.corpus.http1.vectors import vectors
from tests.unit.http.heads import MAX_FIELDS, MAX_LINE, request
from tests.unit.http.work import growth

HOST = b"Host: example.com\r\n"


def refusal(head: bytes, max_line: int = MAX_LINE, max_fields: int = MAX_FIELDS) -> tuple[int, str]:
    """(status, reason) of a head that must be refused."""
    with pytest.raises(RequestError) as caught:
        parse_request(head, max_line, max_fields)
    return caught.value.status, caught.value.reason


def test_everything_a_head_says() -> None:
    """All of RequestHead at once."""
    head = request(
        b"Connection: Upgrade, X-Private, close",
        b"Upgrade: WebSocket",
        b"X-Private: 1",
        b"Transfer-Encoding: Chunked",
        line=b"PUT /a/../B?c HTTP/1.1",
        host=b"hOst:  EXAMPLE.com:80 \t",
    )
    assert (head.method, head.target, head.path) == (b"PUT", b"/B?c", b"/B")
    assert (head.host, head.authority) == (b"example.com", b"example.com:80")
    assert (head.minor, head.body, head.keep_alive, head.expect_continue, head.upgrade) == (1, CHUNKED, False, False, b"")
    assert head.block.startswith(b"\r\nhOst:  EXAMPLE.com:80 \t\r\nConnection")
    assert head.lowered == head.block.lower()
    assert head.nominated == (b"x-private",)


def test_limit_of_the_request_line() -> None:
    """Counted without its CRLF: 414 when longer, whatever else is in order."""
    head = b"GET /%b HTTP/1.1\r\n" % (b"a" * 100) + HOST + b"\r\n"
    line = head.index(b"\r\n")
    assert parse_request(head, line, 1).method == b"GET"
    assert refusal(head, line - 1) == (414, "request_line_too_long")


def test_limit_of_the_fields() -> None:
    """431 from the first field too many."""
    head = b"GET / HTTP/1.1\r\n" + HOST + b"A: b\r\n" * 9 + b"\r\n"
    assert parse_request(head, MAX_LINE, 10).host == b"example.com"
    assert refusal(head, max_fields=9) == (431, "too_many_fields")


def test_limit_of_connection_options() -> None:
    """Over all lines together."""
    option = b"Connection: " + b",".join([b"a"] * (MAX_OPTIONS // 2))
    assert request(option, option).nominated == (b"a",) * MAX_OPTIONS
    with pytest.raises(RequestError) as caught:
        request(option, option, b"Connection: a")
    assert caught.value.reason == "connection_options"


@pytest.mark.parametrize(
    "name", [b"X-Forwarded-For", b"x-forwarded-anything", b"X-Real-IP", b"Forwarded", b"Host", b"Authorization"]
)
@pytest.mark.parametrize("option", [b"%b", b"close,%b", b"\t%b , x"])
def test_not_nominable(name: bytes, option: bytes) -> None:
    """Nobody makes the fields that tell who the client is disappear."""
    head = request(b"Connection: " + option % name)
    assert name.lower() not in head.nominated


def test_hosts_are_remembered_within_bounds() -> None:
    """Invented hosts push each other out, and white space behind a host is never kept."""
    for number in range(3 * module._HOSTS_KEPT):
        head = request(host=b"Host: h%d.example%b" % (number, b" " * 2000))
        assert head.host == b"h%d.example" % number
        assert head.authority == head.host
    assert len(module._hosts) <= module._HOSTS_KEPT
    assert max(map(len, module._hosts)) < 300


def test_host_is_checked_each_time() -> None:
    """What was refused once is not remembered as good, and the other way round."""
    for _ in range(2):
        assert request(host=b"Host: [::1]").host == b"[::1]"
        assert refusal(b"GET / HTTP/1.1\r\nHost: a..b\r\n\r\n") == (400, "host_malformed")
        assert refusal(b"GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n") == (400, "host_malformed")


# ---------------------------------------------------------------- the memory of the last request's fields


def heads(kind: str) -> list[bytes]:
    """Heads of the corpus."""
    return [raw[: raw.index(b"\r\n\r\n") + 4] for _, raw, _ in vectors(kind) if b"\r\n\r\n" in raw and raw[:2] != b"\r\n"]


def verdict(head: bytes, last: LastFields | None = None) -> RequestHead | tuple[int, str]:
    """The parsed head, or the refusal."""
    try:
        return parse_request(head, MAX_LINE, MAX_FIELDS, last)
    except RequestError as error:
        return error.status, error.reason


def test_memory_changes_no_verdict() -> None:
    """Every head of the corpus means the same behind any other one, and when it is repeated."""
    last = LastFields()
    everything = heads("accept") + heads("reject")
    for step in (1, 7, 11):
        for head in everything[::step] + everything[:: -step - 1]:
            assert verdict(head, last) == verdict(head)
            assert verdict(head, last) == verdict(head)


LINES = st.sampled_from(
    [
        b"GET / HTTP/1.1",
        b"GET /a?b HTTP/1.1",
        b"GET /a/../b HTTP/1.1",
        b"GET /a/..%2f HTTP/1.1",
        b"GET /%61 HTTP/1.1",
        b"GET /\\ HTTP/1.1",
        b"GET /#a HTTP/1.1",
        b"GET /a?b#c HTTP/1.1",
        b"GET / HTTP/1.0",
        b"GET / HTTP/1.9",
        b"GET http://example.com/x HTTP/1.1",
        b"GET http://evil.example/x HTTP/1.1",
        b"GET http://example.com/x HTTP/1.0",
        b"GET http://evil.example HTTP/1.0",
        b"GET http://evil.example/ HTTP/1.0",
        b"OPTIONS * HTTP/1.1",
        b"GET * HTTP/1.1",
        b"CONNECT / HTTP/1.1",
        b"TRACE / HTTP/1.1",
        b"get / HTTP/1.1",
        b"GET /a\x7f HTTP/1.1",
        b"GET  / HTTP/1.1",
        b"GET / HTTP/1.1 ",
        b"GET /" + b"a" * MAX_LINE + b" HTTP/1.1",
        b"",
    ]
)
BLOCKS = st.sampled_from(
    [
        HOST,
        HOST + b"Connection: keep-alive\r\n",
        HOST + b"Transfer-Encoding: chunked\r\n",
        HOST + b"Content-Length: 5\r\n",
        HOST + b"X: " + b"a" * FIELDS_KEPT + b"\r\n",
        b"Host: evil.example\r\n",
        b"",
    ]
)


@given(st.lists(st.tuples(LINES, BLOCKS), max_size=12))
def test_memory_is_no_shortcut(messages: list[tuple[bytes, bytes]]) -> None:
    """Any sequence of lines and fields on one connection: each head is judged as if it had come first."""
    last = LastFields()
    for line, block in messages:
        head = line + b"\r\n" + block + b"\r\n"
        assert verdict(head, last) == verdict(head)


def test_the_host_of_a_url_is_not_remembered_with_the_fields() -> None:
    """HTTP/1.0 has no Host. Where a server in front of us carries several clients' requests over one connection, the host that one
    client's URL named would have become that of the next client, who named none, and with it the route."""
    last = LastFields()
    fields = b"Connection: keep-alive\r\n\r\n"
    assert parse_request(b"GET http://inside.example/ HTTP/1.0\r\n" + fields, MAX_LINE, MAX_FIELDS, last).host == b"inside.example"
    assert parse_request(b"GET /x HTTP/1.0\r\n" + fields, MAX_LINE, MAX_FIELDS, last).host == b""


def test_memory_is_bounded() -> None:
    """Large fields are parsed again rather than kept with an idle connection."""
    last = LastFields()
    head = b"GET / HTTP/1.1\r\n" + HOST + b"X: " + b"a" * FIELDS_KEPT + b"\r\n\r\n"
    assert parse_request(head, MAX_LINE, MAX_FIELDS, last).block is not last.block
    assert last.block == b""
    small = b"GET / HTTP/1.1\r\n" + HOST + b"\r\n"
    first, second = (parse_request(small, MAX_LINE, MAX_FIELDS, last) for _ in range(2))
    assert first.block is second.block


# ---------------------------------------------------------------- costs


@pytest.mark.parametrize(
    "unit",
    [
        b"a:",
        b"a",
        b"\r\nConnection: a",
        b"\r\nTE:",
        b"\r\na: b",
        b"\r\nx-forwarded-",
        b"\r\n",
        b"\r",
        b" ",
        b"\r\nHost: a",
        b",",
        b"%",
        b"/.",
        b"\r\nA_",
    ],
)
@pytest.mark.parametrize("front", [b"", b"GET /", b"GET / HTTP/1.1\r\nHost: ", b"GET / HTTP/1.1\r\nHost: a\r\nConnection: "])
def test_work_is_linear(unit: bytes, front: bytes) -> None:
    """Sixteen times the head takes about sixteen times as long, refused or not; back-tracking would take 256 times."""

    def run(middle: bytes) -> None:
        verdict(front + middle + b"\r\n\r\n")

    assert growth(run, unit * 256, unit * 4096) < 80
