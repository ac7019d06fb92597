"""`python -m bench reload [options]`: lost requests side by side.

Exit 0 whatever was lost, 1 with the reason when it cannot be measured.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from bench.macro import machine, peers
from bench.macro.errors import exit_code
from bench.reload import report
from bench.reload.publish import publish
from bench.reload.run import Plan, run

DEFAULT_PEERS = "nginx,haproxy,lbproxy"


def arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="bench reload",
        description="Requests that clients lose while a proxy reloads: 8 busy and 24 mostly idle kept connections, 2 clients with a"
        " connection for each request, 2 slow downloads of 16 MiB, 4 clients of HTTP/2; nobody tries anything twice.",
    )
    parser.add_argument("--reloads", type=int, default=Plan.reloads, help="default %(default)s")
    parser.add_argument("--apart", type=float, default=Plan.apart, metavar="S", help="seconds between two, default %(default)s")
    parser.add_argument(
        "--wire",
        type=float,
        default=Plan.wire,
        metavar="S",
        help="seconds on the way for requests of idle clients, after their last look at the connection; default 0: loopback",
    )
    parser.add_argument("--uploads", type=int, default=Plan.uploads, help="clients that POST 100 KiB, default %(default)s")
    parser.add_argument(
        "--h2", type=int, default=Plan.h2, metavar="N", help="clients of HTTP/2, 4 requests at once each, default %(default)s"
    )
    parser.add_argument("--peers", default=DEFAULT_PEERS, help=f"default {DEFAULT_PEERS}; also lbproxy@REVISION")
    parser.add_argument("--pin", action="store_true", help="proxy on the first core, load and backends on the others")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every figure there")
    chosen = parser.parse_args(argv)
    if chosen.reloads < 1 or chosen.apart <= 0 or chosen.wire < 0 or min(chosen.uploads, chosen.h2) < 0:
        parser.error("--reloads is at least 1, --apart above 0, --wire, --uploads and --h2 not below 0")
    return chosen


def measure(chosen: argparse.Namespace) -> None:
    names = list(dict.fromkeys(chosen.peers.split(",")))
    for name in names:
        if name in ("nginx", "haproxy"):
            machine.require(name, "a peer")
    cores = machine.cores(chosen.pin)
    facts: dict[str, object] = {**machine.facts(cores), **{name: peers.about(name) for name in names}}
    plan = Plan(chosen.reloads, chosen.apart, chosen.wire, chosen.uploads, chosen.h2)
    results, failures = run(names, plan, cores, lambda line: print(line, file=sys.stderr, flush=True))
    facts["load after"] = machine.load_average()
    text = f"{report.table(results, plan)}\n\n{report.LEGEND}"
    publish(facts, text, failures, chosen.json, lambda: report.as_json(facts, results, plan))


def main(argv: list[str]) -> int:
    chosen = arguments(argv)
    return exit_code(lambda: measure(chosen))
