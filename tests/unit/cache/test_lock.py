"""lbproxy.cache.lock: one writer, whoever dies."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

import pytest

from lbproxy.cache.lock import RecordLock


@pytest.fixture
def fd() -> Iterator[int]:
    """A memory file."""
    made = os.memfd_create("test", os.MFD_CLOEXEC)
    yield made
    os.close(made)


def holder(fd: int) -> int:
    """A process that takes the lock and keeps it; its id."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            if RecordLock(fd).take():
                os.write(writing, b"x")
                time.sleep(60)
        finally:
            os._exit(1)
    os.close(writing)
    assert os.read(reading, 1) == b"x"
    os.close(reading)
    return child


def test_a_killed_holder_has_it_no_longer(fd: int) -> None:
    """The kernel takes it from whoever ends."""
    child = holder(fd)
    mine = RecordLock(fd)
    try:
        assert not mine.take()
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert mine.take()
    mine.give()
    assert "memfd" in repr(mine)


def test_a_holder_that_stands_still_is_waited_for_once(fd: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """And then passed by, without waiting, until it is time to try again."""
    slept: list[float] = []
    child = holder(fd)
    monkeypatch.setattr("lbproxy.cache.lock.time.sleep", slept.append)
    monkeypatch.setattr("lbproxy.cache.lock.PASSED_BY", 1000.0)
    try:
        mine = RecordLock(fd)
        assert not mine.take()
        waited = len(slept)
        assert waited
        assert not mine.take()
        assert len(slept) == waited
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert mine.take()
