"""The load generator: wrk (https://github.com/wg/wrk), one thread, closed loop."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from bench.macro.cases import UPLOAD_BYTES, Case
from bench.macro.errors import BenchError

SCRIPT = Path(__file__).with_name("load.lua")
_PAIR = re.compile(r"(\w+)=(\d+)")
_ERRORS = ("connect", "read", "write", "status", "timeout")


class Load(NamedTuple):
    """What wrk or h2load saw. wrk's percentiles are corrected for its own coordinated omission. In milliseconds."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    bytes: int
    """Read after TLS, of unfinished answers too."""
    errors: int
    """Connections that failed, answers outside 2xx and 3xx, answers later than 2 s."""


def parse(output: str) -> Load:
    """Reads the line that load.lua ends with."""
    for line in output.splitlines():
        if line.startswith("figures "):
            figures = {name: int(value) for name, value in _PAIR.findall(line)}
            return Load(
                requests=figures["requests"],
                seconds=figures["microseconds"] / 1e6,
                p50_ms=figures["p50"] / 1e3,
                p99_ms=figures["p99"] / 1e3,
                bytes=figures["bytes"],
                errors=sum(figures[name] for name in _ERRORS),
            )
    raise BenchError(f"wrk ended without figures; it said: {output.strip()[-400:]!r}")


def command(case: Case, https_port: int, http_port: int, seconds: int) -> list[str]:
    """The proxies listen on 127.0.0.1."""
    origin = f"https://127.0.0.1:{https_port}" if case.tls else f"http://127.0.0.1:{http_port}"
    wrk = ["wrk", "-t1", f"-c{case.connections}", f"-d{seconds}s", "--latency", "-s", str(SCRIPT), origin + case.path]
    return [*wrk, "--", case.script, str(UPLOAD_BYTES)]
