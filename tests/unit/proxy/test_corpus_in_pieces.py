"""Every message of tests/corpus/http1 through a whole client connection, however its bytes arrive: one verdict, and a refused one
leaves not a byte at a backend.

Whole, byte by byte, at every two-way split, and pipelined behind a good request. Only a chunked body that breaks when its head is
gone already cannot be taken back: then the backend never gets the end of it.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lbproxy.config import model
from lbproxy.http.h1.chunks import ChunkDecoder
from tests.corpus.http1.vectors import Vector, vectors
from tests.unit.proxy.world import EOF, World, get, ok

END = b"\r\n\r\n"
LONG = 600
"""Longer messages are split around their line ends and their own ends only."""

GOOD = get("/good")


def by_name(vector: Vector) -> str:
    return vector.name


def pieces(raw: bytes) -> Iterator[list[bytes]]:
    """The ways a message may arrive."""
    yield [raw]
    if len(raw) <= LONG:
        places = list(range(1, len(raw)))
        yield [raw[at : at + 1] for at in range(len(raw))]
    else:
        ends = [at for at in range(len(raw)) if raw[at : at + 1] in (b"\r", b"\n")]
        places = sorted({at + step for at in [0, *ends, len(raw)] for step in range(-2, 4) if 0 < at + step < len(raw)})[:600]
    for at in places:
        yield [raw[:at], raw[at:]]


def is_whole(raw: bytes) -> bool:
    """A head that ends; one that does not is waited for until its time is up."""
    return END in raw.lstrip(b"\r\n")


class Try:
    """One world, and a client in it that sends the pieces."""

    def __init__(self, parts: list[bytes]) -> None:
        self.world = World(1, limits=model.LimitsConfig())
        self.client = self.world.connect()
        for part in parts:
            if self.client.end:
                break
            self.client.feed(part)

    def outcome(self) -> tuple[int, str]:
        """Status and reason of the only answer there is, which ends the connection."""
        assert self.client.end in ("finish", "abort"), "the connection is open still"
        [outcome] = self.world.outcomes()
        return outcome

    def reached(self) -> bytes:
        """What arrived at backends."""
        return b"".join(upstream.sent for upstream in self.world.upstreams)


REJECT = vectors("reject")
REFUSED_HEADS = [vector for vector in REJECT if vector.expected["reason"] != "bad_chunk"]
BAD_CHUNKS = [vector for vector in REJECT if vector.expected["reason"] == "bad_chunk"]
CASES = [vector for vector in vectors("accept") if vector.name != "cl-fifteen-digits"]
"""The one's body is not there."""


@pytest.mark.parametrize("vector", REFUSED_HEADS, ids=by_name)
def test_refused_however_it_comes(vector: Vector) -> None:
    """The status told, and nobody was dialled."""
    wanted = (vector.expected["status"], vector.expected["reason"])
    for parts in pieces(vector.raw):
        attempt = Try(parts)
        if not attempt.client.end:
            assert not is_whole(vector.raw), parts
            attempt.world.pass_time(11.0)
            assert attempt.outcome() == (408, "head_timeout"), parts
        elif parts == [vector.raw] and is_whole(vector.raw):
            assert attempt.outcome() == wanted, parts
        else:  # which of two rules it broke may depend on what was seen first, that it is refused may not
            assert attempt.outcome()[0] in (wanted[0], 400), parts
        assert attempt.world.dials == [], parts


@pytest.mark.parametrize("vector", REFUSED_HEADS, ids=by_name)
def test_refused_behind_a_good_request(vector: Vector) -> None:
    """The good one is answered; of the other one nothing arrives, and nothing is answered beyond its refusal."""
    attempt = Try([GOOD + vector.raw])
    [upstream] = attempt.world.upstreams
    arrived = upstream.sent
    assert arrived.startswith(b"GET /good HTTP/1.1\r\n")
    assert arrived.count(END) == 1
    upstream.feed(ok())
    attempt.world.pass_time(11.0)
    good, refused = attempt.world.outcomes()
    assert good == (200, "")
    if is_whole(vector.raw):
        assert refused == (vector.expected["status"], vector.expected["reason"])
    else:
        assert refused[0] in (vector.expected["status"], 400, 408)
    assert upstream.sent == arrived
    assert attempt.world.dials == [9000]


@pytest.mark.parametrize("vector", BAD_CHUNKS, ids=by_name)
def test_broken_chunks(vector: Vector) -> None:
    """Whole: nothing arrives. In pieces: what arrives never looks like a whole body, and the backend's connection is cut."""
    for parts in pieces(vector.raw):
        attempt = Try(parts)
        assert attempt.outcome() == (400, "bad_chunk"), parts
        if len(parts) == 1:
            assert attempt.world.dials == []
            continue
        head, _, body = attempt.reached().partition(END)
        if head:
            decoder = ChunkDecoder()
            decoder.feed(body)
            assert not decoder.done, parts
            assert attempt.world.upstream.end == "abort", parts


@pytest.mark.parametrize("vector", BAD_CHUNKS, ids=by_name)
def test_broken_chunks_behind_a_good_request(vector: Vector) -> None:
    """The good one is answered; of the other one nothing arrives."""
    attempt = Try([GOOD + vector.raw])
    attempt.world.upstream.feed(ok())
    assert attempt.world.outcomes() == [(200, ""), (400, "bad_chunk")]
    assert attempt.reached().count(END) == 1
    assert attempt.world.dials == [9000]


def unchunked(message: bytes) -> tuple[bytes, bytes]:
    """(head, payload) of a forwarded message, whose chunks depend on how it came."""
    head, _, body = message.partition(END)
    if b"\r\nTransfer-Encoding: chunked" not in head:
        return head, body
    decoder = ChunkDecoder()
    payload = decoder.feed(body)
    assert decoder.done
    assert decoder.rest == b""
    return head, payload


@pytest.mark.parametrize("vector", CASES, ids=by_name)
def test_accepted_however_it_comes(vector: Vector) -> None:
    """The backend gets the same message in any case; what stands behind it does not reach it with it."""
    raw = vector.raw
    if rest := vector.expected.get("rest", "").encode("latin-1"):
        raw = raw.removesuffix(rest)
    first = None
    for parts in pieces(raw):
        attempt = Try(parts)
        assert attempt.world.dials == [9000], parts
        message = unchunked(attempt.reached())
        first = first or message
        assert message == first, parts
        attempt.world.upstream.feed(ok())
        assert attempt.world.outcomes() == [(200, "")], parts
    assert first is not None
    assert first[1] == vector.expected.get("payload", "").encode("latin-1") or "payload" not in vector.expected


@pytest.mark.parametrize("vector", CASES, ids=by_name)
def test_accepted_between_others(vector: Vector) -> None:
    """Pipelined: each of three requests is answered by its own exchange, and nothing of one stands in another."""
    rest = vector.expected.get("rest", "").encode("latin-1")
    raw = vector.raw.removesuffix(rest) if rest else vector.raw
    attempt = Try([GOOD + raw + GOOD])
    world = attempt.world
    world.upstream.feed(ok())
    keep_alive = b"\r\nConnection: close" not in attempt.client.take()
    assert keep_alive
    arrived = len(attempt.reached())
    world.upstream.feed(ok())
    if vector.expected.get("keep_alive") is False or attempt.client.end:
        assert not attempt.reached()[arrived:].startswith(b"GET /good")
        return
    assert attempt.reached().endswith(END)
    assert attempt.reached().count(b"GET /good HTTP/1.1\r\n") == 2
    world.upstream.feed(ok())
    assert [status for status, _ in world.outcomes()] == [200, 200, 200]
    attempt.client.feed(EOF)
    world.at_rest()
