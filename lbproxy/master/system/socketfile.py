"""A listening Unix socket and its file: who may replace which, and that nobody finds it half made.

A socket file outlives its process, so a file alone means nothing; whether somebody listens tells the truth (a connect that is
refused: nobody does). The new one is bound aside, with its final mode from the first moment, listens, and is then renamed into
place: whoever opens the path gets the old end or a working one.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
from pathlib import Path

from lbproxy.errors import LbproxyError, StartError

BACKLOG = 16
LONGEST = 107
"""Bytes of a path: sun_path of unix(7) has 108, with the zero at the end."""
NOBODY_ELSE = 0o600
UNCHANGED = (-1, -1)
"""As chown(2) has it: user and group stay whose they are."""


class Occupied(LbproxyError):
    """The path is not to be replaced. `living`: somebody listens there; else it is a file of another kind."""

    def __init__(self, path: Path, *, living: bool) -> None:
        super().__init__(f"{path}: {'somebody listens there' if living else 'a file that is no socket is in its place'}")
        self.living = living


class SocketFile:
    """The control socket's. Taken by the constructor, which raises StartError; given back by `release`. Only its owner may connect
    (mode 0600)."""

    def __init__(self, path: Path) -> None:
        self.path = path
        if len(os.fsencode(_aside(path))) > LONGEST:
            raise StartError(f"the path of the control socket is too long: {path} (at most {LONGEST - 8} bytes)")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._file = listen_at(self.socket, path, NOBODY_ELSE, BACKLOG)
        except Occupied as error:
            self.socket.close()
            raise StartError(
                f"the control socket {path} belongs to a running lbproxy (stop it, or give this one another `control` in [proxy])"
                if error.living
                else f"the control socket cannot be {path}: a file that is no socket is in its place"
            ) from error
        except OSError as error:
            self.socket.close()
            raise StartError(f"cannot make the control socket {path}: {error.strerror or error}") from error

    def release(self) -> None:
        """Stop listening and remove the file, if it is still ours."""
        remove(self.path, self._file)
        self.socket.close()


def listen_at(sock: socket.socket, path: Path, mode: int, backlog: int, owner: tuple[int, int] = UNCHANGED) -> os.stat_result:
    """Let `sock` listen, non-blocking, at `path`, whose folder is made where only that is missing. What the file is known by.

    Raises Occupied and OSError; then nothing is left behind, and `sock` is the caller's to close.
    """
    path.parent.mkdir(mode=0o755, exist_ok=True)
    _refuse_occupied(path)
    aside = _aside(path)
    aside.unlink(missing_ok=True)
    try:
        sock.setblocking(False)
        before = os.umask(0o777 & ~mode)
        try:
            sock.bind(os.fspath(aside))
        finally:
            os.umask(before)
        found = os.lstat(aside)
        if owner != UNCHANGED:
            grant(aside, found, owner)
        sock.listen(backlog)
        os.replace(aside, path)
    except OSError:
        aside.unlink(missing_ok=True)
        raise
    return found


def grant(path: Path, file: os.stat_result, owner: tuple[int, int], mode: int = -1) -> None:
    """Another owner and mode for our file. Raises OSError, also when another one is in its place.

    The folder may belong to somebody else, a link in it lead to any file of the machine, as may a second name, and a name mean
    another file each time. So one descriptor is looked at, and then changed.
    """
    place = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        found = os.fstat(place)
        if not os.path.samestat(found, file) or not stat.S_ISSOCK(found.st_mode) or found.st_nlink != 1:
            raise FileExistsError(errno.EEXIST, "another file is in its place")
        opened = f"/proc/self/fd/{place}"
        if owner != UNCHANGED:
            os.chown(opened, *owner)
        if mode >= 0:
            os.chmod(opened, mode)
    finally:
        os.close(place)


def remove(path: Path, file: os.stat_result) -> None:
    """Remove the file if it is still this one."""
    try:
        if os.path.samestat(os.lstat(path), file):
            path.unlink()
    except OSError:
        pass  # removed by somebody else, or the folder is not ours any more: nothing to tidy


def _aside(path: Path) -> Path:
    return path.with_name(f"{path.name}.{os.getpid()}")


def _refuse_occupied(path: Path) -> None:
    """Raises Occupied when the path is something that must not be replaced."""
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):  # a link neither: who made it may not be who we think
            raise Occupied(path, living=False)
    except FileNotFoundError:
        return
    if listens(path):
        raise Occupied(path, living=True)


def listens(path: Path) -> bool:
    """Somebody does, at this path. Raises OSError when that cannot be told."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(os.fspath(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except BlockingIOError:  # its queue is full
            return True
    return True
