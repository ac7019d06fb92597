"""The files of large stored bodies."""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from lbproxy.cache.interface import CacheError, Reading
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


def opened(files: BodyFiles, number: int, size: int = 100_000) -> Reading:
    """One that is there."""
    found = start(lambda: files.open(number, size)).result()
    assert found is not None
    return found


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
        start(lambda: reading.read(len(data) - 1, 100)).result()
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


def _zeroed(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def _another(path: Path) -> None:
    other = path.with_name(f"{2:016x}")
    path.unlink()
    other.rename(path)


def _in_its_place(make: Callable[[Path], object]) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        path.unlink()
        make(path)

    return change


CHANGES: dict[str, Callable[[Path], object]] = {
    "shorter": lambda path: os.truncate(path, 70_000), "without an end": lambda path: os.truncate(path, 100_000),
    "empty": lambda path: os.truncate(path, 0), "longer": lambda path: os.truncate(path, 200_000), "zeroed": _zeroed,
    "another one": _another, "gone": Path.unlink, "a pipe": _in_its_place(os.mkfifo), "a folder": _in_its_place(Path.mkdir),
    "a link": _in_its_place(lambda path: path.symlink_to(path.with_name(f"{2:016x}"))),
    "a hard link": _in_its_place(lambda path: path.hardlink_to(path.with_name(f"{2:016x}"))),
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_what_somebody_else_has_changed_is_gone(files: BodyFiles, tmp_path: Path, change: str) -> None:
    """Whatever stands in its place, nobody waits for that, and nobody gets it; others are as they were, and so is the next."""
    number, other = stored(files, b"x" * 100_000), stored(files, b"y" * 100_000)
    CHANGES[change](tmp_path / f"{number:016x}")
    assert start(lambda: files.open(number, 100_000)).result() is None
    assert counted == [Counter.FILES_LOST]
    if change != "another one":
        opened(files, other).close()
    reading = opened(files, stored(files, b"z" * 100_000))
    assert start(lambda: reading.read(0, 100_000)).result() == b"z" * 100_000
    reading.close()


def test_what_is_cut_while_it_is_open(files: BodyFiles, tmp_path: Path) -> None:
    """Nobody gets a part of it for all; it is opened no more when it was removed."""
    number = stored(files, b"x" * 100_000)
    reading = opened(files, number)
    assert files.at_once(number, 100_000) == b"x" * 100_000
    os.truncate(tmp_path / f"{number:016x}", 70_000)
    assert files.at_once(number, 100_000) is None
    with pytest.raises(CacheError, match="shorter"):
        start(lambda: reading.read(65_536, 34_464)).result()
    reading.close()
    files.remove([number])
    assert start(lambda: files.open(number, 100_000)).result() is None


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

    told: list[str] = []
    files.failing = told.append
    monkeypatch.setattr(module, "write_all", full)
    with pytest.raises(CacheError, match="No space"):
        start(store).result()
    assert Counter.FILE_FAILURES in counted
    assert told == ["No space left on device"]
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
