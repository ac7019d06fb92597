"""The heap of a worker: how much of it the C library keeps when it is given back.

Of itself glibc returns the end of its heap to the kernel whenever 128 KiB of it are free. Pieces of bodies are as large as that, so
each was returned and taken again, and the kernel cleared its pages one by one: a quarter of what 100 KiB over HTTP/2 cost
(2026-11-28).
"""

from __future__ import annotations

import ctypes
import os

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3  # malloc.h
KEPT = 2 * 1024 * 1024
"""Bytes that may be free at the end of the heap."""
AT_ONCE = 256 * 1024
"""Bytes that are taken beyond what is needed."""
APART = 1024 * 1024
"""Bytes of a piece that does not come out of the heap. Where the others are set this one no longer grows by itself."""


def keep_what_is_free() -> bool:
    """False: nothing is changed, since whoever started us has said what is to be (mallopt(3)), or the C library is not glibc."""
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "gnu_get_libc_version") or any(map(_tunes, os.environ.items())):
        return False
    wanted = ((M_TRIM_THRESHOLD, KEPT), (M_TOP_PAD, AT_ONCE), (M_MMAP_THRESHOLD, APART))
    done = [libc.mallopt(what, size) for what, size in wanted]
    return all(done)


def _tunes(variable: tuple[str, str]) -> bool:
    name, value = variable
    return name.startswith("MALLOC_") or (name == "GLIBC_TUNABLES" and "glibc.malloc." in value)
