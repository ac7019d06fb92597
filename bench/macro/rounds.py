"""Who is measured when.

The cases of one setup (cases.SETUPS) are measured together: their proxies stand side by side and are loaded one at a time; an idle
one costs the others nothing that can be measured. Within a round the proxies of one case follow each other directly, and each round
and case begins with another proxy.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench.macro import cases, certificate, duties, idle, latency, load, openloop, procfs
from bench.macro.backends import Backends
from bench.macro.errors import BenchError
from bench.macro.figures import Sample, order
from bench.macro.latency_table import LatencySample
from bench.macro.machine import Cores, widened
from bench.macro.peers import Maker, Peer, kind, maker, takes
from bench.macro.site import Recipe, Site
from bench.macro.step_duties import Proof
from bench.macro.steps import STEPS, missing, name_of

IDLE_ROUNDS = 3  # memory hardly varies

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured, and how thoroughly."""

    peers: Sequence[str]
    cases: Sequence[str]
    rounds: int
    seconds: int
    idle_connections: int
    cores: Cores


@dataclass(slots=True)
class Results:
    samples: list[Sample] = field(default_factory=list)
    latencies: list[LatencySample] = field(default_factory=list)
    tls: dict[str, str] = field(default_factory=dict)
    """What each proxy negotiated, for the report."""
    steal: float = 0.0
    """Share of the machine's time that the hypervisor gave to somebody else."""


class Stage:
    """The folder, the certificate and the backends of a run, and the proxies that are started in front of them."""

    def __init__(
        self, folder: Path, peers: Sequence[str], cores: Cores, *, backends: int = 2, grpc: bool = False, icap: bool = False
    ) -> None:
        """`backends`: as many as any setup wants; `grpc`: gRPC is answered, where backends speak HTTP/2; `icap`: such a server is
        there."""
        self.folder = folder
        self._cores = cores
        self._started = 0
        self._makers: dict[str, Maker] = {}
        for name in peers:
            self._makers[name] = maker(name, self._new_folder(name))
        self._certificate = certificate.make(self._new_folder("certificate"))
        self.backends = Backends(self._new_folder("backends"), cores, self._certificate, count=backends, grpc=grpc, icap=icap)

    @contextmanager
    def peer(
        self,
        name: str,
        setup: cases.Setup = cases.USUAL,
        same_cores_as: int = 1,
        backends: tuple[int, ...] = (),
        prepare: Callable[[str, Path], None] | None = None,
    ) -> Iterator[Peer]:
        """`same_cores_as`: it gets the cores that this many workers would get, if that is more; `backends`: ports of others than
        the setup's; `prepare`: is given the proxy's name and its folder, with its configuration in it, before it starts."""
        ca = self._certificate.cert if setup.backend_tls else None
        ports = backends or self.backends.ports_for(setup)
        cores = widened(self._cores, max(setup.workers, same_cores_as))
        folder = self._new_folder(name)

        def make(site: Site) -> Recipe:
            recipe = self._makers[name](site)
            if prepare is not None:
                prepare(name, folder)
            return recipe

        http2 = setup.backend_http2
        icap = self.backends.icap if setup.steps else None
        peer = Peer(
            name, make, folder, ports, self._certificate, cores, setup.workers, ca,
            backend_http2=http2, icap=icap, cache=setup.cache, compress=setup.compress,
        )  # fmt: skip
        try:
            yield peer
        finally:
            peer.stop()

    def load_cores(self, workers: int) -> str | None:
        """Where the load of a proxy with that many workers belongs."""
        return widened(self._cores, workers).load

    def check(self, peer: Peer, setup: cases.Setup = cases.USUAL, *, http2: bool = True) -> str:
        """BenchError unless it does its duties; what it negotiates. `http2`: that one is asked for, too."""
        waived = set(kind(peer.name).waived) | (set() if http2 else {duties.HTTP2})
        if setup.backend_http2:
            waived.add(duties.WEBSOCKET)  # nginx, which is the backends, has none over HTTP/2
        if setup.steps:
            self._check_steps(peer)
        return duties.check(
            peer.name,
            peer.site.https,
            peer.site.http,
            self._certificate.cert,
            peer.site.access_log,
            backends=setup.backends,
            backend_tls=setup.backend_tls,
            backend_http2=setup.backend_http2,
            grpc=setup.backend_http2 and self.backends.grpc,
            cache=setup.cache,
            compress=setup.compress,
            waived=waived,
        )

    def _check_steps(self, peer: Peer) -> None:
        with closing(duties.connect(peer.site.https, self._certificate.cert)) as connection:
            proof = Proof(connection, peer.site.folder, self.backends.requests)
            for step in STEPS:
                there = not missing(name_of(step)) and (step != "icap" or peer.site.icap)
                if there and takes(peer.name, name_of(step)):
                    try:
                        proof.check(step)
                    except BenchError as error:
                        raise BenchError(f"{peer.name}: {step}: {error}") from error

    def _new_folder(self, name: str) -> Path:
        """Others may look and not write: a proxy started as root opens its logs before it drops its rights."""
        self._started += 1
        folder = self.folder / f"{self._started}-{name.replace('/', '_')}"
        folder.mkdir(mode=0o755)
        return folder


@contextmanager
def stage_for(
    peers: Sequence[str], cores: Cores, *, backends: int = 2, grpc: bool = False, icap: bool = False
) -> Iterator[Stage]:
    """In a folder that is gone afterwards, as are the backends."""
    with tempfile.TemporaryDirectory(prefix="lbproxy-bench-") as folder:
        Path(folder).chmod(0o755)
        stage = Stage(Path(folder), peers, cores, backends=backends, grpc=grpc, icap=icap)
        try:
            yield stage
        finally:
            stage.backends.stop()


def run(plan: Plan, say: Say) -> Results:
    """Measures; every proxy has ended when it returns, whatever happened."""
    results = Results()
    loads = [case for case in cases.LOADS if case.name in plan.cases]
    most = max((case.setup.backends for case in loads), default=2)
    grpc, icap = cases.GRPC in plan.cases, name_of("icap") in plan.cases
    with stage_for(plan.peers, plan.cores, backends=most, grpc=grpc, icap=icap) as stage:
        stolen, ticks = procfs.steal_and_total()
        for setup in cases.SETUPS:
            _one_setup(stage, setup, [case for case in loads if case.setup == setup], plan, results, say)
        for case in (case for case in cases.MEMORY if case in plan.cases):
            peers = [name for name in plan.peers if takes(name, case)]
            for number in range(min(IDLE_ROUNDS, (plan.rounds + 1) // 2)):
                for name in order(peers, number):
                    sample = _idle(stage, name, case, number, plan.idle_connections)
                    results.samples.append(sample)
                    say(_progress(sample, plan.rounds))
        stolen_after, ticks_after = procfs.steal_and_total()
        results.steal = (stolen_after - stolen) / max(1, ticks_after - ticks)
    return results


def _one_setup(stage: Stage, setup: cases.Setup, loads: Sequence[cases.Case], plan: Plan, results: Results, say: Say) -> None:
    wanted = [case.name for case in loads]
    if setup == cases.USUAL and cases.LATENCY in plan.cases:
        wanted.append(cases.LATENCY)
    peers = [name for name in plan.peers if any(takes(name, case) for case in wanted)]
    if not wanted or not peers:
        return
    with ExitStack() as standing:
        ready = {name: standing.enter_context(stage.peer(name, setup)) for name in peers}
        for name, peer in ready.items():
            told = stage.check(peer, setup, http2=any(case.streams for case in loads if takes(name, case.name)))
            results.tls.setdefault(name, told)
        on = stage.load_cores(setup.workers)
        for number in range(plan.rounds):
            for turn, case in enumerate(loads):
                for name in order([name for name in peers if takes(name, case.name)], number + turn):
                    sample = load.measure(ready[name], case, stage.backends, number, plan.seconds, on)
                    results.samples.append(sample)
                    say(_progress(sample, plan.rounds))
        if cases.LATENCY in wanted:
            _latency(stage, {name: peer for name, peer in ready.items() if takes(name, cases.LATENCY)}, plan, results, say)


def _latency(stage: Stage, ready: dict[str, Peer], plan: Plan, results: Results, say: Say) -> None:
    program = openloop.build(stage.folder)
    able = {name: latency.capacity(peer, results.samples, stage.backends, plan.seconds) for name, peer in ready.items()}
    for number in range(plan.rounds):
        for turn, share in enumerate(latency.SHARES):
            for name in order(list(ready), number + turn):
                sample = latency.measure_waits(
                    program, ready[name], stage.backends, able[name], share, number, plan.seconds, plan.cores.load
                )
                results.latencies.append(sample)
                told = f"{sample.rate:9.0f}/s p50 {sample.p50_ms:.2f} p99 {sample.p99_ms:.2f} ms"
                say(f"round {number + 1}/{plan.rounds}  latency {share:.0%} {name:<10} {told}")


def _progress(sample: Sample, rounds: int) -> str:
    if sample.case in cases.MEMORY:
        return f"{sample.case} {sample.round + 1}  {sample.peer:<10} {sample.figure:8.1f} KiB/connection"
    told = f"{sample.figure:8.1f} us/request {sample.per_second:9.0f}/s"
    return f"round {sample.round + 1}/{rounds}  {sample.case:<14} {sample.peer:<10} {told}"


def _idle(stage: Stage, name: str, case: str, number: int, connections: int) -> Sample:
    """In a proxy just started: one that has seen load would fill memory that it already has."""
    with stage.peer(name) as peer:
        grown = idle.measure(name, peer.pid, peer.site.https, connections, http2=case == cases.H2_IDLE)
        return Sample(case=case, peer=name, round=number, figure=grown, pss_mib=procfs.pss(peer.pid) / 1024**2)
