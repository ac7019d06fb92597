"""The watch over the backends of all pools, which are probed and compared, as they come and go with their names' addresses."""

from __future__ import annotations

from collections.abc import Callable

import gevent
from gevent.pool import Group

from lbproxy.balance.backend import Backend
from lbproxy.balance.endpoints import NOWHERE, endpoints_of_text, relocate
from lbproxy.config.model import PoolConfig
from lbproxy.config.units import parse_backend_address
from lbproxy.control.backend_health import BackendHealth
from lbproxy.control.outlier_watch import OutlierWatch, WatchedBackend
from lbproxy.control.prober import Prober, declare_down, declare_up
from lbproxy.errors import StartError
from lbproxy.health import schedule
from lbproxy.ipc.handover import Handover
from lbproxy.ipc.messages import HealthChanged, NewPoolFiles, Placed
from lbproxy.observe.log import get_logger
from lbproxy.tls.pool_files import context_from


class BackendWatch:
    """Keeps the handover's backends up to date. Its greenlets are the group's."""

    def __init__(self, handover: Handover, group: Group, report: Callable[[HealthChanged], None]) -> None:
        self._handover = handover
        self._group = group
        self._report = report
        self._outlier_watch = OutlierWatch(handover.ledger, report)
        self._watched: dict[int, WatchedBackend] = {}
        """By slot."""
        self._probers: dict[str, dict[int, Prober]] = {}
        """By pool and slot."""
        self._greenlets: dict[int, gevent.Greenlet[..., object]] = {}

    def start(self) -> None:
        """Probe everybody, spread over the first interval."""
        newcomers = self._handover.generation > 1
        probers: dict[int, Prober] = {}
        for pool in self._handover.config.pools:
            probers |= self._begin(pool, self._handover.backends.get(pool.name, ()), newcomers=newcomers)
        for index, (slot, prober) in enumerate(probers.items()):
            self._greenlets[slot] = self._group.spawn(prober.run, schedule.first(index, len(probers)))
        self._group.spawn(self._outlier_watch.run)

    def relocate(self, message: Placed) -> None:
        """What the master says. From the event loop: nothing here waits."""
        pool = self._handover.config.pool(message.pool)
        old = self._handover.backends[message.pool]
        new = relocate(pool, old, parse_backend_address(message.backend), endpoints_of_text(message.endpoints))
        self._handover.backends[message.pool] = new
        for slot in {backend.slot for backend in old} - {backend.slot for backend in new}:
            del self._watched[slot]
            self._probers.get(message.pool, {}).pop(slot, None)
            if (greenlet := self._greenlets.pop(slot, None)) is not None:
                greenlet.kill(block=False)
        for slot, prober in self._begin(pool, new, newcomers=True).items():
            self._greenlets[slot] = self._group.spawn(prober.run, 0.0)

    def renew(self, message: NewPoolFiles, descriptor: int) -> None:
        """What the master says: checks shake hands by these files from now on, the next one at once."""
        if descriptor < 0:
            return
        pool = self._handover.config.pool(message.pool)
        try:
            context = context_from(pool, message.pieces, descriptor)
        except StartError as error:
            get_logger().error("pool.unusable", pool=pool.name, why=str(error), then="its old files stay")
            return
        self._handover.pool_contexts[pool.name] = context
        for prober in self._probers.get(pool.name, {}).values():
            prober.renew(context)

    def _on_up(self, pool: str) -> Callable[[Prober], None]:
        def doubt_the_others(risen: Prober) -> None:
            others = [prober for prober in self._probers[pool].values() if prober is not risen]
            if all(prober.down for prober in others):
                for prober in others:
                    prober.doubt()

        return doubt_the_others

    def _begin(self, pool: PoolConfig, backends: tuple[Backend, ...], *, newcomers: bool) -> dict[int, Prober]:
        """Watch these and no others of the pool; the probers, by slot, of those that are new here and are to be probed."""
        probers = {}
        for backend in backends:
            if backend.slot in self._watched:
                continue
            health = BackendHealth(self._handover.ledger, backend.slot, pool.slow_start, newcomer=newcomers)
            if backend.ip == NOWHERE:
                declare_down(backend, health, self._report)
                self._watched[backend.slot] = WatchedBackend(backend, health, lambda: None)
                continue
            if pool.health.type == "off":
                declare_up(backend, health, self._report)
                self._watched[backend.slot] = WatchedBackend(backend, health, lambda: None)
                continue
            context = self._handover.pool_contexts.get(pool.name)
            probers[backend.slot] = prober = Prober(pool, backend, context, health, self._report, self._on_up(pool.name))
            self._probers.setdefault(pool.name, {})[backend.slot] = prober
            self._watched[backend.slot] = WatchedBackend(backend, health, prober.hurry)
        if backends:
            self._outlier_watch.watch(pool, [self._watched[backend.slot] for backend in backends])
        return probers
