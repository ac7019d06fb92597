"""Certificates and keys as they were when they were read, for the life of a generation, in no process's memory.

A key that stands in a Python object stands in every process forked since, three times if somebody looked at it, and stays in memory
that was given back. So the master reads each file through one buffer that it wipes, and keeps what it read in a file without a name
(memfd_create(2)): nobody maps it, and only who has its descriptor can read it. From there OpenSSL, which takes nothing but paths,
loads it, while the allocator overwrites whatever is given back (`overwriting`). What remains are the contexts themselves.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import NamedTuple

from lbproxy.tls import pem

NAME = "lbproxy-keys"
LARGEST = 16 * 1024 * 1024
"""Bytes of one file; the authorities of a whole system have some hundred thousand."""

AT_ONCE = 1024 * 1024
"""Bytes that are copied at once from one store to another."""

KEEP_SIZE, PUNCH_HOLE = 1, 2  # linux/falloc.h
M_PERTURB = -6  # malloc.h of glibc
PATTERN = 0xA5
SMALL = range(24, 1048, 16)
"""Sizes of the chunks that glibc keeps in its per-thread cache (tcache), which M_PERTURB leaves as they are."""
CACHED = 8
"""Of each size; the cache holds seven."""

class Piece(NamedTuple):
    """Where a file's content stands in the store."""

    offset: int
    size: int


class Stamp(NamedTuple):
    """What tells that a file is another one than it was, without reading it."""

    device: int
    inode: int
    size: int
    modified: int

    @classmethod
    def of(cls, facts: os.stat_result) -> Stamp:
        """By what stat(2) says."""
        return cls(facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns)

    @classmethod
    def at(cls, path: Path | str) -> Stamp | None:
        """Of what is there now; None: nothing that could be seen."""
        try:
            return cls.of(os.stat(path))
        except OSError:
            return None


class KeyStore:
    """The keys of one generation, in memory of their own. `close` it."""

    def __init__(self, descriptor: int = -1, beside: KeyStore | None = None) -> None:
        """`descriptor`: of one that another process filled; it is ours from now on. `beside`: another one, with which it shares
        what is known of files."""
        self._memory = descriptor if descriptor >= 0 else os.memfd_create(NAME, os.MFD_CLOEXEC)
        self._size = os.fstat(self._memory).st_size
        self.digests: dict[Path, bytes] = {}
        """What each file held that was read, as SHA-256."""
        self.stamps: dict[Path, Stamp] = {}
        """Of the same files."""
        if beside is not None:
            self.digests, self.stamps = beside.digests, beside.stamps

    def fileno(self) -> int:
        """For whoever is executed anew and gets it."""
        return self._memory

    def take(self, path: Path) -> Piece:
        """Read a PEM file. Raises OSError."""
        with content_of(path, self.stamps) as content:
            return self.put(path, content)

    def put(self, path: Path, content: bytearray) -> Piece:
        """What a file held, as it was read."""
        with memoryview(content) as view:
            self.digests[path] = hashlib.sha256(content).digest()
            begin = self._size
            at = 0
            for seam in pem.seams(content):
                self._append(view[at:seam])
                self._append(memoryview(b"\n"))
                at = seam
            self._append(view[at:])
            return Piece(begin, self._size - begin)

    def take_key(self, path: Path, *, container: bool = False) -> Piece:
        """Read a key's file; `container`: it may be a PKCS #12 one. Raises OSError, and Locked where it has to be opened first."""
        with content_of(path, self.stamps) as content:
            if pem.is_encrypted(content) or (container and content[:1] == pem.DER):
                raise Locked(path)
            return self.put(path, content)

    def take_certificates(self, path: Path) -> Piece:
        """Only those of a file: a key may stand beside them. Raises OSError, and ValueError for what is none."""
        with content_of(path, self.stamps) as content:
            self.digests[path] = hashlib.sha256(content).digest()
            return self._append(memoryview(pem.chain(content)))

    def put_chain(self, path: Path, content: bytearray, ders: Sequence[bytes]) -> Piece:
        """The certificates of a file, which hold what was read out of it."""
        self.digests[path] = hashlib.sha256(content).digest()
        return self._append(memoryview(pem.plain(content, ders)))

    def take_lists(self, path: Path) -> Piece:
        """Only the lists of revoked certificates of a file. Raises OSError, and ValueError for what holds none."""
        with content_of(path, self.stamps) as content:
            self.digests[path] = hashlib.sha256(content).digest()
            return self._append(memoryview(pem.lists_as_text(content)))

    def note(self, content: bytes) -> Piece:
        """Put something of our own there, no secret."""
        return self._append(memoryview(content))

    def catch_up(self) -> None:
        """With what a process that we forked wrote into it."""
        self._size = max(self._size, os.fstat(self._memory).st_size)

    def wipe(self, piece: Piece) -> None:
        """What stood there is gone, and so is its memory, but for what shares a page with others."""
        if piece.size and _libc().fallocate(self._memory, PUNCH_HOLE | KEEP_SIZE, piece.offset, piece.size) != 0:
            os.pwrite(self._memory, bytes(piece.size), piece.offset)

    def copy(self, other: KeyStore, piece: Piece) -> Piece:
        """Take over a piece of another store."""
        with other.shown(piece) as content:
            return self._append(content)

    def absorb(self, other: KeyStore) -> int:
        """Take over everything that stands in another store, which a process that we forked may have filled; by how much its pieces
        have moved."""
        other.catch_up()
        begin = self._size
        for at in range(0, other._size, AT_ONCE):
            self.copy(other, Piece(at, min(AT_ONCE, other._size - at)))
        return begin

    @contextmanager
    def shown(self, piece: Piece) -> Iterator[memoryview]:
        """A piece's content, gone when the context is left: copy nothing out of it that is secret."""
        with wiped(piece.size) as buffer:
            os.preadv(self._memory, [buffer], piece.offset)
            view = memoryview(buffer)
            try:
                yield view
            finally:
                view.release()

    def text(self, at: int, size: int) -> bytes:
        """A copy of what stands there, for what its reader keeps anyhow."""
        return os.pread(self._memory, size, at)

    @contextmanager
    def as_file(self, piece: Piece) -> Iterator[str]:
        """A path that holds a piece, in memory only."""
        memory = os.memfd_create("lbproxy-pem", os.MFD_CLOEXEC)
        try:
            with self.shown(piece) as content:
                os.write(memory, content)
            yield f"/proc/self/fd/{memory}"
        finally:
            os.close(memory)

    def close(self) -> None:
        """At any time, also again."""
        if self._memory >= 0:
            os.close(self._memory)
            self._memory = -1

    def _append(self, content: memoryview) -> Piece:
        piece = Piece(self._size, len(content))
        os.pwrite(self._memory, content, piece.offset)
        self._size += piece.size
        content.release()
        return piece


class Locked(Exception):
    """A key that a passphrase has to be known for, or a PKCS #12 file: see unlock.py."""


class NoFile(OSError):
    """Not a regular file: a FIFO would block whoever reads it, a device never end."""


def digest(path: Path) -> bytes:
    """What a file holds, as SHA-256; b"" for one that cannot be read."""
    try:
        with content_of(path) as content:
            return hashlib.sha256(content).digest()
    except OSError:
        return b""


@cache
def _libc() -> ctypes.CDLL:
    libc = ctypes.CDLL(None)
    libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
    return libc


@contextmanager
def content_of(path: Path, stamps: dict[Path, Stamp] | None = None) -> Iterator[bytearray]:
    """What a file holds, wiped when the context is left: copy nothing out of it that is secret. `stamps` gets its stamp. Raises
    OSError."""
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    try:
        facts = os.fstat(file)
        if not stat.S_ISREG(facts.st_mode):
            raise NoFile(0, "no regular file")
        if stamps is not None:
            stamps[path] = Stamp.of(facts)
        if facts.st_size > LARGEST:
            raise OSError(0, f"more than {LARGEST} bytes")
        with wiped(facts.st_size) as buffer:
            _fill(file, buffer)
            yield buffer
    finally:
        os.close(file)


def _fill(file: int, buffer: bytearray) -> None:
    at = 0
    with memoryview(buffer) as view:
        while at < len(view):
            read = os.readv(file, [view[at:]])
            if not read:
                raise OSError(0, "it became shorter while it was read")
            at += read


@contextmanager
def wiped(size: int) -> Iterator[bytearray]:
    """A buffer that holds nothing any more when the context is left."""
    buffer = bytearray(size)
    try:
        yield buffer
    finally:
        buffer[:] = bytes(size)


# ---------------------------------------------------------------- what is given back


@contextmanager
def overwriting(*, sweep: bool = True) -> Iterator[None]:
    """Memory that OpenSSL and the C library give back meanwhile is overwritten; without `sweep` all but small pieces, which whoever
    allocates next gets.

    OpenSSL clears what it knows to be secret, but not the PEM text in the buffer of the file it reads, nor every step on the way to
    a key: of an RSA key all numbers and half of the text were found in free memory afterwards (OpenSSL 3.0). Does nothing with a C
    library other than glibc. The end costs three milliseconds; within another one it costs nothing.
    """
    libc = _glibc()
    if libc is None or _nested:
        yield
        return
    _nested.append(True)
    libc.mallopt(M_PERTURB, PATTERN)
    try:
        yield
    finally:
        if sweep:
            _sweep(libc)
        libc.mallopt(M_PERTURB, 0)
        _nested.clear()


_nested: list[bool] = []


@cache
def _glibc() -> ctypes.CDLL | None:
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "gnu_get_libc_version"):
        return None
    libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    libc.free.restype, libc.free.argtypes = None, [ctypes.c_void_p]
    return libc


def _sweep(libc: ctypes.CDLL) -> None:
    """Take every small chunk out of the cache once."""
    for size in SMALL:
        chunks = [libc.malloc(size) for _ in range(CACHED)]
        for chunk in chunks:
            if chunk:
                ctypes.memset(chunk, 0, size)
        for chunk in chunks:
            libc.free(chunk)
