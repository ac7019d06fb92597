"""Every answer of tests/corpus/http1_responses through a whole exchange, however its bytes arrive.

What two readers could read in two ways is never passed on; a body that breaks never looks whole; a connection on which anything was
odd never carries another request.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from lbproxy.http.h1.chunks import ChunkDecoder
from lbproxy.proxy.response_head import MAX_RESPONSE_HEAD
from tests.corpus.http1_responses.vectors import Vector, vectors
from tests.unit.http.heads import field_names
from tests.unit.proxy.world import EOF, LOST, World, get, ok, post

END = b"\r\n\r\n"
ACCEPT, REJECT, CUT = vectors("accept"), vectors("reject"), vectors("cut")
INTERIM = re.compile(rb"HTTP/1\.1 1[0-9][0-9] [^\r]*\r\n(?:[^\r]+\r\n)*\r\n")


def by_name(vector: Vector) -> str:
    return vector.name


def pieces(raw: bytes) -> Iterator[list[bytes]]:
    """Whole, byte by byte, at every two-way split (of long ones: of their beginning)."""
    yield [raw]
    yield [raw[at : at + 1] for at in range(len(raw))]
    for at in range(1, min(len(raw), 400)):
        yield [raw[:at], raw[at:]]


class Try:
    """A client asks, and its backend answers in these pieces."""

    def __init__(self, vector: Vector, parts: list[bytes], end: bool = False) -> None:
        """`end`: the backend closes at the end of it."""
        self.method = vector.expected.get("method", "GET")
        self.world = World(1)
        self.client = self.world.connect()
        self.client.feed(get(method=self.method))
        self.upstream = self.world.upstream
        for part in [*parts, EOF] if end else parts:
            if not self.upstream.end:
                self.upstream.feed(part)

    def answer(self, *, interim: bool) -> bytes:
        """What the client got, without 1xx in front."""
        out = self.client.take()
        while match := INTERIM.match(out):
            assert interim, out
            out = out[match.end() :]
        return out

    def asks_again(self) -> bool:
        """Another client asks: does it get its own answer, and nothing of the one before? True: on the same connection."""
        before = len(self.world.dials)
        other = self.world.connect()
        other.feed(get("/other"))
        self.world.upstream.feed(ok(b"other"))
        assert other.take().endswith(END + b"other")
        return len(self.world.dials) == before


@pytest.mark.parametrize("vector", REJECT, ids=by_name)
def test_refused(vector: Vector) -> None:
    """A 502 of ours that names the reason, no byte of theirs, and the connection is gone."""
    reason = vector.expected["reason"]
    for parts in pieces(vector.raw):
        attempt = Try(vector, parts, vector.expected.get("end", False))
        out = attempt.answer(interim=vector.expected.get("interim", False))
        head, _, body = out.partition(END)
        assert head.startswith(b"HTTP/1.1 502 Bad Gateway\r\n"), (parts, out)
        assert b"\r\nProxy-Status: lbproxy; error=" in head
        assert body == (b"" if attempt.method == "HEAD" else b"502 Bad Gateway: %b\n" % reason.encode()), parts
        assert attempt.world.outcomes() == [(502, reason)], parts
        assert attempt.upstream.end == "abort", parts
        assert not attempt.asks_again()
        assert attempt.client.end == "", "it was not the client's fault"


@pytest.mark.parametrize("vector", CUT, ids=by_name)
def test_cut(vector: Vector) -> None:
    """The client sees the cut, or got a 502 if nothing was passed on yet; nobody else gets the rest."""
    for parts in pieces(vector.raw):
        attempt = Try(vector, parts, end=True)
        out = attempt.answer(interim=False)
        assert attempt.upstream.end in ("abort", "close"), parts
        [(status, reason)] = attempt.world.outcomes()
        assert reason == vector.expected["reason"], parts
        if status == 502:
            assert out.startswith(b"HTTP/1.1 502 ")
        else:
            assert attempt.client.end == "abort", parts
            head, _, body = out.partition(END)
            if b"chunked" in head:
                decoder = ChunkDecoder()
                decoder.feed(body)
                assert not decoder.done, parts
            else:
                assert len(body) < int(re.findall(rb"Content-Length: (\d+)", head)[0]), parts
        assert not attempt.asks_again()


@pytest.mark.parametrize("vector", ACCEPT, ids=by_name)
def test_passed_on(vector: Vector) -> None:
    """Status and payload as told, framed by us; the connection is used again exactly when nothing was odd about it."""
    expected = vector.expected
    for parts in pieces(vector.raw):
        attempt = Try(vector, parts, expected.get("end", False))
        out = attempt.answer(interim=expected.get("interim", False))
        head, _, body = out.partition(END)
        names = field_names(head + END)
        assert head.startswith(b"HTTP/1.1 %d " % expected.get("status", 200)), parts
        assert set(expected.get("present", ())) <= set(names), parts
        assert not set(expected.get("absent", ())) & set(names), parts
        for text in expected.get("never", ()):
            assert text.encode() not in out, parts
        if "transfer-encoding" in names:
            assert "content-length" not in names
            decoder = ChunkDecoder()
            body = decoder.feed(body)
            assert decoder.done, parts
            assert decoder.rest == b"", parts
        assert body == expected["payload"].encode(), parts
        assert attempt.world.outcomes() == [(expected.get("status", 200), "")], parts
        attempt.world.pass_time(1.5)
        assert attempt.asks_again() is expected["reuse"], parts
        attempt.client.feed(EOF)


# ---------------------------------------------------------------- what no file can hold


def test_head_without_end() -> None:
    """Field after field, for ever: refused when it is too large, with no more than that held."""
    world = World(1)
    client = world.connect()
    client.feed(get())
    world.upstream.feed(b"HTTP/1.1 200 OK\r\n")
    fed = 0
    while not world.upstream.end:
        world.upstream.feed(b"X: y\r\n" * 100)
        fed += 600
        assert fed < MAX_RESPONSE_HEAD + 2000
    assert world.outcomes() == [(502, "response_head_too_large")]


def test_head_that_drips() -> None:
    """Its time is counted as a whole: a byte now and then does not buy more."""
    world = World(1)
    world.connect().feed(get())
    passed = 0
    while not world.upstream.end:
        world.upstream.feed(b"H" if passed else b"HTTP/1.1 200 O")
        world.pass_time(5.0)
        passed += 5
        assert passed <= 65
    assert world.outcomes() == [(504, "response_timeout")]


def test_answer_before_the_request_was_whole() -> None:
    """It is passed on. A backend that says that it closes gets no more, and neither connection is used again; a second answer where
    the rest of the request is awaited is nobody's."""
    for answer, more in ((ok(b"early", "Connection: close"), b""), (ok(b"early"), ok(b"late"))):
        world = World(1)
        client = world.connect()
        client.feed(post(b"half", length=8))
        world.upstream.feed(answer)
        if more:
            world.upstream.feed(more)
        out = client.take()
        assert out.startswith(b"HTTP/1.1 200 OK\r\n")
        assert (b"\r\nConnection: close\r\n" in out) == (not more)
        assert b"late" not in out
        assert world.upstream.end
        assert client.end


def test_bytes_on_an_idle_connection() -> None:
    """A whole response that nobody asked for never meets the next request."""
    world = World(1)
    client = world.connect()
    client.feed(get())
    world.upstream.feed(ok())
    idle = world.upstream
    assert not idle.end
    idle.feed(ok(b"poison"))
    assert idle.end
    client.take()
    client.feed(get("/next"))
    assert len(world.dials) == 2
    world.upstream.feed(ok(b"mine"))
    assert client.take().endswith(END + b"mine")


@pytest.mark.parametrize("how", [EOF, LOST])
def test_reset_is_no_end(how: bytes | Exception) -> None:
    """A body that runs to the end of the connection is whole at a close, never at a reset."""
    world = World(1)
    client = world.connect()
    client.feed(get())
    world.upstream.feed(b"HTTP/1.1 200 OK\r\n\r\nhello")
    world.upstream.feed(how)
    whole = client.take().endswith(b"0\r\n\r\n")
    assert whole is (how == EOF)
    assert client.end == ("" if whole else "abort")


def test_size_of_the_corpus() -> None:
    """Nobody loses vectors by accident."""
    assert len(ACCEPT) >= 45
    assert len(REJECT) >= 105
    assert len(CUT) >= 28
