"""The attacks, as slowhttptest leads them, and half_open.py the one that it does not know."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

CROWD = 1000
A_SECOND = 300
"""How many of them come in a second."""
LONG = 60
"""Seconds that an attack would last if it were not ended: longer than any measurement."""

HALF_OPEN = "hellos"
SLOWHTTPTEST: dict[str, tuple[str, list[str]]] = {
    "heads": ("/tiny", ["-H", "-i", "1", "-x", "10"]),
    "bodies": ("/upload", ["-B", "-i", "1", "-x", "10", "-s", "8192", "-t", "POST"]),
    "reads": ("/16m", ["-X", "-w", "512", "-y", "1024", "-n", "1", "-z", "64", "-k", "1"]),
}
"""A field a second; a few bytes of a body a second; 16 MiB taken 64 bytes a second."""
ATTACKS = (*SLOWHTTPTEST, HALF_OPEN)


def command(attack: str, port: int) -> list[str]:
    if attack == HALF_OPEN:
        return [sys.executable, "-m", "bench.slow.half_open", str(port)]
    path, options = SLOWHTTPTEST[attack]
    crowd = ["-c", str(CROWD), "-r", str(A_SECOND), "-l", str(LONG), "-p", "5"]
    return ["slowhttptest", *crowd, "-u", f"https://127.0.0.1:{port}{path}", *options]


@contextmanager
def led(attack: str, port: int) -> Iterator[None]:
    """As long as the context lasts."""
    process = subprocess.Popen(command(attack, port), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait()
