"""A socket file is replaced when nobody listens on it, and never when somebody does or when it is something else."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from lbproxy.errors import StartError
from lbproxy.master.system import socketfile
from lbproxy.master.system.socketfile import SocketFile, listens


def test_only_its_owner_may_connect_and_it_goes_with_us(tmp_path: Path) -> None:
    """The folder is made, the mode is 0600 whatever the umask, nothing is left behind."""
    path = tmp_path / "run" / "c.sock"
    before = os.umask(0)
    try:
        made = SocketFile(path)
        assert os.umask(0) == 0
    finally:
        os.umask(before)
    status = path.lstat()
    assert stat.S_ISSOCK(status.st_mode)
    assert stat.S_IMODE(status.st_mode) == 0o600
    assert status.st_uid == os.geteuid()
    assert list(path.parent.iterdir()) == [path]
    assert listens(path)
    assert not os.get_inheritable(made.socket.fileno())
    made.release()
    assert list(path.parent.iterdir()) == []
    assert not listens(path)


def test_the_mode_is_right_before_the_file_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no moment in which another user could connect, and none in which a connect to the path is refused."""
    seen = []
    replace = os.replace

    def watched(source: Path, target: Path) -> None:
        seen.append((stat.S_IMODE(source.lstat().st_mode), listens(source)))
        replace(source, target)

    monkeypatch.setattr("lbproxy.master.system.socketfile.os.replace", watched)
    SocketFile(tmp_path / "c.sock").release()
    assert seen == [(0o600, True)]


def test_a_stale_file_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "c.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
        dead.listen()
    assert path.exists()
    made = SocketFile(path)
    assert listens(path)
    made.release()


def test_a_living_one_is_refused_by_name_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "c.sock"
    living = SocketFile(path)
    with pytest.raises(StartError, match=f"{path} belongs to a running lbproxy"):
        SocketFile(path)
    assert listens(path)
    assert list(tmp_path.iterdir()) == [path]
    living.release()


def test_one_with_a_full_queue_is_living(tmp_path: Path) -> None:
    path = tmp_path / "c.sock"
    living = SocketFile(path)
    callers = []
    for _ in range(socketfile.BACKLOG + 1):  # the kernel takes one more than the backlog
        caller = socket.socket(socket.AF_UNIX)
        caller.connect(str(path))
        callers.append(caller)
    with pytest.raises(StartError, match="belongs to a running lbproxy"):
        SocketFile(path)
    for caller in callers:
        caller.close()
    living.release()


@pytest.mark.parametrize("make", [
    lambda path: path.write_text("precious"),
    lambda path: path.mkdir(),
    lambda path: path.symlink_to("elsewhere.sock"),
    os.mkfifo,
], ids=["file", "folder", "link", "fifo"])  # fmt: skip
def test_what_is_no_socket_is_left_alone(tmp_path: Path, make: Callable[[Path], object]) -> None:
    path = tmp_path / "c.sock"
    make(path)
    before = path.lstat()
    with pytest.raises(StartError, match="a file that is no socket is in its place"):
        SocketFile(path)
    assert os.path.samestat(before, path.lstat())
    assert list(tmp_path.iterdir()) == [path]


def test_only_our_own_file_is_removed(tmp_path: Path) -> None:
    """Who came after us keeps theirs."""
    path = tmp_path / "c.sock"
    ours = SocketFile(path)
    path.unlink()
    theirs = SocketFile(path)
    ours.release()
    assert listens(path)
    theirs.release()
    assert not path.exists()


def test_release_of_a_file_that_is_gone(tmp_path: Path) -> None:
    made = SocketFile(tmp_path / "c.sock")
    made.path.unlink()
    made.release()
    assert made.socket.fileno() == -1


@pytest.mark.parametrize(("place", "why"), [
    ("no/such/folder/c.sock", "No such file or directory"),
    ("x" * 120, "is too long"),
])  # fmt: skip
def test_places_that_cannot_be(tmp_path: Path, place: str, why: str) -> None:
    with pytest.raises(StartError, match=why) as error:
        SocketFile(tmp_path / place)
    assert str(tmp_path) in str(error.value)
