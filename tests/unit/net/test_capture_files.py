"""What is tapped goes to files, whole or not at all, by a thread that nobody waits for."""

from __future__ import annotations

import os
import struct
from pathlib import Path

from lbproxy.net.capture_files import CaptureFiles
from lbproxy.observe.pcap import PCAP_HEAD
from lbproxy.observe.tapped import Tapped
from tests.support.waiting import eventually


def one(size: int = 100) -> Tapped:
    return Tapped("192.0.2.1", "192.0.2.2", 443, b"r" * size, b"a" * size, 5.0)


def packets(file: Path) -> int:
    """How many whole ones are there; nothing stands behind them."""
    data = file.read_bytes()
    assert data[:24] == PCAP_HEAD
    at, count = 24, 0
    while at < len(data):
        at += 16 + struct.unpack_from("<L", data, at + 8)[0]
        count += 1
    assert at == len(data)
    return count


def ring(folder: Path, *names: str) -> list[int]:
    return [os.open(folder / name, os.O_RDWR | os.O_CREAT, 0o600) for name in names]


def test_a_ring_of_files(tmp_path: Path) -> None:
    """The next is emptied when one is full, and none is larger than it may be."""
    (tmp_path / "b").write_bytes(b"old" * 1000)
    lost: list[int] = []
    files = CaptureFiles(ring(tmp_path, "a", "b"), 3000, 10**6, lambda: lost.append(1))
    for _ in range(2):
        assert files.take(one())
    eventually(lambda: (tmp_path / "a").stat().st_size > 1500, "two conversations")
    for _ in range(2):
        assert files.take(one())
    eventually(lambda: files._thread.idle, "all are written")
    assert packets(tmp_path / "a") % 10 == 0
    assert packets(tmp_path / "b") % 10 == 0
    assert max((tmp_path / name).stat().st_size for name in "ab") <= 3000
    assert lost == []


def test_what_finds_no_room_is_dropped(tmp_path: Path) -> None:
    """At once, and counted by whoever asked; what a disk does not take is lost as a whole, and the next is tried."""
    lost: list[int] = []
    files = CaptureFiles([os.open("/dev/full", os.O_RDWR)], 3000, 5000, lambda: lost.append(1))
    assert not files.take(one(3000))
    assert files.take(one())
    eventually(lambda: lost == [1], "told of it")
    assert files.take(one())
    eventually(lambda: lost == [1, 1], "and of the next")
