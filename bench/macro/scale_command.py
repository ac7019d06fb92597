"""`python -m bench scale [options]`. Exit 0 whatever the figures, 1 with the reason when it cannot be measured."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from bench.macro import cases, machine, peers, report, scale, scale_table
from bench.macro.errors import BenchError, exit_code

ROUNDS, SECONDS, HELD, WORKERS, FRESH_RATE = 5, 3, cases.IDLE_CONNECTIONS, (2, 4, 8), 150.0


def arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="bench scale",
        description="Several workers: CPU per request with one and with two on two cores, how evenly held connections are shared,"
        " and the latency that lbproxy's accept balance costs or saves.",
    )
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="default %(default)s")
    parser.add_argument("--seconds", type=int, default=SECONDS, help="of each measurement, default %(default)s")
    parser.add_argument("--held", type=int, default=HELD, metavar="N", help="connections that are shared, default %(default)s")
    parser.add_argument("--workers", type=int, nargs="+", default=WORKERS, metavar="N", help="that share them, default 2 4 8")
    parser.add_argument(
        "--fresh-rate", type=float, default=FRESH_RATE, metavar="R", help="connections opened a second, default %(default)s"
    )
    parser.add_argument("--peers", default=",".join(peers.DEFAULT), help="whose cost is measured, default %(default)s")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every figure there")
    chosen = parser.parse_args(argv)
    if min(chosen.rounds, chosen.seconds, chosen.held, *chosen.workers) < 1 or chosen.fresh_rate <= 0:
        parser.error("all numbers are at least 1")
    return chosen


def measure(chosen: argparse.Namespace) -> None:
    machine.require_schedstat()
    machine.require("wrk", "the load generator")
    names = list(dict.fromkeys(chosen.peers.split(",")))
    for name in names:
        peers.require_peer(name)
    limit = machine.raise_descriptor_limit()
    if limit < 2 * chosen.held + 200:
        raise BenchError(f"{chosen.held} held connections need ulimit -n of {2 * chosen.held + 200}, the hard limit is {limit}")
    cores = machine.cores(pin=True)
    facts: dict[str, object] = {**machine.facts(machine.widened(cores, 2)), **{name: peers.about(name) for name in names}}
    plan = scale.Plan(names, chosen.rounds, chosen.seconds, chosen.held, chosen.workers, chosen.fresh_rate, cores)
    results = scale.run(plan, lambda line: print(line, file=sys.stderr, flush=True))
    facts["load after"] = machine.load_average()
    facts["rounds"] = f"{chosen.rounds} of {chosen.seconds} s"
    for name, fact in facts.items():
        print(f"{name + ':':<13} {fact}")
    print(f"\none worker and two, tiny:\n{scale_table.cost_table(results.costs)}")
    print(f"\n{chosen.held} held connections:\n{scale_table.balance_table(results.balances)}")
    print(f"\nthe accept balance, two workers:\n{scale_table.accept_table(results.accepts, peers.SUBJECT, peers.GREEDY)}")
    if chosen.json:
        told = {
            "format": 2,
            "facts": facts,
            "commits": {name: hashed for name in names if (hashed := peers.commit(name))},
            "changes_on_top": peers.changed(),
            "costs": results.costs,
            "balances": results.balances,
            "accepts": results.accepts,
        }
        chosen.json.write_text(report.as_json(told))


def main(argv: list[str]) -> int:
    chosen = arguments(argv)
    return exit_code(lambda: measure(chosen))
