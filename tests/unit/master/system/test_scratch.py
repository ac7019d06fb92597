"""Files without a name, for what memory should not hold."""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from pathlib import Path

import pytest

from lbproxy.errors import StartError
from lbproxy.master.system.scratch import open_for_worker, open_unnamed, try_out
from tests.unit.config.text import LEAST, read


def test_nothing_with_a_name_is_left(tmp_path: Path) -> None:
    fd = open_unnamed(tmp_path)
    assert os.listdir(tmp_path) == []
    assert os.fstat(fd).st_nlink == 0
    os.close(fd)


def test_file_systems_without_unnamed_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name for a moment, which nobody else may read."""
    real = os.open

    def without(path: Path, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(errno.EOPNOTSUPP, "not here")
        return real(path, flags, mode)

    monkeypatch.setattr(os, "open", without)
    fd = open_unnamed(tmp_path)
    assert os.listdir(tmp_path) == []
    assert os.fstat(fd).st_mode & 0o777 == 0o600
    os.close(fd)
    with pytest.raises(FileNotFoundError):
        open_unnamed(tmp_path / "missing")


def test_a_folder_that_cannot_be_written_is_refused_only_where_it_is_needed(tmp_path: Path) -> None:
    """Before anything is forked, with a way out. A worker that finds it gone later buffers in memory."""
    plain = read(LEAST)
    buffering = read(LEAST + 'buffer_requests = "1KiB"\n')
    missing = tmp_path / "missing"
    for config in (plain, buffering):
        config = replace(config, proxy=replace(config.proxy, temp_dir=missing))
        if config.buffers_on_disk:
            with pytest.raises(StartError, match=r"proxy.temp_dir: cannot write into .*missing: No such file"):
                try_out(config)
        else:
            try_out(config)
        assert open_for_worker(config) == -1
    for config in (plain, buffering):  # a server of HTTP/1.0 may need it in any pool
        here = replace(config, proxy=replace(config.proxy, temp_dir=tmp_path))
        try_out(here)
        fd = open_for_worker(here)
        assert os.write(fd, b"x") == 1
        os.close(fd)
    assert os.listdir(tmp_path) == []
