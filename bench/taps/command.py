"""`python -m bench taps [options]`. Exit 0 whatever the figures, 1 with the reason when it cannot be measured."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import NamedTuple

from bench.macro import machine, openloop, peers, procfs
from bench.macro.cpu import CpuMeter
from bench.macro.errors import BenchError, exit_code
from bench.macro.figures import order
from bench.macro.load import SETTLE_SECONDS
from bench.macro.peers import Peer
from bench.macro.process import free_ports
from bench.macro.rounds import stage_for
from bench.macro.steps import PREFIX
from bench.taps import states
from bench.taps.states import LARGE, NONE, STATES, State
from bench.taps.table import TapSample, table

ROUNDS, SECONDS, RATE = 7, 3, 1500
QUICK_ROUNDS, QUICK_SECONDS = 1, 1
CONNECTIONS = 64
WARM_ROUNDS = 10
COUNTED_AFTER = 1.0
"""Seconds until what the process for taps did is in the metrics."""


class Chosen(NamedTuple):
    """What was asked for."""

    names: list[str]
    rounds: int
    seconds: int
    rate: int
    large: bool
    cores: machine.Cores


def arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="bench taps",
        description="What requests at a constant rate wait beside a tap whose readers are awake, asleep, dead or never were there,"
        " or whose disk is full; in turns with a route that has none.",
    )
    parser.add_argument("states", nargs="*", help=f"default: all, which are {', '.join(STATES)}")
    parser.add_argument("--rounds", type=int, default=0, help=f"default {ROUNDS}")
    parser.add_argument("--seconds", type=int, default=0, help=f"of each measurement, default {SECONDS}")
    parser.add_argument("--rate", type=int, default=RATE, help="a second, default %(default)s: well below what a core does")
    parser.add_argument("--large", action="store_true", help="answers of 100 KiB instead of 3 bytes")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_ROUNDS} round of {QUICK_SECONDS} s: to see that it runs")
    parser.add_argument("--no-pin", action="store_true", help="proxy and load share the cores as the scheduler likes")
    chosen = parser.parse_args(argv)
    if unknown := set(chosen.states) - set(STATES):
        parser.error(f"unknown {', '.join(sorted(unknown))}; there are {', '.join(STATES)}")
    if min(chosen.rounds, chosen.seconds) < 0 or chosen.rate < 1:
        parser.error("all numbers are at least 1")
    chosen.rounds = chosen.rounds or (QUICK_ROUNDS if chosen.quick else ROUNDS)
    chosen.seconds = chosen.seconds or (QUICK_SECONDS if chosen.quick else SECONDS)
    return chosen


class Bench:
    """One proxy with a route for each state, and a load for one of them at a time."""

    def __init__(self, peer: Peer, program: Path, chosen: Chosen, metrics: int) -> None:
        self._peer = peer
        self._program = program
        self._chosen = chosen
        self._metrics = metrics

    def reach(self, name: str) -> None:
        """As many requests as it takes until things are as they are to be: whoever sleeps has what the kernel keeps for him. Raises
        BenchError."""
        state = STATES[name]
        for _ in range(WARM_ROUNDS):
            before = self._counted(state)
            openloop.run(self._program, self._job(name, 1.0), self._chosen.cores.load)
            time.sleep(COUNTED_AFTER)
            if self._counted(state) > before or not state.counted:
                return
        raise BenchError(f"{name}: {state.counted} does not grow")

    def measure(self, name: str, number: int) -> TapSample:
        """Raises BenchError where the state is not what it is called."""
        state, helper, seconds = STATES[name], states.process_for_taps(self._peer.pid), float(self._chosen.seconds)
        cpu = {}

        def meter() -> None:
            before, begun = procfs.cpu_ns(helper) or 0, time.monotonic()
            with CpuMeter(self._peer.pid) as whole:
                time.sleep(seconds)
            of_taps = (procfs.cpu_ns(helper) or 0) - before
            requests = self._chosen.rate * (time.monotonic() - begun)
            cpu["worker"], cpu["taps"] = (ns / 1e3 / requests for ns in (whole.ns - of_taps, of_taps))

        with states.halted(helper) if state.halted else nullcontext():
            if state.halted:
                self.reach(name)
            time.sleep(SETTLE_SECONDS)
            before = self._counted(state)
            waits = openloop.run(self._program, self._job(name, seconds), self._chosen.cores.load, meter)
            time.sleep(COUNTED_AFTER)
            if state.counted and self._counted(state) - before < waits.requests / 2:
                raise BenchError(f"{name}: fewer than half of {waits.requests} requests are in {state.counted}")
        return TapSample(name, number, waits, cpu["worker"], cpu["taps"])

    def _job(self, name: str, seconds: float) -> openloop.Job:
        path = PREFIX + (LARGE if self._chosen.large else "") + name
        return openloop.Job(self._peer.site.https, CONNECTIONS, self._chosen.rate, seconds, path)

    def _counted(self, state: State) -> float:
        return states.figure(self._metrics, state.counted) if state.counted else 0.0


def samples(chosen: Chosen) -> Iterator[TapSample]:
    """The states follow each other directly within a round, and each round begins with another one."""
    with stage_for([peers.SUBJECT], chosen.cores) as stage, ExitStack() as standing:
        program = openloop.build(stage.folder)
        metrics, *ports = free_ports(1 + len(chosen.names))
        by_name = dict(zip(chosen.names, ports, strict=True))

        def prepare(_: str, folder: Path) -> None:
            standing.enter_context(states.folders(folder))
            file = folder / "lbproxy.toml"
            file.write_text(states.config(file.read_text(), folder, by_name, metrics))

        with stage.peer(peers.SUBJECT, prepare=prepare) as peer, states.readers(by_name, metrics, chosen.cores.load):
            bench = Bench(peer, program, chosen, metrics)
            for name in chosen.names:
                if not STATES[name].halted:
                    bench.reach(name)
            for number in range(chosen.rounds):
                for name in order(chosen.names, number):
                    yield bench.measure(name, number)


def measure(wanted: argparse.Namespace) -> None:
    machine.raise_descriptor_limit()
    machine.require_schedstat()
    names = list(dict.fromkeys([NONE, *(wanted.states or STATES)]))
    if "full" in names and states.without_disk():
        print("bench: a full disk takes a file system of its own, and root: left out", file=sys.stderr)
        names.remove("full")
    cores = machine.cores(not wanted.no_pin)
    taken = []
    for each in samples(Chosen(names, wanted.rounds, wanted.seconds, wanted.rate, wanted.large, cores)):
        taken.append(each)
        told = f"p50 {each.waits.p50_ms:.2f} p99 {each.waits.p99_ms:.2f} late {each.waits.sent_p99_ms:.2f} ms"
        print(f"round {each.round + 1}/{wanted.rounds}  {each.state:<10} {told}", file=sys.stderr, flush=True)
    print(peers.facts([peers.SUBJECT], cores))
    answers = "100 KiB" if wanted.large else "3 bytes"
    print(f"requests:     {wanted.rate} a second, answers of {answers}, {wanted.rounds} rounds of {wanted.seconds} s")
    print(f"\n{table(taken)}\n")


def main(argv: list[str]) -> int:
    chosen = arguments(argv)
    return exit_code(lambda: measure(chosen))
