"""Everything that is opened, read and resolved before a fork: for the master's life (shared.py), and for a generation's.

Nothing of it is done by a child: it may be unprivileged by then, and a mistake must show before anything runs.
"""

from __future__ import annotations

import os
import socket
import ssl
import sys
import time
from collections.abc import Collection, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from lbproxy.balance import endpoints
from lbproxy.balance.backend import Backend
from lbproxy.balance.ledger import RETIRED
from lbproxy.balance.slots import Assignment, SlotTable
from lbproxy.config.descriptors import wanted
from lbproxy.config.model import Address, Config, ListenConfig
from lbproxy.errors import Complaint, StartError
from lbproxy.http.h2 import offered as h2
from lbproxy.master.inspection.inspectors import InspectionProcess, Loading, Rules
from lbproxy.master.names import resolve
from lbproxy.master.resources import documents, key_sets
from lbproxy.master.resources.generation import GenerationResources, Listening
from lbproxy.master.resources.shared import MasterResources, shared_memory, wakeups
from lbproxy.master.system import access_log, cache_memory, descriptors, privileges, scratch, sockets, tap_openings
from lbproxy.master.system.cache_memory import CacheMemory
from lbproxy.master.system.collector import collector_off
from lbproxy.master.system.cores import auto_workers
from lbproxy.master.system.pidfile import PidFile
from lbproxy.master.system.sockets import explain_file
from lbproxy.master.system.unix_listener import UnixListener, discard
from lbproxy.names.lookup import lookup_all
from lbproxy.tls import contexts
from lbproxy.tls.harvest import Harvest
from lbproxy.tls.keystore import KeyStore, Piece, digest, overwriting
from lbproxy.tls.remarks import remarks
from lbproxy.tls.stored import sources

MOST_WORKERS = RETIRED - 1
"""One row of the ledger each, and one for control."""


def prepare(
    config: Config, inherited: Mapping[Address, socket.socket] = sockets.NONE, harvest: Harvest | None = None
) -> tuple[MasterResources, GenerationResources]:
    """For the first generation. Raises StartError and ConfigError; then everything that was opened on the way is closed again.
    Rules of routes may take longer: `loading` of what it returns.

    `inherited`: listening sockets that are there already; they are the master's from now on.
    """
    if not os.path.isdir("/proc/self/fd"):  # children map the ledger anew by it, among others
        raise StartError("there is no /proc here, by which a process finds its own descriptors (mount -t proc proc /proc)")
    with ExitStack() as undo:
        account = privileges.account_for(config)
        if account is not None:
            privileges.try_drop(config, account)
        memory, ledger, pick_lock = shared_memory()
        shared = MasterResources(
            ledger, pick_lock, SlotTable(), account, None, dict(inherited), lent=frozenset(inherited), memory=memory
        )
        shared.wakeups = wakeups()
        undo.callback(shared.close)
        if config.proxy.pid_file is not None:
            shared.pid_file = PidFile(config.proxy.pid_file)
        loading = Loading(config, account) if config.wafs else None
        if loading is not None:
            undo.callback(loading.close)
        resources = provide(shared, config, rules=lambda *_: None, harvest=harvest)
        resources.loading = loading
        shared.warnings += _warnings(config)
        unnamed = set(inherited) - resources.addresses
        shared.warnings += [("socket.unused", f"the service manager listens on {address}, we do not") for address in unnamed]
        shared.discard_sockets(resources.addresses)
        undo.pop_all()  # all is well: nothing to undo
        return shared, resources


class _Opened(NamedTuple):
    """What was opened and read for a generation; nobody has it yet."""

    outers: dict[contexts.OuterKey, ssl.SSLContext]
    contexts_of: list[ssl.SSLContext | None]
    """The outer one of each listener; None where it speaks no TLS."""
    store: KeyStore
    shown: list[contexts.Credentials | None]
    pool_pems: dict[str, contexts.PoolPem]
    pool_contexts: dict[str, ssl.SSLContext]
    resolution: resolve.Resolution
    pools: dict[str, tuple[Backend, ...]]
    """Their backends, without slots."""
    bound: list[socket.socket]
    metrics_socket: socket.socket | None
    tap_sockets: dict[Address, socket.socket]
    access_fd: int
    assignment: Assignment
    keys: list[contexts.OuterKey | None]
    ticket_secrets: tuple[bytes, ...]
    documents: tuple[Piece, ...]
    vault: KeyStore | None
    cache: CacheMemory | None
    key_authorities: dict[Path, bytes]


@collector_off()
def provide(
    shared: MasterResources,
    config: Config,
    living: Collection[GenerationResources] = (),
    serving: GenerationResources | None = None,
    lookup: resolve.Lookup = lookup_all,
    rules: Rules = InspectionProcess.begin,
    harvest: Harvest | None = None,
) -> GenerationResources:
    """What a generation with this configuration needs; `shared` changes only when all of it can be had. Raises StartError.

    `living`: older generations, whose slots of the ledger are taken. `serving`: the one of them that is taken over from. `lookup`:
    how names are asked for; `rules`: how rules of routes are loaded; `harvest`: pairs that were read already.
    """
    workers = count_workers(config)
    with ExitStack() as undo:
        inspectors = rules(config, shared.account, undo)
        opened = _open(shared, config, living, undo, lookup, harvest or Harvest())
        undo.pop_all()  # all is well: nothing to undo
    slots = frozenset(opened.assignment.slots.values())
    backends = endpoints.placed(opened.pools, opened.assignment.slots)
    for slot in opened.assignment.fresh:
        shared.ledger.forget_slot(slot)
    everybody = [backend for pool in backends.values() for backend in pool]
    shared.name_state.begin(shared.ledger, everybody, serving.slots if serving is not None else slots)
    listeners = _take_in(shared, config, opened, living)
    return GenerationResources(
        config,
        workers,
        listeners,
        backends,
        opened.pool_contexts,
        opened.metrics_socket,
        opened.access_fd,
        digests(config, opened.store.digests),
        slots,
        remarks(config, sources(config, opened.shown, opened.pool_pems)),
        opened.store,
        opened.pool_pems,
        tuple(opened.resolution.notes),
        ticket_secrets=opened.ticket_secrets,
        documents=opened.documents,
        vault=opened.vault,
        inspectors=inspectors,
        key_authorities=opened.key_authorities,
        cache=opened.cache,
    )


def _open(
    shared: MasterResources, config: Config, living: Collection[GenerationResources], undo: ExitStack, lookup: resolve.Lookup,
    harvest: Harvest,
) -> _Opened:  # fmt: skip
    """Open and read everything that may be refused; `undo` closes what is new of it."""
    keys = [contexts.outer_key(listen) if listen.secure else None for listen in config.listen]
    outers = {
        key: shared.outers.get(key) or contexts.outer_context(listen)
        for key, listen in zip(keys, config.listen, strict=True)
        if key is not None
    }
    secrets = shared.tickets.secrets(config.proxy)
    store = KeyStore()
    undo.callback(store.close)
    vault = KeyStore(beside=store) if config.proxy.key_isolation else None
    if vault is not None:
        undo.callback(vault.close)
    with overwriting():
        shown = _credentials(config, store, vault, harvest)
        for pool in config.pools:
            contexts.spoken(pool)
        pems = {pool.name: contexts.read_pool(pool, store) for pool in config.pools if pool.tls is not None}
        pool_contexts = {pool.name: contexts.client_context(pool, pems[pool.name]) for pool in config.pools if pool.tls}
    taken = documents.take_all(config, store) + key_sets.inherited(config, store, living)
    authorities = key_sets.authorities(config, store)
    resolution = resolve.resolve(config, shared.name_state.addresses, lookup)
    pools = endpoints.unplaced(config, resolution.addresses)
    bound = sockets.open_listeners(config, sys.executable, shared.sockets)
    for sock in bound:
        if sock not in shared.sockets.values():
            undo.callback(discard, sock)
    metrics_socket = sockets.open_metrics(config, sys.executable, shared.sockets)
    if metrics_socket is not None and metrics_socket not in shared.sockets.values():
        undo.callback(metrics_socket.close)
    tap_sockets = tap_openings.provide(config, sys.executable, shared.sockets, [one.config for one in living], undo)
    scratch.try_out(config)
    access_fd = access_log.open_access_log(config)
    if access_fd >= 0:
        undo.callback(os.close, access_fd)
    cache = cache_memory.provide(config, [shared.cache, *(resources.cache for resources in living)], shared.account)
    busy = shared.name_state.taken(shared.ledger, living, time.monotonic())
    counted = endpoints.identities(config, pools) + list(map(_identity, config.listen))
    assignment = shared.slot_table.assign(counted, busy)
    return _Opened(
        outers, [None if key is None else outers[key] for key in keys], store, shown, pems, pool_contexts, resolution, pools, bound,
        metrics_socket, tap_sockets, access_fd, assignment, keys, secrets, taken, vault, cache, authorities,
    )  # fmt: skip


def _take_in(
    shared: MasterResources, config: Config, opened: _Opened, living: Collection[GenerationResources]
) -> tuple[Listening, ...]:
    """From now on the master has what was opened; the generation's listeners."""
    held = {one.outer for resources in living for one in resources.listeners}
    shared.outers = {key: outer for key, outer in shared.outers.items() if outer in held} | opened.outers
    for listen, sock in zip(config.listen, opened.bound, strict=True):
        if isinstance(sock, UnixListener) and shared.sockets.get(listen.address) is sock:
            shared.warnings += _granted(sock, listen)
    shared.sockets |= dict(zip((listen.address for listen in config.listen), opened.bound, strict=True))
    if opened.metrics_socket is not None and config.metrics.address is not None:
        shared.sockets[config.metrics.address] = opened.metrics_socket
    shared.sockets |= opened.tap_sockets
    shared.cache = opened.cache
    in_use = {name for resources in living for name in endpoints.names_in(resources.config)}
    known = {name: addresses for name, addresses in shared.name_state.addresses.items() if name in in_use}
    shared.name_state.addresses = known | opened.resolution.addresses
    slots = [opened.assignment.slots[_identity(listen)] for listen in config.listen]
    return tuple(map(Listening, config.listen, opened.bound, opened.contexts_of, opened.shown, slots, opened.keys))


def _identity(listen: ListenConfig) -> str:
    """What keeps a listener's slot in the ledger over a reload; no pool's name has a space in it, so no backend is called so."""
    return f"listen {listen.address}"


def _granted(sock: UnixListener, listen: ListenConfig) -> list[tuple[str, str]]:
    """The file of a socket that stays gets the mode and owner of the new configuration; a warning where that is not allowed."""
    try:
        sock.grant(listen.access)
    except OSError as error:
        return [("listener.access", explain_file(error, listen)[0])]
    return []


def _credentials(
    config: Config, keys: KeyStore, vault: KeyStore | None, harvest: Harvest
) -> list[contexts.Credentials | None]:
    """Of each listener; None where it speaks no TLS."""
    ready = harvest.into(keys, vault)
    return [
        contexts.credentials(listen, contexts.read_pems(listen.pairs, keys, vault, ready), ready=ready) if listen.secure else None
        for listen in config.listen
    ]


def digests(config: Config, read: Mapping[Path, bytes]) -> dict[Path, bytes]:
    """What each file that it goes by held when it was read, or holds now; b"" for one that cannot be read."""
    files: set[Path | None] = {*config.proxy.ticket_keys, *(document.file for document in config.documents)}
    for listen in config.listen:
        files |= {path for pair in listen.pairs for path in (pair.cert, pair.key)}
        files |= {path for policy in listen.tls.policies for path in (policy.client_ca, policy.client_crl)}
    for pool in config.pools:
        if pool.tls is not None:
            files |= {pool.tls.ca, pool.tls.cert, pool.tls.key, pool.tls.crl}
    files |= {keys.ca for keys in config.key_sets}
    if config.acme is not None:
        files |= {path for one in config.acme.authorities for path in (one.ca, one.eab_key)}
    return {path: read.get(path) or digest(path) for path in files if path is not None}


def count_workers(config: Config) -> int:
    """As configured, or one per usable core. Raises StartError when there are more than the ledger has rows for."""
    workers = config.proxy.workers or min(auto_workers(), MOST_WORKERS)
    if workers > MOST_WORKERS:
        message = f"wanted at most {MOST_WORKERS}, came {workers}"
        raise StartError(str(Complaint(config.source, 0, "proxy.workers", message)))
    return workers


def _warnings(config: Config) -> list[tuple[str, str]]:
    connections = config.limits.connections_per_worker
    limit = descriptors.raise_limit(wanted(connections))
    warnings = []
    if why := descriptors.shortage(connections, limit):
        warnings.append(("limits.files", why))
    if config.proxy.user is not None and os.geteuid() != 0:
        warnings.append(("user.ignored", f'proxy.user = "{config.proxy.user}" has no effect: not started as root'))
    if h2.MISSING and any("h2" in listen.speaks for listen in config.listen):
        warnings.append(("h2.missing", f"{h2.MISSING}; clients get HTTP/1.1"))
    return warnings
