"""Who gets an answer compressed, which answers that are, and what their heads say then."""

from __future__ import annotations

import pytest

from lbproxy.http.compression import VARY, CompressedHeads, Compressible, Types, judge, varies_already, wanted
from lbproxy.http.forwarding import response as as_it_leaves
from lbproxy.remembered import Budget
from tests.unit.http.heads import request, response, values

BOTH = (b"zstd", b"gzip")
TYPES = Types(["text/css", "text/*", "application/json"])


@pytest.mark.parametrize(
    ("said", "coding"),
    [
        (b"gzip", b"gzip"),
        (b"gzip, zstd", b"zstd"),
        (b"gzip;q=1.0, zstd;q=0.5", b"gzip"),
        (b"GZIP ; Q=0.001", b"gzip"),
        (b"x-gzip", b"gzip"),
        (b"*", b"zstd"),
        (b"*;q=0.1, zstd;q=0", b"gzip"),
        (b"br, deflate", b""),
        (b"gzip;q=0", b""),
        (b"gzip;q=0, *", b"zstd"),
        (b"identity", b""),
        (b"identity;q=1, gzip;q=0.5", b""),
        (b"identity;q=0.5, gzip;q=0.5", b"gzip"),
        (b"identity;q=0, gzip", b"gzip"),
        (b"", b""),
        (b"gzip;q=2", b""),
        (b"gzip;q=0.0001", b""),
        (b"gzip;level=1", b""),
        (b"gzip;q=1;q=0", b""),
        (b",,gzip,,", b"gzip"),
        (b"gzip" + b"," * 2000, b""),
        (b"notgzip", b""),
    ],
)
def test_what_a_client_wants(said: bytes, coding: bytes) -> None:
    """RFC 9110 12.5.3; what cannot be read does not count, and what is not wanted is not given."""
    assert wanted(request(b"Accept-Encoding: " + said), BOTH) == coding


def test_several_fields_are_one_list() -> None:
    """And none is no wish."""
    assert wanted(request(b"Accept-Encoding: br", b"accept-encoding: gzip"), BOTH) == b"gzip"
    assert wanted(request(), BOTH) == b""
    assert wanted(request(b"Accept-Encoding: zstd"), (b"gzip",)) == b""


CSS = b"Content-Type: text/css"
LONG = b"Content-Length: 5000"


@pytest.mark.parametrize(
    ("line", "lines", "verdict"),
    [
        (b"200 OK", (CSS, LONG), Compressible.COMPRESS),
        (b"200 OK", (CSS, b"Transfer-Encoding: chunked"), Compressible.COMPRESS),
        (b"404 Not Found", (b"Content-Type: Text/HTML; charset=utf-8", LONG), Compressible.COMPRESS),
        (b"200 OK", (b"Content-Type: application/json", LONG), Compressible.COMPRESS),
        (b"200 OK", (b"Content-Type: application/jsonx", LONG), Compressible.AS_IT_IS),
        (b"200 OK", (b"Content-Type: image/png", LONG), Compressible.AS_IT_IS),
        (b"200 OK", (LONG,), Compressible.AS_IT_IS),
        (b"200 OK", (CSS, b"Content-Type: image/png", LONG), Compressible.AS_IT_IS),
        (b"200 OK", (b"Content-Type: text/event-stream", b"Transfer-Encoding: chunked"), Compressible.AS_IT_IS),
        (b"200 OK", (CSS, b"Content-Length: 99"), Compressible.AS_IT_IS),
        (b"200 OK", (CSS, LONG, b"Content-Encoding: br"), Compressible.AS_IT_IS),
        (b"200 OK", (CSS, LONG, b"Cache-Control: max-age=3, No-Transform"), Compressible.AS_IT_IS),
        (b"200 OK", (CSS, LONG, b"Cache-Control: public; no-transform"), Compressible.AS_IT_IS),
        (b"200 OK", (CSS, LONG, b"Cache-Control: max-age=3 no-transform"), Compressible.AS_IT_IS),
        (b"200 OK", (CSS, LONG, b"Cache-Control: x=no-transforming, x-no-transform"), Compressible.COMPRESS),
        (b"200 OK", (CSS, LONG, b"Content-Digest: sha-256=:abc:"), Compressible.AS_IT_IS),
        (b"200 OK", (CSS, LONG, b"Repr-Digest: sha-256=:abc:"), Compressible.AS_IT_IS),
        (b"200 OK", (CSS, LONG, b"Content-MD5: abc"), Compressible.AS_IT_IS),
        (b"200 OK", (CSS, LONG, b"X-Amz-Checksum-Sha256: abc"), Compressible.AS_IT_IS),
        (b"200 OK", (CSS, LONG, b"x-goog-hash: md5=abc"), Compressible.AS_IT_IS),
        (b"204 No Content", (CSS,), Compressible.AS_IT_IS),
        (b"206 Partial Content", (CSS, LONG, b"Content-Range: bytes 0-4999/9999"), Compressible.VARIES),
        (b"304 Not Modified", (), Compressible.VARIES),
        (b"304 Not Modified", (CSS,), Compressible.VARIES),
        (b"304 Not Modified", (b"Content-Type: image/png",), Compressible.AS_IT_IS),
    ],
)
def test_which_answers(line: bytes, lines: tuple[bytes, ...], verdict: Compressible) -> None:
    """By type, length, status, and what would not be true any more."""
    answer = response(*lines, line=b"HTTP/1.1 " + line)
    assert judge(request(b"Accept-Encoding: gzip"), answer, b"gzip", TYPES, 1024) is verdict


@pytest.mark.parametrize(
    ("lines", "method"),
    [((b"Range: bytes=0-",), b"GET"), ((b"Cache-Control: no-transform",), b"GET"), ((), b"HEAD")],
    ids=["range", "no-transform", "head"],
)
def test_requests_whose_answers_stay_as_they_are(lines: tuple[bytes, ...], method: bytes) -> None:
    """Others would get them compressed, which caches on the way must know."""
    asked = request(*lines, line=method + b" / HTTP/1.1")
    answer = response(CSS, LONG, method=method)
    assert judge(asked, answer, b"gzip", TYPES, 1024) is (Compressible.UNMEASURED if method == b"HEAD" else Compressible.VARIES)
    assert judge(request(), response(CSS, LONG), b"", TYPES, 1024) is Compressible.VARIES


def test_a_family_takes_no_calls_along() -> None:
    """gRPC compresses its messages itself; a stream of events is named or not meant."""
    everything = Types(["application/*", "text/event-stream"])
    assert not everything.has(response(b"Content-Type: application/grpc+proto"))
    assert everything.has(response(b"Content-Type: application/xml"))
    assert everything.has(response(b"Content-Type: text/event-stream"))


@pytest.mark.parametrize(
    ("lines", "already"),
    [((), False), ((b"Vary: Cookie",), False), ((b"Vary: Cookie, accept-ENCODING",), True), ((b"Vary: a", b"Vary: *"), True),
     ((b"Vary: accept-encoding-x",), False)],
)  # fmt: skip
def test_vary_that_is_there(lines: tuple[bytes, ...], already: bool) -> None:
    """It is not said twice."""
    assert varies_already(response(*lines)) is already


@pytest.mark.parametrize("length", [-1, 77])
def test_the_head_of_a_compressed_answer(length: int) -> None:
    """Its own length or none, its coding; no ranges; what was the same byte for byte is so no more (RFC 9110 8.8.1)."""
    answer = response(CSS, b'ETag: "x"', b"Accept-Ranges: bytes", LONG, b"X-Other: Content-Length: 3")
    out = as_it_leaves(answer, b"")
    heads = CompressedHeads()
    head, recoded = heads.recoded(answer, out, b"gzip", length)
    assert values(recoded, "etag") == [b'W/"x"']
    assert values(recoded, "accept-ranges") == []
    assert values(recoded, "content-encoding") == [b"gzip"]
    assert values(recoded, "vary") == [b"Accept-Encoding"]
    assert values(recoded, "x-other") == [b"Content-Length: 3"]
    assert values(recoded, "via") == values(out, "via"), "ours is said once"
    assert values(recoded, "transfer-encoding") == [], "the client's side says how it ends"
    assert values(recoded, "content-length") == ([b"77"] if length > 0 else [])
    assert (head.body < 0) == (length < 0)
    assert heads.recoded(answer, out, b"gzip", length)[1] is recoded, "remembered"


def test_weak_tags_and_vary_stay() -> None:
    """What is said already is not said again."""
    answer = response(CSS, b'ETag: W/"x"', b"Vary: Cookie, Accept-Encoding", LONG)
    recoded = CompressedHeads().recoded(answer, as_it_leaves(answer, b""), b"zstd").out
    assert values(recoded, "etag") == [b'W/"x"']
    assert values(recoded, "vary") == [b"Cookie, Accept-Encoding"]
    assert VARY not in recoded


def test_remembered_heads_are_bounded() -> None:
    """A backend that never repeats itself costs no memory."""
    heads = CompressedHeads(Budget(100_000))
    for number in range(200):
        answer = response(CSS, LONG, b"X-Number: %d" % number)
        heads.recoded(answer, as_it_leaves(answer, b""), b"gzip")
        assert len(heads) <= 50
