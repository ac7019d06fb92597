"""Fork one child and live its life: from the fork to os._exit, nothing of the master may shine through.

In the child, in this order: signals, descriptors (a copy of a sibling's pipe end would keep that sibling from ever seeing the
master's end, one of a listener that is about to be closed would keep it open with nobody to accept), its name and what is written
when it crashes, its modules (gevent among them) while their files may still be read, privileges, and only then the child's own
work. A child that is not to have a copy of the master's memory is executed anew in between (anew.py).
"""

from __future__ import annotations

import faulthandler
import os
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit

from setproctitle import setproctitle

from lbproxy.balance.endpoints import names_in
from lbproxy.balance.ledger import writable
from lbproxy.config.model import UNIX, Config
from lbproxy.errors import FrameError, LbproxyError, shortage
from lbproxy.ipc.codec import encode
from lbproxy.ipc.handover import BoundListener, ChildLoader, ChildMain, Handover, SharedCache, Staged
from lbproxy.ipc.messages import Failed
from lbproxy.ipc.pipe import MasterPipe, socket_pair
from lbproxy.master.fleet.child import Role
from lbproxy.master.fleet.events import Spawn
from lbproxy.master.processes import anew
from lbproxy.master.processes.forker import Forker, close_copies
from lbproxy.master.resources.generation import GenerationResources, Listening
from lbproxy.master.resources.shared import MasterResources
from lbproxy.master.system import capture, scratch, signals
from lbproxy.master.system.environment import forget_others
from lbproxy.master.system.ledger_map import protect
from lbproxy.master.system.privileges import Account, give_up
from lbproxy.observe import log, standard
from lbproxy.observe.outlet import unshared
from lbproxy.observe.process import rss_kib
from lbproxy.sandbox import kernel, walls
from lbproxy.sandbox.names import LEDGER, PRIVILEGES
from lbproxy.tls import passphrase
from lbproxy.tls.contexts import load
from lbproxy.tls.keystore import overwriting
from lbproxy.tls.remote_key import RemoteKeys
from lbproxy.tls.showcase import arm

STDERR = 2
HTTPS = 443
LAST_WORDS = 0.5
"""Seconds in which a reader who sleeps may still take what a child said before it ended."""


@dataclass(slots=True)
class Running:
    """A child and the master's end of its pipe."""

    row: int
    generation: int
    role: Role
    pid: int
    pipe: MasterPipe


Start = ChildLoader | anew.Program


def spawn(
    order: Spawn,
    shared: MasterResources,
    resources: GenerationResources,
    start: Start,
    close_masters: Callable[[], None],
    keys: socket.socket | None = None,
    tap: socket.socket | None = None,
) -> Running:
    """Fork. `close_masters` closes, in the child, every descriptor of the master that is no child's business; `keys`: a worker's
    socket to the process that holds them; `tap`: to the one that sends conversations on. Raises OSError."""
    ours, theirs = socket_pair()
    if order.role is Role.WORKER:
        shared.ledger.open_row(order.row)
    if isinstance(start, anew.Program) and start.forker is not None:
        try:
            pid = _by_forker(start.forker, order, shared, resources, theirs)
        except OSError as error:
            log.get_logger().warning("forker.gone", why=error.strerror or str(error), then="control is executed anew")
        else:
            theirs.close()
            return Running(order.row, order.generation, order.role, pid, MasterPipe(ours))
    looks = resources.inspectors.serve() if order.role is Role.WORKER and resources.inspectors is not None else None
    _flush()
    signals.block()
    try:
        pid = os.fork()
        if pid == 0:
            _live(order, shared, resources, start, ours, theirs, close_masters, keys, (looks, tap))
    except OSError:
        ours.close()
        raise
    finally:
        theirs.close()
        if looks is not None:
            looks.close()
        signals.unblock()
    return Running(order.row, order.generation, order.role, pid, MasterPipe(ours))


def _by_forker(
    forker: anew.AnewForker, order: Spawn, shared: MasterResources, resources: GenerationResources, pipe: socket.socket
) -> int:
    descriptors = anew.bequeath(order, shared, resources, pipe)
    try:
        return forker.fork(descriptors)
    finally:
        for descriptor in descriptors[:2]:
            os.close(descriptor)


def _live(
    order: Spawn,
    shared: MasterResources,
    resources: GenerationResources,
    start: Start,
    ours: socket.socket,
    theirs: socket.socket,
    close_masters: Callable[[], None],
    keys: socket.socket | None,
    asked: tuple[socket.socket | None, socket.socket | None],
) -> NoReturn:
    def work() -> int:
        signals.reset_in_child()
        ours.close()
        close_copies()
        passphrase.close_copies()
        close_masters()
        signals.unblock()
        _introduce(order, resources.config)
        if isinstance(start, anew.Program):
            anew.execute(start, order, shared, resources, theirs)
        forget_others()
        # Before the imports, which take long: a listening socket lives as long as its last copy, and here nobody accepts from it.
        handover = _handover(order, shared, resources, theirs, keys)
        handover.inspectors, handover.tap_link = asked
        return _unprivileged(start, shared.account, handover)

    _to_the_end(work, theirs)


def live_anew(descriptor: int, load: Callable[[Config, str], ChildMain]) -> NoReturn:
    """In a program that the master executed: the rest of such a life. `descriptor`: of the bequest; `load`: see ChildLoader."""
    try:
        bequest = anew.receive(descriptor)
    except Exception as error:  # the pipe is not known yet: all that can be said is said here
        sys.stderr.write(f"lbproxy: {error}\n")
        sys.exit(1)
    live_bequest(bequest, load)


@contextmanager
def forking(program: anew.Program) -> Iterator[anew.Program]:
    """With a forker, from before the master reads any key until it ends. Without one where none can be made."""
    try:
        forker = Forker(program.ready, live_bequest)
    except OSError:
        yield program
        return
    try:
        yield program._replace(forker=forker)
    finally:
        forker.close()


def live_bequest(bequest: anew.Bequest, load: Callable[[Config, str], ChildMain]) -> NoReturn:
    """What the bequest asks for; its descriptors are ours."""
    for one in (bequest.ledger, bequest.pipe, bequest.metrics, bequest.keys):
        if one >= 0:
            os.set_inheritable(one, False)
    pipe = socket.socket(fileno=bequest.pipe)

    def work() -> int:
        _introduce(bequest.order, bequest.config)
        handover = anew.handover(bequest, pipe)
        return _unprivileged(lambda: load(bequest.config, bequest.order.role.value), bequest.account, handover)

    _to_the_end(work, pipe)


def _unprivileged(load: ChildLoader, account: Account | None, handover: Handover) -> int:
    main = load()
    rss_kib()  # psutil looks up more at first than later
    if isinstance(main, Staged):
        main.privileged(handover.config)
    if handover.worker >= 0:
        handover.scratch_fd = scratch.open_for_worker(handover.config)
        handover.cache = _from_inside(handover.cache)
        handover.taps = capture.open_for_worker(handover.config, handover.child)
    unprivileged = give_up(account)
    if isinstance(main, Staged):
        main.unwalled(handover.config)
    handover.walls += [LEDGER, *([PRIVILEGES] if unprivileged else [])]  # these stand in nobody's way
    if handover.config.proxy.walls:
        handover.walls += walls.build(_needs_of_acme(handover.config) if isinstance(main, Staged) else _needs(handover))
    else:
        kernel.dumpable()
    return int(main(handover))


def _from_inside(cache: SharedCache | None) -> SharedCache | None:
    """Its folder as the current one, while the master's rights lead there: who we become may not pass the folders above it."""
    if cache is None or cache.folder is None:
        return cache
    try:
        os.chdir(cache.folder)
    except OSError as error:
        log.get_logger().error("cache.no_folder", folder=str(cache.folder), why=error.strerror, then="large bodies are not stored")
        return cache._replace(folder=None)
    return cache._replace(folder=Path())


def _needs(handover: Handover) -> walls.Needs:
    """Of a child. Control looks names up, and asks some backends at a port of their checks alone."""
    control = handover.worker < 0
    ports = {backend.port for backends in handover.backends.values() for backend in backends}
    ports |= {backend.address.port for pool in handover.config.pools for backend in pool.backends}
    unix = any(backend.ip.startswith(UNIX) for backends in handover.backends.values() for backend in backends)
    if control:
        ports |= {pool.health.port for pool in handover.config.pools if pool.health.port}
        ports |= {address.port for address in handover.config.proxy.resolvers}
        ports |= {keys.port for keys in handover.config.key_sets}
    names = control and bool(names_in(handover.config) or handover.config.key_sets)
    folder = None if handover.cache is None else handover.cache.folder
    writes = () if folder is None else (folder,)
    return walls.Needs(frozenset(ports), unix, names, writes, gevent_sockets=control)


def _needs_of_acme(config: Config) -> walls.Needs:
    """Its folder, where it stands by then, and the ports of the authorities: what a directory names elsewhere is at 443."""
    authorities = config.acme.authorities if config.acme is not None else ()
    ports = {urlsplit(one.directory).port or HTTPS for one in authorities} | {HTTPS}
    return walls.Needs(frozenset(ports), unix=False, names=True, writes=(Path(),), gevent_sockets=True)


def _to_the_end(work: Callable[[], int], pipe: socket.socket) -> NoReturn:
    code = 1
    try:
        code = work()
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else 1
    except BaseException as error:  # a process's very last line: told, and kept from the master's frames
        _confess(error, pipe)
    finally:
        _flush()
        standard.drain_all(LAST_WORDS)
        os._exit(code & 0xFF)


def _introduce(order: Spawn, config: Config) -> None:
    """The child's name in logs, in ps and in crashes."""
    number = {"worker": order.worker + 1} if order.role is Role.WORKER else {}
    standard.stop_sharing()  # while it may: the account to come may have no right to open pipe or terminal again
    standard.adopt_streams()
    log.configure(config.log, role=order.role.value, generation=order.generation, **number)
    # SIGABRT from the master: the stack of the loop that hangs.
    faulthandler.enable(standard.outlet(STDERR).descriptor, all_threads=False)
    if config.proxy.walls:
        kernel.no_core_files()  # whatever happens before all walls stand
    setproctitle(title(order))


def title(order: Spawn) -> str:
    """As ps shows it; workers are numbered from 1 for people."""
    who = f"worker {order.worker + 1}" if order.role is Role.WORKER else order.role.value
    return f"lbproxy: {who} (generation {order.generation})"


def _handover(
    order: Spawn, shared: MasterResources, resources: GenerationResources, pipe: socket.socket, keys: socket.socket | None
) -> Handover:
    """The child's inheritance; what belongs to others, of this generation or another, is closed."""
    if resources.vault is not None:
        resources.vault.close()
    if resources.inspectors is not None:
        resources.inspectors.close()
    remote = None if keys is None else RemoteKeys(keys)
    worker = order.role is Role.WORKER
    metrics_socket = None if worker else resources.metrics_socket
    metrics = resources.config.metrics.address
    shared.keep_sockets({listen.address for listen in resources.config.listen} if worker else {metrics} if metrics else ())
    if not worker:
        resources.close()
        shared.mute()
    with overwriting():
        listeners = tuple(_bound(one, remote) for one in resources.listeners) if worker else ()
    store = resources.keys if worker else None
    documents = () if store is None else tuple(store.text(*piece) for piece in resources.documents)
    if resources.keys is not None and not documents and not any(one.shows for one in listeners):  # who shows nothing needs no key
        resources.keys.close()
    cache = resources.cache if worker else None
    shared.cache = cache
    protect(shared.ledger, shared.memory, writable(order.row, worker=worker))
    return Handover(
        config=resources.config,
        generation=order.generation,
        child=order.row,
        worker=order.worker,
        ledger=shared.ledger,
        pick_lock=shared.pick_lock,
        listeners=listeners,
        backends=resources.backends,
        pool_contexts=resources.pool_contexts,
        access_fd=unshared(resources.access_fd) if worker else -1,
        metrics_socket=metrics_socket,
        pipe=pipe,
        ticket_secrets=resources.ticket_secrets if worker else (),
        keys=resources.keys.text if worker and resources.keys is not None and resources.keys.fileno() >= 0 else None,
        documents=documents,
        remote_keys=remote,
        cache=None if cache is None else SharedCache(cache.mapped, cache.descriptor, cache.disk, cache.folder),
        wakeups=shared.wakeups,
    )


def _bound(listening: Listening, remote: RemoteKeys | None) -> BoundListener:
    """With its context armed, in this process: the master's stays as it is."""
    shows = None
    if listening.outer is not None and listening.shown is not None:
        shows = arm(listening.outer, listening.shown, load if remote is None else remote.load)
    return BoundListener(listening.listen, listening.socket, listening.outer, listening.slot, shows, listening.key)


def _confess(error: BaseException, pipe: socket.socket) -> None:
    """Tell why this child dies: the whole story to the log, one line to the master. What the machine lacks has no story."""
    reason = str(error) if isinstance(error, LbproxyError) else f"{type(error).__name__}: {error}"
    if way := shortage(error):
        reason = f"{reason} ({way})"
    log.get_logger().error("crashed", reason=reason, exc_info=None if way or isinstance(error, LbproxyError) else error)
    try:
        pipe.send(encode(Failed(reason)))
    except (OSError, FrameError):
        pass  # the pipe is closed or full; the exit code says it too


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):
            pass  # closed, gone, or None under some supervisors
