"""`python -m bench micro [pieces...]`: what the pieces of a request's work take, measured by pyperf.

pyperf runs every piece in several processes, calibrates how often, leaves out the first values; its results become a table here.
Figures of a machine that others use are worth little: compare by `--pure` or with another checkout on the same machine and hour, or
count instructions (instructions.py).
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from bench.macro.errors import BenchError
from lbproxy import compiled

RUNNER = "bench.micro.runner"
LIMITS = {3: 2.0, 100: 20.0}
"""Microseconds that a pick may take, by the number of backends."""


def main(argv: list[str]) -> int:
    """The table; 1 and the reason when it cannot be made."""
    parser = argparse.ArgumentParser(prog="bench micro", description="Microseconds that the pieces of a request's work take.")
    parser.add_argument("pieces", nargs="*", metavar="piece", help="parts of names, e.g. pick; default: all")
    parser.add_argument("--quick", action="store_true", help="fewer processes and values")
    parser.add_argument("--pure", action="store_true", help="plain Python, whether or not the hot modules are compiled")
    chosen = parser.parse_args(argv)
    if chosen.pure:
        os.environ[compiled.SWITCH] = "1"
    try:
        times = measure(chosen.pieces, quick=chosen.quick)
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    print(f"lbproxy is {compiled.describe()}")
    print("\n".join(table(times)))
    return 0


def measure(wanted: list[str], *, quick: bool) -> dict[str, tuple[float, float]]:
    """(median, standard deviation) in seconds by piece, in the order in which they were measured."""
    try:
        import pyperf
    except ImportError as error:
        raise BenchError("wanted pyperf, to measure with: pip install -e '.[bench]'") from error
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder) / "results.json"
        command = [sys.executable, "-m", RUNNER, "--quiet", "--copy-env", "-o", str(results), *(["--fast"] if quick else [])]
        done = subprocess.run([*command, *(f"--piece={part}" for part in wanted)], check=False)
        if done.returncode or not results.exists():
            raise BenchError(f"{RUNNER} ended with {done.returncode}")
        suite = pyperf.BenchmarkSuite.load(str(results))
        return {one.get_name(): (one.median(), one.stdev() if one.get_nvalue() > 1 else 0.0) for one in suite.get_benchmarks()}


def table(times: Mapping[str, tuple[float, float]]) -> list[str]:
    """In Markdown, microseconds."""
    lines = ["| piece | us | spread | at most |", "|---|---:|---:|---:|"]
    for name, (median, spread) in times.items():
        limit = LIMITS.get(int(name.rpartition(", ")[2])) if name.startswith("pick ") else None
        told = "" if limit is None else f"{limit:g}"
        lines.append(f"| {name} | {median * 1e6:.2f} | {spread * 1e6:.2f} | {told} |")
    return lines
