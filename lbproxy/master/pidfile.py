"""The pid file: whose content is for people and scripts, and whose lock tells the truth.

The master holds an flock on the file for its life, so a stale file (crash, power cut, a number that another program has now) is
never mistaken for a living master, and a living one never for stale. The file appears whole (written aside, then renamed) and goes
with the master that made it. Children have to close the descriptor: an flock lives as long as any copy of it.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from lbproxy.errors import StartError


class PidFile:
    """Taken by the constructor, which raises StartError; given back by `release`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        _refuse_living(path)
        aside = path.with_name(f"{path.name}.{os.getpid()}")
        try:
            path.parent.mkdir(exist_ok=True)
            aside.unlink(missing_ok=True)
            self._fd = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise StartError(f"cannot write the pid file {path}: {error.strerror}") from error
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX)
            os.write(self._fd, b"%d\n" % os.getpid())
            os.replace(aside, path)
        except OSError as error:  # a full disk, a directory in its place, a file system without locks
            os.close(self._fd)
            aside.unlink(missing_ok=True)
            raise StartError(f"cannot write the pid file {path}: {error.strerror}") from error

    @classmethod
    def adopt(cls, path: Path, fd: int) -> PidFile:
        """One that this process took before it executed itself anew, with its lock."""
        taken = cls.__new__(cls)
        taken.path, taken._fd = path, fd
        return taken

    def fileno(self) -> int:
        """For the children to close."""
        return self._fd

    def release(self) -> None:
        """Remove the file, if it is still ours, and let the lock go."""
        try:
            if os.path.samestat(os.stat(self.path), os.fstat(self._fd)):
                self.path.unlink()
        except OSError:
            pass  # removed by somebody else, or the folder is not ours any more: nothing to tidy
        os.close(self._fd)


def living_master(path: Path) -> int:
    """The pid of the master that holds the pid file; 0: none does."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return 0
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        text = os.read(fd, 32).strip()
        return int(text) if text.isdigit() else -1
    finally:
        os.close(fd)
    return 0


def _refuse_living(path: Path) -> None:
    pid = living_master(path)
    if pid:
        raise StartError(f"lbproxy is already running as pid {pid}, says {path} (stop it, or give this one another pid_file)")
