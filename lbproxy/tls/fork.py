"""Work whose traces in memory must not last, in a process of its own that ends with it.

What a check of a key leaves behind cannot be told (Python's objects, OpenSSL's, those of `cryptography`), but the kernel clears the
pages of a process that has ended before anybody gets them.

Who asks waits, and the master hears no signal meanwhile: so the wait has an end, also when that process is stopped, or hangs on a
file of the network's.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import time
from collections.abc import Callable, Sequence
from typing import Any

from lbproxy.errors import StartError

PATIENCE = 10.0
"""Seconds for an answer."""
GLANCE = 0.001

class NoAnswer(StartError):
    """Raised when such a process has not answered in time."""


_inside: list[bool] = []
"""One entry: this is such a process already, and need not fork again."""


def apart(work: Callable[[], object], within: float = PATIENCE) -> Any:
    """What `work` returns, as JSON carries it. Raises OSError as it does, and StartError for whatever else goes wrong, no answer
    within that many seconds included."""
    return _here(work) if _inside else all_apart([work], within)[0]


def _here(work: Callable[[], object]) -> Any:
    """The same without a fork."""
    try:
        return json.loads(json.dumps(work()))
    except (OSError, StartError):
        raise
    except Exception as error:
        raise StartError(f"{type(error).__name__}: {error}") from error


def all_apart(works: Sequence[Callable[[], object]], within: float = PATIENCE) -> list[Any]:
    """The same for several at once, each in a process of its own."""
    deadline = time.monotonic() + within
    begun: list[tuple[int, int]] = []
    try:
        begun.extend(map(begin, works))
    finally:
        outcomes = [_outcome(pid, heard, deadline) for pid, heard in begun]
    return [_value(told, status, within) for told, status in outcomes]


def begin(work: Callable[[], object], first: Callable[[int], object] = lambda said: None) -> tuple[int, int]:
    """The process's number, and what to hear it by; in it, `first` comes before the work, and gets the descriptor that it says
    things by. Raises OSError."""
    heard, said = os.pipe()
    try:
        pid = os.fork()
    except OSError:
        os.close(heard)
        os.close(said)
        raise
    if pid == 0:
        _tell(work, said, first)
    os.close(said)
    return pid, heard


def _outcome(pid: int, heard: int, deadline: float) -> tuple[bytes | None, int | None]:
    try:
        return _hear(heard, deadline), _ended(pid, deadline)
    finally:
        os.close(heard)


def _value(told: bytes | None, status: int | None, within: float) -> Any:
    if told is None or status is None:
        raise NoAnswer(f"the process that looks at keys did not answer within {within:g} s")
    if not told:
        raise StartError(f"the process that looks at keys ended with {f'signal {-status}' if status < 0 else f'code {status}'}")
    return value_of(told)


def value_of(told: bytes) -> Any:
    """What such a process said, as `apart` returns or raises it."""
    outcome = json.loads(told)
    if "errno" in outcome:
        raise OSError(outcome["errno"], outcome["error"])
    if "error" in outcome:
        raise StartError(outcome["error"])
    return outcome["value"]


def _hear(heard: int, deadline: float) -> bytes | None:
    """All that is said until the other end is closed; None when that has not come by then."""
    told = bytearray()
    poll = select.poll()
    poll.register(heard, select.POLLIN)
    while poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
        if not (more := os.read(heard, 65536)):
            return bytes(told)
        told += more
    return None


def _ended(pid: int, deadline: float) -> int | None:
    """The exit code; None for one that had to be killed. A process whose disk does not answer dies later, and is
    reaped by the master as one of the children that it does not know."""
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() >= deadline:
            break
        time.sleep(GLANCE)
    os.kill(pid, signal.SIGKILL)
    for _ in range(1000):
        if os.waitpid(pid, os.WNOHANG)[0]:
            break
        time.sleep(GLANCE)
    return None


def _tell(work: Callable[[], object], said: int, first: Callable[[int], object]) -> None:
    """In the fork, to its end."""
    _inside.append(True)
    gc.disable()  # what piles up goes with the process
    try:
        try:
            first(said)
            outcome = {"value": work()}
        except OSError as error:
            outcome = {"errno": error.errno or 0, "error": error.strerror or str(error)}
        except BaseException as error:  # it must not come out among the caller's frames
            outcome = {"error": f"{type(error).__name__}: {error}"}
        with open(said, "wb") as pipe:
            pipe.write(json.dumps(outcome).encode())
    finally:
        os._exit(0)
