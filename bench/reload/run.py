"""One proxy after the other: duties proved, load on, reloads, load off, and who is still there afterwards."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from bench.macro import certificate, duties
from bench.macro.backends import Backends
from bench.macro.errors import BenchError
from bench.macro.machine import Cores
from bench.macro.peers import Peer, maker
from bench.reload.job import Job
from bench.reload.load import Load, LoadError
from bench.reload.outcome import Tally
from bench.reload.subjects import Subject

WORKERS = 2
LEAVE_SECONDS = 10.0
"""How long old processes get to go once the load is over."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """What is done to each proxy."""

    reloads: int = 8
    apart: float = 1.5
    """Seconds between two reloads."""
    wire: float = 0.0
    """See Job.wire."""
    uploads: int = 0
    h2: int = 4
    """Clients of HTTP/2."""


@dataclass(frozen=True, slots=True)
class Result:
    """What it did to the clients."""

    peer: str
    tally: Tally
    took: int
    """Reloads that brought new processes."""
    most: int
    """Processes at most, seen right before each reload."""
    left: int
    """Processes more than before the first reload, LEAVE_SECONDS after the load."""
    left_after: float
    """Seconds after the load at which that number was reached (0.0: at once)."""


def run(names: Sequence[str], plan: Plan, cores: Cores, say: Say) -> tuple[list[Result], list[str]]:
    """What came out, and why some of them have no result (duties not done, load does not stand).

    Every process has ended when it returns.
    """
    results: list[Result] = []
    failures: list[str] = []
    with tempfile.TemporaryDirectory(prefix="lbproxy-reload-") as folder, ExitStack() as stack:
        root = Path(folder)
        root.chmod(0o755)
        makers = {name: maker(name, _below(root, f"{name}-source")) for name in names}
        files = certificate.make(_below(root, "certificate"))
        backends = Backends(_below(root, "backends"), cores)
        stack.callback(backends.stop)
        for name in names:
            say(f"{name}: {plan.reloads} reloads, {plan.apart:g} s apart")
            try:
                peer = Peer(name, makers[name], _below(root, name), backends.ports, files, cores, WORKERS)
                try:
                    waived = () if plan.h2 else (duties.HTTP2,)
                    duties.check(name, peer.site.https, peer.site.http, files.cert, peer.site.access_log, waived=waived)
                    job = Job(peer.site.https, str(files.cert), wire=plan.wire, uploads=plan.uploads, h2=plan.h2)
                    results.append(_measure(Subject(peer, makers[name]), job, plan, cores))
                finally:
                    peer.stop()
            except (BenchError, LoadError) as error:
                failures.append(f"{name}: {error}")
    return results, failures


def _below(root: Path, name: str) -> Path:
    folder = root / name.replace("/", "_")
    folder.mkdir(mode=0o755)
    return folder


def _measure(subject: Subject, job: Job, plan: Plan, cores: Cores) -> Result:
    before = len(subject.processes())
    took, most = 0, before
    with Load(job, cores.load) as load:
        for _ in range(plan.reloads):
            subject.fresh()
            subject.reload()
            time.sleep(plan.apart)
            took += subject.fresh() > 0
            most = max(most, len(subject.processes()))
        tally = load.stop()
    ended = time.monotonic()
    while (left := len(subject.processes()) - before) > 0 and time.monotonic() - ended < LEAVE_SECONDS:
        time.sleep(0.1)
    return Result(subject.name, tally, took, most, left, time.monotonic() - ended)
