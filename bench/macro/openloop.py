"""The load generator of constant rates: openloop.c, built here and run. Its theory of operation stands there.

It is C because the rate is a share of what nginx can do, on what one core leaves beside the backends; and our own because wrk takes
no rate, wrk2 is packaged nowhere, and h2load --rps counts latency from when it sent rather than from when it should have.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from bench.macro.errors import BenchError
from bench.macro.machine import pinned, require

SOURCE = Path(__file__).with_suffix(".c")
DRAIN_SECONDS = 2.0
"""As in the C file."""
CONNECT_SECONDS = 25.0
_PAIR = re.compile(r"(\w+)=([0-9.]+)")


class Waits(NamedTuple):
    """What requests at a constant rate met with. Milliseconds, from the moment at which each was meant to be sent."""

    requests: int
    """Answered with 200."""
    errors: int
    """Broken, answered otherwise, or not at all; they count in the percentiles with what they waited."""
    reopened: int
    """Kept connections that had to be opened again."""
    seconds: float
    p50_ms: float
    p90_ms: float
    p99_ms: float
    p999_ms: float
    max_ms: float
    sent_p99_ms: float
    """How late requests left: the generator's own delay, as long as connections are free."""


class Job(NamedTuple):
    port: int
    connections: int
    rate: float
    """Requests per second."""
    seconds: float
    path: str = "/tiny"
    fresh: bool = False
    """Each request opens its connection, in a full handshake."""


def build(folder: Path) -> Path:
    """The program, compiled into `folder`; BenchError with the compiler's words."""
    program = folder / "openloop"
    compiler = require("cc", "it compiles the load generator of constant rates")
    command = [compiler, "-O2", "-o", str(program), str(SOURCE), "-lssl", "-lcrypto"]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    if made.returncode != 0:
        raise BenchError(f"{SOURCE.name} does not compile (Debian: apt-get install gcc libc6-dev libssl-dev): {made.stderr[-600:]}")
    return program


def parse(output: str) -> Waits:
    for line in output.splitlines():
        if line.startswith("openloop "):
            told = {name: float(value) for name, value in _PAIR.findall(line)}
            in_ms = (told[name] / 1e3 for name in ("p50", "p90", "p99", "p999", "max", "sent_p99"))
            return Waits(int(told["requests"]), int(told["errors"]), int(told["reopened"]), told["seconds"], *in_ms)
    raise BenchError(f"openloop ended without figures; it said: {output.strip()[-400:]!r}")


def run(program: Path, job: Job, core_list: str | None = None, while_loaded: Callable[[], None] = lambda: None) -> Waits:
    """Blocks for the job's seconds and a little more. `while_loaded` begins when all connections stand."""
    words = [str(job.port), str(job.connections), f"{job.rate:.3f}", f"{job.seconds:.3f}", job.path]
    command = pinned([str(program), *words, *(["fresh"] if job.fresh else [])], core_list)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    try:
        said = process.stdout.readline()
        if said == "ready\n":
            while_loaded()
        output, _ = process.communicate(timeout=job.seconds + DRAIN_SECONDS + CONNECT_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise BenchError(f"openloop did not end: {error}") from error
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
    if process.returncode != 0:
        raise BenchError(f"{' '.join(command)} exited with {process.returncode}: {(said + output).strip()[-400:]}")
    return parse(output)
