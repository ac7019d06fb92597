"""Backends of `demo`: a process each, gone with whoever started them."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys

import psutil
import pytest

from lbproxy.config.model import Address
from lbproxy.demo.backends import listen_nearby
from lbproxy.errors import StartError
from tests.support.ports import free_port
from tests.support.waiting import eventually
from tests.unit.demo.serving import ask_once

PARENT = """
import os, sys, signal
from lbproxy.config.model import Address
from lbproxy.demo.backends import listen_nearby, start_backends

ports = [int(port) for port in sys.argv[1:]]
backends = start_backends(listen_nearby(Address("127.0.0.1", port)) for port in ports)
if not os.fork():  # a child of the proxy: the backends stay while it lives
    signal.pause()
print(*(f"{backend.address.port}:{backend.pid}" for backend in backends), os.getpid(), flush=True)
signal.pause()
"""


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_they_serve_ignore_the_terminal_and_end_with_the_last_of_their_makers() -> None:
    """Not their children, not moved by Ctrl-C, there until the maker and its children are gone, however they went."""
    command = [sys.executable, "-c", PARENT, *(str(free_port()) for _ in range(2))]
    parent = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    leftover: list[int] = []
    try:
        *pairs, _ = parent.stdout.readline().split()
        ports, pids = zip(*(map(int, pair.split(":")) for pair in pairs), strict=True)
        (child,) = psutil.Process(parent.pid).children()  # and no backend among them
        leftover = [child.pid, *pids]
        for pid in pids:
            for number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
                os.kill(pid, number)
        for port, pid in zip(ports, pids, strict=True):
            assert f"(pid {pid})" in ask_once(port).body.decode()
        parent.kill()
        parent.wait()
        assert all(map(alive, pids))
        assert ask_once(ports[0]).status == 200
        child.kill()
        eventually(lambda: not any(map(alive, pids)), "the backends gone with the last of their makers")
    finally:
        parent.kill()
        parent.wait()
        parent.stdout.close()
        for pid in leftover:
            if alive(pid):
                os.kill(pid, signal.SIGKILL)


def test_a_taken_port_gives_way_to_the_next() -> None:
    """As long as there is one."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        if port == 65535:
            pytest.skip("no port above the one the kernel chose")
        address, listening = listen_nearby(Address("127.0.0.1", port))
        with listening.socket:
            assert port < address.port <= port + 100
            assert listening.socket.getsockname() == ("127.0.0.1", address.port)
        with pytest.raises(StartError, match=f"no free port from {port}"):
            listen_nearby(Address("127.0.0.1", port), tries=1)


def test_other_troubles_are_told_at_once() -> None:
    """A port further up would not help (TEST-NET-1, RFC 5737)."""
    with pytest.raises(StartError, match="does not have that address"):
        listen_nearby(Address("192.0.2.1", 9000))
