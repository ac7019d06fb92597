"""This process's own outlets: one each for standard output and error, and what print() and tracebacks go through."""

from __future__ import annotations

import atexit
import io
import os
import sys
import time
from typing import TextIO

from lbproxy.observe.outlet import Outlet

LAST_WORDS = 1.0
"""Seconds in which a reader who sleeps may still take what a process has said before it ends."""

STDIN, STDOUT, STDERR = 0, 1, 2

_outlets: dict[int, Outlet] = {}


def outlet(number: int) -> Outlet:
    """The process's one for this descriptor; children inherit it."""
    if number not in _outlets:
        if not _outlets:
            atexit.register(drain_all, LAST_WORDS)
        _outlets[number] = Outlet(number)
    return _outlets[number]


def flush_all() -> None:
    """Write what waits for room."""
    for each in _outlets.values():
        each.flush()


def descriptors() -> set[int]:
    """Of the outlets' own: for a process that closes what it has inherited."""
    return {descriptor for each in _outlets.values() for descriptor in each.descriptors()}


def waiting() -> bool:
    """Whether something waits."""
    return any(each.waiting for each in _outlets.values())


def stop_sharing() -> None:
    """For a child: what one of them does to a pipe or terminal (O_NONBLOCK), or reads of it, is nobody else's affair."""
    for number in (STDOUT, STDERR):
        outlet(number).stop_sharing()
    try:
        nothing = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return
    if nothing:
        os.dup2(nothing, STDIN, inheritable=True)
        os.close(nothing)


def drain_all(seconds: float) -> None:
    """Before the process ends or becomes another program."""
    until = time.monotonic() + seconds
    for each in _outlets.values():
        each.drain(max(0.0, until - time.monotonic()))


class _Raw(io.RawIOBase):
    """The raw file behind print(), which hands on what is written to an Outlet."""

    def __init__(self, to: Outlet) -> None:
        self._to = to

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._to.number

    def isatty(self) -> bool:
        return os.isatty(self._to.number)

    def write(self, data: object) -> int:
        whole = bytes(data)  # type: ignore[call-overload]  # a buffer, as io has it
        self._to.write(whole)
        return len(whole)


def adopt_streams() -> None:
    """From now on print(), warnings and tracebacks of this process go through outlets, too. For processes that serve: others are
    to wait for their reader. A stream that somebody has put in place of the real one stays."""
    sys.stdout, sys.stderr = _adopted(1, sys.stdout), _adopted(2, sys.stderr)


def _adopted(number: int, before: TextIO) -> TextIO:
    try:
        if before.fileno() != number or isinstance(getattr(getattr(before, "buffer", None), "raw", None), _Raw):
            return before
        before.flush()
    except (OSError, ValueError, AttributeError):  # no descriptor behind it; closed; None
        return before
    raw = io.BufferedWriter(_Raw(outlet(number)))
    return io.TextIOWrapper(raw, encoding=before.encoding, errors="backslashreplace", line_buffering=True)
