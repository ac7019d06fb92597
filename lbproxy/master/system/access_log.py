"""Open the access log for the children, which may not be allowed to: at start, and again when it was rotated (SIGUSR1)."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from lbproxy.config.model import Config
from lbproxy.errors import Complaint, StartError
from lbproxy.master.system.privileges import account_for
from lbproxy.observe.outlet import ends_torn

MODE = 0o640
FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK
"""O_APPEND: lines of several workers never overwrite each other. O_NONBLOCK: a pipe nobody reads is an error, no stand-still."""


STANDARD = {
    "stdout": 1,
    **dict.fromkeys(("/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"), 1),
    **dict.fromkeys(("/dev/stderr", "/dev/fd/2", "/proc/self/fd/2"), 2),
}
"""Files that stand for what is open already. To open them again takes rights that a plain user may not have (a pipe that root made,
a terminal after `su`), and a socket, which the journal gives, cannot be opened at all."""


def open_access_log(config: Config) -> int:
    """A descriptor of ours to hand over; -1 when there is to be none. Raises StartError."""
    where = config.log.access
    if where == "off":
        return -1
    try:
        number = STANDARD.get(where)
        if number is not None:
            return os.dup(number)
        opened = _open(Path(where), config)
    except OSError as error:
        raise StartError(str(Complaint(config.source, 0, "log.access", *_explained(where, error)))) from error
    _end_torn_line(opened)
    return opened


def _explained(where: str, error: OSError) -> tuple[str, str]:
    """What went wrong, and the way out where there is one."""
    message = f"cannot write {where}: {error.strerror or error}"
    if error.errno == errno.ENXIO:
        return f"{message}: it is a pipe that nobody reads", "start its reader first"
    if error.errno == errno.ENOENT:
        return message, f"make the folder first: install -d {Path(where).parent}"
    if error.errno == errno.ELOOP:
        return message, "as root no link is followed in a folder that others may write to"
    return message, ""


def _end_torn_line(opened: int) -> None:
    """Left by a power cut, or by a full disk after which nobody could tidy up: the next line would be joined to it."""
    try:
        if not stat.S_ISREG(os.fstat(opened).st_mode):
            return
        reader = os.open(f"/proc/self/fd/{opened}", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return  # no /proc, or ours to write and not to read
    try:
        if ends_torn(reader):
            os.write(opened, b"\n")
    except OSError:
        pass  # the disk is still full
    finally:
        os.close(reader)


def _open(path: Path, config: Config) -> int:
    """In a folder that only root and we write to, whatever is there was put there by somebody who may. Elsewhere a link could lead
    to any file of the machine (CVE-2016-1247), a second name as well, and a file of somebody else's would tell him what is logged.
    The folder that was looked at is the one that is used, whatever its name means by then. Raises OSError."""
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        trusted = _ours_alone(folder)
        descriptor = os.open(path.name, FLAGS | (0 if trusted or os.geteuid() != 0 else os.O_NOFOLLOW), MODE, dir_fd=folder)
    finally:
        os.close(folder)
    if trusted:
        return descriptor
    account = account_for(config)
    facts = os.fstat(descriptor)
    fault = ""
    if facts.st_uid not in {0, os.geteuid(), account.uid if account is not None else 0}:
        fault = f"it belongs to uid {facts.st_uid}"
    elif os.geteuid() == 0 and facts.st_nlink > 1:
        fault = "it has another name as well"
    if not fault or stat.S_ISCHR(facts.st_mode):
        return descriptor
    os.close(descriptor)
    raise PermissionError(errno.EPERM, f"{fault}, in a folder that others may write to")


def _ours_alone(folder: int) -> bool:
    facts = os.fstat(folder)
    return facts.st_uid in (0, os.geteuid()) and not facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
