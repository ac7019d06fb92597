"""The pid file tells who runs, and its lock tells whether it is true."""

from __future__ import annotations

import fcntl
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from lbproxy.errors import StartError
from lbproxy.master.system.pidfile import PidFile, living_master
from tests.support.waiting import eventually

HOLDER = """
import os, sys
from pathlib import Path
from lbproxy.master.system.pidfile import PidFile
held = PidFile(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def test_it_holds_our_pid_until_released(tmp_path: Path) -> None:
    path = tmp_path / "run" / "lbproxy.pid"  # the folder is made
    held = PidFile(path)
    assert path.read_text() == f"{os.getpid()}\n"
    assert path.stat().st_mode & 0o777 == 0o644
    assert living_master(path) == os.getpid()
    held.release()
    assert list(path.parent.iterdir()) == []
    assert living_master(path) == 0


def test_a_living_one_is_refused_by_name_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "lbproxy.pid"
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(StartError, match=f"already running as pid {other.pid}"):
            PidFile(path)
        assert path.read_text() == f"{other.pid}\n"
        other.kill()
    assert path.exists()  # it had no chance to tidy up
    held = PidFile(path)
    assert path.read_text() == f"{os.getpid()}\n"
    held.release()


@pytest.mark.parametrize("content", ["", "1\n", "rubbish", "999999999999\n"])
def test_a_stale_one_is_taken_whatever_it_says(tmp_path: Path, content: str) -> None:
    """Process 1 lives, but it is not a master that holds this file."""
    path = tmp_path / "lbproxy.pid"
    path.write_text(content)
    held = PidFile(path)
    assert path.read_text() == f"{os.getpid()}\n"
    held.release()


def test_children_that_closed_it_do_not_keep_it(tmp_path: Path) -> None:
    """A worker that still drains after its master's death must not stop a new master from starting."""
    path = tmp_path / "lbproxy.pid"
    held = PidFile(path)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(writer)
        os.close(held.fileno())
        os.read(reader, 1)  # lives until the parent lets it go
        os._exit(0)
    os.close(reader)
    os.close(held.fileno())  # the master dies without a word
    eventually(lambda: living_master(path) == 0, "the lock is gone though the child lives")
    os.close(writer)
    os.waitpid(child, 0)


def test_a_file_that_became_somebody_elses_is_not_removed(tmp_path: Path) -> None:
    path = tmp_path / "lbproxy.pid"
    held = PidFile(path)
    path.unlink()
    path.write_text("77\n")
    held.release()
    assert path.read_text() == "77\n"


def test_a_file_removed_by_hand_does_not_hurt(tmp_path: Path) -> None:
    path = tmp_path / "lbproxy.pid"
    held = PidFile(path)
    path.unlink()
    held.release()


def test_a_place_that_cannot_be_written_says_why(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StartError, match=r"cannot write the pid file .*/file/lbproxy.pid: (Not a directory|File exists)"):
        PidFile(tmp_path / "file" / "lbproxy.pid")


# ---------------------------------------------------------------- strangers


def test_a_fifo_neither_blocks_nor_is_replaced(tmp_path: Path) -> None:
    """Whoever opens one waits for somebody at its other end."""
    path = tmp_path / "lbproxy.pid"
    os.mkfifo(path)
    for use in (PidFile, living_master):
        with pytest.raises(StartError, match=r"no regular file: remove it"):
            use(path)
    assert path.is_fifo()


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    """It may lead to another's pid file."""
    held = PidFile(tmp_path / "other.pid")
    path = tmp_path / "lbproxy.pid"
    path.symlink_to(held.path)
    for use in (PidFile, living_master):
        with pytest.raises(StartError, match="symbolic link"):
            use(path)
    held.release()


@pytest.mark.skipif(os.geteuid() != 0, reason="giving files away needs root")
def test_a_file_of_a_strangers_is_not_believed(tmp_path: Path) -> None:
    """Neither when we stop what it names, nor when we start."""
    path = tmp_path / "lbproxy.pid"
    held = PidFile(path)
    os.chown(path, 65534, 65534)
    for use in (PidFile, living_master):
        with pytest.raises(StartError, match="belongs to uid 65534"):
            use(path)
    held.release()


def test_a_lock_of_a_strangers_proves_nothing(tmp_path: Path) -> None:
    """After a crash the number is somebody else's by now, and anybody who may read the file can lock it."""
    path = tmp_path / "lbproxy.pid"
    with subprocess.Popen(["sleep", "60"]) as later:
        path.write_text(f"{later.pid}\n")
        os.utime(path, (1, 1))  # written long before that process came
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            assert living_master(path) == 0
            os.utime(path)  # it was there: the kernel's table of locks may be closed to us, or show other numbers
            assert living_master(path) == later.pid
        later.kill()


def test_folders_are_nobody_elses_to_write_to(tmp_path: Path) -> None:
    """Whatever the umask."""
    before = os.umask(0)
    try:
        PidFile(tmp_path / "run" / "lbproxy.pid").release()
    finally:
        os.umask(before)
    assert (tmp_path / "run").stat().st_mode & 0o777 == 0o755


def test_nobody_else_can_lock_it_before_we_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who may read a file may lock it, and a start would wait for him; afterwards everybody may read it."""
    modes: list[int] = []
    lock = fcntl.flock

    def look(fd: int, how: int) -> None:
        modes.append(stat.S_IMODE(os.fstat(fd).st_mode))
        assert how & fcntl.LOCK_NB
        lock(fd, how)

    monkeypatch.setattr(fcntl, "flock", look)
    before = os.umask(0o022)
    try:
        taken = PidFile(tmp_path / "pid")
    finally:
        os.umask(before)
    assert modes == [0o600]
    assert stat.S_IMODE((tmp_path / "pid").stat().st_mode) == 0o644
    taken.release()
