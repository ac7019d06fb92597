"""lbproxy.master.system.cache_memory: what is made, taken over and refused."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

import pytest

from lbproxy.cache.memory import fits
from lbproxy.config.model import CacheStoreConfig, Config
from lbproxy.errors import StartError
from lbproxy.master.system import cache_memory
from lbproxy.master.system.cache_memory import NAME, CacheMemory, adopt, complaints, make, memory_there, mend, provide

SMALL = 4 * 2**20


def made(wanted: CacheStoreConfig) -> CacheMemory:
    return make(Config("lbproxy.toml", (), (), (), cache=wanted), wanted, None)


def test_memory_that_outlives_its_program() -> None:
    """It is found by its descriptor; what has another form is closed and nothing."""
    memory = made(CacheStoreConfig(SMALL))
    assert fits(memory.mapped, 0)
    assert memory.serves(CacheStoreConfig(SMALL))
    assert not memory.serves(CacheStoreConfig(2 * SMALL))
    assert not memory.serves(CacheStoreConfig(SMALL, Path("/elsewhere")))
    again = adopt(os.dup(memory.descriptor), 0, "")
    assert again is not None
    assert again.mapped[:4096] == memory.mapped[:4096]
    assert not os.get_inheritable(again.descriptor)
    other = os.dup(memory.descriptor)
    assert adopt(other, 17, "") is None
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(other)
    descriptor = memory.descriptor
    del memory
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


@pytest.mark.parametrize("more", [1, 7, 4095])
def test_a_number_of_bytes_that_is_none_of_pages(more: int) -> None:
    wanted = CacheStoreConfig(SMALL + more)
    memory = made(wanted)
    assert memory.size == SMALL
    assert memory.serves(wanted)


def test_the_folder_is_ours_alone_and_empty(tmp_path: Path) -> None:
    """Bodies of before go; what has another name stays."""
    inner = tmp_path / NAME
    inner.mkdir(mode=0o755)
    (inner / f"{7:016x}").write_bytes(b"old")
    (inner / "README").write_bytes(b"stays")
    memory = made(CacheStoreConfig(SMALL, tmp_path, 2**24))
    assert memory.folder == inner
    assert [path.name for path in inner.iterdir()] == ["README"]
    assert stat.S_IMODE(inner.stat().st_mode) == 0o700


def test_what_fits_is_taken_over(tmp_path: Path) -> None:
    """As it is, but for its folder; a configuration without a cache has none."""
    wanted = CacheStoreConfig(SMALL, tmp_path, 2**24)
    config = Config("lbproxy.toml", (), (), (), cache=wanted)
    memory = provide(config, [None], None)
    assert memory is not None
    (tmp_path / NAME).rmdir()
    assert provide(config, [None, made(CacheStoreConfig(SMALL)), memory], None) is memory
    assert (tmp_path / NAME).is_dir()
    assert provide(config, [made(CacheStoreConfig(SMALL))], None) is not memory
    assert provide(Config("lbproxy.toml", (), (), ()), [memory], None) is None


def test_a_folder_that_was_removed_is_there_again(tmp_path: Path) -> None:
    """For those who serve from now on; one that is there stays with all that is in it, and none is made where others write."""
    memory = made(CacheStoreConfig(SMALL, tmp_path, 2**24))
    inner = tmp_path / NAME
    (inner / f"{7:016x}").write_bytes(b"stored")
    mend(memory, None)
    assert [path.name for path in inner.iterdir()] == [f"{7:016x}"]
    shutil.rmtree(inner)
    tmp_path.chmod(0o777)
    mend(memory, None)
    assert not inner.exists()
    tmp_path.chmod(0o700)
    mend(memory, None)
    assert stat.S_IMODE(inner.stat().st_mode) == 0o700
    inner.rmdir()
    inner.symlink_to("/etc")
    mend(memory, None)
    assert inner.is_symlink()
    inner.unlink()
    tmp_path.rmdir()
    mend(memory, None)
    assert not tmp_path.exists()
    mend(made(CacheStoreConfig(SMALL)), None)


@pytest.mark.parametrize(("mode", "says"), [(0o777, "writable by others"), (0o770, "writable by others")])
def test_a_folder_that_others_write_into(tmp_path: Path, mode: int, says: str) -> None:
    """What is served from it would be theirs."""
    tmp_path.chmod(mode)
    with pytest.raises(StartError, match=says):
        made(CacheStoreConfig(SMALL, tmp_path))


def test_no_folder(tmp_path: Path) -> None:
    """With a hint that makes one; a file is none; a link in place of ours is not followed."""
    with pytest.raises(StartError, match=r"No such file.*install -d -m 700"):
        made(CacheStoreConfig(SMALL, tmp_path / "none"))
    (tmp_path / "file").touch()
    with pytest.raises(StartError, match="it is a file"):
        made(CacheStoreConfig(SMALL, tmp_path / "file"))
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / NAME).symlink_to("elsewhere")
    with pytest.raises(StartError, match="cannot make the cache"):
        made(CacheStoreConfig(SMALL, tmp_path))


def test_more_memory_than_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the machine, or of the container; `check` says it as well."""
    assert memory_there() > SMALL
    monkeypatch.setattr(cache_memory, "memory_there", lambda: 5 * 2**20)
    wanted = CacheStoreConfig(SMALL + 2**20)
    with pytest.raises(StartError, match="wanted at most 4MiB of the 5 MiB that may be used here, got 5MiB"):
        made(wanted)
    told = complaints(Config("lbproxy.toml", (), (), (), cache=wanted))
    assert [complaint.key for complaint in told] == ["cache.memory"]
    assert complaints(Config("lbproxy.toml", (), (), ())) == []
