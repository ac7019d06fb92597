"""`python -m bench slow [options]`. Exit 0 whatever the figures, 1 with the reason when it cannot be measured."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench.macro import machine, openloop, peers
from bench.macro.errors import exit_code
from bench.macro.rounds import stage_for
from bench.slow.attacks import ATTACKS, CROWD, HALF_OPEN, led
from bench.slow.table import LEGEND, Sample, table

ROUNDS, SECONDS = 3, 8
GOOD, RATE = 20, 200.0
"""Good clients' kept connections, and their requests a second, all together."""
BEGIN, END = 0.2, 1.5
"""Seconds before the good clients begin, and for the last crowd to be gone before the next one comes."""


def arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="bench slow",
        description=f"What good clients wait while {CROWD} slow ones come and stay: one worker, {RATE:.0f} small requests a second"
        f" over {GOOD} kept connections.",
    )
    parser.add_argument("attacks", nargs="*", help=f"default: {', '.join(ATTACKS)}")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="default %(default)s")
    parser.add_argument("--seconds", type=int, default=SECONDS, help="of each measurement, default %(default)s")
    parser.add_argument("--peers", default=",".join(peers.DEFAULT), help="default %(default)s")
    chosen = parser.parse_args(argv)
    if unknown := set(chosen.attacks) - set(ATTACKS):
        parser.error(f"unknown attack {', '.join(unknown)}; there are {', '.join(ATTACKS)}")
    if min(chosen.rounds, chosen.seconds) < 1:
        parser.error("all numbers are at least 1")
    return chosen


def samples(names: list[str], attacks: list[str], rounds: int, seconds: int) -> Iterator[Sample]:
    """Proxies one after the other; within a round an attack on another one comes right before the same one on theirs."""
    # Nobody is pinned: good clients, crowd, backends and proxy share the machine as they would.
    with stage_for(names, machine.Cores()) as stage, tempfile.TemporaryDirectory() as folder:
        program = openloop.build(Path(folder))
        for name in names:
            with stage.peer(name) as asked, stage.peer(name) as other:
                for _ in range(rounds):
                    for attack in attacks:
                        for attacked in (other, asked):
                            with led(attack, attacked.site.https):
                                time.sleep(BEGIN)
                                waits = openloop.run(program, openloop.Job(asked.site.https, GOOD, RATE, seconds))
                            yield Sample(attack, name, attacked is asked, waits.p50_ms, waits.p99_ms, waits.errors)
                            time.sleep(END)


def measure(chosen: argparse.Namespace) -> None:
    if set(chosen.attacks or ATTACKS) - {HALF_OPEN}:
        machine.require("slowhttptest", "it is the crowd")
    names = list(dict.fromkeys(chosen.peers.split(",")))
    for name in names:
        peers.require_peer(name)
    machine.raise_descriptor_limit()
    taken = []
    for sample in samples(names, chosen.attacks or list(ATTACKS), chosen.rounds, chosen.seconds):
        taken.append(sample)
        where = "here" if sample.here else "elsewhere"
        print(f"{sample.attack:<7} {sample.peer:<8} {where:<9} p99 {sample.p99_ms:8.2f} ms", file=sys.stderr, flush=True)
    print(peers.facts(names, machine.Cores()))
    print(f"\n{table(sorted(taken, key=lambda sample: list(ATTACKS).index(sample.attack)))}\n\n{LEGEND}")


def main(argv: list[str]) -> int:
    chosen = arguments(argv)
    return exit_code(lambda: measure(chosen))
