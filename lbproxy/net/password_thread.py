"""The thread that checks passwords: a hash that is worth something costs a tenth of a second, for which the loop must not stand.

bcrypt and argon2 let go of the interpreter while they work, so the loop turns meanwhile; the thread has a lower priority than it
where the system allows that. One a worker, so that log-ins take one core at most, and a bounded number of them waits: whoever comes
then is told to come again, rather than to wait for those who guess.
"""

from __future__ import annotations

import os
import queue
import threading
from collections import deque
from typing import Any

from gevent.hub import get_hub
from greenlet import getcurrent, greenlet

from lbproxy.config.passwords import kind_of
from lbproxy.errors import RequestError

MOST_WAITING = 32
"""Passwords that wait to be checked; three seconds' worth of the usual cost."""
NICER = 5
LONGEST_OF_BCRYPT = 72
"""Bytes that bcrypt looks at; some versions refuse more instead of leaving them out, as htpasswd does."""

_switch_to = greenlet.switch


class _Job:
    """One password that is to be checked."""

    __slots__ = ("fits", "hashed", "password", "waiter")

    def __init__(self, password: bytes, hashed: str, waiter: greenlet) -> None:
        self.password = password
        self.hashed = hashed
        self.waiter: greenlet | None = waiter
        self.fits = False


class PasswordThread:
    """Checks the passwords of one worker's clients."""

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._done: deque[_Job] = deque()
        self._waiting = 0
        self._hub = get_hub()
        self._bell: Any = self._hub.loop.async_()
        self._bell.start(self._on_done)
        self._thread = threading.Thread(target=self._work, name="passwords", daemon=True)
        self._thread.start()

    def verify(self, password: bytes, hashed: str) -> bool:
        """From a greenlet: whether the password is the one that was hashed. Raises RequestError 503 when too many wait."""
        if self._waiting >= MOST_WAITING:
            raise RequestError(503, "auth_busy", f"{self._waiting} passwords wait to be checked")
        job = _Job(password, hashed, getcurrent())
        self._waiting += 1
        self._jobs.put(job)
        try:
            _switch_to(self._hub)
        finally:
            job.waiter = None
        return job.fits

    def close(self) -> None:
        """The thread ends when it has done what it was asked for."""
        self._jobs.put(None)
        self._bell.stop()
        self._bell.close()

    def _on_done(self) -> None:
        """From the event loop: the thread has rung, for one job or several."""
        while self._done:
            job = self._done.popleft()
            self._waiting -= 1
            if job.waiter is not None:
                job.waiter.switch()

    # ---------------------------------------------------------------- in the thread

    def _work(self) -> None:
        try:
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICER)
        except OSError:
            pass  # a wall, or a system that has none of that: then it takes its turns as the loop does
        while (job := self._jobs.get()) is not None:
            if job.waiter is not None:  # else its client has gone: guessing and leaving is not worked for
                job.fits = fits(job.password, job.hashed)
            self._done.append(job)
            self._bell.send()


def fits(password: bytes, hashed: str) -> bool:
    """Whether the password is the one that was hashed. Takes as long as the hash says, whatever comes out."""
    try:
        if kind_of(hashed) == "argon2":
            from argon2 import PasswordHasher

            return PasswordHasher().verify(hashed, password)
        import bcrypt

        return bcrypt.checkpw(password[:LONGEST_OF_BCRYPT], hashed.encode("ascii"))
    except Exception:  # argon2's way to say no; and whatever a library finds wrong with a password fits nothing
        return False
