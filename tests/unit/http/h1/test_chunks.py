"""The chunked coding: strict in, plain out. The corpus holds what is refused; here are the properties and the limits."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproxy.http.h1.chunks import (
    LAST_CHUNK,
    LENIENT,
    LENIENT_LF,
    MAX_SIZE_LINE,
    MAX_TRAILERS,
    SHORT,
    STRICT,
    ChunkDecoder,
    ChunkError,
    encode_chunk,
)
from tests.unit.http.work import growth


def decode(data: bytes, cuts: list[int]) -> tuple[bytes, bytes, bool]:
    """(payload, rest, done) after feeding `data` in pieces that end at `cuts`."""
    decoder, payload = ChunkDecoder(), b""
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    for at, (begin, end) in enumerate(pairwise(edges)):
        payload += decoder.feed(data[begin:end])
        if decoder.done:
            return payload, decoder.rest + data[edges[at + 1] :], True
    return payload, b"", False


CUTS = st.lists(st.integers(0, 300), max_size=8)


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=6), st.binary(max_size=20), CUTS)
def test_what_goes_in_comes_out(payloads: list[bytes], behind: bytes, cuts: list[int]) -> None:
    """decode(encode(x)) is x under any split, and what stands behind the body is left alone."""
    coded = b"".join(map(encode_chunk, payloads)) + LAST_CHUNK
    assert decode(coded + behind, cuts) == (b"".join(payloads), behind, True)


PIECES = st.sampled_from(
    [
        b"0",
        b"1",
        b"2",
        b"a",
        b"5",
        b"\r\n",
        b"\r\n",
        b"\r",
        b"\n",
        b";",
        b" ",
        b"\t",
        b"x",
        b"0\r\n",
        b"\r\n\r\n",
        b"1\r\na\r\n",
        b"T: v\r\n",
        b":",
        b"\x00",
    ]
)


@given(st.lists(PIECES, max_size=12).map(b"".join), CUTS)
def test_splits_change_no_verdict(data: bytes, cuts: list[int]) -> None:
    """Whole or in pieces: the same payload, the same rest, or refused both times."""

    def verdict(cuts: list[int]) -> tuple[bytes, bytes, bool] | None:
        try:
            return decode(data, cuts)
        except ChunkError:
            return None

    assert verdict(cuts) == verdict([]) == verdict(list(range(len(data))))


@given(st.lists(PIECES, max_size=12).map(b"".join))
def test_what_is_accepted_is_plain(data: bytes) -> None:
    """Encoding anew what was taken off gives a body of the same payload: nothing of the sender's form comes along."""
    try:
        payload, _, done = decode(data, [])
    except ChunkError:
        return
    if done:
        coded = (encode_chunk(payload) if payload else b"") + LAST_CHUNK
        assert decode(coded, []) == (payload, b"", True)


@pytest.mark.parametrize(
    "data", [b"\r", b"\n", b"g", b"5 \r", b"5;\x00", b"123456789", b"5x", b" ", b";", b"5\r\nhelloX", b"5\r\nhello\rX"]
)
def test_garbage_is_refused_at_once(data: bytes) -> None:
    """Without waiting for a line that can never become good."""
    with pytest.raises(ChunkError):
        ChunkDecoder().feed(data)


@pytest.mark.parametrize("data", [b"X : ", b" X", b"\t", b":", b"X\r", b"X: a\rb", b"X: \x00", b"\r\r"])
def test_garbage_trailers_are_refused_at_once(data: bytes) -> None:
    """Likewise behind the last chunk."""
    decoder = ChunkDecoder()
    assert decoder.feed(b"0\r\n") == b""
    with pytest.raises(ChunkError):
        decoder.feed(data)


@pytest.mark.parametrize(
    "data", [b"", b"5", b"ffffffff", b"5 ", b"5\t;", b"5;a=\xff", b"5\r", b"5\r\nhell", b"5\r\nhello", b"5\r\nhello\r"]
)
def test_the_unfinished_waits(data: bytes) -> None:
    """More may come."""
    decoder = ChunkDecoder()
    decoder.feed(data)
    assert not decoder.done


@pytest.mark.parametrize("whole", [True, False])
def test_limit_of_the_size_line(whole: bool) -> None:
    """1 KiB with its CRLF, wherever the pieces end."""

    def feed(length: int) -> None:
        line = b"1;" + b"x" * (length - 4) + b"\r\n"
        pieces = [line] if whole else [line[at : at + 1] for at in range(len(line))]
        decoder = ChunkDecoder()
        for piece in pieces:
            decoder.feed(piece)

    feed(MAX_SIZE_LINE)
    with pytest.raises(ChunkError, match="too long"):
        feed(MAX_SIZE_LINE + 1)


@pytest.mark.parametrize("whole", [True, False])
def test_limit_of_the_trailers(whole: bool) -> None:
    """8 KiB in all lines together."""

    def feed(length: int) -> bool:
        lines = b"A: " + b"x" * 4091 + b"\r\n" + b"B: " + b"x" * (length - 4096 - 5) + b"\r\n"
        assert len(lines) == length
        pieces = [lines] if whole else [lines[at : at + 97] for at in range(0, length, 97)]
        decoder = ChunkDecoder()
        decoder.feed(b"0\r\n")
        for piece in pieces:
            decoder.feed(piece)
        decoder.feed(b"\r\n")
        return decoder.done

    assert feed(MAX_TRAILERS)
    with pytest.raises(ChunkError, match="too long"):
        feed(MAX_TRAILERS + 1)


@pytest.mark.parametrize("moves", [STRICT, LENIENT, LENIENT_LF])
def test_the_section_of_trailers_is_kept(moves: bytes) -> None:
    """From the last chunk to the end of the body, wherever the pieces end; nothing of the body, nothing of what follows."""
    section = b"A: 0\r\nb:\r\n\r\n"
    whole = b"5;x=y\r\n0\r\n\r\n\r\n0;z\r\n" + section + b"GET /"
    for cut in range(len(whole) + 1):
        decoder = ChunkDecoder(moves)
        assert decoder.section == b""
        assert decoder.feed(whole[:cut]) + (b"" if decoder.done else decoder.feed(whole[cut:])) == b"0\r\n\r\n"
        assert decoder.done
        assert decoder.section == section
    plain = ChunkDecoder(moves)
    plain.feed(LAST_CHUNK)
    assert len(plain.section) == 2


def test_largest_chunk() -> None:
    """Eight digits; its payload passes while it comes."""
    decoder = ChunkDecoder()
    assert decoder.feed(b"FFFFFFFF\r\nabc") == b"abc"
    assert decoder.feed(b"def") == b"def"
    assert not decoder.done


def test_short_and_long_runs_keep_their_order() -> None:
    """Those that are gathered and those that are not, in one piece."""
    runs = [b"a", b"b" * SHORT, b"c" * (SHORT + 1), b"d", b"e" * 500, b"f" * 500, b"g"]
    assert decode(b"".join(map(encode_chunk, runs)) + LAST_CHUNK, []) == (b"".join(runs), b"", True)


def test_a_chunk_costs_what_its_bytes_cost() -> None:
    """Bytes in chunks of one cost no more than as many bytes of one long extension; they did 160 times as much."""
    long = b"1;" + b"x" * 995 + b"\r\na\r\n"
    assert growth(lambda data: ChunkDecoder().feed(data), long * 60, b"1\r\na\r\n" * 10_000) < 8


@pytest.mark.parametrize("unit", [b"1\r\na\r\n", b"1;x\r\na\r\n"])
def test_work_is_linear(unit: bytes) -> None:
    """Many small chunks in one piece."""
    assert growth(lambda data: ChunkDecoder().feed(data), unit * 512, unit * 8192) < 80


# ---------------------------------------------------------------- of answers

PADDED = [b"5  ", b"  5", b"\t5\t", b"00000005", b"0" * 40 + b"5", b" 0005 ;x=y", b"5 ;x"]


@pytest.mark.parametrize("size", PADDED)
def test_padded_sizes_in_answers(size: bytes) -> None:
    """Wherever the pieces end, also of the last chunk; and never in a request."""
    raw = size + b"\r\nhello\r\n" + size.replace(b"5", b"0") + b"\r\nX: y\r\n\r\nrest"
    for table in (LENIENT, LENIENT_LF):
        for cut in range(len(raw)):
            decoder = ChunkDecoder(table)
            assert decoder.feed(raw[:cut]) + (b"" if decoder.done else decoder.feed(raw[cut:])) == b"hello"
            assert decoder.done
    if size not in (b"5 ;x", b"00000005"):
        with pytest.raises(ChunkError):
            ChunkDecoder(STRICT).feed(raw)


@pytest.mark.parametrize("raw", [
    b"5 5\r\n", b" \r\n", b" " * 2000, b"0" * 2000, b"100000005\r\n", b"0000100000005\r\n", b"-5\r\n", b"0x5\r\n",
    b"5\n", b"5\r\nhello\n", b"\r\n",
])  # fmt: skip
def test_other_sizes_are_refused_in_answers_too(raw: bytes) -> None:
    """What could be read in two ways, and what never ends."""
    with pytest.raises(ChunkError):
        ChunkDecoder(LENIENT).feed(raw)


def test_line_feeds_where_they_are_tolerated() -> None:
    """In all places where a line ends, beside CRLF."""
    raw = b"5\nhello\r\n 3;x\r\nabc\n00\nX: y\nZ: \r\n\nrest"
    for cut in range(len(raw)):
        decoder = ChunkDecoder(LENIENT_LF)
        assert decoder.feed(raw[:cut]) + (b"" if decoder.done else decoder.feed(raw[cut:])) == b"helloabc"
        assert decoder.done
