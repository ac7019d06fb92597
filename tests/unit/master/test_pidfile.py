"""The pid file tells who runs, and its lock tells whether it is true."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lbproxy.errors import StartError
from lbproxy.master.pidfile import PidFile, living_master
from tests.support.waiting import eventually

HOLDER = """
import os, sys
from pathlib import Path
from lbproxy.master.pidfile import PidFile
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
