"""The living children and their pipes: the master hears them, tells them, and reaps them."""

from __future__ import annotations

import os
import selectors
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from lbproxy.balance.ledger import PickLock
from lbproxy.errors import ConnectionLost, FrameError, StreamError
from lbproxy.ipc.messages import (
    AcmeName,
    ChallengeOver,
    ChallengeShown,
    KeySetState,
    KeysFetched,
    KeysSilent,
    KeysWanted,
    Message,
    Resolved,
)
from lbproxy.ipc.pipe import MasterPipe
from lbproxy.master.fleet import events
from lbproxy.master.fleet.child import Role
from lbproxy.master.processes.spawn import Running
from lbproxy.master.resources.shared import MasterResources
from lbproxy.observe import log

ASIDE: dict[Role, tuple[type[Message], ...]] = {
    Role.WORKER: (KeysWanted,),
    Role.CONTROL: (Resolved, KeysFetched, KeySetState),
    Role.ACME: (AcmeName, ChallengeShown, ChallengeOver),
}
"""What is no matter of the fleet's, by who may say it."""
LAST_WORDS = 64
"""Reads of a dead child's pipe, at most: its buffer holds far fewer, but something it left behind might go on writing."""


class ChildPipes:
    """The children that were not reaped yet, by row of the ledger; what happens to them is told as events of the fleet."""

    def __init__(
        self,
        selector: selectors.BaseSelector,
        running: Iterable[Running],
        shared: MasterResources,
        feed: Callable[[events.Event], None],
        heard: Mapping[Role, Callable[[Any], None]],
    ) -> None:
        """`feed`: takes events; `heard`: takes what is no matter of the fleet's (ASIDE), by who may say it."""
        self._selector = selector
        self._shared = shared
        self._feed = feed
        self._heard = heard
        self.running = {one.row: one for one in running}
        self.on_stranger: list[Callable[[int, int], None]] = []
        """Told of processes that were reaped and are no children of the fleet's."""
        self.on_keys_silent: Callable[[int], None] = lambda row: None
        """Told of workers that get no signatures."""
        self.on_death: Callable[[int], None] = lambda pid: None
        """Told of children that are dead, by their process ids."""

    def add(self, running: Running) -> None:
        """A child was forked."""
        self.running[running.row] = running
        self._watch(running)

    def watch_all(self) -> None:
        """Children that were here before us."""
        for running in self.running.values():
            self._watch(running)

    def close(self) -> None:
        """Close the master's ends."""
        for running in self.running.values():
            running.pipe.close()

    def tell(self, row: int, message: Message) -> None:
        """Send to one child, if it could be forked; else the fleet is about to be told so."""
        running = self.running.get(row)
        if running is not None:
            self.talk(running, lambda pipe: pipe.send(message))

    def tell_all(self, message: Message) -> None:
        """Send to every child."""
        for running in list(self.running.values()):
            self.talk(running, lambda pipe: pipe.send(message))

    def _watch(self, running: Running) -> None:
        self._selector.register(running.pipe, selectors.EVENT_READ, partial(self._on_pipe, running))

    def _on_pipe(self, running: Running, mask: int) -> None:
        if self.running.get(running.row) is not running:
            return  # reaped earlier in this turn
        if mask & selectors.EVENT_READ:
            self._hear(running)
        if mask & selectors.EVENT_WRITE:
            self.talk(running, MasterPipe.flush)

    def _hear(self, running: Running) -> bool:
        """One read of the pipe; whether anything came."""
        try:
            messages = running.pipe.receive()
            aside = ASIDE.get(running.role, ())
            for message in messages or ():
                if isinstance(message, aside):
                    self._heard[running.role](message)
        except FrameError as error:
            self._stop_watching(running)
            self._feed(events.PipeBroken(running.row, str(error)))
            return False
        if messages is None:
            self._stop_watching(running)
            self._feed(events.PipeEnded(running.row))
            return False
        for message in messages:
            if isinstance(message, KeysSilent) and running.role is Role.WORKER:
                self.on_keys_silent(running.row)
            elif not isinstance(message, aside):  # a breach, if it is somebody else's
                self._feed(events.Said(running.row, message))
        return bool(messages)

    def tell_generation(self, number: int, message: Message) -> None:
        """Send to every child of one generation."""
        for running in list(self.running.values()):
            if running.generation == number:
                self.talk(running, lambda pipe: pipe.send(message))

    def tell_workers(self, number: int, message: Message) -> None:
        """Send to every worker of one generation."""
        for running in list(self.running.values()):
            if running.generation == number and running.role is Role.WORKER:
                self.tell(running.row, message)

    def control_of(self, number: int) -> Running | None:
        """That process of one generation."""
        return self.single(number, Role.CONTROL)

    def single(self, number: int, role: Role) -> Running | None:
        """The process of one generation with that role."""
        return next((one for one in self.running.values() if one.generation == number and one.role is role), None)

    def talk(self, running: Running, say: Callable[[MasterPipe], None]) -> None:
        """Write to a pipe, and watch it for room as long as something is left to write."""
        try:
            say(running.pipe)
        except ConnectionLost:
            self._stop_watching(running)
            self._feed(events.PipeEnded(running.row))
        except StreamError as error:
            self._stop_watching(running)
            self._feed(events.PipeBroken(running.row, str(error)))
        else:
            if running.pipe in self._selector.get_map():
                wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if running.pipe.queued else 0)
                self._selector.modify(running.pipe, wanted, partial(self._on_pipe, running))

    def _stop_watching(self, running: Running) -> None:
        if running.pipe in self._selector.get_map():
            self._selector.unregister(running.pipe)

    def reap(self) -> None:
        """Reap everybody who is dead: several deaths may share one signal, and as process 1 we inherit strangers."""
        rows = {running.pid: row for row, running in self.running.items()}
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid in rows:
                self._bury(self.running[rows[pid]], status)
            else:
                for tell in self.on_stranger:
                    tell(pid, status)

    def _bury(self, running: Running, status: int) -> None:
        for _ in range(LAST_WORDS):
            if not self._hear(running):
                break
        self._stop_watching(running)
        running.pipe.close()
        del self.running[running.row]
        self._settle_accounts(running.row)
        self.on_death(running.pid)
        rows = (other.row for other in self.running.values() if other.role is Role.WORKER)
        self._shared.ledger.set_children(max(rows, default=-1) + 1)
        self._feed(events.Died(running.row, status))

    def _settle_accounts(self, row: int) -> None:
        """A dead child's lock, gauges and counts. Its row is what it wrote: numbers that do not add up must not bring us down."""
        ledger = self._shared.ledger
        PickLock.forgive(self._shared.pick_lock, ledger, row)
        if not ledger.retire_row(row):
            log.get_logger().error("ledger.corrupt", child=row, why="it counted what cannot be")
