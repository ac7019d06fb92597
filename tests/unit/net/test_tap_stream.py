"""What goes to one reader of packets: a capture file without an end, of whole conversations."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproxy.net.tap_stream import TapStream
from lbproxy.observe.pcap import PCAP_HEAD


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe2(os.O_NONBLOCK)
    yield ends
    os.close(ends[0])


def test_a_head_first(pipe: tuple[int, int]) -> None:
    """Then what came."""
    stream = TapStream(pipe[1], 1000)
    assert stream.waiting
    assert stream.take(b"abc")
    stream.write()
    assert os.read(pipe[0], 1000) == PCAP_HEAD + b"abc"
    assert not stream.waiting
    stream.close()


def taken(reading: int) -> bytes:
    """What there is."""
    try:
        return os.read(reading, 100_000)
    except BlockingIOError:
        return b""


@given(st.lists(st.tuples(st.integers(1, 150_000), st.booleans()), max_size=12), st.integers(60_000, 300_000))
def test_whole_or_not_at_all(said: list[tuple[int, bool]], room: int) -> None:
    """However slow who reads: what was taken is there, in its order and without a gap, and nothing of what was not."""
    reading, writing = os.pipe2(os.O_NONBLOCK)
    stream, wanted, found = TapStream(writing, room), PCAP_HEAD, b""
    for number, (size, reads) in enumerate(said):
        data = bytes((number,)) * size
        if stream.take(data):
            wanted += data
        assert stream._held <= room
        stream.write()
        if reads:
            found += taken(reading)
    while stream.waiting:
        stream.write()
        found += taken(reading)
    stream.close()
    while data := os.read(reading, 1_000_000):
        found += data
    os.close(reading)
    assert found == wanted


def test_a_reader_goes() -> None:
    """It is told to whoever writes, and what waits is forgotten."""
    reading, writing = os.pipe2(os.O_NONBLOCK)
    stream = TapStream(writing, 1000)
    os.close(reading)
    with pytest.raises(BrokenPipeError):
        stream.write()
    stream.close()
    assert not stream.waiting
