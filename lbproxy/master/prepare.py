"""Everything that is opened, read and resolved before the first fork, sorted by how long it lives.

Nothing of it is done by a child: it may be unprivileged by then, and a mistake must show before anything runs.
"""

from __future__ import annotations

import fcntl
import mmap
import multiprocessing
import os
import socket
import ssl
import sys
from contextlib import ExitStack
from dataclasses import dataclass

from lbproxy.balance.backend import Backend
from lbproxy.balance.ledger import RETIRED, SIZE, Header, Ledger, RawLock
from lbproxy.balance.slots import SlotTable
from lbproxy.config.model import Config
from lbproxy.errors import Complaint, StartError
from lbproxy.ipc.handover import BoundListener
from lbproxy.master import access_log, descriptors, privileges, resolve, sockets
from lbproxy.master.cores import auto_workers
from lbproxy.master.pidfile import PidFile
from lbproxy.tls import contexts

LEDGER_NAME = "lbproxy-ledger"
MOST_WORKERS = RETIRED - 1
"""One row of the ledger each, and one for control."""


@dataclass(slots=True)
class Provision:
    """What a generation inherits; a reload makes a new one."""

    config: Config
    workers: int
    listeners: tuple[BoundListener, ...]
    backends: dict[str, tuple[Backend, ...]]
    pool_contexts: dict[str, ssl.SSLContext]
    metrics_socket: socket.socket | None
    access_fd: int

    def stop_listening(self) -> None:
        """Close the listening sockets; may be called twice."""
        for listener in self.listeners:
            listener.socket.close()

    def close(self) -> None:
        """Close everything that was opened for it."""
        self.stop_listening()
        if self.metrics_socket is not None:
            self.metrics_socket.close()
        if self.access_fd >= 0:
            os.close(self.access_fd)
            self.access_fd = -1


@dataclass(slots=True)
class Estate:
    """What the master keeps for its life, over all generations."""

    ledger: Ledger
    pick_lock: RawLock
    slots: SlotTable
    account: privileges.Account | None
    pid_file: PidFile | None
    warnings: tuple[tuple[str, str], ...]
    """What the operator should know and nothing that keeps lbproxy from starting: (event, why)."""


def prepare(config: Config) -> tuple[Estate, Provision]:
    """Raises StartError and ConfigError; then everything that was opened on the way is closed again."""
    workers = count_workers(config)
    with ExitStack() as undo:
        account = privileges.account_for(config)
        server_contexts = [contexts.server_context(listen) if listen.certificates else None for listen in config.listen]
        pool_contexts = {pool.name: contexts.client_context(pool) for pool in config.pools if pool.tls is not None}
        pools = resolve.resolve(config)

        pid_file = None
        if config.proxy.pid_file is not None:
            pid_file = PidFile(config.proxy.pid_file)
            undo.callback(pid_file.release)
        bound = sockets.open_listeners(config, sys.executable)
        listeners = tuple(map(BoundListener, config.listen, bound, server_contexts))
        provision = Provision(config, workers, listeners, {}, pool_contexts, None, -1)
        undo.callback(provision.close)
        provision.metrics_socket = sockets.open_metrics(config, sys.executable)
        provision.access_fd = access_log.open_access_log(config)

        ledger, pick_lock = shared_memory()
        ledger.cells[Header.GENERATION] = 1
        slots = SlotTable()
        assignment = slots.assign(backend.identity for backends in pools.values() for backend in backends)
        for slot in assignment.fresh:
            ledger.forget_backend(slot)
        provision.backends = resolve.place(pools, assignment.slots)

        undo.pop_all()  # all is well: nothing to undo
        return Estate(ledger, pick_lock, slots, account, pid_file, _warnings(config)), provision


def count_workers(config: Config) -> int:
    """As configured, or one per usable core. Raises StartError when there are more than the ledger has rows for."""
    workers = config.proxy.workers or min(auto_workers(), MOST_WORKERS)
    if workers > MOST_WORKERS:
        message = f"wanted at most {MOST_WORKERS}, came {workers}"
        raise StartError(str(Complaint(config.source, 0, "proxy.workers", message)))
    return workers


def shared_memory() -> tuple[Ledger, RawLock]:
    """The ledger in memory that every fork shares, and the lock for picks (a POSIX semaphore in such memory).

    A memfd rather than an anonymous mapping: it has a name in /proc/PID/fd, through which who may look into the master can look
    into the ledger of a running lbproxy. Sealed, so that a child that was taken over cannot shrink it under the feet of all others.
    """
    memory = os.memfd_create(LEDGER_NAME, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        os.ftruncate(memory, SIZE)
        fcntl.fcntl(memory, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
        mapped = mmap.mmap(memory, SIZE)  # keeps a descriptor of its own
    finally:
        os.close(memory)
    return Ledger(mapped), multiprocessing.get_context("fork").Lock()


def _warnings(config: Config) -> tuple[tuple[str, str], ...]:
    connections = config.limits.connections_per_worker
    limit = descriptors.raise_limit(descriptors.wanted(connections))
    warnings = []
    if why := descriptors.shortage(connections, limit):
        warnings.append(("limits.files", why))
    if config.proxy.user is not None and os.geteuid() != 0:
        warnings.append(("user.ignored", f'proxy.user = "{config.proxy.user}" has no effect: not started as root'))
    return tuple(warnings)
