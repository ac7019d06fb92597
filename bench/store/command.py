"""`python -m bench store [options]`. Exit 0 whatever the figures, 1 with the reason when it cannot be measured."""

from __future__ import annotations

import argparse
import os
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from bench.macro import procfs
from bench.macro.errors import BenchError, exit_code
from bench.macro.process import free_port
from bench.store import pairs

PAIRS, HANDSHAKES = 10_000, 500
PATIENCE = 120.0
"""Seconds for a start."""


class Figures(NamedTuple):
    """Of one start, with so many pairs."""

    pairs: int
    ready: float
    """Seconds, by the clock."""
    cpu: float
    """Seconds on a CPU until then, of all its processes."""
    master: float
    worker: float
    """MiB, shared pages split among those who have them."""
    one: float
    """Microseconds of a worker's CPU for a full handshake, always for the same name."""
    many: float
    """The same, each for another name."""


def arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench store", description="What many certificates cost: a start, a handshake, memory.")
    parser.add_argument("--pairs", type=int, default=PAIRS, help="default %(default)s; beside one alone")
    parser.add_argument("--handshakes", type=int, default=HANDSHAKES, help="of each kind, default %(default)s")
    chosen = parser.parse_args(argv)
    if min(chosen.pairs, chosen.handshakes) < 1:
        parser.error("all numbers are at least 1")
    return chosen


def config(folder: Path, port: int) -> str:
    """One worker, one listener, and nobody to pass requests on to."""
    return f"""
[proxy]
workers = 1
[log]
access = "off"
format = "json"
[[listen]]
address = "127.0.0.1:{port}"
certificates = "{folder}"
[[route]]
respond = {{ status = 200 }}
"""


@contextmanager
def running(folder: Path, port: int, events: Path) -> Iterator[tuple[int, float]]:
    """(pid of the master, seconds until it was ready)."""
    file = events.with_suffix(".toml")
    file.write_text(config(folder, port))
    begun = time.perf_counter()
    with events.open("wb") as said:
        process = subprocess.Popen([sys.executable, "-m", "lbproxy", "start", "-c", str(file)], stderr=said, start_new_session=True)
    try:
        while '"event": "ready"' not in events.read_text():
            if process.poll() is not None or time.perf_counter() - begun > PATIENCE:
                raise BenchError(f"lbproxy does not start: {events.read_text()[-1000:]}")
            time.sleep(0.01)
        yield process.pid, time.perf_counter() - begun
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE)


def shake(port: int, names: Iterator[str]) -> None:
    """A full handshake for each, one after the other."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    for name in names:
        with socket.create_connection(("127.0.0.1", port)) as plain, context.wrap_socket(plain, server_hostname=name):
            pass


def cpu_of_all(master: int) -> float:
    found = procfs.family(master, procfs.all_processes())
    return sum((procfs.cpu_ns(one.pid) or 0) + one.reaped_ns for one in found) / 1e9


def worker_of(master: int) -> int:
    for one in procfs.family(master, procfs.all_processes()):
        if (procfs.PROC / str(one.pid) / "cmdline").read_bytes().startswith(b"lbproxy: worker"):
            return one.pid
    raise BenchError("there is no worker")


def mebibytes(pid: int) -> float:
    return procfs.parse_pss((procfs.PROC / str(pid) / "smaps_rollup").read_text()) / 2**20


def measure(count: int, handshakes: int) -> Figures:
    """In a folder of its own."""
    with tempfile.TemporaryDirectory() as place:
        folder, port = Path(place) / "certs", free_port()
        folder.mkdir()
        pairs.make(folder, count)
        with running(folder, port, Path(place) / "events") as (master, ready):
            cpu, worker = cpu_of_all(master), worker_of(master)
            costs = []
            for some in (1, count):
                shake(port, (pairs.name_of(number % some) for number in range(min(100, handshakes))))
                before = procfs.cpu_ns(worker) or 0
                shake(port, (pairs.name_of((100 + number) % some) for number in range(handshakes)))
                costs.append(((procfs.cpu_ns(worker) or 0) - before) / handshakes / 1000)
            return Figures(count, ready, cpu, mebibytes(master), mebibytes(worker), *costs)


def table(figures: list[Figures]) -> str:
    """A line for each."""
    lines = ["| pairs | ready, s | CPU, s | master, MiB | worker, MiB | handshake, us | for another name each, us |"]
    lines.append("|---|---|---|---|---|---|---|")
    for one in figures:
        seconds = f"{one.ready:.2f} | {one.cpu:.2f}"
        lines.append(f"| {one.pairs} | {seconds} | {one.master:.0f} | {one.worker:.0f} | {one.one:.0f} | {one.many:.0f} |")
    return "\n".join(lines)


def main(argv: list[str]) -> int:
    chosen = arguments(argv)
    if os.geteuid() != 0:
        print("bench: memory of others' processes is root's to see: what is told of it may be nothing", file=sys.stderr)
    return exit_code(lambda: print(table([measure(count, chosen.handshakes) for count in (1, chosen.pairs)])))
