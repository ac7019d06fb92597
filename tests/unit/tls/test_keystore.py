"""What was read stays as it was, and where it was read through nothing is left."""

from __future__ import annotations

import ctypes
import hashlib
import os
from pathlib import Path

import pytest

from lbproxy.tls.keystore import LARGEST, KeyStore, Piece, digest, overwriting, wiped
from tests.unit.tls.files import pair, write

PEM = b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
PEM += b"-----BEGIN PRIVATE KEY-----\nsecret\n-----END PRIVATE KEY-----\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A certificate with its key beside it."""
    path = tmp_path / "both.pem"
    path.write_bytes(PEM)
    return path


def read(store: KeyStore, piece: Piece) -> bytes:
    with store.as_file(piece) as path:
        return Path(path).read_bytes()


def test_pieces_keep_what_their_files_held(file: Path, tmp_path: Path) -> None:
    """Whatever becomes of the files."""
    store = KeyStore()
    other = tmp_path / "other"
    other.write_bytes(b"x" * 5000)
    pieces = [store.take(file), store.take(other), store.take(file)]
    file.write_bytes(b"changed")
    other.unlink()
    assert [read(store, piece) for piece in pieces] == [PEM, b"x" * 5000, PEM]
    copy = KeyStore()
    assert read(copy, copy.copy(store, pieces[1])) == b"x" * 5000
    again = KeyStore(os.dup(store.fileno()))
    assert read(again, pieces[2]) == PEM
    for one in (store, copy, again):
        one.close()
        one.close()


def test_of_a_file_with_a_key_only_certificates_are_taken(tmp_path: Path) -> None:
    """By whoever wants no more."""
    made = pair(tmp_path, "a.test")
    both = write(tmp_path / "both.pem", made.key.read_bytes() + made.cert.read_bytes())
    store = KeyStore()
    taken = read(store, store.take_certificates(both))
    assert taken.split() == made.cert.read_bytes().split()
    assert b"PRIVATE" not in taken


def test_blocks_that_were_joined_get_lines_of_their_own(tmp_path: Path) -> None:
    """OpenSSL would pass over the second one."""
    joined = write(tmp_path / "joined.pem", PEM.replace(b"CERTIFICATE-----\n-----BEGIN", b"CERTIFICATE----------BEGIN"))
    store = KeyStore()
    assert read(store, store.take(joined)) == PEM


def test_what_is_no_regular_file_is_refused_at_once(tmp_path: Path) -> None:
    """A FIFO would block whoever reads it, a device never end."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    for path in (fifo, Path("/dev/zero"), tmp_path):
        with pytest.raises(OSError, match="no regular file"):
            KeyStore().take(path)
    huge = tmp_path / "huge"
    with huge.open("wb") as file:
        file.truncate(LARGEST + 1)
    with pytest.raises(OSError, match="more than"):
        KeyStore().take(huge)
    with pytest.raises(FileNotFoundError):
        KeyStore().take(tmp_path / "none")


def test_buffers_are_wiped_also_after_an_error() -> None:
    kept: list[bytearray] = []

    def use() -> None:
        with wiped(6) as buffer:
            kept.append(buffer)
            buffer[:] = b"secret"
            raise RuntimeError

    with pytest.raises(RuntimeError):
        use()
    assert kept == [bytearray(6)]


def test_a_digest_tells_whether_a_file_changed(file: Path, tmp_path: Path) -> None:
    assert digest(file) == hashlib.sha256(PEM).digest()
    assert digest(tmp_path / "none") == b""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "gnu_get_libc_version"), reason="not the GNU C library")
@pytest.mark.parametrize("size", [48, 1000, 4096])
def test_what_is_given_back_is_overwritten(size: int) -> None:
    """Small chunks, which the allocator keeps at hand, and larger ones. (The first 16 bytes are the allocator's own list.)"""
    libc = ctypes.CDLL(None)
    libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    libc.free.argtypes = [ctypes.c_void_p]
    with overwriting(), overwriting():
        fence = libc.malloc(size), libc.malloc(size), libc.malloc(size)  # the middle one does not join the rest of the heap
        ctypes.memset(fence[1], ord("s"), size)
        libc.free(fence[1])
    assert b"ssss" not in ctypes.string_at(fence[1] + 16, size - 32)
    for one in (fence[0], fence[2]):
        libc.free(one)
