"""A download of 1 GB runs at full speed, arrives byte for byte, and leaves the worker's memory flat."""

from __future__ import annotations

import hashlib
import os
import subprocess

import psutil

from tests.conftest import Stage
from tests.support.app import PATTERN
from tests.support.tools import curl, need

GIB = 1 << 30
MIB = 1 << 20


def test_one_gigabyte_in_flat_memory(stage: Stage) -> None:
    """The worker relays with bounded buffers: its resident memory grows by less than 8 MB."""
    proxy = stage.proxy(stage.app().address)
    [worker] = [psutil.Process(pid) for pid in proxy.wait_workers(1)]
    base = f"https://localhost:{proxy.port()}/bytes"
    curl(stage.authority.file, "--output", "/dev/null", f"{base}/{20 * MIB}")  # warm: buffers and code are in place
    before = highest = worker.memory_info().rss
    with subprocess.Popen(
        [need("curl"), "-sS", "--noproxy", "*", "--cacert", str(stage.authority.file), "--max-time", "100", f"{base}/{GIB}"],
        stdout=subprocess.PIPE,
    ) as download:
        assert download.stdout is not None
        digest, length = hashlib.sha256(), 0
        while data := download.stdout.read(MIB):
            digest.update(data)
            length += len(data)
            if length % (16 * MIB) < len(data):
                highest = max(highest, worker.memory_info().rss)
    wanted = hashlib.sha256()
    for _ in range(GIB // len(PATTERN)):
        wanted.update(PATTERN)
    assert download.returncode == 0
    assert (length, digest.digest()) == (GIB, wanted.digest())
    assert highest - before < 8_000_000, f"grew by {(highest - before) / 1e6:.1f} MB"


def test_a_stalled_reader_holds_the_backend_back(stage: Stage) -> None:
    """Back-pressure: a client that does not read makes the backend wait; nothing piles up in the worker."""
    app = stage.app()
    proxy = stage.proxy(app.address)
    [worker] = [psutil.Process(pid) for pid in proxy.wait_workers(1)]
    curl(stage.authority.file, "--output", "/dev/null", f"https://localhost:{proxy.port()}/bytes/{20 * MIB}")
    before = worker.memory_info().rss
    clients = [stage.client(proxy) for _ in range(4)]
    for client in clients:
        client.send_head("GET", f"/bytes/{256 * MIB}")
        assert client.head().status == 200
    # Until nothing moves any more: the pipe from backend to client is full.
    seen, still = -1, 0
    while still < 5:
        now = worker.io_counters().read_chars
        still = still + 1 if now - seen < 10_000 else 0
        seen = now
        os.sched_yield()
        worker.cpu_percent(interval=0.1)
    assert worker.memory_info().rss - before < 16_000_000
    for client in clients:
        client.close()
