"""A listening Unix socket and its file: who may replace which, and that nobody finds it half made.

A socket file outlives its process, so a file alone means nothing; whether somebody listens tells the truth (a connect that is
refused: nobody does). The new one is bound aside, with its final mode from the first moment, listens, and is then renamed into
place: whoever opens the path gets the old end or a working one.
"""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

from lbproxy.errors import StartError

BACKLOG = 16
LONGEST = 107
"""Bytes of a path: sun_path of unix(7) has 108, with the zero at the end."""


class SocketFile:
    """Taken by the constructor, which raises StartError; given back by `release`. Only its owner may connect (mode 0600)."""

    def __init__(self, path: Path) -> None:
        self.path = path
        aside = path.with_name(f"{path.name}.{os.getpid()}")
        if len(os.fsencode(aside)) > LONGEST:
            raise StartError(f"the path of the control socket is too long: {path} (at most {LONGEST - 8} bytes)")
        try:
            path.parent.mkdir(exist_ok=True)
            _refuse_living(path)
            aside.unlink(missing_ok=True)
            self.socket = _listen(aside)
            self._file = os.lstat(aside)
            os.replace(aside, path)
        except OSError as error:
            raise StartError(f"cannot make the control socket {path}: {error.strerror or error}") from error

    def release(self) -> None:
        """Stop listening and remove the file, if it is still ours."""
        try:
            if os.path.samestat(os.lstat(self.path), self._file):
                self.path.unlink()
        except OSError:
            pass  # removed by somebody else, or the folder is not ours any more: nothing to tidy
        self.socket.close()


def _listen(path: Path) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        sock.setblocking(False)
        sock.bind(os.fspath(path))
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    finally:
        os.umask(before)
    return sock


def _refuse_living(path: Path) -> None:
    """Raises StartError when the path is something that must not be replaced."""
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):  # a link neither: who made it may not be who we think
            raise StartError(f"the control socket cannot be {path}: a file that is no socket is in its place")
    except FileNotFoundError:
        return
    if listens(path):
        raise StartError(
            f"the control socket {path} belongs to a running lbproxy (stop it, or give this one another `control` in [proxy])"
        )


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
