"""The file for what memory should not hold, and the thread that writes it."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import gevent
import pytest
from gevent.hub import get_hub

from lbproxy.errors import ClientGone, ScratchError
from lbproxy.net import scratch as module
from lbproxy.net.scratch import ScratchFile
from lbproxy.net.whole_files import write_all
from lbproxy.streams import BLOCK
from tests.unit.net.loopback import start, until


@pytest.fixture
def scratch(tmp_path: Path) -> Iterator[ScratchFile]:
    found = ScratchFile(os.open(tmp_path / "scratch", os.O_RDWR | os.O_CREAT))
    yield found
    found.close()
    found._files.thread.join(60)
    assert not found._files.thread.is_alive()


def size(scratch: ScratchFile) -> int:
    return os.fstat(scratch._fd).st_size


def test_blocks_come_back_and_are_used_again(scratch: ScratchFile) -> None:
    """The file ends when nothing is in it."""
    blocks = [start(partial(scratch.write, bytes([fill]) * BLOCK)).result() for fill in range(3)]
    assert blocks == [0, 1, 2]
    for fill, block in enumerate(blocks):
        assert start(partial(scratch.read, block, BLOCK)).result() == bytes([fill]) * BLOCK
    scratch.free(1)
    assert start(lambda: scratch.write(b"short")).result() == 1
    assert start(lambda: scratch.read(1, 5)).result() == b"short"
    assert size(scratch) == 3 * BLOCK
    for block in range(3):
        scratch.free(block)
    until(lambda: size(scratch) == 0, "the file is cut")
    assert start(lambda: scratch.write(b"new")).result() == 0
    assert start(lambda: scratch.read(0, 3)).result() == b"new"
    assert repr(scratch) == "<ScratchFile 1 of 1 blocks>"


def test_the_loop_goes_on_while_the_disk_stalls(scratch: ScratchFile, monkeypatch: pytest.MonkeyPatch) -> None:
    """And whoever waited may leave: the block is free when the disk is done with it, not before."""
    disk = threading.Event()
    real = write_all

    def stalled(fd: int, data: bytes, at: int) -> bytes:
        disk.wait(60)
        return real(fd, data, at)

    monkeypatch.setattr(module, "write_all", stalled)
    job = start(lambda: scratch.write(b"first"))
    turns: list[int] = []
    gevent.spawn(lambda: turns.append(1)).join()
    assert turns == [1]
    assert not job.over
    get_hub().loop.run_callback(job.greenlet.throw, ClientGone("gone"))
    with pytest.raises(ClientGone):
        job.result()
    second = start(lambda: scratch.write(b"second"))
    disk.set()
    assert second.result() == 1, "not the block that the disk was busy with"
    assert start(lambda: scratch.write(b"third")).result() == 0
    assert start(lambda: scratch.read(1, 6)).result() == b"second"


def test_a_full_disk_is_an_error_and_takes_no_block(scratch: ScratchFile, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(fd: int, data: bytes, at: int) -> bytes:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(module, "write_all", full)
        with pytest.raises(ScratchError, match="No space left"):
            start(lambda: scratch.write(b"x")).result()
    assert start(lambda: scratch.write(b"x")).result() == 0


def test_a_block_that_is_not_there_is_an_error(scratch: ScratchFile) -> None:
    with pytest.raises(ScratchError):
        start(lambda: scratch.read(7, 5)).result()
