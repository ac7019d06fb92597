"""The watch over taps that are read as it happens: what the process for them is to have, and who hears what it did."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Mapping

from lbproxy.config.model import Config
from lbproxy.ipc.messages import TapWork
from lbproxy.master.fleet.child import Role
from lbproxy.master.processes.child_pipes import ChildPipes
from lbproxy.master.resources.generation import GenerationResources
from lbproxy.master.tap.taps import Taps

TELL_EVERY = 1.0


class TapWatch:
    """One master's watch over its taps."""

    def __init__(
        self,
        resources: Mapping[int, GenerationResources],
        serving: Callable[[], tuple[int, GenerationResources] | None],
        pipes: ChildPipes,
        taps: Taps,
    ) -> None:
        """`resources`: of living generations, by number; `serving`: number and resources of what clients meet."""
        self._resources = resources
        self._serving = serving
        self._pipes = pipes
        self._taps = taps
        self._tell_at = 0.0
        self._told: dict[tuple[str, str], TapWork] = {}
        self._told_to = 0

    def serve(self, row: int) -> socket.socket | None:
        """For a worker that is about to be forked. Raises OSError."""
        return self._taps.serve(row, self._configs(), time.monotonic())

    def look(self, now: float) -> None:
        """Everything that is due."""
        rows = {row for row, running in self._pipes.running.items() if running.role is Role.WORKER}
        self._taps.look(self._configs(), rows, now)
        if now >= self._tell_at:
            self._tell_at = now + TELL_EVERY
            self._tell()

    def next_deadline(self) -> float:
        """When something is due, monotonic seconds."""
        return self._taps.next_deadline()

    def told(self) -> list[dict[str, object]]:
        """For a status."""
        return [work._asdict() for work in self._taps.work()]

    def close(self) -> None:
        """See Taps."""
        self._taps.close()

    def close_in_child(self) -> None:
        """A child's copies."""
        self._taps.close_in_child()

    def _configs(self) -> list[Config]:
        """Of living generations: the one that serves wins, then younger ones."""
        serving = self._serving()
        first = [] if serving is None else [serving[0]]
        numbers = first + [number for number in sorted(self._resources, reverse=True) if number not in first]
        return [self._resources[number].config for number in numbers if number in self._resources]

    def _tell(self) -> None:
        """Control, which has pages and metrics."""
        serving = self._serving()
        control = None if serving is None else self._pipes.control_of(serving[0])
        if control is None:
            return
        if control.pid != self._told_to:
            self._told, self._told_to = {}, control.pid
        for work in self._taps.work():
            if self._told.get((work.tap, work.sink)) != work:
                self._told[work.tap, work.sink] = work
                self._pipes.tell(control.row, work)
