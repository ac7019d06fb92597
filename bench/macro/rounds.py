"""Who is measured when.

All proxies of a run stand side by side for its whole length and are loaded one at a time; an idle one costs the others nothing
that can be measured. Within a round the proxies of one case follow each other directly, and each round and case begins with
another proxy.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench.macro import cases, certificate, duties, idle, load, procfs
from bench.macro.backends import Backends
from bench.macro.figures import Sample, order
from bench.macro.machine import Cores
from bench.macro.peers import Peer, Recipe, Site, maker

IDLE_ROUNDS = 3  # memory hardly varies

Say = Callable[[str], None]


@dataclass(slots=True)
class Results:
    samples: list[Sample] = field(default_factory=list)
    tls: dict[str, str] = field(default_factory=dict)
    """What each proxy negotiated, for the report."""
    steal: float = 0.0
    """Share of the machine's time that the hypervisor gave to somebody else."""


class Stage:
    """The folder, the certificate and the backends of a run, and the proxies that are started in front of them."""

    def __init__(self, folder: Path, peers: Sequence[str], cores: Cores) -> None:
        self._folder = folder
        self._cores = cores
        self._started = 0
        self._makers: dict[str, Callable[[Site], Recipe]] = {}
        for name in peers:
            self._makers[name] = maker(name, self._new_folder(name))
        self._certificate = certificate.make(self._new_folder("certificate"))
        self.backends = Backends(self._new_folder("backends"), cores)

    @contextmanager
    def peer(self, name: str) -> Iterator[Peer]:
        peer = Peer(name, self._makers[name], self._new_folder(name), self.backends.ports, self._certificate, self._cores)
        try:
            yield peer
        finally:
            peer.stop()

    def check(self, peer: Peer) -> str:
        return duties.check(peer.name, peer.site.https, peer.site.http, self._certificate.cert, peer.site.access_log)

    def _new_folder(self, name: str) -> Path:
        """Others may look and not write: a proxy started as root opens its logs before it drops its rights."""
        self._started += 1
        folder = self._folder / f"{self._started}-{name.replace('/', '_')}"
        folder.mkdir(mode=0o755)
        return folder


def run(
    peers: Sequence[str], names: Sequence[str], rounds: int, seconds: int, idle_connections: int, cores: Cores, say: Say
) -> Results:
    """Measures; every proxy has ended when it returns, whatever happened."""
    results = Results()
    with tempfile.TemporaryDirectory(prefix="lbproxy-bench-") as folder, ExitStack() as stack:
        Path(folder).chmod(0o755)
        stage = Stage(Path(folder), peers, cores)
        stack.callback(stage.backends.stop)
        stolen, ticks = procfs.steal_and_total()
        loads = [case for case in cases.LOADS if case.name in names]
        with ExitStack() as standing:
            ready = {name: standing.enter_context(stage.peer(name)) for name in peers}
            for name, peer in ready.items():
                results.tls[name] = stage.check(peer)
            for number in range(rounds):
                for turn, case in enumerate(loads):
                    for name in order(peers, number + turn):
                        sample = load.measure(ready[name], case, stage.backends, number, seconds)
                        results.samples.append(sample)
                        say(_progress(sample, rounds))
        if cases.IDLE in names:
            for number in range(min(IDLE_ROUNDS, (rounds + 1) // 2)):
                for name in order(peers, number):
                    sample = _idle(stage, name, number, idle_connections)
                    results.samples.append(sample)
                    say(_progress(sample, rounds))
        stolen_after, ticks_after = procfs.steal_and_total()
        results.steal = (stolen_after - stolen) / max(1, ticks_after - ticks)
    return results


def _progress(sample: Sample, rounds: int) -> str:
    if sample.case == cases.IDLE:
        return f"idle {sample.round + 1}  {sample.peer:<10} {sample.figure:8.1f} KiB/connection"
    told = f"{sample.figure:8.1f} us/request {sample.per_second:9.0f}/s"
    return f"round {sample.round + 1}/{rounds}  {sample.case:<11} {sample.peer:<10} {told}"


def _idle(stage: Stage, name: str, number: int, connections: int) -> Sample:
    """In a proxy just started: one that has seen load would fill memory that it already has."""
    with stage.peer(name) as peer:
        grown = idle.measure(name, peer.pid, peer.site.https, connections)
        return Sample(case=cases.IDLE, peer=name, round=number, figure=grown, pss_mib=procfs.pss(peer.pid) / 1024**2)
