"""Files of /proc, which may be gone, unreadable or long."""

from __future__ import annotations

import os
from pathlib import Path

from lbproxy.cli.live.processes import read, text


def test_this_process() -> None:
    [found] = read([("test", os.getpid())])
    assert f"Pid:\t{os.getpid()}\n" in found.status
    assert "Max core file size" in found.limits
    assert found.owner in (0, os.geteuid())


def test_who_is_gone_is_left_out_and_what_cannot_be_read_is_empty(tmp_path: Path) -> None:
    (tmp_path / "7").mkdir()
    (tmp_path / "8").mkdir()
    (tmp_path / "8" / "status").write_bytes(b"\xff" * 100_000)
    [first, second] = read([("a", 6), ("b", 7), ("c", 8)], tmp_path)
    assert (first.what, first.status, first.limits, first.owner) == ("b", "", "", -1)
    assert len(second.status) == 65_536
    assert text(tmp_path) == ""
