"""`python -m bench [cases...]`: the table; `python -m bench reload`: what reloads cost.

Exit 0 whatever the figures, 1 with the reason when the harness cannot measure.
"""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path
from types import FrameType

from bench.macro import cases, figures, machine, peers, report, rounds
from bench.macro.errors import BenchError
from bench.reload import command as reload

DEFAULT_PEERS = "nginx,haproxy,lbproxy"
QUICK_ROUNDS, QUICK_SECONDS = 2, 1


def arguments(argv: list[str]) -> argparse.Namespace:
    told = "\n".join(f"  {case.name:<11} {case.tells}" for case in cases.LOADS)
    parser = argparse.ArgumentParser(
        prog="bench",
        description="CPU per request and memory of lbproxy beside nginx and HAProxy, doing the same work.",
        epilog=f"cases:\n{told}\n  {cases.IDLE:<11} {cases.IDLE_TELLS}\n\nbench reload --help: requests lost during reloads",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("cases", nargs="*", metavar="case", help="default: all")
    parser.add_argument("--rounds", type=int, help="default 7; each proxy is measured once a round in each case")
    parser.add_argument("--seconds", type=int, help="default 2; length of each measurement")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_ROUNDS} rounds of {QUICK_SECONDS} s, in under 2 minutes")
    parser.add_argument("--peers", default=DEFAULT_PEERS, help=f"default {DEFAULT_PEERS}; also lbproxy-pure, lbproxy@REVISION")
    parser.add_argument("--against", metavar="REVISION", help="short for --peers lbproxy@REVISION,lbproxy")
    parser.add_argument(
        "--pin",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="proxy on the first core, load and backends on the others (default where there are two)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every figure there")
    chosen = parser.parse_args(argv)
    unknown = [name for name in chosen.cases if name not in cases.NAMES]
    if unknown:
        parser.error(f"unknown case {', '.join(unknown)}; there are {', '.join(cases.NAMES)}")
    chosen.rounds = chosen.rounds or (QUICK_ROUNDS if chosen.quick else 7)
    chosen.seconds = chosen.seconds or (QUICK_SECONDS if chosen.quick else 2)
    if chosen.rounds < 1 or chosen.seconds < 1:
        parser.error("--rounds and --seconds are at least 1")
    return chosen


def installed(names: list[str]) -> list[str]:
    """nginx and HAProxy may be missing as peers; then the table goes without, and says so."""
    kept = []
    for name in names:
        try:
            if name in ("nginx", "haproxy"):
                machine.require(name, "a peer")
            kept.append(name)
        except BenchError as error:
            print(f"without {name}: {error}", file=sys.stderr)
    return kept


def measure(chosen: argparse.Namespace) -> None:
    machine.require_schedstat()
    machine.require("wrk", "the load generator")
    limit = machine.raise_descriptor_limit()
    wanted = chosen.cases or list(cases.NAMES)
    if cases.IDLE in wanted and limit < 2 * cases.IDLE_CONNECTIONS + 200:
        raise BenchError(f"case {cases.IDLE} needs ulimit -n of {2 * cases.IDLE_CONNECTIONS + 200}, the hard limit is {limit}")
    given = f"lbproxy@{chosen.against},lbproxy" if chosen.against else chosen.peers
    names = installed(list(dict.fromkeys(given.split(","))))
    if not names:
        raise BenchError("none of the peers is installed")
    subject = peers.SUBJECT if peers.SUBJECT in names else names[-1]
    idle = cases.IDLE_CONNECTIONS_QUICK if chosen.quick else cases.IDLE_CONNECTIONS
    cores = machine.cores(chosen.pin)
    facts: dict[str, object] = {**machine.facts(cores), **{name: peers.about(name) for name in names}}
    results = rounds.run(
        names, wanted, chosen.rounds, chosen.seconds, idle, cores, lambda line: print(line, file=sys.stderr, flush=True)
    )
    facts["tls"] = "; ".join(f"{name}: {tls}" for name, tls in results.tls.items())
    facts["load after"] = machine.load_average()
    facts["stolen by the hypervisor"] = f"{100 * results.steal:.1f} %"
    facts["rounds"] = f"{chosen.rounds} of {chosen.seconds} s, {idle} idle connections"
    rows = figures.rows(results.samples, names, subject)
    for name, fact in facts.items():
        print(f"{name + ':':<26} {fact}")
    print("\n" + report.table(rows, subject))
    if chosen.json:
        chosen.json.write_text(report.as_json(facts, rows, results.samples))


def main(argv: list[str]) -> int:
    def end(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)  # through the finally clauses that stop the proxies

    signal.signal(signal.SIGTERM, end)
    if argv[:1] == ["reload"]:
        return reload.main(argv[1:])
    chosen = arguments(argv)
    try:
        measure(chosen)
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
