"""`python -m bench [cases...]`: the side by side. Exit 0 whatever the figures, 1 with the reason when it cannot be measured."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from bench.macro import cases, figures, latency_table, machine, openloop, peers, plot, report, rounds, steps
from bench.macro.errors import BenchError, exit_code
from bench.reload import report as reload_report
from bench.reload.run import Plan as ReloadPlan
from bench.reload.run import Result as ReloadResult
from bench.reload.run import run as run_reloads

ROUNDS, SECONDS = 7, 2
QUICK_ROUNDS, QUICK_SECONDS = 1, 1
QUICK_RELOADS = ReloadPlan(reloads=2, apart=1.0)
RELOADABLE = ("nginx", "haproxy", peers.SUBJECT)
"""Those that bench/reload knows how to reload; revisions of lbproxy too."""


def arguments(argv: list[str]) -> argparse.Namespace:
    told = "\n".join(f"  {name:<14} {tells}" for name, tells in {**{c.name: c.tells for c in cases.LOADS}, **cases.OTHERS}.items())
    usual = ",".join(peers.DEFAULT)
    parser = argparse.ArgumentParser(
        prog="bench",
        description="CPU per request, latency and memory of lbproxy beside nginx and HAProxy, doing the same work.",
        epilog=f"cases:\n{told}\n\nbench reload --help: requests lost during reloads\nbench scale --help: several workers",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("cases", nargs="*", metavar="case", help="default: all")
    parser.add_argument("--rounds", type=int, help=f"default {ROUNDS}; each proxy is measured once a round in each case")
    parser.add_argument("--seconds", type=int, help=f"default {SECONDS}; length of each measurement")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_ROUNDS} round of {QUICK_SECONDS} s: all in about 3 minutes")
    parser.add_argument(
        "--peers",
        help=f"default {usual}, and without --quick {' and '.join(peers.IF_INSTALLED)} if installed;"
        f" also {peers.PURE}, lbproxy@REVISION",
    )
    parser.add_argument("--against", metavar="REVISION", help="short for --peers lbproxy@REVISION,lbproxy")
    parser.add_argument(
        "--pin",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="proxy on the first core, load and backends on the others (default where there are two)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every figure there")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="also draw the figures there, as PNG")
    chosen = parser.parse_args(argv)
    unknown = [name for name in chosen.cases if name not in cases.NAMES]
    if unknown:
        parser.error(f"unknown case {', '.join(unknown)}; there are {', '.join(cases.NAMES)}")
    chosen.cases = chosen.cases or list(cases.NAMES)
    chosen.rounds = (QUICK_ROUNDS if chosen.quick else ROUNDS) if chosen.rounds is None else chosen.rounds
    chosen.seconds = (QUICK_SECONDS if chosen.quick else SECONDS) if chosen.seconds is None else chosen.seconds
    if chosen.rounds < 1 or chosen.seconds < 1:
        parser.error("--rounds and --seconds are at least 1")
    return chosen


def wanted_peers(chosen: argparse.Namespace) -> list[str]:
    """Those that are installed, and a word on stderr about the others; what nobody asked for may be missing in silence."""
    if chosen.against:
        given = [f"{peers.SUBJECT}@{chosen.against}", peers.SUBJECT]
    elif chosen.peers:
        given = chosen.peers.split(",")
    else:
        given = [*peers.DEFAULT, *([] if chosen.quick else peers.IF_INSTALLED)]
    kept = []
    for name in dict.fromkeys(given):
        try:
            peers.require_peer(name)
            kept.append(name)
        except BenchError as error:
            if chosen.peers or name in peers.DEFAULT:
                print(f"without {name}: {error}", file=sys.stderr)
    if not kept:
        raise BenchError("none of the peers is installed")
    return kept


def feasible(wanted: Sequence[str]) -> list[str]:
    """The cases that can be measured here. BenchError when something is missing that more than *latency* needs."""
    machine.require_schedstat()
    machine.require("wrk", "the load generator")
    if any(cases.BY_NAME[name].streams for name in wanted if name in cases.BY_NAME):
        machine.require("h2load", "the load generator for HTTP/2")
    for name in list(wanted):
        if why := steps.missing(name):
            print(f"without {name}: {why}", file=sys.stderr)
            wanted = [other for other in wanted if other != name]
    limit = machine.raise_descriptor_limit()
    if (memory := [name for name in cases.MEMORY if name in wanted]) and limit < 2 * cases.IDLE_CONNECTIONS + 200:
        raise BenchError(f"case {memory[0]} needs ulimit -n of {2 * cases.IDLE_CONNECTIONS + 200}, the hard limit is {limit}")
    if cases.GRPC in wanted and find_spec("grpc") is None:
        print(f"without {cases.GRPC}: grpcio is not installed; pip install grpcio, or the bench extra", file=sys.stderr)
        wanted = [name for name in wanted if name != cases.GRPC]
    if cases.LATENCY in wanted:
        try:
            with tempfile.TemporaryDirectory() as folder:
                openloop.build(Path(folder))
        except BenchError as error:
            print(f"without {cases.LATENCY}: {error}", file=sys.stderr)
            return [name for name in wanted if name != cases.LATENCY]
    return list(wanted)


def describe(names: Sequence[str], cores: machine.Cores) -> dict[str, object]:
    """What it runs on and what runs: the head of the report."""
    return {**machine.facts(cores), **{name: peers.about(name) for name in names}}


def waivers(names: Sequence[str]) -> dict[str, str]:
    """Proxy -> the duties that it does not do, and why."""
    told = {name: "; ".join(f"{duty} ({why})" for duty, why in peers.kind(name).waived.items()) for name in names}
    return {name: text for name, text in told.items() if text}


def measure(chosen: argparse.Namespace) -> None:
    names = wanted_peers(chosen)
    wanted = feasible(chosen.cases)
    subject = peers.SUBJECT if peers.SUBJECT in names else names[-1]
    idle = cases.IDLE_CONNECTIONS_QUICK if chosen.quick else cases.IDLE_CONNECTIONS
    cores = machine.cores(chosen.pin)
    facts = describe(names, cores)

    def say(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    results = rounds.run(rounds.Plan(names, wanted, chosen.rounds, chosen.seconds, idle, cores), say)
    lost, failures = reloads(names, chosen.quick, cores, say) if cases.RELOAD in wanted else ([], [])
    facts["tls"] = "; ".join(f"{name}: {tls}" for name, tls in results.tls.items())
    for name, told in waivers(names).items():
        facts[f"waived for {name}"] = told
    facts["load after"] = machine.load_average()
    facts["stolen by the hypervisor"] = f"{100 * results.steal:.1f} %"
    facts["rounds"] = f"{chosen.rounds} of {chosen.seconds} s, {idle} idle connections"
    rows = figures.rows(results.samples, names, subject)
    waits = latency_table.latency_rows(results.latencies, names)
    for name, fact in facts.items():
        print(f"{name + ':':<26} {fact}")
    if rows:
        print("\n" + report.table(rows, subject))
    if waits:
        print("\nat a constant rate, shares of what each proxy did in tiny:\n" + latency_table.latency_table(waits))
    if lost:
        print(f"\nwhile reloading:\n{reload_report.table(lost, reload_plan(chosen.quick))}")
    if chosen.json:
        everything = {
            "format": 2,
            "facts": facts,
            "versions": {name: peers.about(name) for name in names},
            "commits": {name: hashed for name in names if (hashed := peers.commit(name))},
            "changes_on_top": peers.changed(),
            "subject": subject,
            "rows": rows,
            "samples": results.samples,
            "latency_rows": waits,
            "latency_samples": results.latencies,
            "reload": json.loads(reload_report.as_json({}, lost, reload_plan(chosen.quick))) if lost else None,
        }
        chosen.json.write_text(report.as_json(everything))
    if chosen.plot:
        plot.draw(chosen.plot, rows, waits, subject, f"{peers.about(subject)}; {facts['cpu']}")
    if failures:
        raise BenchError("; ".join(failures))


def reload_plan(quick: bool) -> ReloadPlan:
    return QUICK_RELOADS if quick else ReloadPlan()


def reloads(names: Sequence[str], quick: bool, cores: machine.Cores, say: rounds.Say) -> tuple[list[ReloadResult], list[str]]:
    """Two workers each, on all cores: see bench/reload."""
    chosen = [name for name in names if name.partition("@")[0] in RELOADABLE]
    return run_reloads(chosen, reload_plan(quick), machine.widened(cores, 2), say)


def main(argv: list[str]) -> int:
    chosen = arguments(argv)
    return exit_code(lambda: measure(chosen))
