"""Readers of taps in every state they can be in: a route and a tap for each, and how the state is brought about.

All stand in one proxy, whose load goes to one of them at a time: what is not asked costs nothing beside the others.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from bench.macro import machine, procfs
from bench.macro.errors import BenchError
from bench.macro.steps import PREFIX

NONE = "none"
ROOM = "512KiB"
"""What waits, for a worker and for a reader: little, so that sleep is soon told."""
DISK = "64k"
PATIENCE = 3.0
READ = "import socket, sys; s = socket.create_connection(('127.0.0.1', int(sys.argv[1])))\nwhile s.recv(1 << 20): pass"
_ROUTE = """\
[[route]]
path = "{path}"
pool = "pool"
{tap}
"""
LARGE = "large/"
"""Behind PREFIX: answers of 100 KiB (backends.py)."""
_METRICS = """\
[metrics]
address = "127.0.0.1:{port}"
"""


class State(NamedTuple):
    """One of them."""

    told: str
    tap: str
    """Lines of its tap; "": there is none."""
    counted: str
    """The metric that grows by each request, or nearly each, when things are as they are to be; "": none does."""
    halted: bool = False
    """The process that sends conversations on is stopped meanwhile."""


def _sent(sink: str, tap: str, outcome: str) -> str:
    return f'lbproxy_tap_conversations_total{{tap="{tap}",sink="{sink}",outcome="{outcome}"}}'


def _told(outcome: str) -> str:
    return f'lbproxy_inspected_requests_total{{step="tap",outcome="{outcome}"}}'


STATES = {
    NONE: State("no tap on the route", "", ""),
    "live": State("a program reads all of it, over TCP", 'listen = "127.0.0.1:{port}"', _sent("listen", "live", "passed")),
    "asleep": State("one has connected and reads nothing", 'listen = "127.0.0.1:{port}"', _sent("listen", "asleep", "dropped")),
    "died": State("one has read, and was killed", 'listen = "127.0.0.1:{port}"', _sent("listen", "died", "unread")),
    "unopened": State("a pipe that nobody opens", 'fifo = "{folder}/unopened.fifo"', _sent("fifo", "unopened", "unread")),
    "files": State("capture files on a disk with room", 'folder = "{folder}/files"', _told("taken")),
    "full": State("capture files on a disk that is full", 'folder = "{folder}/full"', _told("lost")),
    "halted": State("the process that sends it on is stopped", 'listen = "127.0.0.1:{port}"', _told("dropped"), halted=True),
}


def without_disk() -> bool:
    """Whether a full disk cannot be had: it is a file system of its own."""
    return os.geteuid() != 0


def config(text: str, folder: Path, ports: dict[str, int], metrics: int) -> str:
    """`text`: a configuration without taps, to which they are added."""
    routes, taps = "", ""
    for name, port in ports.items():
        state = STATES[name]
        for path in (PREFIX + name, PREFIX + LARGE + name):
            routes += _ROUTE.format(path=path, tap=f'tap = "{name}"' if state.tap else "")
        if state.tap:
            taps += f'[tap.{name}]\nqueue = "{ROOM}"\nreader_queue = "{ROOM}"\n{state.tap.format(port=port, folder=folder)}\n'
    first, route, rest = text.partition("[[route]]")
    return first + routes + route + rest + taps + _METRICS.format(port=metrics)


@contextmanager
def folders(folder: Path) -> Iterator[None]:
    """For capture files, of which one is on a disk that takes nearly nothing."""
    for name in ("files", "full"):
        (folder / name).mkdir()
    if without_disk():
        yield
        return
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK},mode=0700", "tmpfs", str(folder / "full")], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder / "full")], check=True)


@contextmanager
def readers(ports: dict[str, int], metrics: int, core_list: str | None) -> Iterator[None]:
    """Awake, asleep, and dead. When it begins they are what they are to be."""
    with ExitStack() as living:
        for name in ports:
            read = f'lbproxy_tap_readers{{tap="{name}",sink="listen"}}'

            def there(read: str = read) -> bool:
                return figure(metrics, read) > 0

            if name == "asleep":
                sock = socket.socket()
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                living.callback(sock.close)
                sock.connect(("127.0.0.1", ports[name]))
                until(there, f"{name}: nobody has connected")
            elif name in ("live", "died"):
                command = machine.pinned([sys.executable, "-c", READ, str(ports[name])], core_list)
                reader = subprocess.Popen(command)
                living.callback(_end, reader)
                until(there, f"{name}: nobody has connected")
                if name == "died":
                    _end(reader)
        yield


def _end(reader: subprocess.Popen[bytes]) -> None:
    reader.kill()
    reader.wait()


def until(met: Callable[[], bool], what: str) -> None:
    """Wait for it. Raises BenchError with `what` is wrong."""
    end = time.monotonic() + PATIENCE
    while not met():
        if time.monotonic() > end:
            raise BenchError(what)
        time.sleep(0.05)


def process_for_taps(master: int) -> int:
    """Its process id, when it has begun."""
    found: list[int] = []

    def look() -> bool:
        members = [one.pid for one in procfs.family(master, procfs.all_processes())]
        found[:] = [pid for pid in members if (procfs.PROC / str(pid) / "cmdline").read_bytes().startswith(b"lbproxy: tap")]
        return bool(found)

    until(look, "there is no process for taps")
    return found[0]


@contextmanager
def halted(pid: int) -> Iterator[None]:
    """A process, while it lasts."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def figure(port: int, name: str) -> float:
    """Of the metric with that name and those labels, now."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=PATIENCE) as answer:
        lines = answer.read().decode().splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.rpartition(" ")[0] == name)
