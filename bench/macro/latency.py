"""How long users would wait: small requests at a constant rate, at shares of what each proxy can do.

What it can do is what *tiny* showed, where the closed loop of wrk keeps its core busy. Half of that is a proxy on an ordinary day,
four fifths one at its peak. Each proxy has its own rate, which stands in the table: compare waits together with rates.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from bench.macro import cases, openloop
from bench.macro.backends import Backends
from bench.macro.cpu import CpuMeter
from bench.macro.errors import BenchError
from bench.macro.figures import Sample
from bench.macro.latency_table import LatencySample
from bench.macro.load import END_SECONDS, SETTLE_SECONDS, measure
from bench.macro.peers import Peer

SHARES = (0.5, 0.8)


def capacity(peer: Peer, samples: Sequence[Sample], backends: Backends, seconds: int, cores: str | None = None) -> float:
    """Requests per second: the median of the *tiny* samples of this run, or of one measured now."""
    tiny = cases.BY_NAME["tiny"]
    known = [sample.per_second for sample in samples if (sample.case, sample.peer) == (tiny.name, peer.name)]
    able = median(known) if known else measure(peer, tiny, backends, 0, seconds, cores).per_second
    if able <= 0:
        raise BenchError(f"{peer.name}: no request came through, so there is no rate to measure latency at")
    return able


def measure_waits(
    program: Path, peer: Peer, backends: Backends, able: float, share: float, number: int, seconds: float, cores: str | None
) -> LatencySample:
    """Blocks for `seconds` and a little more; `number` is the round."""
    time.sleep(SETTLE_SECONDS)
    job = openloop.Job(peer.site.https, cases.CONNECTIONS, able * share, seconds)
    cpu_us = 0.0

    def meter() -> None:
        nonlocal cpu_us
        with CpuMeter(peer.pid) as cpu:
            before = backends.requests()
            time.sleep(seconds - END_SECONDS)
        # Those that came through: a proxy that cannot keep up must not look cheap. The question itself is one of them.
        cpu_us = cpu.ns / 1e3 / max(1, backends.requests() - before - 1)

    waits = openloop.run(program, job, cores, meter)
    return LatencySample(
        peer=peer.name,
        round=number,
        share=share,
        rate=job.rate,
        cpu_us=cpu_us,
        p50_ms=waits.p50_ms,
        p90_ms=waits.p90_ms,
        p99_ms=waits.p99_ms,
        p999_ms=waits.p999_ms,
        max_ms=waits.max_ms,
        sent_p99_ms=waits.sent_p99_ms,
        errors=waits.errors,
    )
