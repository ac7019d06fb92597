"""How many instructions a request costs the worker, counted by valgrind: `python -m bench.micro.instructions`.

CPU time on a machine that others use differs by a fifth from run to run; instructions in user space differ by half a percent, so a
change of one percent can be told. They are not time: a system call counts only until it enters the kernel, and a cache miss counts
nothing. What they steer is settled by `scripts/bench`.

The whole proxy runs under callgrind, from its start, but is only counted while one client sends its requests: over TLS, on
CONNECTIONS kept connections, all of which ask before the first reads its answer, so that the worker finds work for every turn of
its loop.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from bench.macro import certificate, machine, peers, procfs
from bench.macro.backends import Backends
from bench.macro.errors import BenchError
from bench.macro.process import Program, free_port
from bench.macro.site import Recipe
from bench.micro import unhurried
from bench.micro.plays import OVER_HTTP2, PLAYS, STORING, Play
from bench.taps import states
from lbproxy import compiled

CONNECTIONS = 16
WARM_UP = 20
"""Rounds before counting: caches fill, Python's own and ours."""

_BROWSER = b"".join(
    b"%b: %b\r\n" % field
    for field in (
        (b"Connection", b"keep-alive"),
        (b"sec-ch-ua", b'"Chromium";v="126", "Not.A/Brand";v="24"'),
        (b"sec-ch-ua-mobile", b"?0"),
        (b"sec-ch-ua-platform", b'"Linux"'),
        (b"Upgrade-Insecure-Requests", b"1"),
        (b"User-Agent", b"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36"),
        (b"Accept", b"text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8"),
        (b"Sec-Fetch-Site", b"same-origin"),
        (b"Sec-Fetch-Mode", b"navigate"),
        (b"Accept-Encoding", b"gzip, deflate, br, zstd"),
        (b"Accept-Language", b"en-GB,en;q=0.9,de;q=0.8"),
        (b"Cookie", b"session=0123456789abcdef0123456789abcdef; theme=dark; consent=" + b"x" * 300),
    )
)
CASES: dict[str, Callable[[int], bytes]] = {
    "tiny": lambda _: b"GET /tiny HTTP/1.1\r\nHost: bench.test\r\n\r\n",
    "browser": lambda _: b"GET /tiny HTTP/1.1\r\nHost: bench.test\r\n" + _BROWSER + b"\r\n",
    "other-path": lambda nth: b"GET /tiny?%d HTTP/1.1\r\nHost: bench.test\r\n" % nth + _BROWSER + b"\r\n",
    "other-fields": lambda nth: b"GET /tiny HTTP/1.1\r\nHost: bench.test\r\nX-Request-Id: %d\r\n" % nth + _BROWSER + b"\r\n",
    "tap-none": lambda _: b"GET /step/none HTTP/1.1\r\nHost: bench.test\r\n" + _BROWSER + b"\r\n",
    "tap": lambda _: b"GET /step/unopened HTTP/1.1\r\nHost: bench.test\r\n" + _BROWSER + b"\r\n",
}
"""What the nth request is. *other-path* and *other-fields* defeat what is remembered from a client's request to its next."""
TAPPED = ("tap-none", "tap")
"""Those of a proxy with a tap, of which the second is told to it."""
DEFAULT = tuple(name for name in CASES if name not in TAPPED)


class Worker(NamedTuple):
    """A proxy that serves under callgrind."""

    pid: int
    port: int
    connections: list[ssl.SSLSocket]
    folder: Path

    def tell(self, *words: str) -> None:
        """A command to valgrind's own server in the worker."""
        told = subprocess.run(["vgdb", f"--pid={self.pid}", *words], capture_output=True, text=True, check=False)
        if told.returncode:
            raise BenchError(f"vgdb {' '.join(words)}: {told.stderr.strip() or told.stdout.strip()}")


@contextmanager
def started(
    folder: Path, subject: str = peers.SUBJECT, *, http2: bool = False, cache: bool = False, tapped: bool = False
) -> Iterator[Worker]:
    """The proxy of the macro benchmarks, with one worker, under callgrind; `subject`: lbproxy, or lbproxy@REVISION; `http2`: that
    is what its backends speak; `cache`: it has one; `tapped`: it has a tap that nobody reads."""
    folder.mkdir(exist_ok=True)
    for name in ("backends", "proxy"):
        (folder / name).mkdir()
    backends = Backends(folder / "backends", machine.Cores(), grpc=http2)
    try:
        ports = backends.http2_ports if http2 else backends.ports
        site = peers.Site(
            folder / "proxy", free_port(), free_port(), ports, certificate.make(folder), folder / "proxy/access.log",
            backend_http2=http2, cache=cache,
        )  # fmt: skip
        recipe = _unhurried(peers.maker(subject, folder)(site))
        if tapped:
            file, routes = Path(recipe.command[-1]), dict.fromkeys(("none", "unopened"), 0)
            file.write_text(states.config(file.read_text(), site.folder, routes, free_port()))
        if os.geteuid() == 0:  # the worker writes where callgrind says and talks to vgdb: it has to stay who it is
            config = Path(recipe.command[-1])
            config.write_text(config.read_text().replace("[proxy]", '[proxy]\nuser = "root"'))
        valgrind = [
            machine.require("valgrind", "it counts"),
            "--tool=callgrind",
            "--instr-atstart=no",
            "--trace-children=yes",  # or a forked child cannot be spoken to
            "--separate-threads=yes",  # a file for each thread: see count
            f"--callgrind-out-file={folder}/callgrind.%p",
        ]
        env = {**recipe.env, "PYTHONHASHSEED": "0"}
        command = [*valgrind, *recipe.command]
        program = Program("lbproxy", command, stdout=folder / "stdout", stderr=folder / "stderr", env=env, cwd=recipe.cwd)
        try:
            program.wait_until(lambda: _answers(site.https), 120.0)
            connections = [connect(site.https) for _ in range(CONNECTIONS)]
            yield Worker(_worker(program.pid), site.https, connections, folder)
            for connection in connections:
                connection.close()
        finally:
            program.stop()
    finally:
        backends.stop()


def _unhurried(recipe: Recipe) -> Recipe:
    python, option, module, *rest = recipe.command
    assert (option, module) == ("-m", "lbproxy"), recipe.command
    return recipe._replace(command=[python, str(Path(unhurried.__file__).resolve()), *rest])


def connect(port: int) -> ssl.SSLSocket:
    """Without verification: that is not what is counted."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(socket.create_connection(("127.0.0.1", port), timeout=60), server_hostname="bench.test")


def _answers(port: int) -> bool:
    with connect(port) as tls:
        tls.sendall(CASES["tiny"](0))
        return tls.recv(65536).startswith(b"HTTP/1.1 200 ")


def _worker(master: int) -> int:
    """The one of the proxy's processes that has the connections."""
    children = [process.pid for process in procfs.family(master, procfs.all_processes()) if process.pid != master]
    if not children:
        raise BenchError("the proxy has no children")
    return max(children, key=_sockets)


def _sockets(pid: int) -> int:
    try:
        return sum("socket" in os.readlink(link) for link in (procfs.PROC / str(pid) / "fd").iterdir())
    except OSError:
        return 0


def small_requests(worker: Worker, request: Callable[[int], bytes]) -> Play:
    """A round of them: all connections ask before the first reads its answer."""
    nth = 0

    def play() -> None:
        nonlocal nth
        for connection in worker.connections:
            nth += 1
            connection.sendall(request(nth))
        for connection in worker.connections:
            answer = connection.recv(65536)
            if not answer.startswith(b"HTTP/1.1 200 "):
                raise BenchError(f"wanted 200, got {answer[:100]!r}")

    return play


def count(worker: Worker, play: Play, rounds: int) -> Path:
    """Count `rounds` of a play; callgrind's file of the thread that serves.

    The access log's thread wakes by the clock, and is left out for the same reason as `timers`: under valgrind there are six lines
    for it at a time, on a busy machine hundreds.
    """
    before = set(worker.folder.glob("callgrind.*"))
    for _ in range(WARM_UP):
        play()
    worker.tell("instrumentation", "on")
    for _ in range(3):
        play()
    worker.tell("zero")
    for _ in range(rounds):
        play()
    worker.tell("dump")
    worker.tell("instrumentation", "off")
    made = [path for path in worker.folder.glob("callgrind.*-01") if path not in before]
    return max(made, key=lambda path: path.stat().st_mtime_ns)


def total(path: Path) -> int:
    """All instructions in a file of callgrind's."""
    found = re.search(r"^(?:totals|summary): (\d+)", path.read_text(), re.M)
    if found is None:
        raise BenchError(f"{path} has no totals")
    return int(found[1])


def annotated(path: Path, *, inclusive: bool = False) -> str:
    """callgrind_annotate's table of functions."""
    command = ["callgrind_annotate", "--threshold=100", f"--inclusive={'yes' if inclusive else 'no'}", str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def timers(table: str) -> int:
    """What runs by the clock (heartbeats, flushes, sweeps), from an inclusive table.

    It is left out: under valgrind requests are slow, and each would carry twenty times its share of it.
    """
    return _most(table, r"gevent_callback_timer\b")


def _most(table: str, function: str) -> int:
    """The instructions of the line with the most of them among those of a function."""
    found = re.findall(rf"^\s*([\d,]+) \(.*:{function}", table, re.M)
    return max((int(number.replace(",", "")) for number in found), default=0)


def by_library(table: str) -> Counter[str]:
    """Instructions by the library they stand in, as far as callgrind_annotate can tell, timers included."""
    found: Counter[str] = Counter()
    for line in table.splitlines():
        if match := re.match(r"\s*([\d,]+) \(.*\[(.*)\]\s*$", line):
            found[match[2].rpartition("/")[2].removesuffix(compiled.SUFFIX)] += int(match[1].replace(",", ""))
    return found


def by_function(table: str, most: int) -> list[tuple[int, str]]:
    """The `most` functions that have the most instructions themselves, timers included; largest first."""
    found = re.findall(r"^\s*([\d,]+) \(.*?\)\s+[^\s:]*:(\S.*) \[(?:.*/)?(.*)\]\s*$", table, re.M)
    return [(int(number.replace(",", "")), f"{name} [{library}]") for number, name, library in found[:most]]


def main(argv: list[str]) -> int:
    """The table; 1 and the reason when it cannot be made."""
    parser = argparse.ArgumentParser(prog="bench.micro.instructions", description="Instructions a request, in user space.")
    others = ", ".join((*TAPPED, *PLAYS))
    parser.add_argument("cases", nargs="*", metavar="case", help=f"default: {', '.join(DEFAULT)}; also: {others}")
    parser.add_argument("--rounds", type=int, default=40, help=f"default 40, of {CONNECTIONS} requests each")
    parser.add_argument("--against", metavar="REVISION", help="count that one first, and tell the difference")
    parser.add_argument("--libraries", action="store_true", help="also tell in which library they are")
    parser.add_argument("--functions", type=int, default=0, metavar="N", help="also tell the N functions with the most")
    chosen = parser.parse_args(argv)
    if unknown := set(chosen.cases) - {*CASES, *PLAYS}:
        parser.error(f"unknown case {', '.join(unknown)}; there are {', '.join((*CASES, *PLAYS))}")
    print(f"lbproxy is {compiled.describe()}")
    names = chosen.cases or list(DEFAULT)
    with tempfile.TemporaryDirectory() as folder:
        for setup in dict.fromkeys(map(_setup, names)):
            alike = [name for name in names if _setup(name) == setup]
            _count(alike, chosen, Path(folder) / "-".join(map(str, setup)), *setup)
    return 0


def _setup(name: str) -> tuple[bool, bool, bool]:
    """Of the proxy and its backends: whether these speak HTTP/2, and whether it has a cache, and a tap."""
    return name in OVER_HTTP2, name in STORING, name in TAPPED


def _count(names: list[str], chosen: argparse.Namespace, folder: Path, http2: bool, cache: bool, tapped: bool) -> None:
    """Lines of the table, of cases whose setups are the same; the revision to compare with first."""
    folder.mkdir()
    before: dict[str, float] = {}
    if chosen.against:
        with started(folder / "before", f"{peers.SUBJECT}@{chosen.against}", http2=http2, cache=cache, tapped=tapped) as worker:
            before = {name: per_request(name, measure(worker, name, chosen.rounds), chosen.rounds) for name in names}
    with started(folder / "now", http2=http2, cache=cache, tapped=tapped) as worker:
        for name in names:
            made = measure(worker, name, chosen.rounds)
            print(line(name, per_request(name, made, chosen.rounds), before.get(name)), flush=True)
            requests = played(name, chosen.rounds)
            if chosen.libraries:
                for library, instructions in by_library(annotated(made)).most_common(25):
                    print(f"    {instructions / requests:>10,.0f}  {library}")
            for instructions, function in by_function(annotated(made), chosen.functions):
                print(f"    {instructions / requests:>10,.0f}  {function}")


def measure(worker: Worker, name: str, rounds: int) -> Path:
    """callgrind's file of so many rounds of a case."""
    play = small_requests(worker, CASES[name]) if name in CASES else PLAYS[name](worker.port, CONNECTIONS)
    return count(worker, play, rounds)


def played(name: str, rounds: int) -> int:
    """Requests in so many rounds of a case."""
    return rounds * (1 if name == "16m" else CONNECTIONS)


def per_request(name: str, made: Path, rounds: int) -> float:
    """Instructions a request in a file of callgrind's, timers left out."""
    return (total(made) - timers(annotated(made, inclusive=True))) / played(name, rounds)


def line(name: str, now: float, before: float | None) -> str:
    """Of the table."""
    told = f"{name:<14}{now:>10,.0f}"
    return told if before is None else f"{told}   before {before:>10,.0f}   {now / before - 1:+.1%}"


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # through the finally clauses that stop the proxy
    try:
        sys.exit(main(sys.argv[1:]))
    except BenchError as error:
        sys.exit(f"bench: {error}")
