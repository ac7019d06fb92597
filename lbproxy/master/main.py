"""The master's shell: carries out what the fleet (fleet.py) decides, and tells it what happens.

One thread, one selector: signals, the children's pipes, and time. Within a turn the pipes come before the clock, so that a master
that was stopped for a while hears its children's heartbeats before it judges their silence.
"""

from __future__ import annotations

import gc
import os
import selectors
import signal
import time
from collections import deque
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from typing import Any

from setproctitle import setproctitle

from lbproxy import __version__, compiled
from lbproxy.balance.ledger import Header
from lbproxy.config.model import Config
from lbproxy.errors import StartError
from lbproxy.ipc.handover import ChildLoader
from lbproxy.ipc.messages import Drain, SetLogLevel
from lbproxy.master.files.reading import Passing
from lbproxy.master.files.watch import looker_by
from lbproxy.master.fleet import events
from lbproxy.master.fleet.child import Role
from lbproxy.master.fleet.children import DRAIN_GRACE
from lbproxy.master.fleet.fleet import ABANDON_AFTER, Fleet
from lbproxy.master.names.updates import AddressUpdates
from lbproxy.master.operator.control_socket import ControlSocket
from lbproxy.master.operator.operator import Operator
from lbproxy.master.processes.child_pipes import ChildPipes
from lbproxy.master.processes.keys import KeyProcesses
from lbproxy.master.processes.spawn import Start, spawn
from lbproxy.master.resources.generation import GenerationResources
from lbproxy.master.resources.preparation import Preparation
from lbproxy.master.resources.prepare import prepare
from lbproxy.master.settlement import Settlement
from lbproxy.master.succession.succession import Succession
from lbproxy.master.succession.upgrade import Commands, Legacy, take_over
from lbproxy.master.system.inherited import inherit
from lbproxy.master.system.notify import Notifier
from lbproxy.master.system.signals import TERMINATE, Signals, unblock
from lbproxy.master.warnings import plain_by_an_edit, warn
from lbproxy.master.watches import log_rotation
from lbproxy.master.watches.watches import Watches
from lbproxy.observe import log, standard
from lbproxy.sandbox import kernel
from lbproxy.tls.harvest import Harvest

LONGEST_WAIT = 1.0
"""Seconds between ticks; the fleet takes much longer gaps for a master that was stopped."""
MAX_TIMEOUT_MS = 2**31 - 1
LOG_LOOK = 0.1
"""Seconds until a reader of our events who slept is looked after again."""


def run(
    config: Config,
    *,
    worker: ChildLoader,
    control: Start,
    on_ready: Callable[[], None] | None = None,
    reread: Callable[[], Config] | None = None,
    commands: Commands | None = None,
    harvest: Harvest | None = None,
    look: Callable[[Passing], object] | None = None,
) -> int:
    """Be the master until a signal ends it. Returns the exit code: 0 clean, 1 the children keep dying, 2 forced.

    `on_ready` is called once, in the master, when every worker is Ready. Whatever keeps that from happening is raised as StartError
    or ConfigError, the children's own reasons included; nothing runs and nothing is bound any more then. `reread` gets the
    configuration for a reload (raises ConfigError); without it the same one is brought to life again. `commands`: how to execute
    this program again; without them that is refused. `harvest`: pairs that were read with a configuration;
    `look`: looks at all that a reload reads.
    """
    standard.adopt_streams()
    log.configure(config.log, role="master")
    if config.proxy.walls:
        kernel.undumpable()  # here are the keys of all
    else:
        warn(("walls.off", "proxy.walls = false: its account alone keeps an intruder in a worker, and core files may hold keys"))
    notifier = Notifier()
    legacy = take_over(config, time.monotonic())
    if legacy is None:
        shared, resources = prepare(config, inherit(), harvest)
        legacy = Legacy(shared, {1: resources}, Fleet(preparing=resources.loading is not None), [])
    elif harvest is not None:
        harvest.close()  # it reads anew with its first reload, which comes at once
    try:
        mains: dict[Role, Start] = {Role.WORKER: worker, Role.CONTROL: control, Role.ACME: control}
        master = Master(legacy, mains, notifier, on_ready, reread or (lambda: config), commands, harvest, look)
    except BaseException:
        legacy.shared.close()
        raise
    try:
        with master.signals:
            unblock()  # the program before us may have left them blocked
            return master.run()
    except OSError as error:  # what the system denies at start is told in a sentence; later it is a fault of ours
        if master.served:
            log.get_logger().error("crashed", exc_info=error)
        raise
    finally:
        master.close()


class Master:
    """Owns the resources, the selector and the children's pipes; `close` it."""

    def __init__(
        self,
        legacy: Legacy,
        mains: dict[Role, Start],
        notifier: Notifier,
        on_ready: Callable[[], None] | None,
        reread: Callable[[], Config],
        commands: Commands | None,
        harvest: Harvest | None,
        look: Callable[[Passing], object] | None,
    ) -> None:
        self._shared = legacy.shared
        self._resources = legacy.resources
        self._fleet = legacy.fleet
        self._mains = mains
        self._notifier = notifier
        self._on_ready = on_ready
        self._served = self._adopts = legacy.fleet.last > 0
        self._selector = selectors.DefaultSelector()
        self._outcome: int | None = None
        self._events: deque[events.Event] = deque()
        self._feeding = False
        self._preparation = Preparation(
            self._shared, self._resources, lambda: self._serving_resources, reread, self._selector, self._feed, harvest, look
        )
        heard: dict[Role, Callable[[Any], None]] = {}
        self._pipes = ChildPipes(self._selector, legacy.running, self._shared, self._feed, heard)
        self._operator = Operator(self._shared, self._fleet, self._resources, self._feed, self._set_level)
        self._settlement = Settlement(self._shared.ledger, self._pipes.running, self._preparation, self._operator)
        where = self._serving_resources.config.proxy.control
        self._control = None if where is None else ControlSocket(where, self._selector, self._operator.handle, time.monotonic)
        self._keys = KeyProcesses(self._pipes, self._shared.account, self._resources, self._in_service)
        names = AddressUpdates(self._shared, self._resources, self._pipes.tell_generation, self._fleet.health_news.forget)
        begin = looker_by(getattr(mains[Role.CONTROL], "forker", None))
        self._watches = Watches(
            self._shared, self._resources, self._in_service, self._pipes, self._operator, names, begin, self._selector
        )
        heard |= self._watches.heard
        self.signals = Signals()
        self._succession = Succession(
            commands, self._shared, self._resources, self._fleet, self._pipes, notifier, self.signals.take
        )

    @property
    def served(self) -> bool:
        """Whether it ever came to that."""
        return self._served

    def run(self) -> int:
        """Until the fleet says Exit; the exit code. Raises StartError when it never came to serving."""
        resources = self._serving_resources
        config = resources.config
        self._selector.register(self.signals, selectors.EVENT_READ, self._on_signals)
        logger = log.get_logger()
        warn(*plain_by_an_edit(compiled.form()), *self._shared.warnings, *resources.warnings())
        logger.info(
            "started",
            version=__version__,
            config=config.source,
            workers=resources.workers,
            listeners=[str(listen.address) for listen in config.listen],
        )
        setproctitle(f"lbproxy: master ({config.source or 'no file'})")
        gc.collect()
        gc.freeze()  # the children's collectors must not touch, and so copy, the pages they share with us
        if self._adopts:
            self._succeed()
        else:
            self._preparation.begin_first(resources)
        while self._outcome is None:
            for key, mask in self._selector.select(max(0.0, min(self._next_deadline() - time.monotonic(), LONGEST_WAIT))):
                key.data(mask)
            self._feed(events.TimePassed())
            self._preparation.look_after(stopping=self._fleet.stop is not None)
            self._settlement.look()
            now = time.monotonic()
            self._succession.look(now)
            self._shared.inspect_sockets(now)
            self._watches.look(now)
            self._keys.look(now)
            self._notifier.watchdog(now)
            if self._control is not None:
                self._control.expire(now)
            log.flush()
        return self._outcome

    def _succeed(self) -> None:
        """We are new in an old process: its children are here, and a generation of ours is to follow them."""
        self._pipes.watch_all()
        self._pipes.reap()  # whoever died meanwhile
        self._feed(events.ReloadWanted())

    def close(self) -> None:
        """Close everything. Children that still live see the end of their pipes, drain and go."""
        self._watches.cache.keep(self._pipes.running)
        self._preparation.close()
        self._watches.files.close()
        self._succession.close()
        if self._control is not None:
            self._control.close()
        self._pipes.close()
        self._watches.taps.close()
        self._watches.rules.close()
        self._selector.close()
        self.signals.close()
        for resources in self._resources.values():
            resources.close()
        self._shared.close()
        gc.unfreeze()

    def _next_deadline(self) -> float:
        watches = self._watches.cache, self._watches.taps, self._watches.rules
        due = min(one.next_deadline() for one in (self._fleet, self._notifier, self._keys, self._settlement, *watches))
        if standard.waiting():
            due = min(due, time.monotonic() + LOG_LOOK)
        return due if self._control is None else min(due, self._control.next_deadline())

    def _feed(self, event: events.Event) -> None:
        """Tell the fleet, and carry out what it wants. What happens meanwhile (a fork that fails) waits until the whole list
        is carried out: the fleet takes it that it is."""
        self._events.append(event)
        if self._feeding:
            return
        self._feeding = True
        try:
            while self._events:
                for action in self._fleet.handle(self._events.popleft(), time.monotonic()):
                    ACTIONS[type(action)](self, action)
        finally:
            self._feeding = False

    # ---- actions

    def _spawn(self, order: events.Spawn) -> None:
        resources = self._resources[order.generation]
        start, close = self._mains[order.role], partial(self._close_in_child, resources)
        try:
            worker = order.role is Role.WORKER
            keys = self._keys.begin(order, resources) if worker else None
            tap = self._watches.taps.serve(order.row) if worker else None
            with keys[0] if keys is not None else nullcontext() as sock, tap or nullcontext():
                running = spawn(order, self._shared, resources, start, close, sock, tap)
        except OSError as error:
            self._feed(events.SpawnFailed(order.row, error.strerror or str(error)))
            return
        self._pipes.add(running)
        if keys is not None:
            self._keys.begun(order, keys[1], running.pid)
        self._feed(events.Spawned(order.row, running.pid))
        self._watches.acme.spawned(running)
        if level := self._operator.level_of(order.generation):  # it takes the place of one that was told
            self._pipes.tell(order.row, SetLogLevel(level))

    def _close_in_child(self, own: GenerationResources) -> None:
        watches = self._watches
        for one in (self._preparation, self._keys, watches.cache, watches.files, watches.taps, watches.rules):
            one.close_in_child()
        for other in (self._selector, self.signals, self._pipes):
            other.close()
        for resources in self._resources.values():
            if resources is not own:
                resources.close()
        if self._control is not None:
            self._control.close_in_child()
        if self._shared.pid_file is not None:
            os.close(self._shared.pid_file.fileno())

    def _send(self, order: events.Send) -> None:
        self._pipes.tell(order.row, order.message)

    def _tell_drain(self, order: events.TellDrain) -> None:
        """What the master does not listen on any more closes with the last worker: it takes the queue along."""
        running = self._pipes.running.get(order.row)
        if running is None:
            return
        listeners = self._resources[running.generation].listeners
        closing = [str(index) for index, one in enumerate(listeners) if one.listen.address not in self._shared.sockets]
        limits = (order.timeout, order.idle, order.tunnel)
        timeout, idle, tunnel = (min(round(seconds * 1000), MAX_TIMEOUT_MS) for seconds in limits)
        self._send(events.Send(order.row, Drain(timeout, idle, tunnel, ",".join(closing))))

    def _kill(self, order: events.Kill) -> None:
        running = self._pipes.running.get(order.row)
        if running is not None:
            os.kill(running.pid, order.signal)  # not reaped yet, so the number is still its own

    def _log(self, order: events.Log) -> None:
        getattr(log.get_logger(), order.level)(order.event, **order.fields)

    def _prepare(self, order: events.Prepare) -> None:
        """Everything that can be refused is refused here, while nothing has changed."""
        self._operator.reload_begins()
        self._notifier.reloading(time.monotonic_ns() // 1000, "reloading")
        log.get_logger().info("reload.begun", generation=order.number)
        self._preparation.begin(order.number)

    def _serving(self, order: events.Serving) -> None:
        resources = self._resources[order.generation]
        self._shared.ledger.cells[Header.GENERATION] = order.generation
        self._shared.stop_listening(keep=resources.addresses)
        self._notifier.ready(f"generation {order.generation}, workers: {resources.workers}")
        if not self._served:
            self._served = True
            if self._on_ready is not None:
                self._on_ready()
            return
        self._settlement.look(patient=False)  # the reload before, if its old workers are still busy
        log.configure(resources.config.log, role="master")
        setproctitle(f"lbproxy: master (generation {order.generation}, {resources.config.source or 'no file'})")
        self._settlement.begin(order)

    def _rejected(self, order: events.Rejected) -> None:
        self._preparation.plans.pop(order.number, None)
        if self._fleet.stop is None:
            self._shared.discard_sockets(self._serving_resources.addresses)
            self._notifier.ready(f"a reload failed: {order.why}")
        self._operator.reload_rejected(order.number, order.why)

    def _forget(self, order: events.Forget) -> None:
        self._resources.pop(order.number).close()

    def _stop_listening(self, _: events.StopListening) -> None:
        self._settlement.look(patient=False)  # now: by its time everything may be gone
        self._shared.stop_listening()
        timeout = self._serving_resources.config.proxy.drain_timeout
        self._notifier.stopping("draining", within=timeout + DRAIN_GRACE + ABANDON_AFTER)

    @property
    def _serving_resources(self) -> GenerationResources:
        """What clients meet; before anything serves, the first."""
        serving = self._fleet.serving
        return self._resources[serving.number if serving is not None else min(self._resources)]

    def _in_service(self) -> tuple[int, GenerationResources] | None:
        serving = self._fleet.serving
        return None if serving is None or self._fleet.stop is not None else (serving.number, self._resources[serving.number])

    def _set_level(self, message: SetLogLevel) -> None:
        log.set_level(message.level)
        self._pipes.tell_all(message)

    def _exit(self, order: events.Exit) -> None:
        level = "info" if order.code == 0 else "error"
        getattr(log.get_logger(), level)("stopped", code=order.code, reason=order.reason)
        if order.code == 1 and not self._served:
            raise StartError(order.reason)
        self._outcome = order.code

    # ---- signals

    def _on_signals(self, _: int) -> None:
        for number in self.signals.take():
            SIGNALS[number](self, number)

    def _on_terminate(self, number: signal.Signals) -> None:
        self._feed(events.Terminate(number.name))

    def _on_child(self, _: signal.Signals) -> None:
        self._pipes.reap()

    def _on_reload(self, _: signal.Signals) -> None:
        self._feed(events.ReloadWanted())

    def _on_upgrade(self, _: signal.Signals) -> None:
        """Execute ourselves again, on new code."""
        self._succession.want()

    def _on_reopen(self, _: signal.Signals) -> None:
        """The access log was rotated: workers get a descriptor of the new file, which they may have no right to open."""
        for number, resources in self._resources.items():
            workers = [one for one in self._pipes.running.values() if one.role is Role.WORKER and one.generation == number]
            log_rotation.reopen(number, resources, workers, self._pipes.talk)


ACTIONS: dict[type[events.Action], Callable[[Master, Any], None]] = {
    events.Spawn: Master._spawn,
    events.Send: Master._send,
    events.TellDrain: Master._tell_drain,
    events.Kill: Master._kill,
    events.Log: Master._log,
    events.Prepare: Master._prepare,
    events.Serving: Master._serving,
    events.Rejected: Master._rejected,
    events.Forget: Master._forget,
    events.StopListening: Master._stop_listening,
    events.Exit: Master._exit,
}

SIGNALS: dict[signal.Signals, Callable[[Master, signal.Signals], None]] = {
    **dict.fromkeys(TERMINATE, Master._on_terminate),
    signal.SIGCHLD: Master._on_child,
    signal.SIGHUP: Master._on_reload,
    signal.SIGUSR1: Master._on_reopen,
    signal.SIGUSR2: Master._on_upgrade,
}
