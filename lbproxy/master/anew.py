"""A child that is executed anew instead of only forked: control, which reads what backends, name servers and scrapers say.

A forked process has a copy of everything in the master's memory: the contexts of all listeners with their private keys, whatever
was left of the files they were read from, the environment. An executed one has what it is given: a *bequest* (in a memfd, by
number on the command line) and the descriptors that it names. Of keys that is what its own checks need, those of pools that it
speaks TLS to and has to identify itself to.

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
import ssl
import sys
from collections.abc import Sequence
from typing import NamedTuple, NoReturn

from lbproxy import __version__
from lbproxy.balance.backend import Backend
from lbproxy.balance.ledger import WHOLE_SIZE, Ledger, writable
from lbproxy.config.model import Certificate, Config, Pool
from lbproxy.errors import StartError
from lbproxy.ipc.handover import Handover
from lbproxy.master.environment import kept
from lbproxy.master.events import Spawn
from lbproxy.master.ledger_map import protect
from lbproxy.master.prepare import Estate, Provision
from lbproxy.master.privileges import Account
from lbproxy.tls import contexts
from lbproxy.tls.keystore import KeyStore, Piece

FORMAT = 1
MEMORY = "lbproxy-child"


class Program(NamedTuple):
    """How to execute a child: an argument vector, to which the bequest's descriptor is added."""

    command: Sequence[str]


class Pieces(NamedTuple):
    """A pool's files in the store."""

    ca: Piece | None
    cert: Piece | None
    key: Piece | None


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
    pools: dict[str, Pieces]


def program(module: str) -> Program:
    """One that calls `main(descriptor)` of a module, found where we find it."""
    path = [os.path.abspath(place) for place in sys.path]
    code = f"import sys; sys.path[:] = {path!r}; from {module} import main; main(int(sys.argv[1]))"
    return Program([sys.executable, "-P", "-c", code])


# ---------------------------------------------------------------- in the fork


def execute(program: Program, order: Spawn, estate: Estate, provision: Provision, pipe: socket.socket) -> NoReturn:
    """Become the program. Raises OSError."""
    store = KeyStore()
    asked = {pool.name: pems for pool in provision.config.pools if (pems := provision.pool_pems.get(pool.name)) and _by_tls(pool)}
    metrics = provision.metrics_socket
    bequest = Bequest(
        order,
        provision.config,
        provision.backends,
        estate.account,
        estate.memory,
        pipe.fileno(),
        -1 if metrics is None else metrics.fileno(),
        store.fileno(),
        {name: _pieces(pems.copied(store)) for name, pems in asked.items()},
    )
    memory = os.memfd_create(MEMORY, os.MFD_CLOEXEC)
    with open(memory, "wb", closefd=False) as file:
        file.write(json.dumps({"format": FORMAT, "version": __version__}).encode() + b"\n")
        pickle.dump(bequest, file)
    os.lseek(memory, 0, os.SEEK_SET)
    _keep({memory, bequest.ledger, bequest.pipe, bequest.metrics, bequest.keys} - {-1})
    command = [*program.command, str(memory)]
    os.execve(command[0], command, kept(os.environ))  # noqa: S606  # no shell is wanted


def _by_tls(pool: Pool) -> bool:
    return pool.tls is not None and pool.health.type in ("tls", "http")


def _pieces(pems: contexts.PoolPem) -> Pieces:
    pair = pems.pair
    return Pieces(pems.ca, None if pair is None else pair.cert, None if pair is None else pair.key)


def _keep(descriptors: set[int]) -> None:
    """And 0 to 2; close all others, also those that somebody before us left open for whoever comes."""
    before = 2
    for descriptor in sorted(descriptors):
        os.closerange(before + 1, descriptor)
        before = descriptor
        os.set_inheritable(descriptor, True)
    os.closerange(before + 1, os.sysconf("SC_OPEN_MAX"))


# ---------------------------------------------------------------- in the program


def receive(descriptor: int) -> Bequest:
    """Read the bequest; its descriptors are ours. Raises StartError for one that is not meant for this program."""
    with open(descriptor, "rb") as file:
        told = json.loads(file.readline())
        if told != {"format": FORMAT, "version": __version__}:
            master = told.get("version")
            raise StartError(f"the master is lbproxy {master}, on disk is {__version__}: restart it, or send it SIGUSR2")
        bequest: Bequest = pickle.load(file)  # noqa: S301  # see above
    for one in (bequest.ledger, bequest.pipe, bequest.metrics, bequest.keys):
        if one >= 0:
            os.set_inheritable(one, False)
    return bequest


def handover(bequest: Bequest, pipe: socket.socket) -> Handover:
    """Brought to life, with this end of the pipe. Raises StartError."""
    config, order = bequest.config, bequest.order
    store = KeyStore(bequest.keys)
    try:
        pool_contexts = {name: _context(config.pool(name), pieces, store) for name, pieces in bequest.pools.items()}
    finally:
        store.close()
    ledger = Ledger(mmap.mmap(bequest.ledger, WHOLE_SIZE))
    protect(ledger, bequest.ledger, writable(order.slot, worker=False))
    return Handover(
        config=config,
        generation=order.generation,
        child=order.slot,
        worker=order.worker,
        ledger=ledger,
        pick_lock=multiprocessing.get_context("fork").Lock(),  # nobody picks here
        listeners=(),
        backends=bequest.backends,
        pool_contexts=pool_contexts,
        access_fd=-1,
        metrics_socket=None if bequest.metrics < 0 else _non_blocking(bequest.metrics),
        pipe=pipe,
    )


def _non_blocking(descriptor: int) -> socket.socket:
    sock = socket.socket(fileno=descriptor)
    sock.setblocking(False)
    return sock


def _context(pool: Pool, pieces: Pieces, store: KeyStore) -> ssl.SSLContext:
    settings = pool.tls
    pair = None
    if settings is not None and settings.cert and settings.key and pieces.cert and pieces.key:
        pair = contexts.Pem(Certificate(settings.cert, settings.key), store, pieces.cert, pieces.key)
    return contexts.client_context(pool, contexts.PoolPem(store, pieces.ca, pair))
