"""Facts about processes."""

from __future__ import annotations

import mmap
import os

import psutil
import pytest

from lbproxy.observe import process


def test_resident_memory_is_ours_in_kib() -> None:
    before = process.rss_kib()
    assert 1024 < before < 4 * 1024 * 1024
    block = mmap.mmap(-1, 32 * 1024 * 1024)
    for at in range(0, len(block), 4096):
        block[at] = 1
    grown = process.rss_kib() - before
    block.close()
    assert 31 * 1024 < grown < 40 * 1024


def test_memory_that_may_not_be_read_is_what_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """A heartbeat without it is better than none."""
    before = process.rss_kib()

    def refused(self: psutil.Process) -> None:
        raise psutil.AccessDenied

    monkeypatch.setattr(psutil.Process, "memory_info", refused)
    assert process.rss_kib() == before


def test_a_fork_asks_about_itself() -> None:
    assert process._self is None or process._self.pid == os.getpid()
    process.rss_kib()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        process.rss_kib()
        os.write(writer, b"own" if process._self is not None and process._self.pid == os.getpid() else b"parent's")
        os._exit(0)
    os.close(writer)
    said = os.read(reader, 16)
    os.close(reader)
    os.waitpid(child, 0)
    assert said == b"own"


def test_cores_are_those_we_may_use() -> None:
    assert process.cpu_count() == len(os.sched_getaffinity(0))


def test_a_process_is_described_for_people() -> None:
    assert process.describe(os.getpid()).endswith(f"(pid {os.getpid()})")
    assert process.describe(2**22 - 1) == f"pid {2**22 - 1}"
