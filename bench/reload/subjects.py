"""How each proxy gets a changed configuration and is told to reload, and whether it did.

What changes with each reload is the order of the two backends: a change that every proxy has to take seriously and that leaves the
right answers what they are. nginx reloads by SIGHUP; HAProxy's master (-W) by SIGUSR2, which re-executes it and hands the listening
sockets on; lbproxy by SIGHUP.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from signal import SIGHUP, SIGUSR2

from bench.macro import procfs
from bench.macro.cpu import Member
from bench.macro.peers import Peer, Recipe, Site

SIGNALS = {"nginx": SIGHUP, "haproxy": SIGUSR2}


class Subject:
    """A running proxy that is reloaded again and again."""

    def __init__(self, peer: Peer, make: Callable[[Site], Recipe]) -> None:
        """`make`: what its configuration was made by."""
        self.name = peer.name
        self._peer, self._make = peer, make
        self._signal = SIGNALS.get(peer.name, SIGHUP)
        self._seen = self.processes()
        self._swapped = False

    def processes(self) -> set[Member]:
        """All that live now, also those that are finishing."""
        return {(p.pid, p.started) for p in procfs.family(self._peer.pid, procfs.all_processes())}

    def fresh(self) -> int:
        """Processes that the last call (or the start) did not see: none after a reload means that it did not happen."""
        now = self.processes()
        new = len(now - self._seen)
        self._seen = now
        return new

    def reload(self) -> None:
        """Change the configuration and send the signal; returns at once."""
        self._swapped = not self._swapped
        first, second = self._peer.site.backends
        self._make(self._peer.site._replace(backends=(second, first) if self._swapped else (first, second)))
        os.kill(self._peer.pid, self._signal)
