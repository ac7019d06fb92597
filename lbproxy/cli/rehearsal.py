"""All that a worker and control build of a configuration, built once in a process that ends with it: what `check` cannot tell from
the file alone.

A rewriter, a pool, a context that cannot be made of a configuration that reads well would be a death in every new worker. So the
very classes are brought to life here, with everything a master would hand over, only that no socket is bound, no name is asked and
nothing is served.
"""

from __future__ import annotations

import mmap
import os
import socket

from lbproxy.balance import endpoints
from lbproxy.balance.ledger import Ledger, RawLock
from lbproxy.balance.slots import SlotTable
from lbproxy.cache.layout import LEAST_MEMORY
from lbproxy.cache.memory import begin_anew
from lbproxy.config.model import Config, ListenConfig
from lbproxy.errors import Complaint, StartError
from lbproxy.ipc.handover import BoundListener, Handover, SharedCache
from lbproxy.ipc.pipe import socket_pair
from lbproxy.master.resources import shared
from lbproxy.tls import contexts
from lbproxy.tls.apart import patience
from lbproxy.tls.fork import apart
from lbproxy.tls.showcase import server_context

PATIENCE = 120.0
"""Seconds for everything. Modules are loaded meanwhile, which has taken 20 on a busy machine, and nobody waits who serves."""
ANY_ADDRESS = "192.0.2.1"
"""RFC 5737: for a name that was not asked for."""


def complaints(config: Config) -> list[Complaint]:
    """What keeps workers of this configuration from coming up; nothing, as far as lbproxy has no fault. Its files are sound."""
    try:
        apart(lambda: rehearse(config), PATIENCE + patience(config))
    except (StartError, OSError) as error:
        hint = "the file is not wrong: this is a fault of lbproxy, please report it"
        return [Complaint(config.source, 0, "", f"a worker cannot be made of it: {error}", hint)]
    return []


def rehearse(config: Config) -> None:
    """In a process that ends then: descriptors and watchers are left to it. Raises whatever a child would die of."""
    from lbproxy.control.main import build
    from lbproxy.worker.main import Worker

    memory, ledger, lock = shared.shared_memory()
    os.close(memory)  # the mapping has its own
    Worker(_handover(config, ledger, lock, worker=0))
    build(_handover(config, ledger, lock, worker=-1))


def _handover(config: Config, ledger: Ledger, lock: RawLock, *, worker: int) -> Handover:
    pools = endpoints.unplaced(config, dict.fromkeys(endpoints.names_in(config), (ANY_ADDRESS,)))
    listeners = [f"listen {listen.address}" for listen in config.listen]
    slots = SlotTable().assign([*endpoints.identities(config, pools), *listeners]).slots
    return Handover(
        config=config,
        generation=1,
        child=0,
        worker=worker,
        ledger=ledger,
        pick_lock=lock,
        listeners=tuple(_listener(listen, slots[name]) for listen, name in zip(config.listen, listeners, strict=True)),
        backends=endpoints.placed(pools, slots),
        pool_contexts={pool.name: contexts.client_context(pool) for pool in config.pools if pool.tls is not None},
        access_fd=-1 if config.log.access == "off" else os.open(os.devnull, os.O_WRONLY),
        metrics_socket=socket.socket() if config.metrics.address is not None else None,
        pipe=socket_pair()[1],
        cache=_cache(config) if worker >= 0 else None,
        inspectors=socket_pair()[1] if config.wafs and worker >= 0 else None,
        tap_link=socket_pair()[1] if any(tap.sinks for tap in config.taps) and worker >= 0 else None,
        wakeups=shared.wakeups(),
    )


def _cache(config: Config) -> SharedCache | None:
    """Of the least size, without files."""
    if config.cache is None:
        return None
    descriptor = os.memfd_create("lbproxy-rehearsal")
    os.ftruncate(descriptor, LEAST_MEMORY)
    mapped = mmap.mmap(descriptor, LEAST_MEMORY)
    begin_anew(mapped, 0, bytes(16))
    return SharedCache(mapped, descriptor, 0, None)


def _listener(listen: ListenConfig, slot: int) -> BoundListener:
    """Unbound, in fact."""
    sock = socket.socket(socket.AF_UNIX if listen.address.path else socket.AF_INET)
    sock.setblocking(False)
    return BoundListener(listen, sock, server_context(listen) if listen.secure else None, slot)
