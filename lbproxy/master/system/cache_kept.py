"""The cache's memory in a file, from a clean end to the next start ([cache] keep).

The file is whole or not there: it is written beside its name, and renamed. It is used once: whoever reads it removes it first, so
that after a crash nobody finds what was purged since. Times in the memory are those of the monotonic clock, so another boot of the
machine begins empty; so does anything else that does not fit: a version, a size, a folder of bodies, an owner, a mode, a byte.
"""

from __future__ import annotations

import errno
import os
import stat
import struct
import time
from collections.abc import Iterator
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import BinaryIO

from lbproxy import __version__
from lbproxy.cache.memory import FORMAT, fits

MAGIC = b"lbproxy cache\n"
PIECE = 1024 * 1024
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_EXTENT = struct.Struct("=QQ")
_END = 2**64 - 1
_HEADER = struct.Struct("=16s32s40sQQQd")
_DIGEST = 32


class Unfit(Exception):
    """What is there is not what was kept, or not for us."""


def save(path: Path, memory: int, size: int, disk: int, folder: str) -> None:
    """`memory`: the descriptor of the cache's memory, which nobody writes any more. Raises OSError."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with open(descriptor, "wb") as file:
            digest = blake2b(digest_size=_DIGEST)
            for part in _parts(memory, size, disk, folder):
                digest.update(part)
                file.write(part)
            file.write(digest.digest())
            file.flush()
            os.fsync(file.fileno())
        os.rename(beside, path)
    except OSError:
        with suppress(OSError):
            os.unlink(beside)
        raise


def _parts(memory: int, size: int, disk: int, folder: str) -> Iterator[bytes]:
    """Header and what of the memory was ever written."""
    yield _header(size, disk, folder, time.monotonic())
    at = 0
    while at < size:
        try:
            start = os.lseek(memory, at, os.SEEK_DATA)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            break  # there is none behind it
        at = os.lseek(memory, start, os.SEEK_HOLE)
        yield _EXTENT.pack(start, at - start)
        for piece in range(start, at, PIECE):
            yield os.pread(memory, min(PIECE, at - piece), piece)
    yield _EXTENT.pack(_END, 0)


def _header(size: int, disk: int, folder: str, now: float) -> bytes:
    version, boot = __version__.encode()[:32], BOOT_ID.read_bytes().strip()[:40]
    where = int.from_bytes(blake2b(folder.encode("utf-8", "surrogateescape"), digest_size=7).digest(), "big")
    return _HEADER.pack(MAGIC, version, boot, size, disk, where << 8 | FORMAT, now)


def load(path: Path, mapped: memoryview, disk: int, folder: str) -> bool:
    """Fill the memory, which is all zeros, with what was kept for it. False: nothing was. Raises Unfit, and OSError; then some of
    it may be filled."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    with open(descriptor, "rb") as file:
        facts = os.fstat(descriptor)
        os.unlink(path)
        if not stat.S_ISREG(facts.st_mode) or facts.st_nlink != 1:
            raise Unfit("it is not a file of its own")
        if facts.st_uid != os.geteuid() or facts.st_mode & 0o077:
            raise Unfit("others could have written it")
        _read(file, mapped, disk, folder)
    return True


def _read(file: BinaryIO, mapped: memoryview, disk: int, folder: str) -> None:
    digest = blake2b(digest_size=_DIGEST)

    def take(size: int) -> bytes:
        data = file.read(size)
        if len(data) != size:
            raise Unfit("it is cut short")
        digest.update(data)
        return data

    said, now = take(_HEADER.size), time.monotonic()
    if said[:-8] != _header(mapped.nbytes, disk, folder, 0.0)[:-8]:
        raise Unfit("it is of another version, size, folder, or boot of the machine")
    if not 0.0 <= _HEADER.unpack(said)[-1] <= now:
        raise Unfit("it is from another clock")
    while True:
        start, size = _EXTENT.unpack(take(_EXTENT.size))
        if start == _END:
            break
        if start + size > mapped.nbytes:
            raise Unfit("it is more than there is room for")
        for at in range(start, start + size, PIECE):
            piece = min(PIECE, start + size - at)
            mapped[at : at + piece] = take(piece)
    if file.read(_DIGEST + 1) != digest.digest() or not fits(mapped, disk):
        raise Unfit("it is torn")
