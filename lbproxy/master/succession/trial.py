"""The trial of new code: its own `check` of the configuration, beside the master, which goes on meanwhile."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence

from lbproxy.tls import passphrase

TRIAL_TIME = 120.0
"""Seconds for the new code's `check`, and for what else is under way; a busy machine has taken 20 for the check alone."""
LOOK = 0.1
"""Seconds between two looks at a trial."""
LINES = 5
"""Of what it said last."""
_LAST_WORDS = 4096
"""Bytes of these."""


class Trial:
    """One of them. The master reaps it, as all its children, and tells that by `ended`. `close` it."""

    def __init__(self, command: Sequence[str], now: float) -> None:
        """Raises OSError."""
        self._command = command
        self.until = now + TRIAL_TIME
        self._said = os.memfd_create("lbproxy-trial", os.MFD_CLOEXEC)
        self._status: int | None = None
        self._alive = False
        try:
            held = passphrase.kept()  # of which those that the configuration names outlive an execve as they are
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=self._said, pass_fds=held
            )
        except OSError:
            os.close(self._said)
            raise
        process.returncode = 0  # it is not waited for by that object
        self.pid = process.pid
        self._alive = True

    def ended(self, pid: int, status: int) -> None:
        """A child was reaped; `status` as waitpid(2) tells it."""
        if self._alive and pid == self.pid:
            self._alive, self._status = False, status

    def verdict(self, now: float) -> str | None:
        """Why the new code must not be executed, "" when its check has passed; None: that is not known yet."""
        if self._status is None:
            return f"{' '.join(self._command)}: no end after {TRIAL_TIME:g} s" if now >= self.until else None
        code = os.waitstatus_to_exitcode(self._status)
        if code == 0:
            return ""
        return "\n".join(self._last_words()) or f"{' '.join(self._command)}: exit {code}"

    def _last_words(self) -> list[str]:
        begin = max(0, os.fstat(self._said).st_size - _LAST_WORDS)
        return os.pread(self._said, _LAST_WORDS, begin).decode("utf-8", "replace").strip().splitlines()[-LINES:]

    def close(self) -> None:
        """It is not waited for any more."""
        os.close(self._said)
        if self._alive:
            os.kill(self.pid, signal.SIGKILL)  # not reaped yet, so the number is still its own

    def close_in_child(self) -> None:
        """Its descriptor is not the child's."""
        os.close(self._said)
