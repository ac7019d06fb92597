"""The master's shell: carries out what the fleet (fleet.py) decides, and tells it what happens.

One thread, one selector: signals, the children's pipes, and time. Within a turn the pipes come before the clock, so that a master
that was stopped for a while hears its children's heartbeats before it judges their silence.
"""

from __future__ import annotations

import gc
import os
import selectors
import time
from collections.abc import Callable
from signal import SIGCHLD, SIGHUP, SIGUSR1, SIGUSR2
from signal import Signals as Signal
from typing import Any

from setproctitle import setproctitle

from lbproxy import __version__
from lbproxy.balance.ledger import PickLock, scalar_at
from lbproxy.config.model import Config
from lbproxy.errors import ConnectionLost, FrameError, StartError, StreamError
from lbproxy.ipc.handover import ChildLoader
from lbproxy.ipc.messages import ReopenLogs
from lbproxy.ipc.pipe import MasterPipe
from lbproxy.master import access_log, events
from lbproxy.master.child import Role
from lbproxy.master.fleet import Fleet
from lbproxy.master.prepare import Estate, Provision, prepare
from lbproxy.master.signals import TERMINATE, Signals
from lbproxy.master.spawn import Running, spawn
from lbproxy.observe import log

LONGEST_WAIT = 1.0
"""Seconds between ticks; the fleet takes much longer gaps for a master that was stopped."""
LAST_WORDS = 64
"""Reads of a dead child's pipe, at most: its buffer holds far fewer, but something it left behind might go on writing."""


def run(config: Config, *, worker: ChildLoader, control: ChildLoader, on_ready: Callable[[], None] | None = None) -> int:
    """Be the master until a signal ends it. Returns the exit code: 0 clean, 1 the children keep dying, 2 forced.

    `on_ready` is called once, in the master, when every worker is Ready. Whatever keeps that from happening is raised as StartError
    or ConfigError, the children's own reasons included; nothing runs and nothing is bound any more then.
    """
    log.configure(config.log, role="master")
    estate, provision = prepare(config)
    master = Master(estate, provision, {Role.WORKER: worker, Role.CONTROL: control}, on_ready)
    try:
        with master.signals:
            return master.run()
    finally:
        master.close()


class Master:
    """Owns the estate, the provision, the selector and the children's pipes; `close` it."""

    def __init__(
        self, estate: Estate, provision: Provision, mains: dict[Role, ChildLoader], on_ready: Callable[[], None] | None
    ) -> None:
        self._estate = estate
        self._provisions = {1: provision}
        self._mains = mains
        self._on_ready = on_ready
        self._fleet = Fleet(provision.workers, provision.config.proxy.drain_timeout)
        self._running: dict[int, Running] = {}  # by slot
        self._selector = selectors.DefaultSelector()
        self._served = False
        self._outcome: int | None = None
        self.signals = Signals()
        self._do: dict[type[events.Action], Callable[[Any], None]] = {
            events.Spawn: self._spawn,
            events.Send: self._send,
            events.Kill: self._kill,
            events.Log: self._log,
            events.Serving: self._serving,
            events.StopListening: self._stop_listening,
            events.Exit: self._exit,
        }
        self._on: dict[Signal, Callable[[Signal], None]] = {
            **dict.fromkeys(TERMINATE, self._on_terminate),
            SIGCHLD: self._on_child,
            SIGHUP: self._on_reload,
            SIGUSR1: self._on_reopen,
            SIGUSR2: self._on_upgrade,
        }

    def run(self) -> int:
        """Until the fleet says Exit; the exit code. Raises StartError when it never came to serving."""
        config = self._provision.config
        setproctitle(f"lbproxy: master ({config.source or 'no file'})")
        self._selector.register(self.signals, selectors.EVENT_READ, None)
        logger = log.get_logger()
        for event, why in self._estate.warnings:
            logger.warning(event, why=why)
        logger.info(
            "started",
            version=__version__,
            config=config.source,
            workers=self._provision.workers,
            listeners=[str(listen.address) for listen in config.listen],
        )
        gc.collect()
        gc.freeze()  # the children's collectors must not touch, and so copy, the pages they share with us
        self._feed(events.Start())
        while self._outcome is None:
            wait = self._fleet.next_deadline() - time.monotonic()
            for key, mask in self._selector.select(max(0.0, min(wait, LONGEST_WAIT))):
                if key.data is None:
                    self._on_signals()
                else:
                    self._on_pipe(key.data, mask)
            self._feed(events.Tick())
        return self._outcome

    def close(self) -> None:
        """Close everything. Children that still live see the end of their pipes, drain and go."""
        for running in self._running.values():
            running.pipe.close()
        self._selector.close()
        self.signals.close()
        for provision in self._provisions.values():
            provision.close()
        if self._estate.pid_file is not None:
            self._estate.pid_file.release()
        gc.unfreeze()

    @property
    def _provision(self) -> Provision:
        return self._provisions[max(self._provisions)]

    def _feed(self, event: events.Event) -> None:
        for action in self._fleet.handle(event, time.monotonic()):
            self._do[type(action)](action)

    # ---- actions

    def _spawn(self, order: events.Spawn) -> None:
        try:
            running = spawn(order, self._estate, self._provisions[order.generation], self._mains[order.role], self._close_in_child)
        except OSError as error:
            self._feed(events.SpawnFailed(order.slot, error.strerror or str(error)))
            return
        self._running[order.slot] = running
        self._selector.register(running.pipe, selectors.EVENT_READ, running)
        self._feed(events.Spawned(order.slot, running.pid))

    def _close_in_child(self) -> None:
        self._selector.close()
        self.signals.close()
        for running in self._running.values():
            running.pipe.close()
        if self._estate.pid_file is not None:
            os.close(self._estate.pid_file.fileno())

    def _send(self, order: events.Send) -> None:
        running = self._running[order.slot]
        self._talk(running, lambda pipe: pipe.send(order.message))

    def _kill(self, order: events.Kill) -> None:
        os.kill(self._running[order.slot].pid, order.signal)  # not reaped yet, so the number is still its own

    def _log(self, order: events.Log) -> None:
        getattr(log.get_logger(), order.level)(order.event, **order.fields)

    def _serving(self, _: events.Serving) -> None:
        if not self._served and self._on_ready is not None:
            self._on_ready()
        self._served = True

    def _stop_listening(self, _: events.StopListening) -> None:
        for provision in self._provisions.values():
            provision.stop_listening()

    def _exit(self, order: events.Exit) -> None:
        level = "info" if order.code == 0 else "error"
        getattr(log.get_logger(), level)("stopped", code=order.code, reason=order.reason)
        if order.code == 1 and not self._served:
            raise StartError(order.reason)
        self._outcome = order.code

    # ---- pipes

    def _on_pipe(self, running: Running, mask: int) -> None:
        if self._running.get(running.slot) is not running:
            return  # reaped earlier in this turn
        if mask & selectors.EVENT_READ:
            self._hear(running)
        if mask & selectors.EVENT_WRITE:
            self._talk(running, MasterPipe.flush)

    def _hear(self, running: Running) -> bool:
        """One read of the pipe; whether anything came."""
        try:
            messages = running.pipe.receive()
        except FrameError as error:
            self._stop_watching(running)
            self._feed(events.PipeBroken(running.slot, str(error)))
            return False
        if messages is None:
            self._stop_watching(running)
            self._feed(events.PipeEnded(running.slot))
            return False
        for message in messages:
            self._feed(events.Said(running.slot, message))
        return bool(messages)

    def _talk(self, running: Running, say: Callable[[MasterPipe], None]) -> None:
        """Write to a pipe, and watch it for room as long as something is left to write."""
        try:
            say(running.pipe)
        except ConnectionLost:
            self._stop_watching(running)
            self._feed(events.PipeEnded(running.slot))
        except StreamError as error:
            self._stop_watching(running)
            self._feed(events.PipeBroken(running.slot, str(error)))
        else:
            if running.pipe in self._selector.get_map():
                wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if running.pipe.queued else 0)
                self._selector.modify(running.pipe, wanted, running)

    def _stop_watching(self, running: Running) -> None:
        if running.pipe in self._selector.get_map():
            self._selector.unregister(running.pipe)

    # ---- signals

    def _on_signals(self) -> None:
        for number in self.signals.take():
            self._on[number](number)

    def _on_terminate(self, number: Signal) -> None:
        self._feed(events.Terminate(number.name))

    def _on_child(self, _: Signal) -> None:
        """Reap everybody who is dead: several deaths may share one signal, and as process 1 we inherit strangers."""
        slots = {running.pid: slot for slot, running in self._running.items()}
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid in slots:
                self._bury(self._running[slots[pid]], status)

    def _bury(self, running: Running, status: int) -> None:
        for _ in range(LAST_WORDS):
            if not self._hear(running):
                break
        self._stop_watching(running)
        running.pipe.close()
        del self._running[running.slot]
        self._settle_accounts(running.slot)
        self._feed(events.Died(running.slot, status))

    def _settle_accounts(self, slot: int) -> None:
        """A dead child's lock, gauges and counts. Its row is what it wrote: numbers that do not add up must not bring us down."""
        ledger = self._estate.ledger
        PickLock.forgive(self._estate.pick_lock, ledger, slot)
        try:
            ledger.retire_row(slot)
        except ValueError as error:  # a sum beyond 64 bits
            log.get_logger().error("ledger.corrupt", child=slot, why=str(error))
            for cell in range(scalar_at(slot, 0), scalar_at(slot + 1, 0)):
                ledger.cells[cell] = 0

    def _on_reload(self, _: Signal) -> None:
        log.get_logger().warning("reload.ignored", why="this version cannot reload yet; restart it to apply a new configuration")

    def _on_upgrade(self, _: Signal) -> None:
        log.get_logger().warning("upgrade.ignored", why="this version cannot replace itself yet; restart it")

    def _on_reopen(self, _: Signal) -> None:
        """The access log was rotated: workers get a descriptor of the new file, which they may have no right to open."""
        provision = self._provision
        try:
            fresh = access_log.open_access_log(provision.config)
        except StartError as error:
            log.get_logger().error("logs.not_reopened", why=str(error))  # the old file goes on
            return
        if fresh < 0:
            return
        os.close(provision.access_fd)
        provision.access_fd = fresh
        for running in list(self._running.values()):
            if running.role is Role.WORKER:
                self._talk(running, lambda pipe: pipe.send_fd(ReopenLogs(), fresh))
        log.get_logger().info("logs.reopened", access=provision.config.log.access)
