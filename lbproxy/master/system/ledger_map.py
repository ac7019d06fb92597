"""The ledger as a child may have it: what it only reads is mapped from a descriptor that cannot be written through, so the kernel
refuses every attempt to make it writable again (mprotect(2), EACCES). No descriptor that can be written through is left.

Where pages are larger than the parts of the ledger (64 KiB on some aarch64), what shares a page with something of the child's own
stays writable.
"""

from __future__ import annotations

import ctypes
import mmap
import os
from collections.abc import Iterable, Iterator

from lbproxy.balance.ledger import WHOLE_SIZE, Ledger

MAP_SHARED, MAP_FIXED = 0x01, 0x10  # include/uapi/linux/mman.h, the same on x86-64 and aarch64
FAILED = ctypes.c_void_p(-1).value


def protect(ledger: Ledger, memory: int, writable: Iterable[range]) -> None:
    """`memory`: a descriptor of the ledger, closed by this; `writable`: cells, see ledger.writable. Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
    begin = ctypes.addressof(ctypes.c_char.from_buffer(ledger.cells))
    reading = os.open(f"/proc/self/fd/{memory}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        for start, end in _others(writable):
            flags = MAP_SHARED | MAP_FIXED
            if libc.mmap(begin + start, end - start, mmap.PROT_READ, flags, reading, start) != begin + start:
                raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        _replace(memory, reading)
    finally:
        os.close(reading)
        os.close(memory)


def _others(writable: Iterable[range]) -> Iterator[tuple[int, int]]:
    """The pages of which nothing is writable, as stretches of bytes."""
    page = mmap.PAGESIZE
    start = 0
    for cells in sorted(writable, key=lambda cells: cells.start):
        end = cells.start * 8 // page * page
        if end > start:
            yield start, end
        start = max(start, -(-cells.stop * 8 // page) * page)
    if start < WHOLE_SIZE:
        yield start, WHOLE_SIZE


def _replace(memory: int, reading: int) -> None:
    """Every other descriptor of the same file (the mapping's object keeps one) becomes one for reading."""
    facts = os.fstat(memory)
    for name in os.listdir("/proc/self/fd"):
        descriptor = int(name)
        try:
            same = descriptor not in (memory, reading) and os.path.samestat(os.fstat(descriptor), facts)
        except OSError:
            continue  # the listing's own
        if same:
            os.dup2(reading, descriptor, inheritable=False)
