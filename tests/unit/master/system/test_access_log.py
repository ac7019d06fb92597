"""Opening the access log: appending, private, and never through somebody's link as root."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lbproxy.config.model import Config, LogConfig
from lbproxy.errors import StartError
from lbproxy.master.system import access_log
from lbproxy.master.system.access_log import open_access_log


def config_of(access: str) -> Config:
    return Config("proxy.toml", listen=(), routes=(), pools=(), log=LogConfig(access=access))


def test_off() -> None:
    assert open_access_log(config_of("off")) == -1


def test_stdout_is_a_copy_of_it() -> None:
    fd = open_access_log(config_of("stdout"))
    assert fd > 2
    assert os.path.samestat(os.fstat(fd), os.fstat(1))
    os.close(fd)


@pytest.mark.parametrize(("name", "number"), [("/dev/stdout", 1), ("/proc/self/fd/1", 1), ("/dev/fd/2", 2), ("/dev/stderr", 2)])
def test_names_of_standard_descriptors_are_copies_of_them(name: str, number: int) -> None:
    """Opening them again is not everybody's right, and impossible for a socket."""
    fd = open_access_log(config_of(name))
    assert os.path.sameopenfile(fd, number)
    os.close(fd)


def test_a_line_that_was_torn_before_is_ended(tmp_path: Path) -> None:
    """By a power cut, say."""
    path = tmp_path / "access.log"
    for torn, after in ((b"", b""), (b"whole\n", b"whole\n"), (b"whole\nto", b"whole\nto\n")):
        path.write_bytes(torn)
        os.close(open_access_log(config_of(str(path))))
        assert path.read_bytes() == after


def test_a_file_is_appended_to_and_not_for_everybody(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    for line in (b"one\n", b"two\n"):
        fd = open_access_log(config_of(str(path)))
        os.write(fd, line)
        assert not os.get_inheritable(fd)
        os.close(fd)
    assert path.read_bytes() == b"one\ntwo\n"
    assert path.stat().st_mode & 0o027 == 0


def test_a_folder_that_is_missing_says_so(tmp_path: Path) -> None:
    with pytest.raises(StartError, match=r"^proxy\.toml: log\.access: cannot write .*/no/access\.log: No such file"):
        open_access_log(config_of(str(tmp_path / "no" / "access.log")))


def test_a_pipe_that_nobody_reads_is_an_error_and_no_standstill(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(StartError, match=r"a pipe that nobody reads \(start its reader first\)"):
        open_access_log(config_of(str(tmp_path / "pipe")))


@pytest.mark.skipif(os.geteuid() != 0, reason="the rule is for root")
def test_root_follows_links_only_in_folders_of_its_own(tmp_path: Path) -> None:
    """The worker's account owns /var/log/lbproxy on many machines, and could put a link there."""
    target = tmp_path / "shadow"
    target.write_text("")
    logs = tmp_path / "logs"
    logs.mkdir(0o755)
    (logs / "access.log").symlink_to(target)
    config = config_of(str(logs / "access.log"))
    os.close(open_access_log(config))  # root's own folder: the admin's link to wherever the admin wants
    os.chown(logs, 65534, 65534)
    with pytest.raises(StartError, match="cannot write"):
        open_access_log(config)
    os.chown(logs, 0, 0)
    logs.chmod(0o777)
    with pytest.raises(StartError, match="cannot write"):
        open_access_log(config)


@pytest.mark.skipif(os.geteuid() != 0, reason="giving files away needs root")
def test_a_strangers_file_in_a_folder_of_everybodys_is_refused(tmp_path: Path) -> None:
    """He could read what is logged."""
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(0o1777)
    path = folder / "access.log"
    path.touch()
    os.chown(path, 12345, 12345)
    config = config_of(str(path))
    with pytest.raises(StartError, match="belongs to uid 12345, in a folder that others may write to"):
        open_access_log(config)
    folder.chmod(0o755)
    os.close(open_access_log(config))  # root put it there


@pytest.mark.skipif(os.geteuid() != 0, reason="the rule is for root")
def test_a_second_name_of_another_file_is_no_log(tmp_path: Path) -> None:
    """Where the kernel lets anybody give a file a second name, it leads where a link does."""
    other, folder = tmp_path / "crontab", tmp_path / "logs"
    other.touch()
    folder.mkdir()
    folder.chmod(0o777)
    (folder / "access.log").hardlink_to(other)
    with pytest.raises(StartError, match="another name"):
        open_access_log(config_of(str(folder / "access.log")))
    folder.chmod(0o755)
    os.close(open_access_log(config_of(str(folder / "access.log"))))


@pytest.mark.skipif(os.geteuid() != 0, reason="the rule is for root")
def test_the_folder_that_was_looked_at_is_the_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever owns the folder above may put another one in its place at any moment."""
    folder, theirs, secret = tmp_path / "logs", tmp_path / "theirs", tmp_path / "secret"
    folder.mkdir(mode=0o755)
    theirs.mkdir()
    (theirs / "access.log").symlink_to(secret)
    look = access_log._ours_alone

    def look_and_swap(place: int) -> bool:
        found = look(place)
        folder.rename(tmp_path / "before")
        theirs.rename(folder)
        return found

    monkeypatch.setattr(access_log, "_ours_alone", look_and_swap)
    os.close(open_access_log(config_of(str(folder / "access.log"))))
    assert not secret.exists()
    assert (tmp_path / "before" / "access.log").exists()
