"""Open the scratch file of a worker (net/scratch.py), which may not be allowed to where the configuration says."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from lbproxy.config.model import Config
from lbproxy.errors import Complaint, StartError
from lbproxy.observe.log import get_logger

_NO_TMPFILE = frozenset({errno.EISDIR, errno.EINVAL, errno.EOPNOTSUPP})
"""What kernels and file systems without O_TMPFILE say."""


def open_unnamed(folder: Path) -> int:
    """A descriptor of a new file without a name in that folder. Raises OSError."""
    try:
        return os.open(folder, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if error.errno not in _NO_TMPFILE:
            raise
    for _ in range(100):  # NFS, older overlays: a name for a moment
        path = folder / f".lbproxy-{os.urandom(12).hex()}"
        try:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except FileExistsError:
            continue
        os.unlink(path)
        return fd
    raise FileExistsError(f"no name is free in {folder}")


def try_out(config: Config) -> None:
    """Before a generation is forked whose pools need such files: can they be had? Raises StartError."""
    if not config.buffers_on_disk:
        return
    try:
        os.close(open_unnamed(config.proxy.temp_dir))
    except OSError as error:
        message = f"cannot write into {config.proxy.temp_dir}: {error.strerror}"
        hint = 'pools that buffer need it; name another folder, or say buffer_file = "0" to buffer in memory only'
        raise StartError(str(Complaint(config.source, 0, "proxy.temp_dir", message, hint))) from error


def open_for_worker(config: Config) -> int:
    """In the worker's process, while it still has the master's rights: a descriptor, or -1 where it cannot be had.

    Where pools buffer that is told: the worker then buffers in memory, and passes on what is more. Other pools need it for uploads
    without a length to servers of HTTP/1.0 alone.
    """
    try:
        return open_unnamed(config.proxy.temp_dir)
    except OSError as error:
        if not config.buffers_on_disk:
            return -1
        get_logger().error("buffer.no_file", folder=str(config.proxy.temp_dir), why=error.strerror, then="buffer in memory only")
        return -1
