"""Open the files of taps for a worker, which may open none itself: a ring for each tap, the oldest in front."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

from lbproxy.config.model import Config
from lbproxy.errors import Complaint, StartError
from lbproxy.observe.log import get_logger
from lbproxy.observe.pcap import PCAP_HEAD

_FLAGS = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_MODE = 0o600


def try_out(config: Config) -> None:
    """Before a generation is forked: are the folders there, and can they be written to? Raises StartError."""
    for tap in config.taps:
        if tap.folder is None:
            continue
        if not tap.folder.is_dir() or not os.access(tap.folder, os.W_OK | os.X_OK):
            message = f"cannot write into {tap.folder}: " + ("no access" if tap.folder.is_dir() else "no such folder")
            hint = f"install -d -m 700 {tap.folder}"
            raise StartError(str(Complaint(config.source, tap.line, f"tap.{tap.name}.folder", message, hint)))


def open_for_worker(config: Config, child: int) -> dict[str, tuple[int, ...]]:
    """By the taps' names. `child`: numbers that come back when a worker is gone, so that files do not become more and more.

    A file that cannot be had is told; a tap without any writes nothing, and what it drops is counted.
    """
    found = {}
    for tap in config.taps:
        if tap.folder is None:
            continue
        opened: list[tuple[float, int]] = []
        for number in range(tap.files):
            try:
                opened.append(_open(tap.folder / f"{tap.name}-{child}-{number}.pcap"))
            except OSError as error:
                get_logger().error("tap.no_file", tap=tap.name, folder=str(tap.folder), why=error.strerror)
                break
        found[tap.name] = tuple(fd for _, fd in sorted(opened))
    return found


def _open(path: Path) -> tuple[float, int]:
    """(when it was last written, the descriptor). Raises OSError."""
    fd = os.open(path, _FLAGS, _MODE)
    found = os.fstat(fd)
    if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
        os.close(fd)
        raise OSError(0, "it is no file of its own")
    if found.st_mode & 0o077:
        os.fchmod(fd, _MODE)
    if not found.st_size:  # whoever reads the whole folder finds a capture without packets, and no broken one
        with suppress(OSError):
            os.pwrite(fd, PCAP_HEAD, 0)
    return (found.st_mtime if found.st_size > len(PCAP_HEAD) else 0.0), fd
