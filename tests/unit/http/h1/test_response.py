"""Response heads: a backend is not trusted more than a client."""

from __future__ import annotations

import pytest

from lbproxy.errors import UpstreamError
from lbproxy.http.forwarding import response as forwarded
from lbproxy.http.h1.deciding_fields import MAX_OPTIONS
from lbproxy.http.h1.head_scan import HeadScan
from lbproxy.http.h1.response import parse_response
from lbproxy.http.message import CHUNKED, NO_BODY, UNTIL_CLOSE
from tests.unit.http.heads import MAX_FIELDS, response
from tests.unit.http.work import growth

OK = b"HTTP/1.1 200 OK\r\n"


def refusal(head: bytes, method: bytes = b"GET", max_fields: int = MAX_FIELDS) -> str:
    """The reason for which a head is refused; always a 502 that something was sent for."""
    with pytest.raises(UpstreamError) as caught:
        parse_response(head, method, max_fields)
    assert caught.value.status == 502
    assert not caught.value.nothing_sent
    return caught.value.reason


@pytest.mark.parametrize(
    ("line", "status", "reason"),
    [
        (b"HTTP/1.1 200 OK", 200, b"OK"),
        (b"HTTP/1.1 200 ", 200, b""),
        (b"HTTP/1.1 200", 200, b""),
        (b"HTTP/1.0 404 Not Found At All", 404, b"Not Found At All"),
        (b"HTTP/1.1 299  two spaces", 299, b" two spaces"),
        (b"HTTP/1.1 500 caf\xe9\tx", 500, b"caf\xe9\tx"),
        (b"HTTP/1.1 599 <script>", 599, b"<script>"),
    ],
)
def test_status_line(line: bytes, status: int, reason: bytes) -> None:
    """RFC 9112 4: the phrase may be anything on the line, or nothing."""
    head = response(line=line)
    assert (head.status, head.reason) == (status, reason)


@pytest.mark.parametrize(
    "line",
    [
        b"HTTP/1.1 20 OK",
        b"HTTP/1.1 2000 OK",
        b"HTTP/1.1 099 OK",
        b"HTTP/1.1 600 OK",
        b"HTTP/1.1 2x0 OK",
        b"HTTP/1.1  200 OK",
        b"HTTP/1.1 200OK",
        b"HTTP/1.1 +20 OK",
        b"HTTP/2 200 OK",
        b"HTTP/1.2 200 OK",
        b"http/1.1 200 OK",
        b"ICY 200 OK",
        b"200 OK",
        b"",
        b" HTTP/1.1 200 OK",
        b"HTTP/1.1 200 a\x00b",
        b"HTTP/1.1 200 a\rb",
        b"HTTP/1.1 200 a\nX: y",
        b"HTTP/1.1 200 \x1b[31m",
        b"HTTP/1.1 \xb2\xb2\xb2 OK",
    ],
)
def test_malformed_status_lines(line: bytes) -> None:
    """Three digits from 100 to 599, one space on each side, no control bytes. The reason tells which of it is wrong."""
    head = line + b"\r\n\r\n"
    assert refusal(head) == HeadScan().look(head)


@pytest.mark.parametrize(
    "field", [b"A : b", b" A: b", b": b", b"A", b"A: \x00", b"A: b\nC: d", b"A: b\rC: d", b"A\xe4: b", b"A: b\r\n\tc", b"A: \x7f"]
)
def test_malformed_fields(field: bytes) -> None:
    """The same grammar as for requests."""
    assert refusal(OK + field + b"\r\n\r\n") == ("response_bare_lf" if b"b\nC" in field else "response_malformed")


@pytest.mark.parametrize(
    ("fields", "body", "keep_alive"),
    [
        ([b"Content-Length: 5"], 5, True),
        ([b"Content-Length: 5 "], 5, True),
        ([b"Content-Length: 0"], 0, True),
        ([b"content-length: 5", b"connection: Keep-Alive"], 5, True),
        ([b"Content-Length: 5", b"Connection: keep-alive "], 5, True),
        ([b"Content-Length: 5", b"Connection: close"], 5, False),
        ([b"Content-Length: 5", b"Connection: close, x"], 5, False),
        ([b"Content-Length: 5", b"Connection: x", b"Connection: CLOSE"], 5, False),
        ([b"Content-Length: 5", b"Connection:", b"Connection: keep-alive"], 5, True),
        ([b"Content-Length: 5", b"Connection: keep-alive", b"Connection: close"], 5, False),
        ([b"Content-Length: 5", b"Keep-Alive: timeout=5"], 5, True),
        ([b"Transfer-Encoding: chunked"], CHUNKED, True),
        ([b"TRANSFER-ENCODING:chunked\t", b"Connection: close"], CHUNKED, False),
        ([], UNTIL_CLOSE, False),
        ([b"Connection: keep-alive"], UNTIL_CLOSE, False),
    ],
)
def test_body_and_connection(fields: list[bytes], body: int, keep_alive: bool) -> None:
    """Whatever the order of the fields, the everyday path and the long one say the same."""
    for lines in (fields, fields[::-1], [b"X: y", *fields], [*fields, b"X: y"]):
        head = response(*lines)
        assert (head.body, head.keep_alive) == (body, keep_alive)


@pytest.mark.parametrize(
    ("fields", "keep_alive"),
    [
        ([], False),
        ([b"Connection: keep-alive"], True),
        ([b"Connection: keep-alive, x"], True),
        ([b"Connection: close"], False),
    ],
)
def test_version_1_0(fields: list[bytes], keep_alive: bool) -> None:
    """1.0 closes unless it says otherwise; without a length it closes in any case, and codings it has none."""
    assert response(b"Content-Length: 5", *fields, line=b"HTTP/1.0 200 OK").keep_alive is keep_alive
    assert not response(*fields, line=b"HTTP/1.0 200 OK").keep_alive
    assert refusal(b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n") == "response_transfer_encoding"


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        (b"Content-Length: 5\r\nContent-Length: 5\r\n", "response_content_length"),
        (b"Content-Length: 5\r\nContent-Length: 6\r\n", "response_content_length"),
        (b"Content-Length: 5, 5\r\n", "response_content_length"),
        (b"Content-Length: -5\r\nConnection: keep-alive\r\n", "response_content_length"),
        (b"Content-Length:\r\n", "response_content_length"),
        (b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "response_transfer_encoding"),
        (b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "response_transfer_encoding"),
        (b"Transfer-Encoding: gzip, chunked\r\n", "response_transfer_encoding"),
        (b"Transfer-Encoding: identity\r\n", "response_transfer_encoding"),
        (b"Transfer-Encoding:\r\n", "response_transfer_encoding"),
    ],
)
def test_doubtful_framing(fields: bytes, reason: str) -> None:
    """Whose end is in doubt is never passed on, not even in answer to HEAD."""
    for method in (b"GET", b"HEAD"):
        assert refusal(OK + fields + b"\r\n", method) == reason


@pytest.mark.parametrize(
    "line", [b"HTTP/1.1 204 No Content", b"HTTP/1.1 304 Not Modified", b"HTTP/1.1 103 Early Hints", b"HTTP/1.1 100"]
)
def test_statuses_without_body(line: bytes) -> None:
    """They end with their head; 1xx may not say otherwise, a 304 may tell the length of the body there would be."""
    assert response(line=line).body == NO_BODY
    assert response(b"Content-Length: 0", line=line).body == NO_BODY
    for field in (b"Content-Length: 5", b"Transfer-Encoding: chunked"):
        if b" 1" in line[8:]:
            assert refusal(line + b"\r\n" + field + b"\r\n\r\n") == "response_unexpected_body"
        else:
            assert response(field, line=line).body == NO_BODY


@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"DELETE"])
@pytest.mark.parametrize(("status", "fields", "keeps"), [
    (b"204", [], True),
    (b"204", [b"Content-Length: 0"], True),
    (b"204", [b"Content-Length: 5"], False),
    (b"204", [b"Content-Length: x"], False),
    (b"204", [b"Content-Length: 0", b"Content-Length: 0"], False),
    (b"204", [b"Transfer-Encoding: chunked"], False),
    (b"204", [b"Transfer-Encoding: gzip", b"Content-Length: 5"], False),
    (b"304", [b"Content-Length: 5"], True),
    (b"304", [b"Content-Length: 5, 5"], False),
    (b"304", [b"Transfer-Encoding: chunked"], False),
    (b"304", [b"Transfer-Encoding: chunked", b"Content-Length: 5", b"Connection: keep-alive"], False),
])  # fmt: skip
def test_what_does_not_belong_into_an_answer_without_body(status: bytes, fields: list[bytes], keeps: bool, method: bytes) -> None:
    """It does not reach the client, and who said it may go on with a body: that connection is not used again."""
    head = response(b"X: y", *fields, line=b"HTTP/1.1 %b No" % status, method=method)
    assert (head.body, head.keep_alive) == (NO_BODY, keeps)
    out = forwarded(head, b"")
    assert b"Transfer-Encoding" not in out
    assert (b"Content-Length" in out) == (keeps and status == b"304")
    assert b"\r\nX: y\r\n" in out


def test_answers_to_head() -> None:
    """Whatever they announce, nothing follows, and the connection lives on."""
    for fields in ([b"Content-Length: 5"], [b"Transfer-Encoding: chunked"], []):
        head = response(*fields, method=b"HEAD")
        assert (head.body, head.keep_alive) == (NO_BODY, True)


def test_nominated_and_upgrade() -> None:
    """As in requests."""
    head = response(b"Connection: Upgrade, X-Private, Via", b"Upgrade: a", b"Upgrade: b", line=b"HTTP/1.1 101 Switching Protocols")
    assert (head.nominated, head.upgrade) == ((b"x-private",), b"a,b")


def test_limits() -> None:
    """Fields and options."""
    assert parse_response(OK + b"A: b\r\n" * 9 + b"\r\n", b"GET", 9).status == 200
    assert refusal(OK + b"A: b\r\n" * 10 + b"\r\n", max_fields=9) == "response_too_many_fields"
    assert refusal(OK + b"Connection: " + b"a," * MAX_OPTIONS + b"\r\n\r\n") == "response_connection_options"


@pytest.mark.parametrize("unit", [b"a:", b"a", b"\r\nConnection: a", b"\r\nTE:", b"\r\na: b", b"\r\n", b"\r", b" "])
@pytest.mark.parametrize("front", [b"", b"HTTP/1.1 200 ", OK + b"Connection: "])
def test_work_is_linear(unit: bytes, front: bytes) -> None:
    """Sixteen times the head takes about sixteen times as long, refused or not."""

    def run(middle: bytes) -> None:
        try:
            parse_response(front + middle + b"\r\n\r\n", b"GET", MAX_FIELDS)
        except UpstreamError:
            pass  # refusing has to be linear too

    assert growth(run, unit * 256, unit * 4096) < 80
