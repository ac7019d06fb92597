"""`python -m bench faults [options] [faults...]`: what a failing backend costs clients, side by side.

Exit 0 whatever was lost, 1 with the reason when it cannot be measured.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.faults import report
from bench.faults.faults import FAULTS, NAMES, Fault
from bench.faults.run import Plan, run
from bench.macro import machine, peers
from bench.macro.errors import BenchError, exit_code
from bench.reload.publish import publish

QUICK = Plan(calm=0.3, fault=2.5, after=2.5)


def arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="bench faults",
        description="One of three backends fails while 64 clients ask over kept connections, about 300 requests a second, a quarter"
        " of them POST: what is lost, when traffic leaves the backend, when it is back.",
        epilog="\n".join(f"{fault.name:<11} {fault.what}" for fault in FAULTS),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("faults", nargs="*", metavar="FAULT", help="default: all of those below")
    parser.add_argument("--quick", action="store_true", help="half as long")
    parser.add_argument("--peers", default=",".join(peers.DEFAULT), help="default %(default)s; also lbproxy@REVISION")
    parser.add_argument("--pin", action="store_true", help="proxy on the first core, load and backends on the others")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every figure there")
    chosen = parser.parse_args(argv)
    if unknown := set(chosen.faults) - set(NAMES):
        parser.error(f"no such fault: {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    return chosen


def possible(wanted: Sequence[Fault], dnsmasq: bool) -> tuple[list[Fault], str]:
    """Those that can be measured with or without dnsmasq, and a word about the others; "" when there are none."""
    faults = [fault for fault in wanted if dnsmasq or not fault.named]
    left = ", ".join(fault.name for fault in wanted if fault not in faults)
    return faults, f"skipped: {left} (dnsmasq is not installed; on Debian: apt-get install dnsmasq-base)" if left else ""


def measure(chosen: argparse.Namespace) -> None:
    names = list(dict.fromkeys(chosen.peers.split(",")))
    for name in names:
        peers.require_peer(name)
    machine.require("nginx", "two of the backends")
    cores = machine.cores(chosen.pin)
    facts: dict[str, object] = {**machine.facts(cores), **{name: peers.about(name) for name in names}}
    wanted = [fault for fault in FAULTS if not chosen.faults or fault.name in chosen.faults]
    faults, skipped = possible(wanted, machine.installed("dnsmasq"))
    if not faults:
        raise BenchError(skipped)
    plan = QUICK if chosen.quick else Plan()
    results, failures = run(names, faults, plan, cores, lambda line: print(line, file=sys.stderr, flush=True))
    facts["load after"] = machine.load_average()
    text = f"{report.table(results)}\n\n{report.LEGEND}" + (f"\n{skipped}" if skipped else "")
    publish(facts, text, failures, chosen.json, lambda: report.as_json(facts, results, plan))


def main(argv: list[str]) -> int:
    chosen = arguments(argv)
    return exit_code(lambda: measure(chosen))
