"""One measurement: a load generator runs, and inside its run lies a window in which CPU and requests are counted.

Theory of operation. The generator's own count covers its whole run, and so would include the opening of its connections: 64 TLS
handshakes are 2 us for each of 20,000 small requests. Therefore the window opens after RAMP_SECONDS, and requests inside it are
those that the backends counted. Requests under way at both ends cancel out. For answers so large that only a few fit into a
window, the whole run is measured instead, and its answers are counted by their bytes, so that those cut off at the end count for
what they were. Hits out of a proxy's cache reach no backend: of the generator's requests those are taken to fall into the window
that do so by the clock, which leaves out what the handshakes in front of it took, some hundredth, of each proxy alike.
"""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

from bench.macro import cases, h2load, handshakes, procfs, websocket, wrk
from bench.macro.backends import Backends
from bench.macro.cpu import CpuMeter
from bench.macro.errors import BenchError
from bench.macro.figures import Sample
from bench.macro.machine import pinned
from bench.macro.peers import Peer

RAMP_SECONDS = 0.35
END_SECONDS = 0.05
SETTLE_SECONDS = 0.1  # the last access lines and closing connections of the proxy before
QUIET_SECONDS, QUIET_SHARE = 5.0, 0.1  # how long at most, and of a core, where steps work on behind requests


def measure(peer: Peer, case: cases.Case, backends: Backends, number: int, seconds: int, core_list: str | None = None) -> Sample:
    """Blocks for `seconds` and a little more; `number` is the round, `core_list` where the load runs (None: where we do)."""
    time.sleep(SETTLE_SECONDS)
    if case.setup.steps:
        _await_quiet(peer)
    log = peer.site.folder / "h2load.log" if case.streams else None
    command = pinned(_command(peer, case, seconds, log), core_list)
    echoes = case.script == cases.WEBSOCKET
    if case.whole:
        with CpuMeter(peer.pid) as meter:
            load = _finish(command, _start(command), seconds, log)
        requests, length = load.bytes / case.whole, load.seconds
    else:
        # The question how many requests there were is one of them.
        count = backends.messages if echoes else backends.requests
        generator = _start(command)
        try:
            if echoes:
                _wait_until_ready(command, generator)
            time.sleep(RAMP_SECONDS)
            begun = time.monotonic()
            with CpuMeter(peer.pid) as meter:
                before = count()
                time.sleep(max(0.1, begun + seconds - RAMP_SECONDS - END_SECONDS - time.monotonic()))
            length = time.monotonic() - begun
            # Asked right after the meter's last look, as `before` was after its first: both windows are equally long.
            requests = (count() - before - (not echoes)) / case.backend_requests
            load = _finish(command, generator, seconds, log)
            if case.hits:
                if requests:
                    raise BenchError(f"{peer.name}: {case.name}: the backends were asked {requests:.0f} times, wanted hits alone")
                requests = load.requests * length / load.seconds
        finally:
            if generator.poll() is None:
                generator.kill()
                generator.wait()
    return Sample(
        case=case.name,
        peer=peer.name,
        round=number,
        figure=meter.ns / 1e3 / requests if requests > 0 else 0.0,
        per_second=requests / length,
        busy=meter.ns / 1e9 / length,
        p50_ms=load.p50_ms,
        p99_ms=load.p99_ms,
        pss_mib=procfs.pss(peer.pid) / 1024**2,
        errors=load.errors,
    )


def _await_quiet(peer: Peer) -> None:
    """What goes on behind requests (mirrors, inspectors) must not be taken for the next case's."""
    until = time.monotonic() + QUIET_SECONDS
    while time.monotonic() < until:
        with CpuMeter(peer.pid) as meter:
            time.sleep(SETTLE_SECONDS)
        if meter.ns < QUIET_SHARE * SETTLE_SECONDS * 1e9:
            return


def _command(peer: Peer, case: cases.Case, seconds: int, log: Path | None) -> list[str]:
    if log is not None:
        return h2load.command(case, peer.site.https, seconds, log)
    if case.script == cases.FULL_HANDSHAKE:
        return handshakes.command(peer.site.https, seconds)
    if case.script == cases.WEBSOCKET:
        return websocket.command(peer.site.https, seconds, case.connections)
    return wrk.command(case, peer.site.https, peer.site.http, seconds)


def _wait_until_ready(command: list[str], generator: subprocess.Popen[str]) -> None:
    assert generator.stdout is not None
    if (said := generator.stdout.readline()) != "ready\n":
        rest, _ = generator.communicate()
        raise BenchError(f"{' '.join(command)} does not stand: {(said + rest).strip()[-400:]}")


def _start(command: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def _finish(command: list[str], generator: subprocess.Popen[str], seconds: int, log: Path | None) -> wrk.Load:
    """`log`: h2load's."""
    try:
        output, _ = generator.communicate(timeout=seconds + 30)
    except subprocess.TimeoutExpired as error:
        raise BenchError(f"{command[0]} did not end: {error}") from error
    if generator.returncode != 0:
        raise BenchError(f"{' '.join(command)} exited with {generator.returncode}: {output.strip()[-400:]}")
    return wrk.parse(output) if log is None else h2load.parse(output, log)
