"""The pid file: whose content is for people and scripts, and whose lock tells the truth.

The master holds an flock on the file for its life, so a stale file (crash, power cut, a number that another program has now) is
never mistaken for a living master, and a living one never for stale. The file appears whole (written aside, then renamed) and goes
with the master that made it. Children have to close the descriptor: an flock lives as long as any copy of it.

Whoever reads the file is about to send signals, as root perhaps, so it is believed only so far. It has to be a regular file, root's
or our own; and since anybody who may read it can lock it, too, the process that it names has to be the one that holds the lock
(/proc/locks), or else one that was there when the file was written: who got a number that was free again came later.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from pathlib import Path

from lbproxy.errors import StartError

CLOCKS = 0.5
"""Seconds by which start times and times of files differ: the one is counted in hundredths since the boot."""


class PidFile:
    """Taken by the constructor, which raises StartError; given back by `release`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        _refuse_living(path)
        aside = path.with_name(f"{path.name}.{os.getpid()}")
        try:
            path.parent.mkdir(mode=0o755, exist_ok=True)
            aside.unlink(missing_ok=True)
            self._fd = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StartError(f"cannot write the pid file {path}: {error.strerror}") from error
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.fchmod(self._fd, 0o644)  # not before: who may read it may lock it, and would keep us waiting
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
            if os.path.samestat(os.lstat(self.path), os.fstat(self._fd)):
                self.path.unlink()
        except OSError:
            pass  # removed by somebody else, or the folder is not ours any more: nothing to tidy
        os.close(self._fd)


def living_master(path: Path) -> int:
    """The pid of the master that holds the pid file; 0: none does. Raises StartError for a file that a stranger may have made."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise StartError(f"the pid file {path} is a symbolic link: remove it, it may lead to anywhere") from error
        return 0
    try:
        facts = os.fstat(fd)
        if not stat.S_ISREG(facts.st_mode):
            raise StartError(f"the pid file {path} is no regular file: remove it, or set another pid_file")
        if facts.st_uid not in (0, os.geteuid()):
            raise StartError(f"the pid file {path} belongs to uid {facts.st_uid}: remove it, or be that user")
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        text = os.read(fd, 32).strip()
        pid = int(text) if text.isdigit() else 0
        return pid if pid and (_locks(pid, facts.st_ino) or _came_before(pid, facts)) else 0
    finally:
        os.close(fd)
    return 0


def _locks(pid: int, inode: int) -> bool:
    """That process holds a flock on a file of this number. (Not the device's: overlay file systems tell another one there.)"""
    try:
        lines = Path("/proc/locks").read_text("ascii", "replace").splitlines()
    except OSError:
        return False
    # "1: FLOCK  ADVISORY  WRITE 4711 fe:00:2146981 0 EOF"; those that wait have a "->" in front
    held = [line.split()[1:] for line in lines]
    return any(lock[0] == "FLOCK" and lock[3] == str(pid) and lock[4].endswith(f":{inode}") for lock in held if len(lock) > 4)


def _came_before(pid: int, file: os.stat_result) -> bool:
    """That process is the file's owner's and was there when it was written."""
    import psutil

    try:
        process = psutil.Process(pid)
        return process.uids().effective == file.st_uid and process.create_time() <= file.st_mtime + CLOCKS
    except psutil.Error:
        return False


def _refuse_living(path: Path) -> None:
    pid = living_master(path)
    if pid:
        raise StartError(f"lbproxy is already running as pid {pid}, says {path} (stop it, or give this one another pid_file)")
