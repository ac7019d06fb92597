"""Work in a fork that walls were built around, and what came of it."""

from __future__ import annotations

import ctypes
import errno
import json
import os
from collections.abc import Callable

LIBC = ctypes.CDLL(None, use_errno=True)


def behind(build: Callable[[int], object], work: Callable[[], object]) -> object:
    """What `work` gives in a fork behind the walls: a value, or the number of the OSError. `build`: makes them, there; it is given
    the descriptor that the answer leaves by."""
    ours, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            build(theirs)
            try:
                outcome = work()
            except OSError as error:
                outcome = f"errno {errno.errorcode[error.errno or 0]}"
            os.write(theirs, json.dumps(outcome).encode())
        finally:
            os._exit(0)
    os.close(theirs)
    with open(ours, "rb") as told:
        answer = told.read()
    os.waitpid(pid, 0)
    return json.loads(answer)


def call(name: str, *arguments: object) -> str:
    """A function of the C library: "done", or the number of its error."""
    result = getattr(LIBC, name)(*arguments)
    return f"errno {errno.errorcode[ctypes.get_errno()]}" if result < 0 else "done"
