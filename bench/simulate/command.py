"""`python -m bench simulate [options]`: waiting under each policy, in simulated time; the same figures on every machine."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from bench.macro import report
from bench.macro.errors import BenchError, exit_code
from bench.simulate import plot, table, world

SIZES, WORKERS, MOST_BACKENDS = (10, 100, 1000), (4, 16, 64), 1024


def arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="bench simulate",
        description="How long requests wait under each balancing policy, in mean service times, before backends that are busy"
        f" {world.LOAD:.0%} of the time. (A thousand backends take minutes.)",
    )
    parser.add_argument("--backends", type=int, nargs="+", default=SIZES, metavar="N", help="default 10 100 1000")
    parser.add_argument("--workers", type=int, nargs="+", default=WORKERS, metavar="N", help="default 4 16 64")
    parser.add_argument("--requests", type=int, default=0, help="for each figure; default: by the number of backends")
    parser.add_argument("--seed", type=int, default=1, help="default %(default)s")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every figure there")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="also draw them (PNG)")
    chosen = parser.parse_args(argv)
    if min(*chosen.backends, *chosen.workers) < 1 or max(chosen.backends) > MOST_BACKENDS or chosen.requests < 0:
        parser.error(f"backends are 1 to {MOST_BACKENDS}, workers at least 1")
    return chosen


def measure(chosen: argparse.Namespace) -> None:
    rows = []
    for backends in chosen.backends:
        for policy in (*world.TOGETHER, *world.EACH):
            for workers in chosen.workers[:1] if policy.shared else chosen.workers:
                print(f"{policy.name}, {backends} backends" + ("" if policy.shared else f", {workers} workers"), file=sys.stderr)
                rows.append(world.simulate(policy, backends, workers, chosen.seed, chosen.requests))
    print(table.table(rows))
    if chosen.json:
        chosen.json.write_text(report.as_json({"load": world.LOAD, "seed": chosen.seed, "rows": [row._asdict() for row in rows]}))
    if chosen.plot:
        if not chosen.plot.parent.is_dir():
            raise BenchError(f"no such folder: {chosen.plot.parent}")
        plot.draw(chosen.plot, rows, f"backends busy {world.LOAD:.0%} of the time, uneven service times")


def main(argv: list[str]) -> int:
    chosen = arguments(argv)
    return exit_code(lambda: measure(chosen))
