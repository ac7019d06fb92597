"""The configuration's pools as a worker's objects: policies, affinity, admission."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import NamedTuple

from lbproxy.balance import policies
from lbproxy.balance.backend import Backend
from lbproxy.balance.keyed_pool import KeyedPool
from lbproxy.balance.ledger import Ledger, PickLock
from lbproxy.balance.policy import Ground, Policy
from lbproxy.balance.pool import Pool
from lbproxy.balance.queued_pool import QueuedPool
from lbproxy.balance.shared_queue import SharedQueue
from lbproxy.balance.source_hash import HashRing
from lbproxy.balance.sticky import Words
from lbproxy.config import model
from lbproxy.ipc.handover import Handover
from lbproxy.proxy.admission import Admission
from lbproxy.proxy.affinity import Affinity, Source, StickyCookie
from lbproxy.proxy.queue import Queue
from lbproxy.streams import Strands
from lbproxy.worker.wakeups import Wakeups


class Pools(NamedTuple):
    """The pools of a worker, and their admissions, by pool name."""

    pools: dict[str, Pool]
    admissions: dict[str, Admission]
    """Of those that have more to ask than the everyday pick does."""


def make_pools(handover: Handover, strands: Strands, clock: Callable[[], float], wakeups: Wakeups) -> Pools:
    """For one worker; `clock`: monotonic seconds."""
    ledger, child = handover.ledger, handover.child
    lock = PickLock(handover.pick_lock, ledger, child)
    made = Pools({}, {})
    for settings in handover.config.pools:
        backends = handover.backends[settings.name]
        policy = _policy(settings.balance, ledger, backends)
        affinity = _affinity(settings, backends, ledger)
        if settings.queue and any(backend.max_connections for backend in backends):
            first = backends[0]
            shared = SharedQueue(ledger, child, first.slot if first.pool_slot < 0 else first.pool_slot, settings.queue, clock)
            queueing = QueuedPool(settings.name, backends, ledger, lock, child, policy, settings.fail_open, shared, wakeups.wake)
            queue = Queue(queueing, strands, clock, settings.queue_timeout, wakeups.watch)
            made.pools[settings.name] = queueing
            made.admissions[settings.name] = Admission(queueing, affinity or Affinity(), queue)
        elif affinity is None:
            made.pools[settings.name] = Pool(settings.name, backends, ledger, lock, child, policy, settings.fail_open)
        else:
            pool = KeyedPool(settings.name, backends, ledger, lock, child, policy, settings.fail_open)
            made.pools[settings.name] = pool
            made.admissions[settings.name] = Admission(pool, affinity)
    return made


def set_backends(made: Pools, settings: model.PoolConfig, backends: Sequence[Backend], ledger: Ledger) -> None:
    """A pool has other backends from now on. Whoever holds a lease, or waits for one, does not notice."""
    made.pools[settings.name].set_backends(backends, _policy(settings.balance, ledger, backends))
    admission = made.admissions.get(settings.name)
    if admission is not None:
        admission.backends_moved(_affinity(settings, backends, ledger) or Affinity())


def _policy(name: str, ledger: Ledger, backends: Sequence[Backend]) -> Policy:
    return policies.make(name, Ground(ledger.cells, [backend.slot for backend in backends], random.random))


def _affinity(settings: model.PoolConfig, backends: Sequence[Backend], ledger: Ledger) -> Affinity | None:
    hashed = settings.balance == "source_hash"
    if not hashed and settings.sticky is None:
        return None
    sticky = settings.sticky
    return Affinity(
        Source(settings.hash.kind, settings.hash.name.encode()) if hashed else None,
        HashRing([backend.name for backend in backends], [backend.weight for backend in backends]) if hashed else None,
        None
        if sticky is None
        else StickyCookie(
            sticky.cookie,
            Words(ledger.secret(), [backend.identity for backend in backends]),
            sticky.same_site,
            round(sticky.max_age),
        ),
    )
