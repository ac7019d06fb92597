"""The load generator for HTTP/2: h2load (https://nghttp2.org), one thread, closed loop."""

from __future__ import annotations

import re
from pathlib import Path
from statistics import quantiles

from bench.macro.cases import GRPC, GRPC_FIELDS, GRPC_MESSAGE, UPLOAD_BYTES, Case
from bench.macro.duties import CIPHER
from bench.macro.errors import BenchError
from bench.macro.wrk import Load

_FINISHED = re.compile(r"^finished in (?P<number>[0-9.]+)(?P<unit>us|ms|s), ", re.M)
_REQUESTS = re.compile(r"^requests: .* (?P<succeeded>\d+) succeeded, (?P<failed>\d+) failed, ", re.M)
_TRAFFIC = re.compile(r"^traffic: .*, \S+ \((?P<data>\d+)\) data", re.M)
_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0}


def command(case: Case, https_port: int, seconds: int, log: Path) -> list[str]:
    """The proxies listen on 127.0.0.1. `log` is written, and a body beside it."""
    log.unlink(missing_ok=True)  # h2load adds to it
    options = ["-t1", f"-c{case.connections}", f"-m{case.streams}", f"-D{seconds}", f"--log-file={log}"]
    if case.script in ("upload", GRPC):
        body = log.with_name("h2load.body")
        body.write_bytes(GRPC_MESSAGE if case.script == GRPC else b"u" * UPLOAD_BYTES)
        options.append(f"--data={body}")
    if case.script == GRPC:
        options += [f"--header={name}: {value}" for name, value in GRPC_FIELDS]
    # Of itself it asks for AES-128 first, where wrk gets what duties.py wants.
    return ["h2load", *options, "--npn-list=h2", f"--tls13-ciphers={CIPHER}", f"https://127.0.0.1:{https_port}{case.path}"]


def parse(output: str, log: Path) -> Load:
    """What it says at its end, and the waits that it has written down one by one. `failed` holds what it calls errored, too."""
    finished, requests, traffic = (pattern.search(output) for pattern in (_FINISHED, _REQUESTS, _TRAFFIC))
    if finished is None or requests is None or traffic is None:
        raise BenchError(f"h2load ended without figures; it said: {output.strip()[-400:]!r}")
    lines = [line.split("\t") for line in log.read_text().splitlines()] if log.exists() else []
    waits = [int(microseconds) / 1e3 for _, _, microseconds in lines]
    wrong = sum(not 200 <= int(status) < 400 for _, status, _ in lines)
    cuts = quantiles(waits, n=100) if len(waits) > 1 else [0.0] * 99
    return Load(
        requests=int(requests["succeeded"]),
        seconds=float(finished["number"]) * _UNITS[finished["unit"]],
        p50_ms=cuts[49],
        p99_ms=cuts[98],
        bytes=int(traffic["data"]),
        errors=max(wrong, int(requests["failed"])),
    )
