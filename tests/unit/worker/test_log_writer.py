"""The access log's writer: order, whole lines in a shared pipe, and never a wait for whoever reads."""

from __future__ import annotations

import fcntl
import os
import resource
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from lbproxy.worker import log_writer
from lbproxy.worker.log_writer import LogWriter
from tests.support.waiting import PATIENCE, eventually


def lines(count: int, name: str, width: int = 100) -> bytes:
    return b"".join(b"%b %06d %b\n" % (name.encode(), number, b"." * width) for number in range(count))


def opened(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)


def test_batches_arrive_in_order(tmp_path: Path) -> None:
    writer = LogWriter(opened(tmp_path / "log"))
    for number in range(100):
        assert writer.write(b"%d\n" % number)
    writer.close(10.0)
    assert (tmp_path / "log").read_bytes().split() == [b"%d" % number for number in range(100)]


def test_reopen_goes_on_elsewhere_and_gives_the_old_one_back(tmp_path: Path) -> None:
    old = opened(tmp_path / "old")
    writer = LogWriter(old)
    writer.write(b"one\n")
    writer.reopen(opened(tmp_path / "new"))
    writer.write(b"two\n")
    writer.close(10.0)
    assert (tmp_path / "old").read_bytes() == b"one\n"
    assert (tmp_path / "new").read_bytes() == b"two\n"
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(old)


@pytest.mark.parametrize("blocking", [True, False])
def test_two_workers_in_one_pipe_never_mix_their_lines(blocking: bool) -> None:
    """stdout of a service is a pipe that all workers share; whole lines of up to PIPE_BUF bytes are atomic there."""
    reading, writing = os.pipe()
    if not blocking:
        fcntl.fcntl(writing, fcntl.F_SETFL, os.O_NONBLOCK)
    writers = [LogWriter(os.dup(writing)) for _ in range(2)]
    os.close(writing)
    batches = [lines(3000, name) for name in ("a", "b")]
    for writer, batch in zip(writers, batches, strict=True):
        assert writer.write(batch)
    ends = [threading.Thread(target=writer.close, args=(10.0,)) for writer in writers]
    for end in ends:
        end.start()
    got = b""
    while len(got) < sum(map(len, batches)):
        got += os.read(reading, 65536)
    for end in ends:
        end.join()
    whole = got.splitlines(keepends=True)
    assert b"".join(line for line in whole if line.startswith(b"a")) == batches[0]
    assert b"".join(line for line in whole if line.startswith(b"b")) == batches[1]
    os.close(reading)
    for writer in writers:
        os.close(writer._target.fd)


def test_a_reader_that_sleeps_holds_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches are taken at once until too many wait; then they are refused, and the caller counts them."""
    monkeypatch.setattr(log_writer, "BACKLOG", 300_000)
    reading, writing = os.pipe()
    writer = LogWriter(writing)
    batch = lines(1000, "x")
    taken = [writer.write(batch) for _ in range(10)]  # nobody reads: who waited here would wait for ever
    assert taken[0] is True
    assert taken[-1] is False
    expected = batch * sum(taken)
    got = b""
    while len(got) < len(expected):
        got += os.read(reading, 65536)
    assert got == expected
    eventually(lambda: writer.write(b"again\n"), "it takes lines again")
    writer.close(10.0)
    assert os.read(reading, 100) == b"again\n"
    os.close(reading)
    os.close(writing)


def test_close_does_not_wait_for_ever() -> None:
    reading, writing = os.pipe()
    writer = LogWriter(writing)
    writer.write(lines(10_000, "x"))
    began = time.monotonic()
    writer.close(0.05)
    assert time.monotonic() - began < PATIENCE
    os.close(reading)  # the thread meets a broken pipe and ends
    writer._thread.join(60)
    assert not writer._thread.is_alive()
    os.close(writing)


@pytest.fixture
def most_bytes() -> Iterator[Callable[[int], None]]:
    """Lets files of this process grow to so many bytes, and no further: a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def lost(writer: LogWriter) -> tuple[int, str]:
    """Once everything is written or lost."""
    eventually(lambda: writer._taken == writer._done, "nothing waits")
    return writer.take_lost()


@pytest.mark.parametrize("append", [os.O_APPEND, 0], ids=["appended to", "with one offset"])
def test_a_full_disk_loses_counted_lines_and_tears_none(append: int, tmp_path: Path, most_bytes: Callable[[int], None]) -> None:
    """What fits stays, line by line; what does not is counted; the next line begins a line, whoever writes it."""
    fd = os.open(tmp_path / "log", os.O_WRONLY | os.O_CREAT | append)
    writer, other = LogWriter(fd), LogWriter(os.dup(fd))
    assert writer.take_lost() == (0, "")
    most_bytes(1024)
    writer.write(lines(20, "a", width=20))  # 30 bytes each
    assert lost(writer) == (0, "")
    writer.write(lines(20, "b", width=20))
    assert lost(writer) == (6, "File too large")
    writer.write(lines(2, "c", width=20))
    assert lost(writer) == (2, "File too large")
    assert not writer.flows
    most_bytes(100_000)
    first, second = (other, writer) if append else (writer, other)  # the latter is a file that only one redirection writes to
    first.write(b"again\n")
    assert lost(first) == (0, "")
    second.write(b"and again\n")
    assert lost(second) == (0, "")
    assert writer.flows
    for each in (writer, other):
        each.close(10.0)
    got = (tmp_path / "log").read_bytes().splitlines(keepends=True)
    torn = [] if append else [lines(20, "b", width=20)[14 * 30 : 14 * 30 + 4] + b"\n"]
    assert b"".join(got) == lines(20, "a", width=20) + b"".join(
        [lines(20, "b", width=20)[: 14 * 30], *torn, b"again\n", b"and again\n"]
    )
    os.close(fd)
    os.close(other._target.fd)


@pytest.mark.parametrize("stopped", [False, True], ids=["for a while", "for ever"])
def test_a_turn_that_is_kept_from_us_holds_up_nobody_for_long(
    stopped: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process has the file's lock, which any of those that write here can take and keep."""
    monkeypatch.setattr(log_writer, "TURN_PATIENCE", 1.0)
    fd = opened(tmp_path / "log")
    ready, go = os.pipe(), os.pipe()
    pid = os.fork()
    if pid == 0:
        fcntl.lockf(fd, fcntl.LOCK_EX)
        os.write(ready[1], b"x")
        os.close(go[1])
        os.read(go[0], 1)
        os._exit(0)
    try:
        os.read(ready[0], 1)
        writer = LogWriter(os.dup(fd))
        writer.write(b"one\n")
        if not stopped:
            os.write(go[1], b"x")
        eventually(lambda: (tmp_path / "log").read_bytes() == b"one\n", "the first line")
        began = time.monotonic()
        for number in range(40):
            writer.write(b"%d\n" % number)
            eventually(lambda: writer.flows, "one more")
        assert time.monotonic() - began < 40 * 1.0, "nobody waits again for what did not come"
        assert writer.take_lost() == (0, "")
        writer.close(10.0)
    finally:
        for end in (*ready, *go):
            os.close(end)
        os.waitpid(pid, 0)
    assert (tmp_path / "log").read_bytes() == b"one\n" + b"".join(b"%d\n" % number for number in range(40))


def test_batches_that_wait_are_written_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And those behind a new file go there."""
    pause = threading.Event()
    monkeypatch.setattr(log_writer, "time", SimpleNamespace(sleep=lambda _: pause.wait(10), monotonic=time.monotonic))
    sizes = list[int]()
    write = log_writer._Target.write

    def noting(self: log_writer._Target, batch: bytes) -> log_writer.Lost:
        sizes.append(len(batch))
        return write(self, batch)

    monkeypatch.setattr(log_writer._Target, "write", noting)
    writer = LogWriter(opened(tmp_path / "old"))
    writer.write(b"0\n")
    eventually(lambda: writer.flows, "the thread begins its pause")
    for number in range(1, 4):
        writer.write(b"%d\n" % number)
    writer.reopen(opened(tmp_path / "new"))
    writer.write(b"4\n")
    pause.set()
    writer.close(10.0)
    assert sizes == [2, 6, 2]
    assert (tmp_path / "old").read_bytes() == b"0\n1\n2\n3\n"
    assert (tmp_path / "new").read_bytes() == b"4\n"


@pytest.mark.parametrize(
    ("bytes_a_second", "least", "most"), [(250_000, 0.09, 0.1), (2_000_000, 0.02, 0.05), (20_000_000, 0.02, 0.02)]
)
def test_little_is_written_seldom_and_much_often(bytes_a_second: int, least: float, most: float) -> None:
    """As the same rate goes on, the goes come to a distance, and what comes between two fits into one."""
    pause = log_writer.APART
    for _ in range(100):
        pause = log_writer.next_pause(pause, int(bytes_a_second * pause))
    assert least <= pause <= most


def test_a_failed_write_costs_its_batch_only() -> None:
    ours, theirs = socket.socketpair()
    theirs.close()
    reading, writing = os.pipe()
    writer = LogWriter(ours.detach())
    writer.write(b"lost\n")
    assert lost(writer) == (1, "Broken pipe")
    writer.reopen(writing)
    writer.write(b"kept\n")
    assert os.read(reading, 100) == b"kept\n"
    writer.close(10.0)
    os.close(reading)
    os.close(writing)


def test_a_high_descriptor_may_wait_for_room() -> None:
    """A worker with thousands of connections gets a descriptor above 1023, which select() cannot take."""
    reading, writing = os.pipe()
    try:
        high = fcntl.fcntl(writing, fcntl.F_DUPFD, 1500)
    except OSError:
        pytest.skip("the limit on open files is below 1500")
    os.close(writing)
    os.set_blocking(high, False)
    writer = LogWriter(high)
    batch = lines(3000, "x")
    writer.write(batch)
    got = b""
    while len(got) < len(batch):
        got += os.read(reading, 65536)
    assert got == batch
    writer.close(10.0)
    os.close(reading)
    os.close(high)


def test_a_line_longer_than_an_atomic_write_goes_whole() -> None:
    reading, writing = os.pipe()
    writer = LogWriter(writing)
    long = b"y" * (select.PIPE_BUF + 100) + b"\n"
    writer.write(b"x\n" + long + b"z\n")
    got = b""
    while len(got) < len(long) + 4:
        got += os.read(reading, 65536)
    assert got == b"x\n" + long + b"z\n"
    writer.close(10.0)
    os.close(reading)
    os.close(writing)
