"""Fork one child and live its life: from the fork to os._exit, nothing of the master may shine through.

In the child, in this order: signals, descriptors (a copy of a sibling's pipe end would keep that sibling from ever seeing the
master's end, one of a listener that is about to be closed would keep it open with nobody to accept), its name and what is written
when it crashes, its modules (gevent among them) while their files may still be read, privileges, and only then the child's own
work.
"""

from __future__ import annotations

import faulthandler
import os
import resource
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

from setproctitle import setproctitle

from lbproxy.errors import FrameError, LbproxyError
from lbproxy.ipc.codec import encode
from lbproxy.ipc.handover import BoundListener, ChildLoader, Handover
from lbproxy.ipc.messages import Failed
from lbproxy.ipc.pipe import MasterPipe, socket_pair
from lbproxy.master import signals
from lbproxy.master.child import Role
from lbproxy.master.events import Spawn
from lbproxy.master.prepare import Estate, Listening, Provision
from lbproxy.master.privileges import drop, no_new_privileges
from lbproxy.observe import log
from lbproxy.tls import contexts

STDERR = 2


@dataclass(slots=True)
class Running:
    """A child and the master's end of its pipe."""

    slot: int
    generation: int
    role: Role
    pid: int
    pipe: MasterPipe


def spawn(order: Spawn, estate: Estate, provision: Provision, load: ChildLoader, close_masters: Callable[[], None]) -> Running:
    """Fork. `close_masters` closes, in the child, every descriptor of the master that is no child's business. Raises OSError."""
    ours, theirs = socket_pair()
    if order.role is Role.WORKER:
        estate.ledger.open_row(order.slot)
    _flush()
    signals.block()
    try:
        pid = os.fork()
        if pid == 0:
            _live(order, estate, provision, load, ours, theirs, close_masters)
    except OSError:
        ours.close()
        raise
    finally:
        theirs.close()
        signals.unblock()
    return Running(order.slot, order.generation, order.role, pid, MasterPipe(ours))


def _live(
    order: Spawn,
    estate: Estate,
    provision: Provision,
    load: ChildLoader,
    ours: socket.socket,
    theirs: socket.socket,
    close_masters: Callable[[], None],
) -> NoReturn:
    code = 1
    try:
        signals.reset_in_child()
        ours.close()
        close_masters()
        signals.unblock()
        _introduce(order, provision)
        # Before the imports, which take long: a listening socket lives as long as its last copy, and here nobody accepts from it.
        handover = _handover(order, estate, provision, theirs)
        main = load()
        if estate.account is not None:
            drop(estate.account)
        else:
            no_new_privileges()
        code = int(main(handover))
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else 1
    except BaseException as error:  # a process's very last line: told, and kept from the master's frames
        _confess(error, theirs)
    finally:
        _flush()
        os._exit(code & 0xFF)


def _introduce(order: Spawn, provision: Provision) -> None:
    """The child's name in logs, in ps and in crashes."""
    number = {"worker": order.worker + 1} if order.role is Role.WORKER else {}
    log.configure(provision.config.log, role=order.role.value, generation=order.generation, **number)
    faulthandler.enable(STDERR, all_threads=False)  # SIGABRT from the master: the stack of the loop that hangs
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, hard))  # a core file would hold private keys and requests
    setproctitle(title(order))


def title(order: Spawn) -> str:
    """As ps shows it; workers are numbered from 1 for people."""
    who = f"worker {order.worker + 1}" if order.role is Role.WORKER else "control"
    return f"lbproxy: {who} (generation {order.generation})"


def _handover(order: Spawn, estate: Estate, provision: Provision, pipe: socket.socket) -> Handover:
    """The child's inheritance; what belongs to others, of this generation or another, is closed."""
    worker = order.role is Role.WORKER
    metrics_socket = None if worker else provision.metrics_socket
    metrics = provision.config.metrics.address
    estate.keep_sockets({listen.address for listen in provision.config.listen} if worker else {metrics} if metrics else ())
    if not worker:
        provision.close()
        estate.mute()
    return Handover(
        config=provision.config,
        generation=order.generation,
        child=order.slot,
        worker=order.worker,
        ledger=estate.ledger,
        pick_lock=estate.pick_lock,
        listeners=tuple(map(_bound, provision.listeners)) if worker else (),
        backends=provision.backends,
        pool_contexts=provision.pool_contexts,
        access_fd=provision.access_fd if worker else -1,
        metrics_socket=metrics_socket,
        pipe=pipe,
        bells=estate.bells,
    )


def _bound(listening: Listening) -> BoundListener:
    """With its context armed, in this process: the master's stays as it is."""
    if listening.outer is not None and listening.shown is not None:
        contexts.arm(listening.outer, listening.shown)
    return BoundListener(listening.listen, listening.socket, listening.outer, listening.slot)


def _confess(error: BaseException, pipe: socket.socket) -> None:
    """Tell why this child dies: the whole story to the log, one line to the master."""
    reason = str(error) if isinstance(error, LbproxyError) else f"{type(error).__name__}: {error}"
    log.get_logger().error("crashed", reason=reason, exc_info=None if isinstance(error, LbproxyError) else error)
    try:
        pipe.setblocking(False)
        pipe.send(encode(Failed(reason)))
    except (OSError, FrameError):
        pass  # the pipe is closed or full; the exit code says it too


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):
            pass  # closed, gone, or None under some supervisors
