"""The folder of accounts and certificates."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lbproxy.acme.folder import LARGEST, AcmeFolder
from lbproxy.acme.record import NameRecord
from lbproxy.tls.selfsigned import placeholder


def test_files_are_whole_and_for_their_owner_alone(tmp_path: Path) -> None:
    """A new one is made once; nothing half written stays."""
    folder = AcmeFolder(tmp_path)
    assert folder.read("a") is None
    assert folder.write("a", b"1", new=True)
    assert not folder.write("a", b"2", new=True)
    assert folder.read("a") == b"1"
    assert folder.write("a", b"3")
    assert folder.read("a") == b"3"
    assert os.stat(tmp_path / "a").st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["a"]
    folder.remove("a")
    folder.remove("a")


def test_what_is_no_file_of_ours_is_not_read(tmp_path: Path) -> None:
    """Neither a link that somebody put there, nor what is too large."""
    (tmp_path / "real").write_bytes(b"x" * (LARGEST + 1))
    (tmp_path / "link").symlink_to(tmp_path / "real")
    for name in ("real", "link"):
        with pytest.raises(OSError, match=r"more than|symbolic"):
            AcmeFolder(tmp_path).read(name)


def test_a_placeholder_is_no_certificate(tmp_path: Path) -> None:
    """Nor is nonsense."""
    folder = AcmeFolder(tmp_path)
    folder.write("a.test.pem", placeholder("a.test", datetime.now(UTC)))
    folder.write("b.test.pem", b"-----BEGIN CERTIFICATE-----\n")
    assert folder.held("a.test") is None
    assert folder.held("b.test") is None
    assert folder.record("a.test") == NameRecord()
    folder.keep("*.a.test", NameRecord("x"))
    assert folder.record("*.a.test").authority == "x"


def test_what_a_killed_process_left_is_swept(tmp_path: Path) -> None:
    """When it is old: somebody else may be writing right now."""
    folder = AcmeFolder(tmp_path)
    for name, age in (("~old", 7200), ("~new", 0)):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (10_000 - age, 10_000 - age))
    folder.sweep(10_000)
    assert os.listdir(tmp_path) == ["~new"]
