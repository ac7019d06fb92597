"""lbproxy.master.system.cache_kept: what is kept is whole and ours, or it is discarded."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from lbproxy.cache.area import Area
from lbproxy.cache.interface import New, StoredEntry, Turn
from lbproxy.cache.layout import Counter
from lbproxy.cache.memory import MemoryParts
from lbproxy.config.model import CacheStoreConfig, Config
from lbproxy.master.system import cache_kept, cache_memory
from lbproxy.master.system.cache_memory import CacheMemory
from tests.unit.cache.world import FreeLock

SMALL = 4 * 2**20
KEY = b"k" * 16
STORED = StoredEntry(b"meta", b"body", 4, 0)


def began(wanted: CacheStoreConfig, *, start: bool = True) -> CacheMemory:
    return cache_memory.make(Config("lbproxy.toml", (), (), (), cache=wanted), wanted, None, start=start)


def area(memory: CacheMemory) -> Area:
    return Area(MemoryParts(memory.mapped, memory.disk, [0] * len(Counter)), FreeLock(), 1, lambda numbers: None)


def stored(memory: CacheMemory) -> StoredEntry | None:
    """What it has, wherever that stands."""
    entry = area(memory).get(KEY)
    return entry and entry._replace(place=0, sequence=0)


def filled(tmp_path: Path) -> tuple[CacheStoreConfig, Path]:
    """A memory with one answer, one mark and one feed, kept as at an end."""
    wanted = CacheStoreConfig(SMALL, keep=tmp_path / "kept")
    memory = began(wanted)
    one = area(memory)
    assert one.put(KEY, New(b"meta", b"http://a/", (), b"body"), one.begin(KEY))
    assert one.marks.take(b"m" * 16, 0, 10**9) is Turn.LEAD
    assert one.feeds.open(b"m" * 16, b"", 4, 0) is not None
    assert wanted.keep is not None
    cache_memory.keep(memory, wanted.keep)
    return wanted, wanted.keep


def test_what_is_stored_outlives_a_restart(tmp_path: Path) -> None:
    """Once: the file is gone then, as is what processes of before had under way. Little is written of what was never filled."""
    wanted, file = filled(tmp_path)
    assert file.stat().st_size < SMALL // 2
    assert file.stat().st_mode & 0o777 == 0o600
    memory = began(wanted)
    assert stored(memory) == STORED
    again = area(memory)
    assert again.marks.take(b"m" * 16, 1, 10) is Turn.LEAD
    assert again.feeds.find(b"m" * 16) is None
    assert not list(tmp_path.iterdir())
    assert stored(began(wanted)) is None


def _cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-40])


def _flipped(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


def _longer(file: Path) -> None:
    file.write_bytes(file.read_bytes() + b"x")


def _other_version(file: Path) -> None:
    file.write_bytes(file.read_bytes().replace(b"0.1.0", b"0.0.9", 1))


def _linked(file: Path) -> None:
    os.link(file, file.with_name("another"))


def _symlink(file: Path) -> None:
    os.rename(file, file.with_name("another"))
    file.symlink_to("another")


def _empty(file: Path) -> None:
    file.write_bytes(b"")


def _open_to_others(file: Path) -> None:
    file.chmod(0o644)


def _pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file, 0o600)


@pytest.mark.parametrize(
    "spoil", [_cut, _flipped, _longer, _other_version, _linked, _symlink, _empty, _open_to_others, _pipe]
)
def test_what_does_not_fit_is_discarded(tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    """Nothing of it is there, and all is stored as in an empty one."""
    wanted, file = filled(tmp_path)
    spoil(file)
    memory = began(wanted)
    again = area(memory)
    assert again.get(KEY) is None
    assert again.put(KEY, New(b"new", b"http://a/", (), b""), again.begin(KEY))
    assert stored(memory) == StoredEntry(b"new", b"", 0, 0)


def test_another_size_and_another_boot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Times in it are of a clock that begins with the machine."""
    _, file = filled(tmp_path)
    assert stored(began(CacheStoreConfig(2 * SMALL, keep=file))) is None
    wanted, _ = filled(tmp_path)
    boot = tmp_path / "boot"
    boot.write_text("another\n")
    monkeypatch.setattr(cache_kept, "BOOT_ID", boot)
    assert stored(began(wanted)) is None


def test_a_reload_begins_empty(tmp_path: Path) -> None:
    """What is kept is for a start."""
    wanted, file = filled(tmp_path)
    assert stored(began(wanted, start=False)) is None
    assert file.exists()


def test_bodies_in_a_folder_that_others_could_write(tmp_path: Path) -> None:
    """They may be anything: the memory that names them is discarded."""
    folder = tmp_path / "files"
    folder.mkdir(mode=0o700)
    wanted = CacheStoreConfig(SMALL, folder, 2**24, tmp_path / "kept")
    for mode, found in ((0o700, STORED), (0o755, None)):
        memory = began(wanted)
        one = area(memory)
        one.put(KEY, New(b"meta", b"http://a/", (), b"body"), one.begin(KEY))
        (folder / cache_memory.NAME / f"{7:016x}").write_bytes(b"body")
        cache_memory.keep(memory, tmp_path / "kept")
        (folder / cache_memory.NAME).chmod(mode)
        assert stored(began(wanted)) == found
        assert (folder / cache_memory.NAME / f"{7:016x}").exists() is (found is not None)


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    """It is told, and ends nothing; one that others may write is refused at the start."""
    memory = began(CacheStoreConfig(SMALL))
    cache_memory.keep(memory, tmp_path / "missing" / "kept")
    wanted = CacheStoreConfig(SMALL, keep=tmp_path / "missing" / "kept")
    [fault] = cache_memory.faults(Config("lbproxy.toml", (), (), (), cache=wanted), wanted, None)
    assert fault.key == "cache.keep"
