"""`python -m bench attacks [options]`. Exit 0 whatever the figures, 1 with the reason when it cannot be measured."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from bench.attacks import rules
from bench.attacks.h2_shapes import H2_SHAPES, H2Shape
from bench.attacks.newcomers import Waits, newcomers, visit
from bench.attacks.shapes import SHAPES, Ground, Shape, port_of
from bench.attacks.table import CALM, LEGEND, Sample, table
from bench.macro import machine, peers
from bench.macro.backends import REPOSITORY
from bench.macro.cpu import CpuMeter
from bench.macro.errors import BenchError, exit_code
from bench.macro.peers import Peer
from bench.macro.process import Program, free_port
from bench.macro.rounds import Stage, stage_for

ROUNDS, SECONDS = 3, 4
QUICK_ROUNDS, QUICK_SECONDS = 1, 2
BEGIN = 0.5
"""Seconds of the attack before the first newcomer."""
ALL: dict[str, Shape | H2Shape] = {**SHAPES, **H2_SHAPES}
GROUNDS: tuple[Ground, ...] = ("plain", "tls", "rules", "drips")


class Chosen(NamedTuple):
    """What was asked for."""

    attacks: list[str]
    names: list[str]
    rounds: int
    seconds: int
    cores: machine.Cores


def arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="bench attacks",
        description="What somebody who comes for something small waits while one client floods the same worker, for every shape of"
        " message that a client or a backend can send; and what a kilobyte of it costs the proxy.",
    )
    parser.add_argument("attacks", nargs="*", help=f"default: all, which are {', '.join(ALL)}")
    parser.add_argument("--rounds", type=int, default=0, help=f"default {ROUNDS}")
    parser.add_argument("--seconds", type=int, default=0, help=f"of each measurement, default {SECONDS}")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_ROUNDS} round of {QUICK_SECONDS} s: to see that it runs")
    parser.add_argument("--peers", default=",".join(peers.DEFAULT), help="default %(default)s")
    parser.add_argument("--no-pin", action="store_true", help="proxy and attacker share the cores as the scheduler likes")
    chosen = parser.parse_args(argv)
    if unknown := set(chosen.attacks) - set(ALL):
        parser.error(f"unknown attack {', '.join(sorted(unknown))}; there are {', '.join(ALL)}")
    if min(chosen.rounds, chosen.seconds) < 0:
        parser.error("all numbers are at least 1")
    chosen.rounds = chosen.rounds or (QUICK_ROUNDS if chosen.quick else ROUNDS)
    chosen.seconds = chosen.seconds or (QUICK_SECONDS if chosen.quick else SECONDS)
    return chosen


class Flood:
    """The attacker's process, for a bounded time."""

    def __init__(self, attack: str, port: int, seconds: float, cores: machine.Cores) -> None:
        command = [sys.executable, "-m", "bench.attacks.flood", attack, str(port), str(seconds)]
        self._process = subprocess.Popen(machine.pinned(command, cores.load), stdout=subprocess.PIPE, cwd=REPOSITORY)
        self._patience = seconds + 30

    def kilobytes(self, shape: Shape | H2Shape) -> float:
        """When it is over, those that count."""
        try:
            out, _ = self._process.communicate(timeout=self._patience)
        except subprocess.TimeoutExpired:
            raise BenchError("the attacker did not end") from None
        if self._process.returncode != 0:
            raise BenchError(f"the attacker ended with {self._process.returncode}")
        moved = json.loads(out)
        return float(moved["received" if shape.received else "sent"]) / 1024

    def stop(self) -> None:
        """Whatever has become of it."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()


def attacked(attack: str, peer: Peer, seconds: int, cores: machine.Cores) -> Sample:
    """One measurement."""
    shape = ALL[attack]
    port = peer.site.https if isinstance(shape, H2Shape) else port_of(shape, https=peer.site.https, http=peer.site.http)
    begun = time.monotonic()
    with CpuMeter(peer.pid) as meter:
        flood = Flood(attack, port, BEGIN + seconds, cores)
        try:
            time.sleep(BEGIN)
            waits = newcomers(peer.site.http, seconds)
            kilobytes = flood.kilobytes(shape)
        finally:
            flood.stop()
    taken = sample(attack, peer.name, waits, meter.ns / 1e9, kilobytes, time.monotonic() - begun)
    return taken._replace(by_kilobyte=not isinstance(shape, H2Shape))


def calm(peer: Peer, seconds: int) -> Sample:
    """The same without any attack."""
    begun = time.monotonic()
    with CpuMeter(peer.pid) as meter:
        waits = newcomers(peer.site.http, seconds)
    return sample(CALM, peer.name, waits, meter.ns / 1e9, 0.0, time.monotonic() - begun)


def sample(attack: str, name: str, waits: Waits, cpu: float, kilobytes: float, seconds: float) -> Sample:
    return Sample(attack, name, waits.milliseconds(0.5), waits.milliseconds(0.99), waits.lost, cpu, kilobytes, seconds)


@contextmanager
def ground_for(ground: Ground, stage: Stage, name: str, dripping: int) -> Iterator[Peer]:
    """A proxy that has just started: what one attack leaves behind is not the next one's doing."""
    if ground == "drips":
        with stage.peer(name, backends=(dripping,)) as peer:
            yield peer
    elif ground == "rules":
        with stage.peer(name, prepare=rules.add_to) as peer:
            yield peer
    else:
        with stage.peer(name) as peer:
            yield peer


@contextmanager
def dripping(stage: Stage, cores: machine.Cores) -> Iterator[int]:
    """The hostile backend's port."""
    port = free_port()
    command = machine.pinned([sys.executable, "-m", "bench.attacks.drips", str(port)], cores.load)
    output = stage.folder / "drips"
    program = Program("drips", command, stdout=output.with_suffix(".out"), stderr=output.with_suffix(".err"), cwd=REPOSITORY)
    try:
        program.wait_until(lambda: visit(port))
        yield port
    finally:
        program.stop()


def samples(chosen: Chosen) -> Iterator[Sample]:
    """For each round and attack the proxies follow each other directly."""
    with stage_for(chosen.names, chosen.cores) as stage, dripping(stage, chosen.cores) as port:
        for _ in range(chosen.rounds):
            for name in chosen.names:
                with ground_for("plain", stage, name, port) as peer:
                    yield calm(peer, chosen.seconds)
            for attack in chosen.attacks:
                for name in chosen.names:
                    with ground_for(ALL[attack].ground, stage, name, port) as peer:
                        yield attacked(attack, peer, chosen.seconds, chosen.cores)


def measure(wanted: argparse.Namespace) -> None:
    names = list(dict.fromkeys(wanted.peers.split(",")))
    for name in names:
        peers.require_peer(name)
    machine.raise_descriptor_limit()
    cores = machine.cores(not wanted.no_pin)
    chosen = Chosen(wanted.attacks or list(ALL), names, wanted.rounds, wanted.seconds, cores)
    taken = []
    for each in samples(chosen):
        taken.append(each)
        print(f"{each.attack:<16} {each.peer:<8} p50 {each.p50_ms:8.2f} p99 {each.p99_ms:8.2f} ms", file=sys.stderr, flush=True)
    print(peers.facts(names, cores))
    print(f"\n{table(taken)}\n\n{LEGEND}\n")
    for attack in chosen.attacks:
        print(f"{attack:<16} {ALL[attack].told}")


def main(argv: list[str]) -> int:
    chosen = arguments(argv)
    return exit_code(lambda: measure(chosen))
