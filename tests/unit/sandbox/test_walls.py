"""From inside a process with walls around it: what an intruder would try, and what the process itself has to go on doing."""

from __future__ import annotations

import ctypes
import errno
import json
import os
import platform
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from lbproxy.master.privileges import no_new_privileges
from lbproxy.sandbox import kernel, walls
from lbproxy.sandbox.names import CALLS, FILES, MEMORY, PORTS

LIBC = ctypes.CDLL(None, use_errno=True)
FILTERED = platform.machine() in kernel.SECCOMP
NOTHING = walls.Needs(frozenset(), unix=False, names=False)


def inside(needs: walls.Needs, work: Callable[[], object]) -> object:
    """What `work` gives in a fork behind walls: a value, or the number of the OSError."""
    ours, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            psutil.Process().memory_info()
            no_new_privileges()
            walls.build(needs)
            try:
                outcome = work()
            except OSError as error:
                outcome = f"errno {errno.errorcode[error.errno or 0]}"
            os.write(theirs, json.dumps(outcome).encode())
        finally:
            os._exit(0)
    os.close(theirs)
    with open(ours, "rb") as told:
        answer = told.read()
    os.waitpid(pid, 0)
    return json.loads(answer)


def call(name: str, *arguments: object) -> str:
    result = getattr(LIBC, name)(*arguments)
    return f"errno {errno.errorcode[ctypes.get_errno()]}" if result < 0 else "done"


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
    lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW).close(),
    lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close(),
    lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262).close(),  # MPTCP, which Landlock does not see
    lambda: socket.create_server(("127.0.0.1", 0)).close(),
    lambda: os.close(os.open("/dev/null", os.O_WRONLY)),
    lambda: call("prctl", 4, 1, 0, 0, 0),  # PR_SET_DUMPABLE
    lambda: call("unshare", 0x10000000),  # CLONE_NEWUSER
    lambda: os.unlink("/nothing"),
], ids=[
    "exec", "fork", "ptrace", "kill", "udp", "unix", "netlink", "packet", "mptcp", "listen", "write", "dumpable", "namespace",
    "unlink",
])  # fmt: skip
def test_what_an_intruder_would_try(attempt: Callable[[], object]) -> None:
    """It is refused, and the process goes on."""
    assert inside(NOTHING, attempt) == "errno EPERM"


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
