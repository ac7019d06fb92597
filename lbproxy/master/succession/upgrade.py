"""SIGUSR2: the master executes itself again, on new code, and keeps its children, its listening sockets and its pid.

Theory of operation. execve replaces the program and leaves the process: children stay children, descriptors that are not
close-on-exec stay open, blocked signals stay blocked. So the old program tries the new code first (`lbproxy check` with it, beside
the master: it has to load, and to like the configuration; trial.py), writes down what it knows (a *legacy*: JSON in a memfd) and
executes it. The new program takes the legacy, finds the old workers serving as before, and reloads: a generation on the new code
takes over as in any reload, and if it cannot, the old workers serve on. They are not replaced any more when they die (their
certificates and contexts went with the old program); a reload is tried instead.

Signals are blocked from before the execve until the new program has its handlers: the kernel keeps what comes in between. Those
that were noted and not acted on, a SIGTERM above all, are sent again then, or they would go with the old program.

What a new program cannot inherit: the pick lock (two generations of a few seconds each use their own; a pick may be off by one
between them, as the ledger allows).
"""

from __future__ import annotations

import json
import mmap
import os
import signal
import socket
import threading
from collections.abc import Callable, Collection, Iterable, Mapping, MutableMapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from lbproxy.balance.ledger import WHOLE_SIZE, Ledger
from lbproxy.balance.slots import SlotTable
from lbproxy.config.model import Address, Config, ListenConfig
from lbproxy.errors import StartError
from lbproxy.ipc.messages import SILENCE_LIMIT
from lbproxy.ipc.pipe import MasterPipe
from lbproxy.master.fleet.child import FOREVER, Child, Phase, Role
from lbproxy.master.fleet.events import FleetTerms
from lbproxy.master.fleet.fleet import Fleet
from lbproxy.master.fleet.generation import Generation, GenerationStage, Post
from lbproxy.master.names.state import NameState
from lbproxy.master.processes.spawn import LAST_WORDS, Running
from lbproxy.master.resources.generation import GenerationResources, Listening
from lbproxy.master.resources.shared import MasterResources, shared_lock, shared_memory, wakeups
from lbproxy.master.resources.ticket_rotation import TicketRotation
from lbproxy.master.system import cache_memory, privileges, signals
from lbproxy.master.system.pidfile import PidFile
from lbproxy.master.system.unix_listener import UnixListener
from lbproxy.observe import standard

VARIABLE = "LBPROXY_BEQUEST"
"""Names the legacy's descriptor."""
MEMORY = "lbproxy-legacy"
"""The memfd's name."""
FORMAT = 1


class Commands(NamedTuple):
    """How the new program is tried and started, as argument vectors."""

    check: Sequence[str]
    start: Sequence[str]


class Legacy(NamedTuple):
    """What a new program starts with."""

    shared: MasterResources
    resources: dict[int, GenerationResources]
    fleet: Fleet
    running: list[Running]


def hindrance(fleet: Fleet, running: Iterable[Running]) -> str:
    """Why there is to be no new program just now; "": nothing is in the way."""
    if fleet.stop is not None or fleet.busy:
        return "a reload or a stop is under way"
    if any(one.pipe.queued or one.pipe.pending for one in running):
        return "messages of children are on their way: try again"
    return ""


# ---------------------------------------------------------------- the old program


def execute(
    commands: Commands,
    shared: MasterResources,
    resources: Mapping[int, GenerationResources],
    fleet: Fleet,
    running: Iterable[Running],
    environment: Mapping[str, str],
    noted: Callable[[], Iterable[int]],
    now: float,
) -> NoReturn:
    """Become the new program. Raises OSError when that cannot be; then nothing has changed.

    `environment`: variables that this program took away and the next one needs (the service manager's). `noted` gives, once, the
    signals that came and were not acted on.
    """
    ledger = shared.memory
    kept = [sock.fileno() for sock in shared.sockets.values()] + [one.pipe.fileno() for one in running] + [ledger]
    kept += [one.fileno() for one in (shared.pid_file, shared.cache) if one is not None]
    told = {
        "format": FORMAT,
        "pid": os.getpid(),
        "last": fleet.last,
        "sockets": [[*address, sock.fileno()] for address, sock in shared.sockets.items()],
        "lent": [list(address) for address in shared.lent],
        "ledger": ledger,
        "cache": None if shared.cache is None else shared.cache.told(),
        "slots": shared.slot_table.as_dict(),
        "names": shared.name_state.as_dict(now),
        "tickets": shared.tickets.as_dict(now),
        "pid_file": None if shared.pid_file is None else [str(shared.pid_file.path), shared.pid_file.fileno()],
        "generations": [_tell(one, resources[one.number], now) for one in fleet.generations.values()],
        "running": [[one.row, one.generation, one.role.value, one.pid, one.pipe.fileno()] for one in running],
    }
    legacy = os.memfd_create(MEMORY, os.MFD_CLOEXEC)
    kept.append(legacy)
    try:
        with open(legacy, "w", encoding="utf-8", closefd=False) as file:
            json.dump(told, file)
        os.lseek(legacy, 0, os.SEEK_SET)
        for descriptor in kept:
            os.set_inheritable(descriptor, True)
        standard.drain_all(LAST_WORDS)
        signals.block()
        for number in noted():
            signal.pthread_kill(threading.get_ident(), number)
        os.execve(commands.start[0], list(commands.start), {**os.environ, **environment, VARIABLE: str(legacy)})  # noqa: S606
    finally:  # an execve that worked does not come back
        signals.unblock()
        for descriptor in kept:
            os.set_inheritable(descriptor, False)
        os.close(legacy)
    raise AssertionError("execve returned")


def _tell(generation: Generation, resources: GenerationResources, now: float) -> dict[str, Any]:
    return {
        "number": generation.number,
        "stage": generation.stage.value,
        "terms": generation.terms._asdict(),
        "listeners": [[*one.listen.address, one.socket.fileno()] for one in resources.listeners],
        "columns": sorted(resources.slots),
        "children": [
            {
                "slot": child.row,
                "role": child.role.value,
                "worker": child.worker,
                "pid": child.pid,
                "phase": child.phase.value,
                "left": None if child.deadline == FOREVER else child.deadline - now,
            }
            for child in generation.children()
        ],
    }


# ---------------------------------------------------------------- the new program


def take_over(config: Config, now: float, environ: MutableMapping[str, str] = os.environ) -> Legacy | None:
    """What the program before us left; None: we are the first. Raises StartError for a legacy that we do not understand."""
    told = _read(environ.pop(VARIABLE, ""))
    if told is None:
        return None
    if told["format"] != FORMAT:
        raise StartError(f"the program before left a legacy of format {told['format']}, wanted {FORMAT}: restart lbproxy")
    lent = frozenset(Address(host, port) for host, port in told["lent"])
    sockets = {Address(host, port): _listener(Address(host, port), fd, lent) for host, port, fd in told["sockets"]}
    by_descriptor = {sock.fileno(): sock for sock in sockets.values()}
    memory, ledger, pick_lock = _ledger(told["ledger"])
    pid_file = told["pid_file"]
    shared = MasterResources(
        ledger,
        pick_lock,
        SlotTable.from_dict(told["slots"]),
        privileges.account_for(config),
        None if pid_file is None else PidFile.adopt(Path(pid_file[0]), _closing(pid_file[1])),
        sockets,
        lent=lent,
        wakeups=wakeups(),
        name_state=NameState.from_dict(told.get("names", {}), now),
        tickets=TicketRotation.from_dict(told.get("tickets", {}), now),
        memory=memory,
        cache=cache_memory.adopt(*told["cache"]) if told.get("cache") else None,
    )
    fleet = Fleet()
    fleet.adopt([_generation(facts, now) for facts in told["generations"]], told["last"])
    resources = {facts["number"]: _resources_of(config, facts, by_descriptor) for facts in told["generations"]}
    running = [Running(row, number, Role(role), pid, MasterPipe(_socket(fd))) for row, number, role, pid, fd in told["running"]]
    return Legacy(shared, resources, fleet, running)


def _read(name: str) -> dict[str, Any] | None:
    """The legacy; None when the variable names none for this very process: it is somebody's environment, and means nothing."""
    try:
        if not os.readlink(f"/proc/self/fd/{int(name)}").startswith(f"/memfd:{MEMORY}"):
            return None
        with open(int(name), encoding="utf-8") as file:
            told = json.load(file)
    except (OSError, ValueError):
        return None
    return told if isinstance(told, dict) and told.get("pid") == os.getpid() else None


def _closing(descriptor: int) -> int:
    """The same, not to be inherited by what we execute."""
    os.set_inheritable(descriptor, False)
    return descriptor


def _socket(descriptor: int) -> socket.socket:
    sock = socket.socket(fileno=_closing(descriptor))
    sock.setblocking(False)
    return sock


def _listener(address: Address, descriptor: int, lent: Collection[Address]) -> socket.socket:
    if address.path and address not in lent:
        return UnixListener.adopt(_closing(descriptor), Path(address.path))
    return _socket(descriptor)


def _ledger(descriptor: int) -> tuple[int, Ledger, Any]:
    """The ledger that the old workers count in. Another layout than ours: one of our own, and they count for themselves."""
    try:
        if os.fstat(descriptor).st_size == WHOLE_SIZE:
            ledger = Ledger(mmap.mmap(descriptor, WHOLE_SIZE))
            return _closing(descriptor), ledger, shared_lock()
    except ValueError:
        pass  # another version's
    os.close(descriptor)
    return shared_memory()


def _generation(facts: dict[str, Any], now: float) -> Generation:
    """Its posts are what its children say; nobody is posted there any more."""
    terms = FleetTerms(**facts["terms"])
    generation = Generation(
        facts["number"], terms._replace(workers=0), now, first=False, stage=GenerationStage(facts["stage"]), adopted=True
    )
    for told in facts["children"]:
        child = Child(told["slot"], facts["number"], Role(told["role"]), told["worker"], now, told["pid"], Phase(told["phase"]))
        child.ready_at = now
        child.deadline = FOREVER if told["left"] is None else now + max(told["left"], SILENCE_LIMIT)
        if generation.stage is GenerationStage.SERVING and child.phase is Phase.SERVING:
            generation.posts.append(Post(child.role, child.worker, child))
        else:
            generation.leaving.append(child)
    return generation


def _resources_of(config: Config, facts: dict[str, Any], sockets: Mapping[int, socket.socket]) -> GenerationResources:
    listeners = tuple(
        Listening(ListenConfig(Address(host, port)), sockets[fd], None, None)
        for host, port, fd in facts["listeners"]
        if fd in sockets
    )
    workers = sum(told["role"] == Role.WORKER.value for told in facts["children"])
    return GenerationResources(config, workers, listeners, {}, {}, None, -1, {}, frozenset(facts["columns"]))
