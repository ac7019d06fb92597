"""The process that loads rules and forks inspectors, and the inspectors: see inspectors.py for who starts it.

A request's time is kept by the kernel: an alarm that nobody catches ends an inspector that takes too long, wherever it is. The
process sees that by a descriptor, and forks another one. One that its alarm does not end (stopped, asleep in the kernel, or taken
over by what it looked at) is seen by what it said when it took its question, and killed; so is one that somebody has stopped,
whether it had a question or not. What one had that somebody else has ended is asked once more: the worker hears that it is lost.
Inspectors end as well after so many requests, so that what the engine may lose does not grow, and with their parent, which tells
the master now and then that it is there.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import resource
import select
import signal
import socket
import time
from dataclasses import fields
from typing import Any, NamedTuple, NoReturn

from setproctitle import setproctitle

from lbproxy.config.model import WafConfig
from lbproxy.master.system.privileges import Account, give_up
from lbproxy.sandbox import kernel, walls
from lbproxy.waf.engine import WafEngine
from lbproxy.waf.faults import BadRules, RuleFault, bad
from lbproxy.waf.messages import LARGEST, answer, lost, unpack
from lbproxy.waf.turns import Progress, Turns

PR_SET_PDEATHSIG = 1
MOST_LOOKS = 20_000
"""Requests of one inspector."""
MEMORY = 1024 * 1024 * 1024
"""Bytes of address space of one."""
LEAST_LIFE = 0.1
MOST_TOLD = 500
"""Files of rules of whom the master hears what they held, to tell what a reload has changed."""
MOST_FAULTS = 50
"""That are told at once."""
LOOK_EVERY = 0.5
"""Seconds from one look at how inspectors fare to the next, and from one word to the master to the next."""
MOST_KILLED = 64
"""Inspectors that were killed and have not ended: while so many sleep in the kernel, others would only follow them."""
GRACE = 0.1
"""Seconds that an alarm gets to end its inspector."""
BY_ITSELF = (signal.SIGALRM, signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGABRT, signal.SIGSYS)
"""What an inspector ends of that its question ends: another one had better not get that, too."""
OVER, RECYCLED = 0, 3
"""Exit codes: the worker is gone; enough was looked at."""


def main(descriptor: int) -> NoReturn:
    """Load, tell, and serve until nobody is left."""
    sock = socket.socket(fileno=descriptor)
    setproctitle("lbproxy: rules")
    told = json.loads(sock.recv(1024 * 1024))
    sets = [_settings(each) for each in told["sets"]]
    engine, held = _loaded(sock, sets)
    kernel.no_core_files()
    give_up(None if told["account"] is None else Account(*told["account"]))
    gc.freeze()  # who looks for garbage would copy all that is shared
    sock.send(json.dumps({"held": held}).encode("ascii"))
    RuleProcess(sock, engine, max(each.inspectors for each in sets), told["eager"], walled=bool(told["walls"])).serve()
    os._exit(0)


def _settings(told: dict[str, Any]) -> WafConfig:
    lists = {field.name for field in fields(WafConfig) if isinstance(told[field.name], list)}
    given: dict[str, Any] = {name: tuple(value) if name in lists else value for name, value in told.items()}
    return WafConfig(**given)


def _loaded(sock: socket.socket, sets: list[WafConfig]) -> tuple[WafEngine, list[dict[str, str]]]:
    """The engine, and what the files of each set hold; those of very many are not told."""
    faults: list[tuple[int, RuleFault]] = []
    try:
        engines = {each.engine: each for each in sets}
        if len(engines) > 1:
            raise bad("routes name different libraries; one process can have one")
        engine = WafEngine(sets[0].engine)
    except BadRules as error:
        _refuse(sock, [(0, fault) for fault in error.faults])
    held: list[dict[str, str]] = []
    for number, each in enumerate(sets):
        try:
            held.append(engine.load(each))
        except BadRules as error:
            faults += [(number, fault) for fault in error.faults]
    if faults:
        _refuse(sock, faults)
    return engine, held if sum(map(len, held)) <= MOST_TOLD else []


def _refuse(sock: socket.socket, faults: list[tuple[int, RuleFault]]) -> NoReturn:
    """By the numbers of their sets; what several sets have in common once."""
    once = {fault: number for number, fault in reversed(faults)}
    told = [(number, *fault) for fault, number in [*reversed(once.items())][:MOST_FAULTS]]
    sock.send(json.dumps({"faults": told}).encode("ascii"))
    os._exit(1)


class _Worker(NamedTuple):
    """The end of a worker's socket, and what its inspectors tell each other."""

    sock: socket.socket
    progress: Progress


class _Inspector(NamedTuple):
    """An inspector that was forked and lives."""

    pid: int
    worker: _Worker
    rank: int
    born: float


class RuleProcess:
    """The process, once its rules are loaded."""

    def __init__(self, sock: socket.socket, engine: WafEngine, inspectors: int, eager: int, *, walled: bool) -> None:
        """`inspectors`: of each worker; `eager`: how many of them need not be patient (turns.py)."""
        self._socket: socket.socket | None = sock
        self._engine = engine
        self._inspectors = inspectors
        self._eager = eager
        self._walled = walled
        self._replaced = self._late = 0
        self._said = (0, 0, 0)
        self._living: dict[int, _Inspector] = {}
        """By descriptor of its process."""
        self._killed: dict[int, int] = {}
        """Those that end sooner or later: pids, likewise. One that sleeps in the kernel may take its time."""
        self._look_at = time.monotonic() + LOOK_EVERY

    def serve(self) -> None:
        """Until the master has closed its end, and all workers theirs."""
        while self._socket is not None or self._living:
            poll = select.poll()
            workers = {living.worker.sock.fileno(): living.worker for living in self._living.values()}
            for descriptor in workers:
                poll.register(descriptor, 0)  # its end alone: what is to be read there is for inspectors
            for descriptor in [*self._living, *self._killed] + ([] if self._socket is None else [self._socket.fileno()]):
                poll.register(descriptor, select.POLLIN)
            due = time.monotonic() >= self._look_at
            if due:
                self._look()
            self._tell(anew=due)
            found = poll.poll(max(0.0, self._look_at - time.monotonic()) * 1000)
            for ready, _ in found[:1]:  # the others are seen again: what is done for one may close theirs
                if ready in self._living:
                    self._follow(ready)
                elif ready in self._killed:
                    os.waitpid(self._killed.pop(ready), 0)
                    os.close(ready)
                elif ready in workers:
                    self._end(workers[ready])
                else:
                    self._order()

    def _look(self) -> None:
        """Replaces those that do not end by themselves."""
        self._look_at = time.monotonic() + LOOK_EVERY
        stopped = set()
        while self._living and (state := os.waitid(os.P_ALL, 0, os.WSTOPPED | os.WNOHANG)) is not None:
            stopped.add(state.si_pid)
        now = time.monotonic()
        for descriptor, living in [*self._living.items()]:
            until = living.worker.progress.until(living.rank)
            late = 0.0 < until < now - GRACE
            if (late or living.pid in stopped) and len(self._killed) < MOST_KILLED:
                self._kill(descriptor)
                if not late:
                    self._tell_lost(living)
                self._replaced += 1
                self._late += late
                self._fork(living.worker, living.rank)

    def _kill(self, descriptor: int) -> None:
        living = self._living.pop(descriptor)
        os.kill(living.pid, signal.SIGKILL)
        self._killed[descriptor] = living.pid

    def _tell_lost(self, over: _Inspector) -> None:
        """The worker, if that inspector had a question."""
        number = over.worker.progress.held(over.rank)
        if number is not None:
            try:
                over.worker.sock.send(lost(number), socket.MSG_DONTWAIT)
            except OSError:
                pass  # it hears of that when the time of its question is up

    def _tell(self, *, anew: bool) -> None:
        """The master, how inspectors fare, or that this process does. While it does not read, the kernel keeps some; what comes
        later says all anew."""
        said = (len(self._living), self._replaced, self._late)
        if self._socket is not None and (anew or said != self._said):
            try:
                self._socket.send(json.dumps(said).encode("ascii"), socket.MSG_DONTWAIT)
                self._said = said
            except OSError:
                pass

    def _end(self, over: _Worker) -> None:
        """The worker is gone. Inspectors see that themselves, unless they are stopped, or look at something that nobody wants."""
        for descriptor, living in [*self._living.items()]:
            if living.worker is over:
                self._kill(descriptor)
        over.sock.close()
        over.progress.close()

    def _order(self) -> None:
        assert self._socket is not None
        try:
            said, descriptors, _, _ = socket.recv_fds(self._socket, 16, 1)
        except ConnectionResetError:  # the master has closed its end, and not read all; what it sent is still to come
            return
        if not said:
            self._socket.close()
            self._socket = None
        for descriptor in descriptors:
            worker = _Worker(socket.socket(fileno=descriptor), Progress())
            for rank in range(self._inspectors):
                self._fork(worker, rank)

    def _fork(self, worker: _Worker, rank: int) -> None:
        worker.progress.born(rank)
        parent, pid = os.getpid(), os.fork()
        if pid == 0:
            self._inspect(worker, rank, parent)
        self._living[os.pidfd_open(pid)] = _Inspector(pid, worker, rank, time.monotonic())

    def _follow(self, ready: int) -> None:
        over = self._living.pop(ready)
        os.close(ready)
        code = os.waitstatus_to_exitcode(os.waitpid(over.pid, 0)[1])
        if code == OVER:
            self._end(over.worker)
            return
        self._replaced += code != RECYCLED
        self._late += code == -signal.SIGALRM
        if code < 0 and -code not in BY_ITSELF:
            self._tell_lost(over)
        if time.monotonic() - over.born < LEAST_LIFE:
            time.sleep(LEAST_LIFE)  # one that cannot live must not keep a core busy
        self._fork(over.worker, over.rank)

    def _inspect(self, worker: _Worker, rank: int, parent: int) -> NoReturn:
        """In the fork, to its end."""
        try:
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            if os.getppid() != parent:
                os._exit(OVER)
            if self._socket is not None:
                self._socket.close()
            sock = worker.sock
            for living in self._living.values():
                if living.worker is not worker:
                    living.worker.sock.close()
            os.closerange(sock.fileno() + 1, 1024)
            turns = Turns(sock, worker.progress, rank, self._eager)
            setproctitle("lbproxy: inspector")
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
            resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
            if self._walled:
                walls.build(walls.Needs(frozenset(), unix=False, names=False))
                kernel.no_more_processes()
            look_on(sock, self._engine, turns)
        finally:
            os._exit(1)


def look_on(sock: socket.socket, engine: WafEngine, turns: Turns) -> NoReturn:
    """Look at what comes, one after the other."""
    for _ in range(MOST_LOOKS):
        data = turns.take(LARGEST + 1)
        if not data:
            os._exit(OVER)
        try:
            question = unpack(data)
            now, seconds = time.monotonic(), max(0.01, question.seconds)
            if 0.0 < question.until < now:  # they have waited while nobody looked: those that come are to be in time
                turns.done()
                continue
            turns.begun(now + seconds, question.number)
            signal.setitimer(signal.ITIMER_REAL, seconds)
            try:
                verdict = engine.look(question)
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0.0)
                turns.done()
            sock.send(answer(verdict))
            turns.answered()
        except ValueError:
            turns.answered()
        except OSError:
            os._exit(OVER)
    os._exit(RECYCLED)
