"""Numbers 0, 1 and 2 belong to standard input, output and error, whether or not whoever started us gave us such.

A daemon tool, or `>&- 2>&-` in a shell, starts a program with some of them closed. The kernel gives the lowest free number to
whatever is opened next: the ledger or a wake-up becomes "standard error", and an event is written over shared memory. So before
anything else is opened, /dev/null takes the numbers that are missing, for this process and all that come of it.
"""

from __future__ import annotations

import os
import sys
from typing import Literal, TextIO

STANDARD = (0, 1, 2)


def occupy() -> tuple[int, ...]:
    """Call first of all. The numbers that were missing."""
    missing = tuple(number for number in STANDARD if not _is_open(number))
    for number in missing:
        _fill(number)
    # Python has None for those: print() passes over it in silence, anything else is an AttributeError.
    sys.stdin = sys.stdin or _stream(0, "r")
    sys.stdout = sys.stdout or _stream(1, "w")
    sys.stderr = sys.stderr or _stream(2, "w")
    return missing


def _stream(number: int, mode: Literal["r", "w"]) -> TextIO:
    return open(number, mode, encoding="utf-8", errors="backslashreplace", closefd=False)


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def _fill(number: int) -> None:
    try:
        opened = os.open(os.devnull, os.O_RDWR)
    except OSError:  # no /dev in a bare chroot: something that can be neither read nor written keeps the number as well
        opened = os.open("/", os.O_PATH | os.O_DIRECTORY)
    if opened != number:
        os.dup2(opened, number)
        os.close(opened)
    os.set_inheritable(number, True)
