"""Resources that the master keeps for its life, and all generations share: the ledger, sockets, what TLS resumes with."""

from __future__ import annotations

import fcntl
import mmap
import multiprocessing
import os
import socket
import ssl
import time
from collections.abc import Collection
from dataclasses import dataclass, field

from lbproxy.balance.ledger import SECRET_CELLS, WHOLE_SIZE, Ledger, RawLock
from lbproxy.balance.slots import SlotTable
from lbproxy.config.model import Address
from lbproxy.errors import StartError
from lbproxy.master.names.state import NameState
from lbproxy.master.resources.ticket_rotation import TicketRotation
from lbproxy.master.system import privileges, sockets
from lbproxy.master.system.cache_memory import CacheMemory
from lbproxy.master.system.pidfile import PidFile
from lbproxy.master.system.unix_listener import discard
from lbproxy.net.no_newcomers import drop_newcomers
from lbproxy.observe.log import get_logger
from lbproxy.tls import contexts

LEDGER_NAME = "lbproxy-ledger"
INSPECT_EVERY = 1.0
WAKEUPS = 32
"""Workers with the same number modulo this wake each other in vain now and then; more would be descriptors for nothing."""


def wakeups() -> tuple[int, ...]:
    """Made before the first fork, so that workers of all generations have the same. Raises OSError."""
    return tuple(os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC) for _ in range(WAKEUPS))


@dataclass(slots=True)
class MasterResources:
    """What the master keeps for its life, and all generations share."""

    ledger: Ledger
    pick_lock: RawLock
    slot_table: SlotTable
    account: privileges.Account | None
    pid_file: PidFile | None
    sockets: dict[Address, socket.socket] = field(default_factory=dict)
    """All that listen, by address; a reload finds its own here."""
    lent: frozenset[Address] = frozenset()
    """Those of `sockets` that the service manager bound: they outlive us, and their queues wait for our successor."""
    outers: dict[contexts.OuterKey, ssl.SSLContext] = field(default_factory=dict)
    """TLS listeners' contexts, which hold the session-ticket keys (tls/contexts.py)."""
    wakeups: tuple[int, ...] = ()
    """Descriptors with which workers wake each other: see Handover."""
    name_state: NameState = field(default_factory=NameState)
    tickets: TicketRotation = field(default_factory=lambda: TicketRotation(time.monotonic()))
    memory: int = -1
    """The ledger's descriptor."""
    cache: CacheMemory | None = None
    """The serving generation's; an older one may have another yet."""
    warnings: list[tuple[str, str]] = field(default_factory=list)
    """What the operator should know and nothing that keeps lbproxy from starting: (event, why)."""
    _inspect_at: float = 0.0

    def inspect_sockets(self, now: float) -> None:
        """Once in a while: what a process that has them did to the listening ones is undone, and told."""
        if now >= self._inspect_at:
            self._inspect_at = now + INSPECT_EVERY
            for address, what in sockets.restore(self.sockets):
                get_logger().warning("listener.restored", listener=str(address), why=what)

    def keep_sockets(self, addresses: Collection[Address]) -> None:
        """Close our copies of the others; a child's are only that, and files are the master's."""
        for address in [address for address in self.sockets if address not in addresses]:
            self.sockets.pop(address).close()

    def discard_sockets(self, keep: Collection[Address]) -> None:
        """The master's: the others are given up, and with them the files of Unix sockets."""
        for address in [address for address in self.sockets if address not in keep]:
            discard(self.sockets.pop(address))

    def stop_listening(self, keep: Collection[Address] = ()) -> None:
        """Close the others for good: nobody is connected from now on who would then be reset. Workers have their copies yet."""
        for address, sock in self.sockets.items():
            if address not in keep and address not in self.lent and not address.path:  # without its file no Unix socket is found
                drop_newcomers(sock)
        self.discard_sockets(keep)

    def mute(self) -> None:
        """Close the eventfds by which workers wake each other."""
        for eventfd in self.wakeups:
            os.close(eventfd)
        self.wakeups = ()

    def close(self) -> None:
        """Close everything, and give back the pid file."""
        self.discard_sockets(())
        self.mute()
        if self.memory >= 0:
            os.close(self.memory)
            self.memory = -1
        self.cache = None
        if self.pid_file is not None:
            self.pid_file.release()


def shared_memory() -> tuple[int, Ledger, RawLock]:
    """A descriptor of the ledger, the ledger in memory that every fork shares, and the lock for picks (a POSIX semaphore in such
    memory).

    A memfd rather than an anonymous mapping: it has a name in /proc/PID/fd, through which who may look into the master can look
    into the ledger of a running lbproxy. Sealed, so that a child that was taken over cannot shrink it under the feet of all others.
    """
    memory = os.memfd_create(LEDGER_NAME, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        os.fchmod(memory, 0o600)  # another user's child does not open it anew, by /proc/self/fd
        os.ftruncate(memory, WHOLE_SIZE)
        fcntl.fcntl(memory, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
        mapped = mmap.mmap(memory, WHOLE_SIZE)
    except BaseException:
        os.close(memory)
        raise
    ledger = Ledger(mapped)
    ledger.set_secret(os.urandom(SECRET_CELLS * 8))
    return memory, ledger, shared_lock()


def shared_lock() -> RawLock:
    """Raises StartError: glibc keeps semaphores that processes share in /dev/shm, and there alone."""
    try:
        return multiprocessing.get_context("fork").Lock()
    except OSError as error:
        hint = "mount it, writable: mount -t tmpfs tmpfs /dev/shm; in a container, give it a tmpfs there"
        raise StartError(f"cannot make the lock that workers share: /dev/shm: {error.strerror or error} ({hint})") from error
