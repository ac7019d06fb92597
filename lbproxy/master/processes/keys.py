"""Processes that hold the private keys of listeners, and nothing else: one beside each worker (`key_isolation`).

A worker speaks to clients, so it is the one that may be taken over. Beside it stands one that reads nothing but its questions: it
has a socket, the descriptor of the generation's keys, and no other (the kernel refuses it files, sockets, programs, and whatever
else is not on a short list). What a hostile worker can have of it is signatures while it lives, which are counted where it cannot
write; never a key.

One for each rather than one for all: a signature takes as long as it takes, so what one worker wants never waits for another's, and
a hostile one wears out its own. It ends with its worker. If it dies before, its worker is sent the end of another one's socket.
"""

from __future__ import annotations

import mmap
import os
import socket
import struct
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import NoReturn

from setproctitle import setproctitle

from lbproxy.ipc.messages import KeyWork, NewKeySocket
from lbproxy.ipc.pipe import MasterPipe
from lbproxy.master.fleet.events import Spawn
from lbproxy.master.processes.child_pipes import ChildPipes
from lbproxy.master.resources.generation import GenerationResources
from lbproxy.master.system import signals
from lbproxy.master.system.environment import forget_others
from lbproxy.master.system.privileges import Account, give_up
from lbproxy.observe import log
from lbproxy.sandbox import kernel
from lbproxy.sandbox.filter import only_what_is_needed
from lbproxy.tls import libcrypto
from lbproxy.tls.signer import Signer

Serving = Callable[[], tuple[int, GenerationResources] | None]
ROWS = 256
_CELL = struct.Struct("=QQ")
"""Signatures, refusals: written by the process of a row, and added up; never set back, so that no count is lost with a process."""
SIZE = ROWS * _CELL.size
LEAST_LIFE = 1.0
"""Seconds from one to the next of a worker: one that cannot live must not keep the master busy."""
TELL_EVERY = 2.0


@dataclass(slots=True)
class Holder:
    """One of these processes, beside its worker."""

    order: Spawn
    """Of its worker."""
    pid: int
    worker: int
    """Its worker's pid."""
    due: float = 0.0
    """When it may be followed by another, monotonic seconds."""
    gone: bool = False


class KeyProcesses:
    """All of them; the master's."""

    def __init__(
        self, pipes: ChildPipes, account: Account | None, resources: Mapping[int, GenerationResources], serving: Serving
    ) -> None:
        """`resources`: of living generations; `serving`: number and resources of what clients meet."""
        self._pipes = pipes
        pipes.on_stranger.append(lambda pid, _: self.ended(pid))
        pipes.on_keys_silent = self.silent
        self._account = account
        self._resources = resources
        self._serving = serving
        self._counts = mmap.mmap(-1, SIZE)
        self._holders: dict[int, Holder] = {}
        self._restarts = 0
        self._told = KeyWork(0, 0, 0)
        self._tell_at = 0.0
        self._told_to = 0

    def close_in_child(self) -> None:
        """A child's copy: it must not write there."""
        self._counts.close()

    def begin(self, order: Spawn, resources: GenerationResources) -> tuple[socket.socket, int] | None:
        """For a worker that is about to be forked: its end of the socket, and the process's number. None: keys are in the workers.
        Raises OSError."""
        if resources.vault is None:
            return None
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        signals.block()
        try:
            pid = os.fork()
            if pid == 0:
                _live(order, resources.vault.fileno(), theirs, self._counts, self._account, walls=resources.config.proxy.walls)
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
            signals.unblock()
        return ours, pid

    def begun(self, order: Spawn, pid: int, worker: int) -> None:
        """Its worker lives."""
        self._holders[order.row] = Holder(order, pid, worker, time.monotonic() + LEAST_LIFE)

    def ended(self, pid: int) -> None:
        """It was reaped, as somebody whom the fleet does not know."""
        for holder in self._holders.values():
            if holder.pid == pid:
                holder.gone = True

    def silent(self, row: int) -> None:
        """A worker says that its one does not answer: it may be stopped, and then would not end by itself."""
        holder = self._holders.get(row)
        if holder is not None and not holder.gone:
            os.kill(holder.pid, 9)  # not reaped yet, so the number is still its own

    def look(self, now: float) -> None:
        """Follow those that died, forget those whose workers are gone, and tell what they did."""
        for row, holder in [*self._holders.items()]:
            running = self._pipes.running.get(row)
            if running is None or running.pid != holder.worker:
                del self._holders[row]
            elif holder.gone and now >= holder.due and (own := self._resources.get(holder.order.generation)) is not None:
                self._follow(row, holder, own)
        if now >= self._tell_at and (self._holders or self._told.signatures) and (serving := self._serving()) is not None:
            self._tell_at = now + TELL_EVERY
            self._tell(serving[0])

    def next_deadline(self) -> float:
        """When one is to be followed, monotonic seconds."""
        return min((one.due for one in self._holders.values() if one.gone), default=float("inf"))

    def _follow(self, row: int, holder: Holder, resources: GenerationResources) -> None:
        holder.due = time.monotonic() + LEAST_LIFE
        try:
            begun = self.begin(holder.order, resources)
            if begun is None:
                return
            sock, holder.pid = begun
            with sock:
                say = partial(MasterPipe.send_fd, message=NewKeySocket(), descriptor=sock.fileno())
                self._pipes.talk(self._pipes.running[row], say)
        except OSError as error:
            log.get_logger().error("keys.not_restarted", child=row, why=error.strerror or str(error))
            return
        holder.gone = False
        self._restarts += 1
        log.get_logger().error("keys.restarted", worker=holder.order.worker + 1, why="the process that holds its keys has ended")

    def _tell(self, generation: int) -> None:
        """To control, which has pages and metrics."""
        cells = [*_CELL.iter_unpack(self._counts[:])]
        work = KeyWork(sum(done for done, _ in cells), sum(refused for _, refused in cells), self._restarts)
        control = self._pipes.control_of(generation)
        if control is not None and (work, control.pid) != (self._told, self._told_to):
            self._told, self._told_to = work, control.pid
            self._pipes.tell(control.row, work)


def _live(order: Spawn, store: int, sock: socket.socket, counts: mmap.mmap, account: Account | None, *, walls: bool) -> NoReturn:
    """In the fork, to its end; what goes wrong shows in its being gone."""
    try:
        kernel.no_core_files()
        signals.reset_in_child()
        signals.unblock()
        setproctitle(f"lbproxy: keys (worker {order.worker + 1}, generation {order.generation})")
        library = libcrypto.functions()  # the last that is looked for in a file
        end = _close_others({sock.fileno(), store})
        forget_others()
        give_up(account)
        kernel.undumpable()
        if walls:
            only_needed(end)
        if library is not None:
            at = order.row * _CELL.size
            Signer(sock, store, partial(_count, counts, at)).serve()
    finally:
        os._exit(0)


def _close_others(descriptors: set[int]) -> int:
    """The number behind the last of them."""
    before = -1
    for descriptor in sorted(descriptors):
        os.closerange(before + 1, descriptor)
        before = descriptor
    os.closerange(before + 1, os.sysconf("SC_OPEN_MAX"))
    return before + 1


def only_needed(end: int) -> None:
    """The walls: from here on no file, no socket, no process, no descriptor from `end` on."""
    import resource

    kernel.restrict((), (), ())
    resource.setrlimit(resource.RLIMIT_NOFILE, (end, end))
    kernel.no_more_processes()
    kernel.filter_calls(only_what_is_needed(os.uname().machine))


def _count(counts: mmap.mmap, at: int, signed: bool) -> None:
    done, refused = _CELL.unpack_from(counts, at)
    _CELL.pack_into(counts, at, done + signed, refused + (not signed))
