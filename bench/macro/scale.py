"""Several workers: what a second one costs, how evenly they share connections, and what lbproxy's accept balance does to latency.

**Cost.** The same small requests with one worker and with two, on the same two cores: at full load (wrk, closed loop), and at the
same constant rate for both, half of what one worker can do. If a second worker only adds hands, a request costs the same; what they
do to each other's caches and counters shows as more. That is measured as CPU per request because two workers can only be twice as
fast where there are cores left for the load; on larger machines the requests per second tell it as well.

**Balance.** 2,000 connections are opened, 32 at a time, have one request each and are kept; then each worker's are counted.
HAProxy's workers are threads and share their descriptors: it cannot be counted so and is left out.

**Accept.** lbproxy as it is and without its accept balance, at the same constant rate: over kept connections, where an uneven share
would make some wait, and over fresh ones, where the accept balance's pauses would show.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from bench.macro import cases, held, idle, latency, load, openloop
from bench.macro.cases import Setup
from bench.macro.errors import BenchError
from bench.macro.figures import order
from bench.macro.machine import Cores
from bench.macro.peers import GREEDY, SUBJECT, Peer
from bench.macro.rounds import Say, Stage, stage_for
from bench.macro.scale_table import AcceptSample, BalanceSample, CostSample

COUNTED = ("nginx", SUBJECT, GREEDY)
"""Proxies whose workers are processes, with lbproxy's accept balance and without."""
ACCEPT_CONNECTIONS = 200
FULL, PACED = "full load", "same rate"
KEPT, FRESH = "kept connections", "fresh connections"


@dataclass(frozen=True, slots=True)
class Plan:
    peers: Sequence[str]
    """For the cost; balance is counted of COUNTED."""
    rounds: int
    seconds: int
    held: int
    """Connections that are shared."""
    workers: Sequence[int]
    """Numbers of workers that share them."""
    fresh_rate: float
    """New connections a second, for the accept balance."""
    cores: Cores


@dataclass(slots=True)
class Results:
    costs: list[CostSample] = field(default_factory=list)
    balances: list[BalanceSample] = field(default_factory=list)
    accepts: list[AcceptSample] = field(default_factory=list)


def setup(workers: int) -> Setup:
    return Setup(f"{workers} workers", workers=workers)


def run(plan: Plan, say: Say) -> Results:
    """Every proxy has ended when it returns, whatever happened."""
    results = Results()
    counted = [name for name in COUNTED if name == GREEDY or name in plan.peers]
    with stage_for(list(dict.fromkeys([*plan.peers, *counted, GREEDY])), plan.cores) as stage:
        program = openloop.build(stage.folder)
        for name in plan.peers:
            _cost(stage, program, name, plan, results.costs, say)
        for workers in plan.workers:
            for number in range(plan.rounds):
                for name in order(counted, number):
                    results.balances.append(_balance(stage, name, workers, number, plan.held))
                    said = results.balances[-1]
                    say(f"round {number + 1}/{plan.rounds}  {workers} workers  {name:<16} {sorted(said.counts)}")
        _accept(stage, program, plan, results.accepts, say)
    return results


def _cost(stage: Stage, program: Path, name: str, plan: Plan, costs: list[CostSample], say: Say) -> None:
    """One worker and two stand side by side, and take turns."""
    tiny = cases.BY_NAME["tiny"]
    with ExitStack() as standing:
        ready: dict[int, Peer] = {}
        for workers in (1, 2):
            ready[workers] = standing.enter_context(stage.peer(name, setup(workers), same_cores_as=2))
            stage.check(ready[workers], setup(workers))
        on = stage.load_cores(2)
        able = latency.capacity(ready[1], [], stage.backends, plan.seconds, on)

        def full(workers: int, number: int) -> CostSample:
            sample = load.measure(ready[workers], tiny, stage.backends, number, plan.seconds, on)
            return CostSample(name, workers, FULL, number, sample.figure, sample.per_second, sample.busy, sample.errors)

        def paced(workers: int, number: int) -> CostSample:
            waits = latency.measure_waits(program, ready[workers], stage.backends, able, 0.5, number, plan.seconds, on)
            busy = waits.cpu_us * waits.rate / 1e6
            return CostSample(name, workers, PACED, number, waits.cpu_us, waits.rate, busy, waits.errors)

        kinds: tuple[Callable[[int, int], CostSample], ...] = (full, paced)
        for number in range(plan.rounds):
            for turn, measure in enumerate(kinds):
                for workers in (1, 2) if (number + turn) % 2 == 0 else (2, 1):
                    costs.append(measure(workers, number))
                    said = costs[-1]
                    say(
                        f"round {number + 1}/{plan.rounds}  {said.load}  {name} x {workers}"
                        f"  {said.cpu_us:.1f} us/request {said.per_second:.0f}/s"
                    )


def _balance(stage: Stage, name: str, workers: int, number: int, connections: int) -> BalanceSample:
    """In workers just started, which hold nothing yet."""
    counts: dict[int, int] = {}
    with stage.peer(name, setup(workers)) as peer:

        def count() -> None:
            time.sleep(idle.SETTLE_SECONDS)
            counts.update(held.per_process(peer.pid, peer.site.https))

        idle.hold(name, peer.site.https, connections, count)
    if sum(counts.values()) != connections:
        raise BenchError(f"{name}: {connections} connections are held and {sum(counts.values())} were found in its processes")
    return BalanceSample(name, workers, number, tuple(counts.values()), held.balance(list(counts.values()), workers))


def _accept(stage: Stage, program: Path, plan: Plan, accepts: list[AcceptSample], say: Say) -> None:
    names = (SUBJECT, GREEDY)
    with ExitStack() as standing:
        ready = {name: standing.enter_context(stage.peer(name, setup(2))) for name in names}
        for name, peer in ready.items():
            stage.check(peer, setup(2))
            idle.hold(name, peer.site.https, idle.AT_ONCE, lambda: None)  # warm
        on = stage.load_cores(2)
        rate = 0.5 * min(latency.capacity(peer, [], stage.backends, plan.seconds, on) for peer in ready.values())
        for number in range(plan.rounds):
            for turn, fresh in enumerate((False, True)):
                for name in order(names, number + turn):
                    port, seconds = ready[name].site.https, float(plan.seconds)
                    job = openloop.Job(port, ACCEPT_CONNECTIONS, plan.fresh_rate if fresh else rate, seconds, fresh=fresh)
                    waits = openloop.run(program, job, on)
                    kind = FRESH if fresh else KEPT
                    figures = (waits.p50_ms, waits.p99_ms, waits.max_ms, waits.errors)
                    accepts.append(AcceptSample(kind, name, number, job.rate, *figures))
                    said = f"p50 {waits.p50_ms:.2f} p99 {waits.p99_ms:.2f} ms"
                    say(f"round {number + 1}/{plan.rounds}  {kind}  {name:<16} {job.rate:.0f}/s {said}")
