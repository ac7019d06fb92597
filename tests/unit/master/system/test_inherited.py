"""Socket activation: what is taken, for which address, and how everything else is refused."""

from __future__ import annotations

import fcntl
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from lbproxy.config.model import Address
from lbproxy.errors import StartError
from lbproxy.master.system.inherited import inherit

PID = 4711


class Manager:
    """Hands over copies of descriptors at consecutive numbers, as a service manager does from 3 on."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self.first = 0
        self.environ = {"LISTEN_PID": str(PID), "PATH": "/bin"}

    def hand_over(self, *sources: socket.socket | int, names: str | None = None) -> None:
        copies = [source if isinstance(source, int) else source.fileno() for source in sources]
        # A stretch of free numbers: the first above all that is open now, plus room.
        self.first = max(map(int, os.listdir("/proc/self/fd"))) + 8
        for offset, fd in enumerate(copies):
            assert fcntl.fcntl(fd, fcntl.F_DUPFD, self.first + offset) == self.first + offset
            os.set_inheritable(self.first + offset, True)
            self._stack.callback(close_quietly, self.first + offset)
        self.environ["LISTEN_FDS"] = str(len(copies))
        if names is not None:
            self.environ["LISTEN_FDNAMES"] = names

    def inherit(self) -> dict[Address, socket.socket]:
        """What lbproxy makes of it; closed after the test."""
        sockets = inherit(self.environ, PID, self.first)
        for sock in sockets.values():
            self._stack.enter_context(sock)
        return sockets

    def listener(self, host: str = "127.0.0.1", *, both: bool = False) -> socket.socket:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        sock = self._stack.enter_context(socket.socket(family))
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if both else 1)
        sock.bind((host, 0))
        sock.listen()
        return sock

    def refused(self) -> str:
        """The complaint; every descriptor that was handed over is closed."""
        with pytest.raises(StartError) as caught:
            self.inherit()
        for fd in range(self.first, self.first + int(self.environ.get("LISTEN_FDS", "0") or 0)):
            with pytest.raises(OSError, match="Bad file descriptor"):
                os.fstat(fd)
        return re.sub(rf"\bdescriptor {self.first}\b", "descriptor FIRST", str(caught.value))


def close_quietly(fd: int) -> None:
    try:
        os.close(fd)
    except OSError:
        pass  # the code under test did


@pytest.fixture
def manager() -> Iterator[Manager]:
    with ExitStack() as stack:
        yield Manager(stack)


def test_listening_sockets_come_by_address(manager: Manager) -> None:
    four, six = manager.listener(), manager.listener("::1")
    manager.hand_over(four, six, names="http:https")
    sockets = manager.inherit()
    assert set(sockets) == {Address("127.0.0.1", four.getsockname()[1]), Address("::1", six.getsockname()[1])}
    for sock in sockets.values():
        assert not sock.getblocking()
        assert not os.get_inheritable(sock.fileno())
        assert sock.fileno() in (manager.first, manager.first + 1)
        with socket.create_connection(sock.getsockname()[:2], 60):
            sock.settimeout(60)
            sock.accept()[0].close()


def test_the_environment_is_taken_away(manager: Manager) -> None:
    manager.hand_over(manager.listener(), names="http")
    manager.environ["LISTEN_PID"] = str(PID)
    manager.inherit()
    assert manager.environ == {"PATH": "/bin"}


def test_the_wildcard_of_ipv6_only(manager: Manager) -> None:
    sock = manager.listener("::")
    manager.hand_over(sock)
    assert set(manager.inherit()) == {Address("::", sock.getsockname()[1])}


def test_the_wildcard_that_takes_ipv4_too_is_refused_with_the_way_out(manager: Manager) -> None:
    sock = manager.listener("::", both=True)
    port = sock.getsockname()[1]
    manager.hand_over(sock)
    complaint = manager.refused()
    assert complaint.startswith(f"LISTEN_FDS: descriptor FIRST: [::]:{port} takes IPv4 too")
    assert "BindIPv6Only=ipv6-only" in complaint
    assert f"ListenStream=0.0.0.0:{port}" in complaint


def test_one_address_of_ipv6_takes_no_ipv4_whatever_the_option_says(manager: Manager) -> None:
    manager.hand_over(manager.listener("::1", both=True))
    assert len(manager.inherit()) == 1


def test_sockets_for_another_process_are_left_alone(manager: Manager) -> None:
    manager.hand_over(manager.listener())
    assert inherit(manager.environ, PID + 1, manager.first) == {}
    os.fstat(manager.first)  # still open
    assert manager.environ == {"PATH": "/bin"}


@pytest.mark.parametrize("environ", [{}, {"LISTEN_FDS": "1"}, {"LISTEN_PID": str(PID), "LISTEN_FDS": "0"}])
def test_nothing_handed_over(environ: dict[str, str]) -> None:
    assert inherit(environ, PID) == {}


@pytest.mark.parametrize("count", ["", "-1", "one", "1025", "²", "3.0"])
def test_a_count_that_is_none(count: str) -> None:
    with pytest.raises(StartError, match=rf'^LISTEN_FDS: wanted the number of descriptors handed over, .*, came "{count}"$'):
        inherit({"LISTEN_PID": str(PID), "LISTEN_FDS": count}, PID)


def test_what_is_no_listening_stream_socket_is_named(manager: Manager) -> None:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
        socket.socket(socket.AF_UNIX) as unix,
        socket.socket() as deaf,
        open("/dev/null", "rb") as device,
        open(__file__, "rb") as file,
    ):
        reader, writer = os.pipe()
        manager.hand_over(manager.listener(), udp, unix, deaf, device.fileno(), file.fileno(), reader, names="web:udp:unix:deaf")
        os.close(reader)
        os.close(writer)
        complaints = manager.refused().splitlines()
    wanted = [
        "(udp): wanted a listening stream socket, came one of IPv4, datagram",
        "(unix): wanted a listening stream socket, came one that does not listen (Accept=no in the socket unit)",
        "(deaf): wanted a listening stream socket, came one that does not listen (Accept=no in the socket unit)",
        ": wanted a listening stream socket, came a device",
        ": wanted a listening stream socket, came a file",
        ": wanted a listening stream socket, came a pipe",
    ]
    assert len(complaints) == len(wanted)
    for complaint, fault in zip(complaints, wanted, strict=True):
        assert complaint.startswith("LISTEN_FDS: descriptor ")
        assert fault in complaint


def test_a_unix_socket_comes_by_its_path(manager: Manager, tmp_path: Path) -> None:
    """ListenStream=/run/...; one without a file cannot be named by a configuration."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(tmp_path / "s"))
        sock.listen()
        manager.hand_over(sock)
        assert set(manager.inherit()) == {Address(f"unix:{tmp_path}/s", 0)}


def test_a_unix_socket_without_a_file_is_refused(manager: Manager) -> None:
    """Of the abstract kind."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind("")  # the kernel gives it a name
        sock.listen()
        manager.hand_over(sock)
        assert "wanted a Unix socket with a file" in manager.refused()


def test_a_descriptor_that_is_not_open(manager: Manager) -> None:
    manager.hand_over(manager.listener())
    os.close(manager.first)
    assert manager.refused() == "LISTEN_FDS: descriptor FIRST: wanted a listening stream socket, came none: Bad file descriptor"


def test_a_descriptor_of_our_own(manager: Manager) -> None:
    """Where fewer came than were promised, what we opened has the number: it is named, and stays ours."""
    manager.hand_over(manager.listener())
    os.set_inheritable(manager.first, False)  # as all that Python opens
    with pytest.raises(StartError, match="wanted a listening stream socket, came none"):
        manager.inherit()
    os.fstat(manager.first)


def test_two_sockets_for_one_address(manager: Manager) -> None:
    sock = manager.listener()
    manager.hand_over(sock, sock)
    assert f"a second socket for 127.0.0.1:{sock.getsockname()[1]}" in manager.refused()


def test_the_process_environment_and_descriptor_3_by_default() -> None:
    """As a manager does it: fork, descriptors from 3 on, LISTEN_PID, exec."""
    program = (
        "import os, socket, sys\n"
        "if 'LISTEN_PID' not in os.environ:\n"
        "    sock = socket.create_server(('127.0.0.1', 0))\n"
        "    fd = sock.detach()\n"
        "    os.dup2(fd, 3) if fd != 3 else os.set_inheritable(3, True)\n"
        "    os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1')\n"
        "    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])\n"
        "from lbproxy.master.system.inherited import inherit\n"
        "((address, sock),) = inherit().items()\n"
        "assert sock.fileno() == 3 and 'LISTEN_PID' not in os.environ and inherit() == {}\n"
        "print(address.host, sock.getsockname()[1] == address.port)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == ("127.0.0.1 True\n", "")
