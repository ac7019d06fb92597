"""Coders give what every client's library reads, at each flush all that was added."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproxy import coders
from lbproxy.coders import BROTLI, CODINGS, GZIP, ZSTD, Coder, CoderUnavailable, maker


def _reader(coding: str) -> Any:
    """Of another maker for gzip, zlib; for others their library's own."""
    if coding == BROTLI:
        return _Brotli()
    return zlib.decompressobj(31) if coding == GZIP else import_module("zstandard").ZstdDecompressor().decompressobj()


class _Brotli:
    """In zlib's words."""

    def __init__(self) -> None:
        self._own: Any = import_module("brotli").Decompressor()

    def decompress(self, data: bytes) -> bytes:
        return bytes(self._own.process(data))

    @property
    def eof(self) -> bool:
        return bool(self._own.is_finished())


def _makers() -> list[tuple[str, Callable[[], Coder]]]:
    return [(coding, maker(coding)) for coding in CODINGS]


@pytest.mark.parametrize(("coding", "make"), _makers(), ids=CODINGS)
@given(pieces=st.lists(st.tuples(st.binary(max_size=300), st.booleans()), max_size=12))
def test_what_was_flushed_can_be_read(coding: str, make: Callable[[], Coder], pieces: list[tuple[bytes, bool]]) -> None:
    """Whatever is added, flushed or not: behind a flush nothing is missing, and at the end nothing at all."""
    coder, reader = make(), _reader(coding)
    added = read = b""
    for data, flushed in pieces:
        added += data
        coded = coder.add(data) + (coder.flush() if flushed else b"")
        read += reader.decompress(coded) if coded else b""
        if flushed:
            assert read == added
    read += reader.decompress(coder.finish())
    assert read == added
    assert reader.eof


def test_bodies_do_not_share_a_coder() -> None:
    """Two under way at a time are two."""
    for coding, make in _makers():
        one, other = make(), make()
        first, second = one.add(b"one" * 100), other.add(b"other" * 100)
        first, second = first + one.finish(), second + other.finish()
        assert _reader(coding).decompress(first) == b"one" * 100
        assert _reader(coding).decompress(second) == b"other" * 100


def test_a_library_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """gzip does without isal; zstd and br are refused with a sentence."""
    def absent(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr(coders, "import_module", absent)
    assert zlib.decompress(maker(GZIP)().finish(), 31) == b""
    with pytest.raises(CoderUnavailable, match="zstandard"):
        maker(ZSTD)
    with pytest.raises(CoderUnavailable, match="brotli"):
        maker(BROTLI)
