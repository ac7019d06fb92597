"""Open the access log for the children, which may not be allowed to: at start, and again when it was rotated (SIGUSR1)."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from lbproxy.config.model import Config
from lbproxy.errors import Complaint, StartError

MODE = 0o640
FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK
"""O_APPEND: lines of several workers never overwrite each other. O_NONBLOCK: a pipe nobody reads is an error, no stand-still."""


def open_access_log(config: Config) -> int:
    """A descriptor of ours to hand over; -1 when there is to be none. Raises StartError."""
    where = config.log.access
    if where == "off":
        return -1
    try:
        if where == "stdout":
            return os.dup(1)
        path = Path(where)
        return os.open(path, FLAGS | _link_policy(path.parent), MODE)
    except OSError as error:
        raise StartError(str(Complaint(config.source, 0, "log.access", f"cannot write {where}: {error.strerror}"))) from error


def _link_policy(folder: Path) -> int:
    """Root follows no link in a folder that others may write to: it could lead to any file of the machine (CVE-2016-1247)."""
    if os.geteuid() != 0:
        return 0
    facts = os.stat(folder)
    trusted = facts.st_uid == 0 and not facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return 0 if trusted else os.O_NOFOLLOW
