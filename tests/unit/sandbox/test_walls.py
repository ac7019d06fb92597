"""From inside a process with walls around it: what an intruder would try, and what the process itself has to go on doing."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import platform
import resource
import socket
import struct
import sys
import termios
import threading
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from lbproxy.master.system.privileges import no_new_privileges
from lbproxy.sandbox import kernel, walls
from lbproxy.sandbox.filter import ARCHITECTURES, REFUSED
from lbproxy.sandbox.names import CALLS, FILES, MEMORY, PORTS
from tests.support.walled import LIBC, behind, call

FILTERED = platform.machine() in kernel.SECCOMP
F_SETSIG, F_SETOWN_EX = 10, 15
SO_ATTACH_FILTER, SO_LOCK_FILTER, SO_ATTACH_BPF = 26, 44, 50
SCHED_SETATTR, IOPRIO_SET = (314, 251) if platform.machine() == "x86_64" else (274, 30)
FCHMODAT2 = 452
CLONE = 56 if platform.machine() == "x86_64" else 220
TCP_FASTOPEN_CONNECT = 30
NOTHING = walls.Needs(frozenset(), unix=False, names=False)


def inside(needs: walls.Needs, work: Callable[[], object]) -> object:
    """What `work` gives in a fork behind walls: a value, or the number of the OSError."""

    def build(_: int) -> None:
        psutil.Process().memory_info()
        no_new_privileges()
        walls.build(needs)

    return behind(build, work)


def test_what_stands_here() -> None:
    """All that this kernel has."""
    version = kernel.landlock_version()
    wanted = {MEMORY} | ({FILES} if version else set()) | ({PORTS} if version >= 4 else set()) | ({CALLS} if FILTERED else set())
    ours, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:
        no_new_privileges()
        os.write(theirs, " ".join(walls.build(NOTHING)).encode())
        os._exit(0)
    os.waitpid(pid, 0)
    assert set(os.read(ours, 1000).decode().split()) == wanted
    os.close(ours)
    os.close(theirs)


@pytest.mark.skipif(not FILTERED, reason="no filter for this machine")
@pytest.mark.parametrize("attempt", [
    lambda: os.execv("/bin/true", ["true"]),
    os.fork,
    lambda: call("ptrace", 16, os.getppid(), 0, 0),
    lambda: os.kill(os.getppid(), 0),
    lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).close(),
    lambda: socket.socket(socket.AF_UNIX).close(),
    lambda: socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM),  # which another connect leads to any path
    lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW).close(),
    lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close(),
    lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262).close(),  # MPTCP, which Landlock does not see
    lambda: socket.create_server(("127.0.0.1", 0)).close(),
    lambda: os.close(os.open("/dev/null", os.O_WRONLY)),
    lambda: call("prctl", 4, 1, 0, 0, 0),  # PR_SET_DUMPABLE
    lambda: call("unshare", 0x10000000),  # CLONE_NEWUSER
    lambda: call("syscall", CLONE, 0x00010000 | 0x40000000, 0, 0, 0, 0),  # CLONE_THREAD | CLONE_NEWNET
    lambda: os.unlink("/nothing"),
], ids=[
    "exec", "fork", "ptrace", "kill", "udp", "unix", "datagrams", "netlink", "packet", "mptcp", "listen", "write", "dumpable",
    "namespace", "network",
    "unlink",
])  # fmt: skip
def test_what_an_intruder_would_try(attempt: Callable[[], object]) -> None:
    """It is refused, and the process goes on."""
    assert inside(NOTHING, attempt) == "errno EPERM"


@pytest.mark.skipif(not FILTERED, reason="no filter for this machine")
def test_every_call_of_the_list_is_refused() -> None:
    """By its number, with arguments that would do no harm. (Forks have their test above.)"""
    column = ARCHITECTURES[platform.machine()][0]
    numbers = {name: both[column] for name, both in REFUSED.items() if both[column] >= 0 and name not in ("fork", "vfork")}

    def work() -> object:
        went = []
        for name, number in numbers.items():
            ctypes.set_errno(0)
            if LIBC.syscall(number, -1, 0, 0, 0, 0, 0) != -1 or ctypes.get_errno() != errno.EPERM:
                went.append(name)
        return went

    assert len(set(numbers.values())) == len(numbers) > 100
    assert inside(NOTHING, work) == []


def own(signal_owner: bytes) -> object:
    """Ask for a signal to another process with the next byte that comes (fcntl(2), F_SETOWN)."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        return fcntl.fcntl(ours, F_SETOWN_EX, signal_owner)


@pytest.mark.skipif(not FILTERED, reason="no filter for this machine")
@pytest.mark.parametrize("attempt", [
    lambda: resource.prlimit(os.getppid(), resource.RLIMIT_CPU),
    lambda: os.setpriority(os.PRIO_PROCESS, os.getppid(), 19),
    lambda: os.sched_setaffinity(os.getppid(), {0}),
    lambda: os.sched_setscheduler(os.getppid(), os.SCHED_IDLE, os.sched_param(0)),
    lambda: call("syscall", SCHED_SETATTR, os.getppid(), None, 0),
    lambda: call("syscall", IOPRIO_SET, 1, os.getppid(), 0),
    lambda: own(struct.pack("=ii", 1, os.getppid())),
    lambda: fcntl.fcntl(0, fcntl.F_SETOWN, os.getppid()),
    lambda: fcntl.fcntl(0, F_SETSIG, 9),
    lambda: call("ioctl", 0, 0x8901, struct.pack("=i", os.getppid())),  # FIOSETOWN
    lambda: call("ioctl", 0, 0x8902, struct.pack("=i", os.getppid())),  # SIOCSPGRP
], ids=[
    "limits", "priority", "cores", "scheduler", "scheduling", "disk", "owner-ex", "owner", "signal", "ioctl-owner", "ioctl-group",
])  # fmt: skip
def test_other_processes_of_the_same_user_are_left_alone(attempt: Callable[[], object]) -> None:
    """All workers are one user's: a limit of CPU seconds kills one as surely as a signal does, or one that the kernel sends."""
    assert inside(NOTHING, attempt) == "errno EPERM"


@pytest.mark.skipif(not FILTERED, reason="no filter for this machine")
def test_a_listener_of_all_cannot_be_stopped_by_one() -> None:
    """What one process does to a shared socket happens to all who have it, and its successor would get it so."""
    with socket.create_server(("127.0.0.1", 0)) as shared:
        nothing_passes = struct.pack("@HP", 1, 0)
        for attempt in (
            lambda: shared.shutdown(socket.SHUT_RD),
            lambda: shared.shutdown(socket.SHUT_RDWR),
            lambda: shared.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, nothing_passes),
            lambda: shared.setsockopt(socket.SOL_SOCKET, SO_ATTACH_BPF, 0),
            lambda: shared.setsockopt(socket.SOL_SOCKET, SO_LOCK_FILTER, 1),
            lambda: shared.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)),  # accepted ones inherit these
            lambda: shared.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1),
            lambda: shared.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 0, 1)),
            lambda: shared.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 1),
            lambda: shared.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1),
        ):
            assert inside(NOTHING, attempt) == "errno EPERM"
        assert shared.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert inside(NOTHING, lambda: ours.shutdown(socket.SHUT_WR)) is None


@pytest.mark.skipif(not FILTERED, reason="no filter for this machine")
@pytest.mark.parametrize("attempt", [
    lambda: fcntl.fcntl(0, fcntl.F_SETFL, 0),
    lambda: fcntl.fcntl(0, fcntl.F_SETFL, os.O_APPEND),
    lambda: fcntl.fcntl(0, fcntl.F_SETFL, os.O_NONBLOCK | os.O_ASYNC),
    lambda: os.set_blocking(0, True),
    lambda: fcntl.fcntl(0, fcntl.F_SETPIPE_SZ, 4096),
    lambda: fcntl.fcntl(0, fcntl.F_SETLEASE, fcntl.F_WRLCK),
    lambda: fcntl.fcntl(0, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE),
    lambda: call("ioctl", 0, termios.TIOCSTI, b"x"),
    lambda: call("ioctl", 0, termios.TCSETS, bytes(64)),
    lambda: call("ioctl", 0, termios.TIOCSCTTY, 1),
], ids=["blocking", "appending", "signals", "fionbio", "size", "lease", "seals", "typing", "terminal", "session"])  # fmt: skip
def test_what_all_have_open_stays_as_it_is(attempt: Callable[[], object]) -> None:
    """A pipe, a terminal, a listener: one that made it block would stop the next who writes to it, the master as well; one that
    types into a terminal is the user who sits there."""
    assert inside(NOTHING, attempt) == "errno EPERM"


def test_descriptors_are_used_as_ever() -> None:
    ours, theirs = os.pipe()
    high = 20

    def work() -> object:
        fcntl.fcntl(theirs, fcntl.F_SETFL, os.O_NONBLOCK | os.O_APPEND)
        os.set_inheritable(theirs, True)
        copy = fcntl.fcntl(theirs, fcntl.F_DUPFD_CLOEXEC, high)
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as sock:
            return [os.get_blocking(theirs), copy >= high, os.isatty(theirs), sock.getblocking()]

    assert inside(NOTHING, work) == [False, True, False, False]
    with_sockets = NOTHING._replace(gevent_sockets=True)
    assert inside(with_sockets, lambda: os.set_blocking(ours, False)) is None
    for end in (ours, theirs):
        os.close(end)


@pytest.mark.skipif(not FILTERED, reason="no filter for this machine")
def test_files_that_can_be_read_stay_as_they_are(tmp_path: Path) -> None:
    """Without root they are the same user's: a mode or an attribute is changed without opening them for writing."""
    path = tmp_path / "code.py"
    path.touch(0o600)
    fd = os.open(path, os.O_RDONLY)
    name = str(path).encode()
    for attempt in (
        lambda: os.fchmod(fd, 0o666),
        lambda: os.fchown(fd, os.geteuid(), os.getegid()),
        lambda: call("syscall", FCHMODAT2, -100, name, 0o666, 0x100),
        lambda: os.setxattr(path, "user.a", b"b"),
        lambda: os.setxattr(fd, "user.a", b"b"),
        lambda: os.removexattr(path, "user.a"),
        lambda: os.utime(path, (0, 0)),
    ):
        assert inside(NOTHING, attempt) == "errno EPERM"
    os.close(fd)
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.skipif(kernel.landlock_version() < 1, reason="a kernel without Landlock")
def test_files_are_those_of_the_program(tmp_path: Path) -> None:
    """Nothing of the system's, nothing of the site's; modules, and what tells of the process itself."""
    key = tmp_path / "site.key"
    key.write_text("secret")
    for path in (key, Path("/etc/passwd"), Path("/proc/1/status"), Path(f"/proc/{os.getpid()}/environ")):
        assert inside(NOTHING, lambda path=path: path.read_text()) == "errno EACCES", path  # type: ignore[misc]
    assert inside(NOTHING, lambda: psutil.Process().memory_info().rss > 0) is True
    assert inside(NOTHING, lambda: len(Path(os.__file__).read_text()) > 0) is True
    assert inside(NOTHING, lambda: sys.modules.pop("wave", None) or bool(__import__("wave"))) is True


@pytest.mark.skipif(kernel.landlock_version() < 4, reason="a kernel whose Landlock knows no ports")
def test_connections_go_to_configured_ports() -> None:
    with socket.create_server(("127.0.0.1", 0)) as backend, socket.create_server(("127.0.0.1", 0)) as other:
        needs = NOTHING._replace(ports=frozenset({backend.getsockname()[1]}))

        def reach(server: socket.socket) -> str:
            socket.create_connection(server.getsockname()).close()
            return "reached"

        assert inside(needs, lambda: reach(backend)) == "reached"
        assert inside(needs, lambda: reach(other)) == "errno EACCES"


@pytest.mark.skipif(not FILTERED, reason="no filter for this machine")
def test_sending_is_no_connecting() -> None:
    """TCP Fast Open: the first bytes go along with a connect that nobody asked for by its name."""
    with socket.create_server(("127.0.0.1", 0)) as other:

        def fast_open(send: Callable[[socket.socket], object]) -> object:
            with socket.socket() as sock:
                return send(sock)

        address = other.getsockname()
        for send in (
            lambda sock: sock.sendto(b"x", socket.MSG_FASTOPEN, address),
            lambda sock: sock.sendto(b"x", socket.MSG_FASTOPEN | socket.MSG_NOSIGNAL, address),
            lambda sock: sock.sendmsg([b"x"], [], socket.MSG_FASTOPEN, address),
            lambda sock: sock.setsockopt(socket.IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1),
        ):
            assert inside(NOTHING, lambda send=send: fast_open(send)) == "errno EPERM"  # type: ignore[misc]
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert inside(NOTHING, lambda: ours.send(b"x", socket.MSG_NOSIGNAL) + ours.sendmsg([b"y"])) == 2
        assert theirs.recv(10) == b"xy"


def test_what_goes_on(tmp_path: Path) -> None:
    """Threads, signals to itself, Unix sockets where backends have them, names where they are looked up, files where they are."""

    def thread() -> str:
        said: list[str] = []
        one = threading.Thread(target=lambda: said.append("ran"))
        one.start()
        one.join()
        return said[0]

    assert inside(NOTHING, thread) == "ran"
    assert inside(NOTHING, lambda: os.kill(os.getpid(), 0)) is None
    with_unix = NOTHING._replace(unix=True)
    assert inside(with_unix, lambda: socket.socket(socket.AF_UNIX).close()) is None
    names = NOTHING._replace(names=True)
    assert inside(names, lambda: socket.getaddrinfo("localhost", 80)[0][4][1]) == 80
    assert inside(names, lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).close()) is None
    writes = NOTHING._replace(writes=(tmp_path,))
    assert inside(writes, lambda: (tmp_path / "body").write_text("x")) == 1


def test_no_more_processes() -> None:
    """Root is not held by it, and so takes the filter alone."""

    def attempt() -> object:
        if os.geteuid() == 0:
            os.setresuid(65534, 65534, 65534)
        assert kernel.no_more_processes()
        return os.fork()

    ours, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            attempt()
        except BlockingIOError:
            os.write(theirs, b"refused")
        finally:
            os._exit(0)
    os.close(theirs)
    assert os.read(ours, 100) == b"refused"
    os.waitpid(pid, 0)
    os.close(ours)


def test_an_unknown_machine_has_no_filter(monkeypatch: pytest.MonkeyPatch) -> None:
    """It runs as before, and says so."""
    monkeypatch.setattr(os, "uname", lambda: platform.uname()._replace(machine="pdp11"))
    assert not kernel.filter_calls(b"")
