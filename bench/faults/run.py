"""One fault after the other, each with every proxy in turn: load on, fault on, fault off, load off; a fresh proxy each time."""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench.faults import effect, trace
from bench.faults.crew import Crew
from bench.faults.effect import Effect
from bench.faults.faults import Fault
from bench.faults.names import TTL
from bench.faults.proxies import WORKERS, maker
from bench.macro import certificate
from bench.macro.errors import BenchError
from bench.macro.machine import Cores, require
from bench.macro.peers import Peer
from bench.reload.job import Job
from bench.reload.load import Load, LoadError
from bench.reload.outcome import Tally

Say = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """What is done to each proxy."""

    calm: float = 0.7
    """Seconds of load before the fault."""
    fault: float = 4.0
    after: float = 3.5
    """Seconds of load after it."""
    getters: int = 48
    """Clients that GET over kept connections; each asks once in 0.2 s, about."""
    posters: int = 16
    """The same, with POST."""


@dataclass(frozen=True, slots=True)
class Result:
    """What one fault did to the clients of one proxy."""

    fault: str
    peer: str
    tally: Tally
    effect: Effect


def run(names: Sequence[str], faults: Sequence[Fault], plan: Plan, cores: Cores, say: Say) -> tuple[list[Result], list[str]]:
    """What came out, and why some have no result. Every process has ended when it returns."""
    results: list[Result] = []
    failures: list[str] = []
    with tempfile.TemporaryDirectory(prefix="lbproxy-faults-") as folder:
        root = Path(folder)
        root.chmod(0o755)
        makers = {name: maker(name, _below(root, f"{name}-source")) for name in names}
        files = certificate.make(_below(root, "certificate"))
        for fault in faults:
            for name in names:
                say(f"{fault.name}, {name}")
                place = _below(root, f"{fault.name}-{name}")
                try:
                    with ExitStack() as stage:
                        crew = Crew(_below(place, "crew"), cores, require("dnsmasq", "names") if fault.named else None)
                        stage.callback(crew.stop)
                        make = partial(makers[name], zone=crew.zone)
                        peer = Peer(name, make, _below(place, "proxy"), crew.ports, files, cores, WORKERS)
                        stage.callback(peer.stop)
                        tally, began, ended = _befall(fault, crew, peer, plan, cores)
                        peer.stop()  # writes what it has to write
                        records = trace.read(name, peer.site.access_log.read_text().splitlines(), crew.addresses)
                        seen = effect.effect(records, fault.victim, len(crew.ports), began, ended)
                        results.append(Result(fault.name, name, tally, seen))
                except (BenchError, LoadError) as error:
                    failures.append(f"{fault.name}, {name}: {error}")
    return results, failures


def _below(root: Path, name: str) -> Path:
    folder = root / name.replace("/", "_")
    folder.mkdir(mode=0o755)
    return folder


def _befall(fault: Fault, crew: Crew, peer: Peer, plan: Plan, cores: Cores) -> tuple[Tally, float, float]:
    """What the clients had of it, and when it began and ended (wall clock, as in access logs)."""
    job = Job(
        peer.site.https,
        str(peer.site.certificate.cert),
        busy=0,
        idle=plan.getters,
        fresh=1,
        downloads=0,
        uploads=plan.posters,
        upload_bytes=1024,
        idle_pause=(0.15, 0.25),
        fresh_pause=0.1,
        upload_pause=0.2,
    )
    with Load(job, cores.load) as load:
        time.sleep(plan.calm + (random.random() * TTL if fault.named else 0.0))  # whoever asks each second is not in step with us
        began = time.time()
        fault.begin(crew)
        time.sleep(plan.fault if fault.seconds is None else fault.seconds)
        fault.end(crew)
        ended = time.time()
        time.sleep(plan.after)
        return load.stop(), began, ended
