"""`start --daemon`: into the background, but not before it is known whether that works.

The caller's process waits on a pipe for one word from the daemon: ready, or why not. So `lbproxy start --daemon && ...` means what
it says, and the reason for a failure stands on the caller's terminal although the daemon has none. The daemon's stdin is /dev/null;
its stdout and stderr stay where they are when they are files, and are /dev/null otherwise: a pipe or terminal would keep the
caller's shell or ssh session waiting for the daemon's end.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable, Sequence

from lbproxy.errors import LbproxyError, NotYet, StartError
from lbproxy.tls import passphrase

READY = b"+"
LONGEST_REASON = 60_000
"""Bytes: what a pipe takes without anybody reading."""
END = b"\0"
"""Ends a reason. End-of-file would not do: children of a daemon that fails may hold copies of the pipe a little longer."""

LATER = b"\x01"
"""Behind a reason that may pass by itself."""

Run = Callable[[Callable[[], None]], int]
"""Runs the master to its end and returns its exit code; calls its argument once when everything serves."""


def daemonize(run: Run, kept: Sequence[int] = ()) -> int:
    """In the caller's process: wait for the daemon and return 0 when it serves; raises StartError with its reason when it ends.

    In the daemon: `run`, and its exit code; it has the descriptors of `kept`, too. Call before any thread runs.
    """
    sys.stdout.flush()  # or both of us would write what is buffered
    sys.stderr.flush()
    heard, said = os.pipe()
    child = os.fork()
    if child:
        os.close(said)
        os.waitpid(child, 0)
        return _wait(heard)
    os.close(heard)
    os.setsid()
    if os.fork():  # a session leader could catch a terminal again; its child cannot
        os._exit(0)
    os.chdir("/")
    _detach(said, *kept)
    return _run(run, said)


def _wait(heard: int) -> int:
    answer = b""
    while not answer.startswith(READY) and not answer.endswith(END):
        if not (more := os.read(heard, 65536)):
            break
        answer += more
    os.close(heard)
    if answer.startswith(READY):
        return 0
    said = answer.removesuffix(END)
    reason = said.removesuffix(LATER).decode("utf-8", "replace")
    raise (NotYet if said.endswith(LATER) else StartError)(reason or "the daemon ended without a word before it was ready")


def _run(run: Run, said: int) -> int:
    """In the daemon. Everything that ends it early is told to the caller first."""
    told = False

    def ready() -> None:
        nonlocal told
        told = True
        _tell(said, READY)
        os.close(said)

    try:
        code = run(ready)
        reason = f"the daemon ended with exit code {code} before it was ready"
    except LbproxyError as error:
        code, reason = 1, str(error) + (LATER.decode() if isinstance(error, NotYet) else "")
    except BaseException as error:
        if not told:
            _tell(said, _last_words(f"{type(error).__name__}: {error}"))
        raise
    if not told:
        _tell(said, _last_words(reason))
    return code


def _last_words(reason: str) -> bytes:
    return reason.encode("utf-8", "replace")[:LONGEST_REASON] + END


def _tell(said: int, word: bytes) -> None:
    """To the caller, if he still waits: who pressed Ctrl-C has not asked for the end of what is about to serve."""
    os.set_blocking(said, False)
    try:
        os.write(said, word)
    except OSError:
        pass  # gone


def _detach(*keep: int) -> None:
    """Let go of everything of the caller's but those, before any child inherits it."""
    before = 2
    for descriptor in sorted({*keep, *passphrase.kept()}):
        os.closerange(before + 1, descriptor)
        before = descriptor
    os.closerange(before + 1, max(before + 1, os.sysconf("SC_OPEN_MAX")))
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        if descriptor == 0 or not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.dup2(null, descriptor)
    os.close(null)
