"""Whoever reads standard error may sleep, be stopped or be gone: nobody waits, and what is lost is counted."""

from __future__ import annotations

import fcntl
import os
import pty
import resource
import socket
import termios
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from lbproxy.observe import outlet as module
from lbproxy.observe.outlet import Outlet, ends_torn
from tests.support.waiting import eventually


class Ends:
    """An outlet's descriptor and where its bytes come out."""

    def __init__(self, number: int, read: Callable[[], bytes]) -> None:
        self.number, self.read = number, read


def everything(descriptor: int) -> bytes:
    """What can be read now."""
    os.set_blocking(descriptor, False)
    text = b""
    try:
        while more := os.read(descriptor, 65536):
            text += more
    except BlockingIOError:
        pass
    return text


@pytest.fixture(params=["pipe", "socket", "terminal"])
def ends(request: pytest.FixtureRequest) -> Iterator[Ends]:
    """A pipe, the journal's kind of socket, and a terminal that somebody stopped with Ctrl-S (TCOON is Ctrl-Q)."""
    if request.param == "pipe":
        reading, writing = os.pipe()
    elif request.param == "socket":
        reading, writing = (end.detach() for end in socket.socketpair())
    else:
        reading, writing = pty.openpty()
        mode = termios.tcgetattr(writing)
        mode[1] &= ~termios.OPOST  # lines come out as they went in
        termios.tcsetattr(writing, termios.TCSANOW, mode)
        termios.tcflow(writing, termios.TCOOFF)

    def read() -> bytes:
        if request.param == "terminal":
            termios.tcflow(writing, termios.TCOON)
        return everything(reading)

    yield Ends(writing, read)
    os.close(reading)
    os.close(writing)


def lines(first: int, last: int) -> list[bytes]:
    return [b"line %06d %b\n" % (number, b"." * 100) for number in range(first, last)]


@pytest.mark.parametrize("again", [True, False], ids=["opened again", "polled"])
def test_a_reader_that_sleeps(ends: Ends, again: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """What fits is kept in order, the rest is counted, nothing waits; and the flag of those who share the description stays."""
    if not again:
        monkeypatch.setattr(module, "_opened_again", lambda number, flags: -1)
    with closing(Outlet(ends.number, limit=20_000)) as out:
        sleep_and_wake(ends, out)


def sleep_and_wake(ends: Ends, out: Outlet) -> None:
    said = lines(0, 20_000)
    for line in said:
        out.write(line)
    assert out.waiting
    assert 0 < out.dropped < 20_000
    assert not fcntl.fcntl(ends.number, fcntl.F_GETFL) & os.O_NONBLOCK
    wanted = b"".join(said[: len(said) - out.dropped])
    text = bytearray()

    def read() -> int:
        text.extend(ends.read())
        out.flush()
        return len(text)

    eventually(lambda: read() >= len(wanted), "everything that was kept")
    assert not out.waiting
    assert text == wanted
    text.clear()
    [after] = lines(7, 8)
    out.write(after)
    eventually(lambda: read() >= len(after), "the next line")
    assert text == after


def test_a_reader_that_is_merely_slow_gets_everything() -> None:
    """The last words wait a moment for him."""
    reading, writing = os.pipe()
    out = Outlet(writing, limit=10_000_000)
    said = b"".join(lines(0, 3000))
    out.write(said)
    assert out.waiting
    assert not out.drain(0.02)
    if (child := os.fork()) == 0:
        got = b""
        while len(got) < len(said):
            got += os.read(reading, 4096)
        os._exit(got != said)
    assert out.drain(30)
    assert os.waitpid(child, 0)[1] == 0
    os.close(reading)
    out.close()
    os.close(writing)


def test_a_reader_that_is_gone() -> None:
    """Lines are lost and counted."""
    reading, writing = os.pipe()
    out = Outlet(writing)
    os.close(reading)
    out.write(b"one\n")
    out.write(b"two\nthree\n")
    assert out.dropped == 3
    assert not out.waiting
    out.close()
    os.close(writing)


def test_a_closed_descriptor() -> None:
    """As a reader that is gone."""
    reading, writing = os.pipe()
    os.close(reading)
    os.close(writing)
    out = Outlet(writing)
    out.write(b"one\n")
    assert out.dropped == 1


def test_a_forked_child_does_not_say_what_waits_in_its_parent() -> None:
    """Nor counts what was dropped there."""
    reading, writing = os.pipe()
    out = Outlet(writing, limit=100_000)
    for line in lines(0, 5000):
        out.write(line)
    assert out.dropped
    if (child := os.fork()) == 0:
        out.flush()
        os._exit(out.waiting or out.dropped > 0)
    assert os.waitpid(child, 0)[1] == 0
    assert out.waiting
    os.close(reading)
    out.close()
    os.close(writing)


@pytest.mark.parametrize("limit", [250, 321, 330])
def test_a_full_disk_counts_and_tears_no_second_line(tmp_path: Path, limit: int) -> None:
    """A file that may not grow, as a disk that is full: the line that had no room ends before the next begins."""
    path = tmp_path / "log"
    writing = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    said = [b"%d %b\n" % (number, b"." * 62) for number in range(8)]  # 65 bytes each
    out, stranger = Outlet(writing), Outlet(writing)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
        for line in said[:6]:
            out.write(line)
        stranger.write(said[6])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    kept = limit // 65
    assert out.dropped == 6 - kept
    assert stranger.dropped == 1
    stranger.write(said[6])  # another process of ours comes first
    out.write(said[7])
    out.close()
    stranger.close()
    os.close(writing)
    torn = [said[kept][: limit % 65]] if limit % 65 else []
    assert path.read_bytes().splitlines() == [line.rstrip() for line in [*said[:kept], *torn, said[6], said[7]]]


def test_ends_torn(tmp_path: Path) -> None:
    path = tmp_path / "log"
    for text, torn in ((b"", False), (b"a\n", False), (b"a\nb", True)):
        path.write_bytes(text)
        with path.open("rb") as file:
            assert ends_torn(file.fileno()) is torn
    assert ends_torn(-1) is False


@pytest.mark.parametrize("kind", ["pipe", "terminal"])
def test_a_child_that_shares_nothing_changes_nothing_of_ours(kind: str) -> None:
    """Neither of the outlet's own description nor of the one that was inherited."""
    reading, writing = os.pipe() if kind == "pipe" else pty.openpty()
    outlet = Outlet(writing)
    pid = os.fork()
    if pid == 0:
        outlet.stop_sharing()
        outlet.write(b"child\n")
        os.set_blocking(outlet.descriptor, True)
        os.set_blocking(writing, False)
        os.write(writing, b"plainly\n")
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    assert not os.get_blocking(outlet.descriptor)
    assert os.get_blocking(writing)
    outlet.write(b"parent\n")
    assert everything(reading).replace(b"\r", b"") == b"child\nplainly\nparent\n"
    outlet.close()
    for end in (reading, writing):
        os.close(end)


def test_what_cannot_be_unshared_stays(tmp_path: Path) -> None:
    """A file has one place for all who write to it; a socket takes MSG_DONTWAIT with each call."""
    file = os.open(tmp_path / "log", os.O_WRONLY | os.O_CREAT)
    ours, theirs = socket.socketpair()
    assert module.unshared(-1) == -1
    assert module.unshared(file) == file
    assert module.unshared(theirs.fileno()) == theirs.fileno()
    outlet = Outlet(theirs.fileno())
    outlet.stop_sharing()
    outlet.write(b"still there\n")
    assert ours.recv(100) == b"still there\n"
    outlet.close()
    os.close(file)
    for end in (ours, theirs):
        end.close()
