"""A child that begins without the master's memory: control, which reads what backends, name servers and scrapers say.

A process that the master forks has a copy of everything in its memory: the contexts of all listeners with their private keys, what
was left of the files they were read from, the environment. This one is forked by a process that never had them (forker.py), or else
executed anew. It has what it is given: a *bequest* (in a memfd) and the descriptors that it names. Of keys that is what its own
checks need, those of pools that it speaks TLS to and has to identify itself to.

The bequest is pickled: it comes from the master, which could tell its child to do anything, and goes to nobody else. Its first line
is JSON and says whose it is, for a program that was replaced on disk while the old one runs.
"""

from __future__ import annotations

import json
import mmap
import multiprocessing
import os
import pickle
import socket
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, NoReturn, Protocol

from lbproxy import __version__
from lbproxy.balance.backend import Backend
from lbproxy.balance.ledger import WHOLE_SIZE, Ledger, writable
from lbproxy.config.model import Config, PoolConfig
from lbproxy.errors import StartError
from lbproxy.ipc.handover import ChildMain, Handover
from lbproxy.master.fleet.child import Role
from lbproxy.master.fleet.events import Spawn
from lbproxy.master.resources.generation import GenerationResources
from lbproxy.master.resources.shared import MasterResources
from lbproxy.master.system.environment import kept
from lbproxy.master.system.ledger_map import protect
from lbproxy.master.system.privileges import Account
from lbproxy.tls.key_servers import contexts as key_set_contexts
from lbproxy.tls.keystore import KeyStore
from lbproxy.tls.pool_files import PoolPieces, context_of, pieces_of

FORMAT = 4
MEMORY = "lbproxy-child"


class AnewForker(Protocol):
    """What is needed of a forker."""

    def fork(self, descriptors: Sequence[int], what: bytes = ..., /) -> int: ...
    def close_in_child(self) -> None: ...


class Program(NamedTuple):
    """How to come by control, which must not have the master's memory."""

    command: Sequence[str]
    """An argument vector that executes it, to which the bequest's descriptor is added."""
    ready: Callable[[], Callable[[Config, str], ChildMain]]
    """Loads what it runs, in a process that forks it (forker.py)."""
    forker: AnewForker | None = None
    """That process; None: there is none (any more)."""


class Bequest(NamedTuple):
    """What the child is told."""

    order: Spawn
    config: Config
    backends: dict[str, tuple[Backend, ...]]
    account: Account | None
    ledger: int
    pipe: int
    metrics: int
    """A descriptor; -1: none."""
    keys: int
    pools: dict[str, PoolPieces]
    key_authorities: dict[Path, bytes]


def program(module: str, ready: Callable[[], Callable[[Config, str], ChildMain]]) -> Program:
    """One that calls `main(descriptor)` of a module, found where we find it."""
    path = [os.path.abspath(place) for place in sys.path]
    code = _START.format(path=path, module=module)
    return Program([sys.executable, "-P", "-c", code], ready)


_START = """
import sys
sys.path[:] = {path!r}
try:
    from {module} import main
except Exception as error:
    sys.exit(f"lbproxy: what is on disk cannot be loaded any more ({{error!r}}): control comes back with SIGUSR2, or a restart")
main(int(sys.argv[1]))
"""
"""Its successor may not be there, or be half there: somebody is just replacing it, and a traceback would say nothing else."""


# ---------------------------------------------------------------- in the fork


def execute(
    program: Program, order: Spawn, shared: MasterResources, resources: GenerationResources, pipe: socket.socket
) -> NoReturn:
    """Become the program. Raises OSError."""
    descriptors = bequeath(order, shared, resources, pipe)
    keep(set(descriptors))
    command = [*program.command, str(descriptors[0])]
    os.execve(command[0], command, kept(os.environ))  # noqa: S606  # no shell is wanted


def bequeath(order: Spawn, shared: MasterResources, resources: GenerationResources, pipe: socket.socket) -> list[int]:
    """The bequest's descriptor, the pool files' (both are the caller's to close), and those that it names."""
    store = KeyStore()
    pools = resources.config.pools if order.role is Role.CONTROL else ()
    asked = {pool.name: pems for pool in pools if (pems := resources.pool_pems.get(pool.name)) and checked_by_tls(pool)}
    metrics = resources.metrics_socket if order.role is Role.CONTROL else None
    bequest = Bequest(
        order,
        resources.config,
        resources.backends,
        shared.account,
        shared.memory,
        pipe.fileno(),
        -1 if metrics is None else metrics.fileno(),
        store.fileno(),
        {name: pieces_of(pems.copied(store)) for name, pems in asked.items()},
        resources.key_authorities,
    )
    memory = os.memfd_create(MEMORY, os.MFD_CLOEXEC)
    with open(memory, "wb", closefd=False) as file:
        file.write(json.dumps({"format": FORMAT, "version": __version__}).encode() + b"\n")
        pickle.dump(bequest, file)
    os.lseek(memory, 0, os.SEEK_SET)
    found = [memory, bequest.keys, bequest.ledger, bequest.pipe]
    return found if metrics is None else [*found, bequest.metrics]


def checked_by_tls(pool: PoolConfig) -> bool:
    """Whether control shakes hands with its backends."""
    return pool.tls is not None and pool.health.type in ("tls", "http", "grpc")


def keep(descriptors: set[int]) -> None:
    """And 0 to 2; close all others, also those that somebody before us left open for whoever comes."""
    before = 2
    for descriptor in sorted(descriptors):
        os.closerange(before + 1, descriptor)
        before = descriptor
        os.set_inheritable(descriptor, True)
    os.closerange(before + 1, os.sysconf("SC_OPEN_MAX"))


# ---------------------------------------------------------------- in the program


def received(descriptors: Sequence[int]) -> Bequest:
    """The bequest of `bequeath`, whose descriptors have other numbers here."""
    memory, keys, ledger, pipe, *metrics = descriptors
    return receive(memory)._replace(keys=keys, ledger=ledger, pipe=pipe, metrics=metrics[0] if metrics else -1)


def receive(descriptor: int) -> Bequest:
    """Read the bequest; its descriptors are ours. Raises StartError for one that is not meant for this program."""
    with open(descriptor, "rb") as file:
        told = json.loads(file.readline())
        if told != {"format": FORMAT, "version": __version__}:
            master = told.get("version")
            raise StartError(f"the master is lbproxy {master}, on disk is {__version__}: restart it, or send it SIGUSR2")
        bequest: Bequest = pickle.load(file)  # noqa: S301  # see above
    return bequest


def handover(bequest: Bequest, pipe: socket.socket) -> Handover:
    """Brought to life, with this end of the pipe. Raises StartError."""
    config, order = bequest.config, bequest.order
    store = KeyStore(bequest.keys)
    try:
        pool_contexts = {name: context_of(config.pool(name), pieces, store) for name, pieces in bequest.pools.items()}
    finally:
        store.close()
    if order.role is Role.CONTROL:
        ledger = Ledger(mmap.mmap(bequest.ledger, WHOLE_SIZE))
        protect(ledger, bequest.ledger, writable(order.row, worker=False))
    else:  # it counts nothing that others look at, and looks at nobody's counts
        ledger = Ledger(mmap.mmap(-1, WHOLE_SIZE))
        os.close(bequest.ledger)
    return Handover(
        config=config,
        generation=order.generation,
        child=order.row,
        worker=order.worker,
        ledger=ledger,
        pick_lock=multiprocessing.get_context("fork").Lock(),  # nobody picks here
        listeners=(),
        backends=bequest.backends,
        pool_contexts=pool_contexts,
        access_fd=-1,
        metrics_socket=None if bequest.metrics < 0 else _non_blocking(bequest.metrics),
        pipe=pipe,
        key_set_contexts=key_set_contexts(config, bequest.key_authorities) if order.role is Role.CONTROL else {},
    )


def _non_blocking(descriptor: int) -> socket.socket:
    sock = socket.socket(fileno=descriptor)
    sock.setblocking(False)
    return sock
