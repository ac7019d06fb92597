"""The files of large stored bodies."""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from lbproxy.cache.interface import CacheError
from lbproxy.cache.layout import Counter
from lbproxy.net import body_files as module
from lbproxy.net.body_files import KEPT_OPEN, LEFT_BEHIND, BodyFiles
from tests.support.descriptors import held_open
from tests.unit.net.loopback import start, until

counted: list[int] = []


@pytest.fixture
def files(tmp_path: Path) -> Iterator[BodyFiles]:
    counted.clear()
    found = BodyFiles(tmp_path, 1_000_000, counted.append)
    found.numbers = iter(range(1, 1000)).__next__
    yield found
    found.close()
    found._files.thread.join(60)
    assert not found._files.thread.is_alive()


def stored(files: BodyFiles, data: bytes) -> int:
    """The number of a file with that in it."""

    def store() -> int:
        writing = files.create()
        for at in range(0, len(data), 50_000):
            writing.write(data[at : at + 50_000])
        assert writing.size == len(data)
        return writing.finish()

    return start(store).result()


def test_a_body_is_read_as_it_was_written(files: BodyFiles, tmp_path: Path) -> None:
    """In any pieces; nobody else may read the file, and past its end there is nothing."""
    data = bytes(range(256)) * 1000
    number = stored(files, data)
    assert number == 1
    path = tmp_path / f"{number:016x}"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    reading = start(lambda: files.open(number)).result()
    assert reading is not None
    assert start(lambda: reading.read(0, len(data))).result() == data
    assert start(lambda: reading.read(70_001, 10)).result() == data[70_001:70_011]
    with pytest.raises(CacheError, match="shorter"):
        start(lambda: reading.read(len(data) - 1, 2)).result()
    reading.close()
    reading.close()


def test_what_is_removed_is_read_to_its_end(files: BodyFiles, tmp_path: Path) -> None:
    """But nobody begins to."""
    number = stored(files, b"x" * 100_000)
    reading = start(lambda: files.open(number)).result()
    files.remove([number])
    until(lambda: not list(tmp_path.iterdir()), "the file is gone")
    assert reading is not None
    assert start(lambda: reading.read(90_000, 10_000)).result() == b"x" * 10_000
    reading.close()
    assert start(lambda: files.open(number)).result() is None
    assert counted.count(Counter.FILES_LOST) == 1


def test_few_files_stay_open(files: BodyFiles) -> None:
    """Those that were asked for last, and those that somebody reads."""
    before = held_open()
    first = start(lambda: files.open(stored_numbers[0])) if (stored_numbers := [stored(files, b"x") for _ in range(80)]) else None
    assert first is not None
    kept = first.result()
    for number in stored_numbers[1:]:
        reading = start(partial(files.open, number)).result()
        assert reading is not None
        reading.close()
    assert kept is not None
    assert start(lambda: kept.read(0, 1)).result() == b"x"
    kept.close()
    assert held_open() - before <= KEPT_OPEN


def test_a_full_disk_is_told(files: BodyFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever writes gives up, and nothing is left; the next file may have room."""

    def full(fd: int, data: bytes, at: int) -> bytes:
        raise OSError(errno.ENOSPC, "No space left on device")

    def store() -> int:
        writing = files.create()
        try:
            writing.write(bytes(100_000))
            return writing.finish()
        finally:
            writing.abandon()

    monkeypatch.setattr(module, "write_all", full)
    with pytest.raises(CacheError, match="No space"):
        start(store).result()
    assert Counter.FILE_FAILURES in counted
    until(lambda: not list(tmp_path.iterdir()), "the file is gone")
    monkeypatch.undo()
    assert start(store).result() == 2
    assert [path.name for path in tmp_path.iterdir()] == [f"{2:016x}"]


def test_what_is_too_large_or_has_no_number_is_refused(files: BodyFiles) -> None:
    """More than all files together may have."""
    writing = start(files.create).result()
    with pytest.raises(CacheError, match="larger"):
        start(lambda: writing.write(bytes(1_000_001))).result()
    writing.abandon()
    files.numbers = int
    with pytest.raises(CacheError, match="number"):
        start(files.create).result()


def test_files_that_nobody_names_are_found(files: BodyFiles, tmp_path: Path) -> None:
    """Those of killed workers, when they have not been written to for a while; what is not ours stays."""
    old = time.time() - LEFT_BEHIND - 10
    for name in (f"{900:016x}", f"{901:016x}", "README", "0" * 15 + "g"):
        (tmp_path / name).write_bytes(b"x")
        os.utime(tmp_path / name, (old, old))
    fresh = stored(files, b"being written, for all that anybody knows")
    files.named = lambda: {901}
    files.sweep()
    until(lambda: not (tmp_path / f"{900:016x}").exists(), "it is gone")
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {f"{901:016x}", f"{fresh:016x}", "README", "0" * 15 + "g"}
