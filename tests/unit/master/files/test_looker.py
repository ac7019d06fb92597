"""The process that looks at files: what it says, and what it cannot do."""

from __future__ import annotations

import ctypes
import os
import platform
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lbproxy.master.files.looker import Looker, LookerGone, only_pass_folders
from lbproxy.master.files.looks import Difference, Group, PairFolder
from lbproxy.master.system.privileges import no_new_privileges
from lbproxy.sandbox import kernel
from lbproxy.sandbox.filter import ARCHITECTURES, only_what_is_needed
from lbproxy.tls.keystore import Stamp
from tests.support.waiting import eventually
from tests.support.walled import behind, call


def heard(looker: Looker) -> list[Difference]:
    return [one for differences in looker.hear() for one in differences]


def test_what_it_says(tmp_path: Path) -> None:
    """Of a file that differs from what it was told of, and of a folder; it ends with whoever hears it. This one is executed anew,
    as when there is no forker."""
    file, folder = tmp_path / "a file: \u00e4", tmp_path / "certs"
    folder.mkdir()
    file.write_text("x")
    os.utime(file, (1000, 1000))
    for name in ("a.crt", "a.key"):
        (folder / name).write_text("x")
        os.utime(folder / name, (1000, 1000))
    where = PairFolder(str(folder), ())
    looker = Looker(None, [Group((str(file),), (None,))], [where], walls=True)
    found: dict[tuple[str, ...], Difference] = {}

    def looked() -> bool:
        found.update({one.files: one for one in heard(looker)})
        return len(found) == 2

    eventually(looked, "it says both")
    assert found[str(file),] == Difference((str(file),), (Stamp.at(file),))
    assert found[f"{folder}/a.crt", f"{folder}/a.key"].folder == where
    eventually(lambda: looker.passing == "", "it is done looking")
    looker.close()
    assert os.WEXITSTATUS(os.waitpid(looker.pid, 0)[1]) == 0


def test_one_that_is_stopped_says_nothing_and_can_be_killed(tmp_path: Path) -> None:
    """Whoever hears it waits for nothing."""
    looker = Looker(None, [Group((str(tmp_path),), (None,))], [], walls=False)
    eventually(lambda: heard(looker), "it looks")
    os.kill(looker.pid, signal.SIGSTOP)
    begun = time.monotonic()
    assert heard(looker) == []
    assert time.monotonic() - begun < 60
    looker.kill()
    os.waitpid(looker.pid, 0)
    with pytest.raises(LookerGone):
        heard(looker)
    looker.close()


@pytest.mark.skipif(platform.machine() not in ARCHITECTURES, reason="no filter for this machine")
@pytest.mark.parametrize("attempt", [
    lambda: os.open("/etc/hostname", os.O_RDONLY), lambda: os.open("/tmp", os.O_RDWR | os.O_TMPFILE),
    lambda: os.readlink("/bin/sh"),
    lambda: socket.socket(socket.AF_INET), lambda: socket.socket(socket.AF_UNIX), lambda: socket.socketpair(), os.fork, os.pipe,
    lambda: os.memfd_create("x"), lambda: os.kill(os.getppid(), 0), lambda: os.execv("/bin/true", ["true"]),
    lambda: os.unlink("/nowhere"), lambda: os.mkdir("/tmp/x"), lambda: os.chmod("/tmp", 0o777), lambda: os.rename("/a", "/b"),
    lambda: call("ptrace", 16, os.getppid(), 0, 0), lambda: call("prctl", 4, 1, 0, 0, 0), lambda: os.setuid(0),
])  # fmt: skip
def test_what_an_intruder_would_try(attempt: Callable[[], object]) -> None:
    """It is refused, and the process goes on."""
    assert behind(_walls, attempt) == "errno EPERM"


def _walls(_: int) -> None:
    only_pass_folders()
    no_new_privileges()
    kernel.restrict((), (), (), lists=("/",))
    kernel.filter_calls(only_what_is_needed(os.uname().machine, looks=True))


@pytest.mark.skipif(platform.machine() not in ARCHITECTURES, reason="no filter for this machine")
def test_what_it_is_for() -> None:
    """Is left to it."""
    assert behind(_walls, lambda: [os.stat("/etc/hostname").st_size > 0, "etc" in os.listdir("/"), os.path.lexists("/x y z")])


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has something to give up")
def test_of_roots_powers_it_keeps_one(tmp_path: Path) -> None:
    """To pass folders that are closed to others, and to list them; not to write there, or to change owners."""
    closed = tmp_path / "closed"
    closed.mkdir(0o700)
    (closed / "file").write_text("x")
    for path in (closed / "file", closed):
        os.chown(path, 1, 1)

    def attempt() -> object:
        assert os.stat(closed / "file").st_size == 1
        assert os.listdir(closed) == ["file"]
        with pytest.raises(PermissionError):
            os.chown(closed, 0, 0)
        assert ctypes.CDLL(None).capset is not None
        return os.open(closed / "new", os.O_WRONLY | os.O_CREAT)

    assert behind(lambda _: only_pass_folders(), attempt) == "errno EACCES"
