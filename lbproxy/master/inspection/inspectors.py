"""The master's end of a process that loads the rules of one generation, and forks inspectors, who look at requests for attacks.

It is executed anew, as control is: a rule engine reads what strangers send, and must not have the master's memory, where keys are.
It loads its rules before anything else of the generation happens, so that rules that cannot be used refuse a start, or a reload,
with their file and line. A master that serves goes on meanwhile (resources/preparation.py). For each worker it forks inspectors
around one socket. It ends, when the master closes its end, with the last worker that it looks for. Where it ends before, or does
not get on, another one gets the workers' sockets (watches/rules.py), with what waits in them: so the master keeps copies.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import asdict
from types import MappingProxyType

from lbproxy.config.model import Config, WafConfig
from lbproxy.errors import Complaint, ConfigError, StartError
from lbproxy.master.system.cores import auto_workers
from lbproxy.master.system.executed import execute
from lbproxy.master.system.privileges import Account

LOADING = 20.0
"""Seconds for all rules; the Core Rule Set takes half a second."""
TUNABLES = "glibc.malloc.tcache_count=4000"
"""The engine takes and gives thousands of small pieces of memory for each request: with them at hand by size it costs 7 % less."""
ENDED = b'{"faults": [[0, "", 0, "the process that loads the rules has ended"]]}'
MOST_SAID = 512 * 1024
"""Bytes of what it says at once."""
MOST_HEARD = 1000
"""Messages at once."""
SILENT = 5.0
"""Seconds without a word from such a process, which speaks twice in each, after which it does not get on."""
GAP = 3.0
"""Seconds of the master's own, after which nobody's silence counts."""
ROOM = 1024 * 1024
"""Bytes of questions that wait; the kernel gives what it allows."""


class Loading:
    """A process that loads the rules of a generation, which may take a while. `close` it, or have it `done`."""

    late = f"rules are not loaded within {LOADING:g} s"

    def __init__(self, config: Config, account: Account | None) -> None:
        """Raises StartError, OSError."""
        self.until = time.monotonic() + LOADING
        """When it is given up."""
        self._config = config
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._pid = execute("lbproxy.master.inspection.process", (theirs.fileno(),), tunables=TUNABLES)
        self._process = os.pidfd_open(self._pid)
        account_of = None if account is None else list(account)
        cores = auto_workers()
        told = {
            "sets": [asdict(each) for each in config.wafs],
            "account": account_of,
            "walls": config.proxy.walls,
            "eager": max(1, cores // (config.proxy.workers or cores)),
        }
        try:
            self._socket.settimeout(LOADING)
            self._socket.send(json.dumps(told).encode("ascii"))
        except OSError as error:
            self.close()
            raise StartError(f"rules are not loaded: {error}") from error

    def fileno(self) -> int:
        """Readable when `done` has nothing to wait for."""
        return self._socket.fileno()

    @property
    def ready(self) -> bool:
        """Whether `done` has nothing to wait for."""
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        return bool(poll.poll(0))

    def done(self) -> InspectionProcess:
        """Waits until all rules are loaded. Raises ConfigError for rules that cannot be used, StartError."""
        try:
            said = json.loads(self._socket.recv(MOST_SAID) or ENDED)
            if "faults" in said:
                raise ConfigError([_complaint(self._config, *fault) for fault in said["faults"]])
        except BaseException as error:
            self.close()
            if isinstance(error, OSError | ValueError):
                raise StartError(f"rules are not loaded: {error}") from error
            raise
        self._socket.setblocking(False)
        return InspectionProcess(self._socket, self._pid, self._process, dict(zip(self._config.wafs, said["held"], strict=False)))

    def close(self) -> None:
        """Give it up."""
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._process, signal.SIGKILL)
        os.close(self._process)
        self._socket.close()
        _reap(self._pid)

    def close_in_child(self) -> None:
        """Its descriptors are not the child's."""
        os.close(self._process)
        self._socket.close()


Held = Mapping[WafConfig, Mapping[str, str]]
"""What the files of each set of rules held when it was loaded, as digests by their paths."""


def renewed(old: InspectionProcess | None, new: InspectionProcess | None) -> dict[WafConfig, list[str]]:
    """Names of files of each set, or of another one of the same rules, that hold something else, have come or gone."""
    before = {} if old is None else {settings.rules: files for settings, files in old.held.items()}
    found: dict[WafConfig, list[str]] = {}
    for settings, files in ({} if new is None else new.held).items():
        known = before.get(settings.rules, files)
        found[settings] = sorted(path for path in known.keys() | files.keys() if known.get(path) != files.get(path))
    return found


class InspectionProcess:
    """The process with the rules of one generation. `close` it."""

    def __init__(self, sock: socket.socket, pid: int, process: int, held: Held = MappingProxyType({})) -> None:
        """`process`: a descriptor of it; `held`: see there."""
        self._socket = sock
        self.pid = pid
        self._process = process
        self.held = held
        self._told: tuple[int, ...] = (0, 0, 0)
        self._heard_at = self._asked_at = time.monotonic()
        self._stopped = False
        self._workers: list[socket.socket] = []
        """The inspectors' ends of their sockets."""

    @classmethod
    def begin(cls, config: Config, account: Account | None, undo: ExitStack | None = None) -> InspectionProcess | None:
        """Waits until all rules are loaded. `undo`: closes it, should what follows go wrong. None where no route asks for it.
        Raises ConfigError for rules that cannot be used, StartError, OSError."""
        if not config.wafs:
            return None
        made = Loading(config, account).done()
        if undo is not None:
            undo.callback(made.close)
        return made

    def serve(self) -> socket.socket:
        """For a worker: its end of a socket with inspectors behind it. Raises OSError."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for sock in (ours, theirs):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, ROOM)
        ours.setblocking(False)  # a worker may not ask for it
        self._inspect(theirs)
        return ours

    def _inspect(self, worker: socket.socket) -> None:
        self._workers.append(worker)
        with suppress(OSError):  # it has died, or does not get on: what is asked waits until another one takes its place
            socket.send_fds(self._socket, [b"serve"], [worker.fileno()])

    def succeed(self, other: InspectionProcess) -> None:
        """Look for all workers of that one, which ends. What waits in their sockets is looked at."""
        for worker in other.taken_workers():
            self._inspect(worker)
        other.kill()
        other.close()

    def taken_workers(self) -> list[socket.socket]:
        """The inspectors' ends of the sockets of workers that live; they are the caller's."""
        self.forget_ended()
        workers, self._workers = self._workers, []
        return workers

    def forget_ended(self) -> None:
        """Workers that are gone."""
        poll = select.poll()
        for worker in self._workers:
            poll.register(worker, 0)  # its end alone
        gone = {descriptor for descriptor, _ in poll.poll(0)}
        for worker in self._workers:
            if worker.fileno() in gone:
                worker.close()
        self._workers = [worker for worker in self._workers if worker.fileno() >= 0]

    def heard(self) -> tuple[int, int, int]:
        """How many inspectors live, how many were replaced since the last call, and how many of these took too long."""
        _, replaced, late = self._told
        for _ in range(MOST_HEARD):
            try:
                data = self._socket.recv(256)
            except OSError:
                break  # nothing more
            alive, before, too_late = self._told
            self._told = tuple(json.loads(data)) if data else (0, before + alive, too_late)  # they ended with it
            if not data:
                break
            self._heard_at = time.monotonic()
        return self._told[0], self._told[1] - replaced, self._told[2] - late

    def fault(self, now: float) -> str:
        """What keeps it from replacing inspectors, after all that it said was heard; "": nothing does. Its silence does not count
        while nobody asks: the master may have been stopped."""
        asked_at, self._asked_at = self._asked_at, now
        if now - asked_at > GAP:
            self._heard_at = now
        try:
            if self._socket.recv(1, socket.MSG_PEEK) == b"":
                return "it has ended"
        except BlockingIOError:
            pass
        except OSError:
            return "it has ended"
        with suppress(ChildProcessError):
            self._stopped = self._stopped or os.waitid(os.P_PIDFD, self._process, os.WSTOPPED | os.WNOHANG) is not None
        if self._stopped:
            return "somebody has stopped it"
        return "it has not been heard of for long" if now - self._heard_at > SILENT else ""

    def kill(self) -> None:
        """With its inspectors."""
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._process, signal.SIGKILL)

    def reap(self) -> None:
        """It has been told to end: wait until it has."""
        _reap(self.pid)

    def close(self) -> None:
        """It ends when nobody is left that it looks for."""
        for sock in (self._socket, *self._workers):
            sock.close()
        self._workers = []
        if self._process >= 0:
            os.close(self._process)
        self._process = -1


Rules = Callable[[Config, Account | None, ExitStack], InspectionProcess | None]
"""Loads the rules of a generation, as InspectionProcess.begin does."""


def _reap(pid: int) -> None:
    try:
        os.waitpid(pid, 0)
    except ChildProcessError:
        pass  # somebody else was faster


def complaints(config: Config) -> list[Complaint]:
    """What a start would refuse."""
    try:
        made = InspectionProcess.begin(config, None)
    except ConfigError as error:
        return list(error.complaints)
    except (StartError, OSError) as error:
        return [Complaint(config.source, 0, "route.waf", str(error))]
    if made is not None:
        made.close()
        made.reap()
    return []


def _complaint(config: Config, number: int, file: str, line: int, what: str) -> Complaint:
    """`number`: of the set of rules; `file`: "": the table itself is wrong."""
    table = next(route.line for route in config.routes if route.waf == config.wafs[number])
    if file:
        return Complaint(file, line, "", what, f"it is one of the rules of the route in {_place(config, table)}")
    return Complaint(config.source, table, "route.waf", what, "lbproxy check tries rules without a reload")


def _place(config: Config, line: int) -> str:
    return ":".join(map(str, Complaint(config.source, line, "", "").place))
