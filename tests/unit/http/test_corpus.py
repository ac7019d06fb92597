"""Every message of tests/corpus/http1 gets the verdict that stands beside it, however its bytes arrive."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from lbproxy.errors import RequestError
from lbproxy.http.forwarding import Forwarder
from lbproxy.http.h1.chunks import ChunkDecoder, ChunkError
from lbproxy.http.h1.request import parse_request
from lbproxy.http.message import CHUNKED, RequestHead
from tests.corpus.http1.vectors import Vector, vectors
from tests.unit.http.heads import field_names

MAX_LINE, MAX_FIELDS = 8 * 1024, 100
END = b"\r\n\r\n"
ACCEPT, REJECT = vectors("accept"), vectors("reject")


def split(raw: bytes) -> tuple[bytes, bytes]:
    """(head, what stands behind it) as the client's connection cuts it: empty lines in front are skipped (RFC 9112 2.2)."""
    while raw.startswith(b"\r\n"):
        raw = raw.removeprefix(b"\r\n")
    end = raw.find(END)
    return (raw, b"") if end < 0 else (raw[: end + 4], raw[end + 4 :])


def read(raw: bytes, cuts: tuple[int, ...] = ()) -> tuple[RequestHead, bytes, bytes]:
    """(head, payload, rest); a chunked body is fed in pieces that end at `cuts`. Raises RequestError, ChunkError."""
    head_bytes, behind = split(raw)
    head = parse_request(head_bytes, MAX_LINE, MAX_FIELDS)
    if head.body != CHUNKED:
        return head, behind[: head.body], behind[head.body :]
    decoder = ChunkDecoder()
    payload = b""
    edges = (0, *cuts, len(behind))
    for begin, end in pairwise(edges):
        if decoder.done:
            return head, payload, decoder.rest + behind[begin:]
        payload += decoder.feed(behind[begin:end])
    assert decoder.done, "the body is not whole"
    return head, payload, decoder.rest


def by_name(vector: Vector) -> str:
    return vector.name


@pytest.mark.parametrize("vector", REJECT, ids=by_name)
def test_refused(vector: Vector) -> None:
    """Status and reason are the ones told, and no byte of it could have been forwarded: no head comes out, or its body breaks."""
    if vector.expected["reason"] == "bad_chunk":
        with pytest.raises(ChunkError):
            read(vector.raw)
        return
    with pytest.raises(RequestError) as caught:
        read(vector.raw)
    assert (caught.value.status, caught.value.reason) == (vector.expected["status"], vector.expected["reason"])


@pytest.mark.parametrize("vector", ACCEPT, ids=by_name)
def test_accepted(vector: Vector) -> None:
    """The message means what the index says, and what goes to a backend holds and lacks the fields told."""
    expected: dict[str, Any] = dict(vector.expected)
    expected.pop("why")
    head, payload, rest = read(vector.raw)
    forwarded = Forwarder("192.0.2.9", "https", 443, ()).request(head)
    names = field_names(forwarded)
    assert set(expected.pop("present", ())) <= set(names)
    assert not set(expected.pop("absent", ())) & set(names)
    for text in expected.pop("never", ()):
        assert text.encode() not in forwarded
    meant: dict[str, Any] = {
        "body": "chunked" if head.body == CHUNKED else head.body,
        "payload": payload.decode("latin-1"),
        "rest": rest.decode("latin-1"),
        "keep_alive": head.keep_alive,
        "expect_continue": head.expect_continue,
    }
    meant |= {name: getattr(head, name).decode("latin-1") for name in ("method", "target", "path", "host", "upgrade")}
    assert expected == {key: meant[key] for key in expected}


CHUNKED_BODIES = [vector for vector in ACCEPT + REJECT if vector.name.startswith("chunk-") and len(vector.raw) < 2048]


@pytest.mark.parametrize("vector", CHUNKED_BODIES, ids=by_name)
def test_chunks_in_pieces(vector: Vector) -> None:
    """Whole, byte by byte, at every two-way split, and with bytes left over: always the same verdict, payload and rest."""
    size = len(split(vector.raw)[1])
    cuts = [tuple(range(1, size)), *((at,) for at in range(1, size))]
    if "reason" in vector.expected:
        for cut in cuts:
            with pytest.raises(ChunkError):
                read(vector.raw, cut)
        return
    for cut in cuts:
        _, payload, rest = read(vector.raw, cut)
        assert payload == vector.expected["payload"].encode()
        assert rest == vector.expected.get("rest", "").encode()
    _, payload, rest = read(vector.raw + b"\x00left over")
    assert payload == vector.expected["payload"].encode()
    assert rest == vector.expected.get("rest", "").encode() + b"\x00left over"


def test_size_of_the_corpus() -> None:
    """Nobody loses vectors by accident."""
    assert len(ACCEPT) >= 140
    assert len(REJECT) >= 570
