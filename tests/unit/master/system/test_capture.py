"""Files of taps: for the owner alone, the oldest in front, and none of somebody else's."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lbproxy.config import model
from lbproxy.errors import StartError
from lbproxy.master.system.capture import open_for_worker, try_out
from lbproxy.observe.pcap import PCAP_HEAD


def config(folder: Path) -> model.Config:
    return model.Config(source="f.toml", listen=(), routes=(), pools=(), taps=(model.TapConfig(folder, files=3, name="ids"),))


def test_a_ring_for_each_worker(tmp_path: Path) -> None:
    """New ones first, then the one that was written longest ago; nobody else may read them."""
    for number, when in ((0, 200), (1, 100)):
        file = tmp_path / f"ids-5-{number}.pcap"
        file.write_text("old" * 20)
        os.utime(file, (when, when))
    fds = open_for_worker(config(tmp_path), 5)["ids"]
    assert [os.readlink(f"/proc/self/fd/{fd}").rpartition("-")[2] for fd in fds] == ["2.pcap", "1.pcap", "0.pcap"]
    assert {os.fstat(fd).st_mode & 0o777 for fd in fds} == {0o600}
    assert (tmp_path / "ids-5-2.pcap").read_bytes() == PCAP_HEAD, "whoever reads all of them finds no broken one"
    again = open_for_worker(config(tmp_path), 5)["ids"]
    assert os.path.sameopenfile(again[0], fds[0]), "it is new as long as nothing was written to it"
    for fd in (*fds, *again):
        os.close(fd)


def test_others_files_are_left_alone(tmp_path: Path) -> None:
    """No link is followed, no file with another name is written to: then there is no tap, and it is told."""
    (tmp_path / "secret").write_text("x")
    (tmp_path / "ids-5-0.pcap").symlink_to(tmp_path / "secret")
    (tmp_path / "ids-6-0.pcap").hardlink_to(tmp_path / "secret")
    assert open_for_worker(config(tmp_path), 5) == {"ids": ()}
    assert open_for_worker(config(tmp_path), 6) == {"ids": ()}


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    """Refused before anything is forked, with the command that makes it."""
    with pytest.raises(StartError, match="install -d -m 700"):
        try_out(config(tmp_path / "none"))
    try_out(config(tmp_path))
