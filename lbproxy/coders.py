"""Coders, which compress one body each, a slice at a time: thin adapters to libraries, of which some are extras.

They are loaded where a configuration that wants them is read, which is in the master and before any worker is forked, so that
workers need not be able to read their files.

Measured with 100 KiB of HTML in slices of 32 KiB, at the quickest level (CPU microseconds, bytes left, KiB held): zlib 440, 19,900,
100; isal, which gzip uses where it is installed, 113, 17,700, 34; zstd with a window of 128 KiB 142, 14,400, 580. brotli, for what
is stored, takes fourteen times what isal does, leaves a sixth less, and holds 900.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from importlib import import_module
from typing import Any

_GZIP = 31
"""wbits: a window of 32 KiB, with gzip's head and check sum."""
_LEVEL, _MEMORY = 1, 8
_ZSTD_WINDOW = 17
"""2**17 bytes. Browsers take 2**23 (RFC 9659); more than this costs memory for each answer under way, and saves little."""
_BROTLI_QUALITY, _BROTLI_WINDOW = 5, 18
GZIP, ZSTD, BROTLI = "gzip", "zstd", "br"
CODINGS = (GZIP, ZSTD, BROTLI)
HINT = "pip install 'lbproxy[compress]'"


class CoderUnavailable(Exception):
    """Raised when a coding needs a library that is not installed."""


class Coder:
    """One body's. What `add` does not give yet it keeps."""

    __slots__ = ("_finish", "_flush", "add")

    def __init__(self, add: Callable[[bytes], bytes], flush: Callable[[], bytes], finish: Callable[[], bytes]) -> None:
        self.add = add
        """More of the body; what of it can leave, which may be nothing."""
        self._flush = flush
        self._finish = finish

    def flush(self) -> bytes:
        """What lets whoever gets it read all that was added so far."""
        return self._flush()

    def finish(self) -> bytes:
        """The end."""
        return self._finish()


def maker(coding: str) -> Callable[[], Coder]:
    """A maker of coders, whose library is loaded by now. Raises Unavailable."""
    return _zstd() if coding == ZSTD else _brotli() if coding == BROTLI else _gzip()


def _gzip() -> Callable[[], Coder]:
    library: Any = zlib
    try:
        library = import_module("isal.isal_zlib")
    except ImportError:
        pass  # slower, and as good
    sync, last = zlib.Z_SYNC_FLUSH, zlib.Z_FINISH

    def make() -> Coder:
        own = library.compressobj(_LEVEL, zlib.DEFLATED, _GZIP, _MEMORY)
        return Coder(own.compress, lambda: own.flush(sync), lambda: own.flush(last))

    return make


def _zstd() -> Callable[[], Coder]:
    try:
        library: Any = import_module("zstandard")
    except ImportError as error:
        raise CoderUnavailable("zstd needs zstandard") from error
    settings = library.ZstdCompressionParameters.from_level(_LEVEL, window_log=_ZSTD_WINDOW, write_checksum=False)
    block = library.COMPRESSOBJ_FLUSH_BLOCK

    def make() -> Coder:
        own = library.ZstdCompressor(compression_params=settings).compressobj()  # a compressor carries one body at a time
        return Coder(own.compress, lambda: own.flush(block), own.flush)

    return make


def _brotli() -> Callable[[], Coder]:
    try:
        library: Any = import_module("brotli")
    except ImportError as error:
        raise CoderUnavailable("br needs brotli") from error

    def make() -> Coder:
        own = library.Compressor(quality=_BROTLI_QUALITY, lgwin=_BROTLI_WINDOW)
        return Coder(own.process, own.flush, own.finish)

    return make
