"""The lock on the folder: one process at a time orders, of all machines that share it.

flock(2) is not enough there: some network file systems keep it to one machine, others lose it with their server. A file that is
made by link(2), which fails where it is there already, is enough on all of them, and outlives its owner: so whoever has it says so
anew every REFRESH seconds, and whoever finds it unchanged for STALE seconds *by his own clock* takes it away. No clocks are
compared.
Should two machines ever hold it (one slept for a minute and goes on), both order: a certificate too many, and no harm to any file.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable

from lbproxy.acme.folder import AcmeFolder

NAME = "lock"
REFRESH = 10.0
STALE = 60.0


class FolderLock:
    """One process's view of it. `clock`: monotonic seconds."""

    def __init__(self, folder: AcmeFolder, clock: Callable[[], float], owner: str) -> None:
        """`owner`: for people who look at the file."""
        self._folder = folder
        self._clock = clock
        self._owner = f"{owner} {secrets.token_hex(8)}"
        self._beat = 0
        self._seen: tuple[bytes, float] | None = None
        self._refreshed = 0.0
        self.held = False

    def _content(self) -> bytes:
        return json.dumps({"version": 1, "owner": self._owner, "beat": self._beat}).encode("ascii")

    def take(self) -> bool:
        """Whether we have it now; else come back later. Raises OSError."""
        if self.held:
            return self.refresh()
        if self._folder.write(NAME, self._content(), new=True):
            self._refreshed = self._clock()
            self.held = True
            return True
        there, now = self._folder.read(NAME), self._clock()
        if there is None or self._seen is None or there != self._seen[0]:
            self._seen = None if there is None else (there, now)
        elif now - self._seen[1] >= STALE:  # its owner is gone
            self._seen = None
            if self._folder.read(NAME) == there:
                self._folder.remove(NAME)
        return False

    def refresh(self) -> bool:
        """Say that we are still here; False: somebody has taken it away. Raises OSError."""
        if not self.held:
            return False
        if self._clock() - self._refreshed < REFRESH:
            return True
        there = self._folder.read(NAME)
        if there != self._content():
            self.held = False
            return False
        self._beat += 1
        self._folder.write(NAME, self._content())
        self._refreshed = self._clock()
        return True

    def give_back(self) -> None:
        """Whether we have it or not. Raises OSError."""
        if self.held and self._folder.read(NAME) == self._content():
            self._folder.remove(NAME)
        self.held = False
